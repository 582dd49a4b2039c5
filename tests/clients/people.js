// People with a real SDK: what the tests here share.
import './quiet.js';
import assert from 'node:assert/strict';
import sdk from 'matrix-js-sdk';

export const password = 'correct horse battery';
export const RoomEvents = [
	sdk.ClientEvent.Sync, sdk.ClientEvent.Room, sdk.RoomEvent.MyMembership, sdk.RoomEvent.Timeline, sdk.RoomStateEvent.Members,
];
const made = Date.now().toString(36) + process.pid.toString(36);
const clients = [];

/** Resolves with fn()'s first truthy value; looks again whenever the emitter emits one of the events. */
export function seen(emitter, events, fn, what, seconds = 20) {
	return new Promise((resolve, reject) => {
		const limit = setTimeout(() => done(reject, new Error(`not seen: ${what}`)), seconds * 1000);
		const look = () => {
			const v = fn();
			if (v) done(resolve, v);
		};
		const done = (settle, v) => {
			clearTimeout(limit);
			for (const e of events) emitter.off(e, look);
			settle(v);
		};
		for (const e of events) emitter.on(e, look);
		look();
	});
}

/** Registers by UIA in two steps, as a client does; the full name with which to log in. */
export async function account(baseUrl, name) {
	const username = `${name}-${made}`;
	const fresh = sdk.createClient({ baseUrl });
	const asked = await fresh.registerRequest({ username, password }).then(
		() => assert.fail('registered without a stage'), (e) => e);
	assert.equal(asked.httpStatus, 401);
	assert.ok(asked.data.flows.some((f) => f.stages.includes('m.login.dummy')));
	await fresh.registerRequest({ username, password, auth: { type: 'm.login.dummy', session: asked.data.session } });
	return username;
}

/** Logs in anew by password, which makes a device, and starts syncing. prepare(client): before the first sync; start: more options of startClient(). */
export async function device(baseUrl, username, { prepare, start, ...options } = {}) {
	const login = await sdk.createClient({ baseUrl }).login('m.login.password', {
		identifier: { type: 'm.id.user', user: username }, password,
	});
	const client = sdk.createClient({
		baseUrl, accessToken: login.access_token, userId: login.user_id, deviceId: login.device_id, ...options,
	});
	clients.push(client);
	await prepare?.(client);
	await client.startClient({ initialSyncLimit: 20, ...start });
	await seen(client, [sdk.ClientEvent.Sync], () => client.isInitialSyncComplete(), `${username} in sync`);
	return client;
}

/** For after(): ends all of them. */
export async function goodbye() {
	for (const c of clients) {
		c.stopClient();
		await c.logout(true).catch(() => {});
	}
	setTimeout(() => process.exit(), 1000).unref();	// the SDK leaves timers of a minute and more behind
}
