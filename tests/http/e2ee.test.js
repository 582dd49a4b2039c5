// End-to-end encryption: keys, cross-signing, messages to devices, key backup, and what sync tells of them. Real ed25519 keys.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, login, waitFor, unique, enc } = require("./lib/client.js");
const { b64, Key, deviceKeys, publish, cross, crossKeys, query, secondDevice, upload, curve } = require("./lib/keys.js");

const V3 = "/_matrix/client/v3";
let server;
before(async () => { server = await shared(); });

async function together(...clients) {
	const room = await clients[0].createRoom({ preset: "public_chat" });
	for (const c of clients.slice(1)) await c.join(room);
	return room;
}

describe("device keys", () => {
	test("are published, with what they were signed by, and seen by others", async () => {
		const alice = await register(server, { initial_device_display_name: "Alice's \"phone\"" }), bob = await register(server);
		assert.deepEqual(await upload(alice, { device_keys: deviceKeys(alice) }), { one_time_key_counts: { signed_curve25519: 0 } });
		const mine = deviceKeys(alice);
		await upload(alice, { device_keys: mine });
		const nobody = `@${unique()}:${server.name}`;
		const seen = await query(bob, alice.userId, bob.userId, nobody, "@far:away.example");
		assert.deepEqual(seen.device_keys, {
			[alice.userId]: { [alice.deviceId]: { ...mine, unsigned: { device_display_name: "Alice's \"phone\"" } } }, [bob.userId]: {},
		});
		assert.deepEqual([seen.master_keys, seen.self_signing_keys, seen.user_signing_keys], [{}, {}, {}]);
		assert.deepEqual(Object.keys(seen.failures), ["away.example"]);
		const some = await bob.ok("POST", `${V3}/keys/query`, { device_keys: { [alice.userId]: ["NONE", alice.deviceId, alice.deviceId] } });
		assert.deepEqual(Object.keys(some.device_keys[alice.userId]), [alice.deviceId]);
		const none = await bob.ok("POST", `${V3}/keys/query`, { device_keys: { [alice.userId]: ["NONE"] } });
		assert.deepEqual(none.device_keys, { [alice.userId]: {} });
	});

	test("of another user, another device, or of no right form are refused, and nothing is changed", async () => {
		const alice = await register(server), bob = await register(server);
		const refuse = (status, code, device_keys) => alice.fails(status, code, "POST", `${V3}/keys/upload`, { device_keys, one_time_keys: { "a:1": "x" } });
		await refuse(400, "M_INVALID_PARAM", { ...deviceKeys(alice), user_id: bob.userId });
		await refuse(400, "M_INVALID_PARAM", { ...deviceKeys(alice), device_id: "OTHER" });
		const good = deviceKeys(alice);
		for (const key of ["algorithms", "keys", "signatures", "user_id"]) await refuse(400, "M_BAD_JSON", { ...good, [key]: undefined });
		await refuse(400, "M_BAD_JSON", { ...good, keys: { a: 1 } });
		await refuse(400, "M_BAD_JSON", "keys");
		const signed = (more) => alice.key.sign({ ...good, signatures: {}, ...more }, alice.userId, `ed25519:${alice.deviceId}`);
		await refuse(413, "M_TOO_LARGE", signed({ more: "x".repeat(17000) }));
		await refuse(413, "M_TOO_LARGE", { ...good, signatures: { [alice.userId]: { [`ed25519:${alice.deviceId}`]: "x".repeat(17000) } } });
		assert.deepEqual((await query(bob, alice.userId)).device_keys, { [alice.userId]: {} });
		assert.deepEqual(await upload(alice, {}), { one_time_key_counts: { signed_curve25519: 0 } });
	});

	test("are handed on as they were uploaded: whether the device signed them is for others to see", async () => {
		const alice = await register(server), bob = await register(server), good = deviceKeys(alice), id = `ed25519:${alice.deviceId}`;
		const others = { [bob.userId]: good.signatures[alice.userId] }, long = `${"x".repeat(300)}:${alice.deviceId}`;
		for (const [sent, shown] of [
			[{}, {}], [{ [alice.userId]: { [id]: b64(Buffer.alloc(64)) } }, { [alice.userId]: { [id]: b64(Buffer.alloc(64)) } }],
			[others, { [alice.userId]: { [id]: b64(Buffer.alloc(64)) } }],	// signatures are added; another's are not his to bring
			[{ [alice.userId]: { [long]: "x", "ed25519:OTHER": "x" } }, { [alice.userId]: { [id]: b64(Buffer.alloc(64)) } }],
			[good.signatures, good.signatures],
		]) {
			await upload(alice, { device_keys: { ...good, signatures: sent } });
			assert.deepEqual((await query(bob, alice.userId)).device_keys[alice.userId][alice.deviceId].signatures, shown);
		}
	});

	test("another description of the same keys keeps the one-time keys, but not the signatures of the old one", async () => {
		const alice = await register(server), bob = await register(server);
		await publish(alice);
		await upload(alice, { one_time_keys: { [curve("A")]: { key: "a" } }, fallback_keys: { [curve("F")]: { key: "f" } } });
		await alice.ok("POST", `${V3}/keys/device_signing/upload`, crossKeys(alice));
		const signatures = async () => Object.keys((await query(bob, alice.userId)).device_keys[alice.userId][alice.deviceId].signatures[alice.userId]).length;
		await alice.ok("POST", `${V3}/keys/signatures/upload`, { [alice.userId]: { [alice.deviceId]: alice.self.sign(alice.device, alice.userId) } });
		assert.equal(await signatures(), 2);
		const { signatures: old, ...rest } = alice.device;
		const next = alice.key.sign({ ...rest, algorithms: ["m.megolm.v2"] }, alice.userId, `ed25519:${alice.deviceId}`);
		assert.deepEqual(await upload(alice, { device_keys: next }), { one_time_key_counts: { signed_curve25519: 1 } });
		assert.deepEqual((await alice.sync()).device_unused_fallback_key_types, ["signed_curve25519"]);
		assert.equal(await signatures(), 1);
	});

	test("go with the device; a device with new keys begins anew", async () => {
		const alice = await register(server), bob = await register(server), second = await secondDevice(alice);
		await publish(alice);
		await publish(second);
		await upload(second, { one_time_keys: { [curve("A")]: { key: "a" } } });
		second.key = new Key();
		await publish(second);
		assert.deepEqual(await upload(second, {}), { one_time_key_counts: { signed_curve25519: 0 } });
		assert.equal(Object.keys((await query(bob, alice.userId)).device_keys[alice.userId]).length, 2);
		await second.ok("POST", `${V3}/logout`, {});
		assert.deepEqual(Object.keys((await query(bob, alice.userId)).device_keys[alice.userId]), [alice.deviceId]);
		assert.equal(server.sql(`SELECT count(*) FROM hearth.key_signature s JOIN hearth.name n ON n.nid = s.usr WHERE n.body = '${alice.userId}'`), "1");
	});

	test("malformed queries", async () => {
		const alice = await register(server), fails = (code, body) => alice.fails(400, code, "POST", `${V3}/keys/query`, body);
		await fails("M_MISSING_PARAM", {});
		await fails("M_BAD_JSON", { device_keys: [] });
		await fails("M_BAD_JSON", { device_keys: { [alice.userId]: {} } });
		await fails("M_BAD_JSON", { device_keys: { [alice.userId]: [1] } });
		await alice.ok("POST", `${V3}/keys/query`, { device_keys: { "no user\u0000": ["\u0000"], "": [] } });
	});
});

