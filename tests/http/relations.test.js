// Relations between events: asking for them, what is bundled where, threads, redactions, ignored users.
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
const at = (room, rest = "") => `${V3}/rooms/${enc(room)}${rest}`;
const rel = (type, event, more = {}) => ({ "m.relates_to": { rel_type: type, event_id: event, ...more } });
const relate = (who, room, type, event, body = "x") => who.send(room, { msgtype: "m.text", body, ...rel(type, event) });
const edit = (who, room, event, body) => who.send(room, { msgtype: "m.text", body: `* ${body}`, "m.new_content": { msgtype: "m.text", body }, ...rel("m.replace", event) });
const react = (who, room, event, key) => who.send(room, rel("m.annotation", event, { key }), "m.reaction");
const redact = (who, room, event) => who.ok("PUT", at(room, `/redact/${enc(event)}/${unique("r")}`), {});
const relations = (who, room, event, rest = "") => who.ok("GET", `${V1}/rooms/${enc(room)}/relations/${enc(event)}${rest}`);
const threads = (who, room, query = "") => who.ok("GET", `${V1}/rooms/${enc(room)}/threads${query}`);
const event = (who, room, id) => who.ok("GET", at(room, `/event/${enc(id)}`));
const bundled = async (who, room, id) => (await event(who, room, id)).unsigned["m.relations"];
const ids = (answer) => answer.chunk.map((e) => e.event_id);
const ignore = (who, ...users) => who.ok("PUT", `${V3}/user/${enc(who.userId)}/account_data/m.ignored_user_list`,
	{ ignored_users: Object.fromEntries(users.map((u) => [u.userId, {}])) });

async function world() {
	const room = await alice.createRoom({ preset: "public_chat" });
	await Promise.all([bob.join(room), carol.join(room)]);
	return { room, root: await alice.send(room, "root") };
}

describe("relations", () => {
	test("the three forms, both directions, pages", async () => {
		const { room, root } = await world();
		const a = await react(bob, room, root, "👍"), b = await relate(carol, room, "m.reference", root), c = await relate(alice, room, "org.own", root);
		assert.deepEqual(ids(await relations(bob, room, root)), [c, b, a]);
		assert.deepEqual(ids(await relations(bob, room, root, "?dir=f")), [a, b, c]);
		assert.deepEqual(ids(await relations(bob, room, root, "/m.reference")), [b]);
		assert.deepEqual(ids(await relations(bob, room, root, "/m.annotation/m.reaction")), [a]);
		assert.deepEqual(ids(await relations(bob, room, root, "/m.annotation/m.room.message")), []);
		assert.deepEqual(ids(await relations(bob, room, root, "/org.own")), [c]);
		assert.deepEqual(ids(await relations(bob, room, root, "/org.never.heard")), []);
		const one = await relations(bob, room, root, "?limit=2");
		assert.deepEqual(ids(one), [c, b]);
		assert.equal(one.prev_batch, undefined);
		const two = await relations(bob, room, root, `?limit=2&from=${one.next_batch}`);
		assert.deepEqual(ids(two), [a]);
		assert.equal(two.next_batch, undefined);
		assert.ok(two.prev_batch);
		assert.deepEqual(ids(await relations(bob, room, root, `?to=${one.next_batch}`)), [c, b]);
		const forth = await relations(bob, room, root, "?dir=f&limit=1");
		assert.deepEqual(ids(await relations(bob, room, root, `?dir=f&from=${forth.next_batch}`)), [b, c]);
		await bob.sync({ since: null });
		const late = await relate(bob, room, "m.reference", root);
		assert.deepEqual(ids(await relations(bob, room, root, `?dir=f&from=${bob.since}`)), [late], "a token of /sync");
		await bob.fails(400, "M_INVALID_PARAM", "GET", `${V1}/rooms/${enc(room)}/relations/${enc(root)}?from=x`);
		await bob.fails(400, "M_INVALID_PARAM", "GET", `${V1}/rooms/${enc(room)}/relations/${enc(root)}?dir=x`);
	});

	test("recurse", async () => {
		const { room, root } = await world();
		const t = await relate(bob, room, "m.thread", root);
		const e = await edit(bob, room, t, "edited"), r = await react(carol, room, t, "x");
		assert.deepEqual(ids(await relations(alice, room, root)), [t]);
		const deep = await relations(alice, room, root, "?recurse=true");
		assert.deepEqual(ids(deep), [r, e, t]);
		assert.equal(deep.recursion_depth, 3);
		assert.deepEqual(ids(await relations(alice, room, root, "/m.annotation?recurse=true")), [r]);
	});

	test("not of events that one cannot see, nor by malformed relations", async () => {
		const { room, root } = await world();
		const other = await world();
		for (const body of [{ rel_type: 1, event_id: root }, { rel_type: "m.reference" }, "x", { event_id: root }, null])
			await alice.send(room, { body: "b", "m.relates_to": body });
		await relate(alice, other.room, "m.reference", root);		// of another room
		await relate(alice, room, "m.reference", "$unknown");
		assert.deepEqual(ids(await relations(bob, room, root)), []);
		await bob.fails(404, "M_NOT_FOUND", "GET", `${V1}/rooms/${enc(room)}/relations/$none`);
		const stranger = await register(server);
		await stranger.fails(404, "M_NOT_FOUND", "GET", `${V1}/rooms/${enc(room)}/relations/${enc(root)}`);
	});

	test("the same annotation twice is refused, also at the same moment, until it is redacted", async () => {
		const { room, root } = await world();
		const put = (key, type = "m.reaction") => bob.request("PUT", at(room, `/send/${type}/${unique("t")}`), { body: rel("m.annotation", root, { key }) });
		const answers = await Promise.all([put("a"), put("a"), put("a"), put("a")]);
		const good = answers.filter((r) => r.status === 200);
		assert.equal(good.length, 1);
		for (const r of answers) if (r !== good[0]) assert.deepEqual([r.status, r.body.errcode], [400, "M_DUPLICATE_ANNOTATION"]);
		assert.equal((await put("b")).status, 200);
		assert.equal((await put("a", "org.own")).status, 200);
		await react(alice, room, root, "a");
		await redact(bob, room, good[0].body.event_id);
		assert.equal((await put("a")).status, 200);
	});
});

