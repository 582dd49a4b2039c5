// Accounts: registration, login, sessions, profiles, account data, filters, push rules, the administrator's psql.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { shared } = require("./lib/server.js");
const { request, waitFor, register, login, Client, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
let server, anyone;
before(async () => {
	server = await shared();
	anyone = new Client(server);
});

const post = (path, body) => request(server, "POST", path, { body });

describe("registration", () => {
	test("without auth: 401 with the flows; then with the session", async () => {
		const username = unique();
		const asked = await post(`${V3}/register`, { username, password: "p4ssword" });
		assert.equal(asked.status, 401);
		assert.deepEqual(asked.body.flows, [{ stages: ["m.login.dummy"] }]);
		assert.deepEqual(asked.body.params, {});
		assert.equal(asked.body.errcode, undefined);
		const auth = { type: "m.login.dummy", session: asked.body.session };
		const made = await post(`${V3}/register`, { username, password: "p4ssword", auth });
		assert.equal(made.status, 200, made.text);
		assert.equal(made.body.user_id, `@${username}:${server.name}`);
		assert.equal(made.body.home_server, server.name);
		// The answer was lost: the same request again is answered with a session of the same account.
		const again = await post(`${V3}/register`, { username, password: "p4ssword", auth });
		assert.equal(again.status, 200, again.text);
		assert.equal(again.body.user_id, made.body.user_id);
		assert.notEqual(again.body.access_token, made.body.access_token);
		// The session is of no use for anything else.
		const other = await post(`${V3}/register`, { username: unique(), password: "p4ssword", auth });
		assert.equal(other.status, 401);
		assert.notEqual(other.body.session, asked.body.session);
	});

	test("a session of an empty request may be used for the real one", async () => {
		const asked = await post(`${V3}/register`, {});
		assert.equal(asked.status, 401);
		const made = await post(`${V3}/register`, { username: unique(), auth: { type: "m.login.dummy", session: asked.body.session } });
		assert.equal(made.status, 200, made.text);
	});

	test("what the session was begun with is remembered for a client that goes on with the session alone", async () => {
		const username = unique(), password = "pässword", asked = await post(`${V3}/register`, { username, password, device_id: "REMEMBERED" });
		assert.equal(server.sql(`SELECT body || coalesce(password_hash, '') FROM hearth.uia_session WHERE id = '${asked.body.session}'`).includes(password), false);
		const made = await post(`${V3}/register`, { auth: { type: "m.login.dummy", session: asked.body.session } });
		assert.equal(`${made.status} ${made.body.user_id} ${made.body.device_id}`, `200 @${username}:${server.name} REMEMBERED`);
		await login(server, username, password);
		const again = await post(`${V3}/register`, { auth: { type: "m.login.dummy", session: asked.body.session } });
		assert.equal(again.body.user_id, made.body.user_id, "the lost answer");
		const other = await post(`${V3}/register`, { username: unique(), password });
		const own = await post(`${V3}/register`, { username, password, auth: { session: other.body.session } });
		assert.equal(`${own.status} ${own.body.errcode}`, "400 M_USER_IN_USE", "what is given counts");
		const guest = await post(`${V3}/register`, { username: unique(), guest_access_token: "secret" });
		if (guest.status === 401) assert.equal(server.sql(`SELECT body IS NULL FROM hearth.uia_session WHERE id = '${guest.body.session}'`), "t");
	});

	test("an unknown session, a wrong stage, an auth that is none", async () => {
		const body = { username: unique() };
		const unknown = await post(`${V3}/register`, { ...body, auth: { type: "m.login.dummy", session: "nonsense" } });
		assert.equal(`${unknown.status} ${unknown.body.errcode}`, "401 M_FORBIDDEN");
		assert.ok(unknown.body.session);
		const wrong = await post(`${V3}/register`, { ...body, auth: { type: "m.login.password", password: "x", user: "y" } });
		assert.equal(`${wrong.status} ${wrong.body.errcode}`, "401 M_FORBIDDEN");
		await anyone.fails(400, "M_BAD_JSON", "POST", `${V3}/register`, { ...body, auth: "yes" });
		const none = await post(`${V3}/register`, { ...body, auth: {} });
		assert.equal(none.status, 401);
	});

	test("names: lower-cased, checked before the authentication, in use", async () => {
		const name = unique();
		const made = await register(server, { name: name.toUpperCase() });
		assert.equal(made.userId, `@${name}:${server.name}`);
		await anyone.fails(400, "M_USER_IN_USE", "POST", `${V3}/register`, { username: name });
		for (const bad of ["ünused", "a b", "", "_x", "123", `${"x".repeat(250)}`]) {
			await anyone.fails(400, "M_INVALID_USERNAME", "POST", `${V3}/register`, { username: bad });
		}
		await anyone.fails(400, "M_BAD_JSON", "POST", `${V3}/register`, { username: 7 });
		await anyone.fails(400, "M_WEAK_PASSWORD", "POST", `${V3}/register`, { username: unique(), password: "" });
		await anyone.fails(400, "M_USER_IN_USE", "GET", `${V3}/register/available?username=${name}`);
		await anyone.fails(400, "M_INVALID_USERNAME", "GET", `${V3}/register/available?username=a%20b`);
		await anyone.fails(400, "M_MISSING_PARAM", "GET", `${V3}/register/available`);
		assert.deepEqual(await anyone.ok("GET", `${V3}/register/available?username=${unique()}`), { available: true });
	});

	test("the same name twenty times at once: one gets it", async () => {
		const body = { username: unique(), password: "p", auth: { type: "m.login.dummy" } };
		const all = await Promise.all(Array.from({ length: 20 }, () => post(`${V3}/register`, body)));
		assert.deepEqual(all.map((r) => r.status === 200 ? "200" : `${r.status} ${r.body.errcode}`).sort(), ["200", ...Array(19).fill("400 M_USER_IN_USE")]);
	});

	test("inhibit_login, device_id, guests", async () => {
		const auth = { type: "m.login.dummy" };
		const quiet = await anyone.ok("POST", `${V3}/register`, { username: unique(), auth, inhibit_login: true });
		assert.deepEqual(Object.keys(quiet).sort(), ["home_server", "user_id"]);
		const named = await anyone.ok("POST", `${V3}/register`, { auth, device_id: "MYDEVICE", initial_device_display_name: "my ☎" });
		assert.equal(named.device_id, "MYDEVICE");
		const me = new Client(server, { token: named.access_token });
		assert.equal((await me.ok("GET", `${V3}/devices/MYDEVICE`)).display_name, "my ☎");
		await anyone.fails(403, "M_GUEST_ACCESS_FORBIDDEN", "POST", `${V3}/register?kind=guest`, {});
	});
});

describe("login", () => {
	let alice;
	before(async () => { alice = await register(server); });
	const body = (more) => ({ type: "m.login.password", password: alice.password, ...more });

	test("localpart, full id, letters of either case, the old form", async () => {
		for (const who of [
			{ identifier: { type: "m.id.user", user: alice.name } }, { identifier: { type: "m.id.user", user: alice.userId } },
			{ identifier: { type: "m.id.user", user: alice.name.toUpperCase() } }, { user: alice.name }, { user: alice.userId },
		]) {
			const r = await anyone.ok("POST", `${V3}/login`, body(who));
			assert.equal(r.user_id, alice.userId);
			assert.equal(r.home_server, server.name);
			assert.ok(r.access_token && r.device_id);
		}
	});

	test("refusals", async () => {
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, body({ user: alice.name, password: "wrong" }));
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, body({ user: unique() }));
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, body({ user: `@${alice.name}:elsewhere.example` }));
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, body({ medium: "email", address: "a@b.example" }));
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, body({ identifier: { type: "m.id.thirdparty", medium: "email", address: "a@b.example" } }));
		for (const phone of [{ identifier: { type: "m.id.phone", country: "GB", phone: "07700900001" } }, { medium: "msisdn", address: "447700900001" },
			{ identifier: { type: "m.id.thirdparty", medium: "msisdn", address: "447700900001" } }])
			await anyone.fails(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED", "POST", `${V3}/login`, body(phone));
		await anyone.fails(400, "M_UNKNOWN", "POST", `${V3}/login`, { ...body({ user: alice.name }), type: "m.login.nonsense" });
		await anyone.fails(400, "M_MISSING_PARAM", "POST", `${V3}/login`, { password: "x" });
		await anyone.fails(400, "M_MISSING_PARAM", "POST", `${V3}/login`, body({}));
		await anyone.fails(400, "M_BAD_JSON", "POST", `${V3}/login`, body({ user: alice.name, password: 7 }));
		await anyone.fails(400, "M_NOT_JSON", "POST", `${V3}/login`, "{");
	});

	test("a device that logs in again: its old token ends, its name stays", async () => {
		const first = await login(server, alice.name, alice.password, { device_id: "AGAIN", initial_device_display_name: "first" });
		const second = await login(server, alice.name, alice.password, { device_id: "AGAIN", initial_device_display_name: "second" });
		assert.equal(second.deviceId, "AGAIN");
		const r = await first.fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/account/whoami`);
		assert.notEqual(r.body.soft_logout, true);
		assert.equal((await second.ok("GET", `${V3}/devices/AGAIN`)).display_name, "first");
	});

	test("whoami, logout, logout/all", async () => {
		const one = await login(server, alice.name, alice.password), two = await login(server, alice.name, alice.password);
		assert.deepEqual(await one.ok("GET", `${V3}/account/whoami`), { user_id: alice.userId, device_id: one.deviceId, is_guest: false });
		assert.deepEqual(await one.ok("POST", `${V3}/logout`), {});
		await one.fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/account/whoami`);
		await two.ok("POST", `${V3}/logout/all`, {});
		for (const c of [two, alice]) await c.fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/account/whoami`);
		await anyone.fails(401, "M_MISSING_TOKEN", "GET", `${V3}/account/whoami`);
	});

	test("a sync that waits ends with the session", async () => {
		const one = await login(server, alice.name, alice.password);
		await one.sync();
		const waiting = one.request("GET", `${V3}/sync?timeout=60000&since=${enc(one.since)}`, { timeout: 90000 });
		await (await login(server, alice.name, alice.password)).ok("POST", `${V3}/logout/all`);
		const r = await waiting;
		assert.equal(`${r.status} ${r.body.errcode}`, "401 M_UNKNOWN_TOKEN");
	});

	test("a locked account: soft logout everywhere, but it may log out", async () => {
		const bob = await register(server);
		server.sql(`UPDATE hearth.account SET locked = true WHERE localpart = '${bob.name}'`);
		const r = await bob.fails(401, "M_USER_LOCKED", "GET", `${V3}/account/whoami`);
		assert.equal(r.body.soft_logout, true);
		await anyone.fails(401, "M_USER_LOCKED", "POST", `${V3}/login`, { type: "m.login.password", user: bob.name, password: bob.password });
		await bob.ok("POST", `${V3}/logout`);
		assert.equal(server.sql(`SELECT devices FROM admin.users WHERE user_id = '${bob.userId}'`), "0");
	});

	test("an expired token is a soft logout; a deactivated account is none", async () => {
		const bob = await register(server);
		server.sql(`UPDATE hearth.access_token SET expires_ts = 1 WHERE usr = (SELECT usr FROM hearth.account WHERE localpart = '${bob.name}')`);
		const r = await bob.fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/account/whoami`);
		assert.equal(r.body.soft_logout, true);
		server.sql(`UPDATE hearth.account SET deactivated_ts = 1 WHERE localpart = '${bob.name}'`);
		await anyone.fails(403, "M_USER_DEACTIVATED", "POST", `${V3}/login`, { type: "m.login.password", user: bob.name, password: bob.password });
	});
});

