// Chained syncs under random doings by several users at several devices, over the real nginx, while workers are killed and PostgreSQL
// crashes. At the end every device knows what a fresh one is told; no event came twice, and what was answered 200 is there once.
// HEARTH_MODEL_SEED=n makes the same choices again, as far as what happens at the same moment lets it.
"use strict";
const { test, before, after } = require("node:test");
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const { start, sleep } = require("./lib/server.js");
const { request, register, login, waitFor, enc } = require("./lib/client.js");
const { startPostgres } = require("./lib/postgres.js");
const { Device, random } = require("./lib/model.js");

const V3 = "/_matrix/client/v3";
const USERS = 4, ROOMS = 4, DOINGS = 120, CRASHES = 2, END_MS = 20000, ENOUGH = 20;
const long = (filter = {}) => ({ ...filter, room: { ...filter.room, timeline: { ...filter.room?.timeline, limit: 100 } } });
const lazy = { room: { state: { lazy_load_members: true }, timeline: { limit: 3 } } };
const VARIANTS = [
	{ name: "plain", state: "state", query: {} },
	{ name: "state_after, short", state: "state_after", query: { use_state_after: "true" }, filter: { room: { timeline: { limit: 2 } } } },
	{ name: "unstable state_after, lazy", state: "org.matrix.msc4222.state_after", query: { "org.matrix.msc4222.use_state_after": "true" }, filter: lazy, lazy: true },
	{ name: "filtered", state: "state", query: {}, filter: { room: { timeline: { limit: 4, not_types: ["m.x*", "m.room.topic"] } } } },
];
const seed = Number(process.env.HEARTH_MODEL_SEED) || crypto.randomInt(1, 1 << 30);

let pg, server, users, devices, rooms;
before(async () => {
	pg = await startPostgres({ durable: true });
	server = await start({ HEARTH_DATABASE_URL: pg.url, HEARTH_SYNC_WORKERS: "2", HEARTH_WEB_WORKERS: "3" });
	users = await Promise.all(Array.from({ length: USERS }, () => register(server)));
	devices = (await Promise.all(users.map((u) => Promise.all(VARIANTS.map(async (v) => new Device(await login(server, u.name, u.password), v)))))).flat();
});
after(async () => {
	await server?.stop();
	await pg?.end();
});

// Again and again until it is answered by other than 5xx: the database may be away, a worker may have died with a POST in its hands.
async function insist(client, method, path, body) {
	const end = Date.now() + 30000;
	for (;;) {
		const r = await request(client.server, method, path, { token: client.token, body }).catch((fault) => ({ status: 599, text: fault.message }));
		if (r.status < 500) return r;
		assert.ok(Date.now() < end, `${method} ${path}: ${r.status} ${r.text}`);
		await sleep(100);
	}
}

// ---- what users do

const world = { kept: [], said: new Map(), posted: new Map() };	// events {id, room}; texts answered 200; messages to devices, per device

async function say(r, user, room, n) {
	const content = { msgtype: "m.text", body: n };
	const root = r.dice(4) === 0 && r.pick(world.kept.filter((e) => e.room === room && !e.threaded).concat([undefined]));
	if (root) content["m.relates_to"] = { rel_type: "m.thread", event_id: root.id };
	const a = await insist(user, "PUT", `${V3}/rooms/${enc(room)}/send/m.room.message/${n}`, content);
	if (a.status !== 200) return;
	world.said.set(n, a.body.event_id);
	world.kept.push({ id: a.body.event_id, room, threaded: Boolean(root) });
}

async function change(r, user, room) {
	const [what, post] = r.pick([
		["join"], ["join"], ["join"], ["leave"], ["forget"], ["invite", true], ["invite", true], ["kick", true], ["ban", true], ["unban", true], ["unban", true],
	]);
	await insist(user, "POST", `${V3}/rooms/${enc(room)}/${what}`, post ? { user_id: r.pick(users).userId } : {});
}

