// The end of an account: by its user and by the administrator.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { request, waitFor, register, Client, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
const PATH = `${V3}/account/deactivate`;
let server, anyone;
before(async () => {
	server = await shared();
	anyone = new Client(server);
});

const auth = (user) => ({ type: "m.login.password", identifier: { type: "m.id.user", user: user.name }, password: user.password });
const membership = async (watcher, room, user) =>
	(await watcher.ok("GET", `${V3}/rooms/${enc(room)}/state/m.room.member/${enc(user.userId)}`)).membership;

async function gone(user) {
	await user.fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/account/whoami`);
	await anyone.fails(403, "M_USER_DEACTIVATED", "POST", `${V3}/login`, auth(user));
	await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, { ...auth(user), password: "not it" });
	await anyone.fails(400, "M_USER_IN_USE", "GET", `${V3}/register/available?username=${user.name}`);
	await anyone.fails(400, "M_USER_IN_USE", "POST", `${V3}/register`, { username: user.name, password: "x", auth: { type: "m.login.dummy" } });
}

describe("deactivation", () => {
	test("by the user: sessions end, rooms are left, invitations refused, the name stays taken", async () => {
		const alice = await register(server), bob = await register(server);
		const joined = await alice.createRoom({ preset: "public_chat" });
		await bob.join(joined);
		const invited = await alice.createRoom({ invite: [bob.userId] });
		assert.equal(await membership(alice, invited, bob), "invite");
		const asked = await bob.request("POST", PATH, { body: {} });
		assert.equal(asked.status, 401);
		assert.deepEqual(asked.body.flows, [{ stages: ["m.login.password"] }]);
		const wrong = await bob.request("POST", PATH, { body: { auth: { ...auth(bob), password: "no", session: asked.body.session } } });
		assert.equal(`${wrong.status} ${wrong.body.errcode}`, "401 M_FORBIDDEN");
		const other = await bob.request("POST", PATH, { body: { auth: auth(alice) } });
		assert.equal(`${other.status} ${other.body.errcode}`, "401 M_FORBIDDEN");
		await bob.ok("GET", `${V3}/account/whoami`);
		const r = await bob.ok("POST", PATH, { auth: { ...auth(bob), session: asked.body.session } });
		assert.deepEqual(r, { id_server_unbind_result: "success" });
		await gone(bob);
		await waitFor(async () => await membership(alice, joined, bob) === "leave", { what: "leaving" });
		await waitFor(async () => await membership(alice, invited, bob) === "leave", { what: "refusing" });
		await anyone.fails(404, "M_NOT_FOUND", "GET", `${V3}/profile/${enc(bob.userId)}`);
		await anyone.fails(404, "M_NOT_FOUND", "GET", `${V3}/profile/${enc(bob.userId)}/displayname`);
	});

	test("erase is remembered", async () => {
		const bob = await register(server);
		await bob.fails(400, "M_BAD_JSON", "POST", PATH, { erase: "yes", auth: auth(bob) });
		await bob.ok("POST", PATH, { erase: true, auth: auth(bob) });
		assert.equal(server.sql(`SELECT erased FROM hearth.account WHERE localpart = '${bob.name}'`), "t");
		assert.equal(server.sql(`SELECT count(*) FROM hearth.profile p JOIN hearth.account USING (usr) WHERE localpart = '${bob.name}'`), "0");
		await gone(bob);
	});

	test("without a token there is no way", async () => {
		await anyone.fails(401, "M_MISSING_TOKEN", "POST", PATH, {});
	});

	test("by the administrator", async () => {
		const alice = await register(server), bob = await register(server);
		const room = await alice.createRoom({ preset: "public_chat" });
		await bob.join(room);
		server.sql(`SELECT admin.deactivate('${bob.userId}')`);
		await gone(bob);
		await waitFor(async () => await membership(alice, room, bob) === "leave", { what: "leaving" });
		assert.throws(() => server.sql(`SELECT admin.deactivate('@${unique()}:${server.name}')`), /no such user/);
	});
});

describe("a user who wished to be forgotten", () => {
	test("is read as ever by who was there, redacted by who came later", async () => {
		const [gone, was, later] = await Promise.all([register(server), register(server), register(server)]);
		const room = await was.createRoom({ preset: "public_chat" });
		await gone.join(room);
		const id = await gone.send(room, "what I said");
		const r = await gone.request("POST", `${V3}/account/deactivate`, {
			body: { erase: true, auth: { type: "m.login.password", identifier: { type: "m.id.user", user: gone.name }, password: gone.password } } });
		assert.equal(r.status, 200, r.text);
		await later.join(room);
		const path = `${V3}/rooms/${enc(room)}`;
		const body = (e) => e.content.body;
		for (const [who, text] of [[was, "what I said"], [later, undefined]]) {
			assert.equal(body(await who.ok("GET", `${path}/event/${enc(id)}`)), text);
			assert.equal(body((await who.ok("GET", `${path}/messages?dir=b&limit=50`)).chunk.find((e) => e.event_id === id)), text);
			assert.equal(body((await who.ok("GET", `${path}/context/${enc(id)}`)).event), text);
			assert.equal(body((await who.sync({ since: null, filter: { room: { timeline: { limit: 50 } } } })).rooms.join[room].timeline.events
				.find((e) => e.event_id === id)), text);
		}
	});
});
