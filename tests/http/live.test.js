// What is alive: receipts, read markers, typing, presence, tags, ignored users, as clients that wait see it.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, login, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
let server, alice, bob, carol;
before(async () => {
	server = await shared();
	[alice, bob, carol] = await Promise.all([register(server), register(server), register(server)]);
});

const at = (room, rest = "") => `${V3}/rooms/${enc(room)}${rest}`;
const ephemeral = (answer, room, type) => (answer.rooms?.join?.[room]?.ephemeral?.events ?? []).filter((e) => e.type === type);
// {event: {type: {user: {…}}}} of all threads in one answer.
const receipts = (answer, room) => Object.assign({}, ...ephemeral(answer, room, "m.receipt").map((e) => e.content));
const typists = (answer, room) => ephemeral(answer, room, "m.typing").at(-1)?.content.user_ids;
const read = (c, room, event, type = "m.read", body = {}) => c.ok("POST", at(room, `/receipt/${type}/${enc(event)}`), body);
const type = (c, room, typing, timeout) => c.ok("PUT", at(room, `/typing/${enc(c.userId)}`), { typing, timeout });

async function roomOf(...members) {
	const room = await members[0].createRoom({ preset: "public_chat" });
	for (const m of members.slice(1)) await m.join(room);
	return room;
}

describe("receipts", () => {
	test("one is seen by a client that waits; an earlier one changes nothing", async () => {
		const room = await roomOf(alice, bob);
		const first = await alice.send(room, "1"), second = await alice.send(room, "2");
		await alice.sync();
		const waiting = alice.syncUntil((a) => receipts(a, room)[second], { what: "the receipt" });
		await read(bob, room, second);
		const got = await waiting;
		assert.deepEqual(Object.keys(got), ["m.read"]);
		assert.deepEqual(Object.keys(got["m.read"]), [bob.userId]);
		assert.deepEqual(Object.keys(got["m.read"][bob.userId]), ["ts"]);
		await read(bob, room, first);
		const again = await alice.sync({ since: null });
		assert.deepEqual(Object.keys(receipts(again, room)), [second], "never backwards");
		assert.deepEqual(receipts(await alice.sync(), room), {}, "a delta, told once");
	});

	test("private ones are for oneself; threads are apart", async () => {
		const room = await roomOf(alice, bob);
		const root = await alice.send(room, "root"), main = await alice.send(room, "main");
		const reply = await alice.send(room, { msgtype: "m.text", body: "in", "m.relates_to": { rel_type: "m.thread", event_id: root } });
		const reaction = await alice.send(room, { "m.relates_to": { rel_type: "m.annotation", event_id: reply, key: "x" } }, "m.reaction");
		await Promise.all([alice.sync(), bob.sync()]);
		await read(bob, room, main, "m.read.private");
		await read(bob, room, reply, "m.read", { thread_id: root });
		await read(bob, room, main, "m.read", { thread_id: "main" });
		await read(bob, room, main);
		const theirs = await alice.sync(), own = await bob.sync();
		const of = (answer) => ephemeral(answer, room, "m.receipt").flatMap(({ content }) => Object.entries(content).flatMap(([event, kinds]) =>
			Object.entries(kinds).map(([kind, users]) => [event, kind, users[bob.userId].thread_id ?? "-"].join(" ")))).sort();
		const open = [`${reply} m.read ${root}`, `${main} m.read main`, `${main} m.read -`];
		assert.deepEqual(of(theirs), open.sort());
		assert.deepEqual(of(own), [...open, `${main} m.read.private -`].sort());
		await read(bob, room, reaction, "m.read", { thread_id: root });
		assert.equal(receipts(await alice.sync(), room)[reaction]["m.read"][bob.userId].thread_id, root, "by way of what it reacts to");
		for (const body of [{ thread_id: "" }, { thread_id: 1 }, { thread_id: null }, { thread_id: main }, { thread_id: "$nothing" }])
			await bob.fails(400, "M_INVALID_PARAM", "POST", at(room, `/receipt/m.read/${enc(reply)}`), body);
		await bob.fails(400, "M_INVALID_PARAM", "POST", at(room, `/receipt/m.read/${enc(reply)}`), { thread_id: "main" });
	});

	test("the fully-read marker is account data of the room", async () => {
		const room = await roomOf(alice, bob);
		const first = await alice.send(room, "1"), second = await alice.send(room, "2");
		await Promise.all([bob.sync(), alice.sync()]);
		const marker = (a) => (a.rooms?.join?.[room]?.account_data?.events ?? []).find((e) => e.type === "m.fully_read")?.content.event_id;
		const waiting = bob.syncUntil(marker, { what: "the marker" });
		await bob.ok("POST", at(room, "/read_markers"), { "m.fully_read": second, "m.read": first, "m.read.private": second });
		assert.equal(await waiting, second);
		assert.deepEqual(Object.keys(receipts(await alice.sync(), room)), [first]);
		await bob.ok("POST", at(room, "/read_markers"), { "m.fully_read": first });
		await read(bob, room, first, "m.fully_read");
		const path = `${V3}/user/${enc(bob.userId)}/rooms/${enc(room)}/account_data/m.fully_read`;
		assert.deepEqual(await bob.ok("GET", path), { event_id: second });
		await bob.fails(405, "M_BAD_JSON", "PUT", path, { event_id: first });
		await bob.ok("POST", at(room, "/read_markers"), {});
	});

	test("what is refused", async () => {
		const room = await roomOf(alice), other = await roomOf(alice);
		const event = await alice.send(room, "1");
		await bob.fails(403, "M_FORBIDDEN", "POST", at(room, `/receipt/m.read/${enc(event)}`), {});
		await alice.fails(404, "M_NOT_FOUND", "POST", at(other, `/receipt/m.read/${enc(event)}`), {});
		await alice.fails(400, "M_INVALID_PARAM", "POST", at(room, `/receipt/m.unread/${enc(event)}`), {});
		await alice.fails(400, "M_INVALID_PARAM", "POST", at(room, `/receipt/m.fully_read/${enc(event)}`), { thread_id: "main" });
		await alice.fails(400, "M_BAD_JSON", "POST", at(room, "/read_markers"), { "m.read": 1 });
		assert.equal(server.sql(`SELECT count(*) FROM hearth.receipt WHERE room IN (SELECT nid FROM hearth.room WHERE id IN ('${room}', '${other}'))`), "0");
	});
});

