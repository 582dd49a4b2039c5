// The published room directory and room summaries: order, paging, search, who may know of a room.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { request, register, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3", V1 = "/_matrix/client/v1";
let server, alice, bob, carol;
before(async () => {
	server = await shared();
	[alice, bob, carol] = await Promise.all([register(server), register(server), register(server)]);
});
const ids = (answer) => answer.chunk.map((r) => r.room_id);

describe("public rooms", () => {
	test("what is told of a room; search; room types", async () => {
		const name = unique("Dir"), alias = unique("dir");
		const room = await alice.createRoom({ visibility: "public", name, topic: "All Things", room_alias_name: alias });
		const space = await alice.createRoom({ visibility: "public", name: `${name} space`, creation_content: { type: "m.space" } });
		const hidden = await alice.createRoom({ preset: "public_chat", name: `${name} hidden` });
		await bob.join(room);
		const search = (filter) => bob.ok("POST", `${V3}/publicRooms`, { filter });
		const found = await search({ generic_search_term: name.toUpperCase() });
		assert.deepEqual(ids(found), [room, space], "most members first");
		assert.ok(!ids(found).includes(hidden));
		assert.deepEqual(found.chunk[0], {
			room_id: room, name, topic: "All Things", canonical_alias: `#${alias}:${server.name}`, num_joined_members: 2,
			guest_can_join: false, world_readable: false, join_rule: "public",
		});
		assert.equal(found.chunk[1].room_type, "m.space");
		assert.deepEqual(ids(await search({ generic_search_term: name, room_types: ["m.space"] })), [space]);
		assert.deepEqual(ids(await search({ generic_search_term: name, room_types: [null] })), [room]);
		assert.deepEqual(ids(await search({ generic_search_term: name, room_types: [null, "m.space"] })), [room, space]);
		assert.deepEqual(ids(await search({ generic_search_term: alias })), [room]);
		await alice.ok("PUT", `${V3}/directory/list/room/${enc(room)}`, { visibility: "private" });
		assert.deepEqual(ids(await search({ generic_search_term: name })), [space]);
		await alice.leave(space);
		assert.deepEqual(ids(await search({ generic_search_term: name })), [], "nobody is in it");
	});

	test("pages forth and back give every room once", async () => {
		const rooms = [];
		for (let i = 0; i < 5; i++) rooms.push(await carol.createRoom({ visibility: "public" }));
		const seen = [], pages = [];
		for (let since = ""; since !== undefined;) {
			const page = (await request(server, "GET", `${V3}/publicRooms?limit=2${since && `&since=${since}`}`)).body;
			assert.ok(page.chunk.length <= 2);
			assert.equal(page.prev_batch === undefined, since === "");
			assert.ok(page.total_room_count_estimate >= 5);
			seen.push(...ids(page));
			pages.push(page);
			since = page.next_batch;
		}
		assert.equal(new Set(seen).size, seen.length);
		for (const r of rooms) assert.ok(seen.includes(r));
		const back = (await request(server, "GET", `${V3}/publicRooms?limit=2&since=${pages[1].prev_batch}`)).body;
		assert.deepEqual(ids(back), ids(pages[0]));
		assert.equal(back.prev_batch, undefined);
		assert.deepEqual(ids((await request(server, "GET", `${V3}/publicRooms?limit=2&since=${back.next_batch}`)).body), ids(pages[1]));
	});

	test("bad requests", async () => {
		const get = async (query) => { const r = await request(server, "GET", `${V3}/publicRooms?${query}`); return [r.status, r.body.errcode]; };
		for (const since of ["x", "d", "d1", "d1_", "d-1_2", "d1_2x", "d99999999999999999999_1", "d1_99999999999999999999"])
			assert.deepEqual(await get(`since=${since}`), [400, "M_INVALID_PARAM"], since);
		assert.deepEqual(await get("limit=-1"), [400, "M_INVALID_PARAM"]);
		assert.deepEqual(await get("server=other.example"), [404, "M_NOT_FOUND"]);
		assert.deepEqual(await get(`server=${server.name}&limit=1`), [200, undefined]);
		assert.equal((await request(server, "POST", `${V3}/publicRooms`, { body: {} })).body.errcode, "M_MISSING_TOKEN");
		await bob.fails(400, "M_BAD_JSON", "POST", `${V3}/publicRooms`, { filter: { generic_search_term: 1 } });
		await bob.fails(400, "M_BAD_JSON", "POST", `${V3}/publicRooms`, { filter: { room_types: [1] } });
	});
});

describe("room summary", () => {
	const path = (room) => `${V1}/room_summary/${enc(room)}`;

	test("of rooms open to all, also by alias, without a token, and under the older name", async () => {
		const alias = unique("sum");
		const room = await alice.createRoom({ preset: "public_chat", room_version: "10", name: "S", room_alias_name: alias,
			initial_state: [{ type: "m.room.encryption", content: { algorithm: "m.megolm.v1.aes-sha2" } }] });
		const told = await bob.ok("GET", path(`#${alias}:${server.name}`));
		assert.equal(told.room_id, room);
		assert.equal(told.room_version, "10");
		assert.equal(told.encryption, "m.megolm.v1.aes-sha2");
		assert.equal(told.membership, "leave");
		assert.equal((await alice.ok("GET", `/_matrix/client/unstable/im.nheko.summary/rooms/${enc(room)}/summary`)).membership, "join");
		const anyone = await request(server, "GET", path(room));
		assert.equal(anyone.body.name, "S");
		assert.equal(anyone.body.membership, undefined);
	});

	test("of private rooms only for those who are asked in", async () => {
		const room = await alice.createRoom({ name: "P" });
		await bob.fails(404, "M_NOT_FOUND", "GET", path(room));
		assert.equal((await request(server, "GET", path(room))).status, 404);
		await alice.invite(room, bob.userId);
		assert.equal((await bob.ok("GET", path(room))).membership, "invite");
		await bob.fails(404, "M_NOT_FOUND", "GET", path("!none:x"));
		await bob.fails(400, "M_INVALID_PARAM", "GET", path("nonsense"));
		await alice.ok("POST", `${V3}/rooms/${enc(room)}/ban`, { user_id: bob.userId });
		await bob.fails(404, "M_NOT_FOUND", "GET", path(room));
	});

	test("of restricted rooms for members of the rooms that they name", async () => {
		const parent = await alice.createRoom({ preset: "public_chat" });
		const room = await alice.createRoom({ initial_state: [{ type: "m.room.join_rules",
			content: { join_rule: "restricted", allow: [{ type: "m.room_membership", room_id: parent }] } }] });
		await bob.fails(404, "M_NOT_FOUND", "GET", path(room));
		await bob.join(parent);
		assert.deepEqual((await bob.ok("GET", path(room))).allowed_room_ids, [parent]);
	});
});