describe("one-time keys", () => {
	test("are given out once, in the order of upload; then the fallback key", async () => {
		const alice = await register(server), bob = await register(server);
		const claim = async (algorithm = "signed_curve25519") => (await bob.ok("POST", `${V3}/keys/claim`, {
			one_time_keys: { [alice.userId]: { [alice.deviceId]: algorithm, NONE: algorithm }, "@x:away.example": { A: "b" } },
		})).one_time_keys;
		assert.deepEqual(await upload(alice, { one_time_keys: { [curve("B")]: { key: "1" }, "other:x": "plain" } }),
			{ one_time_key_counts: { other: 1, signed_curve25519: 1 } });
		await upload(alice, { one_time_keys: { [curve("A")]: { key: "2" } }, fallback_keys: { [curve("F")]: { key: "f", fallback: true } } });
		const s = await alice.sync();
		assert.deepEqual(s.device_one_time_keys_count, { other: 1, signed_curve25519: 2 });
		assert.deepEqual(s.device_unused_fallback_key_types, ["signed_curve25519"]);
		assert.deepEqual(await claim(), { [alice.userId]: { [alice.deviceId]: { [curve("B")]: { key: "1" } } } });
		assert.deepEqual(await claim("other"), { [alice.userId]: { [alice.deviceId]: { "other:x": "plain" } } });
		assert.deepEqual(await claim("other"), {});
		assert.deepEqual(await claim(), { [alice.userId]: { [alice.deviceId]: { [curve("A")]: { key: "2" } } } });
		const told = await alice.syncUntil((a) => a.device_one_time_keys_count?.signed_curve25519 === 0 && a, { what: "the count" });
		assert.deepEqual(told.device_unused_fallback_key_types, ["signed_curve25519"]);
		for (let i = 0; i < 2; i++)
			assert.deepEqual(await claim(), { [alice.userId]: { [alice.deviceId]: { [curve("F")]: { fallback: true, key: "f" } } } });
		await alice.syncUntil((a) => a.device_unused_fallback_key_types?.length === 0, { what: "the use of the fallback key" });
		// The same again is as used as before; another one is fresh.
		await upload(alice, { fallback_keys: { [curve("F")]: { key: "f", fallback: true } } });
		assert.deepEqual((await alice.sync({ since: null })).device_unused_fallback_key_types, []);
		await upload(alice, { fallback_keys: { [curve("G")]: { key: "g", fallback: true } } });
		assert.deepEqual((await alice.sync({ since: null })).device_unused_fallback_key_types, ["signed_curve25519"]);
	});

	test("the same key again is fine, another one under its name is refused", async () => {
		const alice = await register(server), key = { one_time_keys: { [curve("A")]: { key: "1", signatures: {} } } };
		await upload(alice, key);
		assert.deepEqual(await upload(alice, key), { one_time_key_counts: { signed_curve25519: 1 } });
		await alice.fails(400, "M_INVALID_PARAM", "POST", `${V3}/keys/upload`, { one_time_keys: { [curve("B")]: "new", [curve("A")]: { key: "2" } } });
		assert.deepEqual(await upload(alice, {}), { one_time_key_counts: { signed_curve25519: 1 } });
	});

	test("uploaded again after they were claimed, as a lost answer has it: they are not given out twice", async () => {
		const alice = await register(server), bob = await register(server), one_time_keys = { [curve("A")]: { key: "1" }, [curve("B")]: { key: "2" } };
		const claim = async () => (await bob.ok("POST", `${V3}/keys/claim`, { one_time_keys: { [alice.userId]: { [alice.deviceId]: "signed_curve25519" } } }))
			.one_time_keys[alice.userId]?.[alice.deviceId];
		await upload(alice, { one_time_keys });
		const [first] = Object.keys(await claim());
		assert.deepEqual(await upload(alice, { one_time_keys }), { one_time_key_counts: { signed_curve25519: 1 } });
		assert.notDeepEqual(Object.keys(await claim()), [first]);
		assert.deepEqual(await upload(alice, { one_time_keys }), { one_time_key_counts: { signed_curve25519: 0 } });
		assert.equal(await claim(), undefined);
		// Another key under a name that is free again is a new one.
		assert.deepEqual(await upload(alice, { one_time_keys: { [first]: { key: "3" } } }), { one_time_key_counts: { signed_curve25519: 1 } });
	});

	test("fifty claims at once by five users: no key twice", async () => {
		const alice = await register(server), others = await Promise.all(Array.from({ length: 5 }, () => register(server)));
		await upload(alice, { one_time_keys: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [curve(`K${i}`), { key: `${i}` }])) });
		const all = await Promise.all(Array.from({ length: 50 }, (_, i) => others[i % 5].ok("POST", `${V3}/keys/claim`,
			{ one_time_keys: { [alice.userId]: { [alice.deviceId]: "signed_curve25519" } } })));
		const got = all.flatMap((a) => Object.keys(a.one_time_keys[alice.userId]?.[alice.deviceId] ?? {}));
		assert.equal(got.length, 40);
		assert.equal(new Set(got).size, 40);
	});

	test("bad and enormous uploads", async () => {
		const alice = await register(server), fails = (status, code, body) => alice.fails(status, code, "POST", `${V3}/keys/upload`, body);
		await fails(400, "M_INVALID_PARAM", { one_time_keys: { nocolon: "x" } });
		await fails(400, "M_INVALID_PARAM", { one_time_keys: { ":x": "x" } });
		await fails(400, "M_INVALID_PARAM", { one_time_keys: { [`a:${"x".repeat(300)}`]: "x" } });
		await fails(400, "M_BAD_JSON", { one_time_keys: { "a:b": 1 } });
		await fails(400, "M_BAD_JSON", { one_time_keys: ["a:b"] });
		await fails(400, "M_INVALID_PARAM", { fallback_keys: { "a:1": "x", "a:2": "y" } });
		await fails(413, "M_TOO_LARGE", { one_time_keys: { "a:b": "x".repeat(9000) } });
		await fails(413, "M_TOO_LARGE", { one_time_keys: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`a:${i}`, "x"])) });
		await upload(alice, { one_time_keys: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`a:${i}`, "x"])) });
		await fails(413, "M_TOO_LARGE", { one_time_keys: { "a:more": "x" } });
		assert.equal((await upload(alice, { one_time_keys: { "a:1": "x" } })).one_time_key_counts.a, 1000);
		await alice.fails(400, "M_BAD_JSON", "POST", `${V3}/keys/claim`, { one_time_keys: { [alice.userId]: "x" } });
		await alice.fails(400, "M_BAD_JSON", "POST", `${V3}/keys/claim`, { one_time_keys: { [alice.userId]: { X: 1 } } });
		await alice.fails(400, "M_MISSING_PARAM", "POST", `${V3}/keys/claim`, {});
	});
});

