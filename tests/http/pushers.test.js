// Pushers: setting, showing, and what ends them.
"use strict";
const { test, before } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, login, unique } = require("./lib/client.js");

const SET = "/_matrix/client/v3/pushers/set", URL_OK = "https://push.example.org/_matrix/push/v1/notify";
let server, alice;

before(async () => {
	server = await shared();
	alice = await register(server);
});

const pusher = (more = {}) => ({
	kind: "http", app_id: "org.example.app", pushkey: unique("key"), app_display_name: "App", device_display_name: "A phone", lang: "en",
	data: { url: URL_OK }, ...more,
});
const pushers = async (client) => (await client.ok("GET", "/_matrix/client/v3/pushers")).pushers;
const keys = async (client) => (await pushers(client)).map((p) => p.pushkey);

test("a pusher is set, shown as it was set, changed in its place and deleted", async () => {
	const user = await register(server), p = pusher({ profile_tag: "xyz", data: { url: URL_OK, format: "event_id_only", custom: { a: [1] } } });
	assert.deepEqual(await pushers(user), []);
	assert.deepEqual(await user.ok("POST", SET, { ...p, append: false }), {});
	assert.deepEqual(await pushers(user), [p]);
	await user.ok("POST", SET, { ...p, lang: "de", profile_tag: undefined });
	assert.deepEqual(await pushers(user), [{ ...p, lang: "de", profile_tag: undefined }].map((x) => JSON.parse(JSON.stringify(x))));
	const other = pusher({ pushkey: "with \u0000 and \u{1F600}" });
	await user.ok("POST", SET, other);
	assert.deepEqual(await keys(user), [p.pushkey, other.pushkey]);
	await user.ok("POST", SET, { kind: null, app_id: p.app_id, pushkey: p.pushkey });
	assert.deepEqual(await keys(user), [other.pushkey]);
	await user.ok("POST", SET, { kind: null, app_id: p.app_id, pushkey: p.pushkey });
});

test("what is no pusher is refused and changes nothing", async () => {
	const bad = async (status, errcode, more) => alice.fails(status, errcode, "POST", SET, pusher(more));
	for (const key of ["kind", "app_id", "pushkey", "app_display_name", "device_display_name", "lang", "data"]) {
		await bad(400, "M_MISSING_PARAM", { [key]: undefined });
		await bad(400, "M_BAD_JSON", { [key]: 5 });
	}
	await bad(400, "M_MISSING_PARAM", { data: {} });
	await bad(400, "M_BAD_JSON", { profile_tag: [] });
	await bad(400, "M_BAD_JSON", { append: "yes" });
	await bad(400, "M_INVALID_PARAM", { app_id: "a".repeat(65) });
	await bad(400, "M_INVALID_PARAM", { pushkey: "ä".repeat(257) });
	await bad(400, "M_INVALID_PARAM", { lang: "e".repeat(513) });
	await bad(400, "M_INVALID_PARAM", { kind: "pigeon" });
	await bad(400, "M_INVALID_PARAM", { kind: "email", app_id: "m.email", pushkey: "alice@example.org" });
	await bad(413, "M_TOO_LARGE", { data: { url: URL_OK, more: "x".repeat(8192) } });
	for (const url of [
		5, "", "push.example.org", "http://push.example.org/_matrix/push/v1/notify", "https://push.example.org/", "https://push.example.org/_matrix/push/v1/notify/",
		"https://push.example.org/_matrix/push/v1/other", "https://127.0.0.1/_matrix/push/v1/notify", "https://[::1]/_matrix/push/v1/notify",
		"https://192.168.1.1/_matrix/push/v1/notify", "https://u:p@push.example.org/_matrix/push/v1/notify", "file:///_matrix/push/v1/notify",
		"https://%ff.example.org/_matrix/push/v1/notify",
	]) await bad(400, "M_INVALID_PARAM", { data: { url } });
	assert.deepEqual(await pushers(alice), []);
	await alice.fails(400, "M_MISSING_PARAM", "POST", SET, { kind: null, app_id: "x" });
	await alice.ok("POST", SET, pusher({ pushkey: "k".repeat(512), app_id: "a".repeat(64) }));
	await alice.ok("POST", SET, pusher({ pushkey: "\u0001".repeat(512) }));
	await alice.ok("POST", SET, pusher({ data: { url: `${URL_OK}?via=query` } }));
});

