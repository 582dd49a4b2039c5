// Handing mails over: a mail server that is away, refuses, wants TLS or a log-in.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { start, tempDir } = require("./lib/server.js");
const { Client, unique, waitFor } = require("./lib/client.js");
const { MailCatcher } = require("./lib/mail.js");

const REGISTER = "/_matrix/client/v3/register/email/requestToken";
let server, mails, dir, anyone;
before(async () => {
	dir = tempDir("smtp");
	const [key, cert] = ["key.pem", "cert.pem"].map((f) => path.join(dir, f));
	execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
		"-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], { stdio: "ignore" });
	fs.writeFileSync(path.join(dir, "password"), "s3cret of mail\n");
	mails = await new MailCatcher({ tls: { key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, user: "hearth", password: "s3cret of mail" }).listen();
	server = await start({
		HEARTH_SMTP_URL: mails.url, HEARTH_SMTP_FROM: "h@example.org", HEARTH_SMTP_USER: "hearth", HEARTH_SMTP_PASSWORD_FILE: path.join(dir, "password"), HEARTH_CA_FILE: cert,
	});
	anyone = new Client(server);
});
after(async () => { await server.stop(); await mails.close(); fs.rmSync(dir, { recursive: true }); });

const ask = async (email) => (await anyone.ok("POST", REGISTER, { client_secret: "s", email, send_attempt: 1 })).sid;
const job = (sid) => server.sql(`SELECT attempts FROM hearth.job WHERE kind = 'mail' AND key = '${sid}'`);
const soon = (sid) => server.sql(`UPDATE hearth.job SET run_ts = 0 WHERE kind = 'mail' AND key = '${sid}'`);
const ended = (sid) => waitFor(() => job(sid) === "", { what: "the end of the job" });

describe("the mail server", () => {
	test("is talked to by TLS, after a log-in", async () => {
		const email = `${unique("t")}@example.org`, sid = await ask(email);
		await mails.to(email);
		await ended(sid);
		assert.ok(mails.encrypted > 0);
		assert.equal(mails.logins.at(-1), "hearth");
		assert.ok(!server.log.includes("s3cret of mail"));
	});

	test("says later: the mail comes later, once", async () => {
		const email = `${unique("l")}@example.org`;
		mails.refuse = (command) => command === "RCPT" ? "451 later" : undefined;
		const sid = await ask(email);
		await waitFor(() => job(sid) === "1" && server.log.includes("mail_not_sent"), { what: "a failed attempt", timeout: 20000 });
		mails.refuse = (command) => command === "MESSAGE" ? "451 later" : undefined;
		soon(sid);
		await waitFor(() => job(sid) === "2", { what: "a second one", timeout: 20000 });
		mails.refuse = () => undefined;
		await waitFor(() => Number(server.sql(`SELECT run_ts FROM hearth.job WHERE kind = 'mail' AND key = '${sid}'`)) < Date.now() + 100000, { what: "its end" });
		soon(sid);
		await mails.to(email);
		await ended(sid);
		assert.equal(mails.count(email), 1);
		assert.ok(!server.log.includes(email));
	});

	test("says never: the mail is given up, the others go", async () => {
		const email = `${unique("n")}@example.org`, other = `${unique("o")}@example.org`;
		mails.refuse = (command, rest) => command === "RCPT" && rest.includes(email) ? "550 nobody here" : undefined;
		const sid = await ask(email);
		await ask(other);
		await mails.to(other);
		await ended(sid);
		assert.match(server.log, /event=mail_refused/);
		assert.equal(mails.count(email), 0);
		mails.refuse = () => undefined;
	});

	test("is not the one of the certificate, offers no TLS, takes no log-in: nothing is sent in clear", async () => {
		const before = mails.mails.length, kept = { tls: mails.tls, password: mails.password };
		mails.tls = undefined;
		let seen = [];
		mails.refuse = (command, rest) => { seen.push(command); return undefined; };
		const sid = await ask(`${unique("c")}@example.org`);
		await waitFor(() => job(sid) === "1" && seen.length > 0, { what: "an attempt", timeout: 20000 });
		await waitFor(() => Number(server.sql(`SELECT run_ts FROM hearth.job WHERE kind = 'mail' AND key = '${sid}'`)) < Date.now() + 100000, { what: "its end" });
		assert.ok(!seen.includes("AUTH") && !seen.includes("MAIL"), seen.join());
		mails.tls = kept.tls;
		mails.password = "another";
		soon(sid);
		await waitFor(() => job(sid) === "2" && seen.includes("AUTH"), { what: "a log-in", timeout: 20000 });
		await waitFor(() => Number(server.sql(`SELECT run_ts FROM hearth.job WHERE kind = 'mail' AND key = '${sid}'`)) < Date.now() + 100000, { what: "its end" });
		assert.ok(!seen.includes("MAIL"));
		assert.equal(mails.mails.length, before);
		mails.password = kept.password;
		mails.refuse = () => undefined;
		soon(sid);
		await ended(sid);
		assert.equal(mails.mails.length, before + 1);
	});
});
