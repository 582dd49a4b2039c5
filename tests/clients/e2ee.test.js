// Two people with the SDK's real cryptography (Rust, as WebAssembly) against the real server: they verify each other by
// emoji, talk in an encrypted room while workers die and are replaced, and a new device reads it all from the key backup.
// The server is this file's own, for its workers are killed; it has the certificate of the one that tests/clients/run started,
// which this process trusts.
import './quiet.js';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import sdk from 'matrix-js-sdk';
import { CryptoEvent, VerificationPhase, VerificationRequestEvent, VerifierEvent } from 'matrix-js-sdk/lib/crypto-api/index.js';
import lib from '../http/lib/server.js';
import http from '../http/lib/client.js';
import { account, device, goodbye, password, RoomEvents, seen } from './people.js';

const { start } = lib, { waitFor } = http;
let server, alice, bob, alicesName, recovery, room;

/** A device with cryptography. secret: the private key of the secret storage; without it, a new one is made later. */
function encrypted(username, secret) {
	let key = secret;
	return device(server.url, username, {
		prepare: (client) => client.initRustCrypto({ useIndexedDB: false }),
		verificationMethods: ['m.sas.v1'],
		cryptoCallbacks: {
			getSecretStorageKey: async ({ keys }) => [Object.keys(keys)[0], key],
			cacheSecretStorageKey: (id, info, made) => { key = made; },
		},
	});
}

/** Makes the cross-signing keys, the secret storage and the backup of a user; the recovery key. */
async function bootstrap(client) {
	const crypto = client.getCrypto(), key = await crypto.createRecoveryKeyFromPassphrase();
	let asked = 0;
	await crypto.bootstrapCrossSigning({
		setupNewCrossSigning: true,
		authUploadDeviceSigningKeys: async (upload) => {
			asked++;
			await upload(null);	// the first keys need no authentication
		},
	});
	assert.equal(asked, 1);
	await crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => key, setupNewSecretStorage: true, setupNewKeyBackup: true });
	assert.ok(await crypto.isCrossSigningReady());
	await waitFor(() => crypto.isSecretStorageReady(), { what: 'the secret storage' });
	assert.ok((await crypto.checkKeyBackupAndEnable()).trustInfo.trusted);
	return key.privateKey;
}

/** The message with this text, decrypted, as the client has it in its timeline. */
function message(client, body) {
	return seen(client, [...RoomEvents, sdk.MatrixEventEvent.Decrypted], () => client.getRoom(room)?.getLiveTimeline().getEvents()
		.find((e) => e.isEncrypted() && !e.isDecryptionFailure() && e.getContent().body === body), `"${body}" at ${client.getUserId()}`);
}

/** One side of a verification by emoji: show(emoji) resolves when both sides have seen the same. */
async function sas(verifier, show) {
	verifier.on(VerifierEvent.ShowSas, async (callbacks) => {
		await show(callbacks.sas.emoji.map(([symbol]) => symbol));
		await callbacks.confirm();
	});
	await verifier.verify();
}

function workers() {
	return server.children(/ serve /).filter((pid) => /^hearth (web|sync|park|jobs)/.test(fs.readFileSync(`/proc/${pid}/comm`, 'utf8')));
}
const role = (name) => workers().filter((pid) => fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === `hearth ${name}`);
const alive = (pid) => { try { return process.kill(pid, 0); } catch { return false; } };

before(async () => {
	const ca = process.env.HEARTH_TEST_CA;
	server = await start({ HEARTH_TLS_CERT: ca, HEARTH_TLS_KEY: path.join(path.dirname(ca), 'key.pem') });
	const names = await Promise.all([account(server.url, 'alice'), account(server.url, 'bob')]);
	alicesName = names[0];
	[alice, bob] = await Promise.all(names.map((name) => encrypted(name)));
	[recovery] = await Promise.all([bootstrap(alice), bootstrap(bob)]);
});
after(async () => {
	await goodbye();
	await server?.stop();
});

