// What only clients of the first years ask: GET /initialSync, /rooms/{roomId}/initialSync, /events/{eventId}, and how /events goes on from there.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
let server, alice, bob;
before(async () => {
	server = await shared();
	[alice, bob] = await Promise.all([register(server), register(server)]);
});
const at = (room, rest = "") => `${V3}/rooms/${enc(room)}${rest}`;

describe("initialSync", () => {
	test("tells rooms, invitations, account data, presence, receipts; /events goes on from its end", async () => {
		const room = await alice.createRoom({ preset: "public_chat", visibility: "public", name: "N" });
		const invited = await alice.createRoom({ invite: [bob.userId], name: "invited" });
		const left = await alice.createRoom({ preset: "public_chat" });
		await bob.join(room);
		await bob.join(left);
		await bob.leave(left);
		for (let i = 1; i <= 4; i++) await alice.send(room, `m${i}`);
		const last = await alice.send(room, "m5");
		await bob.ok("POST", at(room, `/receipt/m.read/${enc(last)}`), {});
		await bob.ok("PUT", `${V3}/user/${enc(bob.userId)}/account_data/x.y`, { a: 1 });
		await bob.ok("PUT", `${V3}/user/${enc(bob.userId)}/rooms/${enc(room)}/tags/u.t`, { order: 0.5 });
		await alice.setState(room, "m.room.topic", { topic: "T" });
		const s = await bob.ok("GET", `${V3}/initialSync?limit=3`);
		assert.deepEqual(Object.keys(s).sort(), ["account_data", "end", "presence", "receipts", "rooms"]);
		assert.ok(Array.isArray(s.presence));
		assert.ok(s.account_data.some((e) => e.type === "x.y" && e.content.a === 1));
		assert.ok(s.account_data.some((e) => e.type === "m.push_rules"));
		const by = Object.fromEntries(s.rooms.map((r) => [r.room_id, r]));
		assert.deepEqual(Object.keys(by).sort(), [room, invited].sort(), "not the room left");
		const r = by[room];
		assert.equal(r.membership, "join");
		assert.equal(r.visibility, "public");
		assert.deepEqual(r.account_data, [{ type: "m.tag", content: { tags: { "u.t": { order: 0.5 } } } }]);
		assert.deepEqual(r.messages.chunk.map((e) => e.content.body ?? e.type), ["m4", "m5", "m.room.topic"], "oldest first");
		assert.ok(r.messages.chunk.every((e) => e.room_id === room && e.event_id && e.unsigned.age >= 0));
		assert.ok(r.state.some((e) => e.type === "m.room.topic" && e.content.topic === "T"), "the state is that of now");
		assert.equal(r.state.filter((e) => e.type === "m.room.member").length, 2);
		const older = await bob.ok("GET", at(room, `/messages?dir=b&limit=2&from=${r.messages.start}`));
		assert.deepEqual(older.chunk.map((e) => e.content.body), ["m3", "m2"]);
		assert.equal(by[invited].membership, "invite");
		assert.equal(by[invited].invite.state_key, bob.userId);
		assert.equal(by[invited].invite.sender, alice.userId);
		assert.deepEqual(s.receipts.map((e) => [e.room_id, e.type, Object.keys(e.content)]), [[room, "m.receipt", [last]]]);
		const next = await alice.send(room, "m6");
		const e = await bob.ok("GET", `${V3}/events?timeout=5000&from=${enc(s.end)}`);
		assert.deepEqual(e.chunk.filter((x) => x.type === "m.room.message").map((x) => x.event_id), [next]);
		const with_ = await bob.ok("GET", `${V3}/initialSync?archived=true`);
		const gone = with_.rooms.find((x) => x.room_id === left);
		assert.equal(gone.membership, "leave");
		assert.equal(gone.messages.chunk.at(-1).state_key, bob.userId);
		assert.ok(gone.state.some((x) => x.type === "m.room.create"));
	});

	test("bad parameters", async () => {
		await bob.fails(400, "M_INVALID_PARAM", "GET", `${V3}/initialSync?limit=many`);
		await bob.fails(400, "M_INVALID_PARAM", "GET", `${V3}/initialSync?archived=perhaps`);
		const r = await bob.request("GET", `${V3}/initialSync`, { token: null });
		assert.equal(`${r.status} ${r.body.errcode}`, "401 M_MISSING_TOKEN");
	});

	test("nobody's rooms", async () => {
		const carol = await register(server);
		assert.deepEqual((await carol.ok("GET", `${V3}/initialSync`)).rooms, []);
	});
});

