// Pushes as a gateway sees them: what it is told, when it fails, who may be called at all.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const https = require("node:https");
const net = require("node:net");
const { start, shared } = require("./lib/server.js");
const { Client, register, login, unique, enc, waitFor } = require("./lib/client.js");
const { container } = require("./lib/container.js");
const { Gateway } = require("./lib/gateway.js");

const SETTINGS = { HEARTH_OUTGOING_ALLOW: "127.0.0.0/8", HEARTH_OUTGOING_HTTP: "on", HEARTH_PUSH_TIMEOUT_MS: "4000", HEARTH_JOBS_WORKERS: "2" };
const V3 = "/_matrix/client/v3", SET = `${V3}/pushers/set`;
let server;
const gateways = [];

before(async () => {
	server = await start(SETTINGS);
});
after(async () => {
	for (const g of gateways) await g.stop();
	await server.stop();
});

async function gateway(answer, port) {
	const g = await Gateway.start(answer, port);
	gateways.push(g);
	return g;
}
async function setPusher(client, url, { data = {}, ...more } = {}) {
	const p = {
		kind: "http", app_id: "org.example.app", pushkey: unique("key"), app_display_name: "App", device_display_name: "A phone", lang: "en",
		append: true, data: { url, ...data }, ...more,
	};
	await client.ok("POST", SET, p);
	return p;
}
const read = (client, room, event) => client.ok("POST", `${V3}/rooms/${enc(room)}/receipt/m.read/${enc(event)}`, {});
const keys = async (client) => (await client.ok("GET", `${V3}/pushers`)).pushers.map((p) => p.pushkey);
// A room of these, made by the first. Two: direct, else a group.
async function room(first, others, body = {}) {
	const id = await first.createRoom({ preset: "public_chat", ...body });
	for (const c of others) await c.join(id);
	return id;
}
// Two users, alice with a pusher; a third for groups.
async function people(answer, more) {
	const [alice, bob, carol] = await Promise.all([register(server), register(server), register(server)]);
	const g = await gateway(answer);
	const pusher = await setPusher(alice, g.url, more);
	return { alice, bob, carol, g, pusher };
}
// What the administrator sees of a user's only pusher.
function shown(user) {
	const [waiting, failures, error, failing] = server.sql(
		`SELECT waiting, failures, coalesce(error, ''), failing_since IS NOT NULL FROM admin.pushers WHERE user_id = '${user.userId}'`).split("|");
	return { waiting: Number(waiting), failures: Number(failures), error, failing: failing === "t" };
}
const now = (user) => server.sql(`UPDATE hearth.pusher SET due_ts = 0 WHERE due_ts IS NOT NULL AND usr = (SELECT nid FROM hearth.name WHERE body = '${user.userId}')`);