test('new cross-signing keys need the password', async () => {
	const keys = JSON.parse(JSON.stringify((await alice.downloadKeysForUsers([alice.getUserId()])).master_keys[alice.getUserId()]));
	keys.keys = { 'ed25519:u1kjQdWhfmqJ29YnA2jyYOyHrjCy3IGLvbeQmBNc2Lw': 'u1kjQdWhfmqJ29YnA2jyYOyHrjCy3IGLvbeQmBNc2Lw' };
	delete keys.signatures;
	const refused = await alice.uploadDeviceSigningKeys(undefined, { master_key: keys }).then(() => assert.fail('it was taken'), (e) => e);
	assert.equal(refused.httpStatus, 401);
	assert.ok(refused.data.flows.some((f) => f.stages.includes('m.login.password')));
});

test('they meet in an encrypted room and talk both ways', async () => {
	room = (await alice.createRoom({
		preset: sdk.Preset.TrustedPrivateChat, invite: [bob.getUserId()], is_direct: true,
		initial_state: [{ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
	})).room_id;
	await seen(bob, RoomEvents, () => bob.getRoom(room)?.getMyMembership() === 'invite', 'the invite');
	await bob.joinRoom(room);
	await seen(alice, RoomEvents, () => alice.getRoom(room)?.getJoinedMemberCount() === 2, 'bob joined, at alice');
	await seen(bob, RoomEvents, () => bob.getRoom(room)?.getMyMembership() === 'join', 'bob joined, at bob');

	await alice.sendTextMessage(room, 'a secret for bob');
	const got = await message(bob, 'a secret for bob');
	assert.equal(got.getWireType(), 'm.room.encrypted');
	assert.equal(got.getWireContent().body, undefined);
	await bob.sendTextMessage(room, 'and one for alice');
	await message(alice, 'and one for alice');
});

test('they verify each other by emoji', async () => {
	assert.equal((await alice.getCrypto().getUserVerificationStatus(bob.getUserId())).isVerified(), false);
	const arrived = new Promise((done) => bob.once(CryptoEvent.VerificationRequestReceived, done));
	const asked = await alice.getCrypto().requestVerificationDM(bob.getUserId(), room);
	const received = await arrived;
	assert.equal(received.otherUserId, alice.getUserId());
	await received.accept();
	const change = [VerificationRequestEvent.Change];
	await seen(asked, change, () => asked.phase === VerificationPhase.Ready, 'ready, at alice');

	const emoji = [];
	let agreed;
	const both = new Promise((done) => { agreed = done; });
	const show = (mine) => {
		assert.equal(mine.length, 7);
		if (emoji.push(mine) === 2) {
			assert.deepEqual(emoji[0], emoji[1]);
			agreed();
		}
		return both;
	};
	const first = asked.startVerification('m.sas.v1').then((verifier) => sas(verifier, show));
	const verifier = await seen(received, change, () => received.phase === VerificationPhase.Started && received.verifier, 'started, at bob');
	await Promise.all([first, sas(verifier, show)]);
	await seen(asked, change, () => asked.phase === VerificationPhase.Done, 'done, at alice');
	await seen(received, change, () => received.phase === VerificationPhase.Done, 'done, at bob');
	assert.equal(emoji.length, 2);

	for (const [one, other] of [[alice, bob], [bob, alice]]) {
		await waitFor(async () => (await one.getCrypto().getUserVerificationStatus(other.getUserId())).isCrossSigningVerified(),
			{ what: `${other.getUserId()} verified` });
		const trust = await one.getCrypto().getDeviceVerificationStatus(other.getUserId(), other.getDeviceId());
		assert.ok(trust.crossSigningVerified && trust.signedByOwner);
	}
});

test('they go on talking while workers are killed, and after all have been replaced', async () => {
	const texts = Array.from({ length: 12 }, (_, i) => `while they die ${i}`);
	for (const [i, body] of texts.entries()) {
		const sending = (i % 2 ? bob : alice).sendTextMessage(room, body);
		if (i % 4 === 0) process.kill(role(i % 8 ? 'sync' : 'web')[0], 'SIGKILL');
		await sending;
	}
	for (const body of texts) await Promise.all([message(alice, body), message(bob, body)]);

	const old = workers();
	process.kill(server.children(/ serve /).find((pid) => fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'hearth'), 'SIGHUP');
	await waitFor(() => !old.some(alive), { timeout: 30000, what: 'the end of the old workers' });
	// A new session each way: keys are claimed or used and shared by new workers.
	for (const c of [alice, bob]) await c.getCrypto().forceDiscardSession(room);
	await alice.sendTextMessage(room, 'still there?');
	await message(bob, 'still there?');
	await bob.sendTextMessage(room, 'still here');
	await message(alice, 'still here');
});

test("alice's new device reads the history from the backup, and is trusted by both", async () => {
	// All sessions that alice's first device knows lie in the backup (the SDK takes its time).
	const sessions = JSON.parse(await alice.getCrypto().exportRoomKeysAsJson()).length;
	assert.ok(sessions >= 4, `${sessions} sessions`);
	await waitFor(async () => (await alice.getKeyBackupVersion()).count === sessions, { timeout: 40000, what: 'the backup' });

	const phone = await encrypted(alicesName, recovery), crypto = phone.getCrypto();
	const history = () => phone.getRoom(room).getLiveTimeline().getEvents().filter((e) => e.getWireType() === 'm.room.encrypted');
	await seen(phone, RoomEvents, () => phone.getRoom(room), 'the room on the new device');
	for (let n = -1; n !== history().length;) {
		n = history().length;
		await phone.scrollback(phone.getRoom(room), 50);
	}
	assert.ok(history().some((e) => e.isDecryptionFailure()), 'nothing can be read yet');

	assert.ok(await crypto.userHasCrossSigningKeys(alice.getUserId(), true), 'the public keys');
	await crypto.bootstrapCrossSigning({});	// takes the private keys from the secret storage and signs this device
	await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
	assert.ok((await crypto.checkKeyBackupAndEnable()).trustInfo.matchesDecryptionKey);
	const restored = await crypto.restoreKeyBackup();
	assert.deepEqual([restored.imported, restored.total], [sessions, sessions]);
	for (const body of ['a secret for bob', 'and one for alice', 'while they die 0', 'while they die 11', 'still there?', 'still here'])
		await message(phone, body);
	await waitFor(() => !history().some((e) => e.isDecryptionFailure() && e.getWireContent().algorithm), { what: 'all of the history' });

	for (const one of [alice, bob]) {
		await waitFor(async () => (await one.getCrypto().getDeviceVerificationStatus(alice.getUserId(), phone.getDeviceId()))
			?.crossSigningVerified, { what: `the new device trusted by ${one.getUserId()}` });
	}
	assert.ok((await crypto.getUserVerificationStatus(bob.getUserId())).isCrossSigningVerified(), 'bob stays verified on the new device');

	await phone.sendTextMessage(room, 'from the new phone');
	await Promise.all([message(alice, 'from the new phone'), message(bob, 'from the new phone')]);
	await bob.sendTextMessage(room, 'to both of yours');
	await Promise.all([message(alice, 'to both of yours'), message(phone, 'to both of yours')]);
});

test('a device that is thrown out gets no more keys', async () => {
	const other = await encrypted(alicesName, recovery), id = other.getDeviceId();
	await waitFor(async () => (await bob.getCrypto().getUserDeviceInfo([alice.getUserId()], true)).get(alice.getUserId()).has(id),
		{ what: 'the device, at bob' });
	other.stopClient();
	const asked = await alice.deleteDevice(id).then(() => assert.fail('deleted without a password'), (e) => e);
	await alice.deleteDevice(id, {
		type: 'm.login.password', session: asked.data.session, identifier: { type: 'm.id.user', user: alice.getUserId() }, password,
	});
	await waitFor(async () => !(await bob.getCrypto().getUserDeviceInfo([alice.getUserId()])).get(alice.getUserId()).has(id),
		{ what: 'the end of the device, at bob' });
	await bob.sendTextMessage(room, 'between us');
	await message(alice, 'between us');
});
