// The client-server guide, word for word: every command line is the guide's own, in its order and form. What is put in for its
// examples: the server's port, tokens, the room's id, sync tokens; and to curl itself the certificate of this test's server.
"use strict";
const { test, before } = require("node:test");
const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const { promisify } = require("node:util");
const { shared } = require("./lib/server.js");

const GUIDE_ROOM = "asfLdzLnOdGRkdPZWu:localhost";
let server;

before(async () => { server = await shared(); });

// Runs a command line of the guide by a shell, as a reader would. fill: what replaces the guide's examples, in turn.
async function guide(line, fill = {}) {
	let command = line.replace("https://localhost:8448", server.url.replace("127.0.0.1", "localhost"));
	assert.notEqual(command, line);
	for (const [example, value] of Object.entries(fill)) {
		assert.ok(command.includes(example), `${example} in ${line}`);
		command = command.replaceAll(example, value);
	}
	command = command.replace(/^curl /, `curl --silent --show-error --max-time 60 --cacert ${server.caFile} --write-out '\\n%{http_code} %{content_type}' `);
	const { stdout } = await promisify(execFile)("/bin/sh", ["-c", command]);
	const end = stdout.lastIndexOf("\n"), [status, type] = stdout.slice(end + 1).split(" ");
	assert.equal(status, "200", `${line}: ${stdout}`);
	assert.match(type, /^application\/json/);
	return JSON.parse(stdout.slice(0, end));
}

const nothing = (rooms, kind) => assert.deepEqual(Object.keys(rooms?.[kind] ?? {}), []);