describe("what is told", () => {
	test("a message in a room of two, with all that is known of it", async () => {
		const { alice, bob, g, pusher } = await people(undefined, { data: { more: { a: 1 } } });
		await bob.ok("PUT", `${V3}/profile/${enc(bob.userId)}/displayname`, { displayname: "Bob" });
		const alias = unique("alias");
		const id = await room(bob, [alice], { name: "Mission Control", room_alias_name: alias });
		await bob.setState(id, "m.room.canonical_alias", { alias: `#${alias}:${server.name}` });
		const event = await bob.send(id, "I'm floating");
		const n = await g.event(event), [request] = g.requests;
		assert.equal(request.method, "POST");
		assert.match(request.headers["content-type"], /^application\/json/);
		const [device] = n.devices;
		assert.ok(Math.abs(device.pushkey_ts - Date.now() / 1000) < 120, "seconds");
		assert.deepEqual(n, {
			event_id: event, id: event, room_id: id, type: "m.room.message", sender: bob.userId, sender_display_name: "Bob",
			room_name: "Mission Control", room_alias: `#${alias}:${server.name}`, prio: "high", content: { msgtype: "m.text", body: "I'm floating" },
			counts: { unread: 1 },
			devices: [{ app_id: pusher.app_id, pushkey: pusher.pushkey, pushkey_ts: device.pushkey_ts, data: { more: { a: 1 } }, tweaks: { sound: "default" } }],
		});
		const second = await bob.send(id, "still");
		assert.equal((await g.event(second)).counts.unread, 2);
		await bob.send(id, { msgtype: "m.notice", body: "a notice is silent" });
		const third = await bob.send(id, "again");
		await g.event(third);
		assert.deepEqual(g.events.filter(Boolean), [event, second, third], "one's own, notices and member events tell nobody; the order is kept");
	});

	test("groups: low priority; a mention highlights; encrypted is high and its content passes", async () => {
		const { alice, bob, carol, g } = await people();
		const id = await room(bob, [alice, carol]);
		const plain = await g.event(await bob.send(id, "to all"));
		assert.deepEqual([plain.prio, plain.devices[0].tweaks, plain.room_name], ["low", {}, undefined]);
		const mention = await g.event(await bob.send(id, { msgtype: "m.text", body: "you", "m.mentions": { user_ids: [alice.userId] } }));
		assert.deepEqual([mention.prio, mention.devices[0].tweaks], ["high", { sound: "default", highlight: true }]);
		const secret = { algorithm: "m.megolm.v1.aes-sha2", ciphertext: "xyz" };
		const enced = await g.event(await bob.send(id, secret, "m.room.encrypted"));
		assert.deepEqual([enced.prio, enced.type, enced.content], ["high", "m.room.encrypted", secret]);
	});

	test("event_id_only tells ids and counts alone", async () => {
		const { alice, bob, g, pusher } = await people(undefined, { data: { format: "event_id_only" } });
		const id = await room(bob, [alice]), event = await bob.send(id, "secret"), n = await g.event(event);
		assert.deepEqual(Object.keys(n).sort(), ["counts", "devices", "event_id", "prio", "room_id"]);
		assert.deepEqual(n.devices[0].data, { format: "event_id_only" });
		assert.equal(n.devices[0].pushkey, pusher.pushkey);
	});

	test("an invitation", async () => {
		const { alice, bob, g } = await people();
		const id = await bob.createRoom({ name: "Come" });
		await bob.invite(id, alice.userId);
		const n = await g.wait((m) => m.type === "m.room.member", "the invitation");
		assert.deepEqual([n.room_id, n.user_is_target, n.membership, n.room_name, n.counts.unread], [id, true, "invite", "Come", 1]);
	});

	test("the badge alone when it falls, also to zero", async () => {
		const { alice, bob, g } = await people();
		const laptop = await login(server, alice.name, alice.password), id = await room(bob, [alice]);
		const [one, two] = [await bob.send(id, "1"), await bob.send(id, "2")];
		assert.equal((await g.event(two)).counts.unread, 2);
		await read(laptop, id, one);
		const badge = await g.wait((n) => !n.event_id && n.counts.unread === 1, "badge 1");
		assert.deepEqual(Object.keys(badge).sort(), ["counts", "devices", "prio"]);
		assert.equal(badge.devices[0].tweaks, undefined);
		await laptop.send(id, "who answers has read");
		await g.wait((n) => !n.event_id && n.counts.unread === 0, "badge 0");
	});

	test("who mutes a room or ignores a user hears nothing of it", async () => {
		const { alice, bob, carol, g } = await people();
		const quiet = await room(bob, [alice, carol]), loud = await room(bob, [alice, carol]);
		await alice.ok("PUT", `${V3}/pushrules/global/room/${enc(quiet)}`, { actions: [] });
		await alice.ok("PUT", `${V3}/user/${enc(alice.userId)}/account_data/m.ignored_user_list`, { ignored_users: { [carol.userId]: {} } });
		await bob.send(quiet, "nobody hears");
		await carol.send(loud, "nor this");
		const event = await bob.send(loud, "but this");
		await g.event(event);
		assert.deepEqual(g.events, [event]);
	});

	test("several pushers of several users: each is told once", async () => {
		const { alice, bob, carol, g } = await people();
		const other = await gateway();
		await setPusher(alice, other.url);
		await setPusher(carol, other.url);
		const id = await room(bob, [alice, carol]), event = await bob.send(id, "all");
		await g.event(event);
		await waitFor(() => other.events.length >= 2, { what: "both" });
		const last = await bob.send(id, "all again");
		await waitFor(() => other.events.filter((e) => e === last).length === 2, { what: "both again" });
		assert.deepEqual([g.events.filter((e) => e === event).length, other.events.length], [1, 4]);
		assert.equal(new Set(other.told.map((n) => n.devices[0].pushkey)).size, 2);
	});

	test("what was there before the pusher is not told", async () => {
		const [alice, bob] = [await register(server), await register(server)], g = await gateway();
		const id = await room(bob, [alice]);
		await bob.send(id, "before");
		await setPusher(alice, g.url);
		const event = await bob.send(id, "after");
		assert.equal((await g.event(event)).counts.unread, 2);
		assert.deepEqual(g.events, [event]);
	});
});