describe("one event", () => {
	test("without its room, for who may see it", async () => {
		const room = await alice.createRoom({}), id = await alice.send(room, "here");
		const e = await alice.ok("GET", `${V3}/events/${enc(id)}`);
		assert.equal(e.content.body, "here");
		assert.equal(e.room_id, room);
		await bob.fails(404, "M_NOT_FOUND", "GET", `${V3}/events/${enc(id)}`);
		await alice.fails(404, "M_NOT_FOUND", "GET", `${V3}/events/${enc("$none")}`);
	});
});

describe("previews", () => {
	const peek = (who, room, from, timeout = 0) => who.ok("GET", `${V3}/events?room_id=${enc(room)}&timeout=${timeout}${from ? `&from=${enc(from)}` : ""}`);
	const open = { preset: "public_chat", initial_state: [{ type: "m.room.history_visibility", content: { history_visibility: "world_readable" } }] };

	test("the events of a world-readable room, also for who is not in it, and nothing of other rooms", async () => {
		const [room, other] = [await alice.createRoom(open), await bob.createRoom({})];
		const { end } = await peek(bob, room);
		await bob.send(other, "elsewhere");
		const one = await alice.send(room, "one");
		const first = await peek(bob, room, end, 5000);
		assert.deepEqual(first.chunk.map((e) => [e.event_id, e.room_id, e.unsigned.membership]), [[one, room, "leave"]]);
		const waits = peek(bob, room, first.end, 10000);
		await bob.send(other, "again");
		const two = await alice.send(room, "two");
		const second = await waits;
		assert.deepEqual(second.chunk.map((e) => e.event_id), [two]);
		assert.deepEqual((await peek(bob, room, second.end)).chunk, []);
		// "GET /rooms/:room_id/initialSync, followed by GET /events"
		const seen = await bob.ok("GET", at(room, "/initialSync?limit=2"));
		assert.deepEqual(seen.messages.chunk.map((e) => e.event_id), [one, two]);
		const more = await alice.send(room, "more");
		assert.deepEqual((await peek(bob, room, seen.messages.end, 5000)).chunk.map((e) => e.event_id), [more]);
		assert.deepEqual((await bob.ok("GET", at(room, `/messages?dir=f&from=${enc(seen.messages.end)}`))).chunk.map((e) => e.event_id), [more]);
		assert.deepEqual((await bob.ok("GET", at(room, `/initialSync?limit=0`))).messages.chunk, []);
		// what comes after the room was closed is not for him; his own syncs go on as ever
		await alice.setState(room, "m.room.history_visibility", { history_visibility: "shared" });
		await alice.send(room, "three");
		await bob.fails(403, "M_FORBIDDEN", "GET", `${V3}/events?room_id=${enc(room)}&from=${enc(second.end)}&timeout=0`);
		assert.equal((await bob.sync({ since: null })).rooms.join[room], undefined);
		await bob.send(other, "last");
		assert.ok((await bob.syncUntil((s) => s.rooms?.join?.[other])));
	});

	test("not of rooms that are not for him", async () => {
		const room = await alice.createRoom({ preset: "public_chat" });
		await bob.fails(403, "M_FORBIDDEN", "GET", `${V3}/events?room_id=${enc(room)}&timeout=0`);
		await bob.fails(403, "M_FORBIDDEN", "GET", `${V3}/events?room_id=${enc("!none:localhost")}&timeout=0`);
		await bob.join(room);
		const { end } = await peek(bob, room);
		const id = await alice.send(room, "for members");
		assert.deepEqual((await peek(bob, room, end, 5000)).chunk.map((e) => e.event_id), [id]);
	});
});