describe("typing", () => {
	test("is seen by who waits, lists all, and ends by a word", async () => {
		const room = await roomOf(alice, bob, carol);
		await carol.sync();
		let waiting = carol.syncUntil((a) => typists(a, room), { what: "typing" });
		await type(alice, room, true, 60000);
		assert.deepEqual(await waiting, [alice.userId]);
		waiting = carol.syncUntil((a) => typists(a, room), { what: "two who type" });
		await type(bob, room, true, 60000);
		assert.deepEqual((await waiting).sort(), [alice.userId, bob.userId].sort());
		assert.deepEqual(typists(await carol.sync({ since: null }), room).sort(), [alice.userId, bob.userId].sort());
		waiting = carol.syncUntil((a) => typists(a, room), { what: "the end" });
		await type(alice, room, false);
		assert.deepEqual(await waiting, [bob.userId]);
		await type(bob, room, false);
		assert.deepEqual(await carol.syncUntil((a) => typists(a, room)), []);
		assert.equal(typists(await carol.sync({ since: null }), room), undefined, "nobody: nothing is said at first");
	});

	test("going on is no news; it ends by itself, for who waits and for who was away", async () => {
		const room = await roomOf(alice, bob, carol);
		await Promise.all([carol.sync(), bob.sync()]);
		await type(alice, room, true, 60000);
		for (const c of [bob, carol]) assert.deepEqual(await c.syncUntil((a) => typists(a, room)), [alice.userId]);
		await type(alice, room, true, 1500);
		assert.equal(typists(await carol.sync(), room), undefined);
		const away = bob.since;
		assert.deepEqual(await carol.syncUntil((a) => typists(a, room), { what: "the end" }), []);
		assert.equal(typists(await carol.sync(), room), undefined, "told once");
		assert.deepEqual(typists(await bob.sync({ since: away }), room), [], "and who comes back is told");
	});

	test("what is refused", async () => {
		const room = await roomOf(alice), path = at(room, `/typing/${enc(alice.userId)}`);
		await bob.fails(403, "M_FORBIDDEN", "PUT", path, { typing: true });
		await bob.fails(403, "M_FORBIDDEN", "PUT", at(room, `/typing/${enc(bob.userId)}`), { typing: true });
		await alice.fails(400, "M_MISSING_PARAM", "PUT", path, {});
		await alice.fails(400, "M_BAD_JSON", "PUT", path, { typing: "yes" });
		await alice.fails(400, "M_BAD_JSON", "PUT", path, { typing: true, timeout: "1" });
		await alice.fails(400, "M_INVALID_PARAM", "PUT", path, { typing: true, timeout: -1 });
	});

	test("filters", async () => {
		const room = await roomOf(alice, bob);
		const event = await alice.send(room, "1");
		await bob.sync();
		const since = bob.since;
		await type(alice, room, true, 60000);
		await read(alice, room, event);
		const seen = async (filter) => {
			const a = await bob.sync({ since, filter: { room: { ephemeral: filter } } });
			return (a.rooms?.join?.[room]?.ephemeral?.events ?? []).map((e) => e.type).sort();
		};
		assert.deepEqual(await seen({}), ["m.receipt", "m.typing"]);
		assert.deepEqual(await seen({ types: ["m.typing"] }), ["m.typing"]);
		assert.deepEqual(await seen({ not_types: ["m.typing"] }), ["m.receipt"]);
		assert.deepEqual(await seen({ not_rooms: [room] }), []);
		assert.deepEqual(await seen({ types: [] }), []);
	});
});

