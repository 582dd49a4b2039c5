// Room upgrades: what goes along, what stays behind, in every version.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { request, register, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
let server, alice, bob, carol;
before(async () => {
	server = await shared();
	[alice, bob, carol] = await Promise.all([register(server), register(server), register(server)]);
});
const at = (room, rest = "") => `${V3}/rooms/${enc(room)}${rest}`;
const state = (who, room, type, key = "") => who.ok("GET", at(room, `/state/${type}/${enc(key)}`));
const upgrade = async (who, room, version, more = {}) => (await who.ok("POST", at(room, "/upgrade"), { new_version: version, ...more })).replacement_room;
const sound = (room) => assert.equal(server.sql(`SELECT fault FROM hearth.room_check('${room}')`), "");

describe("upgrade", () => {
	for (let v = 1; v <= 12; v++) {
		test(`from version ${v} to 12 and to ${v}`, async () => {
			for (const to of ["12", `${v}`]) {
				const room = await alice.createRoom({ room_version: `${v}`, preset: "public_chat", name: `from ${v}` });
				await bob.join(room);
				const next = await upgrade(alice, room, to);
				assert.notEqual(next, room);
				const create = await state(alice, next, "m.room.create");
				assert.equal(create.room_version, to);
				assert.equal(create.predecessor.room_id, room);
				assert.equal((await state(alice, room, "m.room.tombstone")).replacement_room, next);
				if (to !== "12") {
					const tomb = (await alice.ok("GET", at(room, "/state"))).find((e) => e.type === "m.room.tombstone");
					assert.equal(create.predecessor.event_id, tomb.event_id);
				}
				assert.equal((await state(alice, next, "m.room.name")).name, `from ${v}`);
				const members = (await alice.ok("GET", at(next, "/members"))).chunk;
				assert.deepEqual(members.map((e) => e.state_key), [alice.userId]);
				assert.equal(members[0].content.displayname, alice.name);
				await bob.join(next);
				await bob.send(next, "still a conversation");
				sound(next);
				sound(room);
				await bob.fails(403, "M_FORBIDDEN", "PUT", at(room, `/send/m.room.message/${unique("t")}`), { body: "too late" });
			}
		});
	}

	test("settings, levels, bans, aliases, the directory", async () => {
		const alias = unique("up"), full = `#${alias}:${server.name}`, second = `#${unique("up")}:${server.name}`;
		const room = await alice.createRoom({ room_version: "10", visibility: "public", name: "N", topic: "T", room_alias_name: alias,
			creation_content: { type: "org.example", "m.federate": false, own: 1 }, power_level_content_override: { users_default: 60 },
			initial_state: [{ type: "m.room.server_acl", content: { allow: ["*"] } }, { type: "m.room.encryption", content: { algorithm: "x" } },
				{ type: "org.own", content: { a: 1 } }, { type: "m.room.avatar", content: { url: "mxc://a/b" } }] });
		await alice.ok("PUT", `${V3}/directory/room/${enc(second)}`, { room_id: room });
		await alice.setState(room, "m.room.canonical_alias", { alias: full, alt_aliases: [second] });
		await alice.ok("POST", at(room, "/ban"), { user_id: bob.userId, reason: "spam" });
		const levels = await state(alice, room, "m.room.power_levels");
		const next = await upgrade(alice, room, "11");
		const create = await state(alice, next, "m.room.create");
		assert.equal(create.type, "org.example");
		assert.equal(create["m.federate"], false);
		assert.equal(create.own, undefined);
		assert.equal(create.creator, undefined);
		for (const type of ["m.room.name", "m.room.topic", "m.room.avatar", "m.room.server_acl", "m.room.encryption", "m.room.join_rules", "m.room.guest_access", "m.room.history_visibility"])
			assert.deepEqual(await state(alice, next, type), await state(alice, room, type), type);
		await alice.fails(404, "M_NOT_FOUND", "GET", at(next, "/state/org.own/"));
		assert.deepEqual(await state(alice, next, "m.room.power_levels"), levels);
		assert.deepEqual(await state(alice, next, "m.room.member", bob.userId), { membership: "ban", reason: "spam" });
		assert.deepEqual(await state(alice, next, "m.room.canonical_alias"), { alias: full, alt_aliases: [second] });
		assert.deepEqual(await state(alice, room, "m.room.canonical_alias"), {});
		for (const a of [full, second]) assert.equal((await alice.ok("GET", `${V3}/directory/room/${enc(a)}`)).room_id, next);
		const listed = async (r) => (await request(server, "GET", `${V3}/directory/list/room/${enc(r)}`)).body.visibility;
		assert.equal(await listed(next), "public");
		assert.equal(await listed(room), "private");
		const after = await state(alice, room, "m.room.power_levels");
		assert.equal(after.events_default, 61);
		assert.equal(after.invite, 61);
		await bob.fails(403, "M_FORBIDDEN", "POST", at(next, "/join"), {});
	});

	test("by someone with little power: he has in the new room what he had in the old one", async () => {
		const room = await alice.createRoom({ room_version: "10", preset: "public_chat" });
		await bob.join(room);
		const levels = await state(alice, room, "m.room.power_levels");
		levels.users[bob.userId] = 50;
		levels.events["m.room.tombstone"] = 50;
		await alice.setState(room, "m.room.power_levels", levels);
		await carol.fails(403, "M_FORBIDDEN", "POST", at(room, "/upgrade"), { new_version: "11" });
		const next = await upgrade(bob, room, "11");
		assert.deepEqual(await state(bob, next, "m.room.power_levels"), levels);
		assert.deepEqual(await state(bob, room, "m.room.power_levels"), levels, "not his to set");
		sound(next);
	});

	test("creators: of version 12, into it and out of it", async () => {
		const room = await alice.createRoom({ room_version: "11", power_level_content_override: { users: { [alice.userId]: 100, [bob.userId]: 100, [carol.userId]: 40 } } });
		const next = await upgrade(alice, room, "12", { additional_creators: [bob.userId] });
		assert.deepEqual((await state(alice, next, "m.room.create")).additional_creators, [bob.userId]);
		const levels = await state(alice, next, "m.room.power_levels");
		assert.deepEqual(levels.users, { [carol.userId]: 40 });
		assert.equal(levels.events["m.room.tombstone"], 150);
		const again = await upgrade(alice, next, "12");
		assert.equal((await state(alice, again, "m.room.create")).additional_creators, undefined, "not by itself");
		const back = await upgrade(alice, next, "11", { additional_creators: [bob.userId] });
		assert.deepEqual((await state(alice, back, "m.room.power_levels")).users, { [alice.userId]: 100, [bob.userId]: 100, [carol.userId]: 40 });
		assert.equal((await state(alice, back, "m.room.create")).additional_creators, undefined);
		await alice.fails(400, "M_INVALID_PARAM", "POST", at(next, "/upgrade"), { new_version: "12", additional_creators: ["x"] });
		await alice.fails(400, "M_BAD_JSON", "POST", at(next, "/upgrade"), { new_version: "12", additional_creators: [1] });
	});

	test("a space keeps its children", async () => {
		const child = await alice.createRoom({});
		const space = await alice.createRoom({ creation_content: { type: "m.space" } });
		await alice.setState(space, "m.space.child", { via: [server.name], order: "a" }, child);
		await alice.setState(space, "m.space.child", {}, "!gone:x");
		const next = await upgrade(alice, space, "12");
		const children = (await alice.ok("GET", at(next, "/state"))).filter((e) => e.type === "m.space.child");
		assert.deepEqual(children.map((e) => [e.state_key, e.content]), [[child, { via: [server.name], order: "a" }]]);
	});

	test("tags and direct chats go along with who goes along", async () => {
		const dora = await register(server);
		const room = await alice.createRoom({ preset: "public_chat" });
		await dora.join(room);
		const data = (who, rest) => `${V3}/user/${enc(who.userId)}/${rest}`;
		for (const who of [alice, dora]) {
			await who.ok("PUT", data(who, `rooms/${enc(room)}/account_data/m.tag`), { tags: { "u.work": { order: 0.5 } } });
			await who.ok("PUT", data(who, "account_data/m.direct"), { "@someone:x": [room], "@other:x": ["!z:x"] });
		}
		const next = await upgrade(alice, room, "12");
		await dora.join(next);
		for (const who of [alice, dora]) {
			assert.deepEqual(await who.ok("GET", data(who, `rooms/${enc(next)}/account_data/m.tag`)), { tags: { "u.work": { order: 0.5 } } });
			assert.deepEqual(await who.ok("GET", data(who, "account_data/m.direct")), { "@someone:x": [room, next], "@other:x": ["!z:x"] });
		}
	});

	test("refused", async () => {
		const room = await alice.createRoom({ preset: "public_chat" });
		const fails = (status, code, body, r = room, who = alice) => who.fails(status, code, "POST", at(r, "/upgrade"), body);
		await fails(400, "M_UNSUPPORTED_ROOM_VERSION", { new_version: "my_bad_version" });
		await fails(400, "M_MISSING_PARAM", {});
		await fails(400, "M_BAD_JSON", { new_version: 12 });
		await fails(404, "M_NOT_FOUND", { new_version: "11" }, "!fail:unknown");
		await fails(403, "M_FORBIDDEN", { new_version: "11" }, room, bob);
		await bob.join(room);
		await fails(403, "M_FORBIDDEN", { new_version: "11" }, room, bob);
		await alice.fails(400, "M_INVALID_PARAM", "PUT", at(room, "/state/m.room.tombstone/"), { replacement_room: room });
		assert.equal(await state(alice, room, "m.room.tombstone").then(() => "there", () => "none"), "none");
	});
});
