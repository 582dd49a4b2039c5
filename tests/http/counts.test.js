// Unread counts and notifications: what a user's devices are told of what he has not read.
"use strict";
const { test, before } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, login, enc } = require("./lib/client.js");

let server, alice, bob, phone, room;
before(async () => {
	server = await shared();
	[alice, bob] = await Promise.all([register(server), register(server)]);
	phone = await login(server, bob.name, bob.password);
	room = await alice.createRoom({ preset: "public_chat" });
	await bob.join(room);
	await bob.sync();
	await phone.sync();
});

const counts = (answer, r = room) => {
	const n = answer.rooms?.join?.[r]?.unread_notifications;
	return n && `${n.notification_count}/${n.highlight_count}`;
};
const receipt = (client, kind, event, body = {}) =>
	client.ok("POST", `/_matrix/client/v3/rooms/${enc(room)}/receipt/${kind}/${enc(event)}`, body);
const notifications = (client, query = "") => client.ok("GET", `/_matrix/client/v3/notifications${query}`);
const mention = (...users) => ({ msgtype: "m.text", body: "you", "m.mentions": { user_ids: users } });

test("a waiting sync gets the event and its count in one answer", async () => {
	const [answer] = await Promise.all([
		bob.syncUntil((a) => a.rooms?.join?.[room]?.timeline?.events.some((e) => e.content.body === "one") && a),
		alice.send(room, "one"),
	]);
	assert.equal(counts(answer), "1/0");
	await alice.send(room, mention(bob.userId));
	assert.equal(counts(await bob.sync()), "2/1");
});

test("a private receipt of another device wakes a sync for the counts alone", async () => {
	const last = await alice.send(room, "two");
	assert.equal(counts(await bob.sync()), "3/1");
	const [answer] = await Promise.all([
		bob.syncUntil((a) => counts(a) === "0/0" && a, { what: "a count of 0" }),
		receipt(phone, "m.read.private", last),
	]);
	assert.equal(answer.rooms.join[room].timeline, undefined);
	// Earlier than what is read already: nothing changes.
	const first = (await alice.ok("GET", `/_matrix/client/v3/rooms/${enc(room)}/messages?dir=b&limit=5`)).chunk.at(-1).event_id;
	await receipt(phone, "m.read", first);
	await alice.send(room, "three");
	assert.equal(counts(await bob.syncUntil((a) => a.rooms?.join?.[room]?.timeline && a)), "1/0");
});

test("changed push rules wake a sync, and what is muted does not count", async () => {
	const rule = `/_matrix/client/v3/pushrules/global/override/${enc(room)}`;
	const muted = bob.syncUntil((a) => counts(a) === "0/0" && a, { what: "a muted room" });
	await phone.ok("PUT", rule, { actions: [], conditions: [{ kind: "event_match", key: "room_id", pattern: room }] });
	await muted;
	await alice.send(room, mention(bob.userId));
	assert.equal(counts(await bob.sync()), "0/0");
	await phone.ok("DELETE", rule);
	assert.equal(counts(await bob.sync()), "2/1");
});

test("threads are counted for themselves where the filter asks", async () => {
	const filter = { room: { timeline: { unread_thread_notifications: true } } };
	const root = await alice.send(room, "root");
	await receipt(bob, "m.read", root);
	await alice.send(room, { msgtype: "m.text", body: "in it", "m.relates_to": { rel_type: "m.thread", event_id: root } });
	const answer = await bob.sync({ filter });
	assert.equal(counts(answer), "0/0");
	assert.deepEqual(answer.rooms.join[room].unread_thread_notifications, { [root]: { highlight_count: 0, notification_count: 1 } });
	assert.equal(counts(await phone.sync()), "1/0");
	const initial = await phone.sync({ since: null, filter });
	assert.deepEqual(initial.rooms.join[room].unread_thread_notifications, { [root]: { highlight_count: 0, notification_count: 1 } });
	await receipt(bob, "m.read", root);
});

test("redacted messages and those of ignored users do not count", async () => {
	const carol = await register(server);
	await carol.join(room);
	const said = await alice.send(room, "oops");
	await carol.send(room, mention(bob.userId));
	const before = await bob.sync();
	assert.equal(counts(before), "3/1");
	await alice.ok("PUT", `/_matrix/client/v3/rooms/${enc(room)}/redact/${enc(said)}/r1`, {});
	assert.equal(counts(await bob.sync()), "2/1");
	await bob.ok("PUT", `/_matrix/client/v3/user/${enc(bob.userId)}/account_data/m.ignored_user_list`, { ignored_users: { [carol.userId]: {} } });
	assert.equal(counts(await bob.sync()), "1/0");
});

test("notifications are listed, newest first, page by page, with what is read", async () => {
	const dave = await register(server);
	await dave.join(room);
	const sent = [];
	for (let i = 0; i < 5; i++) {
		sent.unshift(await alice.send(room, i % 2 ? mention(dave.userId) : `message ${i}`));
		await alice.send(room, { msgtype: "m.notice", body: "beep" });
		await dave.send(room, { msgtype: "m.text", body: "own", "m.relates_to": { rel_type: "m.thread", event_id: sent[0] } });
	}
	const all = await notifications(dave);
	assert.deepEqual(all.notifications.map((n) => n.event.event_id), sent);
	assert.equal(all.next_token, undefined);
	const one = all.notifications[1];
	assert.equal(one.room_id, room);
	assert.equal(one.read, false);
	assert.equal(one.ts, one.event.origin_server_ts);
	assert.equal(one.event.room_id, undefined);
	assert.deepEqual(one.actions, ["notify", { set_tweak: "sound", value: "default" }, { set_tweak: "highlight" }]);

	const pages = [];
	for (let from, n = 0; n < 10; n++) {
		const page = await notifications(dave, `?limit=2${from ? `&from=${enc(from)}` : ""}`);
		pages.push(...page.notifications.map((x) => x.event.event_id));
		if (!(from = page.next_token)) break;
	}
	assert.deepEqual(pages, sent);
	assert.equal((await notifications(dave, "?only=highlight")).notifications.length, 2);

	await receipt(dave, "m.read", sent[2], { thread_id: "main" });
	assert.deepEqual((await notifications(dave)).notifications.map((n) => n.read), [false, false, true, true, true]);

	const other = await alice.createRoom({ invite: [dave.userId] });
	const invited = (await notifications(dave)).notifications[0];
	assert.equal(`${invited.room_id} ${invited.event.content.membership}`, `${other} invite`);
	await dave.fails(400, "M_INVALID_PARAM", "GET", "/_matrix/client/v3/notifications?from=t1");
	await dave.fails(400, "M_INVALID_PARAM", "GET", "/_matrix/client/v3/notifications?limit=0");
});