describe("cross-signing", () => {
	const SIGNING = `${V3}/keys/device_signing/upload`, SIGNATURES = `${V3}/keys/signatures/upload`;

	test("first keys need no password, the same again neither, others do", async () => {
		const alice = await register(server), bob = await register(server), keys = crossKeys(alice);
		assert.deepEqual(await alice.ok("POST", SIGNING, keys), {});
		assert.deepEqual(await alice.ok("POST", SIGNING, keys), {});
		assert.deepEqual(await alice.ok("POST", SIGNING, { master_key: keys.master_key }), {});
		const own = await query(alice, alice.userId), others = await query(bob, alice.userId);
		assert.deepEqual(own.master_keys, { [alice.userId]: keys.master_key });
		assert.deepEqual(own.self_signing_keys, { [alice.userId]: keys.self_signing_key });
		assert.deepEqual(own.user_signing_keys, { [alice.userId]: keys.user_signing_key });
		assert.deepEqual(others.master_keys, own.master_keys);
		assert.deepEqual(others.self_signing_keys, own.self_signing_keys);
		assert.deepEqual(others.user_signing_keys, {});
		const next = alice.master.sign(cross("self_signing", alice.userId, new Key()), alice.userId);
		const asked = await alice.request("POST", SIGNING, { body: { self_signing_key: next } });
		assert.equal(asked.status, 401, asked.text);
		assert.deepEqual(asked.body.flows, [{ stages: ["m.login.password"] }]);
		assert.deepEqual((await query(bob, alice.userId)).self_signing_keys, others.self_signing_keys);
		const auth = { type: "m.login.password", session: asked.body.session, identifier: { type: "m.id.user", user: alice.name }, password: alice.password };
		await alice.fails(401, "M_FORBIDDEN", "POST", SIGNING, { self_signing_key: next, auth: { ...auth, password: "wrong" } });
		await alice.ok("POST", SIGNING, { self_signing_key: next, auth });
		assert.deepEqual((await query(bob, alice.userId)).self_signing_keys, { [alice.userId]: next });
		// A new master key ends what the old one signed.
		const fresh = new Key();
		await alice.ok("POST", SIGNING, { master_key: cross("master", alice.userId, fresh), auth: { ...auth, session: undefined } });
		const after = await query(alice, alice.userId);
		assert.deepEqual([after.self_signing_keys, after.user_signing_keys], [{}, {}]);
	});

	test("wrong signatures, owners, usages, and keys that are device ids", async () => {
		const alice = await register(server), bob = await register(server), keys = crossKeys(alice), stranger = new Key();
		const refuse = (status, code, body) => alice.fails(status, code, "POST", SIGNING, body);
		await refuse(400, "M_MISSING_PARAM", { self_signing_key: keys.self_signing_key });
		await refuse(400, "M_MISSING_PARAM", {});
		await refuse(400, "M_INVALID_SIGNATURE", { ...keys, self_signing_key: cross("self_signing", alice.userId, alice.self) });
		await refuse(400, "M_INVALID_SIGNATURE", { ...keys, user_signing_key: stranger.sign(cross("user_signing", alice.userId, alice.user), alice.userId, `ed25519:${alice.master.text}`) });
		await refuse(400, "M_INVALID_PARAM", { master_key: cross("master", bob.userId, stranger) });
		await refuse(400, "M_INVALID_PARAM", { master_key: cross("self_signing", alice.userId, stranger) });
		await refuse(400, "M_INVALID_PARAM", { master_key: { ...keys.master_key, keys: { [`ed25519:${stranger.text}`]: alice.master.text } } });
		await refuse(400, "M_INVALID_PARAM", { master_key: { ...keys.master_key, keys: { "ed25519:short": "short" } } });
		await refuse(400, "M_BAD_JSON", { master_key: { ...keys.master_key, keys: [] } });
		await refuse(400, "M_BAD_JSON", { master_key: "x" });
		assert.deepEqual((await query(bob, alice.userId)).master_keys, {});
		await login(server, alice.name, alice.password, { device_id: alice.master.text });
		await refuse(403, "M_FORBIDDEN", keys);
		const mine = crossKeys(alice);
		await alice.ok("POST", SIGNING, mine);
		await alice.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, {
			type: "m.login.password", identifier: { type: "m.id.user", user: alice.name }, password: alice.password, device_id: alice.self.text,
		});
	});

	test("two first uploads at once: one is the first", async () => {
		const alice = await register(server);
		const both = await Promise.all([crossKeys(alice), crossKeys(alice)].map((body) => alice.request("POST", SIGNING, { body })));
		assert.deepEqual(both.map((r) => r.status).sort(), [200, 401]);
	});

	test("signatures are verified one by one, and seen by whom they concern", async () => {
		const alice = await register(server), bob = await register(server), carol = await register(server);
		for (const c of [alice, bob]) {
			await publish(c);
			c.cross = crossKeys(c);
			await c.ok("POST", SIGNING, c.cross);
		}
		const bare = ({ signatures, ...rest }) => rest;
		const device = alice.self.sign(bare(alice.device), alice.userId);
		const master = alice.key.sign(alice.cross.master_key, alice.userId, `ed25519:${alice.deviceId}`);
		const verified = alice.user.sign(bare(bob.cross.master_key), alice.userId);
		assert.deepEqual(await alice.ok("POST", SIGNATURES, {
			[alice.userId]: { [alice.deviceId]: device, [alice.master.text]: master }, [bob.userId]: { [bob.master.text]: verified },
		}), { failures: {} });
		const seenBy = async (c) => {
			const a = await query(c, alice.userId, bob.userId);
			return [Object.keys(a.device_keys[alice.userId][alice.deviceId].signatures[alice.userId]).length,
				Object.keys(a.master_keys[alice.userId].signatures?.[alice.userId] ?? {}),
				Object.keys(a.master_keys[bob.userId].signatures?.[alice.userId] ?? {})];
		};
		const self = `ed25519:${alice.deviceId}`, user = `ed25519:${alice.user.text}`;
		assert.deepEqual(await seenBy(alice), [2, [self], [user]]);
		assert.deepEqual(await seenBy(bob), [2, [self], []]);
		assert.deepEqual(await seenBy(carol), [2, [self], []]);

		const f = (await alice.ok("POST", SIGNATURES, {
			[alice.userId]: {
				[alice.deviceId]: { ...device, signatures: { [alice.userId]: { [`ed25519:${alice.self.text}`]: b64(Buffer.alloc(64)) } } },
				[alice.master.text]: { ...master, extra: 1 }, NONE: device,
				[alice.self.text]: alice.master.sign(alice.cross.self_signing_key, alice.userId),
			},
			[bob.userId]: {
				[bob.master.text]: alice.self.sign(bare(bob.cross.master_key), alice.userId),
				[bob.deviceId]: alice.user.sign(bare(bob.device), alice.userId),
			},
			"@x:away.example": { A: device },
		})).failures;
		assert.equal(f[alice.userId][alice.deviceId].errcode, "M_INVALID_SIGNATURE");
		assert.equal(f[alice.userId][alice.master.text].errcode, "M_INVALID_PARAM");
		assert.equal(f[alice.userId].NONE.errcode, "M_NOT_FOUND");
		assert.equal(f[alice.userId][alice.self.text].errcode, "M_INVALID_SIGNATURE");
		assert.equal(f[bob.userId][bob.master.text].errcode, "M_INVALID_SIGNATURE");
		assert.equal(f[bob.userId][bob.deviceId].errcode, "M_NOT_FOUND");
		assert.equal(f["@x:away.example"].A.errcode, "M_NOT_FOUND");
		assert.deepEqual(await seenBy(alice), [2, [self], [user]]);
		await alice.fails(400, "M_BAD_JSON", "POST", SIGNATURES, { [alice.userId]: [] });
		await alice.fails(400, "M_BAD_JSON", "POST", SIGNATURES, { [alice.userId]: { A: 1 } });
	});
});

