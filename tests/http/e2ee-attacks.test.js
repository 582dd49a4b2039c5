// What an attacker may try against end-to-end encryption: foreign names in signed objects, signatures that are not his to make,
// sets that are made to be large for others, odd JSON, and many at once. Each ends in a clear error or in nothing, and the server goes on.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, login, unique, enc } = require("./lib/client.js");
const { b64, Key, deviceKeys, publish, cross, crossKeys, query, secondDevice, upload, curve } = require("./lib/keys.js");

const V3 = "/_matrix/client/v3", SIGNING = `${V3}/keys/device_signing/upload`, SIGNATURES = `${V3}/keys/signatures/upload`, UPLOAD = `${V3}/keys/upload`;
let server;
before(async () => { server = await shared(); });

const bare = ({ signatures, ...rest }) => rest;
const password = (c) => ({ type: "m.login.password", identifier: { type: "m.id.user", user: c.name }, password: c.password });
const claim = async (c, of, algorithm = "signed_curve25519") => (await c.ok("POST", `${V3}/keys/claim`, { one_time_keys: { [of.userId]: { [of.deviceId]: algorithm } } }))
	.one_time_keys[of.userId]?.[of.deviceId];
const send = (c, messages, txn = unique()) => c.request("PUT", `${V3}/sendToDevice/m.test/${txn}`, { body: { messages } });
const nested = (n) => "[".repeat(n) + "]".repeat(n);

// A person with device keys and cross-signing keys.
async function person() {
	const c = await register(server);
	await publish(c);
	c.cross = crossKeys(c);
	await c.ok("POST", SIGNING, c.cross);
	return c;
}
const failure = async (c, user, key, object) => (await c.ok("POST", SIGNATURES, { [user]: { [key]: object } })).failures[user]?.[key]?.errcode;