describe("bundled aggregations", () => {
	test("edits: the latest of the author, not of others, none after a redaction of the original", async () => {
		const { room, root } = await world();
		assert.equal(await bundled(bob, room, root), undefined);
		const e1 = await edit(alice, room, root, "one"), e2 = await edit(alice, room, root, "two");
		await edit(bob, room, root, "evil");
		await alice.send(room, { msgtype: "m.text", body: "no new content", ...rel("m.replace", root) });
		const b = (await bundled(bob, room, root))["m.replace"];
		assert.equal(b.event_id, e2);
		assert.equal(b.room_id, room);
		assert.equal(b.content["m.new_content"].body, "two");
		assert.equal((await event(bob, room, root)).content.body, "root", "the original stays");
		await edit(alice, room, e2, "an edit of an edit");
		assert.equal(await bundled(bob, room, e2), undefined);
		await redact(alice, room, e2);
		assert.equal((await bundled(bob, room, root))["m.replace"].event_id, e1);
		await redact(alice, room, root);
		assert.equal(await bundled(bob, room, root), undefined);
	});

	test("references and threads, everywhere; never annotations", async () => {
		const { room, root } = await world();
		await react(bob, room, root, "x");
		assert.equal(await bundled(bob, room, root), undefined);
		const r = await relate(bob, room, "m.reference", root), t1 = await relate(bob, room, "m.thread", root), t2 = await relate(bob, room, "m.thread", root);
		const e = await edit(bob, room, t2, "edited");
		const check = (b, participated, where) => {
			assert.deepEqual(b?.["m.reference"], { chunk: [{ event_id: r }] }, where);
			assert.equal(b["m.thread"].count, 2, where);
			assert.equal(b["m.thread"].current_user_participated, participated, where);
			assert.equal(b["m.thread"].latest_event.event_id, t2, where);
			assert.equal(b["m.thread"].latest_event.unsigned["m.relations"]["m.replace"].event_id, e, where);
		};
		const of = (events) => events.find((x) => x.event_id === root).unsigned["m.relations"];
		check(await bundled(alice, room, root), true, "began it");
		check(await bundled(bob, room, root), true, "wrote in it");
		check(await bundled(carol, room, root), false, "only read");
		check(of((await carol.ok("GET", at(room, "/messages?dir=b&limit=50"))).chunk), false, "messages");
		check((await carol.ok("GET", at(room, `/context/${enc(root)}`))).event.unsigned["m.relations"], false, "context");
		check(of((await carol.ok("GET", at(room, `/context/${enc(t1)}`))).events_before), false, "context before");
		check((await threads(carol, room)).chunk[0].unsigned["m.relations"], false, "threads");
		check(of((await carol.sync({ since: null })).rooms.join[room].timeline.events), false, "sync");
		const deep = await relations(carol, room, root, "/m.thread");
		assert.equal(deep.chunk.find((x) => x.event_id === t2).unsigned["m.relations"]["m.replace"].event_id, e, "relations");
		await redact(bob, room, t2);
		const b = (await bundled(carol, room, root))["m.thread"];
		assert.equal(b.count, 1);
		assert.equal(b.latest_event.event_id, t1);
		await redact(bob, room, t1);
		assert.equal((await bundled(bob, room, root))["m.thread"], undefined);
		assert.deepEqual((await threads(bob, room)).chunk, []);
	});

	test("a limited timeline of a sync that goes on has them, and one that is not needs none", async () => {
		const { room, root } = await world();
		await carol.sync({ since: null });
		const one = await alice.send(room, "one");
		const e = await edit(alice, room, one, "edited");
		for (let i = 0; i < 3; i++) await alice.send(room, `${i}`);
		await edit(alice, room, root, "older than the token");
		const filter = (limit) => ({ room: { timeline: { limit } } });
		const since = carol.since;
		const limited = (await carol.sync({ since, filter: filter(6 - 1) })).rooms.join[room].timeline;
		assert.equal(limited.limited, true);
		assert.ok(!limited.events.some((x) => x.event_id === one));
		const two = (await carol.sync({ since: null, filter: filter(6) })).rooms.join[room].timeline;
		assert.equal(two.events.find((x) => x.event_id === one).unsigned["m.relations"]["m.replace"].event_id, e);
		assert.equal(two.events.find((x) => x.event_id === one).unsigned["m.relations"]["m.replace"].room_id, undefined);
	});

	test("what ignored users wrote does not count", async () => {
		const { room, root } = await world();
		const dave = await register(server);
		await dave.join(room);
		const t1 = await relate(bob, room, "m.thread", root);
		await relate(carol, room, "m.thread", root);
		const r = await relate(carol, room, "m.reference", root);
		const own = await carol.send(room, "a root by someone ignored");
		await relate(bob, room, "m.thread", own);
		await ignore(dave, carol);
		const b = await bundled(dave, room, root);
		assert.equal(b["m.reference"], undefined);
		assert.equal(b["m.thread"].count, 1);
		assert.equal(b["m.thread"].latest_event.event_id, t1);
		assert.deepEqual(ids(await relations(dave, room, root)), [t1]);
		const list = await threads(dave, room);
		assert.deepEqual(ids(list), [own, root]);
		assert.deepEqual(list.chunk[0].content, {}, "shown redacted");
		assert.ok(!ids(await dave.ok("GET", at(room, "/messages?dir=b&limit=50"))).includes(r));
		await ignore(dave, carol, bob);
		assert.deepEqual(ids(await threads(dave, room)), []);
	});
});