describe("password and devices", () => {
	const auth = (who, session, password = who.password) => ({ type: "m.login.password", identifier: { type: "m.id.user", user: who.userId }, password, session });

	test("a new password needs the old one, and ends the other sessions", async () => {
		const alice = await register(server), other = await login(server, alice.name, alice.password), path = `${V3}/account/password`;
		const asked = await alice.request("POST", path, { body: { new_password: "fresh" } });
		assert.equal(asked.status, 401);
		assert.deepEqual(asked.body.flows, [{ stages: ["m.login.password"] }]);
		const { session } = asked.body;
		const wrong = await alice.request("POST", path, { body: { new_password: "fresh", auth: auth(alice, session, "wrong") } });
		assert.equal(`${wrong.status} ${wrong.body.errcode} ${wrong.body.session}`, `401 M_FORBIDDEN ${session}`);
		const bob = await register(server);
		const foreign = await alice.request("POST", path, { body: { new_password: "fresh", auth: auth(bob, session) } });
		assert.equal(`${foreign.status} ${foreign.body.errcode}`, "401 M_FORBIDDEN");
		await alice.ok("POST", path, { new_password: "fresh", auth: auth(alice, session) });
		await alice.ok("GET", `${V3}/account/whoami`);
		await other.fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/account/whoami`);
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, { type: "m.login.password", user: alice.name, password: alice.password });
		const third = await login(server, alice.name, "fresh");
		await alice.ok("POST", path, { new_password: "fresher", logout_devices: false, auth: auth(alice, undefined, "fresh") });
		await third.ok("GET", `${V3}/account/whoami`);
		await anyone.fails(401, "M_MISSING_TOKEN", "POST", path, { new_password: "x" });
	});

	test("devices: list, rename, delete", async () => {
		const alice = await register(server), other = await login(server, alice.name, alice.password, { device_id: "a/b?c" });
		await alice.ok("PUT", `${V3}/devices/${enc("a/b?c")}`, { display_name: "phone" });
		const { devices } = await alice.ok("GET", `${V3}/devices`);
		assert.deepEqual(devices.map((d) => [d.device_id, d.display_name]), [[alice.deviceId, undefined], ["a/b?c", "phone"]]);
		await alice.fails(404, "M_NOT_FOUND", "GET", `${V3}/devices/nope`);
		await alice.fails(404, "M_NOT_FOUND", "PUT", `${V3}/devices/nope`, { display_name: "x" });
		const path = `${V3}/devices/${enc("a/b?c")}`;
		const { body: { session } } = await alice.request("DELETE", path, { body: {} });
		// The session was asked for on this device; it deletes no other.
		await alice.fails(403, "M_FORBIDDEN", "DELETE", `${V3}/devices/${alice.deviceId}`, { auth: auth(alice, session) });
		await alice.ok("GET", `${V3}/account/whoami`);
		await alice.ok("DELETE", path, { auth: auth(alice, session) });
		await other.fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/account/whoami`);
		// and it was good once
		assert.equal((await alice.request("DELETE", path, { body: { auth: { session } } })).status, 401);
		await login(server, alice.name, alice.password, { device_id: "D1" });
		await login(server, alice.name, alice.password, { device_id: "D2" });
		await alice.ok("POST", `${V3}/delete_devices`, { devices: ["D1", "D2", "nope"], auth: auth(alice) });
		assert.equal((await alice.ok("GET", `${V3}/devices`)).devices.length, 1);
		await alice.fails(400, "M_MISSING_PARAM", "POST", `${V3}/delete_devices`, {});
	});

	test("what was authenticated cannot be changed afterwards", async () => {
		const alice = await register(server);
		for (const device_id of ["D1", "D2"]) await login(server, alice.name, alice.password, { device_id });
		const asked = await alice.request("POST", `${V3}/delete_devices`, { body: { devices: ["D1"] } });
		server.sql(`UPDATE hearth.uia_session SET completed = '{m.login.password}' WHERE id = '${asked.body.session}'`);
		await alice.fails(403, "M_FORBIDDEN", "POST", `${V3}/delete_devices`, { devices: ["D2"], auth: { session: asked.body.session } });
		await alice.ok("POST", `${V3}/delete_devices`, { devices: ["D1"], auth: { session: asked.body.session } });
		await alice.ok("GET", `${V3}/devices/D2`);
	});
});