describe("names of others", () => {
	test("two users with one device id stay two", async () => {
		const alice = await register(server, { device_id: "PHONE" }), mallory = await register(server, { device_id: "PHONE" });
		await publish(alice);
		await upload(alice, { one_time_keys: { [curve("A")]: { key: "a" } } });
		await mallory.fails(400, "M_INVALID_PARAM", "POST", UPLOAD, { device_keys: alice.device });
		await mallory.fails(400, "M_INVALID_PARAM", "POST", UPLOAD, { device_keys: { ...deviceKeys(mallory), user_id: alice.userId } });
		await publish(mallory);
		assert.equal(await claim(mallory, mallory), undefined);
		await send(mallory, { [mallory.userId]: { PHONE: { n: 1 } } });
		assert.equal((await alice.sync()).to_device, undefined);
		await mallory.ok("POST", `${V3}/logout`, {});
		const seen = (await query(alice, alice.userId, mallory.userId)).device_keys;
		assert.deepEqual([Object.keys(seen[alice.userId]), Object.keys(seen[mallory.userId])], [["PHONE"], []]);
		assert.deepEqual(Object.keys(await claim(alice, alice)), [curve("A")]);
	});

	test("signatures are taken from their maker alone, by keys that may sign", async () => {
		const alice = await person(), mallory = await person(), dead = b64(Buffer.alloc(64)), self = `ed25519:${alice.self.text}`;
		const before = await query(alice, alice.userId, mallory.userId);
		// In another's name, with his own keys or with what he saw of hers.
		const master = alice.user.sign(bare(mallory.cross.master_key), alice.userId);
		assert.equal(await failure(mallory, mallory.userId, mallory.master.text, master), "M_INVALID_SIGNATURE");
		assert.equal(await failure(mallory, alice.userId, alice.deviceId, mallory.self.sign(bare(alice.device), alice.userId, self)), "M_NOT_FOUND");
		assert.equal(await failure(mallory, alice.userId, alice.master.text, mallory.self.sign(bare(alice.cross.master_key), mallory.userId)), "M_INVALID_SIGNATURE");
		assert.equal(await failure(mallory, alice.userId, alice.master.text, mallory.user.sign(bare(alice.cross.master_key), alice.userId)), "M_INVALID_SIGNATURE");
		assert.equal(await failure(mallory, alice.userId, alice.self.text, mallory.user.sign(bare(alice.cross.self_signing_key), mallory.userId)), "M_NOT_FOUND");
		assert.equal(await failure(mallory, alice.userId, alice.user.text, mallory.user.sign(bare(alice.cross.user_signing_key), mallory.userId)), "M_NOT_FOUND");
		// By a key that nobody knows; by a known one's name; by the wrong own key.
		const device = bare(mallory.device);
		assert.equal(await failure(mallory, mallory.userId, mallory.deviceId, new Key().sign(device, mallory.userId)), "M_INVALID_SIGNATURE");
		assert.equal(await failure(mallory, mallory.userId, mallory.deviceId, new Key().sign(device, mallory.userId, `ed25519:${mallory.self.text}`)), "M_INVALID_SIGNATURE");
		assert.equal(await failure(mallory, mallory.userId, mallory.deviceId, mallory.user.sign(device, mallory.userId)), "M_INVALID_SIGNATURE");
		assert.equal(await failure(mallory, mallory.userId, mallory.deviceId, mallory.master.sign(device, mallory.userId)), "M_INVALID_SIGNATURE");
		for (const odd of [{}, { [mallory.userId]: "x" }, { [mallory.userId]: { [self]: 5 } }, { [mallory.userId]: { [`ed25519:${mallory.self.text}`]: "%%%" } }])
			assert.equal(await failure(mallory, mallory.userId, mallory.deviceId, { ...device, signatures: odd }), "M_INVALID_SIGNATURE");
		// One wrong signature among right ones: none is taken.
		const both = mallory.self.sign(device, mallory.userId);
		both.signatures[mallory.userId][`ed25519:${mallory.self.text}`] = dead;
		assert.equal(await failure(mallory, mallory.userId, mallory.deviceId, both), "M_INVALID_SIGNATURE");
		// Nor do they come in with the keys of the device, or with the master key.
		await upload(alice, { device_keys: { ...alice.device, signatures: { ...alice.device.signatures, [alice.userId]: { ...alice.device.signatures[alice.userId], [self]: dead } } } });
		await alice.ok("POST", SIGNING, { master_key: new Key().sign(alice.cross.master_key, alice.userId, "ed25519:UNKNOWN") });
		await alice.fails(400, "M_INVALID_SIGNATURE", "POST", SIGNING, { master_key: new Key().sign(alice.cross.master_key, alice.userId, `ed25519:${alice.deviceId}`) });
		assert.deepEqual(await query(alice, alice.userId, mallory.userId), before);
	});

	test("a replaced master key ends all that the old keys signed, and the old signatures do not come back", async () => {
		const alice = await person(), bob = await person();
		const device = alice.self.sign(bare(alice.device), alice.userId), verified = alice.user.sign(bare(bob.cross.master_key), alice.userId);
		const mine = bob.user.sign(bare(alice.cross.master_key), bob.userId);
		assert.deepEqual(await alice.ok("POST", SIGNATURES, { [alice.userId]: { [alice.deviceId]: device }, [bob.userId]: { [bob.master.text]: verified } }), { failures: {} });
		assert.deepEqual(await bob.ok("POST", SIGNATURES, { [alice.userId]: { [alice.master.text]: mine } }), { failures: {} });
		const old = { ...alice.cross }, oldMaster = alice.master, next = crossKeys(alice);
		await alice.fails(401, "undefined", "POST", SIGNING, next);
		// Half of a set, signed by the old key or for the wrong one, does not get in with the password either.
		await alice.fails(400, "M_INVALID_SIGNATURE", "POST", SIGNING, { master_key: next.master_key, self_signing_key: old.self_signing_key, auth: password(alice) });
		await alice.ok("POST", SIGNING, { ...next, auth: password(alice) });
		const seen = await query(alice, alice.userId, bob.userId), asBob = await query(bob, alice.userId);
		assert.deepEqual(Object.keys(seen.device_keys[alice.userId][alice.deviceId].signatures[alice.userId]), [`ed25519:${alice.deviceId}`]);
		assert.deepEqual(seen.master_keys[bob.userId].signatures?.[alice.userId], undefined);
		assert.deepEqual(asBob.master_keys[alice.userId], next.master_key, "nor what others signed of the old one");
		assert.deepEqual(seen.self_signing_keys[alice.userId], next.self_signing_key);
		assert.equal(await failure(alice, alice.userId, alice.deviceId, device), "M_INVALID_SIGNATURE");
		assert.equal(await failure(alice, bob.userId, bob.master.text, verified), "M_INVALID_SIGNATURE");
		assert.equal(await failure(bob, alice.userId, oldMaster.text, mine), "M_NOT_FOUND");
		assert.equal(await failure(bob, alice.userId, alice.master.text, mine), "M_INVALID_PARAM");
		const late = oldMaster.sign(cross("self_signing", alice.userId, new Key()), alice.userId);
		await alice.fails(400, "M_INVALID_SIGNATURE", "POST", SIGNING, { self_signing_key: late, auth: password(alice) });
	});

	test("a device is never named like a cross-signing key, whichever comes first", async () => {
		const alice = await register(server), keys = crossKeys(alice), taken = await login(server, alice.name, alice.password, { device_id: alice.user.text });
		await alice.fails(403, "M_FORBIDDEN", "POST", SIGNING, keys);
		await taken.ok("POST", `${V3}/logout`, {});
		await alice.ok("POST", SIGNING, keys);
		for (const key of [alice.master, alice.self, alice.user])
			await alice.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, { ...password(alice), device_id: key.text });
		// Another's may be named so: names of keys are a user's own.
		assert.equal((await register(server, { device_id: alice.master.text })).deviceId, alice.master.text);
	});
});

