// Rooms: creation, membership, sending, reading, redaction, aliases; what is refused, and with which error.
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
const open = { preset: "public_chat" };
const types = (events) => events.map((e) => e.type);
const bodies = (events) => events.filter((e) => e.type === "m.room.message").map((e) => e.content.body);
// No fault in what is stored about a room.
const sound = (room) => assert.equal(server.sql(`SELECT fault FROM hearth.room_check('${room}')`), "");

describe("creation", () => {
	test("with an alias, name, topic and an invitation: all is in the state", async () => {
		const name = unique("alias");
		const made = await alice.ok("POST", `${V3}/createRoom`, { room_alias_name: name, name: "N", topic: "T", invite: [bob.userId], is_direct: true });
		assert.equal(made.room_alias, `#${name}:${server.name}`);
		assert.match(made.room_id, /^![A-Za-z0-9_-]{43}$/, "room version 12: the create event's hash");
		const state = await alice.ok("GET", at(made.room_id, "/state"));
		const get = (type, key = "") => state.find((e) => e.type === type && e.state_key === key);
		assert.equal(get("m.room.create").content.room_version, "12");
		assert.equal(`$${made.room_id.slice(1)}`, get("m.room.create").event_id);
		assert.deepEqual(get("m.room.topic").content, { topic: "T", "m.topic": { "m.text": [{ body: "T", mimetype: "text/plain" }] } });
		assert.deepEqual(get("m.room.canonical_alias").content, { alias: made.room_alias });
		assert.equal(get("m.room.member", bob.userId).content.is_direct, true);
		assert.equal(get("m.room.member", alice.userId).content.displayname, alice.name);
		sound(made.room_id);
		await alice.fails(400, "M_ROOM_IN_USE", "POST", `${V3}/createRoom`, { room_alias_name: name });
	});

	test("the room id of older versions; unknown ones", async () => {
		const room = await alice.createRoom({ room_version: "6" });
		assert.match(room, new RegExp(`^![A-Za-z]{18}:${server.name}$`));
		sound(room);
		await alice.fails(400, "M_UNSUPPORTED_ROOM_VERSION", "POST", `${V3}/createRoom`, { room_version: "0" });
	});

	test("bad wishes", async () => {
		const bad = (code, body) => alice.fails(400, code, "POST", `${V3}/createRoom`, body);
		await bad("M_NOT_JSON", "{");
		await bad("M_BAD_JSON", "[]");
		await bad("M_BAD_JSON", { name: 7 });
		await bad("M_BAD_JSON", { invite: "x" });
		await bad("M_INVALID_PARAM", { preset: "no_such" });
		await bad("M_INVALID_ROOM_STATE", { power_level_content_override: { users: { [alice.userId]: 100 } } });
		await bad("M_BAD_JSON", '{"initial_state":[{"type":"x","content":{"n":1e3}}]}');
		assert.equal((await request(server, "POST", `${V3}/createRoom`, { body: {} })).body.errcode, "M_MISSING_TOKEN");
	});

	test("publicly listed", async () => {
		const room = await alice.createRoom({ visibility: "public" });
		const path = `${V3}/directory/list/room/${enc(room)}`;
		assert.deepEqual((await request(server, "GET", path)).body, { visibility: "public" });
		assert.equal((await alice.ok("GET", at(room, "/state/m.room.join_rules"))).join_rule, "public");
		await bob.fails(403, "M_FORBIDDEN", "PUT", path, { visibility: "private" });
		await alice.ok("PUT", path, { visibility: "private" });
		assert.deepEqual((await request(server, "GET", path)).body, { visibility: "private" });
		await alice.fails(404, "M_NOT_FOUND", "GET", `${V3}/directory/list/room/!none`);
	});
});

