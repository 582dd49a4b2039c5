// Sessions: refresh tokens, tokens for a further log-in, OpenID.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { request, register, login, Client, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3", V1 = "/_matrix/client/v1", WHOAMI = `${V3}/account/whoami`;
let server, anyone;
before(async () => {
	server = await shared();
	anyone = new Client(server);
});

const byPassword = (who, session) => ({ type: "m.login.password", identifier: { type: "m.id.user", user: who.userId }, password: who.password, session });
const as = (token) => new Client(server, { token });

describe("refresh tokens", () => {
	let alice;
	before(async () => { alice = await register(server); });
	const enter = (more) => anyone.ok("POST", `${V3}/login`,
		{ type: "m.login.password", user: alice.name, password: alice.password, refresh_token: true, ...more });
	const refresh = (refresh_token) => anyone.ok("POST", `${V3}/refresh`, { refresh_token });
	const refused = async (soft, refresh_token) => {
		const r = await anyone.fails(401, "M_UNKNOWN_TOKEN", "POST", `${V3}/refresh`, { refresh_token });
		assert.equal(r.body.soft_logout, soft ? true : undefined);
	};

	// A request that waits with this token: it is answered long before its time is over.
	const waits = async (token) => {
		const { next_batch } = await as(token).ok("GET", `${V3}/sync`);
		const answer = as(token).request("GET", `${V3}/sync?timeout=60000&since=${next_batch}`, { timeout: 30000 });
		await new Promise((done) => setTimeout(done, 200));
		return { answer };
	};

	test("only for who asks: login, register", async () => {
		const plain = await login(server, alice.name, alice.password);
		assert.ok(plain.token);
		const without = await anyone.ok("POST", `${V3}/login`, { type: "m.login.password", user: alice.name, password: alice.password });
		assert.equal(without.refresh_token, undefined);
		assert.equal(without.expires_in_ms, undefined);
		const s = await enter();
		assert.equal(s.expires_in_ms, 300000);
		assert.ok(s.refresh_token && s.refresh_token !== s.access_token);
		const made = await anyone.ok("POST", `${V3}/register`, { username: unique(), auth: { type: "m.login.dummy" }, refresh_token: true });
		assert.ok(made.refresh_token);
		assert.equal(made.expires_in_ms, 300000);
		await anyone.fails(400, "M_BAD_JSON", "POST", `${V3}/login`, { type: "m.login.password", user: alice.name, password: alice.password, refresh_token: "yes" });
	});

	test("the new pair takes over when it is first used, the same device goes on", async () => {
		const one = await enter({ device_id: "R1" }), two = await refresh(one.refresh_token);
		assert.deepEqual(Object.keys(two).sort(), ["access_token", "expires_in_ms", "refresh_token"]);
		assert.equal((await as(one.access_token).ok("GET", WHOAMI)).device_id, "R1");
		const again = await refresh(one.refresh_token);		// the answer was lost
		assert.equal((await as(again.access_token).ok("GET", WHOAMI)).device_id, "R1");
		for (const token of [one.access_token, two.access_token]) {
			const r = await as(token).fails(401, "M_UNKNOWN_TOKEN", "GET", WHOAMI);
			assert.equal(r.body.soft_logout, true);
		}
		await refused(true, one.refresh_token);
		await refused(true, two.refresh_token);
		const three = await refresh(again.refresh_token);
		// A first use by a write, whose transaction begins anew behind it.
		const room = await as(three.access_token).createRoom();
		assert.match(room, /^!/);
		await refused(true, again.refresh_token);
	});

	test("a first use counts although the request is refused", async () => {
		const one = await enter(), two = await refresh(one.refresh_token);
		await as(two.access_token).fails(403, "M_FORBIDDEN", "GET", `${V3}/rooms/${enc("!nope:x")}/state`);
		await refused(true, one.refresh_token);
	});

	test("transaction ids survive a refresh", async () => {
		const one = await enter(), room = await as(one.access_token).createRoom();
		const id = await as(one.access_token).send(room, "x", "m.room.message", "T1");
		const two = await refresh(one.refresh_token);
		assert.equal(await as(two.access_token).send(room, "x", "m.room.message", "T1"), id);
	});

	test("a sync that waits outlives the refresh", async () => {
		const one = await enter(), c = as(one.access_token);
		await c.sync();
		const waiting = c.request("GET", `${V3}/sync?timeout=60000&since=${enc(c.since)}`, { timeout: 90000 });
		const two = await refresh(one.refresh_token);
		const room = await as(two.access_token).createRoom();
		const r = await waiting;
		assert.equal(r.status, 200, r.text);
		assert.ok(r.body.rooms.join[room]);
	});

	test("twenty at once: every answer is good until one is used", async () => {
		const one = await enter();
		const all = await Promise.all(Array.from({ length: 20 }, () => refresh(one.refresh_token)));
		const last = await refresh(one.refresh_token);
		await as(last.access_token).ok("GET", WHOAMI);
		for (const s of all) {
			assert.equal((await as(s.access_token).request("GET", WHOAMI)).status, 401);
			await refused(true, s.refresh_token);
		}
		await as(last.access_token).ok("GET", WHOAMI);
	});

	test("logout, a new log-in on the device, nonsense", async () => {
		const one = await enter({ device_id: "R2" });
		const waiting = await waits(one.access_token);
		const two = await enter({ device_id: "R2" });
		const told = await waiting.answer;
		assert.equal(`${told.status} ${told.body.errcode} ${told.body.soft_logout}`, "401 M_UNKNOWN_TOKEN undefined");
		await refused(false, one.refresh_token);
		await as(two.access_token).ok("POST", `${V3}/logout`);
		await refused(false, two.refresh_token);
		await refused(false, "nonsense");
		await anyone.fails(400, "M_MISSING_PARAM", "POST", `${V3}/refresh`, {});
		await anyone.fails(400, "M_BAD_JSON", "POST", `${V3}/refresh`, { refresh_token: 7 });
		await anyone.fails(404, "M_UNRECOGNIZED", "POST", "/_matrix/client/r0/refresh", { refresh_token: "x" });
	});

	test("an expired token is a soft logout; the device logs in again and keeps its keys", async () => {
		const one = await enter({ device_id: "R3" });
		server.sql(`UPDATE hearth.access_token SET expires_ts = 1 WHERE device = (SELECT nid FROM hearth.device WHERE device_id = 'R3' AND usr = (SELECT usr FROM hearth.account WHERE localpart = '${alice.name}'))`);
		const r = await as(one.access_token).fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/sync`);
		assert.equal(r.body.soft_logout, true);
		const two = await refresh(one.refresh_token);
		await as(two.access_token).ok("GET", WHOAMI);
		const three = await enter({ device_id: "R3" });
		assert.equal((await as(three.access_token).ok("GET", WHOAMI)).device_id, "R3");
		await refused(false, two.refresh_token);
	});

	test("a replay later on ends the tokens of the device, and no more", async () => {
		const one = await enter({ device_id: "R4" }), two = await refresh(one.refresh_token);
		await as(two.access_token).ok("GET", WHOAMI);
		server.sql("UPDATE hearth.refresh_token SET since_ts = since_ts - 120000");
		const waiting = await waits(two.access_token);
		await refused(true, one.refresh_token);
		const told = await waiting.answer;
		assert.equal(`${told.status} ${told.body.errcode} ${told.body.soft_logout}`, "401 M_UNKNOWN_TOKEN true");
		const r = await as(two.access_token).fails(401, "M_UNKNOWN_TOKEN", "GET", WHOAMI);
		assert.equal(r.body.soft_logout, true);
		await refused(true, two.refresh_token);
		await alice.ok("GET", `${V3}/devices/R4`);
		await as((await enter({ device_id: "R4" })).access_token).ok("GET", WHOAMI);
	});

	test("a changed password ends the others' refresh tokens too", async () => {
		const bob = await register(server);
		const s = await anyone.ok("POST", `${V3}/login`, { type: "m.login.password", user: bob.name, password: bob.password, refresh_token: true });
		await bob.ok("POST", `${V3}/account/password`, { new_password: "another one", auth: byPassword(bob) });
		await refused(false, s.refresh_token);
	});
});

describe("login tokens", () => {
	const path = `${V1}/login/get_token`;

	test("asked for by password each time, good once", async () => {
		const alice = await register(server);
		assert.deepEqual((await alice.ok("GET", `${V3}/capabilities`)).capabilities["m.get_login_token"], { enabled: true });
		assert.ok((await anyone.ok("GET", `${V3}/login`)).flows.some((f) => f.type === "m.login.token" && f.get_login_token === true));
		const asked = await alice.request("POST", path, { body: {} });
		assert.equal(asked.status, 401);
		assert.deepEqual(asked.body.flows, [{ stages: ["m.login.password"] }]);
		const wrong = await alice.request("POST", path, { body: { auth: { ...byPassword(alice, asked.body.session), password: "wrong" } } });
		assert.equal(`${wrong.status} ${wrong.body.errcode}`, "401 M_FORBIDDEN");
		const got = await alice.ok("POST", path, { auth: byPassword(alice, asked.body.session) });
		assert.equal(got.expires_in_ms, 120000);
		// What was authenticated once gives no second one.
		assert.equal((await alice.request("POST", path, { body: { auth: byPassword(alice, asked.body.session) } })).status, 401);
		assert.equal((await alice.request("POST", path, { body: { auth: { session: asked.body.session } } })).status, 401);
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, { type: "m.login.token", token: alice.token });
		await as(got.login_token).fails(401, "M_UNKNOWN_TOKEN", "GET", WHOAMI);
		const s = await anyone.ok("POST", `${V3}/login`, { type: "m.login.token", token: got.login_token, device_id: "PHONE", refresh_token: true });
		assert.equal(s.user_id, alice.userId);
		assert.equal(s.device_id, "PHONE");
		assert.ok(s.refresh_token);
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, { type: "m.login.token", token: got.login_token });
		await anyone.fails(400, "M_MISSING_PARAM", "POST", `${V3}/login`, { type: "m.login.token" });
		await anyone.fails(400, "M_BAD_JSON", "POST", `${V3}/login`, { type: "m.login.token", token: {} });
	});

	test("an old one; one shown ten times at once", async () => {
		const alice = await register(server);
		const get = async () => (await alice.ok("POST", path, { auth: byPassword(alice) })).login_token;
		const old = await get();
		server.sql("UPDATE hearth.login_token SET expires_ts = 1");
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, { type: "m.login.token", token: old });
		const token = await get();
		const all = await Promise.all(Array.from({ length: 10 }, () => request(server, "POST", `${V3}/login`, { body: { type: "m.login.token", token } })));
		assert.deepEqual(all.map((r) => r.status).sort(), [200, ...Array(9).fill(403)]);
	});
});

describe("OpenID", () => {
	const userinfo = "/_matrix/federation/v1/openid/userinfo";

	test("good at userinfo, and nowhere else", async () => {
		const alice = await register(server), bob = await register(server), path = `${V3}/user/${enc(alice.userId)}/openid/request_token`;
		const t = await alice.ok("POST", path, {});
		assert.deepEqual({ ...t, access_token: "" }, { access_token: "", expires_in: 3600, matrix_server_name: server.name, token_type: "Bearer" });
		assert.deepEqual(await anyone.ok("GET", `${userinfo}?access_token=${t.access_token}`), { sub: alice.userId });
		await as(t.access_token).fails(401, "M_UNKNOWN_TOKEN", "GET", WHOAMI);
		await as(t.access_token).fails(401, "M_UNKNOWN_TOKEN", "POST", path, {});
		await anyone.fails(401, "M_UNKNOWN_TOKEN", "GET", `${userinfo}?access_token=${alice.token}`);
		await anyone.fails(401, "M_UNKNOWN_TOKEN", "GET", `${userinfo}?access_token=an%2Finvalid`);
		await anyone.fails(401, "M_MISSING_TOKEN", "GET", userinfo);
		await bob.fails(403, "M_FORBIDDEN", "POST", path, {});
		await alice.ok("POST", `${V3}/logout`);
		await anyone.fails(401, "M_UNKNOWN_TOKEN", "GET", `${userinfo}?access_token=${t.access_token}`);
	});
});

// Workers remember tokens: what they remember must not outlive what is so, in none of them.
describe("tokens that every worker knows", () => {
	const TIMES = 16;
	const sends = (who, room, text) => Promise.all(Array.from({ length: TIMES }, () =>
		who.request("PUT", `${V3}/rooms/${enc(room)}/send/m.room.message/${unique()}`, { body: { msgtype: "m.text", body: text } })));
	const begin = async () => {
		const alice = await register(server);
		const { room_id } = await alice.ok("POST", `${V3}/createRoom`, {});
		for (const r of await sends(alice, room_id, "known")) assert.equal(r.status, 200);
		return { alice, room_id };
	};
	const none = async (alice, room, text) => {
		const again = await login(server, alice.name, alice.password);
		const { chunk } = await again.ok("GET", `${V3}/rooms/${enc(room)}/messages?dir=b&limit=100`);
		assert.equal(chunk.filter((e) => e.content.body === "known").length, TIMES);
		assert.equal(chunk.filter((e) => e.content.body === text).length, 0);
	};

	test("logged out: at once, whatever is asked", async () => {
		const { alice, room_id } = await begin();
		await alice.ok("POST", `${V3}/logout`, {});
		for (const r of await sends(alice, room_id, "late")) {
			assert.equal(r.status, 401);
			assert.equal(r.body.errcode, "M_UNKNOWN_TOKEN");
		}
		// Also where the request would be refused for something else.
		await alice.fails(401, "M_UNKNOWN_TOKEN", "PUT", `${V3}/rooms/!nowhere:x/send/m.room.message/1`, { body: "x" });
		await alice.fails(401, "M_UNKNOWN_TOKEN", "PUT", `${V3}/rooms/${enc(room_id)}/send/m.room.redaction/1`, {});
		await none(alice, room_id, "late");
	});

	test("locked and suspended by hand: at once, and again welcome at once", async () => {
		const { alice, room_id } = await begin();
		server.sql(`UPDATE hearth.account SET locked = true WHERE localpart = '${alice.name}'`);
		for (const r of await sends(alice, room_id, "late")) assert.equal(r.body.errcode, "M_USER_LOCKED");
		server.sql(`UPDATE hearth.account SET locked = false, suspended = true WHERE localpart = '${alice.name}'`);
		for (const r of await sends(alice, room_id, "late")) assert.equal(r.body.errcode, "M_USER_SUSPENDED");
		server.sql(`UPDATE hearth.account SET suspended = false WHERE localpart = '${alice.name}'`);
		await none(alice, room_id, "late");
		for (const r of await sends(alice, room_id, "late")) assert.equal(r.status, 200);
	});
});