describe("registration by shared secret", () => {
	const path = "/_synapse/admin/v1/register";
	const mac = (nonce, ...parts) => crypto.createHmac("sha1", server.secret).update([nonce, ...parts].join("\0")).digest("hex");
	const nonce = async () => (await anyone.ok("GET", path)).nonce;

	test("makes an administrator; the nonce is good once", async () => {
		const n = await nonce(), username = unique(), password = "s3cret";
		await anyone.fails(403, "M_FORBIDDEN", "POST", path, { nonce: n, username, password, admin: true, mac: mac(n, username, password, "notadmin") });
		const body = { nonce: n, username, password, admin: true, mac: mac(n, username, password, "admin"), displayname: "The Boss" };
		const r = await anyone.ok("POST", path, body);
		assert.equal(r.user_id, `@${username}:${server.name}`);
		assert.equal(r.home_server, server.name);
		await new Client(server, { token: r.access_token }).ok("GET", `${V3}/account/whoami`);
		assert.equal(server.sql(`SELECT admin, displayname FROM admin.users WHERE user_id = '${r.user_id}'`), "t|The Boss");
		await anyone.fails(400, "M_UNKNOWN", "POST", path, { ...body, username: unique() });
	});

	test("user_type is part of the mac when it is given", async () => {
		const n = await nonce(), username = unique();
		const r = await anyone.ok("POST", path, { nonce: n, username, password: "p", user_type: "bot", mac: mac(n, username, "p", "notadmin", "bot") });
		assert.equal(server.sql(`SELECT admin FROM admin.users WHERE user_id = '${r.user_id}'`), "f");
	});

	test("faults change nothing", async () => {
		const n = await nonce(), username = unique();
		await anyone.fails(400, "M_UNKNOWN", "POST", path, { nonce: "made up", username, password: "p", mac: mac("made up", username, "p", "notadmin") });
		await anyone.fails(400, "M_MISSING_PARAM", "POST", path, { nonce: n, username, password: "p" });
		await anyone.fails(400, "M_INVALID_USERNAME", "POST", path, { nonce: n, username: "a b", password: "p", mac: mac(n, "a b", "p", "notadmin") });
		assert.deepEqual(await anyone.ok("GET", `${V3}/register/available?username=${username}`), { available: true });
	});
});