describe("large sets", () => {
	test("a thousand devices of one user: one answer each, and not one more", async () => {
		const alice = await register(server), bob = await register(server);
		server.sql(`SET session_replication_role = replica; WITH u AS (SELECT nid FROM hearth.name WHERE body = '${alice.userId}'),
			d AS (INSERT INTO hearth.device (usr, device_id, created_ts) SELECT nid, 'D' || i, i FROM u, generate_series(1, 999) i RETURNING nid, device_id)
			INSERT INTO hearth.device_key (device, body) SELECT nid, '{"algorithms":[],"device_id":"' || device_id || '","keys":{},"user_id":"${alice.userId}"}' FROM d`);
		await publish(alice);
		const devices = async () => Object.keys((await query(bob, alice.userId)).device_keys[alice.userId]);
		assert.equal((await devices()).length, 1000);
		await publish(await secondDevice(alice));	// the one that was not seen for longest makes room
		assert.equal((await devices()).length, 1000);
		assert.ok(!(await devices()).includes("D1"));
		const inbox = () => Number(server.sql(`SELECT count(*) FROM hearth.to_device t JOIN hearth.name n ON n.nid = t.usr WHERE n.body = '${alice.userId}'`));
		const txn = unique();
		assert.equal((await send(bob, { [alice.userId]: { "*": { x: "x".repeat(60000) } } }, txn)).status, 413);
		assert.equal(inbox(), 0);
		assert.equal((await send(bob, { [alice.userId]: { "*": { n: 1 } } }, txn)).status, 200, "the transaction was not used up");
		assert.equal(inbox(), 1000);
		assert.deepEqual((await alice.sync()).to_device.events.map((e) => e.content), [{ n: 1 }]);
		const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`D${500 + i}`, { n: 2 }]));
		assert.equal((await send(bob, { [alice.userId]: many })).status, 200);
		// Eleven of such users at once are too many.
		server.sql(`SET session_replication_role = replica; WITH n AS (INSERT INTO hearth.name (body) SELECT '${alice.userId}' || i FROM generate_series(1, 10) i RETURNING nid, body),
			a AS (INSERT INTO hearth.account (usr, localpart, created_ts) SELECT nid, substr(body, 2), 0 FROM n RETURNING usr)
			INSERT INTO hearth.device (usr, device_id, created_ts) SELECT usr, 'D' || i, 0 FROM a, generate_series(1, 1000) i`);
		const all = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [i ? `${alice.userId}${i}` : alice.userId, { "*": {} }]));
		assert.equal((await send(bob, all)).body.errcode, "M_TOO_LARGE");
	});

	test("enormous uploads and questions", async () => {
		const alice = await register(server), bob = await register(server), n = 20000;
		const set = (count, f) => Object.fromEntries(Array.from({ length: count }, (_, i) => f(i)));
		await alice.fails(413, "M_TOO_LARGE", "POST", UPLOAD, { fallback_keys: set(n, (i) => [`a${i}:1`, "x"]) });
		await alice.fails(413, "M_TOO_LARGE", "POST", UPLOAD, { one_time_keys: set(n, (i) => [`a${i}:1`, "x"]) });
		await upload(alice, { fallback_keys: set(16, (i) => [`a${i}:1`, "x"]) });
		await alice.fails(413, "M_TOO_LARGE", "POST", UPLOAD, { fallback_keys: { "more:1": "x" } });
		await upload(alice, { fallback_keys: { "a3:2": "y" } });
		assert.equal((await alice.sync()).device_unused_fallback_key_types.length, 16);
		await alice.fails(413, "M_TOO_LARGE", "POST", UPLOAD, { device_keys: { ...deviceKeys(alice), keys: set(n, (i) => [`a:${i}`, "x"]) } });
		const asked = await bob.ok("POST", `${V3}/keys/query`, { device_keys: set(n, (i) => [`@${i}:${server.name}`, []]) });
		assert.deepEqual(asked.device_keys, {});
		const twice = await bob.ok("POST", `${V3}/keys/query`, { device_keys: { [alice.userId]: Array(n).fill(alice.deviceId) } });
		assert.deepEqual(twice.device_keys, { [alice.userId]: {} });
		assert.deepEqual((await bob.ok("POST", `${V3}/keys/claim`, { one_time_keys: { [alice.userId]: set(n, (i) => [`D${i}`, "a"]) } })).one_time_keys, {});
		assert.equal((await send(bob, { [alice.userId]: set(n, (i) => [`D${i}`, {}]) })).status, 200);
		await bob.fails(413, "M_TOO_LARGE", "POST", `${V3}/keys/query`, { device_keys: { [alice.userId]: ["x".repeat(1 << 20)] } });
		assert.deepEqual((await bob.ok("POST", SIGNATURES, { [alice.userId]: set(3000, (i) => [`D${i}`, { a: 1 }]) })).failures[alice.userId].D7.errcode, "M_NOT_FOUND");
	});

	test("a signature's name or text is no way to store much, nor to break an index", async () => {
		const alice = await register(server), long = "x".repeat(5000), good = deviceKeys(alice), id = alice.deviceId;
		await upload(alice, { device_keys: { ...good, signatures: { [alice.userId]: { ...good.signatures[alice.userId], [`${long}:${id}`]: "x" } } } });
		const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`a${i}:${id}`, "x"]));
		await alice.fails(413, "M_TOO_LARGE", "POST", UPLOAD, { device_keys: { ...good, signatures: { [alice.userId]: many } } });
		assert.deepEqual((await query(alice, alice.userId)).device_keys[alice.userId][id].signatures, good.signatures);
		await alice.fails(400, "M_INVALID_PARAM", "POST", UPLOAD, { one_time_keys: { [`${long}:1`]: "x" } });
		assert.equal(await claim(alice, alice, long), undefined);
		assert.equal((await send(alice, { [alice.userId]: { [long]: {} } })).status, 200);
		await alice.fails(413, "M_TOO_LARGE", "POST", SIGNING, { master_key: { ...cross("master", alice.userId, new Key()), long: long.repeat(4) } });
	});
});

