// Many at once, through nginx and all workers: whatever comes first, a room stays one line of events, and what each event did holds.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, login, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
const at = (room, rest = "") => `${V3}/rooms/${enc(room)}${rest}`;
let server, alice, bob, carol, dave;
before(async () => {
	server = await shared();
	[alice, bob, carol, dave] = await Promise.all([1, 2, 3, 4].map(() => register(server)));
});
// The line of events, state versions, counters, members: sql/functions/room_check.sql.
const sound = (room) => assert.equal(server.sql(`SELECT string_agg(fault, E'\\n') FROM hearth.room_check('${room}')`), "");
after(() => assert.equal(server.sql("SELECT string_agg(room || ': ' || fault, E'\\n') FROM hearth.room_check()"), "", "all rooms of this file"));

// Starts all at once. Answers "<status> <errcode>" of each; errcode "" for success.
const together = (calls) => Promise.all(calls.map(async ([who, method, path, body]) => {
	const r = await who.request(method, path, { body: body ?? {} });
	assert.ok(r.status < 500, `${method} ${path}: ${r.status} ${r.text}`);
	return `${r.status} ${r.body?.errcode ?? ""}`.trim();
}));
const count = (list, what) => list.filter((x) => x === what).length;
// All events of the room, oldest first.
async function history(who, room) {
	const all = [];
	for (let from = ""; ;) {
		const page = await who.ok("GET", at(room, `/messages?dir=f&limit=200${from}`));
		all.push(...page.chunk);
		if (!page.end || page.chunk.length === 0) return all;
		from = `&from=${page.end}`;
	}
}
const memberships = (events, user) => events.filter((e) => e.type === "m.room.member" && e.state_key === user).map((e) => e.content.membership);