describe("membership", () => {
	test("invite, join, leave, kick, ban, unban, forget", async () => {
		const room = await alice.createRoom();
		await bob.fails(403, "M_FORBIDDEN", "POST", at(room, "/join"), {});
		await alice.invite(room, bob.userId);
		assert.deepEqual(await bob.ok("POST", at(room, "/join"), {}), { room_id: room });
		assert.deepEqual(await bob.ok("POST", at(room, "/join"), {}), { room_id: room }, "repeatedly joining does nothing");
		assert.ok((await bob.ok("GET", `${V3}/joined_rooms`)).joined_rooms.includes(room));
		await alice.fails(403, "M_FORBIDDEN", "POST", at(room, "/invite"), { user_id: bob.userId });
		await bob.fails(400, "M_UNKNOWN", "POST", at(room, "/forget"));
		await bob.fails(403, "M_FORBIDDEN", "POST", at(room, "/kick"), { user_id: alice.userId });
		await alice.ok("POST", at(room, "/kick"), { user_id: bob.userId, reason: "because" });
		assert.deepEqual(await bob.ok("GET", at(room, `/state/m.room.member/${enc(bob.userId)}`)), { membership: "leave", reason: "because" });
		await bob.ok("POST", at(room, "/forget"));
		await bob.fails(403, "M_FORBIDDEN", "GET", at(room, "/state"));
		await alice.ok("POST", at(room, "/ban"), { user_id: bob.userId });
		await alice.fails(403, "M_FORBIDDEN", "POST", at(room, "/invite"), { user_id: bob.userId });
		await alice.ok("POST", at(room, "/unban"), { user_id: bob.userId });
		await alice.fails(403, "M_FORBIDDEN", "POST", at(room, "/unban"), { user_id: bob.userId });
		await alice.invite(room, bob.userId);
		await bob.leave(room);
		assert.deepEqual((await alice.ok("GET", at(room, "/members?membership=join"))).chunk.map((e) => e.state_key), [alice.userId]);
		sound(room);
	});

	test("by alias, and with an empty body", async () => {
		const name = unique("by");
		const room = await alice.createRoom({ ...open, room_alias_name: name });
		const r = await bob.request("POST", `${V3}/join/${enc(`#${name}:${server.name}`)}?via=x.y&server_name=z`, {});
		assert.deepEqual(r.body, { room_id: room });
		await carol.fails(404, "M_NOT_FOUND", "POST", `${V3}/join/${enc(`#none:${server.name}`)}`, {});
		await carol.fails(400, "M_INVALID_PARAM", "POST", `${V3}/join/nonsense`, {});
	});

	test("bad requests", async () => {
		const room = await alice.createRoom(open);
		await alice.fails(400, "M_MISSING_PARAM", "POST", at(room, "/invite"), {});
		await alice.fails(400, "M_INVALID_PARAM", "POST", at(room, "/invite"), { user_id: "bob" });
		await alice.fails(400, "M_BAD_JSON", "POST", at(room, "/invite"), { user_id: 1 });
		await alice.fails(404, "M_NOT_FOUND", "POST", at(room, "/invite"), { user_id: `@${unique()}:${server.name}` });
		await alice.fails(403, "M_THREEPID_DENIED", "POST", at(room, "/invite"), { medium: "email", address: "a@b", id_server: "x" });
		await alice.fails(400, "M_BAD_JSON", "POST", at(room, "/leave"), { reason: {} });
		await bob.fails(403, "M_FORBIDDEN", "POST", at(room, "/leave"));
		await bob.fails(403, "M_FORBIDDEN", "POST", at("!unknown:x", "/join"), {});
	});

	test("a changed display name goes into the member events", async () => {
		const dora = await register(server);
		const room = await dora.createRoom();
		await dora.sync();
		await dora.ok("PUT", `${V3}/profile/${enc(dora.userId)}/displayname`, { displayname: "Dora!" });
		const ev = await dora.syncUntil((s) => s.rooms?.join?.[room]?.timeline.events.find((e) => e.content.displayname === "Dora!"));
		assert.equal(ev.state_key, dora.userId);
		assert.equal(ev.unsigned.prev_content.displayname, dora.name);
		assert.deepEqual((await dora.ok("GET", at(room, "/joined_members"))).joined, { [dora.userId]: { display_name: "Dora!" } });
		sound(room);
	});
});

describe("sending", () => {
	test("the same transaction id: the same event, also at the same moment, and for r0", async () => {
		const room = await alice.createRoom(open);
		const put = (v) => alice.ok("PUT", `/_matrix/client/${v}/rooms/${enc(room)}/send/m.room.message/t1`, { body: "once", msgtype: "m.text" });
		const answers = await Promise.all([put("v3"), put("v3"), put("r0"), put("v3"), put("r0"), put("v3")]);
		assert.equal(new Set(answers.map((a) => a.event_id)).size, 1);
		const other = await alice.ok("PUT", at(room, "/send/m.room.other/t1"), {});
		assert.notEqual(other.event_id, answers[0].event_id, "the path is part of it");
		assert.deepEqual(bodies((await alice.ok("GET", at(room, "/messages?dir=b&limit=100"))).chunk), ["once"]);
		const seen = await alice.ok("GET", at(room, `/event/${enc(answers[0].event_id)}`));
		assert.equal(seen.unsigned.transaction_id, "t1");
		assert.equal(seen.unsigned.membership, "join");
		sound(room);
	});

	test("many at once: none is lost, none comes twice, the order is one", async () => {
		const room = await alice.createRoom(open);
		await bob.join(room);
		const ids = await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? bob : alice).send(room, `${i}`)));
		assert.equal(new Set(ids).size, 40);
		const down = (await alice.ok("GET", at(room, "/messages?dir=b&limit=40"))).chunk.map((e) => e.event_id);
		const up = (await bob.ok("GET", at(room, "/messages?dir=f&limit=100"))).chunk.map((e) => e.event_id).slice(-40);
		assert.deepEqual(down, up.reverse());
		assert.deepEqual([...down].sort(), [...ids].sort());
		sound(room);
	});

	test("odd types, keys and texts come back as they were", async () => {
		const room = await alice.createRoom(open);
		const type = 'x/ü %"\\', key = "k/\u0001é";
		const content = { text: "\u0000 \"\\ \u2028 \ud83d\ude00", n: -9007199254740991, nested: [{}, null, true] };
		const id = await alice.send(room, content, type);
		const got = await alice.ok("GET", at(room, `/event/${enc(id)}`));
		assert.equal(got.type, type);
		assert.deepEqual(got.content, content);
		await alice.setState(room, type, content, key);
		assert.deepEqual(await alice.ok("GET", at(room, `/state/${enc(type)}/${enc(key)}`)), content);
		const whole = await alice.ok("GET", at(room, `/state/${enc(type)}/${enc(key)}?format=event`));
		assert.equal(whole.state_key, key);
		assert.equal(whole.room_id, room);
		sound(room);
	});

	test("what is refused", async () => {
		const room = await alice.createRoom(open);
		const send = (who, code, errcode, type, body) => who.fails(code, errcode, "PUT", at(room, `/send/${enc(type)}/${unique()}`), body);
		await send(bob, 403, "M_FORBIDDEN", "m.room.message", {});
		await send(alice, 400, "M_BAD_JSON", "m.room.message", '{"x":1.5}');
		await send(alice, 400, "M_BAD_JSON", "m.room.message", '{"x":9007199254740992}');
		await send(alice, 400, "M_NOT_JSON", "m.room.message", "hello");
		await send(alice, 400, "M_BAD_JSON", "m.room.message", "[]");
		await send(alice, 413, "M_TOO_LARGE", "m.room.message", { body: "x".repeat(66000) });
		await send(alice, 413, "M_TOO_LARGE", "x".repeat(256), {});
		await send(alice, 403, "M_FORBIDDEN", "m.room.create", {});
		await alice.fails(403, "M_FORBIDDEN", "PUT", at("!unknown:x", "/send/x/1"), {});
		assert.deepEqual(types((await alice.ok("GET", at(room, "/messages?dir=b&limit=1"))).chunk), ["m.room.guest_access"], "nothing was added");
		await alice.fails(405, "M_UNRECOGNIZED", "DELETE", at(room, "/send/x/1"));
		sound(room);
	});

	test("without a transaction id: POST, as the guide has it", async () => {
		const room = await alice.createRoom(open);
		const { event_id: id } = await alice.ok("POST", at(room, "/send/m.room.message"), { msgtype: "m.text", body: "hello" });
		assert.equal((await alice.ok("GET", at(room, `/event/${enc(id)}`))).content.body, "hello");
	});
});