describe("profiles", () => {
	test("fields are set, read by anyone, deleted", async () => {
		const alice = await register(server), bob = await register(server), path = `${V3}/profile/${enc(alice.userId)}`;
		assert.deepEqual(await anyone.ok("GET", path), { displayname: alice.name });
		await alice.ok("PUT", `${path}/displayname`, { displayname: "Alice 🐇" });
		await alice.ok("PUT", `${path}/avatar_url`, { avatar_url: "mxc://localhost/abc" });
		await alice.ok("PUT", `${path}/org.example.pets`, { "org.example.pets": { cats: [1, null] } });
		assert.deepEqual(await anyone.ok("GET", path), { displayname: "Alice 🐇", avatar_url: "mxc://localhost/abc", "org.example.pets": { cats: [1, null] } });
		assert.deepEqual(await anyone.ok("GET", `${path}/displayname`), { displayname: "Alice 🐇" });
		await bob.fails(403, "M_FORBIDDEN", "PUT", `${path}/displayname`, { displayname: "Mallory" });
		await alice.ok("DELETE", `${path}/avatar_url`);
		await anyone.fails(404, "M_NOT_FOUND", "GET", `${path}/avatar_url`);
		await anyone.fails(404, "M_NOT_FOUND", "GET", `${V3}/profile/${enc("@nobody:localhost")}`);
		await alice.ok("DELETE", `${path}/displayname`);
		await alice.ok("DELETE", `${path}/org.example.pets`);
		assert.deepEqual(await anyone.ok("GET", path), {});
	});

	test("what is refused", async () => {
		const alice = await register(server), path = `${V3}/profile/${enc(alice.userId)}`;
		await alice.fails(400, "M_MISSING_PARAM", "PUT", `${path}/displayname`, { other: "x" });
		await alice.fails(400, "M_BAD_JSON", "PUT", `${path}/displayname`, { displayname: 7 });
		await alice.ok("PUT", `${path}/displayname`, { displayname: "🐇".repeat(256) });
		await alice.fails(400, "M_INVALID_PARAM", "PUT", `${path}/displayname`, { displayname: "a".repeat(257) });
		await alice.fails(400, "M_INVALID_PARAM", "PUT", `${path}/avatar_url`, { avatar_url: `mxc://localhost/${"a".repeat(1000)}` });
		await alice.fails(400, "M_INVALID_PARAM", "PUT", `${path}/UPPER`, { UPPER: "x" });
		await alice.fails(400, "M_INVALID_PARAM", "PUT", `${path}/bare`, { bare: "x" });
		const long = `org.${"x".repeat(255)}`, big = "y".repeat(60000);
		await alice.fails(400, "M_KEY_TOO_LARGE", "PUT", `${path}/${long}`, { [long]: "x" });
		await alice.ok("PUT", `${path}/org.big`, { "org.big": big });
		await alice.fails(400, "M_PROFILE_TOO_LARGE", "PUT", `${path}/org.bigger`, { "org.bigger": big });
		await anyone.fails(404, "M_NOT_FOUND", "GET", `${path}/org.bigger`);
		await anyone.fails(401, "M_MISSING_TOKEN", "PUT", `${path}/displayname`, { displayname: "x" });
	});

	test("name and avatar reach the member events of every joined room", async () => {
		const alice = await register(server), bob = await register(server), rooms = [];
		for (let i = 0; i < 3; i++) {
			rooms.push(await alice.createRoom({ preset: "public_chat" }));
			await bob.join(rooms[i]);
		}
		await bob.sync();
		const path = `${V3}/profile/${enc(alice.userId)}`;
		await alice.ok("PUT", `${path}/displayname`, { displayname: "Renamed" });
		await alice.ok("PUT", `${path}/avatar_url`, { avatar_url: "mxc://localhost/new" });
		const seen = new Set();
		await bob.syncUntil((s) => {
			for (const [room, { timeline }] of Object.entries(s.rooms?.join ?? {}))
				for (const e of timeline.events)
					if (e.type === "m.room.member" && e.sender === alice.userId && e.content.displayname === "Renamed" && e.content.avatar_url === "mxc://localhost/new") seen.add(room);
			return seen.size === 3;
		}, { what: "the new profile in three rooms" });
		for (const room of rooms) {
			const m = await bob.ok("GET", `${V3}/rooms/${enc(room)}/state/m.room.member/${enc(alice.userId)}`);
			assert.deepEqual(m, { membership: "join", displayname: "Renamed", avatar_url: "mxc://localhost/new" });
		}
	});
});