test("the same app and pushkey with another user: removed, or with append kept", async () => {
	const [a, b] = [await register(server), await register(server)], p = pusher();
	await a.ok("POST", SET, p);
	await b.ok("POST", SET, { ...p, append: true });
	assert.deepEqual([await keys(a), await keys(b)], [[p.pushkey], [p.pushkey]]);
	await a.ok("POST", SET, p);
	assert.deepEqual([await keys(a), await keys(b)], [[p.pushkey], []]);
	await b.ok("POST", SET, { ...p, kind: null });
	assert.deepEqual(await keys(a), [p.pushkey], "one's own alone are deleted");
	await b.ok("POST", SET, { ...p, app_id: "org.example.other" });
	assert.deepEqual(await keys(a), [p.pushkey], "another app");
});

test("a user has a bounded number of them", async () => {
	const user = await register(server), made = [];
	for (let i = 0; i < 50; i++) made.push(user.ok("POST", SET, pusher()));
	await Promise.all(made);
	await user.fails(403, "M_FORBIDDEN", "POST", SET, pusher());
	const [first] = await pushers(user);
	await user.ok("POST", SET, first);
	assert.equal((await pushers(user)).length, 50);
});

test("pushers end with the session that set them last", async () => {
	const phone = await register(server), name = phone.name, password = phone.password;
	const laptop = await login(server, name, password), [p, q] = [pusher(), pusher()];
	await phone.ok("POST", SET, p);
	await laptop.ok("POST", SET, q);
	assert.deepEqual(await keys(laptop), [p.pushkey, q.pushkey], "all of the user's are shown");
	await laptop.ok("POST", "/_matrix/client/v3/logout", {});
	assert.deepEqual(await keys(phone), [p.pushkey]);

	const third = await login(server, name, password);
	await third.ok("POST", SET, q);
	await phone.ok("POST", SET, q);	// now it is the phone's
	await third.ok("POST", "/_matrix/client/v3/logout", {});
	assert.deepEqual(await keys(phone), [p.pushkey, q.pushkey]);

	const fourth = await login(server, name, password), r = pusher(), auth = { type: "m.login.password", identifier: { type: "m.id.user", user: name }, password };
	await fourth.ok("POST", SET, r);
	await phone.ok("POST", "/_matrix/client/v3/account/password", { new_password: `${password} 2`, logout_devices: false, auth });
	assert.deepEqual(await keys(phone), [p.pushkey, q.pushkey, r.pushkey]);
	await phone.ok("POST", "/_matrix/client/v3/account/password", { new_password: password, auth: { ...auth, password: `${password} 2` } });
	assert.deepEqual(await keys(phone), [p.pushkey, q.pushkey]);

	const fifth = await login(server, name, password);
	await fifth.ok("POST", SET, r);
	await phone.ok("POST", "/_matrix/client/v3/delete_devices", { devices: [fifth.deviceId], auth });
	assert.deepEqual(await keys(phone), [p.pushkey, q.pushkey]);
	await phone.ok("POST", "/_matrix/client/v3/logout/all", {});
	assert.deepEqual(await keys(await login(server, name, password)), []);
});

test("pushers need a user", async () => {
	await alice.fails(401, "M_MISSING_TOKEN", "GET", "/_matrix/client/v3/pushers", undefined, { token: "" });
	await alice.fails(401, "M_UNKNOWN_TOKEN", "POST", SET, pusher(), { token: "nonsense" });
});