async function toDevice(r, user, n) {
	const to = r.pick(devices), all = r.dice(2) === 0;
	const a = await insist(user, "PUT", `${V3}/sendToDevice/m.test/${n}`, { messages: { [to.client.userId]: { [all ? "*" : to.client.deviceId]: { n } } } });
	assert.equal(a.status, 200);
	for (const d of devices) if (d === to || (all && d.client.userId === to.client.userId)) world.posted.set(d, [...(world.posted.get(d) ?? []), n]);
}

async function rename(user, n) {
	for (const d of devices) if (d.since) d.owed.add(user.userId);
	await insist(user, "PUT", `${V3}/devices/${enc(user.deviceId)}`, { display_name: n });
}

async function data(r, user, room, n) {
	const own = `${V3}/user/${enc(user.userId)}`, at = `${own}/rooms/${enc(room)}`;
	switch (r.dice(4)) {
	case 0: return insist(user, "PUT", `${own}/account_data/m.direct`, { n });
	case 1: return insist(user, "PUT", `${at}/account_data/m.x`, { n });
	case 2: return insist(user, "PUT", `${at}/tags/${r.pick(["u.a", "m.favourite"])}`, { n });
	default: return insist(user, "DELETE", `${at}/tags/u.a`);
	}
}

async function receipt(r, user) {
	const e = r.pick(world.kept);
	if (!e) return;
	const kind = r.pick(["m.read", "m.read.private", "m.fully_read"]);
	await insist(user, "POST", `${V3}/rooms/${enc(e.room)}/receipt/${kind}/${enc(e.id)}`, kind !== "m.fully_read" && r.dice(3) === 0 ? { thread_id: "main" } : {});
}

async function doSomething(r, user, n) {
	const room = r.pick(rooms), at = `${V3}/rooms/${enc(room)}`;
	switch (r.dice(16)) {
	case 0: case 1: case 2: return change(r, user, room);
	case 3: case 4: return insist(user, "PUT", `${at}/state/${r.pick(["m.room.topic", "m.room.name", "m.x"])}/`, { topic: n, name: n });
	case 5: {
		const e = r.pick(world.kept);
		return e && insist(user, "PUT", `${V3}/rooms/${enc(e.room)}/redact/${enc(e.id)}/${n}`, {});
	}
	case 6: return data(r, user, room, n);
	case 7: return receipt(r, user);
	case 8: return insist(user, "PUT", `${at}/typing/${enc(user.userId)}`, { typing: r.dice(2) === 0, timeout: 110000 });
	case 9: return toDevice(r, user, n);
	case 10: return rename(user, n);
	default: return say(r, user, room, n);
	}
}

// ---- those who sync

// Until stop(): waits, loses an answer now and then, asks again with the same token after a failure.
function follow(device, r) {
	let stopped = false;
	const loop = async () => {
		while (!stopped) {
			const a = await request(server, "GET", device.url(device.variant.filter, r.dice(3) ? 2000 : 0), { token: device.client.token })
				.catch((fault) => ({ status: 599, text: fault.message }));
			assert.ok(a.status === 200 || a.status >= 500, `${device.name}: ${a.status} ${a.text}`);
			if (a.status === 200 && r.dice(8)) device.apply(a.body);
			else await sleep(a.status === 200 ? 0 : 100);
		}
	};
	const done = loop();
	return () => { stopped = true; return done; };
}

// Until nothing is new; then nothing may come again.
async function settle(device) {
	for (let i = 0; i < 10; i++) {
		const a = await insist(device.client, "GET", device.url());
		assert.equal(a.status, 200);
		if (!device.apply(a.body)) return;
		assert.ok(i < 3, `${device.name} is told something again and again: ${a.text}`);
	}
}

// ---- what goes wrong

