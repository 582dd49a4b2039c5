// A real SDK (matrix-js-sdk) against the real server: two people talk, live.
// Where the server is: HEARTH_TEST_URL and HEARTH_TEST_CA, set by tests/clients/run.
import './quiet.js';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import sdk from 'matrix-js-sdk';
import { account, device, goodbye, RoomEvents, seen } from './people.js';

const baseUrl = process.env.HEARTH_TEST_URL;
let alice, bob;
before(async () => {
	const person = async (name) => device(baseUrl, await account(baseUrl, name));
	[alice, bob] = await Promise.all([person('alice'), person('bob')]);
});
after(goodbye);

test('create, invite, join, send, receive', async () => {
	const { room_id: id } = await alice.createRoom({
		name: 'Talk', preset: sdk.Preset.PrivateChat, invite: [bob.getUserId()],
	});

	const invited = await seen(bob, RoomEvents, () => bob.getRoom(id)?.getMyMembership() === 'invite' && bob.getRoom(id), 'the invite');
	assert.equal(invited.name, 'Talk');
	assert.equal(invited.getDMInviter() ?? alice.getUserId(), alice.getUserId());

	await bob.joinRoom(id);
	await seen(alice, RoomEvents, () => alice.getRoom(id)?.getJoinedMemberCount() === 2, 'bob joined, at alice');
	await seen(bob, RoomEvents, () => bob.getRoom(id)?.getMyMembership() === 'join', 'bob joined, at bob');

	const text = (client, body) => () => client.getRoom(id)?.getLiveTimeline().getEvents()
		.find((e) => e.getType() === 'm.room.message' && e.getContent().body === body);
	const { event_id: hello } = await alice.sendTextMessage(id, 'hello, bob');
	const got = await seen(bob, RoomEvents, text(bob, 'hello, bob'), 'hello at bob');
	assert.equal(got.getId(), hello);
	assert.equal(got.getSender(), alice.getUserId());

	const { event_id: back } = await bob.sendTextMessage(id, 'hello, alice \u{1f44b}');
	const echo = await seen(alice, RoomEvents, text(alice, 'hello, alice \u{1f44b}'), 'answer at alice');
	assert.equal(echo.getId(), back);
	// One's own message comes once: the SDK joins the remote echo to the local one by unsigned.transaction_id.
	assert.equal(bob.getRoom(id).getLiveTimeline().getEvents().filter((e) => e.getContent().body?.startsWith('hello, alice')).length, 1);
});

test('names, topics and leaving are seen live', async () => {
	const { room_id: id } = await alice.createRoom({ preset: sdk.Preset.PublicChat });
	await bob.joinRoom(id);
	await seen(bob, RoomEvents, () => bob.getRoom(id)?.getMyMembership() === 'join', 'bob joined');
	await alice.setRoomName(id, 'Weather');
	await seen(bob, [...RoomEvents, sdk.RoomEvent.Name], () => bob.getRoom(id).name === 'Weather', 'the new name');
	await bob.setDisplayName('Bob the Second');
	await seen(alice, [...RoomEvents, sdk.RoomMemberEvent.Name],
		() => alice.getRoom(id).getMember(bob.getUserId())?.name === 'Bob the Second', "bob's new name in the room");
	await bob.leave(id);
	await seen(alice, RoomEvents, () => alice.getRoom(id).getMember(bob.getUserId())?.membership === 'leave', 'bob left');
});

test('history is paged backwards', async () => {
	const { room_id: id } = await alice.createRoom({ preset: sdk.Preset.PublicChat });
	for (let i = 0; i < 45; i++) await alice.sendTextMessage(id, `line ${i}`);
	await bob.joinRoom(id);
	const room = await seen(bob, RoomEvents, () => bob.getRoom(id)?.getMyMembership() === 'join' && bob.getRoom(id), 'bob joined');
	const bodies = () => room.getLiveTimeline().getEvents().map((e) => e.getContent().body).filter(Boolean);
	for (let i = 0; i < 10 && !bodies().includes('line 0'); i++) await bob.scrollback(room, 30);
	assert.deepEqual(bodies(), Array.from({ length: 45 }, (_, i) => `line ${i}`));
});
