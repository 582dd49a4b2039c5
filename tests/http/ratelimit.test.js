// Rate limits: 429 with when to come again, counted over all workers; administrators are exempt, and the setting turns it off.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const { start } = require("./lib/server.js");
const { request, register, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
let server;
before(async () => {
	server = await start({
		HEARTH_RATE_LIMITS: "on", HEARTH_RATE_WRITE_PER_S: "1", HEARTH_RATE_WRITE_BURST: "5", HEARTH_RATE_PASSWORD_BURST: "2",
		HEARTH_RATE_PASSWORD_PER_MIN: "1", HEARTH_RATE_LOGIN_BURST: "5", HEARTH_RATE_LOGIN_PER_MIN: "1",
	});
});
after(() => server.stop());

const send = (token, room, i) =>
	request(server, "PUT", `${V3}/rooms/${enc(room)}/send/m.room.message/${i}`, { token, body: { msgtype: "m.text", body: "x" } });

function refused(r) {
	assert.equal(`${r.status} ${r.body.errcode}`, "429 M_LIMIT_EXCEEDED", r.text);
	assert.ok(r.body.retry_after_ms > 0);
	assert.equal(Number(r.headers["retry-after"]), Math.ceil(r.body.retry_after_ms / 1000));
}

describe("rate limits", () => {
	test("sends of a user: a burst, then 429; others and administrators go on", async () => {
		const a = await register(server), b = await register(server);
		const room = (await request(server, "POST", `${V3}/createRoom`, { token: a.token, body: { preset: "public_chat" } })).body.room_id;
		assert.equal((await request(server, "POST", `${V3}/rooms/${enc(room)}/join`, { token: b.token, body: {} })).status, 200);
		const all = await Promise.all([...Array(12).keys()].map((i) => send(a.token, room, i)));
		const late = all.filter((r) => r.status === 429);
		assert.ok(all.some((r) => r.status === 200) && late.length >= 5, `${late.length} refused`);
		late.forEach(refused);
		assert.equal((await send(b.token, room, "b")).status, 200);
		assert.equal((await request(server, "GET", `${V3}/joined_rooms`, { token: a.token })).status, 200);
		server.sql(`UPDATE hearth.account SET admin = true WHERE localpart = '${a.userId.slice(1).split(":")[0]}'`);
		const free = await Promise.all([...Array(12).keys()].map((i) => send(a.token, room, `admin${i}`)));
		assert.deepEqual(free.map((r) => r.status), Array(12).fill(200));
	});

	test("guessed passwords, then log-ins from one address", async () => {
		const name = unique();
		const login = (user, password) => request(server, "POST", `${V3}/login`,
			{ body: { type: "m.login.password", identifier: { type: "m.id.user", user }, password } });
		assert.equal((await login(name, "x")).status, 403);
		assert.equal((await login(name, "x")).status, 403);
		refused(await login(name, "x"));
		assert.equal((await login(unique(), "x")).status, 403);
		assert.equal((await login(unique(), "x")).status, 403);
		refused(await login(unique(), "x"));
		assert.equal((await request(server, "GET", `${V3}/login`)).status, 200);
	});
});