describe("odd JSON", () => {
	test("deep: refused, wherever it stands", async () => {
		const alice = await register(server), post = (path, body, method = "POST") => alice.request(method, path, { body });
		const { version } = await alice.ok("POST", `${V3}/room_keys/version`, { algorithm: "a", auth_data: {} });
		const places = [
			[UPLOAD, (d) => `{"one_time_keys":{"a:1":{"k":${d}}}}`], [UPLOAD, (d) => `{"device_keys":${d}}`], [UPLOAD, (d) => d],
			[SIGNING, (d) => `{"master_key":{"user_id":"x","x":${d}}}`], [SIGNATURES, (d) => `{"@a:b":{"c":${d}}}`],
			[`${V3}/keys/query`, (d) => `{"device_keys":{"@a:b":${d}}}`], [`${V3}/keys/claim`, (d) => `{"one_time_keys":{"@a:b":{"c":${d}}}}`],
			[`${V3}/sendToDevice/m.t/1`, (d) => `{"messages":{"@a:b":{"*":{"x":${d}}}}}`, "PUT"], [`${V3}/room_keys/version`, (d) => `{"algorithm":"a","auth_data":${d}}`],
			[`${V3}/room_keys/keys/r/s?version=${version}`, (d) => `{"first_message_index":0,"forwarded_count":0,"is_verified":true,"session_data":${d}}`, "PUT"],
		];
		for (const [path, body, method] of places)
			for (const depth of [101, 100000]) {
				const r = await post(path, body(nested(depth)), method);
				assert.equal(r.status, 400, `${path}: ${r.status} ${r.text}`);
				assert.match(r.body.errcode, /^M_(NOT|BAD)_JSON$/);
			}
	});

	test("keys that are no strings, names that are no names, the same name twice", async () => {
		const alice = await register(server), good = deviceKeys(alice);
		const bad = (body, path = UPLOAD) => alice.fails(400, "M_BAD_JSON", "POST", path, body);
		for (const v of [1, null, true, [], {}, 1.5]) {
			await bad({ device_keys: { ...good, keys: { ...good.keys, [`ed25519:${alice.deviceId}`]: v } } });
			await bad({ device_keys: { ...good, algorithms: ["a", v] } });
			await bad({ device_keys: { ...good, user_id: v } });
			await bad({ device_keys: { ...good, device_id: v } });
			if (typeof v !== "object" || v === null || Array.isArray(v)) {
				await bad({ device_keys: { ...good, signatures: v } });
				if (v !== null) await bad({ one_time_keys: { "a:1": v } });
				await bad({ one_time_keys: { [alice.userId]: v } }, `${V3}/keys/claim`);
			}
			await bad({ one_time_keys: { [alice.userId]: { [alice.deviceId]: v } } }, `${V3}/keys/claim`);
			await bad({ device_keys: { [alice.userId]: [v] } }, `${V3}/keys/query`);
			if (v !== null) await bad({ master_key: typeof v === "object" && !Array.isArray(v) ? { user_id: alice.userId, usage: ["master"] } : v }, SIGNING);
			if (typeof v !== "object" || v === null || Array.isArray(v)) await bad({ [alice.userId]: { [alice.deviceId]: v } }, SIGNATURES);
		}
		await alice.fails(400, "M_INVALID_PARAM", "POST", SIGNING, { master_key: { ...cross("master", alice.userId, new Key()), usage: "master" } });
		await alice.fails(400, "M_INVALID_PARAM", "POST", SIGNING, { master_key: { ...cross("master", alice.userId, new Key()), keys: { a: "b", c: "d" } } });
		await upload(alice, { device_keys: { ...good, signatures: { [alice.userId]: { [`ed25519:${alice.deviceId}`]: 5 } } } });
		assert.deepEqual((await query(alice, alice.userId)).device_keys[alice.userId][alice.deviceId].signatures, {});
		// The last of two members with one name counts, for both the answer and what is stored.
		const twice = await alice.request("POST", UPLOAD, { body: '{"one_time_keys":{"a:1":"x","a:1":"y"}}' });
		assert.ok(twice.status === 400 || (await claim(alice, alice, "a"))["a:1"] === "y", twice.text);
		for (const odd of ["\u0000", "\"", "\\", "a\nb", "*", "%", "\u{1f600}"]) {
			assert.equal((await send(alice, { [odd]: { [odd]: { [odd]: odd } } })).status, 200);
			await alice.ok("POST", `${V3}/keys/query`, { device_keys: { [odd]: [odd] } });
			await upload(alice, { one_time_keys: { [`${odd}:${odd}`]: { [odd]: odd } } });
			assert.deepEqual(await claim(alice, alice, odd), { [`${odd}:${odd}`]: { [odd]: odd } });
		}
	});
});