describe("account data", () => {
	test("global and per room; own only; what is unset is not found", async () => {
		const alice = await register(server), bob = await register(server), room = await alice.createRoom();
		const base = `${V3}/user/${enc(alice.userId)}`, global = `${base}/account_data/org.example.x`, inRoom = `${base}/rooms/${enc(room)}/account_data/org.example.x`;
		await alice.fails(404, "M_NOT_FOUND", "GET", global);
		await alice.ok("PUT", global, { a: 1 });
		assert.deepEqual(await alice.ok("GET", global), { a: 1 });
		await alice.fails(404, "M_NOT_FOUND", "GET", inRoom);	// rooms do not inherit
		await alice.ok("PUT", inRoom, { b: "ü" });
		assert.deepEqual(await alice.ok("GET", inRoom), { b: "ü" });
		await bob.fails(403, "M_FORBIDDEN", "GET", global);
		await bob.fails(403, "M_FORBIDDEN", "PUT", global, {});
		await bob.fails(403, "M_FORBIDDEN", "PUT", inRoom, {});
		await alice.fails(400, "M_INVALID_PARAM", "PUT", `${base}/rooms/nonsense/account_data/x`, {});
		await alice.fails(400, "M_BAD_JSON", "PUT", global, "[]");
		await alice.fails(400, "M_NOT_JSON", "PUT", global, "nonsense");
		await alice.fails(405, "M_BAD_JSON", "PUT", `${base}/account_data/m.push_rules`, {});
		await alice.fails(405, "M_BAD_JSON", "PUT", `${base}/account_data/m.fully_read`, {});
		await alice.fails(405, "M_BAD_JSON", "PUT", `${base}/rooms/${enc(room)}/account_data/m.fully_read`, {});
		assert.deepEqual(await alice.ok("GET", global), { a: 1 });
	});

	test("a change wakes a waiting sync", async () => {
		const alice = await register(server);
		await alice.sync();
		const waiting = alice.sync({ timeout: 60000 });
		await alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/account_data/org.example.live`, { now: true });
		const { account_data } = await waiting;
		assert.deepEqual(account_data.events, [{ type: "org.example.live", content: { now: true } }]);
	});
});

describe("filters", () => {
	test("stored once, read back, own only", async () => {
		const alice = await register(server), bob = await register(server), path = `${V3}/user/${enc(alice.userId)}/filter`;
		const filter = { room: { timeline: { limit: 1, types: ["m.room.message"] } } };
		const { filter_id } = await alice.ok("POST", path, filter);
		assert.equal(typeof filter_id, "string");
		assert.equal((await alice.ok("POST", path, { room: { timeline: { types: ["m.room.message"], limit: 1 } } })).filter_id, filter_id);
		assert.notEqual((await alice.ok("POST", path, {})).filter_id, filter_id);
		assert.deepEqual(await alice.ok("GET", `${path}/${filter_id}`), filter);
		await alice.fails(404, "M_NOT_FOUND", "GET", `${path}/4711`);
		await alice.fails(404, "M_NOT_FOUND", "GET", `${path}/nonsense`);
		await bob.fails(403, "M_FORBIDDEN", "GET", `${path}/${filter_id}`);
		await bob.fails(403, "M_FORBIDDEN", "POST", path, {});
		await alice.fails(400, "M_BAD_JSON", "POST", path, { room: { timeline: { limit: "many" } } });
	});

	test("ten different ones at once get ten ids", async () => {
		const alice = await register(server), path = `${V3}/user/${enc(alice.userId)}/filter`;
		const ids = await Promise.all(Array.from({ length: 10 }, async (_, i) => (await alice.ok("POST", path, { room: { timeline: { limit: i + 1 } } })).filter_id));
		assert.equal(new Set(ids).size, 10);
	});
});

test("push rules can be read", async () => {
	const alice = await register(server), path = `${V3}/pushrules`;
	const { global } = await alice.ok("GET", `${path}/`);
	assert.deepEqual(Object.keys(global).sort(), ["content", "override", "room", "sender", "underride"]);
	assert.deepEqual(await alice.ok("GET", `${path}/global/`), global);
	const rule = await alice.ok("GET", `${path}/global/override/.m.rule.invite_for_me`);
	assert.equal(rule.conditions.find((c) => c.key === "state_key").pattern, alice.userId);
	assert.deepEqual(await alice.ok("GET", `${path}/global/override/.m.rule.master/enabled`), { enabled: false });
	assert.deepEqual(await alice.ok("GET", `${path}/global/underride/.m.rule.message/actions`), { actions: ["notify"] });
	await alice.fails(404, "M_NOT_FOUND", "GET", `${path}/global/override/nope`);
	await alice.fails(400, "M_INVALID_PARAM", "GET", `${path}/global/nope/nope`);
	assert.deepEqual((await alice.ok("GET", `${V3}/user/${enc(alice.userId)}/account_data/m.push_rules`)), { global });
	const sync = await alice.sync();
	assert.deepEqual(sync.account_data.events.find((e) => e.type === "m.push_rules").content, { global });
});

describe("push rules are changed", () => {
	const rules = `${V3}/pushrules/global`, ids = async (user, kind) => (await user.ok("GET", `${rules}/${kind}/`)).map((r) => r.rule_id);
	const put = (user, kind, id, body, query = "") => user.ok("PUT", `${rules}/${kind}/${enc(id)}${query}`, { actions: ["notify"], ...body });

	test("made, ordered, altered, deleted", async () => {
		const alice = await register(server);
		await put(alice, "room", "!a:x");
		await put(alice, "room", "!b:x");
		assert.deepEqual(await ids(alice, "room"), ["!b:x", "!a:x"]);
		await put(alice, "room", "!c:x", {}, `?before=${enc("!a:x")}`);
		await put(alice, "room", "!d:x", {}, `?after=${enc("!b:x")}`);
		assert.deepEqual(await ids(alice, "room"), ["!b:x", "!d:x", "!c:x", "!a:x"]);
		await put(alice, "room", "!d:x", {}, `?before=${enc("!a:x")}&after=${enc("!b:x")}`);
		assert.deepEqual(await ids(alice, "room"), ["!b:x", "!c:x", "!d:x", "!a:x"]);
		await put(alice, "room", "!c:x", { actions: ["dont_notify", { set_tweak: "highlight" }] });
		assert.deepEqual(await ids(alice, "room"), ["!b:x", "!c:x", "!d:x", "!a:x"]);
		assert.deepEqual(await alice.ok("GET", `${rules}/room/${enc("!c:x")}`),
			{ rule_id: "!c:x", default: false, enabled: true, actions: [{ set_tweak: "highlight" }] });
		await alice.ok("DELETE", `${rules}/room/${enc("!b:x")}`);
		await alice.fails(404, "M_NOT_FOUND", "DELETE", `${rules}/room/${enc("!b:x")}`);
		assert.deepEqual(await ids(alice, "room"), ["!c:x", "!d:x", "!a:x"]);
		assert.deepEqual(await ids(await register(server), "room"), []);
	});

	test("enabled and actions, also of predefined ones", async () => {
		const alice = await register(server);
		await put(alice, "content", "cake", { pattern: "cake*" });
		await alice.ok("PUT", `${rules}/content/cake/enabled`, { enabled: false });
		await put(alice, "content", "cake", { pattern: "pie" });
		const { enabled, pattern } = await alice.ok("GET", `${rules}/content/cake`);
		assert.deepEqual({ enabled, pattern }, { enabled: false, pattern: "pie" });
		await alice.ok("PUT", `${rules}/override/.m.rule.master/enabled`, { enabled: true });
		await alice.ok("PUT", `${rules}/underride/.m.rule.message/actions`, { actions: [{ set_tweak: "sound", value: "x" }] });
		assert.deepEqual(await alice.ok("GET", `${rules}/override/.m.rule.master/enabled`), { enabled: true });
		assert.deepEqual(await alice.ok("GET", `${rules}/underride/.m.rule.message/actions`), { actions: [{ set_tweak: "sound", value: "x" }] });
		assert.equal((await ids(alice, "override")).length, 10);
		await put(alice, "override", "mine");
		assert.deepEqual((await ids(alice, "override")).slice(0, 3), [".m.rule.master", "mine", ".m.rule.suppress_notices"]);
	});

	test("what is refused changes nothing", async () => {
		const alice = await register(server), good = { actions: ["notify"] };
		const before = await alice.ok("GET", `${V3}/pushrules/`);
		const refused = (code, status, path, body = good) => alice.fails(status, code, "PUT", `${rules}/${path}`, body);
		await refused("M_INVALID_PARAM", 400, "nonsense/a");
		for (const id of [".a", "a%2Fb", "a%5Cb", "a".repeat(256)])
			await refused("M_INVALID_PARAM", 400, `override/${id}`);
		await refused("M_MISSING_PARAM", 400, "override/a", {});
		await refused("M_BAD_JSON", 400, "override/a", { actions: "notify" });
		for (const action of ["shout", 1, {}, { set_tweak: 1 }])
			await refused("M_INVALID_PARAM", 400, "override/a", { actions: [action] });
		await refused("M_BAD_JSON", 400, "override/a", { ...good, conditions: {} });
		for (const c of [1, {}, { kind: "event_match", key: "a" }, { kind: "event_property_is", key: "a", value: {} },
			{ kind: "event_property_contains", key: "a", value: 1.5 }, { kind: "room_member_count", is: "=2" }, { kind: "sender_notification_permission" }])
			await refused("M_INVALID_PARAM", 400, "override/a", { ...good, conditions: [c] });
		await refused("M_MISSING_PARAM", 400, "content/a");
		await refused("M_BAD_JSON", 400, "content/a", { ...good, pattern: 1 });
		await refused("M_INVALID_PARAM", 400, "content/a", { ...good, pattern: "x".repeat(513) });
		await refused("M_INVALID_PARAM", 400, "override/a", { ...good, conditions: [{ kind: "event_match", key: "a", pattern: "*".repeat(513) }] });
		await refused("M_UNKNOWN", 400, "sender/a?before=b");
		await refused("M_UNKNOWN", 400, "sender/a?after=a");
		await refused("M_UNKNOWN", 400, "override/a?after=.m.rule.master");
		await refused("M_NOT_FOUND", 404, "override/a/enabled", { enabled: true });
		await refused("M_NOT_FOUND", 404, "content/.m.rule.contains_user_name/actions");
		await refused("M_MISSING_PARAM", 400, "override/.m.rule.master/enabled", {});
		await refused("M_BAD_JSON", 400, "override/.m.rule.master/enabled", { enabled: 1 });
		await refused("M_INVALID_PARAM", 400, "override/.m.rule.master/actions", { actions: ["shout"] });
		await alice.fails(400, "M_INVALID_PARAM", "DELETE", `${rules}/override/.m.rule.master`);
		assert.deepEqual(await alice.ok("GET", `${V3}/pushrules/`), before);
	});

	test("a waiting sync hears of it, whole", async () => {
		const alice = await register(server), all = (sync) => sync.account_data?.events.find((e) => e.type === "m.push_rules")?.content;
		await alice.sync();
		const waiting = alice.sync({ timeout: 20000 });
		await put(alice, "sender", "@bob:x");
		const heard = all(await waiting);
		assert.deepEqual(heard, await alice.ok("GET", `${V3}/pushrules/`));
		assert.deepEqual(heard.global.sender.map((r) => r.rule_id), ["@bob:x"]);
		await alice.ok("PUT", `${rules}/sender/${enc("@bob:x")}/enabled`, { enabled: true });	/* no change, no news */
		assert.equal(all(await alice.sync()), undefined);
		assert.deepEqual(all(await alice.sync({ since: null })), heard);
	});
});

describe("discovery", () => {
	test("versions, capabilities, well-known", async () => {
		const { versions, unstable_features } = await anyone.ok("GET", "/_matrix/client/versions");
		assert.deepEqual(versions, ["r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4"]);
		assert.equal(typeof unstable_features, "object");
		await new Client(server, { token: "an ended one" }).ok("GET", "/_matrix/client/versions");
		const alice = await register(server);
		const { capabilities } = await alice.ok("GET", `${V3}/capabilities`);
		assert.equal(capabilities["m.room_versions"].default, "12");
		assert.deepEqual(capabilities["m.room_versions"].available, Object.fromEntries(Array.from({ length: 12 }, (_, i) => [String(i + 1), "stable"])));
		assert.deepEqual(capabilities["m.change_password"], { enabled: true });
		await anyone.fails(401, "M_MISSING_TOKEN", "GET", `${V3}/capabilities`);
		assert.equal(typeof (await anyone.ok("GET", "/.well-known/matrix/client"))["m.homeserver"].base_url, "string");
		assert.match((await anyone.ok("GET", "/.well-known/matrix/server"))["m.server"], /:\d+$/);
		assert.deepEqual(await alice.ok("GET", `${V3}/voip/turnServer`), {});
		assert.deepEqual(await alice.ok("GET", `${V3}/thirdparty/protocols`), {});
	});

	test("the server's key is signed by itself", async () => {
		const r = await anyone.ok("GET", "/_matrix/key/v2/server");
		assert.equal(r.server_name, server.name);
		assert.ok(r.valid_until_ts > Date.now());
		const [[id, { key }]] = Object.entries(r.verify_keys);
		const { signatures, ...signed } = r;
		const canonical = (v) => Array.isArray(v) ? `[${v.map(canonical)}]` : v && typeof v === "object"
			? `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`)}}` : JSON.stringify(v);
		const pub = crypto.createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(key, "base64").toString("base64url") } });
		assert.ok(crypto.verify(null, Buffer.from(canonical(signed)), pub, Buffer.from(signatures[server.name][id], "base64")));
		assert.equal((await anyone.ok("GET", "/_matrix/federation/v1/version")).server.name, "Hearth");
	});
});