describe("gateways that fail", () => {
	test("a rejected pushkey ends its pusher and no other", async () => {
		const { alice, bob, g, pusher } = await people((n) => (n.devices[0].pushkey === pusher.pushkey ? { body: { rejected: [pusher.pushkey, "x"] } } : {}));
		const kept = await setPusher(alice, g.url);
		const id = await room(bob, [alice]);
		await bob.send(id, "1");
		await waitFor(async () => (await keys(alice)).length === 1, { what: "the pusher's end" });
		assert.deepEqual(await keys(alice), [kept.pushkey]);
		const event = await bob.send(id, "2");
		await g.event(event);
		assert.ok(g.told.every((n) => n.event_id !== event || n.devices[0].pushkey === kept.pushkey));
	});

	test("an error, no JSON, a broken connection, no answer: told again later", async () => {
		const bad = ["drop", { status: 500 }, { status: 404, body: "no JSON" }, "hang"];	// a dropped one is first: on a connection used before, libcurl itself tries again
		const { alice, bob, g } = await people((n, i) => bad[i - 1] || { body: "taken, but no JSON" });
		const id = await room(bob, [alice]), event = await bob.send(id, "again and again"), why = [];
		for (let i = 1; i <= bad.length; i++) {
			await waitFor(() => shown(alice).failures === i, { what: `failure ${i}` });
			assert.ok(shown(alice).failing);
			why.push(shown(alice).error);
			now(alice);
		}
		assert.deepEqual(why, ["broken", "status 500", "status 404", "timeout"]);
		await g.event(event);
		await waitFor(() => !shown(alice).failing, { what: "the end of the failure" });
		assert.deepEqual(shown(alice), { waiting: 0, failures: 0, error: "", failing: false });
		assert.ok(g.requests.every((r) => r.notification.event_id === event));
		assert.ok(!server.log.includes("taken, but no JSON") && !server.log.includes("again and again"));
	});

	test("the next try waits, longer each time, and as long as Retry-After says", async () => {
		const { alice, bob } = await people((n, i) => (i === 3 ? { status: 429, headers: { "Retry-After": "1000" } } : { status: 502 }));
		const id = await room(bob, [alice]), waits = [];
		await bob.send(id, "x");
		for (let i = 1; i <= 3; i++) {
			await waitFor(() => shown(alice).failures === i, { what: `failure ${i}` });
			waits.push(Number(server.sql(`SELECT extract(epoch FROM next_try - now()) FROM admin.pushers WHERE user_id = '${alice.userId}'`)));
			now(alice);
		}
		assert.ok(waits[0] > 1 && waits[0] <= 6.5, waits);
		assert.ok(waits[1] > waits[0] && waits[1] <= 12.5, waits);
		assert.ok(waits[2] > 900 && waits[2] <= 1250, waits);
	});

	test("after an outage the newest of each room is told, in order; what was read meanwhile is not", async () => {
		const { alice, bob, carol } = await people();
		const g = await gateway(), { port } = g;
		await setPusher(carol, g.url);
		const one = await room(bob, [alice, carol]), two = await room(bob, [alice, carol]), three = await room(bob, [alice, carol]);
		await g.event(await bob.send(one, "it works"));
		await g.stop();
		await bob.send(one, "missed");
		await waitFor(() => shown(carol).failures > 0, { what: "the failure" });
		const last = {};
		for (let i = 0; i < 3; i++)
			for (const id of [one, two, three]) last[id] = await bob.send(id, `missed ${i}`);
		await waitFor(() => shown(carol).waiting >= 10, { what: "ten that wait" });
		await read(carol, two, last[two]);
		const back = await gateway(undefined, port);
		now(carol);
		await back.event(last[three]);
		assert.deepEqual(back.events.filter(Boolean), [last[one], last[three]]);
		assert.equal(back.told[0].counts.unread, 8);
		const event = await bob.send(two, "now");
		await back.event(event);
		assert.deepEqual(back.events.filter(Boolean), [last[one], last[three], event]);
	});

	test("a long outage: the newest alone; after a day nothing", async () => {
		const { alice, bob, g } = await people((n, i) => (i === 1 ? { status: 503 } : {}));
		const one = await room(bob, [alice]), two = await room(bob, [alice]);
		await bob.send(one, "1");
		await waitFor(() => shown(alice).failures === 1, { what: "the failure" });
		await bob.send(one, "2");
		const newest = await bob.send(two, "3");
		await waitFor(() => shown(alice).waiting === 3, { what: "three that wait" });
		server.sql("UPDATE hearth.pusher SET failing_ts = failing_ts - 11 * 60 * 1000 WHERE failures > 0");
		now(alice);
		await g.event(newest);
		assert.deepEqual(g.events, [newest]);

		g.answer = (n, i) => (i === 3 ? { status: 503 } : {});
		await bob.send(one, "4");
		await waitFor(() => shown(alice).failures === 1, { what: "the second failure" });
		server.sql("UPDATE hearth.pusher SET failing_ts = failing_ts - 86400001 WHERE failures > 0; UPDATE hearth.push SET ts = ts - 86400001");
		now(alice);
		await waitFor(() => shown(alice).waiting === 0, { what: "giving up" });
		const event = await bob.send(two, "5");
		await g.event(event);
		assert.deepEqual(g.events.filter(Boolean), [newest, event]);
	});

	test("a slow gateway holds up nobody else", async () => {
		const { alice, bob, carol, g } = await people(() => "hang");
		const quick = await gateway();
		await setPusher(carol, quick.url);
		for (let i = 0; i < 30; i++) await setPusher(alice, g.url);
		const id = await room(bob, [alice, carol]), event = await bob.send(id, "x");
		await quick.event(event);
		await g.asked(16);
		assert.ok(g.told.length === 0);
		const next = await bob.send(id, "y");
		await quick.event(next);
	});

	test("a redirect is not followed, a large answer is not read", async () => {
		const inner = await gateway();
		const { alice, bob } = await people(() => ({ status: 302, headers: { Location: inner.url } }));
		const id = await room(bob, [alice]);
		await bob.send(id, "x");
		await waitFor(() => shown(alice).error === "status 302", { what: "the failure" });
		assert.equal(inner.requests.length, 0);
		const large = await people(() => ({ body: "x".repeat(100000) }));
		await large.bob.send(await room(large.bob, [large.alice]), "x");
		await waitFor(() => shown(large.alice).error === "too_big", { what: "the failure" });
	});

	test("log-out takes what waits with it", async () => {
		const { alice, bob, g } = await people(() => ({ status: 500 }));
		const id = await room(bob, [alice]);
		await bob.send(id, "x");
		await waitFor(() => shown(alice).failures === 1, { what: "the failure" });
		await alice.ok("POST", `${V3}/logout`, {});
		assert.equal(server.sql(`SELECT count(*) FROM admin.pushers WHERE user_id = '${alice.userId}'`), "0");
		const asked = g.requests.length, other = await gateway(), carol = await register(server);
		await setPusher(carol, other.url);
		await carol.join(id);
		await other.event(await bob.send(id, "y"));
		assert.equal(g.requests.length, asked);
	});
});