describe("races", { concurrency: false }, () => {
	test("two invitations against a ban", async () => {
		for (let i = 0; i < 12; i++) {
			const room = await alice.createRoom({ preset: "private_chat", room_version: "11", power_level_content_override: { users: { [alice.userId]: 100, [bob.userId]: 50 } } });
			await alice.invite(room, bob.userId);
			await bob.join(room);
			const [ban, ...invites] = await together([
				[alice, "POST", at(room, "/ban"), { user_id: carol.userId }],
				[alice, "POST", at(room, "/invite"), { user_id: carol.userId }],
				[bob, "POST", at(room, "/invite"), { user_id: carol.userId }],
			]);
			assert.equal(ban, "200");
			for (const r of invites) assert.ok(r === "200" || r === "403 M_FORBIDDEN", r);
			const line = memberships(await history(alice, room), carol.userId);
			assert.equal(line.at(-1), "ban", "an invitation after the ban is refused, one before it is overruled");
			assert.equal(line.filter((m) => m === "invite").length, count(invites, "200"));
			await carol.fails(403, "M_FORBIDDEN", "POST", at(room, "/join"), {});
			sound(room);
		}
	});

	test("joins against a change of the join rule", async () => {
		const many = await Promise.all(Array.from({ length: 8 }, () => register(server)));
		for (let i = 0; i < 6; i++) {
			const room = await alice.createRoom({ preset: "public_chat" });
			const close = [alice, "PUT", at(room, "/state/m.room.join_rules/"), { join_rule: "invite" }];
			const joins = many.map((who) => [who, "POST", at(room, "/join")]);
			const [first, ...results] = await together(i % 2 ? [close, ...joins] : [joins[0], close, ...joins.slice(1)]);
			const all = [first, ...results];
			assert.equal(count(all, "200") + count(all, "403 M_FORBIDDEN"), all.length, all.join());
			const events = await history(alice, room);
			const closed = events.findLastIndex((e) => e.type === "m.room.join_rules");
			const came = events.map((e, n) => [e, n]).filter(([e]) => e.type === "m.room.member" && e.sender !== alice.userId);
			assert.equal(came.length, count(all, "200") - 1, "who was told so is in the room, nobody else");
			for (const [e, n] of came) assert.ok(n < closed, `${e.sender} came in after the door was closed`);
			assert.equal(server.sql(`SELECT joined FROM hearth.room WHERE id = '${room}'`), String(came.length + 1));
			sound(room);
		}
	});

	test("a hundred senders in one room", { timeout: 120000 }, async () => {
		const room = await alice.createRoom({ preset: "public_chat" });
		const senders = [];
		while (senders.length < 100) senders.push(...await Promise.all(Array.from({ length: 20 }, () => register(server))));
		await Promise.all(senders.map((who) => who.join(room)));
		await bob.join(room);
		const start = (await bob.sync({ filter: { room: { rooms: [room] } } })).next_batch;
		const ids = (await Promise.all(senders.map(async (who, i) =>
			[await who.send(room, `${i} one`), await who.send(room, `${i} two`)]))).flat();
		assert.equal(new Set(ids).size, 200);
		const events = (await history(alice, room)).filter((e) => e.type === "m.room.message");
		assert.deepEqual(events.map((e) => e.event_id).sort(), ids.slice().sort(), "each once, none lost");
		for (const who of senders) {	// what one sends one after the other stands so in the room
			const own = events.filter((e) => e.sender === who.userId).map((e) => e.content.body.split(" ")[1]);
			assert.deepEqual(own, ["one", "two"]);
		}
		assert.equal(server.sql(`SELECT count(DISTINCT hearth.event_cites(e) ->> 'depth') = count(*) FROM hearth.event e JOIN hearth.room r ON r.nid = e.room WHERE r.id = '${room}'`), "t");
		sound(room);
		// a client that syncs meanwhile or afterwards has them all, in the room's order
		let since = start, seen = [];
		for (;;) {
			const s = await bob.sync({ since, filter: { room: { rooms: [room], timeline: { limit: 100 } } } });
			const t = s.rooms?.join?.[room]?.timeline;
			since = s.next_batch;
			if (!t) break;
			const gap = t.limited ? (await bob.ok("GET", at(room, `/messages?dir=b&limit=500&from=${t.prev_batch}&to=${start}`))).chunk.reverse() : [];
			seen.push(...gap, ...t.events);
		}
		assert.deepEqual(seen.filter((e) => e.type === "m.room.message").map((e) => e.event_id), events.map((e) => e.event_id));
	});

	test("the same transaction id at once, many times over", async () => {
		const room = await alice.createRoom({ preset: "public_chat" });
		const other = await login(server, alice.name, alice.password);
		for (let i = 0; i < 10; i++) {
			const txn = unique("t"), path = at(room, `/send/m.room.message/${txn}`);
			const answers = await Promise.all(Array.from({ length: 6 }, () => alice.ok("PUT", path, { body: `b${i}` })));
			assert.equal(new Set(answers.map((a) => a.event_id)).size, 1);
			const { event_id: theirs } = await other.ok("PUT", path, { body: `b${i}` });
			assert.notEqual(theirs, answers[0].event_id, "another device's id is another one");
		}
		const target = await alice.send(room, "to be redacted"), txn = unique("t");
		const gone = await Promise.all(Array.from({ length: 4 }, () => alice.ok("PUT", at(room, `/redact/${enc(target)}/${txn}`), {})));
		assert.equal(new Set(gone.map((a) => a.event_id)).size, 1);
		const messages = (await history(alice, room)).filter((e) => e.type === "m.room.message");
		assert.equal(messages.length, 21);
		sound(room);
	});

	test("power levels that cross", async () => {
		for (let i = 0; i < 10; i++) {
			const room = await alice.createRoom({ preset: "public_chat", room_version: i % 2 ? "10" : "11" });
			for (const who of [bob, carol, dave]) await who.join(room);
			const levels = await alice.ok("GET", at(room, "/state/m.room.power_levels/"));
			const with_ = (users) => ({ ...levels, users: { [alice.userId]: 100, ...users } });
			await alice.setState(room, "m.room.power_levels", with_({ [bob.userId]: 100, [carol.userId]: 100 }));
			// each takes the other's power away, and a third acts with what he may lose at that moment
			const [a, b, c, d] = await together([
				[alice, "PUT", at(room, "/state/m.room.power_levels/"), with_({ [bob.userId]: 100, [carol.userId]: 100, [dave.userId]: 50 })],
				[bob, "PUT", at(room, "/state/m.room.power_levels/"), with_({ [bob.userId]: 0, [carol.userId]: 100 })],
				[bob, "PUT", at(room, "/state/m.room.topic/"), { topic: "by bob" }],
				[dave, "PUT", at(room, "/state/m.room.name/"), { name: "by dave" }],
			]);
			for (const r of [a, b, c, d]) assert.ok(r === "200" || r === "403 M_FORBIDDEN", r);
			// Judged again, one after the other, every event is allowed by what stood before it.
			const power = new Map([[alice.userId, 100]]);
			let users = { [alice.userId]: 100 };
			for (const e of await history(alice, room)) {
				if (e.type === "m.room.topic" || e.type === "m.room.name")
					assert.ok((users[e.sender] ?? 0) >= 50, `${e.type} of ${e.sender} with ${users[e.sender]}`);
				if (e.type === "m.room.power_levels") {
					assert.ok((users[e.sender] ?? 0) >= 100 || power.size === 0);
					users = e.content.users;
				}
			}
			sound(room);
		}
	});

	test("leaving, kicking and inviting one user at the same moment", async () => {
		const room = await alice.createRoom({ preset: "public_chat" });
		for (let i = 0; i < 12; i++) {
			await bob.join(room);
			const results = await together([
				[bob, "POST", at(room, "/leave")],
				[alice, "POST", at(room, "/kick"), { user_id: bob.userId }],
				[alice, "POST", at(room, "/invite"), { user_id: bob.userId }],
				[bob, "POST", at(room, "/join")],
			]);
			for (const r of results) assert.ok(/^(200|403 M_FORBIDDEN)$/.test(r), r);
			const now = memberships(await history(alice, room), bob.userId).at(-1);
			const told = (await bob.sync({ since: null, filter: { room: { rooms: [room], include_leave: true } } })).rooms ?? {};
			assert.ok(told[now === "invite" ? "invite" : now]?.[room], `${now}: ${Object.keys(told)}`);
		}
		sound(room);
	});

	test("one alias for three rooms", async () => {
		for (let i = 0; i < 8; i++) {
			const name = unique("a"), alias = `#${name}:${server.name}`;
			const rooms = await Promise.all([alice.createRoom({}), bob.createRoom({})]);
			const made = await together([
				[alice, "PUT", `${V3}/directory/room/${enc(alias)}`, { room_id: rooms[0] }],
				[bob, "PUT", `${V3}/directory/room/${enc(alias)}`, { room_id: rooms[1] }],
				[carol, "POST", `${V3}/createRoom`, { room_alias_name: name }],
			]);
			assert.equal(count(made, "200"), 1, made.join());
			const { room_id: winner } = await dave.ok("GET", `${V3}/directory/room/${enc(alias)}`);
			if (made[0] === "200") assert.equal(winner, rooms[0]);
			if (made[1] === "200") assert.equal(winner, rooms[1]);
		}
	});

	test("upgrades of one room at the same moment, while people talk in it", async () => {
		const room = await alice.createRoom({ preset: "public_chat", room_version: "10" });
		await bob.join(room);
		const results = await Promise.all([
			alice.request("POST", at(room, "/upgrade"), { body: { new_version: "11" } }),
			alice.request("POST", at(room, "/upgrade"), { body: { new_version: "12" } }),
			...Array.from({ length: 6 }, (_, i) => bob.request("PUT", at(room, `/send/m.room.message/${unique("t")}`), { body: { body: `${i}` } })),
		]);
		for (const r of results) assert.ok(r.status === 200 || r.status === 403, r.text);
		const tombstones = (await history(alice, room)).filter((e) => e.type === "m.room.tombstone");
		const made = results.slice(0, 2).filter((r) => r.status === 200).map((r) => r.body.replacement_room);
		assert.deepEqual(tombstones.map((e) => e.content.replacement_room).sort(), made.sort());
		for (const r of [room, ...made]) sound(r);
	});
});