describe("device lists", () => {
	const changed = (who) => (a) => a.device_lists?.changed?.includes(who) && a;
	const left = (who) => (a) => a.device_lists?.left?.includes(who) && a;

	test("who shares a room hears of new keys, while waiting too; strangers do not", async () => {
		const alice = await register(server), bob = await register(server), carol = await register(server);
		await together(alice, bob);
		for (const c of [alice, bob, carol]) await c.sync();
		assert.equal((await bob.sync({ since: null })).device_lists, undefined);
		const waiting = bob.syncUntil(changed(alice.userId), { what: "a change of devices" });
		await publish(alice);
		await waiting;
		await alice.syncUntil(changed(alice.userId));
		assert.equal((await carol.sync()).device_lists, undefined);
		assert.equal((await bob.sync()).device_lists, undefined);
		await upload(alice, { device_keys: alice.device });	// the same again is no news
		assert.equal((await bob.sync()).device_lists, undefined);
		const second = await secondDevice(alice);
		await publish(second);
		await bob.syncUntil(changed(alice.userId));
		await second.ok("PUT", `${V3}/devices/${second.deviceId}`, { display_name: "renamed" });
		await bob.syncUntil(changed(alice.userId));
		await second.ok("POST", `${V3}/logout`, {});
		await bob.syncUntil(changed(alice.userId));
	});

	test("who comes is changed, who goes has left, unless another room is shared; /keys/changes says the same", async () => {
		const alice = await register(server), bob = await register(server), carol = await register(server);
		const room = await together(alice, carol), second = await alice.createRoom({ preset: "public_chat" });
		await alice.sync();
		await bob.sync();
		const from = { alice: alice.since, bob: bob.since };
		await bob.join(room);
		await alice.syncUntil(changed(bob.userId));
		const all = await bob.syncUntil(changed(alice.userId));
		assert.ok(all.device_lists.changed.includes(carol.userId));
		const changes = (c, f) => c.ok("GET", `${V3}/keys/changes?from=${f}&to=${c.since}`);
		assert.deepEqual(await changes(alice, from.alice), { changed: [bob.userId], left: [] });
		assert.deepEqual((await changes(bob, from.bob)).changed.sort(), [alice.userId, bob.userId, carol.userId].filter((u) => u !== bob.userId).sort());
		await bob.join(second);
		await alice.sync();
		await bob.sync();
		const then = { alice: alice.since, bob: bob.since };
		await bob.leave(room);
		const gone = await bob.syncUntil(left(carol.userId));
		assert.ok(!gone.device_lists.left.includes(alice.userId));
		await alice.setState(room, "m.room.topic", { topic: "t" });
		const quiet = await alice.syncUntil((a) => a.rooms?.join?.[room]?.timeline.events.some((e) => e.type === "m.room.topic") && a);
		assert.equal(quiet.device_lists, undefined);
		await bob.leave(second);
		await alice.syncUntil(left(bob.userId));
		await bob.sync();
		assert.deepEqual(await changes(alice, then.alice), { changed: [], left: [bob.userId] });
		assert.deepEqual((await changes(bob, then.bob)).left.sort(), [alice.userId, carol.userId].sort());
		await publish(bob);
		assert.equal((await alice.sync()).device_lists, undefined);
		await bob.join(room);
		await alice.syncUntil(changed(bob.userId));
		await alice.fails(400, "M_INVALID_PARAM", "GET", `${V3}/keys/changes?from=x&to=y`);
		await alice.fails(400, "M_MISSING_PARAM", "GET", `${V3}/keys/changes?from=${alice.since}`);
	});

	test("a profile change is no change of devices", async () => {
		const alice = await register(server), bob = await register(server);
		await together(alice, bob);
		await bob.sync();
		await alice.ok("PUT", `${V3}/profile/${enc(alice.userId)}/displayname`, { displayname: "Another" });
		const a = await bob.syncUntil((s) => Object.values(s.rooms?.join ?? {}).some((r) => r.timeline.events.length) && s);
		assert.equal(a.device_lists, undefined);
	});
});

