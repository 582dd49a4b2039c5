// A mail server on loopback that keeps what it gets. tls: {key, cert} offers STARTTLS; user, password: demands a log-in. refuse: a
// function of (command, argument) that answers a reply line ("451 later") to send instead of the usual one.
"use strict";
const net = require("node:net");
const tls = require("node:tls");
const { waitFor } = require("./client.js");

// Quoted-printable, as the body comes.
function decodeBody(text) {
	const bytes = text.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, h) => String.fromCharCode(parseInt(h, 16)));
	return Buffer.from(bytes, "latin1").toString("utf8").replace(/\r\n/g, "\n");
}
// RFC 2047, of the one kind that the server writes.
function decodeHeader(text) {
	const joined = text.replace(/\?=\s+=\?UTF-8\?Q\?/g, "");
	return joined.replace(/=\?UTF-8\?Q\?([^?]*)\?=/g, (_, w) => decodeBody(w.replace(/_/g, " ")));
}
function parse(raw) {
	const split = raw.indexOf("\r\n\r\n"), headers = {};
	for (const line of raw.slice(0, split).replace(/\r\n[ \t]/g, " ").split("\r\n")) {
		const colon = line.indexOf(":"), name = line.slice(0, colon).toLowerCase();
		if (headers[name] !== undefined) throw new Error(`header ${name} comes twice`);
		headers[name] = decodeHeader(line.slice(colon + 1).trim());
	}
	return { headers, text: decodeBody(raw.slice(split + 4)), raw };
}

class MailCatcher {
	constructor(options = {}) {
		Object.assign(this, { mails: [], tries: 0, encrypted: 0, logins: [], sockets: new Set(), refuse: () => undefined }, options);
	}

	async listen() {
		this.server = net.createServer((s) => this.serve(s));
		await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
		this.port = this.server.address().port;
		this.url = `smtp://127.0.0.1:${this.port}`;
		return this;
	}

	close() {
		for (const s of this.sockets) s.destroy();
		return new Promise((done) => this.server.close(done));
	}

	serve(plain, resumed = false) {
		let socket = plain, buffer = "", from, to = [], data = false, login = false, authed = !this.user;
		const secure = resumed;
		this.sockets.add(socket);
		if (!resumed) this.tries++;
		const say = (line) => { if (!socket.destroyed) socket.write(`${line}\r\n`); };
		const take = (line) => {
			if (login) {
				const [, user, password] = Buffer.from(line, "base64").toString().split("\0");
				login = false;
				authed = user === this.user && password === this.password;
				this.logins.push(user);
				return say(authed ? "235 welcome" : "535 no");
			}
			const [, verb, rest] = /^(\S*)\s*(.*)$/s.exec(line), command = verb.toUpperCase();
			const refusal = this.refuse(command, rest);
			if (refusal) return say(refusal);
			switch (command) {
			case "EHLO":
				say("250-catcher");
				if (this.tls && !secure) say("250-STARTTLS");
				if (this.user) say("250-AUTH PLAIN");
				return say("250 SMTPUTF8");
			case "STARTTLS":
				say("220 go on");
				socket.removeAllListeners("data");
				socket = new tls.TLSSocket(plain, { isServer: true, ...this.tls });
				socket.on("error", () => {}).once("secure", () => { this.encrypted++; });
				return this.serve(socket, true);
			case "AUTH":
				login = true;
				return say("334 ");
			case "MAIL":
				if (!authed) return say("530 log in first");
				[from, to] = [/<(.*?)>/.exec(rest)[1], []];
				return say("250 ok");
			case "RCPT":
				to.push(/<(.*?)>/.exec(rest)[1]);
				return say("250 ok");
			case "DATA":
				data = true;
				return say("354 go on");
			case "QUIT":
				say("221 bye");
				return socket.end();
			default:
				return say("250 ok");
			}
		};
		socket.setEncoding("utf8");
		socket.on("error", () => {}).on("close", () => this.sockets.delete(socket)).on("data", (d) => {
			buffer += d;
			for (;;) {
				const end = buffer.indexOf(data ? "\r\n.\r\n" : "\r\n");
				if (end < 0) return;
				const got = buffer.slice(0, end + (data ? 2 : 0));
				buffer = buffer.slice(end + (data ? 5 : 2));
				if (!data) {
					take(got);
					continue;
				}
				data = false;
				const refusal = this.refuse("MESSAGE", got);
				if (!refusal) this.mails.push({ from, to, ...parse(got.replace(/^\.\./gm, ".")) });
				say(refusal || "250 taken");
			}
		});
		if (!resumed) say("220 catcher");
	}

	// The nth mail (from 0) to an address.
	async to(address, n = 0) {
		return waitFor(() => this.mails.filter((m) => m.to.includes(address))[n], { what: `mail ${n} to ${address}`, timeout: 20000 });
	}

	count(address) { return this.mails.filter((m) => m.to.includes(address)).length; }
}

// The link in a mail, as the path to ask for.
const linkOf = (mail) => { const u = new URL(/https?:\S+/.exec(mail.text)[0]); return u.pathname + u.search; };

module.exports = { MailCatcher, linkOf };
