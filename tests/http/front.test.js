// What nginx and the dispatcher owe every request, whatever it asks for.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const http2 = require("node:http2");
const net = require("node:net");
const { shared, startNginx } = require("./lib/server.js");
const { request, waitFor, unique } = require("./lib/client.js");

let server;
before(async () => { server = await shared(); });

// The three headers of § Web Browser Clients, each exactly once.
function assertCors(r) {
	for (const [name, value] of [
		["access-control-allow-origin", "*"],
		["access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"],
		["access-control-allow-headers", "X-Requested-With, Content-Type, Authorization, Date"],
	]) {
		assert.equal(r.headers[name], value);
		assert.equal(r.rawHeaders.filter((h, i) => i % 2 === 0 && h.toLowerCase() === name).length, 1, `${name} once`);
	}
}
function assertError(r, status, errcode) {
	assert.equal(r.status, status, r.text);
	assert.equal(r.headers["content-type"], "application/json");
	assert.equal(r.body.errcode, errcode);
	assert.equal(typeof r.body.error, "string");
	assertCors(r);
}
// Bytes as they are, over plain HTTP; the whole answer.
function raw(text) {
	const base = new URL(server.httpUrl);
	return new Promise((done, fail) => {
		let got = "";
		const s = net.connect(base.port, base.hostname, () => s.write(text));
		s.setEncoding("latin1").on("data", (d) => { got += d; }).on("close", () => done(got)).on("error", fail);
		s.setTimeout(10000, () => s.destroy(new Error("no answer")));
	});
}

describe("every answer", () => {
	for (const path of ["/_matrix/client/versions", "/_matrix/client/v3/sync", "/.well-known/matrix/client", "/no/such/path", "/_matrix/static/client/login/"]) {
		test(`OPTIONS ${path} is answered without logic`, async () => {
			const r = await request(server, "OPTIONS", path, { headers: { Origin: "https://app.example", "Access-Control-Request-Method": "PUT" } });
			assert.equal(r.status, 204);
			assert.ok(Number(r.headers["access-control-max-age"]) > 0);
			assertCors(r);
		});
	}
	test("a good one has CORS headers, once", async () => {
		const r = await request(server, "GET", "/_matrix/client/versions");
		assert.equal(r.status, 200);
		assertCors(r);
	});
	test("works by HTTP/2", async () => {
		const session = http2.connect(server.url, { ca: server.caFile && fs.readFileSync(server.caFile) });
		const status = await new Promise((done, fail) => {
			session.on("error", fail);
			session.request({ ":path": "/_matrix/client/versions" }).on("response", (h) => done(h[":status"])).on("error", fail).resume().end();
		});
		session.close();
		assert.equal(status, 200);
	});
	test("plain HTTP works", async () => {
		assert.equal((await request(server, "GET", "/_matrix/client/versions", { plain: true })).status, 200);
	});
});