test("the guide, from registration to live state", async (t) => {
	let token, friend, room, roomInPath, since;
	const me = { get YOUR_ACCESS_TOKEN() { return token; } };

	await t.test("Registration", async () => {
		const r = await guide(`curl -XPOST -d '{"username":"example", "password":"wordpass", "auth": {"type":"m.login.dummy"}}' "https://localhost:8448/_matrix/client/r0/register"`);
		assert.equal(r.user_id, "@example:localhost");
		assert.equal(r.home_server, "localhost");
		assert.match(r.access_token, /^\S+$/);
	});

	await t.test("a name is made up when none is given", async () => {
		const r = await guide(`curl -XPOST -d '{"auth": {"type":"m.login.dummy"}}' "https://localhost:8448/_matrix/client/r0/register"`);
		assert.match(r.user_id, /^@[a-z0-9._=/+-]+:localhost$/);
		assert.ok(r.access_token);
	});

	await t.test("Login: the flows", async () => {
		const r = await guide(`curl -XGET "https://localhost:8448/_matrix/client/r0/login"`);
		assert.ok(r.flows.some((f) => f.type === "m.login.password"));
	});

	await t.test("Login", async () => {
		const r = await guide(`curl -XPOST -d '{"type":"m.login.password", "user":"example", "password":"wordpass"}' "https://localhost:8448/_matrix/client/r0/login"`);
		assert.equal(r.user_id, "@example:localhost");
		assert.equal(r.home_server, "localhost");
		token = r.access_token;
		assert.match(token, /^\S+$/);
	});

	await t.test("Creating a room", async () => {
		const r = await guide(`curl -XPOST -d '{"room_alias_name":"tutorial"}' "https://localhost:8448/_matrix/client/r0/createRoom?access_token=YOUR_ACCESS_TOKEN"`, { ...me });
		assert.equal(r.room_alias, "#tutorial:localhost");
		assert.match(r.room_id, /^!/);
		room = r.room_id;
		roomInPath = room.replace(/^!/, "%21");	// as the guide writes it: only the "!" encoded, for the shell's sake
	});

	await t.test("Sending messages", async () => {
		const r = await guide(`curl -XPOST -d '{"msgtype":"m.text", "body":"hello"}' "https://localhost:8448/_matrix/client/r0/rooms/%21${GUIDE_ROOM}/send/m.room.message?access_token=YOUR_ACCESS_TOKEN"`, { ...me, [`%21${GUIDE_ROOM}`]: roomInPath });
		assert.match(r.event_id, /^\$/);
	});

	await t.test("Inviting a user to a room", async () => {
		friend = await guide(`curl -XPOST -d '{"username":"myfriend", "password":"wordpass", "auth": {"type":"m.login.dummy"}}' "https://localhost:8448/_matrix/client/r0/register"`);
		assert.equal(friend.user_id, "@myfriend:localhost");
		const r = await guide(`curl -XPOST -d '{"user_id":"@myfriend:localhost"}' "https://localhost:8448/_matrix/client/r0/rooms/%21${GUIDE_ROOM}/invite?access_token=YOUR_ACCESS_TOKEN"`, { ...me, [`%21${GUIDE_ROOM}`]: roomInPath });
		assert.deepEqual(r, {});
		const sync = await guide(`curl -XGET "https://localhost:8448/_matrix/client/r0/sync?access_token=YOUR_ACCESS_TOKEN"`, { YOUR_ACCESS_TOKEN: friend.access_token });
		const invite = sync.rooms.invite[room].invite_state.events.find((e) => e.type === "m.room.member" && e.state_key === "@myfriend:localhost");
		assert.equal(invite.content.membership, "invite");
		assert.equal(invite.sender, "@example:localhost");
	});

	await t.test("Joining a room via an invite", async () => {
		for (const again of [false, true]) {	// "Repeatedly joining a room does nothing."
			const r = await guide(`curl -XPOST -d '{}' "https://localhost:8448/_matrix/client/r0/rooms/%21${GUIDE_ROOM}/join?access_token=YOUR_ACCESS_TOKEN"`, { YOUR_ACCESS_TOKEN: friend.access_token, [`%21${GUIDE_ROOM}`]: roomInPath });
			assert.equal(r.room_id, room, `again: ${again}`);
		}
	});

	await t.test("Joining a room via an alias", async () => {
		const r = await guide(`curl -XPOST -d '{}' "https://localhost:8448/_matrix/client/r0/join/%21${GUIDE_ROOM}?access_token=YOUR_ACCESS_TOKEN"`, { YOUR_ACCESS_TOKEN: friend.access_token, [`%21${GUIDE_ROOM}`]: roomInPath });
		assert.deepEqual(r, { room_id: room });
		const alias = await guide(`curl -XPOST -d '{}' "https://localhost:8448/_matrix/client/r0/join/%21${GUIDE_ROOM}?access_token=YOUR_ACCESS_TOKEN"`, { YOUR_ACCESS_TOKEN: friend.access_token, [`%21${GUIDE_ROOM}`]: "%23tutorial:localhost" });
		assert.deepEqual(alias, { room_id: room });
	});

	await t.test("Getting all state", async () => {
		const r = await guide(`curl -XGET "https://localhost:8448/_matrix/client/r0/sync?access_token=YOUR_ACCESS_TOKEN"`, { ...me });
		assert.ok(Array.isArray(r.account_data.events));
		assert.equal(typeof r.next_batch, "string");
		assert.deepEqual(Object.keys(r.rooms.join), [room]);
		const joined = r.rooms.join[room], events = [...joined.state.events, ...joined.timeline.events];
		const create = events.find((e) => e.type === "m.room.create");
		assert.equal(create.sender, "@example:localhost");
		assert.equal(create.state_key, "");
		assert.equal(typeof create.origin_server_ts, "number");
		assert.match(create.event_id, /^\$/);
		const member = events.find((e) => e.type === "m.room.member" && e.state_key === "@example:localhost");
		assert.equal(member.content.membership, "join");
		const hello = joined.timeline.events.find((e) => e.type === "m.room.message");
		assert.deepEqual(hello.content, { body: "hello", msgtype: "m.text" });
		assert.equal(typeof hello.unsigned.age, "number");
		assert.equal(typeof joined.timeline.limited, "boolean");
		assert.equal(typeof joined.timeline.prev_batch, "string");
		for (const kind of ["account_data", "ephemeral"]) assert.deepEqual(joined[kind]?.events ?? [], []);
		nothing(r.rooms, "invite");
		nothing(r.rooms, "leave");
	});

	await t.test("a filter asks for one event of the timeline", async () => {
		await guide(`curl -XPOST -d '{"msgtype":"m.text", "body":"hello"}' "https://localhost:8448/_matrix/client/r0/rooms/%21${GUIDE_ROOM}/send/m.room.message?access_token=YOUR_ACCESS_TOKEN"`, { ...me, [`%21${GUIDE_ROOM}`]: roomInPath });
		const r = await guide(`curl --globoff -XGET 'https://localhost:8448/_matrix/client/r0/sync?filter={"room":{"timeline":{"limit":1}}}&access_token=YOUR_ACCESS_TOKEN'`, { ...me });
		const { timeline } = r.rooms.join[room];
		assert.equal(timeline.events.length, 1);
		assert.deepEqual(timeline.events[0].content, { body: "hello", msgtype: "m.text" });
		assert.equal(timeline.events[0].sender, "@example:localhost");
		assert.equal(timeline.limited, true);
		assert.equal(typeof timeline.prev_batch, "string");
		since = r.next_batch;
	});

	const live = (token_, more = "") => guide(`curl -XGET "https://localhost:8448/_matrix/client/r0/sync?since=s9_7_0_1_1_1&access_token=YOUR_ACCESS_TOKEN${more}"`, { YOUR_ACCESS_TOKEN: token_, "s9_7_0_1_1_1": since });

	await t.test("Getting live state: nothing is new, and that is told at once", async () => {
		const r = await live(token);
		assert.equal(typeof r.next_batch, "string");
		for (const kind of ["invite", "join", "leave"]) nothing(r.rooms, kind);
		assert.deepEqual(r.account_data?.events ?? [], []);
		assert.deepEqual(r.presence?.events ?? [], []);
		since = r.next_batch;
	});

	await t.test("with a timeout, the server waits for what the friend says", async () => {
		const waiting = live(token, "&timeout=30000");
		const sent = await guide(`curl -XPOST -d '{"msgtype":"m.text", "body":"hello"}' "https://localhost:8448/_matrix/client/r0/rooms/%21${GUIDE_ROOM}/send/m.room.message?access_token=YOUR_ACCESS_TOKEN"`, { YOUR_ACCESS_TOKEN: friend.access_token, [`%21${GUIDE_ROOM}`]: roomInPath });
		const { timeline } = (await waiting).rooms.join[room];
		assert.deepEqual(timeline.events.map((e) => [e.event_id, e.sender]), [[sent.event_id, "@myfriend:localhost"]]);
	});

	await t.test("room ids that hold a server's name: the colon need not be encoded", async () => {
		const r = await guide(`curl -XPOST -d '{"room_version":"11"}' "https://localhost:8448/_matrix/client/r0/createRoom?access_token=YOUR_ACCESS_TOKEN"`, { ...me });
		assert.match(r.room_id, /^![^:]+:localhost$/);
		const sent = await guide(`curl -XPOST -d '{"msgtype":"m.text", "body":"hello"}' "https://localhost:8448/_matrix/client/r0/rooms/%21${GUIDE_ROOM}/send/m.room.message?access_token=YOUR_ACCESS_TOKEN"`, { ...me, [`%21${GUIDE_ROOM}`]: r.room_id.replace(/^!/, "%21") });
		assert.match(sent.event_id, /^\$/);
	});
});

test("GET /login/fallback leads to a page by which one can log in", async () => {
	const { stdout } = await promisify(execFile)("curl", ["--silent", "--show-error", "--location", "--cacert", server.caFile, "--write-out", "\n%{http_code} %{content_type}", `${server.url}/_matrix/client/r0/login/fallback`]);
	assert.match(stdout, /\n200 text\/html/);
	assert.match(stdout, /<form/i);
});
