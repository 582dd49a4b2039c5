// Syncing over the real stack: answers at once, waiting and being woken, and what is refused.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { request, register, login, waitFor, enc, NO_NEWS } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
let server, alice, bob;
before(async () => {
	server = await shared();
	[alice, bob] = await Promise.all([register(server), register(server)]);
	await alice.sync();
	await bob.sync();
});

const open = { preset: "public_chat" };
const bodies = (room) => (room?.timeline.events ?? []).filter((e) => e.type === "m.room.message").map((e) => e.content.body);
const parked = async () => Number((await request(server, "GET", "/_hearth/metrics")).text?.match(/^hearth_waiting (\d+)/m)?.[1] ?? NaN);

// A sync that waits: asks, and once it must be waiting, does what wakes it.
async function woken(client, act, more = {}) {
	await client.sync({ timeout: 0, ...more });
	const answer = client.sync({ timeout: 30000, ...more });
	const early = await Promise.race([answer, new Promise((done) => setTimeout(() => done(null), 150))]);
	assert.equal(early, null, `it did not wait: ${JSON.stringify(early)}`);
	await act();
	return answer;
}

describe("what is refused", () => {
	test("bad parameters and filters", async () => {
		const bad = (code, q) => alice.fails(400, code, "GET", `${V3}/sync?${q}`);
		await bad("M_INVALID_PARAM", "since=nonsense");
		await bad("M_INVALID_PARAM", "from=x");
		await bad("M_INVALID_PARAM", "set_presence=asleep");
		await bad("M_INVALID_PARAM", "timeout=-1");
		await bad("M_INVALID_PARAM", "timeout=soon");
		await bad("M_INVALID_PARAM", "full_state=maybe");
		await bad("M_INVALID_PARAM", "filter=77");
		await bad("M_NOT_JSON", "filter={");
		await bad("M_BAD_JSON", `filter=${enc('{"room":1}')}`);
		await bad("M_INVALID_PARAM", `filter=${enc('{"room":{"timeline":{"limit":-1}}}')}`);
		const r = await request(server, "GET", `${V3}/sync`);
		assert.equal(`${r.status} ${r.body.errcode}`, "401 M_MISSING_TOKEN");
	});

	test("a huge timeout is cut, an empty since is none", async () => {
		const body = await alice.ok("GET", `${V3}/sync?timeout=9007199254740991&since=&set_presence=offline`);
		assert.ok(body.account_data.events.some((e) => e.type === "m.push_rules"));
	});
});

describe("answers at once", () => {
	test("filters by id and inline, of their owner only", async () => {
		const room = await alice.createRoom(open);
		for (const text of ["1", "2", "3"]) await alice.send(room, text);
		const filter = { room: { timeline: { limit: 1 }, rooms: [room] } };
		const { filter_id } = await alice.ok("POST", `${V3}/user/${enc(alice.userId)}/filter`, filter);
		for (let i = 0; i < 3; i++) {
			const s = await alice.sync({ since: null, filter: filter_id });
			assert.deepEqual(Object.keys(s.rooms.join), [room]);
			assert.deepEqual(bodies(s.rooms.join[room]), ["3"]);
			assert.equal(s.rooms.join[room].timeline.limited, true);
		}
		await bob.fails(400, "M_INVALID_PARAM", "GET", `${V3}/sync?filter=${Number(filter_id) + 500}`);
		const raw = await alice.ok("GET", `/_matrix/client/r0/sync?filter={"room":{"timeline":{"limit":2}}}&access_token=${alice.token}`, undefined, { token: undefined });
		assert.deepEqual(bodies(raw.rooms.join[room]), ["2", "3"]);
	});

	test("state_after under the name that was asked for", async () => {
		const room = await alice.createRoom(open);
		const stable = (await alice.sync({ since: null, use_state_after: "true" })).rooms.join[room];
		assert.ok(stable.state_after.events.some((e) => e.type === "m.room.create"));
		assert.equal(stable.state, undefined);
		const unstable = (await alice.sync({ since: null, "org.matrix.msc4222.use_state_after": "true" })).rooms.join[room];
		assert.ok(unstable["org.matrix.msc4222.state_after"].events.length > 0);
		assert.equal(unstable.state ?? unstable.state_after, undefined);
		await alice.send(room, "x");
		assert.deepEqual((await alice.sync({ use_state_after: "true" })).rooms.join[room].state_after, { events: [] });
	});

	test("the same since twice: the same events; the filter's fields and format", async () => {
		const room = await alice.createRoom(open);
		const { next_batch } = await alice.sync();
		await alice.send(room, "one");
		const first = await alice.sync({ since: next_batch });
		const again = await alice.sync({ since: next_batch, filter: { event_fields: ["content.body"] } });
		assert.deepEqual(bodies(first.rooms.join[room]), ["one"]);
		assert.deepEqual(again.rooms.join[room].timeline.events, [{ content: { body: "one" } }]);
		const pdu = (await alice.sync({ since: next_batch, filter: { event_format: "federation" } })).rooms.join[room].timeline.events[0];
		assert.ok(pdu.hashes && pdu.signatures && pdu.prev_events && pdu.auth_events && pdu.depth);
		assert.match(pdu.event_id, /^\$/);
	});

	test("without news and without waiting: only the token, which goes on, and the key counts", async () => {
		const quiet = await register(server);
		await quiet.sync();
		const s = await quiet.sync();
		assert.deepEqual(Object.keys(s), NO_NEWS);
		assert.deepEqual(Object.keys(await quiet.sync()), NO_NEWS);
	});
});