describe("the administrator's psql", () => {
	test("create_user: a given password, a made-up one; the first login rehashes", async () => {
		const name = unique();
		assert.equal(server.sql(`SELECT * FROM admin.create_user('${name}', 'by hand')`), `@${name}:${server.name}|`);
		const hash = () => server.sql(`SELECT left(password_hash, 3) FROM hearth.account WHERE localpart = '${name}'`);
		assert.match(hash(), /^\$2/);
		await login(server, name, "by hand");
		assert.equal(hash(), "$y$");
		await login(server, name, "by hand");
		const other = unique();
		const [userId, password] = server.sql(`SELECT * FROM admin.create_user('${other}', admin => true)`).split("|");
		assert.equal(userId, `@${other}:${server.name}`);
		assert.ok((await login(server, other, password)).token);
		assert.throws(() => server.sql(`SELECT admin.create_user('${other}')`), /exists/);
		assert.throws(() => server.sql("SELECT admin.create_user('no spaces')"), /not a user name/);
	});

	test("reset_password and logout end sessions at once, also waiting ones", async () => {
		const alice = await register(server), second = await login(server, alice.name, alice.password, { device_id: "SECOND" });
		const wait = async (c) => {
			await c.sync();
			return c.request("GET", `${V3}/sync?timeout=60000&since=${enc(c.since)}`, { timeout: 90000 });
		};
		const waiting = wait(second);
		await waitFor(() => second.since, { what: "the first sync" });
		assert.equal(server.sql(`SELECT admin.logout('${alice.userId}', 'SECOND')`), "1");
		assert.equal((await waiting).status, 401);
		await alice.ok("GET", `${V3}/account/whoami`);
		const third = wait(alice);
		await waitFor(() => alice.since, { what: "the first sync" });
		assert.equal(server.sql(`SELECT admin.reset_password('${alice.name}', 'other')`), "");
		assert.equal((await third).status, 401);
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, { type: "m.login.password", user: alice.name, password: alice.password });
		await login(server, alice.name, "other");
		assert.match(server.sql(`SELECT admin.reset_password('${alice.userId}')`), /^[\w-]{20}$/);
		assert.throws(() => server.sql("SELECT admin.logout('nobody-of-this-name')"), /no such user/);
	});

	test("users, devices and rooms are views", async () => {
		const alice = await register(server), room = await alice.createRoom({ name: "A \"room\"", topic: "t", room_alias_name: unique() });
		assert.equal(server.sql(`SELECT name, topic, joined, version FROM admin.rooms WHERE room_id = '${room}'`), "A \"room\"|t|1|12");
		assert.equal(server.sql(`SELECT devices, rooms, kind FROM admin.users WHERE user_id = '${alice.userId}'`), "1|1|user");
		assert.equal(server.sql(`SELECT tokens FROM admin.devices WHERE user_id = '${alice.userId}'`), "1");
		await alice.setState(room, "m.room.topic", { topic: "nul \u0000 nul" });	// what PostgreSQL cannot show breaks no view
		assert.equal(server.sql(`SELECT topic IS NULL, name FROM admin.rooms WHERE room_id = '${room}'`), "t|A \"room\"");
	});
});
