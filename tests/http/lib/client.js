// A small Matrix client for tests. request() sends the path exactly as given, so percent-encoding is the test's own.
"use strict";
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const http = require("node:http");
const https = require("node:https");
const { sleep } = require("./server.js");

// One HTTP request. options: body (object: JSON; string or Buffer: as it is), token (Authorization: Bearer), headers, plain (http
// instead of https), timeout (ms, 60 s), signal. Answers {status, headers, text, body (parsed when it is JSON)}; never throws for a status.
function request(server, method, path, { body, token, headers = {}, plain = false, timeout = 60000, signal } = {}) {
	const base = new URL(plain ? server.httpUrl : server.url);
	const tls = base.protocol === "https:";
	let data = body;
	const head = { ...headers };
	if (body !== undefined && typeof body !== "string" && !Buffer.isBuffer(body)) {
		data = JSON.stringify(body);
		head["Content-Type"] ??= "application/json";
	}
	if (data !== undefined && head["Transfer-Encoding"] === undefined) head["Content-Length"] ??= Buffer.byteLength(data);
	if (token) head.Authorization = `Bearer ${token}`;
	return new Promise((done, fail) => {
		const req = (tls ? https : http).request({
			host: base.hostname, port: base.port, method, path, headers: head, agent: tls ? server.agent : undefined, timeout, signal,
		}, (res) => {
			const parts = [];
			res.on("data", (d) => parts.push(d)).on("error", fail).on("end", () => {
				const text = Buffer.concat(parts).toString("utf8");
				const answer = { status: res.statusCode, headers: res.headers, rawHeaders: res.rawHeaders, text, body: undefined };
				if (/^application\/json/.test(res.headers["content-type"] || "")) {
					try { answer.body = JSON.parse(text); } catch { answer.body = undefined; }
				}
				done(answer);
			});
		});
		req.on("error", fail).on("timeout", () => req.destroy(new Error(`no answer in ${timeout} ms: ${method} ${path}`)));
		req.end(data);
	});
}

// Polls until condition() gives something true, and answers that.
async function waitFor(condition, { timeout = 10000, what = "it" } = {}) {
	const end = Date.now() + timeout;
	for (let pause = 10; ; pause = Math.min(pause * 2, 200)) {
		const value = await condition();
		if (value) return value;
		assert.ok(Date.now() < end, `${what} did not happen in ${timeout} ms`);
		await sleep(pause);
	}
}

const enc = encodeURIComponent;
const unique = (prefix = "u") => `${prefix}${crypto.randomBytes(6).toString("hex")}`;

// The members of an answer to a sync without news.
const NO_NEWS = ["next_batch", "device_one_time_keys_count", "device_unused_fallback_key_types"];

class Client {
	constructor(server, { userId, token, deviceId } = {}) { Object.assign(this, { server, userId, token, deviceId, since: undefined }); }

	request(method, path, options = {}) { return request(this.server, method, path, { token: this.token, ...options }); }

	// As request(), for what must succeed: the body.
	async ok(method, path, body, options = {}) {
		const r = await this.request(method, path, { body, ...options });
		assert.ok(r.status >= 200 && r.status < 300, `${method} ${path}: ${r.status} ${r.text}`);
		return r.body;
	}

	// For what must fail: checks status and errcode, answers the whole.
	async fails(status, errcode, method, path, body, options = {}) {
		const r = await this.request(method, path, { body, ...options });
		assert.equal(`${r.status} ${r.body?.errcode}`, `${status} ${errcode}`, `${method} ${path}: ${r.status} ${r.text}`);
		return r;
	}

	async createRoom(body = {}) { return (await this.ok("POST", "/_matrix/client/v3/createRoom", body)).room_id; }
	async invite(room, userId) { await this.ok("POST", `/_matrix/client/v3/rooms/${enc(room)}/invite`, { user_id: userId }); }
	async join(room) { return (await this.ok("POST", `/_matrix/client/v3/join/${enc(room)}`, {})).room_id; }
	async leave(room) { await this.ok("POST", `/_matrix/client/v3/rooms/${enc(room)}/leave`, {}); }
	async send(room, content, type = "m.room.message", txn = unique("t")) {
		const body = typeof content === "string" ? { msgtype: "m.text", body: content } : content;
		return (await this.ok("PUT", `/_matrix/client/v3/rooms/${enc(room)}/send/${enc(type)}/${txn}`, body)).event_id;
	}
	async setState(room, type, content, key = "") {
		return (await this.ok("PUT", `/_matrix/client/v3/rooms/${enc(room)}/state/${enc(type)}/${enc(key)}`, content)).event_id;
	}

	// One sync from where the last one of this client ended. since: null starts anew.
	async sync({ timeout = 0, filter, since = this.since, ...more } = {}) {
		const q = new URLSearchParams({ timeout: String(timeout), ...more });
		if (since) q.set("since", since);
		if (filter) q.set("filter", typeof filter === "string" ? filter : JSON.stringify(filter));
		const body = await this.ok("GET", `/_matrix/client/v3/sync?${q}`, undefined, { timeout: timeout + 30000 });
		this.since = body.next_batch;
		return body;
	}

	// Syncs on until find(answer) gives something true.
	async syncUntil(find, { timeout = 10000, what = "it", ...more } = {}) {
		const end = Date.now() + timeout;
		for (;;) {
			const value = find(await this.sync({ timeout: Math.max(0, Math.min(end - Date.now(), 2000)), ...more }));
			if (value) return value;
			assert.ok(Date.now() < end, `${what} did not come by sync in ${timeout} ms`);
		}
	}
}

// A new account, logged in.
async function register(server, { name = unique(), password = "a pass phrase for tests", ...more } = {}) {
	const r = await request(server, "POST", "/_matrix/client/v3/register", {
		body: { auth: { type: "m.login.dummy" }, username: name, password, ...more },
	});
	assert.equal(r.status, 200, `register ${name}: ${r.status} ${r.text}`);
	return Object.assign(new Client(server, { userId: r.body.user_id, token: r.body.access_token, deviceId: r.body.device_id }), { name, password });
}

async function login(server, name, password, more = {}) {
	const r = await request(server, "POST", "/_matrix/client/v3/login", {
		body: { type: "m.login.password", identifier: { type: "m.id.user", user: name }, password, ...more },
	});
	assert.equal(r.status, 200, `login ${name}: ${r.status} ${r.text}`);
	return Object.assign(new Client(server, { userId: r.body.user_id, token: r.body.access_token, deviceId: r.body.device_id }), { name, password });
}

module.exports = { request, waitFor, register, login, Client, unique, enc, NO_NEWS };