describe("tags and account data", () => {
	const tagsAt = (c, room, tag = "") => `${V3}/user/${enc(c.userId)}/rooms/${enc(room)}/tags${tag && `/${enc(tag)}`}`;
	const tagged = (a, room) => (a.rooms?.join?.[room]?.account_data?.events ?? []).find((e) => e.type === "m.tag")?.content.tags;

	test("are set, listed, removed, and seen by the user's clients alone", async () => {
		const room = await roomOf(alice, bob);
		assert.deepEqual(await alice.ok("GET", tagsAt(alice, room)), { tags: {} });
		await Promise.all([alice.sync(), bob.sync()]);
		const waiting = alice.syncUntil((a) => tagged(a, room), { what: "the tag" });
		await alice.ok("PUT", tagsAt(alice, room, "u.wörk/1"), { order: 0.5 });
		assert.deepEqual(await waiting, { "u.wörk/1": { order: 0.5 } });
		await alice.ok("PUT", tagsAt(alice, room, "m.favourite"), {});
		assert.deepEqual(await alice.ok("GET", tagsAt(alice, room)), { tags: { "u.wörk/1": { order: 0.5 }, "m.favourite": {} } });
		await alice.ok("DELETE", tagsAt(alice, room, "u.wörk/1"));
		await alice.ok("DELETE", tagsAt(alice, room, "never set"));
		assert.deepEqual(tagged(await alice.sync(), room), { "m.favourite": {} });
		assert.equal(tagged(await bob.sync(), room), undefined);
		assert.deepEqual(await bob.ok("GET", tagsAt(bob, room)), { tags: {} });
	});

	test("many at once: none is lost", async () => {
		const room = await roomOf(alice), names = Array.from({ length: 8 }, (_, i) => `u.${i}`);
		await Promise.all(names.map((n) => alice.ok("PUT", tagsAt(alice, room, n), { order: 1 })));
		assert.deepEqual(Object.keys((await alice.ok("GET", tagsAt(alice, room))).tags).sort(), names);
	});

	test("bad ones are refused", async () => {
		const room = await roomOf(alice);
		for (const order of ["1", -1, 2, 1.5, null])
			await alice.fails(400, "M_INVALID_PARAM", "PUT", tagsAt(alice, room, "u.x"), { order });
		await alice.fails(400, "M_INVALID_PARAM", "PUT", tagsAt(alice, room, "x".repeat(256)), {});
		await alice.fails(403, "M_FORBIDDEN", "PUT", tagsAt(bob, room, "u.x"), {});
		await alice.fails(403, "M_FORBIDDEN", "GET", tagsAt(bob, room));
		await alice.fails(404, "M_NOT_FOUND", "PUT", tagsAt(alice, "!nowhere:localhost", "u.x"), {});
		assert.deepEqual(await alice.ok("GET", tagsAt(alice, room)), { tags: {} });
	});

	test("ignoring someone is effective at once: messages, typing, receipts, invitations", async () => {
		const room = await roomOf(alice, bob, carol);
		await alice.sync();
		await alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/account_data/m.ignored_user_list`, { ignored_users: { [carol.userId]: {} } });
		const event = await carol.send(room, "unheard");
		await read(carol, room, event);
		await type(carol, room, true, 60000);
		const hidden = await carol.createRoom({ invite: [alice.userId] });
		const last = await bob.send(room, "heard"), seen = [];
		await type(bob, room, true, 60000);
		await alice.syncUntil((a) => {
			seen.push(a);
			return typists(a, room);
		});
		const events = seen.flatMap((a) => a.rooms?.join?.[room]?.timeline?.events ?? []);
		assert.deepEqual(events.map((e) => e.event_id), [last]);
		assert.deepEqual(seen.map((a) => typists(a, room)).filter(Boolean), [[bob.userId]]);
		assert.deepEqual(Object.assign({}, ...seen.map((a) => receipts(a, room))), {});
		assert.ok(seen.every((a) => !a.rooms?.invite?.[hidden]));
		await alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/account_data/m.ignored_user_list`, { ignored_users: {} });
		const again = await carol.send(room, "heard again");
		await alice.syncUntil((a) => a.rooms?.join?.[room]?.timeline?.events?.some((e) => e.event_id === again));
	});

	test("filters of account data", async () => {
		const room = await roomOf(alice);
		await alice.sync();
		const since = alice.since;
		await alice.ok("PUT", tagsAt(alice, room, "u.x"), {});
		await alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/account_data/m.direct`, { [bob.userId]: [room] });
		const seen = async (filter) => {
			const a = await alice.sync({ since, filter });
			return [...(a.account_data?.events ?? []), ...(a.rooms?.join?.[room]?.account_data?.events ?? [])].map((e) => e.type).sort();
		};
		assert.deepEqual(await seen({}), ["m.direct", "m.tag"]);
		assert.deepEqual(await seen({ account_data: { not_types: ["m.dir*"] } }), ["m.tag"]);
		assert.deepEqual(await seen({ room: { account_data: { types: [] } } }), ["m.direct"]);
	});
});

describe("presence", () => {
	const status = (c) => `${V3}/presence/${enc(c.userId)}/status`;
	const of = (answer, c) => (answer.presence?.events ?? []).filter((e) => e.type === "m.presence" && e.sender === c.userId).at(-1)?.content;
	const syncing = { set_presence: "offline" };
	let ann, ben, cas;
	before(async () => {
		[ann, ben, cas] = await Promise.all([register(server), register(server), register(server)]);
	});

	test("is seen by who shares a room and waits, and by nobody else", async () => {
		const room = await roomOf(ann, ben);
		await Promise.all([ann.sync(syncing), cas.sync(syncing)]);
		const waiting = ann.syncUntil((a) => of(a, ben), { what: "presence", ...syncing });
		await ben.ok("PUT", status(ben), { presence: "online", status_msg: "I am \"here\"" });
		const got = await waiting;
		assert.equal(got.presence, "online");
		assert.equal(got.status_msg, "I am \"here\"");
		assert.equal(got.currently_active, true);
		assert.ok(got.last_active_ago >= 0 && got.last_active_ago < 60000);
		assert.equal(of(await cas.sync(syncing), ben), undefined);
		await cas.fails(403, "M_FORBIDDEN", "GET", status(ben));
		await cas.fails(403, "M_FORBIDDEN", "PUT", status(ben), { presence: "online" });
		const { last_active_ago, ...rest } = await ann.ok("GET", status(ben));
		assert.deepEqual(rest, { presence: "online", status_msg: "I am \"here\"", currently_active: true });
		assert.ok(last_active_ago >= 0);
		assert.equal(of(await ann.sync({ since: null, ...syncing }), ben).presence, "online", "an initial sync has who is there");
		await ben.ok("PUT", status(ben), { presence: "unavailable" });
		assert.deepEqual(Object.keys(await ann.syncUntil((a) => of(a, ben), syncing)).sort(), ["last_active_ago", "presence"]);
		await ben.ok("PUT", status(ben), { presence: "offline" });
		assert.equal((await ann.syncUntil((a) => of(a, ben), syncing)).presence, "offline");
		assert.equal(of(await ann.sync({ since: null, ...syncing }), ben), undefined);
		await ann.leave(room);
		await ann.fails(403, "M_FORBIDDEN", "GET", status(ben));
	});

	test("comes from syncing; a filter drops it; it does not come twice", async () => {
		await roomOf(ann, cas);
		await ann.sync(syncing);
		assert.equal((await cas.sync({ since: null })).presence.events[0].sender, cas.userId, "one's own");
		const since = ann.since;
		assert.equal((await ann.syncUntil((a) => of(a, cas), syncing)).presence, "online");
		assert.equal((await ann.sync({ since, filter: { presence: { types: [] } }, ...syncing })).presence, undefined);
		assert.equal((await ann.sync({ since, filter: { presence: { not_senders: [cas.userId] } }, ...syncing })).presence, undefined);
		await cas.sync({ set_presence: "unavailable" });
		assert.equal((await ann.syncUntil((a) => of(a, cas), syncing)).presence, "unavailable");
		assert.equal(of(await ann.sync(syncing), cas), undefined);
		const writes = () => server.sql(`SELECT pos FROM hearth.presence WHERE usr = (SELECT nid FROM hearth.name WHERE body = '${cas.userId}')`);
		const before = writes();
		for (let i = 0; i < 3; i++) await cas.sync({ set_presence: "unavailable" });
		assert.equal(writes(), before, "a further sign of life is no news");
	});

	test("two devices: the one that is there counts; time makes idle and offline", async () => {
		const room = await roomOf(ann, ben), phone = await login(server, ben.name, ben.password);
		await ben.sync({ set_presence: "unavailable" });
		await phone.sync();
		assert.equal((await ann.ok("GET", status(ben))).presence, "online");
		await phone.ok("PUT", status(ben), { presence: "offline" });
		assert.equal((await ann.ok("GET", status(ben))).presence, "unavailable");
		await ben.ok("PUT", status(ben), { presence: "online" });
		// As if the time had passed; the job sees it.
		const who = `(SELECT nid FROM hearth.name WHERE body = '${ben.userId}')`;
		await ann.sync(syncing);
		server.sql(`UPDATE hearth.presence_device SET active_ts = active_ts - 400000 WHERE usr = ${who}; UPDATE hearth.presence SET active_ts = 1 WHERE usr = ${who};
			UPDATE hearth.job SET run_ts = 0 WHERE kind = 'presence_sweep'`);
		const idle = await ann.syncUntil((a) => of(a, ben)?.presence === "unavailable" && of(a, ben), { ...syncing, timeout: 20000 });
		assert.ok(idle.last_active_ago >= 300000);
		await ben.send(room, "a word");
		assert.equal((await ann.syncUntil((a) => of(a, ben), syncing)).presence, "online", "who does something is there");
		server.sql(`UPDATE hearth.presence_device SET until = 0 WHERE usr = ${who}; UPDATE hearth.job SET run_ts = 0 WHERE kind = 'presence_sweep'`);
		assert.equal((await ann.syncUntil((a) => of(a, ben), { ...syncing, timeout: 20000 })).presence, "offline");
	});

	test("who begins to share a room is shown as he is", async () => {
		const [dan, eve] = await Promise.all([register(server), register(server)]);
		const room = await dan.createRoom({ preset: "public_chat" });
		for (const c of [dan, eve]) await c.ok("PUT", status(c), { presence: "online" });
		await Promise.all([dan.sync(syncing), eve.sync(syncing)]);
		await eve.join(room);
		assert.equal((await dan.syncUntil((a) => of(a, eve), syncing)).presence, "online");
		assert.equal((await eve.syncUntil((a) => of(a, dan), syncing)).presence, "online");
	});

	test("bad words", async () => {
		await ann.fails(400, "M_MISSING_PARAM", "PUT", status(ann), {});
		await ann.fails(400, "M_INVALID_PARAM", "PUT", status(ann), { presence: "asleep" });
		await ann.fails(400, "M_BAD_JSON", "PUT", status(ann), { presence: "online", status_msg: 1 });
		await ann.fails(400, "M_INVALID_PARAM", "PUT", status(ann), { presence: "online", status_msg: "a".repeat(1025) });
		await ann.fails(400, "M_INVALID_PARAM", "GET", `${V3}/sync?set_presence=asleep`);
		await ann.fails(403, "M_FORBIDDEN", "GET", `${V3}/presence/${enc("@nobody:nowhere")}/status`);
	});
});

describe("the old stream of events", () => {
	const events = (c, q) => c.ok("GET", `${V3}/events?${new URLSearchParams(q)}`);

	test("tells account data, that of a room with the room", async () => {
		const room = await roomOf(alice, bob);
		const { end: from } = await events(bob, { timeout: 0 });
		const own = `${V3}/user/${enc(bob.userId)}`;
		await bob.ok("PUT", `${own}/account_data/m.direct`, { a: 1 });
		await bob.ok("PUT", `${own}/rooms/${enc(room)}/tags/u.x`, { order: 0.5 });
		await bob.fails(405, "M_BAD_JSON", "PUT", `${own}/rooms/${enc(room)}/account_data/m.push_rules`, {});
		assert.deepEqual((await events(bob, { from, timeout: 0 })).chunk, [
			{ type: "m.direct", content: { a: 1 } },
			{ type: "m.tag", content: { tags: { "u.x": { order: 0.5 } } }, room_id: room },
		]);
	});

	test("begins now, waits, tells each event with its room", async () => {
		const room = await roomOf(alice, bob);
		const first = await events(bob, { timeout: 0 });
		assert.deepEqual(first.chunk, []);
		let from = first.end;
		const seen = [];
		const until = async (find) => {
			for (const end = Date.now() + 15000; !find(); assert.ok(Date.now() < end, "it did not come")) {
				const got = await events(bob, { from, timeout: 2000 });
				assert.equal(got.start, from);
				seen.push(...got.chunk);
				from = got.end;
			}
		};
		const waiting = until(() => seen.some((e) => e.type === "m.typing"));
		const id = await alice.send(room, "hello");
		await read(alice, room, id);
		await type(alice, room, true, 60000);
		const other = await alice.createRoom({ invite: [bob.userId] });
		await waiting;
		await until(() => seen.some((e) => e.room_id === other));
		assert.deepEqual(seen.filter((e) => e.type === "m.room.message").map((e) => [e.room_id, e.event_id, e.content.body]), [[room, id, "hello"]]);
		assert.ok(seen.find((e) => e.type === "m.receipt" && e.room_id === room).content[id]["m.read"][alice.userId]);
		assert.equal(seen.find((e) => e.room_id === other).content.membership, "invite");
		assert.deepEqual(await events(bob, { from, timeout: 0 }).then((a) => a.chunk.filter((e) => e.type.startsWith("m.room"))), []);
		await bob.fails(400, "M_INVALID_PARAM", "GET", `${V3}/events?from=nonsense`);
	});
});
