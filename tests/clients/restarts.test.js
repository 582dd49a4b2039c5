// matrix-js-sdk stays in step while workers die and the database crashes, and shows the right badges, per room and per thread.
import { account, device, goodbye, RoomEvents, seen } from './people.js';
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import sdk from 'matrix-js-sdk';
import lib from '../http/lib/server.js';
import http from '../http/lib/client.js';
import postgres from '../http/lib/postgres.js';

const { waitFor } = http;
let pg, server, alice, bob, room;
before(async () => {
	const ca = process.env.HEARTH_TEST_CA;	// the certificate of the server that tests/clients/run started: this process trusts it
	pg = await postgres.startPostgres({ durable: true });
	server = await lib.start({ HEARTH_DATABASE_URL: pg.url, HEARTH_SYNC_WORKERS: '2', HEARTH_WEB_WORKERS: '2',
		HEARTH_TLS_CERT: ca, HEARTH_TLS_KEY: path.join(path.dirname(ca), 'key.pem') });
	[alice, bob] = await Promise.all(['alice', 'bob'].map(async (name) => device(server.url, await account(server.url, name), { start: { threadSupport: true } })));
	room = (await alice.createRoom({ name: 'Talk', preset: sdk.Preset.PublicChat })).room_id;
	await bob.joinRoom(room);
	await seen(alice, RoomEvents, () => alice.getRoom(room)?.getJoinedMemberCount() === 2, 'bob joined, at alice');
	await seen(bob, RoomEvents, () => bob.getRoom(room)?.getMyMembership() === 'join', 'bob joined, at bob');
});
after(async () => {
	for (const c of [alice, bob]) c?.stopClient();
	await server?.stop();
	await pg?.end();
	await goodbye();	// ends this process
});

const kill = (role) => server.children(/ serve /).filter((pid) => fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === `hearth ${role}`)
	.forEach((pid) => process.kill(pid, 'SIGKILL'));
const body = (text) => (e) => e.getContent().body === text;
const message = (who, text) => seen(who, RoomEvents, () => who.getRoom(room).getLiveTimeline().getEvents().find(body(text)), `${text}, at ${who.getUserId()}`, 40);
// As a client does: again with the same transaction id, until it is there.
async function say(who, text, more = {}) {
	const txn = who.makeTxnId();
	await waitFor(() => who.http.authedRequest('PUT', `/rooms/${encodeURIComponent(room)}/send/m.room.message/${txn}`, undefined,
		{ msgtype: 'm.text', body: text, ...more }).then((r) => r.event_id, () => undefined), { timeout: 30000, what: `sent: ${text}` });
	return (await message(who, text)).getId();
}

// The SDK's timeline and state of the room are the server's.
async function inStep(who) {
	const { chunk } = await who.createMessagesRequest(room, null, 100, sdk.Direction.Backward);
	const mine = () => who.getRoom(room).getLiveTimeline().getEvents().map((e) => e.getId());
	const its = chunk.map((e) => e.event_id).reverse();
	await seen(who, RoomEvents, () => mine().at(-1) === its.at(-1), `the last event, at ${who.getUserId()}`);
	assert.deepEqual(mine().slice(-its.length), its.slice(-mine().length));
	assert.equal(new Set(mine()).size, mine().length, 'no event twice');
	const state = who.getRoom(room).getLiveTimeline().getState(sdk.EventTimeline.FORWARDS);
	for (const e of await who.roomState(room))
		assert.equal(state.getStateEvents(e.type, e.state_key)?.getId(), e.event_id, `${e.type} ${e.state_key}`);
}

test('over the death of workers', async () => {
	for (const role of ['sync', 'web', 'park', 'sync']) {
		kill(role);
		await say(alice, `alice, ${role} died`);
		await say(bob, `bob, ${role} died`);
		await Promise.all([message(bob, `alice, ${role} died`), message(alice, `bob, ${role} died`)]);
	}
	for (const who of [alice, bob]) await inStep(who);
});

test('over a crash of the database', async () => {
	for (let i = 0; i < 2; i++) {
		await say(alice, `before crash ${i}`);
		pg.stop('immediate');
		if (i) kill('sync');
		pg.start();
		await say(bob, `after crash ${i}`);
		await waitFor(() => alice.setRoomTopic(room, `crashed ${i}`).then(() => true, () => false), { timeout: 30000, what: 'a topic' });
		await Promise.all([alice, bob].flatMap((who) => [message(who, `before crash ${i}`), message(who, `after crash ${i}`)]));
	}
	await seen(bob, [...RoomEvents, sdk.RoomStateEvent.Events], () => bob.getRoom(room).currentState.getStateEvents('m.room.topic', '')?.getContent().topic === 'crashed 1', 'the topic');
	for (const who of [alice, bob]) await inStep(who);
});

test('badges, of the room and of a thread, over the death of workers', async () => {
	const Type = sdk.NotificationCountType, events = [...RoomEvents, sdk.RoomEvent.UnreadNotifications, sdk.RoomEvent.Receipt];
	const counts = () => {
		const r = bob.getRoom(room);
		return [r.getRoomUnreadNotificationCount(Type.Total), r.getRoomUnreadNotificationCount(Type.Highlight),
			root ? r.getThreadUnreadNotificationCount(root, Type.Total) : 0, root ? r.getThreadUnreadNotificationCount(root, Type.Highlight) : 0];
	};
	const badges = async (want, what) => {
		await seen(bob, events, () => counts().join() === want.join(), `${what}: ${want}`).catch((fault) => assert.fail(`${fault.message}, but ${counts()}`));
	};
	let root;
	const read = (id, thread) => bob.http.authedRequest('POST', `/rooms/${encodeURIComponent(room)}/receipt/m.read/${encodeURIComponent(id)}`, undefined,
		thread ? { thread_id: thread } : {});

	await say(bob, 'I have read all');	// sending implies reading
	await badges([0, 0, 0, 0], 'at first');
	await say(alice, 'one');
	root = await say(alice, 'two');
	await badges([2, 0, 0, 0], 'two messages');
	kill('sync');
	await say(alice, 'bob!', { 'm.mentions': { user_ids: [bob.getUserId()] } });
	await badges([3, 1, 0, 0], 'a mention');
	const inThread = { 'm.relates_to': { rel_type: 'm.thread', event_id: root } };
	const last = await alice.sendEvent(room, 'm.room.message', { msgtype: 'm.text', body: 'in the thread', ...inThread });
	await badges([3, 1, 1, 0], 'a message in a thread');
	kill('web');
	const third = await alice.sendEvent(room, 'm.room.message',
		{ msgtype: 'm.text', body: 'in the thread, bob', 'm.mentions': { user_ids: [bob.getUserId()] }, ...inThread });
	await badges([3, 1, 2, 1], 'a mention in a thread');
	await read(last.event_id, root);
	await badges([3, 1, 1, 1], 'a part of the thread is read');
	await read(third.event_id, root);
	await badges([3, 1, 0, 0], 'the thread is read');
	await read(root, 'main');
	await badges([1, 1, 0, 0], 'read up to the second');
	await read(bob.getRoom(room).getLiveTimeline().getEvents().find(body('bob!')).getId());
	await badges([0, 0, 0, 0], 'all is read');
});
