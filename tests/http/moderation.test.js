// Administration by the client-server API and psql: whois, locking, suspending; TURN credentials.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { shared, start } = require("./lib/server.js");
const { request, register, login, waitFor, Client, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3", V1 = "/_matrix/client/v1", WHOAMI = `${V3}/account/whoami`;
let server, anyone, boss;
before(async () => {
	server = await shared();
	anyone = new Client(server);
	boss = await register(server);
	server.sql(`SELECT admin.set_admin('${boss.userId}')`);
});
const lock = (who) => `${V1}/admin/lock/${enc(who.userId)}`, suspend = (who) => `${V1}/admin/suspend/${enc(who.userId)}`;
const byPassword = (who, session) => ({ type: "m.login.password", identifier: { type: "m.id.user", user: who.userId }, password: who.password, session });

describe("whois", () => {
	test("an administrator, or oneself; where from and when last", async () => {
		const alice = await register(server), other = await register(server), path = `${V3}/admin/whois/${enc(alice.userId)}`;
		await alice.request("GET", WHOAMI, { headers: { "User-Agent": "tester/1 \u00e9" } });
		const second = await login(server, alice.name, alice.password, { device_id: "SILENT" });
		const seen = await waitFor(async () => {
			const w = await boss.ok("GET", path);
			return w.devices[alice.deviceId]?.sessions[0].connections.length && w;
		}, { what: "the note of where she is" });
		assert.equal(seen.user_id, alice.userId);
		assert.deepEqual(Object.keys(seen.devices).sort(), [alice.deviceId, second.deviceId].sort());
		const [c] = seen.devices[alice.deviceId].sessions[0].connections;
		assert.equal(c.ip, "127.0.0.1");
		assert.match(c.user_agent, /^tester\/1 \?+$/);
		assert.ok(Math.abs(c.last_seen - Date.now()) < 600000);
		assert.deepEqual(seen.devices.SILENT, { sessions: [{ connections: [] }] });
		assert.equal((await alice.ok("GET", path)).user_id, alice.userId);
		assert.equal((await alice.ok("GET", `${V3}/devices/${alice.deviceId}`)).last_seen_ip, "127.0.0.1");
		await other.fails(403, "M_FORBIDDEN", "GET", path);
		await other.fails(403, "M_FORBIDDEN", "GET", `${V3}/admin/whois/${enc("@nobody-at-all:localhost")}`);
		await boss.fails(404, "M_NOT_FOUND", "GET", `${V3}/admin/whois/${enc("@nobody-at-all:localhost")}`);
		await boss.fails(400, "M_INVALID_PARAM", "GET", `${V3}/admin/whois/${enc("@a:elsewhere.example")}`);
		await boss.fails(400, "M_INVALID_PARAM", "GET", `${V3}/admin/whois/nonsense`);
	});

	test("a sync that waits is seen too", async () => {
		const alice = await register(server);
		await alice.sync();
		const waiting = alice.sync({ timeout: 20000 });
		await waitFor(() => server.sql(`SELECT count(*) FROM admin.connections WHERE user_id = '${alice.userId}'`) === "1");
		await alice.createRoom();
		await waiting;
	});
});

describe("locking", () => {
	test("by an administrator: at once, also for who waits; and lifted", async () => {
		const alice = await register(server);
		assert.deepEqual(await boss.ok("GET", lock(alice)), { locked: false });
		await alice.sync();
		const waiting = alice.request("GET", `${V3}/sync?timeout=60000&since=${enc(alice.since)}`, { timeout: 90000 });
		assert.deepEqual(await boss.ok("PUT", lock(alice), { locked: true }), { locked: true });
		const r = await waiting;
		assert.equal(`${r.status} ${r.body.errcode} ${r.body.soft_logout}`, "401 M_USER_LOCKED true");
		const refused = await alice.fails(401, "M_USER_LOCKED", "GET", WHOAMI);
		assert.equal(refused.body.soft_logout, true);
		await alice.fails(401, "M_USER_LOCKED", "POST", `${V3}/createRoom`, {});
		assert.deepEqual(await boss.ok("GET", lock(alice)), { locked: true });
		await boss.ok("PUT", lock(alice), { locked: false });
		await alice.ok("GET", WHOAMI);
		server.sql(`SELECT admin.lock('${alice.userId}')`);
		await alice.fails(401, "M_USER_LOCKED", "GET", WHOAMI);
		await alice.ok("POST", `${V3}/logout/all`);
	});

	for (const [what, path, key] of [["lock", lock, "locked"], ["suspend", suspend, "suspended"]])
		test(`${what}: who may, whom`, async () => {
			const alice = await register(server), other = await register(server);
			const nobody = { userId: "@nobody-at-all:localhost" }, elsewhere = { userId: "@a:elsewhere.example" };
			for (const target of [alice, other, nobody, elsewhere]) {
				await alice.fails(403, "M_FORBIDDEN", "GET", path(target));
				await alice.fails(403, "M_FORBIDDEN", "PUT", path(target), { [key]: true });
				await alice.fails(403, "M_FORBIDDEN", "PUT", path(target), { [key]: 7 });
			}
			await boss.fails(404, "M_NOT_FOUND", "GET", path(nobody));
			await boss.fails(400, "M_INVALID_PARAM", "PUT", path(elsewhere), { [key]: true });
			await boss.fails(400, "M_MISSING_PARAM", "PUT", path(alice), {});
			await boss.fails(400, "M_BAD_JSON", "PUT", path(alice), { [key]: "yes" });
			await boss.fails(403, "M_FORBIDDEN", "PUT", path(boss), { [key]: true });
			assert.deepEqual(await boss.ok("GET", path(boss)), { [key]: false });
			server.sql(`SELECT admin.set_admin('${other.userId}')`);
			await boss.fails(403, "M_FORBIDDEN", "PUT", path(other), { [key]: true });
			await boss.fails(403, "M_FORBIDDEN", "GET", path(other));
			server.sql(`SELECT admin.deactivate('${alice.userId}')`);
			await boss.fails(404, "M_NOT_FOUND", "PUT", path(alice), { [key]: true });
			await anyone.fails(401, "M_MISSING_TOKEN", "GET", path(alice));
		});

	test("the capability is told to administrators alone", async () => {
		const alice = await register(server);
		assert.deepEqual((await boss.ok("GET", `${V3}/capabilities`)).capabilities["m.account_moderation"], { lock: true, suspend: true });
		assert.equal((await alice.ok("GET", `${V3}/capabilities`)).capabilities["m.account_moderation"], undefined);
	});
});

describe("suspension", () => {
	test("reads, leaves, redacts his own, looks after his devices; nothing else", async () => {
		const alice = await register(server), bob = await register(server);
		const room = await bob.createRoom({ preset: "public_chat", power_level_content_override: { users: { [alice.userId]: 100 } } });
		const other = await bob.createRoom({ preset: "public_chat" });
		await alice.join(room);
		const mine = await alice.send(room, "mine"), also = await alice.send(room, "mine too"), his = await bob.send(room, "his");
		const invited = await bob.createRoom({ invite: [alice.userId] });
		assert.deepEqual(await boss.ok("PUT", suspend(alice), { suspended: true }), { suspended: true });

		const no = (method, path, body) => alice.fails(403, "M_USER_SUSPENDED", method, path, body);
		const r = `${V3}/rooms/${enc(room)}`;
		await no("PUT", `${r}/send/m.room.message/1`, { body: "x", msgtype: "m.text" });
		await no("POST", `${r}/send/m.room.message`, { body: "x", msgtype: "m.text" });
		await no("PUT", `${r}/state/m.room.name/`, { name: "x" });
		await no("PUT", `${r}/redact/${enc(his)}/2`, {});
		await no("PUT", `${r}/send/m.room.redaction/3`, { redacts: his });
		await no("POST", `${r}/invite`, { user_id: boss.userId });
		await no("POST", `${r}/kick`, { user_id: bob.userId });
		await no("POST", `${r}/ban`, { user_id: bob.userId });
		await no("PUT", `${r}/typing/${enc(alice.userId)}`, { typing: true });
		await no("POST", `${V3}/join/${enc(other)}`, {});
		await no("POST", `${V3}/rooms/${enc(invited)}/join`, {});
		await no("POST", `${V3}/knock/${enc(other)}`, {});
		await no("POST", `${V3}/createRoom`, {});
		await no("POST", `${r}/upgrade`, { new_version: "11" });
		await no("PUT", `${V3}/profile/${enc(alice.userId)}/displayname`, { displayname: "x" });
		await no("DELETE", `${V3}/profile/${enc(alice.userId)}/displayname`);
		await no("PUT", `${V3}/presence/${enc(alice.userId)}/status`, { presence: "online", status_msg: "x" });
		await no("PUT", `${V3}/directory/room/${enc(`#${unique()}:localhost`)}`, { room_id: room });

		await alice.sync();
		await alice.ok("GET", `${r}/messages?dir=b`);
		await alice.ok("PUT", `${r}/redact/${enc(mine)}/4`, {});
		await alice.ok("PUT", `${r}/send/m.room.redaction/5`, { redacts: also });
		await alice.ok("POST", `${V3}/rooms/${enc(invited)}/leave`, {});
		await alice.ok("POST", `${r}/leave`, {});
		await alice.ok("POST", `${r}/forget`, {});
		await alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/account_data/x.y`, { a: 1 });
		await alice.ok("POST", `${V3}/keys/query`, { device_keys: {} });
		await alice.ok("PUT", `${V3}/sendToDevice/m.key.verification.request/6`, { messages: {} });
		await alice.ok("POST", `${V3}/publicRooms`, {});
		const second = await login(server, alice.name, alice.password);
		await second.fails(403, "M_USER_SUSPENDED", "POST", `${V3}/createRoom`, {});
		await alice.ok("PUT", `${V3}/devices/${second.deviceId}`, { display_name: "x" });
		await alice.ok("DELETE", `${V3}/devices/${second.deviceId}`, { auth: byPassword(alice) });
		assert.deepEqual((await alice.ok("GET", `${V3}/capabilities`)).capabilities["m.profile_fields"], { enabled: false });

		server.sql(`SELECT admin.suspend('${alice.userId}', false)`);
		await alice.createRoom();
		server.sql(`SELECT admin.suspend('${alice.userId}')`);
		assert.deepEqual(await boss.ok("GET", suspend(alice)), { suspended: true });
		await alice.ok("POST", `${V3}/account/deactivate`, { auth: byPassword(alice) });
	});
});

describe("TURN", () => {
	test("none: {}", async () => {
		assert.deepEqual(await boss.ok("GET", `${V3}/voip/turnServer`), {});
	});

	describe("with a server", () => {
		let own;
		before(async () => {
			own = await start({ HEARTH_TURN_URIS: "turn:turn.example.org?transport=udp, turns:turn.example.org", HEARTH_TURN_SHARED_SECRET: "n0rth" });
		});
		after(() => own.stop());

		test("credentials that the TURN server can check", async () => {
			const alice = await register(own), t = await alice.ok("GET", `${V3}/voip/turnServer`);
			assert.deepEqual(t.uris, ["turn:turn.example.org?transport=udp", "turns:turn.example.org"]);
			assert.equal(t.ttl, 86400);
			const [end, ...user] = t.username.split(":");
			assert.equal(user.join(":"), alice.userId);
			assert.ok(Math.abs(Number(end) - Date.now() / 1000 - 86400) < 600);
			assert.equal(t.password, crypto.createHmac("sha1", "n0rth").update(t.username).digest("base64"));
			assert.doesNotMatch(own.log, /n0rth/);
		});
	});
});