describe("state", () => {
	test("the same content again is the same event; with and without a key in the path", async () => {
		const room = await alice.createRoom(open);
		const id = await alice.setState(room, "m.room.name", { name: "n" });
		assert.equal((await alice.ok("PUT", at(room, "/state/m.room.name"), { name: "n" })).event_id, id);
		assert.deepEqual(await alice.ok("GET", at(room, "/state/m.room.name")), { name: "n" });
		assert.deepEqual(await alice.ok("GET", at(room, "/state/m.room.name/")), { name: "n" });
		await alice.fails(404, "M_NOT_FOUND", "GET", at(room, "/state/m.room.topic"));
		await bob.fails(403, "M_FORBIDDEN", "GET", at(room, "/state/m.room.name"));
		await bob.join(room);
		await bob.fails(403, "M_FORBIDDEN", "PUT", at(room, "/state/m.room.name"), { name: "mine" });
		await bob.fails(403, "M_FORBIDDEN", "PUT", at(room, `/state/m.room.member/${enc(alice.userId)}`), { membership: "leave" });
		await bob.fails(400, "M_BAD_JSON", "PUT", at(room, `/state/m.room.member/${enc(bob.userId)}`), { membership: "here" });
		sound(room);
	});

	test("power can be given", async () => {
		const room = await alice.createRoom(open);
		await bob.join(room);
		const levels = await alice.ok("GET", at(room, "/state/m.room.power_levels"));
		await alice.setState(room, "m.room.power_levels", { ...levels, users: { [bob.userId]: 50 } });
		await bob.setState(room, "m.room.name", { name: "by bob" });
		await bob.fails(403, "M_FORBIDDEN", "PUT", at(room, "/state/m.room.power_levels"), { ...levels, users: { [bob.userId]: 100 } });
		sound(room);
	});
});