describe("waiting", () => {
	test("a message wakes, its sender too", async () => {
		const room = await alice.createRoom(open);
		await bob.join(room);
		await alice.sync();
		const both = [woken(bob, async () => {}), woken(alice, async () => {})];
		await new Promise((done) => setTimeout(done, 300));
		await alice.send(room, "hello");
		const [b, a] = await Promise.all(both);
		assert.deepEqual(bodies(b.rooms.join[room]), ["hello"]);
		assert.deepEqual(bodies(a.rooms.join[room]), ["hello"]);
		assert.ok(a.rooms.join[room].timeline.events[0].unsigned.transaction_id);
		assert.equal(b.rooms.join[room].timeline.events[0].unsigned.transaction_id, undefined);
		assert.equal(b.rooms.join[room].timeline.events[0].unsigned.membership, "join");
	});

	test("an invitation, a join, a kick", async () => {
		const room = await alice.createRoom({ name: "N" });
		const invited = await woken(bob, () => alice.invite(room, bob.userId));
		const types = invited.rooms.invite[room].invite_state.events.map((e) => e.type);
		for (const t of ["m.room.create", "m.room.join_rules", "m.room.name", "m.room.member"]) assert.ok(types.includes(t), t);
		const joined = await woken(bob, () => bob.join(room));
		assert.ok(joined.rooms.join[room].timeline.events.some((e) => e.state_key === bob.userId && e.content.membership === "join"));
		const kicked = await woken(bob, () => alice.ok("POST", `${V3}/rooms/${enc(room)}/kick`, { user_id: bob.userId }));
		assert.equal(kicked.rooms.leave[room].timeline.events.at(-1).content.membership, "leave");
	});

	test("a message right after the join wakes the joiner", async () => {
		const room = await alice.createRoom(open);
		const carol = await register(server);
		await carol.sync();
		const waits = carol.sync({ timeout: 30000 });
		await carol.join(room);
		await alice.send(room, "welcome");
		let seen = bodies((await waits).rooms?.join?.[room]);
		if (!seen.length) seen = await carol.syncUntil((s) => bodies(s.rooms?.join?.[room]).length && bodies(s.rooms.join[room]));
		assert.deepEqual(seen, ["welcome"]);
	});

	test("account data wakes the user's other devices", async () => {
		const other = await login(server, alice.name, alice.password);
		const s = await woken(other, () => alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/account_data/m.test`, { a: 1 }));
		assert.deepEqual(s.account_data.events, [{ type: "m.test", content: { a: 1 } }]);
	});

	test("what a filter hides does not answer, and is not told later", async () => {
		const room = await alice.createRoom(open);
		await bob.join(room);
		const filter = { room: { timeline: { types: ["m.room.message"] }, state: { types: [] } } };
		await bob.sync({ filter });
		const answer = woken(bob, async () => {
			await alice.send(room, {}, "x.hidden");
			await alice.send(room, "shown");
		}, { filter });
		assert.deepEqual((await answer).rooms.join[room].timeline.events.map((e) => e.type), ["m.room.message"]);
	});

	test("time is over: 200 with the token and the key counts", async () => {
		await bob.sync();
		const s = await bob.sync({ timeout: 300 });
		assert.deepEqual(Object.keys(s), NO_NEWS);
	});

	test("keys uploaded meanwhile are counted when time is over", async () => {
		const other = await register(server);
		await other.sync();
		await other.sync();
		const waits = other.sync({ timeout: 1500 });
		await new Promise((done) => setTimeout(done, 200));
		const key = { key: "a", signatures: {} };
		await other.ok("POST", `${V3}/keys/upload`, { one_time_keys: { "signed_curve25519:A": key }, fallback_keys: { "signed_curve25519:F": key } });
		const s = await waits;
		assert.deepEqual(Object.keys(s), NO_NEWS);
		assert.deepEqual(s.device_one_time_keys_count, { signed_curve25519: 1 });
		assert.deepEqual(s.device_unused_fallback_key_types, ["signed_curve25519"]);
	});

	test("a logout answers the waiting request with 401", async () => {
		const other = await login(server, bob.name, bob.password);
		await other.sync();
		const waits = other.request("GET", `${V3}/sync?timeout=30000&since=${other.since}`);
		await new Promise((done) => setTimeout(done, 200));
		await request(server, "POST", `${V3}/logout`, { token: other.token, body: {} });
		const r = await waits;
		assert.equal(`${r.status} ${r.body.errcode}`, "401 M_UNKNOWN_TOKEN");
		assert.equal(r.body.soft_logout, undefined);
	});

	test("many members of a room wake together, each with the message once", async () => {
		const room = await alice.createRoom(open);
		const members = await Promise.all(Array.from({ length: 30 }, () => register(server)));
		for (const m of members) await m.join(room);
		await Promise.all(members.map((m) => m.sync()));
		await Promise.all(members.map((m) => m.sync()));
		const waits = members.map((m) => m.sync({ timeout: 30000 }));
		await new Promise((done) => setTimeout(done, 300));
		await alice.send(room, "all");
		for (const s of await Promise.all(waits)) assert.deepEqual(bodies(s.rooms.join[room]), ["all"]);
		for (const m of members) assert.deepEqual(Object.keys(await m.sync()), NO_NEWS);
	});

	test("a change by hand in psql reaches the one who waits", async () => {
		await alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/account_data/m.byhand`, { a: 1 });
		const s = await woken(alice, () => server.sql(`UPDATE hearth.account_data SET content = '{"a":2}' WHERE type = 'm.byhand'`));
		assert.deepEqual(s.account_data.events, [{ type: "m.byhand", content: { a: 2 } }]);
	});
});