describe("workers that die, and others beside them", () => {
	const jobs = (of = server.pid) => server.children(/ serve /, of).filter((pid) => fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "hearth jobs");

	test("a worker killed in the middle of a call: another tells it", async () => {
		const { alice, bob, g } = await people((n, i) => (i === 1 ? "hang" : {}));
		const id = await room(bob, [alice]), event = await bob.send(id, "x");
		await g.asked(1);
		for (const pid of jobs()) process.kill(pid, "SIGKILL");
		server.sql("UPDATE hearth.pusher SET lease_ts = 1 WHERE lease_ts IS NOT NULL");	// as if its time were over
		await g.event(event);
		assert.equal(g.requests.length, 2);
	});

	test("sends while workers are killed, in two containers: nothing is lost, nearly nothing comes twice", async () => {
		const second = await container(server, SETTINGS);
		try {
			const { alice, bob, g } = await people();
			const id = await room(bob, [alice]), sent = [];
			for (let i = 0; i < 18; i++) {
				sent.push(await bob.send(id, `${i}`));
				if (i % 6 !== 5) continue;
				await g.asked(i - 3, 40000);	// what a dead worker had asked of the database may come true behind its end: a lease of 19 s
				for (const pid of jobs(i === 5 ? second.child.pid : server.pid)) process.kill(pid, "SIGKILL");
				// As if its time were over. Meanwhile the gateway goes on answering: of what it is too late for it would be told the newest alone.
				await server.query("UPDATE hearth.pusher SET lease_ts = 1 WHERE lease_ts IS NOT NULL");
			}
			await g.event(sent[17], 30000);
			const told = g.events.filter(Boolean), once = [...new Set(told)];
			assert.deepEqual(once, sent, "all, in order");
			assert.ok(told.length - once.length <= 6, "what a dead worker had under way comes again, and no more");
		} finally {
			second.child.kill("SIGTERM");
			await second.exited;
			fs.rmSync(second.dir, { recursive: true });
		}
	});
});

