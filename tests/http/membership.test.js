// Membership beyond invitations: knocking, restricted rooms, what a client may say with a join.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
let server, alice, bob, carol;
before(async () => {
	server = await shared();
	[alice, bob, carol] = await Promise.all([register(server), register(server), register(server)]);
});
const at = (room, rest = "") => `${V3}/rooms/${enc(room)}${rest}`;
const rule = (content) => [{ type: "m.room.join_rules", content }];
const member = (room, who) => alice.ok("GET", at(room, `/state/m.room.member/${enc(who.userId)}`));
const sound = (room) => assert.equal(server.sql(`SELECT fault FROM hearth.room_check('${room}')`), "");

describe("knocking", () => {
	const knock = (who, room, body = {}) => who.ok("POST", `${V3}/knock/${enc(room)}`, body);

	test("is seen by both sides; is accepted, refused, taken back", async () => {
		const alias = unique("knock");
		const room = await alice.createRoom({ name: "K", room_alias_name: alias, initial_state: rule({ join_rule: "knock" }) });
		await bob.sync();
		assert.deepEqual(await knock(bob, `#${alias}:${server.name}`, { reason: "please" }), { room_id: room });
		await knock(bob, room, { reason: "please" });
		const told = await bob.syncUntil((s) => s.rooms?.knock?.[room]);
		assert.equal(told.knock_state.events.find((e) => e.type === "m.room.name").content.name, "K");
		const own = told.knock_state.events.filter((e) => e.type === "m.room.member");
		assert.deepEqual(own.map((e) => [e.state_key, e.content.membership, e.content.reason]), [[bob.userId, "knock", "please"]]);
		await bob.fails(403, "M_FORBIDDEN", "GET", at(room, "/state"));
		await bob.fails(403, "M_FORBIDDEN", "POST", at(room, "/join"), {});
		await bob.leave(room);
		assert.equal((await member(room, bob)).membership, "leave");
		await knock(bob, room);
		await alice.ok("POST", at(room, "/kick"), { user_id: bob.userId, reason: "no" });
		assert.deepEqual(await member(room, bob), { membership: "leave", reason: "no" });
		await knock(bob, room);
		await alice.invite(room, bob.userId);
		await bob.fails(403, "M_FORBIDDEN", "POST", `${V3}/knock/${enc(room)}`, {});
		await bob.join(room);
		await bob.fails(403, "M_FORBIDDEN", "POST", `${V3}/knock/${enc(room)}`, {});
		sound(room);
	});

	test("only where the rule and the room's version have it", async () => {
		const open = await alice.createRoom({ preset: "public_chat" });
		const old = await alice.createRoom({ room_version: "6", initial_state: rule({ join_rule: "knock" }) });
		const ban = await alice.createRoom({ initial_state: rule({ join_rule: "knock" }) });
		await alice.ok("POST", at(ban, "/ban"), { user_id: bob.userId });
		for (const room of [open, old, ban]) await bob.fails(403, "M_FORBIDDEN", "POST", `${V3}/knock/${enc(room)}`, {});
		await bob.fails(404, "M_NOT_FOUND", "POST", `${V3}/knock/${enc(`#none:${server.name}`)}`, {});
		await bob.fails(400, "M_BAD_JSON", "POST", `${V3}/knock/${enc(ban)}`, { reason: 1 });
		await bob.fails(404, "M_UNRECOGNIZED", "POST", `/_matrix/client/r0/knock/${enc(ban)}`, {});
	});
});

describe("invite permission", () => {
	const permit = (who, content) => who.ok("PUT", `${V3}/user/${enc(who.userId)}/account_data/m.invite_permission_config`, content);

	test("who blocks invitations gets none, and those that were there are not shown", async () => {
		const dan = await register(server);
		const [before, after] = await Promise.all([alice.createRoom({ name: "before" }), alice.createRoom({ name: "after" })]);
		await alice.invite(before, dan.userId);
		assert.ok((await dan.sync({ since: null })).rooms.invite[before]);
		await permit(dan, { default_action: "block" });
		await alice.fails(403, "M_INVITE_BLOCKED", "POST", at(after, "/invite"), { user_id: dan.userId });
		await alice.fails(403, "M_INVITE_BLOCKED", "PUT", at(after, `/state/m.room.member/${enc(dan.userId)}`), { membership: "invite" });
		await alice.fails(403, "M_INVITE_BLOCKED", "POST", `${V3}/createRoom`, { invite: [bob.userId, dan.userId] });
		assert.equal((await dan.sync({ since: null })).rooms?.invite, undefined);
		assert.equal((await alice.ok("GET", at(before, `/state/m.room.member/${enc(dan.userId)}`))).membership, "invite");
		await permit(dan, {});
		await alice.invite(after, dan.userId);
		assert.deepEqual(Object.keys((await dan.sync({ since: null })).rooms.invite).sort(), [before, after].sort());
	});

	test("invitations by someone ignored are not shown", async () => {
		const eve = await register(server), room = await bob.createRoom({});
		await eve.ok("PUT", `${V3}/user/${enc(eve.userId)}/account_data/m.ignored_user_list`, { ignored_users: { [bob.userId]: {} } });
		await eve.sync();
		await bob.invite(room, eve.userId);
		const open = await alice.createRoom({ invite: [eve.userId] });
		const s = await eve.syncUntil((x) => x.rooms?.invite);
		assert.deepEqual(Object.keys(s), [open]);
		assert.deepEqual(Object.keys((await eve.sync({ since: null })).rooms.invite), [open]);
	});
});

describe("restricted rooms", () => {
	for (const version of ["8", "9", "10", "11", "12"]) {
		test(`version ${version}: members of the named rooms come in, vouched for`, async () => {
			const parent = await alice.createRoom({ preset: "public_chat" });
			const room = await alice.createRoom({ room_version: version,
				initial_state: rule({ join_rule: "restricted", allow: [{ type: "m.room_membership", room_id: parent }, { type: "x" }, 7] }) });
			await bob.fails(403, "M_FORBIDDEN", "POST", at(room, "/join"), {});
			await bob.join(parent);
			await bob.ok("POST", at(room, "/join"), { join_authorised_via_users_server: "@evil:x" });
			const own = await member(room, bob);
			assert.equal(own.membership, "join");
			assert.equal(own.join_authorised_via_users_server, alice.userId);
			// Going on as a member needs no one, and what vouched is not copied.
			await bob.setState(room, "m.room.member", { membership: "join", displayname: "B", join_authorised_via_users_server: "@evil:x" }, bob.userId);
			assert.equal((await member(room, bob)).join_authorised_via_users_server, undefined);
			await alice.invite(room, carol.userId);
			await carol.join(room);
			assert.equal((await member(room, carol)).join_authorised_via_users_server, undefined, "invited");
			sound(room);
		});
	}

	test("nobody is left who may invite", async () => {
		const parent = await alice.createRoom({ preset: "public_chat" });
		const room = await alice.createRoom({ room_version: "11", power_level_content_override: { invite: 50 },
			initial_state: rule({ join_rule: "restricted", allow: [{ type: "m.room_membership", room_id: parent }] }) });
		await bob.join(parent);
		await carol.join(parent);
		await bob.ok("POST", at(room, "/join"), {});
		await alice.leave(room);
		await carol.fails(403, "M_FORBIDDEN", "POST", at(room, "/join"), {});
	});

	test("a member without a level of his own vouches where all may invite", async () => {
		const parent = await alice.createRoom({ preset: "public_chat" });
		const room = await alice.createRoom({ room_version: "11",
			initial_state: rule({ join_rule: "restricted", allow: [{ type: "m.room_membership", room_id: parent }] }) });
		await bob.join(parent);
		await carol.join(parent);
		await bob.ok("POST", at(room, "/join"), {});
		await alice.leave(room);
		await carol.setState(room, "m.room.member", { membership: "join" }, carol.userId);
		const own = await carol.ok("GET", at(room, `/state/m.room.member/${enc(carol.userId)}`));
		assert.equal(own.join_authorised_via_users_server, bob.userId);
	});

	for (const version of ["10", "11", "12"])
		test(`knock_restricted, version ${version}: in by membership, or by knocking`, async () => {
			const parent = await alice.createRoom({ preset: "public_chat" });
			const room = await alice.createRoom({ room_version: version,
				initial_state: rule({ join_rule: "knock_restricted", allow: [{ type: "m.room_membership", room_id: parent }] }) });
			await bob.fails(403, "M_FORBIDDEN", "POST", at(room, "/join"), {});
			await bob.ok("POST", `${V3}/knock/${enc(room)}`, {});
			assert.equal((await member(room, bob)).membership, "knock");
			await bob.fails(403, "M_FORBIDDEN", "POST", at(room, "/join"), {});
			await bob.join(parent);
			await bob.ok("POST", at(room, "/join"), {});
			const own = await member(room, bob);
			assert.equal(own.membership, "join");
			assert.equal(own.join_authorised_via_users_server, alice.userId);
			await carol.ok("POST", `${V3}/knock/${enc(room)}`, { reason: "please" });
			await alice.invite(room, carol.userId);
			await carol.ok("POST", at(room, "/join"), {});
			assert.equal((await member(room, carol)).join_authorised_via_users_server, undefined, "invited");
			sound(room);
		});

	test("knock_restricted lets nobody in where the room's version does not know it", async () => {
		const parent = await alice.createRoom({ preset: "public_chat" });
		const room = await alice.createRoom({ room_version: "9",
			initial_state: rule({ join_rule: "knock_restricted", allow: [{ type: "m.room_membership", room_id: parent }] }) });
		await bob.join(parent);
		await bob.fails(403, "M_FORBIDDEN", "POST", at(room, "/join"), {});
		await bob.fails(403, "M_FORBIDDEN", "POST", `${V3}/knock/${enc(room)}`, {});
	});
});

test("a join says what the client wants, but not for the server", async () => {
	const room = await alice.createRoom({ preset: "public_chat" });
	await bob.ok("POST", at(room, "/join"), { foo: "bar", reason: "r", membership: "ban", displayname: "Someone else", third_party_signed: {} });
	assert.deepEqual(await member(room, bob), { foo: "bar", reason: "r", membership: "join", displayname: bob.name });
	await bob.ok("POST", at(room, "/leave"), { foo: "bar", reason: "bye" });
	assert.deepEqual(await member(room, bob), { membership: "leave", reason: "bye" });
});
