// Guests: what they may do and what not, where they come in, how they have to leave, how they become users.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const { start, shared } = require("./lib/server.js");
const { request, register, login, waitFor, Client, unique, enc } = require("./lib/client.js");

const V3 = "/_matrix/client/v3", WHOAMI = `${V3}/account/whoami`;
let server, anyone, alice;
before(async () => {
	server = await start({ HEARTH_GUESTS: "on" });
	anyone = new Client(server);
	alice = await register(server);
});
after(() => server.stop());

async function guest(body = {}) {
	const r = await request(server, "POST", `${V3}/register?kind=guest`, { body });
	assert.equal(r.status, 200, r.text);
	return new Client(server, { userId: r.body.user_id, token: r.body.access_token, deviceId: r.body.device_id });
}
const localpart = (who) => who.userId.slice(1).split(":")[0];
const openRoom = (more = {}) => alice.createRoom({
	preset: "public_chat", initial_state: [{ type: "m.room.guest_access", content: { guest_access: "can_join" } }], ...more,
});
const membership = async (room, who) =>
	(await alice.ok("GET", `${V3}/rooms/${enc(room)}/state/m.room.member/${enc(who.userId)}`)).membership;

describe("registration", () => {
	test("off unless it is allowed; another kind", async () => {
		const usual = await shared();
		const r = await request(usual, "POST", `${V3}/register?kind=guest`, { body: {} });
		assert.equal(`${r.status} ${r.body.errcode}`, "403 M_GUEST_ACCESS_FORBIDDEN");
		await anyone.fails(400, "M_INVALID_PARAM", "POST", `${V3}/register?kind=visitor`, {});
	});

	test("no stages; nothing of the body counts but the device's name", async () => {
		const g = await guest({ initial_device_display_name: "a phone", device_id: "MINE", username: "me", password: 7, inhibit_login: true, refresh_token: true, guest_access_token: 1 });
		assert.match(localpart(g), /^\d{10}$/);
		assert.notEqual(g.deviceId, "MINE");
		assert.deepEqual(await g.ok("GET", WHOAMI), { user_id: g.userId, device_id: g.deviceId, is_guest: true });
		assert.equal((await g.ok("GET", `${V3}/devices/${g.deviceId}`)).display_name, "a phone");
		await guest({ initial_device_display_name: ["odd"] });
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/login`, { type: "m.login.password", user: g.userId, password: "" });
	});
});

describe("what they may do", () => {
	test("in a room that lets them in: any event, state as power allows, messages to devices, keys", async () => {
		const room = await openRoom(), g = await guest(), at = `${V3}/rooms/${enc(room)}`;
		await g.ok("POST", `${at}/join`, {});
		await g.send(room, "hello");
		await g.send(room, { x: 1 }, "org.example.thing");
		await g.fails(403, "M_FORBIDDEN", "PUT", `${at}/state/m.room.name/`, { name: "x" });
		assert.equal((await g.ok("GET", `${at}/messages?dir=b&limit=1`)).chunk[0].type, "org.example.thing");
		for (const path of ["state", "members", "initialSync"]) await g.ok("GET", `${at}/${path}`);
		assert.ok((await g.sync()).rooms.join[room]);
		await g.ok("POST", `${V3}/keys/query`, { device_keys: {} });
		await g.ok("PUT", `${V3}/sendToDevice/m.x/1`, { messages: {} });
		await g.ok("PUT", `${V3}/profile/${enc(g.userId)}/displayname`, { displayname: "Gast" });
		await waitFor(async () => (await alice.ok("GET", `${at}/state/m.room.member/${enc(g.userId)}`)).displayname === "Gast");
		await g.ok("DELETE", `${V3}/profile/${enc(g.userId)}/displayname`);
		await g.ok("PUT", `${V3}/devices/${g.deviceId}`, { display_name: "new" });
		await g.ok("POST", `${at}/leave`, {});
	});

	test("not elsewhere: no join, no endpoint that the specification does not list", async () => {
		const g = await guest(), closed = await alice.createRoom({ preset: "public_chat" }), me = enc(g.userId);
		const no = (method, path, body) => g.fails(403, "M_GUEST_ACCESS_FORBIDDEN", method, path, body);
		await no("POST", `${V3}/join/${enc(closed)}`, {});
		await no("POST", `${V3}/rooms/${enc(closed)}/join`, {});
		await no("PUT", `${V3}/rooms/${enc(closed)}/state/m.room.member/${me}`, { membership: "join" });
		await no("POST", `${V3}/createRoom`, {});
		await no("POST", `${V3}/rooms/${enc(closed)}/invite`, { user_id: alice.userId });
		await no("POST", `${V3}/knock/${enc(closed)}`, {});
		await no("PUT", `${V3}/profile/${me}/avatar_url`, { avatar_url: "mxc://a/b" });
		await no("DELETE", `${V3}/profile/${me}/org.example.x`);
		await no("GET", `${V3}/voip/turnServer`);
		await no("GET", `${V3}/pushrules/`);
		await no("POST", `${V3}/user/${me}/openid/request_token`, {});
		await no("POST", `${V3}/account/password`, { new_password: "x" });
		await no("POST", `${V3}/account/deactivate`, {});
		await no("DELETE", `${V3}/devices/${g.deviceId}`, {});
		await no("GET", `${V3}/capabilities`);
		await no("GET", `${V3}/admin/whois/${me}`);
	});

	test("world-readable rooms are read without joining", async () => {
		const room = await alice.createRoom({ preset: "public_chat", initial_state: [{ type: "m.room.history_visibility", content: { history_visibility: "world_readable" } }] });
		const event = await alice.send(room, "for all"), g = await guest(), at = `${V3}/rooms/${enc(room)}`;
		assert.equal((await g.ok("GET", `${at}/messages?dir=b&limit=1`)).chunk[0].event_id, event);
		assert.equal((await g.ok("GET", `${at}/event/${enc(event)}`)).event_id, event);
		await g.ok("GET", `${at}/context/${enc(event)}`);
		await g.ok("GET", `${at}/state`);
		await g.ok("GET", `${at}/initialSync`);
		await g.fails(403, "M_FORBIDDEN", "PUT", `${at}/send/m.room.message/1`, { body: "x", msgtype: "m.text" });
		const shut = await alice.createRoom({ preset: "public_chat" });
		await g.fails(403, "M_FORBIDDEN", "GET", `${V3}/rooms/${enc(shut)}/messages?dir=b`);
	});
});

describe("having to leave", () => {
	test("guests leave when guest access is revoked, users stay; a guest who waits is told", async () => {
		const room = await openRoom(), bob = await register(server), guests = await Promise.all([guest(), guest(), guest()]);
		await bob.join(room);
		for (const g of guests) await g.ok("POST", `${V3}/rooms/${enc(room)}/join`, {});
		await guests[0].sync();
		const told = guests[0].syncUntil((s) => s.rooms?.leave?.[room], { what: "the end" });
		await alice.setState(room, "m.room.guest_access", { guest_access: "forbidden" });
		await told;
		for (const g of guests) await waitFor(async () => await membership(room, g) === "leave");
		assert.equal(await membership(room, bob), "join");
		await alice.setState(room, "m.room.guest_access", { guest_access: "can_join" });
		await guests[0].ok("POST", `${V3}/rooms/${enc(room)}/join`, {});
	});
});

describe("becoming a user", () => {
	const auth = { type: "m.login.dummy" };

	test("the same user, rooms and all; the guest's token ends", async () => {
		const g = await guest(), room = await openRoom(), username = localpart(g), other = await guest();
		await g.ok("POST", `${V3}/rooms/${enc(room)}/join`, {});
		const body = { username, password: "s3cret", guest_access_token: g.token, device_id: g.deviceId };
		assert.equal((await request(server, "POST", `${V3}/register`, { body })).status, 401);
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/register`, { ...body, username: localpart(other), auth });
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/register`, { ...body, guest_access_token: "nonsense", auth });
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/register`, { ...body, guest_access_token: alice.token, auth });
		await anyone.fails(400, "M_MISSING_PARAM", "POST", `${V3}/register`, { guest_access_token: g.token, auth });
		await anyone.fails(400, "M_BAD_JSON", "POST", `${V3}/register`, { ...body, guest_access_token: 7, auth });
		await anyone.fails(400, "M_INVALID_USERNAME", "POST", `${V3}/register`, { username, auth });
		const made = await anyone.ok("POST", `${V3}/register`, { ...body, auth });
		assert.equal(made.user_id, g.userId);
		assert.equal(made.device_id, g.deviceId);
		const me = new Client(server, { token: made.access_token, userId: made.user_id });
		assert.equal((await me.ok("GET", WHOAMI)).is_guest, false);
		assert.deepEqual((await me.ok("GET", `${V3}/joined_rooms`)).joined_rooms, [room]);
		// Whoever else knows the guest's token is not carried into the account.
		await g.fails(401, "M_UNKNOWN_TOKEN", "GET", WHOAMI);
		await anyone.fails(403, "M_FORBIDDEN", "POST", `${V3}/register`, { ...body, auth });
		await login(server, username, "s3cret");
		await alice.setState(room, "m.room.guest_access", { guest_access: "forbidden" });
		await me.send(room, "still here");
		assert.equal(await membership(room, me), "join");
	});

	test("ten times at once: one upgrade", async () => {
		const g = await guest(), body = { username: localpart(g), password: "s3cret", guest_access_token: g.token, auth };
		const all = await Promise.all(Array.from({ length: 10 }, () => request(server, "POST", `${V3}/register`, { body })));
		assert.equal(all.filter((r) => r.status === 200).length, 1, all.map((r) => r.text).join("\n"));
		assert.ok(all.every((r) => r.status === 200 || r.status === 400 || r.status === 403));
	});

	test("without a log-in all of the guest's sessions end", async () => {
		const g = await guest();
		const made = await anyone.ok("POST", `${V3}/register`, { username: localpart(g), password: "s3cret", guest_access_token: g.token, inhibit_login: true, auth });
		assert.equal(made.access_token, undefined);
		await g.fails(401, "M_UNKNOWN_TOKEN", "GET", WHOAMI);
	});
});