describe("errors are the specification's, with CORS headers", () => {
	for (const path of ["/", "/_matrix/client/v3/no/such/endpoint", "/_matrix", "//_matrix/client/versions", "/_matrix/client/versions/"]) {
		test(`404 for ${path}`, async () => assertError(await request(server, "GET", path), 404, "M_UNRECOGNIZED"));
	}
	test("405 for a wrong method", async () => assertError(await request(server, "DELETE", "/_matrix/client/versions"), 405, "M_UNRECOGNIZED"));
	test("405 for TRACE", async () => assertError(await request(server, "TRACE", "/_matrix/client/versions"), 405, "M_UNRECOGNIZED"));
	test("404 and 405 of static files", async () => {
		assertError(await request(server, "GET", "/_matrix/static/none"), 404, "M_UNRECOGNIZED");
		assertError(await request(server, "GET", "/_matrix/static/"), 404, "M_UNRECOGNIZED");
		assertError(await request(server, "POST", "/_matrix/static/client/login/login.js", { body: "x" }), 405, "M_UNRECOGNIZED");
	});
	test("413 for a body above the limit", async () => {
		assertError(await request(server, "POST", "/_matrix/client/v3/login", { body: "x".repeat(2 << 20) }), 413, "M_TOO_LARGE");
	});
	test("400 without Host", async () => {
		const r = await raw("GET /_matrix/client/versions HTTP/1.1\r\nConnection: close\r\n\r\n");
		assert.match(r, /^HTTP\/1.1 400 /);
		assert.match(r, /access-control-allow-origin: \*/i);
		assert.match(r, /"errcode":/);
	});
	test("400 for what is no request, 414 for a URL without end", async () => {
		for (const [status, text] of [[400, "GARBAGE\r\n\r\n"], [400, "GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
			[400, "GET /%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"], [414, `GET /${"a".repeat(50000)} HTTP/1.1\r\nHost: x\r\n\r\n`]]) {
			const r = await raw(text);
			assert.match(r, new RegExp(`^HTTP/1.1 ${status} `));
			assert.match(r, /access-control-allow-origin: \*/i);
			assert.match(r, /"errcode":"M_/);
		}
	});
	test("431 for headers without end", async () => {
		const r = await request(server, "GET", "/_matrix/client/versions", { headers: { "X-Long": "x".repeat(60000) } });
		assertError(r, 431, "M_TOO_LARGE");
	});
	test("nobody gets at what is ours", async () => {
		for (const path of ["/_hearth/", "/_hearth/metrics", "/_hearth/%6detrics", "/_hearth/health/../metrics"])
			assertError(await request(server, "GET", path), 404, "M_UNRECOGNIZED");
		assert.equal((await request(server, "GET", "/_hearth/health")).status, 200);
	});
});

test("a URL of 32 KB arrives", async () => {
	const r = await request(server, "GET", `/_matrix/client/versions?filter=${"x".repeat(32000)}`);
	assert.equal(r.status, 200);
});

test("the login page comes with its script and a strict policy", async () => {
	const page = await request(server, "GET", "/_matrix/static/client/login/");
	assert.equal(page.status, 200);
	assert.match(page.headers["content-type"], /^text\/html/);
	assert.match(page.headers["content-security-policy"], /default-src 'none'; script-src 'self'/);
	assert.doesNotMatch(page.text, /<script>|style="|onclick/);
	const script = await request(server, "GET", "/_matrix/static/client/login/login.js");
	assert.equal(script.status, 200);
	assert.match(script.text, /matrixLogin\.onLogin\(response\)/);
});

describe("with nobody behind nginx", () => {
	let lonely;
	before(async () => { lonely = await startNginx(); });
	after(() => lonely?.stop());

	test("502 is JSON with CORS headers, and says when to come back", async () => {
		for (const method of ["GET", "POST", "PUT"]) {
			const r = await request(lonely, method, "/_matrix/client/v3/sync", { body: method === "GET" ? undefined : {} });
			assertError(r, 502, "M_UNKNOWN");
			assert.equal(r.headers["retry-after"], "2");
		}
	});
	test("no log has the token or the query", async () => {
		const secret = unique("secret"), path = `/_matrix/client/v3/${unique("path")}`;
		await request(lonely, "GET", `${path}?access_token=${secret}`, { headers: { Authorization: `Bearer ${secret}` } });
		await waitFor(() => fs.readFileSync(`${lonely.dir}/nginx-access.log`, "utf8").includes(path), { what: "the access log's line" });
		for (const f of ["nginx-access.log", "nginx-error.log"])
			assert.ok(!fs.readFileSync(`${lonely.dir}/${f}`, "utf8").includes(secret), f);
	});
});

test("no log of the whole server has the token or the query", { skip: !process.env.HEARTH_TEST_DIR }, async () => {
	const secret = unique("secret"), path = `/_matrix/client/v3/${unique("path")}`;
	await request(server, "GET", `${path}?access_token=${secret}&x=${secret}`);
	await request(server, "GET", path, { token: secret });
	await waitFor(() => fs.readFileSync(`${server.dir}/log/nginx-access.log`, "utf8").split(path).length > 2, { what: "the access log's lines" });
	for (const f of ["server.log", "log/nginx-access.log", "log/nginx-error.log", "log/postgres.log"])
		assert.ok(!fs.readFileSync(`${server.dir}/${f}`, "utf8").includes(secret), f);
});