describe("messages to devices", () => {
	const send = (c, messages, { type = "m.test", txn = unique() } = {}) => c.ok("PUT", `${V3}/sendToDevice/${enc(type)}/${txn}`, { messages });
	const got = (a) => (a.to_device?.events ?? []).map((e) => e.content.n);

	test("come once, in order, again until they are acknowledged, and wake", async () => {
		const alice = await register(server), bob = await register(server);
		await bob.sync();
		const waiting = bob.syncUntil((a) => a.to_device, { what: "a message" }), first = bob.since;
		await send(alice, { [bob.userId]: { [bob.deviceId]: { n: 1 } } }, { type: "m.a/b" });
		assert.deepEqual((await waiting).events, [{ type: "m.a/b", sender: alice.userId, content: { n: 1 } }]);
		await send(alice, { [bob.userId]: { [bob.deviceId]: { n: 2 } } });
		const next = bob.since;
		assert.deepEqual(got(await bob.sync({ since: first })), [1, 2]);
		assert.deepEqual(got(await bob.sync({ since: next })), [2]);
		assert.deepEqual(got(await bob.sync({ since: next })), [2]);
		assert.deepEqual(got(await bob.sync()), []);
		assert.deepEqual(got(await bob.sync({ since: null })), []);
		assert.equal(server.sql(`SELECT count(*) FROM hearth.to_device t JOIN hearth.name n ON n.nid = t.usr WHERE n.body = '${bob.userId}'`), "0");
	});

	test("at most 100 at a time, none lost", async () => {
		const alice = await register(server), bob = await register(server);
		for (let i = 0; i < 230; i++) await send(alice, { [bob.userId]: { [bob.deviceId]: { n: i } } });
		const counts = [], all = [];
		for (let a = await bob.sync(); a.to_device; a = await bob.sync()) {
			const before = bob.since;
			counts.push(a.to_device.events.length);
			all.push(...got(a));
			bob.since = before;
		}
		assert.deepEqual(counts, [100, 100, 30]);
		assert.deepEqual(all, Array.from({ length: 230 }, (_, i) => i));
	});

	test("`*` is all devices; the one named beside it gets its own", async () => {
		const alice = await register(server), bob = await register(server), two = await secondDevice(bob);
		await send(alice, { [bob.userId]: { "*": { n: "all" }, [two.deviceId]: { n: "own" }, NONE: { n: 0 } }, [alice.userId]: { "*": { n: "self" } }, "@x:away.example": { "*": {} } });
		assert.deepEqual(got(await bob.sync()), ["all"]);
		assert.deepEqual(got(await two.sync()), ["own"]);
		assert.deepEqual(got(await alice.sync()), ["self"]);
	});

	test("a transaction counts once, also ten times at once", async () => {
		const alice = await register(server), bob = await register(server), txn = unique();
		await Promise.all(Array.from({ length: 10 }, () => send(alice, { [bob.userId]: { "*": { n: 1 } } }, { txn })));
		await send(alice, { [bob.userId]: { "*": { n: 2 } } }, { txn });
		assert.deepEqual(got(await bob.sync()), [1]);
	});

	test("bad input", async () => {
		const alice = await register(server), fails = (status, code, body, type = "m.t") => alice.fails(status, code, "PUT", `${V3}/sendToDevice/${type}/${unique()}`, body);
		await fails(400, "M_MISSING_PARAM", {});
		await fails(400, "M_BAD_JSON", { messages: [] });
		await fails(400, "M_BAD_JSON", { messages: { [alice.userId]: [] } });
		await fails(400, "M_BAD_JSON", { messages: { [alice.userId]: { "*": "text" } } });
		await fails(413, "M_TOO_LARGE", { messages: { [alice.userId]: { "*": { x: "x".repeat(70000) } } } });
		await fails(400, "M_INVALID_PARAM", { messages: {} }, "t".repeat(300));
		assert.equal((await alice.sync()).to_device, undefined);
	});

	test("without a wake-up both messages and changes of devices are found: written by hand", async () => {
		const alice = await register(server), bob = await register(server);
		await together(alice, bob);
		await bob.sync();
		const message = bob.syncUntil((a) => a.to_device, { what: "a message" });
		server.sql(`INSERT INTO hearth.to_device (device, usr, sender, type, content)
			SELECT nid, usr, usr, 't', '{"n":1}' FROM hearth.device WHERE device_id = '${bob.deviceId}'`);
		assert.deepEqual((await message).events, [{ type: "t", sender: bob.userId, content: { n: 1 } }]);
		const change = bob.syncUntil((a) => a.device_lists?.changed.includes(alice.userId), { what: "a change" });
		server.sql(`UPDATE hearth.device SET display_name = 'by hand' WHERE device_id = '${alice.deviceId}'`);
		await change;
	});

	test("what lay there for a device goes when it is deleted", async () => {
		const alice = await register(server), two = await secondDevice(alice);
		await send(alice, { [alice.userId]: { [two.deviceId]: { n: 1 } } });
		const nid = server.sql(`SELECT nid FROM hearth.device WHERE device_id = '${two.deviceId}'`);
		await two.ok("POST", `${V3}/logout`, {});
		await waitFor(() => server.sql(`SELECT count(*) FROM hearth.to_device WHERE device = ${nid}`) === "0", { what: "the clean-up" });
	});
});