function kill(r) {
	const workers = server.children(/ serve /).filter((pid) => /^hearth (web|sync|park|jobs)$/.test(fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim()));
	try { process.kill(r.pick(workers), "SIGKILL"); } catch { /* it has gone */ }
}

// While they work; the crashes come in any case.
async function trouble(r, working) {
	let crashes = 0, kills = 0;
	for (let i = 1; working() || crashes < CRASHES; i++) {
		await sleep(200 + r.dice(500));
		if (i % 4 === 0 && crashes < CRASHES) {
			pg.stop("immediate");
			await sleep(r.dice(500));
			pg.start();
			crashes++;
		} else {
			kill(r);
			kills++;
		}
	}
	return `${crashes} crashes of PostgreSQL, ${kills} killed workers`;
}

test(`every device knows what a fresh one is told (HEARTH_MODEL_SEED=${seed})`, { timeout: 180000 }, async (t) => {
	const r = random(seed);
	rooms = [];
	for (const d of devices) d.apply((await insist(d.client, "GET", d.url())).body);
	for (let i = 0; i < ROOMS; i++) {
		const a = await insist(users[i % USERS], "POST", `${V3}/createRoom`, {
			preset: "public_chat", power_level_content_override: { state_default: 0, events: {}, ban: 0, kick: 0 }, room_version: i % 2 ? "10" : "12",
			initial_state: i === 1 ? [{ type: "m.room.history_visibility", state_key: "", content: { history_visibility: "joined" } }] : [],
		});
		rooms.push(a.body.room_id);
	}
	for (const d of devices) await settle(d);
	const stops = devices.map((d, i) => follow(d, random(seed + 1000 + i)));
	const end = Date.now() + END_MS;
	let working = USERS;
	const actors = users.map(async (user, i) => {
		const mine = random(seed + i);
		for (let k = 0; k < DOINGS && (Date.now() < end || world.said.size <= ENOUGH); k++) await doSomething(mine, user, `${i}-${k}`);
		working--;
	});
	const [troubles] = await Promise.all([trouble(r, () => working > 0), ...actors]);
	await Promise.all(stops.map((stop) => stop()));
	await waitFor(async () => (await request(server, "GET", "/_hearth/health")).status === 200, { timeout: 30000, what: "health" });

	// What was answered 200 is there once.
	const stored = new Map(server.sql("SELECT id, coalesce(redacted_original::json->>0, content)::json->>'body' FROM hearth.event WHERE type = 16").split("\n")
		.filter(Boolean).map((l) => l.split("|")));
	const bodies = [...stored.values()].filter(Boolean);
	assert.equal(new Set(bodies).size, bodies.length, "no message is there twice");
	for (const [n, id] of world.said) assert.equal(stored.get(id), n, "a message that was answered 200");

	for (const d of devices) await settle(d);
	for (const d of devices) {
		const fresh = new Device(await login(server, users.find((u) => u.userId === d.client.userId).name, users[0].password), { ...d.variant, filter: long(d.variant.filter) });
		await settle(d);	// a log-in is a change of devices
		fresh.apply((await insist(fresh.client, "GET", fresh.url())).body);
		const sharing = new Set(server.sql(`SELECT DISTINCT n.body FROM hearth.local_member a JOIN hearth.local_member b USING (room) JOIN hearth.name n ON n.nid = b.usr
			WHERE a.usr = (SELECT nid FROM hearth.name WHERE body = '${d.client.userId}') AND a.membership = 2 AND b.membership = 2`).split("\n").filter(Boolean));
		d.compare(fresh, sharing);
		assert.deepEqual([...d.inbox].sort(), (world.posted.get(d) ?? []).sort(), `${d.name}: messages to the device`);
		await insist(fresh.client, "POST", `${V3}/logout`, {});
	}
	t.diagnostic(`${troubles}; ${world.said.size} messages in rooms, ${devices.reduce((n, d) => n + d.inbox.length, 0)} at devices`);
	assert.ok(world.said.size > ENOUGH, "something happened");
});