describe("reading", () => {
	test("pages in both directions, filters, tokens of a sync", async () => {
		const room = await alice.createRoom(open);
		await bob.join(room);
		await alice.send(room, "1");
		await alice.sync();
		const since = alice.since;
		for (const n of [2, 3, 4]) await (n === 3 ? bob : alice).send(room, `${n}`);
		const page = (q) => alice.ok("GET", at(room, `/messages?${q}`));
		let p = await page("dir=b&limit=2");
		assert.deepEqual(bodies(p.chunk), ["4", "3"]);
		p = await page(`dir=b&limit=2&from=${enc(p.end)}`);
		assert.deepEqual(bodies(p.chunk), ["2", "1"]);
		assert.deepEqual(bodies((await page(`dir=f&from=${enc(p.end)}&limit=2`)).chunk), ["1", "2"]);
		assert.deepEqual(bodies((await page(`dir=f&from=${enc(since)}`)).chunk), ["2", "3", "4"]);
		assert.deepEqual(bodies((await page(`dir=b&from=${enc(since)}&limit=1`)).chunk), ["1"]);
		assert.deepEqual(bodies((await page(`dir=f&from=${enc(since)}&to=${enc(p.start)}`)).chunk), ["2"]);
		const filter = enc(JSON.stringify({ senders: [bob.userId], lazy_load_members: true }));
		p = await page(`dir=b&limit=1&filter=${filter}`);
		assert.deepEqual(bodies(p.chunk), ["3"]);
		assert.deepEqual(p.state.map((e) => e.state_key), [bob.userId]);
		const all = await page("dir=b&limit=1000");
		assert.equal(all.chunk.at(-1).type, "m.room.create");
		assert.equal(all.end, undefined);
		await alice.fails(400, "M_MISSING_PARAM", "GET", at(room, "/messages"));
		await alice.fails(400, "M_INVALID_PARAM", "GET", at(room, "/messages?dir=x"));
		await alice.fails(400, "M_INVALID_PARAM", "GET", at(room, "/messages?dir=b&from=nonsense"));
		await alice.fails(400, "M_INVALID_PARAM", "GET", at(room, "/messages?dir=b&limit=-1"));
		await alice.fails(400, "M_NOT_JSON", "GET", at(room, "/messages?dir=b&filter=%7B"));
		await carol.fails(403, "M_FORBIDDEN", "GET", at(room, "/messages?dir=b"));
	});

	test("prev_batch of a limited sync leads on without gap or overlap", async () => {
		const room = await alice.createRoom(open);
		for (let i = 0; i < 6; i++) await alice.send(room, `${i}`);
		const s = await alice.sync({ since: null, filter: { room: { timeline: { limit: 2 }, rooms: [room] } } });
		const { timeline } = s.rooms.join[room];
		assert.deepEqual(bodies(timeline.events), ["4", "5"]);
		assert.equal(timeline.limited, true);
		const p = await alice.ok("GET", at(room, `/messages?dir=b&limit=3&from=${enc(timeline.prev_batch)}`));
		assert.deepEqual(bodies(p.chunk), ["3", "2", "1"]);
	});

	test("members as they were at a token", async () => {
		const room = await alice.createRoom(open);
		await alice.sync({ since: null });
		await bob.join(room);
		const who = async (q) => (await alice.ok("GET", at(room, `/members?${q}`))).chunk.map((e) => e.state_key).sort();
		assert.deepEqual(await who(""), [alice.userId, bob.userId].sort());
		assert.deepEqual(await who(`at=${enc(alice.since)}`), [alice.userId]);
		await bob.leave(room);
		assert.deepEqual(await who("not_membership=leave"), [alice.userId]);
		await alice.fails(400, "M_INVALID_PARAM", "GET", at(room, "/members?membership=x"));
	});

	test("history visibility is judged at the event", async () => {
		const room = await alice.createRoom({ ...open, initial_state: [{ type: "m.room.history_visibility", content: { history_visibility: "joined" } }] });
		const hidden = await alice.send(room, "hidden");
		await bob.join(room);
		const seen = await alice.send(room, "seen");
		await bob.leave(room);
		const later = await alice.send(room, "later");
		assert.deepEqual(bodies((await bob.ok("GET", at(room, "/messages?dir=b&limit=100"))).chunk), ["seen"]);
		await bob.ok("GET", at(room, `/event/${enc(seen)}`));
		for (const id of [hidden, later, "$none"]) await bob.fails(404, "M_NOT_FOUND", "GET", at(room, `/event/${enc(id)}`));
		await bob.fails(404, "M_NOT_FOUND", "GET", at(room, `/context/${enc(hidden)}`));
		await carol.fails(404, "M_NOT_FOUND", "GET", at(room, `/event/${enc(seen)}`));
		const c = await bob.ok("GET", at(room, `/context/${enc(seen)}?limit=10`));
		assert.deepEqual(bodies([...c.events_before, c.event, ...c.events_after]), ["seen"]);
	});
});

