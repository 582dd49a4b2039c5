// A push gateway of the test's own: plain HTTP on loopback. It keeps what it is told and answers as the test wants.
"use strict";
const http = require("node:http");
const { waitFor } = require("./client.js");

class Gateway {
	// answer(notification, number): {status, body, headers}, or "hang" (never), "drop" (the connection ends). Default: 200 {"rejected": []}.
	static async start(answer, port = 0) {
		const g = new Gateway();
		Object.assign(g, { told: [], requests: [], answer });
		g.server = http.createServer((req, res) => {
			const parts = [];
			req.on("data", (d) => parts.push(d)).on("end", () => g.take(req, res, Buffer.concat(parts).toString("utf8")));
		});
		await new Promise((done) => g.server.listen(port, "127.0.0.1", done));
		g.port = g.server.address().port;
		return g;
	}

	get url() { return `http://127.0.0.1:${this.port}/_matrix/push/v1/notify`; }

	take(req, res, text) {
		const { notification } = JSON.parse(text);
		this.requests.push({ method: req.method, path: req.url, headers: req.headers, notification });
		const a = this.answer?.(notification, this.requests.length) || {};
		if (a === "hang") return;
		if (a === "drop") { req.socket.destroy(); return; }
		const status = a.status || 200;
		if (status === 200) this.told.push(notification);
		res.writeHead(status, { "Content-Type": "application/json", ...a.headers });
		res.end(typeof a.body === "string" ? a.body : JSON.stringify(a.body || { rejected: [] }));
	}

	// Waits until find(notification) is true for one that was taken; answers it.
	async wait(find, what = "the push", timeout = 15000) { return waitFor(() => this.told.find(find), { timeout, what }); }
	// The notification of this event.
	async event(id, timeout) { return this.wait((n) => n.event_id === id, `the push of ${id}`, timeout); }
	async asked(n, timeout = 15000) { return waitFor(() => this.requests.length >= n, { timeout, what: `request ${n}` }); }
	get events() { return this.told.map((n) => n.event_id); }

	async stop() {
		this.server.closeAllConnections();
		await new Promise((done) => this.server.close(done));
	}
}

module.exports = { Gateway };
