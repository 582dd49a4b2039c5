// What an attacker tries: sessions of others, authentication meant for something else, tokens in logs, and nonsense at every endpoint.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { shared, start, top } = require("./lib/server.js");
const { request, register, login, Client, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3", V1 = "/_matrix/client/v1", WHOAMI = `${V3}/account/whoami`;
let server, anyone;
before(async () => {
	server = await shared();
	anyone = new Client(server);
});
const auth = (who, session, password = who.password) => ({ type: "m.login.password", identifier: { type: "m.id.user", user: who.userId }, password, session });

describe("authentication sessions", () => {
	test("one that somebody else was given to register with does not let its maker in", async () => {
		const { body: { session } } = await anyone.request("POST", `${V3}/register`, { body: {} });
		const body = { username: unique(), auth: { type: "m.login.dummy", session } };
		const victim = await anyone.ok("POST", `${V3}/register`, { ...body, password: "only the victim knows" });
		await anyone.fails(400, "M_USER_IN_USE", "POST", `${V3}/register`, body);
		await anyone.fails(400, "M_USER_IN_USE", "POST", `${V3}/register`, { ...body, password: "a guess" });
		assert.equal((await anyone.ok("POST", `${V3}/register`, { ...body, password: "only the victim knows" })).user_id, victim.user_id);
	});

	test("of one endpoint at another, of one user by another", async () => {
		const alice = await register(server), bob = await register(server);
		const { body: { session } } = await alice.request("POST", `${V3}/account/password`, { body: { new_password: "x" } });
		// As if the stage had been passed.
		server.sql(`UPDATE hearth.uia_session SET completed = '{m.login.password}' WHERE id = '${session}'`);
		// Of one's own at another endpoint: refused. Somebody else's: as if there were none, so another one is begun.
		const refused = (method, url, body) => alice.fails(403, "M_FORBIDDEN", method, url, { ...body, auth: { session } });
		const deny = async (who, method, url, body) => {
			const r = await who.request(method, url, { body: { ...body, auth: { session } } });
			assert.equal(r.status, 401, r.text);
			assert.notEqual(r.body.session, session);
		};
		await refused("POST", `${V3}/account/deactivate`, {});
		await refused("DELETE", `${V3}/devices/${alice.deviceId}`, {});
		await refused("POST", `${V1}/login/get_token`, {});
		await deny(bob, "POST", `${V3}/account/password`, { new_password: "x" });
		await deny(anyone, "POST", `${V3}/register`, { username: unique() });
		await alice.ok("GET", WHOAMI);
		await login(server, alice.name, alice.password);
	});

	test("with other parameters than those that were authenticated", async () => {
		const alice = await register(server);
		for (const device_id of ["A", "B"]) await login(server, alice.name, alice.password, { device_id });
		const { body: { session } } = await alice.request("POST", `${V3}/delete_devices`, { body: { devices: ["A"] } });
		server.sql(`UPDATE hearth.uia_session SET completed = '{m.login.password}' WHERE id = '${session}'`);
		await alice.fails(403, "M_FORBIDDEN", "POST", `${V3}/delete_devices`, { devices: ["A", "B"], auth: { session } });
		assert.equal((await alice.ok("GET", `${V3}/devices`)).devices.length, 3);
	});

	test("a password that is right for somebody else", async () => {
		const alice = await register(server), mallory = await register(server);
		for (const [method, url, body] of [["POST", `${V3}/account/password`, { new_password: "x" }], ["POST", `${V3}/account/deactivate`, {}],
			["DELETE", `${V3}/devices/${alice.deviceId}`, {}], ["POST", `${V1}/login/get_token`, {}]]) {
			const r = await alice.request(method, url, { body: { ...body, auth: auth(mallory) } });
			assert.equal(`${r.status} ${r.body.errcode}`, "401 M_FORBIDDEN", url);
		}
		await alice.ok("GET", WHOAMI);
	});
});

describe("devices of others", () => {
	test("cannot be seen, renamed or deleted", async () => {
		const alice = await register(server), mallory = await register(server), at = `${V3}/devices/${alice.deviceId}`;
		await mallory.fails(404, "M_NOT_FOUND", "GET", at);
		await mallory.fails(404, "M_NOT_FOUND", "PUT", at, { display_name: "mine" });
		await mallory.request("DELETE", at, { body: { auth: auth(mallory) } });
		await mallory.ok("POST", `${V3}/delete_devices`, { devices: [alice.deviceId], auth: auth(mallory) });
		assert.deepEqual((await alice.ok("GET", `${V3}/devices`)).devices.map((d) => [d.device_id, d.display_name]), [[alice.deviceId, undefined]]);
	});

	test("the same device id at two users is two devices", async () => {
		const alice = await register(server, { device_id: "SAME" }), mallory = await register(server, { device_id: "SAME" });
		await mallory.ok("POST", `${V3}/logout`);
		await alice.ok("GET", WHOAMI);
	});

	test("a thousand devices: the list ends there, and log-ins go on", async () => {
		const alice = await register(server);
		server.sql(`INSERT INTO hearth.device (usr, device_id, created_ts, last_seen_ts) SELECT usr, 'd' || i, 0, i FROM hearth.account, generate_series(1, 1100) i WHERE localpart = '${alice.name}'`);
		const again = await login(server, alice.name, alice.password);
		const { devices } = await again.ok("GET", `${V3}/devices`);
		assert.equal(devices.length, 1000);
		await alice.ok("GET", WHOAMI);
		assert.equal(Object.keys((await again.ok("GET", `${V3}/admin/whois/${enc(alice.userId)}`)).devices).length, 1000);
		await again.ok("POST", `${V3}/keys/query`, { device_keys: { [alice.userId]: [] } });
	});
});

describe("secrets", () => {
	let own;
	before(async () => { own = await start({ HEARTH_LOG_LEVEL: "debug", HEARTH_GUESTS: "on" }); });
	after(() => own.stop());

	test("no token and no password stands in a log or, in clear, in the database", async () => {
		const me = new Client(own), password = `p${crypto.randomBytes(9).toString("hex")}`, secrets = [password, own.secret];
		const alice = await register(own, { password });
		const s = await me.ok("POST", `${V3}/login`, { type: "m.login.password", user: alice.name, password, refresh_token: true });
		const renewed = await me.ok("POST", `${V3}/refresh`, { refresh_token: s.refresh_token });
		const { login_token } = await alice.ok("POST", `${V1}/login/get_token`, { auth: auth(alice) });
		const openid = await alice.ok("POST", `${V3}/user/${enc(alice.userId)}/openid/request_token`, {});
		const guest = await me.ok("POST", `${V3}/register?kind=guest`, {});
		secrets.push(alice.token, s.access_token, s.refresh_token, renewed.access_token, renewed.refresh_token, login_token, openid.access_token, guest.access_token);
		for (const token of secrets) {
			const q = `access_token=${enc(token)}`;
			for (const url of [WHOAMI, `${V3}/sync`, `${V3}/nothing/here`, "/_matrix/federation/v1/openid/userinfo", `${V3}/rooms/%ff/state`]) {
				await me.request("GET", `${url}?${q}`);
				await me.request("GET", url, { token });
				await me.request("POST", `${url}?${q}`, { body: `{"access_token":"${token}"` });
			}
			await me.request("POST", `${V3}/login`, { body: { type: "m.login.token", token } });
			await me.request("POST", `${V3}/login`, { body: { type: "m.login.password", user: alice.name, password: token } });
			await me.request("POST", `${V3}/refresh`, { body: { refresh_token: token } });
			await me.request("POST", `${V3}/register`, { body: { username: unique(), guest_access_token: token, password: token, auth: { type: "m.login.dummy" } } });
		}
		// A transaction that PostgreSQL refuses with the token as a parameter.
		await me.request("GET", `${WHOAMI}?access_token=${"x".repeat(3000)}`);
		const tables = own.sql("SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'hearth' AND c.relkind = 'r'").split(" ");
		for (const table of tables) {
			const rows = own.sql(`SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM ${table} t`);
			for (const secret of secrets) assert.ok(!rows.includes(secret), `a secret stands in ${table}`);
		}
		await own.stop({ keep: true });
		const logs = fs.readdirSync(path.join(own.dir, "log")).map((f) => path.join(own.dir, "log", f)).concat(path.join(own.dir, "server.log"));
		assert.ok(logs.length >= 3, logs.join());
		for (const file of logs) {
			const text = fs.readFileSync(file, "utf8");
			for (const secret of secrets) assert.ok(!text.includes(secret), `a secret stands in ${file}`);
		}
	});
});

// The rows of fcgi/routes.c, and every name by which a handler takes something out of a body or a query.
function routes() {
	const text = fs.readFileSync(path.join(top, "fcgi/routes.c"), "utf8"), all = [];
	for (const m of text.matchAll(/^\t\{ (GET|PUT|POST|DEL), (C3 |C1 )?"([^"]+)",\s*(\w+),/gm)) {
		all.push({ method: m[1] === "DEL" ? "DELETE" : m[1], path: (m[2] === "C3 " ? V3 : m[2] === "C1 " ? V1 : "") + m[3], who: m[4] });
	}
	return all;
}
function names() {
	const body = new Set(), query = new Set();
	for (const dir of ["fcgi/client", "core/user", "core/room", "core/e2ee", "core/live", "core/push"].filter((d) => fs.existsSync(path.join(top, d)))) {
		for (const file of fs.readdirSync(path.join(top, dir)).filter((f) => f.endsWith(".c"))) {
			const text = fs.readFileSync(path.join(top, dir, file), "utf8");
			for (const m of text.matchAll(/\b(?:body_\w+|json_get\w*)\([^;"]*?"([^"\\]+)"/g)) body.add(m[1]);
			for (const m of text.matchAll(/\breq_query\w*\([^;"]*?"([^"\\]+)"/g)) query.add(m[1]);
		}
	}
	return { body: [...body], query: [...query].filter((n) => n !== "access_token") };
}

describe("nonsense at every endpoint", () => {
	// Which nonsense follows from the seed, so that a failure can be run again.
	const seed = process.env.SEED || crypto.randomBytes(4).toString("hex");
	let counter = 0;
	const dice = (n) => crypto.createHash("sha256").update(`${seed} ${counter++}`).digest().readUInt32BE(0) % n;
	const pick = (list) => list[dice(list.length)];
	const odd = () => pick([null, true, false, 0, -1, 1.5, 9007199254740991, -9007199254740991, "", "x", "\u0000", "\ud83d\ude00", "@a:localhost",
		"!a:localhost", "x".repeat(300), [], [1], [null], ["x"], [["x"]], [{}], {}, { a: 1 }, { type: 1 }, { "": null }, { "@a:localhost": { x: [] } }]);
	const value = (name) => {
		if (dice(3) === 0) return odd();
		if (/devices|keys|content|identifier|auth|messages|filter|signatures|rooms|data|receipts|creds/.test(name)) return pick([{}, { a: odd() }, { [pick(["type", "@a:localhost", "master", "*"])]: odd() }, [odd()]]);
		return pick(["x", "m.login.password", "@a:localhost", "!a:localhost", "ed25519:A", 1, true]);
	};
	const param = (name) => pick(["x", "m.room.message", "%F0%9F%98%80", "a%2Fb%3Fc", "..", "%22", "%5C", "x".repeat(300), "-1", "99999999999999999999",
		/user/i.test(name) ? "@a%3Alocalhost" : /room/i.test(name) ? "!a%3Alocalhost" : "0", "%ff", "%00"]);

	function check(r, what) {
		assert.ok(r.status < 500, `SEED=${seed}: ${what}: ${r.status} ${r.text.slice(0, 300)}`);
		if (r.status < 400 || /^text\/html/.test(r.headers["content-type"])) return;
		assert.match(r.headers["content-type"], /^application\/json/, `SEED=${seed}: ${what}`);
		assert.ok(r.body && (typeof r.body.errcode === "string" || (r.status === 401 && r.body.flows)), `SEED=${seed}: ${what}: ${r.status} ${r.text.slice(0, 300)}`);
	}

	test("gets an error of the specification's form, never a 5xx", async () => {
		const { body: fields, query } = names(), all = routes();
		assert.ok(all.length > 120 && fields.length > 60 && query.length > 10, `${all.length} routes, ${fields.length} fields, ${query.length} queries`);
		let me = await register(server);
		const raw = ["", "{", "[]", "null", "\"x\"", "7", "{\"a\":1,\"a\":2}", "{\"a\":\"\\ud800\"}", "{\"a\":1e999}", "{\"a\":12345678901234567890123}",
			`${"{\"a\":".repeat(500)}1${"}".repeat(500)}`, "\xff\xfe", "{\"a\":\"\u0000\"}", "a=b&c=d"];
		for (const route of all) {
			const own = { userId: enc(me.userId) };
			const jobs = [];
			const once = (body, { real = dice(2) === 0 } = {}) => {
				const url = route.path.replace(/\{(\w+)\}/g, (_, n) => (real && own[n]) || param(n));
				const q = query.filter(() => dice(4) === 0).map((n) => `${enc(n)}=${n === "timeout" ? pick(["0", "-1", "x"]) : pick(["x", "1", "-1", "b", "f", "%7B%7D", "%7B", "true", "%00", "%ff", "", "9".repeat(30), "%5B1%5D"])}`);
				const options = { token: me.token };
				if (route.method !== "GET") options.body = body;
				jobs.push(request(server, route.method, url + (q.length ? `?${q.join("&")}` : ""), options)
					.then((r) => check(r, `${route.method} ${url}?${q.join("&")} ${JSON.stringify(body)?.slice(0, 1500)}`)));
			};
			if (route.method !== "GET") for (const text of raw) once(text);
			for (let i = 0; i < 16; i++) once(Object.fromEntries(fields.map((n) => [n, value(n)])));
			// Few members: what is checked first does not hide the rest.
			for (let i = 0; i < 16 && route.method !== "GET"; i++) {
				const some = fields.filter(() => dice(8) === 0);
				once(Object.fromEntries(some.map((n) => [n, value(n)])));
			}
			await Promise.all(jobs);
			if ((await me.request("GET", WHOAMI)).status !== 200) me = await register(server);
		}
	});
});