describe("many at once", () => {
	test("claims of a hundred keys by two hundred requests, while they are uploaded again and again: each key once, then the fallback key", async () => {
		const alice = await register(server), others = await Promise.all(Array.from({ length: 8 }, () => register(server)));
		const keys = { one_time_keys: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [curve(`K${i}`), { key: `${i}` }])) };
		await upload(alice, { ...keys, fallback_keys: { [curve("F")]: { key: "f", fallback: true } } });
		const again = Promise.all(Array.from({ length: 20 }, () => upload(alice, keys)));
		const got = (await Promise.all(Array.from({ length: 200 }, (_, i) => claim(others[i % 8], alice)))).map((k) => Object.keys(k)[0]);
		await again;
		const once = got.filter((k) => k !== curve("F"));
		assert.equal(got.length, 200);
		assert.equal(new Set(once).size, once.length, "no key twice");
		// A claim that finds the last keys locked by others takes the fallback key, so a few may be left.
		const left = (await upload(alice, {})).one_time_key_counts.signed_curve25519;
		assert.equal(once.length + left, 100);
		await alice.syncUntil((a) => a.device_one_time_keys_count.signed_curve25519 === left && a.device_unused_fallback_key_types.length === 0, { what: "the counts" });
	});

	test("one key id with ten contents at once: one is there, the others are refused", async () => {
		const alice = await register(server);
		const all = await Promise.all(Array.from({ length: 10 }, (_, i) => alice.request("POST", UPLOAD, { body: { one_time_keys: { "a:1": `${i}`, [`a:x${i}`]: "y" } } })));
		const won = all.findIndex((r) => r.status === 200);
		assert.deepEqual(all.map((r) => r.status).sort(), [200, ...Array(9).fill(400)]);
		assert.deepEqual(await upload(alice, {}), { one_time_key_counts: { a: 2, signed_curve25519: 0 } }, "nothing of what was refused");
		assert.deepEqual({ ...await claim(alice, alice, "a"), ...await claim(alice, alice, "a") }, { "a:1": `${won}`, [`a:x${won}`]: "y" });
	});

	test("backups: another's version, one that does not exist, and twenty writers of one session", async () => {
		const alice = await register(server), mallory = await register(server), ALGORITHM = { algorithm: "m.megolm_backup.v1.curve25519-aes-sha2", auth_data: { a: 1 } };
		const session = (first) => ({ first_message_index: first, forwarded_count: 0, is_verified: false, session_data: { first } });
		const { version } = await alice.ok("POST", `${V3}/room_keys/version`, ALGORITHM), at = `${V3}/room_keys/keys/${enc("!r:x")}/s?version=${version}`;
		await Promise.all(Array.from({ length: 20 }, (_, i) => alice.ok("PUT", at, session((i * 7) % 20))));
		assert.deepEqual(await alice.ok("GET", at), session(0));
		assert.equal((await alice.ok("GET", `${V3}/room_keys/version`)).count, 1);
		for (const [method, path, body] of [
			["GET", at], ["PUT", at, session(0)], ["DELETE", at], ["GET", `${V3}/room_keys/keys?version=${version}`], ["DELETE", `${V3}/room_keys/keys?version=${version}`],
			["GET", `${V3}/room_keys/version/${version}`], ["PUT", `${V3}/room_keys/version/${version}`, ALGORITHM], ["DELETE", `${V3}/room_keys/version/${version}`],
		]) await mallory.fails(404, "M_NOT_FOUND", method, path, body);
		assert.deepEqual(await alice.ok("GET", at), session(0));
	});
});
