// Finding events: by the clock, around an event; who may.
"use strict";
const { test, before } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3", V1 = "/_matrix/client/v1";
let server, alice, bob;
before(async () => {
	server = await shared();
	[alice, bob] = await Promise.all([register(server), register(server)]);
});
const at = (room, rest = "") => `${V3}/rooms/${enc(room)}${rest}`;

test("timestamp_to_event: the closest that one may see, in both directions", async () => {
	const room = await alice.createRoom({ preset: "public_chat", initial_state: [{ type: "m.room.history_visibility", content: { history_visibility: "joined" } }] });
	const first = await alice.send(room, "hidden");
	await bob.join(room);
	const path = (query) => `${V1}/rooms/${enc(room)}/timestamp_to_event?${query}`;
	const find = (who, ts, dir) => who.ok("GET", path(`ts=${ts}&dir=${dir}`));
	const ts = async (id) => (await alice.ok("GET", at(room, `/event/${enc(id)}`))).origin_server_ts;
	const ids = [];
	for (let i = 0; i < 3; i++) ids.push(await alice.send(room, `${i}`));
	const last = ids[2];
	assert.deepEqual(await find(bob, Number.MAX_SAFE_INTEGER, "b"), { event_id: last, origin_server_ts: await ts(last) });
	const create = (await alice.ok("GET", at(room, "/state"))).find((e) => e.type === "m.room.create");
	assert.equal((await find(alice, 0, "f")).event_id, create.event_id);
	const seen = (await find(bob, await ts(first), "f")).event_id;
	assert.ok(![create.event_id, first].includes(seen));
	await bob.ok("GET", at(room, `/event/${enc(seen)}`));
	await bob.fails(404, "M_NOT_FOUND", "GET", path("ts=0&dir=b"));
	await bob.fails(404, "M_NOT_FOUND", "GET", path(`ts=${Number.MAX_SAFE_INTEGER}&dir=f`));
	await bob.fails(400, "M_MISSING_PARAM", "GET", path("ts=0"));
	await bob.fails(400, "M_MISSING_PARAM", "GET", path("dir=f"));
	await bob.fails(400, "M_INVALID_PARAM", "GET", path("dir=x&ts=0"));
	await bob.fails(400, "M_INVALID_PARAM", "GET", path("dir=f&ts=x"));
	await (await register(server)).fails(403, "M_FORBIDDEN", "GET", path("ts=0&dir=f"));
});

test("a room that is not one's own: its events are not found, their contexts forbidden", async () => {
	const room = await alice.createRoom({});
	const id = await alice.send(room, "x");
	await bob.fails(404, "M_NOT_FOUND", "GET", at(room, `/event/${enc(id)}`));
	await bob.fails(403, "M_FORBIDDEN", "GET", at(room, `/context/${enc(id)}`));
	await alice.fails(404, "M_NOT_FOUND", "GET", at(room, "/context/$none"));
});

test("a deleted alias leaves the room's state, where its user may change that", async () => {
	const one = `#${unique("one")}:${server.name}`, two = `#${unique("two")}:${server.name}`;
	const room = await alice.createRoom({ preset: "public_chat" });
	await bob.join(room);
	await alice.ok("PUT", `${V3}/directory/room/${enc(one)}`, { room_id: room });
	await bob.ok("PUT", `${V3}/directory/room/${enc(two)}`, { room_id: room });
	const set = () => alice.ok("GET", at(room, "/state/m.room.canonical_alias/"));
	await alice.setState(room, "m.room.canonical_alias", { alias: one, alt_aliases: [two, one] });
	await bob.fails(403, "M_FORBIDDEN", "DELETE", `${V3}/directory/room/${enc(one)}`);
	await bob.ok("DELETE", `${V3}/directory/room/${enc(two)}`);
	assert.deepEqual(await set(), { alias: one, alt_aliases: [two, one] }, "not bob's to change");
	await alice.ok("DELETE", `${V3}/directory/room/${enc(one)}`);
	assert.deepEqual(await set(), { alt_aliases: [two] });
	await alice.fails(404, "M_NOT_FOUND", "DELETE", `${V3}/directory/room/${enc(one)}`);
	assert.equal(server.sql(`SELECT fault FROM hearth.room_check('${room}')`), "");
});

test("the old view of one room", async () => {
	const room = await alice.createRoom({ preset: "public_chat" });
	const ids = [await alice.send(room, "1"), await alice.send(room, "2")];
	await alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/rooms/${enc(room)}/account_data/own`, { a: 1 });
	const all = await alice.ok("GET", at(room, "/initialSync?limit=2"));
	assert.deepEqual(all.messages.chunk.map((e) => e.event_id), ids);
	assert.equal(all.membership, "join");
	assert.equal(all.visibility, "private");
	assert.deepEqual(all.account_data, [{ type: "own", content: { a: 1 } }]);
	assert.ok(all.state.some((e) => e.type === "m.room.create"));
	const older = await alice.ok("GET", at(room, `/messages?dir=b&limit=1&from=${all.messages.start}`));
	assert.ok(!ids.includes(older.chunk[0].event_id));
	await bob.fails(403, "M_FORBIDDEN", "GET", at(room, "/initialSync"));
	await alice.invite(room, bob.userId);
	await bob.fails(403, "M_FORBIDDEN", "GET", at(room, "/initialSync"));
	await bob.join(room);
	await bob.leave(room);
	await alice.send(room, "after");
	assert.equal((await bob.ok("GET", at(room, "/initialSync?limit=1"))).messages.chunk[0].state_key, bob.userId);
});