test("a mail server that does not answer holds up no gateway, though one worker does both", async () => {
	const calls = [], mail = net.createServer((s) => calls.push(s.on("error", () => {})));
	await new Promise((done) => mail.listen(0, "127.0.0.1", done));
	const one = await start({
		...SETTINGS, HEARTH_JOBS_WORKERS: "1", HEARTH_SMTP_URL: `smtp://127.0.0.1:${mail.address().port}`, HEARTH_SMTP_FROM: "h@example.org",
	});
	try {
		const [alice, bob, g] = [await register(one), await register(one), await gateway()];
		await setPusher(alice, g.url);
		const id = await room(bob, [alice]);
		await g.event(await bob.send(id, "before"));
		await new Client(one).ok("POST", `${V3}/register/email/requestToken`, { client_secret: "s", email: "x@example.org", send_attempt: 1 });
		await waitFor(() => calls.length > 0, { what: "the call to the mail server" });
		await g.event(await bob.send(id, "meanwhile"));
		assert.equal(calls.length, 1);
		assert.equal(one.sql("SELECT attempts FROM hearth.job WHERE kind = 'mail'"), "1", "it is still at it");
	} finally {
		for (const s of calls) s.destroy();
		await one.stop();
		await new Promise((done) => mail.close(done));
	}
});

describe("who may be called", () => {
	test("a name that leads to a private address is refused when it is called; TLS that does not convince too", async () => {
		const strict = await shared();
		const [alice, bob] = [await register(strict), await register(strict)];
		let connections = 0;
		const trap = net.createServer(() => { connections++; });
		await new Promise((done) => trap.listen(0, "127.0.0.1", done));
		try {
			await setPusher(alice, `https://localhost:${trap.address().port}/_matrix/push/v1/notify`);
			await alice.fails(400, "M_INVALID_PARAM", "POST", SET, { kind: "http", app_id: "a", pushkey: "k", app_display_name: "", device_display_name: "", lang: "",
				data: { url: `http://localhost:${trap.address().port}/_matrix/push/v1/notify` } });
			const id = await bob.createRoom({ preset: "public_chat" });
			await alice.join(id);
			await bob.send(id, "x");
			const error = () => strict.sql(`SELECT error FROM admin.pushers WHERE user_id = '${alice.userId}'`);
			await waitFor(() => error() !== "", { what: "the refusal", timeout: 15000 });
			assert.equal(error(), "address_refused");
			assert.equal(connections, 0);
		} finally {
			trap.close();
		}
	});

	test("https: with a certificate of ca_file, and not with another", async () => {
		const cert = fs.readFileSync(`${server.dir}/tls/cert.pem`), key = fs.readFileSync(`${server.dir}/tls/key.pem`);
		const seen = [];
		const tls = https.createServer({ cert, key }, (req, res) => {
			req.on("data", (d) => seen.push(String(d))).on("end", () => res.end("{}"));
		});
		await new Promise((done) => tls.listen(0, "127.0.0.1", done));
		const url = `https://localhost:${tls.address().port}/_matrix/push/v1/notify`;
		const trusting = await start({ HEARTH_CA_FILE: `${server.dir}/tls/cert.pem`, HEARTH_OUTGOING_ALLOW: "127.0.0.0/8,::1", HEARTH_JOBS_WORKERS: "1" });
		try {
			const talk = async (s) => {
				const [alice, bob] = [await register(s), await register(s)];
				await setPusher(alice, url);
				const id = await bob.createRoom({ preset: "public_chat" });
				await alice.join(id);
				return [alice, await bob.send(id, "x")];
			};
			const [alice] = await talk(server);
			await waitFor(() => shown(alice).error === "tls", { what: "the refusal" });
			assert.deepEqual(seen, []);
			const [, event] = await talk(trusting);
			await waitFor(() => seen.some((s) => s.includes(event)), { what: "the push", timeout: 15000 });
		} finally {
			tls.close();
			await trusting.stop();
		}
	});
});