describe("redaction", () => {
	test("prunes the event, says by what, and is idempotent by transaction id", async () => {
		const room = await alice.createRoom(open);
		await bob.join(room);
		const id = await bob.send(room, "regret");
		const redact = (who, txn) => who.ok("PUT", at(room, `/redact/${enc(id)}/${txn}`), { reason: "r" });
		await carol.fails(403, "M_FORBIDDEN", "PUT", at(room, `/redact/${enc(id)}/1`), {});
		const by = await redact(bob, "1");
		assert.equal((await redact(bob, "1")).event_id, by.event_id);
		const ev = await alice.ok("GET", at(room, `/event/${enc(id)}`));
		assert.deepEqual(ev.content, {});
		assert.equal(ev.unsigned.redacted_because.event_id, by.event_id);
		assert.equal(ev.unsigned.redacted_because.content.reason, "r");
		const redaction = await alice.ok("GET", at(room, `/event/${enc(by.event_id)}`));
		assert.equal(redaction.redacts, id);
		assert.equal(redaction.content.redacts, id);
		const own = await alice.send(room, "not yours");
		await bob.fails(403, "M_FORBIDDEN", "PUT", at(room, `/redact/${enc(own)}/2`), {});
		await bob.fails(403, "M_FORBIDDEN", "PUT", at(room, "/send/m.room.redaction/3"), { redacts: own });
		await alice.ok("PUT", at(room, "/send/m.room.redaction/4"), { redacts: own });
		assert.deepEqual((await bob.ok("GET", at(room, `/event/${enc(own)}`))).content, {});
		await alice.fails(400, "M_MISSING_PARAM", "PUT", at(room, "/send/m.room.redaction/5"), {});
		await alice.fails(404, "M_NOT_FOUND", "PUT", at(room, "/redact/$none/6"), {});
		sound(room);
	});
});

describe("aliases", () => {
	test("made, found, listed, taken, removed", async () => {
		const room = await alice.createRoom(open), alias = `#${unique("a")}/ü:${server.name}`, path = `${V3}/directory/room/${enc(alias)}`;
		await bob.fails(403, "M_FORBIDDEN", "PUT", path, { room_id: room });
		await alice.ok("PUT", path, { room_id: room });
		await alice.fails(409, "M_UNKNOWN", "PUT", path, { room_id: room });
		assert.deepEqual((await request(server, "GET", path)).body, { room_id: room, servers: [server.name] });
		assert.deepEqual(await alice.ok("GET", at(room, "/aliases")), { aliases: [alias] });
		await bob.fails(403, "M_FORBIDDEN", "GET", at(room, "/aliases"));
		await alice.setState(room, "m.room.canonical_alias", { alias });
		await alice.fails(400, "M_BAD_ALIAS", "PUT", at(room, "/state/m.room.canonical_alias"), { alias: `#none:${server.name}` });
		await bob.fails(403, "M_FORBIDDEN", "DELETE", path);
		await alice.ok("DELETE", path);
		await alice.fails(404, "M_NOT_FOUND", "DELETE", path);
		await alice.fails(400, "M_INVALID_PARAM", "PUT", `${V3}/directory/room/nonsense`, { room_id: room });
		await alice.fails(400, "M_MISSING_PARAM", "PUT", path, {});
	});
});