describe("key backup", () => {
	const VERSION = `${V3}/room_keys/version`, KEYS = `${V3}/room_keys/keys`, ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2";
	const create = async (c, auth_data = { public_key: "abc" }) => (await c.ok("POST", VERSION, { algorithm: ALGORITHM, auth_data })).version;
	const session = (first, forwarded = 0, verified = false, data = { ciphertext: `${first}/${forwarded}/${verified}` }) => ({
		first_message_index: first, forwarded_count: forwarded, is_verified: verified, session_data: data,
	});

	test("versions: made, shown, changed, deleted, never used again", async () => {
		const alice = await register(server);
		await alice.fails(404, "M_NOT_FOUND", "GET", VERSION);
		const one = await create(alice), two = await create(alice, { public_key: "second" });
		assert.notEqual(one, two);
		assert.deepEqual(await alice.ok("GET", VERSION), { algorithm: ALGORITHM, auth_data: { public_key: "second" }, count: 0, etag: "0", version: two });
		assert.equal((await alice.ok("GET", `${VERSION}/${one}`)).auth_data.public_key, "abc");
		await alice.ok("PUT", `${VERSION}/${one}`, { algorithm: ALGORITHM, auth_data: { x: 1 }, version: one });
		assert.deepEqual((await alice.ok("GET", `${VERSION}/${one}`)).auth_data, { x: 1 });
		await alice.fails(400, "M_INVALID_PARAM", "PUT", `${VERSION}/${one}`, { algorithm: "other", auth_data: {} });
		await alice.fails(400, "M_INVALID_PARAM", "PUT", `${VERSION}/${one}`, { algorithm: ALGORITHM, auth_data: {}, version: two });
		await alice.fails(400, "M_MISSING_PARAM", "PUT", `${VERSION}/${one}`, { algorithm: ALGORITHM });
		await alice.fails(400, "M_MISSING_PARAM", "POST", VERSION, { auth_data: {} });
		await alice.ok("DELETE", `${VERSION}/${two}`);
		await alice.ok("DELETE", `${VERSION}/${two}`);
		await alice.fails(404, "M_NOT_FOUND", "GET", `${VERSION}/${two}`);
		await alice.fails(404, "M_NOT_FOUND", "DELETE", `${VERSION}/77`);
		for (const odd of ["x", "01", "-1", "99999999999999999999", "1%0A"]) await alice.fails(404, "M_NOT_FOUND", "GET", `${VERSION}/${odd}`);
		assert.equal((await alice.ok("GET", VERSION)).version, one);
		assert.ok(Number(await create(alice)) > Number(two));
		const bob = await register(server);
		await bob.fails(404, "M_NOT_FOUND", "GET", `${VERSION}/${one}`);
	});

	test("keys: the better one stays; etag and count", async () => {
		const alice = await register(server), v = await create(alice), room = "!r:x", q = `?version=${v}`, at = `${KEYS}/${enc(room)}/${enc("s/1")}${q}`;
		const put = (s) => alice.ok("PUT", at, s);
		await alice.fails(404, "M_NOT_FOUND", "GET", at);
		let last = await put(session(5, 5));
		assert.equal(last.count, 1);
		const steps = [	// what is put, and whether it replaces
			[session(6, 0), false], [session(5, 5, false, "other"), false], [session(5, 6), false], [session(5, 4), true],
			[session(4, 9), true], [session(9, 9, true), true], [session(0, 0), false], [session(9, 8, true), true], [session(1, 0, true), true],
		];
		for (const [s, replaces] of steps) {
			const now = await put(s);
			assert.equal(now.etag !== last.etag, replaces, JSON.stringify(s));
			assert.equal(now.count, 1);
			if (replaces) assert.deepEqual(await alice.ok("GET", at), s);
			last = now;
		}
		assert.deepEqual(await alice.ok("GET", `${KEYS}${q}`), { rooms: { [room]: { sessions: { "s/1": session(1, 0, true) } } } });
		const more = { rooms: { [room]: { sessions: { b: session(1), c: session(2) } }, "!other:x": { sessions: { b: session(3) } } } };
		assert.equal((await alice.ok("PUT", `${KEYS}${q}`, more)).count, 4);
		assert.equal((await alice.ok("PUT", `${KEYS}/${enc("!third:x")}${q}`, { sessions: { z: session(0) } })).count, 5);
		assert.deepEqual(Object.keys((await alice.ok("GET", `${KEYS}/${enc(room)}${q}`)).sessions), ["b", "c", "s/1"]);
		assert.deepEqual(await alice.ok("GET", `${KEYS}/${enc("!none:x")}${q}`), { sessions: {} });
		assert.equal((await alice.ok("DELETE", at)).count, 4);
		assert.equal((await alice.ok("DELETE", `${KEYS}/${enc(room)}${q}`)).count, 2);
		const info = await alice.ok("GET", VERSION), empty = await alice.ok("DELETE", `${KEYS}${q}`);
		assert.equal(info.count, 2);
		assert.equal(empty.count, 0);
		assert.notEqual(empty.etag, info.etag);
		assert.deepEqual(await alice.ok("GET", `${KEYS}${q}`), { rooms: {} });
	});

	test("only the newest version is written to", async () => {
		const alice = await register(server), one = await create(alice), two = await create(alice), at = (v) => `${KEYS}/${enc("!r:x")}/s?version=${v}`;
		const r = await alice.fails(403, "M_WRONG_ROOM_KEYS_VERSION", "PUT", at(one), session(1));
		assert.equal(r.body.current_version, two);
		await alice.fails(404, "M_NOT_FOUND", "PUT", at(99), session(1));
		await alice.fails(400, "M_MISSING_PARAM", "PUT", `${KEYS}/${enc("!r:x")}/s`, session(1));
		await alice.ok("PUT", at(two), session(1));
		await alice.fails(404, "M_NOT_FOUND", "GET", at(one));
		await alice.ok("DELETE", `${VERSION}/${two}`);
		await alice.fails(404, "M_NOT_FOUND", "GET", at(two));
		await alice.ok("PUT", at(one), session(2));
		const three = await create(alice);
		assert.deepEqual(await alice.ok("GET", `${KEYS}?version=${three}`), { rooms: {} });
		await waitFor(() => server.sql(`SELECT count(*) FROM hearth.key_backup_session WHERE version = ${two}
			AND usr = (SELECT nid FROM hearth.name WHERE body = '${alice.userId}')`) === "0", { what: "the clean-up" });
	});

	test("bad input changes nothing", async () => {
		const alice = await register(server), v = await create(alice), q = `?version=${v}`, one = `${KEYS}/${enc("!r:x")}/s${q}`;
		for (const bad of [{}, { ...session(1), is_verified: "yes" }, { ...session(1), first_message_index: -1 }, { ...session(1), forwarded_count: 1.5 },
			{ ...session(1), session_data: undefined }, { ...session(1), first_message_index: 2 ** 60 }])
			await alice.fails(400, "M_BAD_JSON", "PUT", one, bad);
		await alice.fails(400, "M_BAD_JSON", "PUT", `${KEYS}${q}`, { rooms: { a: { sessions: { s: session(1), t: {} } } } });
		await alice.fails(400, "M_BAD_JSON", "PUT", `${KEYS}${q}`, {});
		await alice.fails(400, "M_BAD_JSON", "PUT", `${KEYS}/${enc("!r:x")}${q}`, { sessions: [] });
		await alice.fails(413, "M_TOO_LARGE", "PUT", one, session(1, 0, false, "x".repeat(70000)));
		assert.equal((await alice.ok("GET", VERSION)).etag, "0");
	});
});