describe("threads", () => {
	test("by the latest event; pages; participated", async () => {
		const { room, root } = await world();
		const second = await bob.send(room, "second"), third = await carol.send(room, "third");
		await relate(alice, room, "m.thread", third);
		await relate(bob, room, "m.thread", root);
		await relate(alice, room, "m.thread", second);
		assert.deepEqual(ids(await threads(alice, room)), [second, root, third]);
		await relate(carol, room, "m.thread", third);
		assert.deepEqual(ids(await threads(alice, room)), [third, second, root]);
		const one = await threads(alice, room, "?limit=2");
		assert.deepEqual(ids(one), [third, second]);
		const two = await threads(alice, room, `?limit=2&from=${one.next_batch}`);
		assert.deepEqual(ids(two), [root]);
		assert.equal(two.next_batch, undefined);
		assert.deepEqual(ids(await threads(bob, room, "?include=participated")), [second, root]);
		assert.deepEqual(ids(await threads(carol, room, "?include=participated")), [third]);
		await bob.fails(400, "M_INVALID_PARAM", "GET", `${V1}/rooms/${enc(room)}/threads?include=some`);
		await (await register(server)).fails(403, "M_FORBIDDEN", "GET", `${V1}/rooms/${enc(room)}/threads`);
	});

	test("none begins at an event that relates to another one", async () => {
		const { room, root } = await world();
		const t = await relate(bob, room, "m.thread", root), r = await react(bob, room, root, "x");
		for (const target of [t, r])
			await alice.fails(400, "M_UNKNOWN", "PUT", at(room, `/send/m.room.message/${unique("t")}`), { body: "b", ...rel("m.thread", target) });
		assert.deepEqual(ids(await relations(alice, room, t)), []);
	});

	test("who has left sees the thread as it was then", async () => {
		const { room, root } = await world();
		const t = await relate(bob, room, "m.thread", root);
		await carol.leave(room);
		await relate(bob, room, "m.thread", root);
		await edit(alice, room, root, "later");
		const b = await bundled(carol, room, root);
		assert.equal(b["m.replace"], undefined);
		assert.equal(b["m.thread"].count, 1);
		assert.equal(b["m.thread"].latest_event.event_id, t);
		assert.deepEqual(ids(await relations(carol, room, root)), [t]);
	});
});
