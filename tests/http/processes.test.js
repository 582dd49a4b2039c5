// The processes: what happens to requests when workers, the park process or PostgreSQL go away, and at SIGHUP and SIGTERM.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const path = require("node:path");
const { start, freePort } = require("./lib/server.js");
const { login, request, register, waitFor, unique, enc, NO_NEWS } = require("./lib/client.js");
const fastcgi = require("./lib/fastcgi.js");
const { container: secondContainer } = require("./lib/container.js");
const { startPostgres } = require("./lib/postgres.js");

// ---- helpers

// Pids of a role: web, sync, park, jobs, or "master".
function pids(server, role) {
	return server.children(/ serve /).filter((pid) => {
		const name = fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim();
		return role === "master" ? name === "hearth" : name === `hearth ${role}`;
	});
}
const kill = (pid, signal) => { try { process.kill(pid, signal); } catch { /* it has gone */ } };
const alive = (pid) => { try { process.kill(pid, 0); return true; } catch { return false; } };

// Many connections at once: the default agent of the server is for few.
function manyConnections(server) {
	server._agent = new https.Agent({ ca: fs.readFileSync(server.caFile), keepAlive: true, maxSockets: Infinity });
}

// A sync that waits; tells what it was answered, and when it is over.
function waiting(client, { timeout = 60000, since = client.since } = {}) {
	const w = { over: false, began: Date.now() };
	w.answer = request(client.server, "GET", `/_matrix/client/v3/sync?since=${enc(since)}&timeout=${timeout}`, { token: client.token, timeout: 120000 })
		.then((r) => { w.over = true; w.status = r.status; return r; }, (fault) => { w.over = true; w.status = fault.message; return { status: fault.message }; });
	return w;
}
async function metric(server, name) {
	const text = await new Promise((done, fail) => http.get(`http://${server.metrics}/_hearth/metrics`, { agent: false }, (res) => {
		let got = "";
		res.setEncoding("utf8").on("data", (d) => { got += d; }).on("end", () => done(got));
	}).on("error", fail));
	return Number(text.split("\n").find((l) => l.startsWith(`hearth_${name} `)).split(" ")[1]);
}
const parked = (server, n) => waitFor(async () => (await metric(server, "waiting")) >= n, { what: `${n} waiting requests` });

const texts = (answer, room) => (answer.body?.rooms?.join?.[room]?.timeline?.events || []).filter((e) => e.type === "m.room.message").map((e) => e.content.body);

// All messages of a room, as they are told by /messages.
async function messages(client, room) {
	const found = [];
	let from;
	for (;;) {
		const q = new URLSearchParams({ dir: "b", limit: "100" });
		if (from) q.set("from", from);
		const r = await client.ok("GET", `/_matrix/client/v3/rooms/${enc(room)}/messages?${q}`);
		found.push(...r.chunk.filter((e) => e.type === "m.room.message"));
		if (!r.end || !r.chunk.length) return found;
		from = r.end;
	}
}

// Sends (PUT, and POST if asked) and reads on and on from several connections, until stop(); then tells what happened.
// keep: over kept connections (a reload of nginx may end those under a request's feet, as any HTTP client knows).
function load(client, room, { senders = 4, posts = false, keep = true } = {}) {
	const result = { sent: new Map(), failed: [], gets: 0 };
	const headers = keep ? {} : { Connection: "close" };
	let stopped = false;
	const one = async (i) => {
		for (let n = 0; !stopped; n++) {
			const body = `${i}-${n}`;
			const post = posts && n % 3 === 2;
			const url = `/_matrix/client/v3/rooms/${enc(room)}/send/m.room.message`;
			const r = await request(client.server, post ? "POST" : "PUT", post ? url : `${url}/${unique("t")}`, { token: client.token, headers, body: { msgtype: "m.text", body } })
				.catch((fault) => ({ status: fault.message }));
			if (r.status === 200) result.sent.set(body, r.body.event_id);
			else result.failed.push(`${post ? "POST" : "PUT"} ${r.status} ${r.text ?? ""}`);
			const g = await request(client.server, "GET", "/_matrix/client/v3/account/whoami", { token: client.token, headers }).catch((fault) => ({ status: fault.message }));
			if (g.status === 200) result.gets++;
			else result.failed.push(`GET ${g.status} ${g.text ?? ""}`);
		}
	};
	const running = Array.from({ length: senders }, (_, i) => one(i));
	result.stop = async () => {
		stopped = true;
		await Promise.all(running);
		return result;
	};
	result.progress = (more) => {
		const from = result.sent.size;
		return waitFor(() => result.sent.size >= from + more, { timeout: 30000, what: `${more} sends more` });
	};
	return result;
}

// What was answered with 200 is there, once.
async function assertStored(client, room, result) {
	const stored = (await messages(client, room)).map((e) => [e.content.body, e.event_id]);
	assert.equal(new Set(stored.map(([body]) => body)).size, stored.length, "no message twice");
	const byBody = new Map(stored);
	for (const [body, id] of result.sent) assert.equal(byBody.get(body), id, `${body} was answered with 200`);
}

async function startWithMetrics(settings = {}, options) {
	const metrics = `127.0.0.1:${await freePort()}`;
	const server = await start({ HEARTH_METRICS_LISTEN: metrics, HEARTH_SYNC_WORKERS: "2", HEARTH_WEB_WORKERS: "3", ...settings }, options);
	server.metrics = metrics;
	manyConnections(server);
	return server;
}
async function aliceInRoom(server) {
	const alice = await register(server);
	const room = await alice.createRoom({ preset: "public_chat" });
	await alice.sync();
	return { alice, room };
}

// ---- tests

describe("processes", () => {
	let server;
	before(async () => { server = await startWithMetrics(); });
	after(() => server?.stop());

	test("killed workers under load: nothing fails that may be tried again, nothing is lost or doubled", async () => {
		const { alice, room } = await aliceInRoom(server);
		const work = load(alice, room);
		for (let round = 0; round < 6; round++) {
			await work.progress(10);
			const workers = pids(server, round % 3 === 2 ? "sync" : "web");
			kill(workers[round % workers.length], "SIGKILL");
		}
		await work.progress(20);
		const result = await work.stop();
		assert.deepEqual(result.failed, []);
		await assertStored(alice, room, result);
		await waitFor(() => pids(server, "web").length === 3 && pids(server, "sync").length === 2, { what: "all workers" });
	});

	test("while all log-in workers are busy, messages, syncs and registrations' questions pass; who logs in waits", async () => {
		const { alice, room } = await aliceInRoom(server);
		const workers = pids(server, "login"), stop = (signal) => workers.forEach((pid) => process.kill(pid, signal));
		assert.ok(workers.length > 0);
		stop("SIGSTOP");
		try {
			let answered = 0;
			const logins = Array.from({ length: 30 }, () => login(server, alice.name, alice.password).then((c) => { answered++; return c; }));
			const asked = alice.request("DELETE", `/_matrix/client/v3/devices/${alice.deviceId}`, { body: {} });
			for (let i = 0; i < 20; i++) await alice.send(room, `m${i}`);
			await alice.sync();
			await alice.ok("GET", `/_matrix/client/v3/devices/${alice.deviceId}`);
			await alice.ok("GET", "/_matrix/client/v3/login");
			assert.equal(answered, 0);
			stop("SIGCONT");
			for (const c of await Promise.all(logins)) assert.equal(c.userId, alice.userId);
			assert.equal((await asked).status, 401);
		} finally {
			stop("SIGCONT");
		}
	});

	test("a killed sync worker: who waits goes on waiting", async () => {
		const { alice, room } = await aliceInRoom(server);
		const waits = Array.from({ length: 20 }, () => waiting(alice));
		await parked(server, 20);
		for (const pid of pids(server, "sync")) kill(pid, "SIGKILL");
		await alice.send(room, "after the kill");
		for (const w of waits) assert.deepEqual(texts(await w.answer, room), ["after the kill"]);
	});

	test("what was woken while all sync workers were busy is computed together", async () => {
		const users = await Promise.all(Array.from({ length: 12 }, () => aliceInRoom(server)));
		await waitFor(() => pids(server, "sync").length === 2, { what: "those killed before are replaced" });
		const workers = pids(server, "sync"), stop = (signal) => workers.forEach((pid) => process.kill(pid, signal));
		const waits = users.map(({ alice }) => waiting(alice));
		await parked(server, 12);
		const woken = await metric(server, "woken_total");
		stop("SIGSTOP");
		try {
			for (const { alice, room } of users) await alice.send(room, "wake up");
			await waitFor(async () => (await metric(server, "woken_total")) >= woken + 12, { what: "all on their way to the workers" });
		} finally {
			stop("SIGCONT");
		}
		for (const [i, { room }] of users.entries()) assert.deepEqual(texts(await waits[i].answer, room), ["wake up"]);
		// Requests of one batch have the same time in the database: as many times as there are workers.
		const syncs = ({ alice }) => server.log.split("\n").filter((l) => l.includes("/v3/sync ") && l.includes(`user=${alice.userId} `));
		await waitFor(() => users.every((u) => syncs(u).length === 2), { what: "the log" });
		const times = users.map((u) => syncs(u)[1].match(/ db_us=(\d+)/)[1]);
		assert.ok(new Set(times).size <= workers.length, times.join(" "));
	});

	test("SIGHUP under mixed load: no request fails, who waits goes on waiting", async () => {
		const { alice, room } = await aliceInRoom(server);
		const bob = await register(server);
		await bob.join(room);
		await bob.sync();
		await alice.sync();
		const quiet = await alice.createRoom();
		await alice.sync();
		const waits = Array.from({ length: 100 }, () => waiting(alice, { filter: undefined }));
		await parked(server, 100);
		const carol = await register(server);
		const other = await carol.createRoom({ preset: "public_chat" });
		const work = load(carol, other, { posts: true });
		const master = pids(server, "master")[0];
		for (let round = 0; round < 3; round++) {
			await work.progress(10);
			const before = new Set([...pids(server, "web"), ...pids(server, "sync"), ...pids(server, "park")]);
			process.kill(master, "SIGHUP");
			await waitFor(() => ![...before].some(alive), { timeout: 20000, what: "the end of the old workers" });
			assert.deepEqual([pids(server, "web").length, pids(server, "sync").length, pids(server, "park").length], [3, 2, 1]);
		}
		await work.progress(20);
		const result = await work.stop();
		assert.deepEqual(result.failed, []);
		await assertStored(carol, other, result);
		assert.equal(pids(server, "master")[0], master, "the same master");
		assert.ok(!waits.some((w) => w.over), "nobody's wait has ended");
		await alice.send(quiet, "hello");
		for (const w of waits) {
			const r = await w.answer;
			assert.equal(r.status, 200);
			assert.deepEqual(texts(r, quiet), ["hello"]);
		}
	});

	test("reload by deploy/local: a new copy of the binary, nginx too", async () => {
		const { alice, room } = await aliceInRoom(server);
		const inode = () => fs.statSync(fs.realpathSync(`/proc/${pids(server, "web")[0]}/exe`)).ino;
		const old = inode(), before = pids(server, "web");
		const work = load(alice, room, { posts: true, keep: false });
		await work.progress(10);
		process.kill(server.pid, "SIGHUP");
		await waitFor(() => !before.some(alive) && pids(server, "web").length === 3, { timeout: 20000, what: "new workers" });
		await work.progress(10);
		const result = await work.stop();
		assert.deepEqual(result.failed, []);
		await assertStored(alice, room, result);
		assert.notEqual(inode(), old);
	});

	test("settings that do not pass the check: all stays as it is", async () => {
		const workers = pids(server, "web");
		const refused = () => server.log.split("reload_refused").length;
		// The file that /proc shows as started is replaced by one that dislikes everything.
		const app = path.join(server.dir, "app/hearth");
		fs.renameSync(app, `${app}.good`);
		fs.writeFileSync(app, "#!/bin/sh\nexit 78\n", { mode: 0o755 });
		const n = refused();
		process.kill(pids(server, "master")[0], "SIGHUP");
		await waitFor(() => refused() > n, { what: "the refusal" });
		fs.renameSync(`${app}.good`, app);
		assert.deepEqual(pids(server, "web"), workers);
		assert.equal((await request(server, "GET", "/_matrix/client/versions")).status, 200);
	});

	test("half-sent requests hold up nobody", async () => {
		const { alice, room } = await aliceInRoom(server);
		const sockets = path.join(server.dir, "run/hearth");
		const whole = fastcgi.encode("GET", `/_matrix/client/v3/sync?since=${enc(alice.since)}&timeout=30000`, { token: alice.token });
		const halves = [];
		for (const pool of ["web", "sync"])
			for (const cut of [0, 4, 20, whole.length - 8, whole.length - 1]) {
				const c = fastcgi.open(fs.realpathSync(path.join(sockets, `${pool}.sock`)), whole.subarray(0, cut));
				halves.push(c);
				await c.ready;
			}
		const w = waiting(alice);
		await parked(server, 1);
		await alice.send(room, "on time");
		assert.deepEqual(texts(await w.answer, room), ["on time"]);
		assert.ok(!halves.some((c) => c.closed), "before any half request was given up");
		// One that arrives after all is served.
		const rest = halves[5 + 3];
		rest.socket.write(whole.subarray(whole.length - 8));
		assert.equal((await rest.answer).status, 200);
		for (const c of halves) c.socket.destroy();
	});

	test("bytes that are no FastCGI are dropped, and no worker with them", async () => {
		const before = pids(server, "web");
		const socket = fs.realpathSync(path.join(server.dir, "run/hearth/web.sock"));
		const whole = fastcgi.encode("GET", "/_matrix/client/versions");
		const bad = [Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.alloc(100, 255), Buffer.alloc(70000, 1), crypto.randomBytes(5000)];
		for (let i = 0; i < 200; i++) {	// a flipped byte anywhere
			const b = Buffer.from(whole);
			b[crypto.randomInt(b.length)] ^= 1 << crypto.randomInt(8);
			bad.push(b);
		}
		await Promise.all(bad.map((b) => {
			const c = fastcgi.open(socket, b);
			setTimeout(() => c.socket.end(), 100);
			return c.answer;
		}));
		assert.deepEqual(pids(server, "web"), before);
		assert.equal((await fastcgi.request(socket, "GET", "/_matrix/client/versions")).status, 200);
	});

	// Most writes travel with COMMIT, so it is there that a deadlock or a fault shows itself.
	test("a transaction that fails at its COMMIT is tried again, or refused, and the worker goes on", async () => {
		const { alice, room } = await aliceInRoom(server);
		const workers = pids(server, "web");
		server.sql(`CREATE SEQUENCE hearth.test_faults;
			CREATE FUNCTION hearth.test_fault() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth AS $$ BEGIN
				IF NEW.content LIKE '%always%' OR NEW.content LIKE '%twice%' AND nextval('test_faults') <= 2 THEN
					RAISE EXCEPTION 'a test' USING ERRCODE = 'deadlock_detected';
				ELSIF NEW.content LIKE '%fault%' THEN
					RAISE EXCEPTION 'a test' USING ERRCODE = 'data_exception';
				END IF;
				RETURN NEW;
			END $$;
			CREATE TRIGGER test_fault BEFORE INSERT ON hearth.event FOR EACH ROW EXECUTE FUNCTION hearth.test_fault()`);
		const send = (body) => request(server, "PUT", `/_matrix/client/v3/rooms/${enc(room)}/send/m.room.message/${unique("t")}`, { token: alice.token, body: { body } });
		assert.equal((await send("twice")).status, 200);
		assert.equal((await send("always")).status, 503);
		assert.equal((await send("fault")).status, 500);
		server.sql("DROP FUNCTION hearth.test_fault CASCADE; DROP SEQUENCE hearth.test_faults");
		for (let i = 0; i < 6; i++) assert.equal((await send(`m${i}`)).status, 200);
		assert.deepEqual(pids(server, "web"), workers);
		assert.deepEqual((await messages(alice, room)).map((e) => e.content.body).reverse(), ["twice", "m0", "m1", "m2", "m3", "m4", "m5"]);
	});

	test("a change by hand in psql reaches who waits", async () => {
		const { alice } = await aliceInRoom(server);
		await alice.ok("PUT", `/_matrix/client/v3/user/${enc(alice.userId)}/account_data/org.example.x`, { v: 1 });
		await alice.sync();
		const w = waiting(alice);
		await parked(server, 1);
		server.sql(`UPDATE hearth.account_data SET content = '{"v":2}' WHERE type = 'org.example.x'`);
		const r = await w.answer;
		assert.deepEqual(r.body.account_data.events, [{ type: "org.example.x", content: { v: 2 } }]);
	});

	test("a client that goes away is forgotten", async () => {
		const { alice } = await aliceInRoom(server);
		const before = await metric(server, "gone_total");
		const abort = new AbortController();
		const r = request(server, "GET", `/_matrix/client/v3/sync?since=${enc(alice.since)}&timeout=60000`, { token: alice.token, signal: abort.signal });
		await parked(server, 1);
		abort.abort();
		await assert.rejects(r);
		await waitFor(async () => (await metric(server, "gone_total")) > before, { what: "its end" });
	});

	test("a message right after a join wakes the joiner", async () => {
		const { alice, room } = await aliceInRoom(server);
		const bob = await register(server);
		await bob.sync();
		for (let i = 0; i < 10; i++) {
			const w = waiting(bob);
			await parked(server, 1);
			await bob.join(room);
			await alice.send(room, `message ${i}`);
			const seen = [];
			const first = await w.answer;
			bob.since = first.body.next_batch;
			seen.push(...texts(first, room));
			while (!seen.includes(`message ${i}`)) {
				const next = await waiting(bob, { timeout: 20000 }).answer;
				assert.ok(next.body.rooms, "news, not a time-out");
				bob.since = next.body.next_batch;
				seen.push(...texts(next, room));
			}
			await bob.leave(room);
			await bob.sync();
		}
	});

	test("a killed park process: who waits, however long, goes on waiting", async () => {
		const { alice, room } = await aliceInRoom(server);
		const waits = Array.from({ length: 1000 }, () => waiting(alice));
		await parked(server, 1000);
		// Longer than nginx's limits for the tries of one request would allow, were they counted from its start.
		await waitFor(() => Date.now() > waits[0].began + 6000, { what: "age" });
		const [park] = pids(server, "park");
		kill(park, "SIGKILL");
		await waitFor(() => pids(server, "park").some((p) => p !== park), { what: "a new park process" });
		await parked(server, 1000);
		assert.deepEqual([...new Set(waits.filter((w) => w.over).map((w) => w.status))], []);
		await alice.send(room, "after all");
		for (const w of waits) {
			const r = await w.answer;
			assert.equal(r.status, 200);
			assert.deepEqual(texts(r, room), ["after all"]);
		}
	});

	test("SIGTERM: who waits is answered, with the token to go on from", async () => {
		const { alice } = await aliceInRoom(server);
		const waits = Array.from({ length: 200 }, () => waiting(alice));
		await parked(server, 200);
		const master = pids(server, "master")[0];
		process.kill(master, "SIGTERM");
		for (const w of waits) {
			const r = await w.answer;
			assert.equal(r.status, 200);
			assert.deepEqual(Object.keys(r.body), NO_NEWS);
		}
		await waitFor(() => !alive(master), { timeout: 15000, what: "the end" });
		await server.exited;	// deploy/local does not go on without
	});
});

test("a failure between COMMIT and wake-up: the look at the streams delivers", async () => {
	const server = await startWithMetrics({ HEARTH_FAILPOINT: "after_commit:error" });
	try {
		const { alice, room } = await aliceInRoom(server);
		const w = waiting(alice);
		await parked(server, 1);
		const woken = await metric(server, "woken_total");
		await alice.send(room, "no datagram told of it");
		assert.deepEqual(texts(await w.answer, room), ["no datagram told of it"]);
		assert.ok((await metric(server, "tail_found_total")) > 0);
		assert.equal(await metric(server, "woken_total"), woken + 1);
	} finally {
		await server.stop();
	}
});

test("long syncs take at most half the pool: they delay nobody's wake-up", async () => {
	const server = await startWithMetrics({ HEARTH_FAILPOINT: "sync.heavy:pause" });
	try {
		const alice = await register(server);
		const room = await alice.createRoom();
		const gate = path.join(server.dir, "run/hearth/failpoint.sync.heavy");
		fs.writeFileSync(gate, "");
		await alice.sync();
		fs.rmSync(gate);
		// Initial syncs, more than there are workers; the first stands in the middle of it.
		const heavy = Array.from({ length: 5 }, () => {
			const h = { over: false };
			h.answer = request(server, "GET", "/_matrix/client/v3/sync", { token: alice.token }).then((r) => { h.over = true; return r; });
			return h;
		});
		await waitFor(async () => (await metric(server, "waiting_heavy")) === 4, { what: "four in the queue" });
		for (let i = 0; i < 5; i++) {
			const w = waiting(alice);
			await parked(server, 1);
			await alice.send(room, `light ${i}`);
			const r = await w.answer;
			assert.deepEqual(texts(r, room), [`light ${i}`]);
			alice.since = r.body.next_batch;
		}
		assert.ok(!heavy.some((h) => h.over), "the long ones are still there");
		fs.writeFileSync(gate, "");
		for (const h of heavy) assert.equal((await h.answer).status, 200);
	} finally {
		await server.stop();
	}
});

describe("PostgreSQL restarted", () => {
	let pg, server;
	before(async () => {
		pg = await startPostgres();
		server = await startWithMetrics({ HEARTH_DATABASE_URL: pg.url });
	});
	after(async () => {
		await server?.stop();
		await pg?.end();
	});

	test("who waits sees no 5xx and gets what comes later", async () => {
		const { alice, room } = await aliceInRoom(server);
		const waits = Array.from({ length: 1000 }, () => waiting(alice));
		await parked(server, 1000);
		pg.stop();
		// While it is away: an honest 503 in the specification's form.
		const r = await request(server, "GET", "/_matrix/client/v3/account/whoami", { token: alice.token });
		assert.equal(r.status, 503);
		assert.equal(r.body.errcode, "M_UNKNOWN");
		assert.ok(Number(r.headers["retry-after"]) > 0);
		assert.equal((await request(server, "GET", "/_hearth/health")).status, 503);
		pg.start();
		await waitFor(async () => (await request(server, "GET", "/_hearth/health")).status === 200, { what: "health" });
		await waitFor(async () => (await metric(server, "listen_up")) === 1, { what: "listening again" });
		assert.deepEqual(waits.filter((w) => w.over).map((w) => w.status), []);
		await alice.send(room, "back again");
		for (const w of waits) {
			const a = await w.answer;
			assert.equal(a.status, 200);
			assert.deepEqual(texts(a, room), ["back again"]);
		}
	});

	test("woken while it is away: computed when it is back", async () => {
		const { alice, room } = await aliceInRoom(server);
		const waits = Array.from({ length: 50 }, () => waiting(alice));
		await parked(server, 50);
		// A wake-up and the shutdown together: batches are in the workers' hands when the database goes.
		for (let i = 0; i < 3; i++) {
			await alice.send(room, `news ${i}`).catch(() => {});
			pg.stop("immediate");
			pg.start();
		}
		for (const w of waits) {
			const a = await w.answer;
			assert.equal(a.status, 200);
			assert.ok(texts(a, room).length > 0);
		}
	});
});

// A second master on a TCP socket, on the database of the first: as in another container.
describe("containers", () => {
	let server;
	before(async () => { server = await startWithMetrics(); });
	after(() => server?.stop());
	const container = (settings) => secondContainer(server, settings);

	test("a message in one wakes who waits in the other, both ways; each pool tells of the container's health", async () => {
		const c = await container();
		try {
			for (const pool of [c.web, c.sync, c.login])
				await waitFor(async () => (await fastcgi.request(pool, "GET", "/_hearth/health")).body === '{"status":"ok","park":"ok","jobs":"ok"}', { what: "health" });
			const { alice, room } = await aliceInRoom(server);
			await waitFor(async () => (await metric(c, "listen_up")) === 1 && (await metric(server, "listen_up")) === 1, { what: "both listening" });
			const there = fastcgi.open(c.sync, fastcgi.encode("GET", `/_matrix/client/v3/sync?since=${enc(alice.since)}&timeout=30000`, { token: alice.token }));
			await parked(c, 1);
			const found = await metric(c, "tail_found_total");
			await alice.send(room, "across");
			const r = JSON.parse((await there.answer).body);
			assert.deepEqual(texts({ body: r }, room), ["across"]);
			assert.equal(await metric(c, "tail_found_total"), found, "told, not found by looking");
			alice.since = r.next_batch;
			const here = waiting(alice);
			await parked(server, 1);
			const put = await fastcgi.request(c.web, "PUT", `/_matrix/client/v3/rooms/${enc(room)}/send/m.room.message/1`,
				{ token: alice.token, body: JSON.stringify({ msgtype: "m.text", body: "and back" }) });
			assert.equal(put.status, 200);
			assert.deepEqual(texts(await here.answer, room), ["and back"]);
		} finally {
			c.child.kill("SIGTERM");
			assert.equal(await c.exited, 0);
			fs.rmSync(c.dir, { recursive: true });
		}
	});

	test("SIGTERM over TCP: every connected request is answered", async () => {
		const { alice, room } = await aliceInRoom(server);
		for (let round = 0; round < 3; round++) {
			const c = await container();
			const broken = [], refused = [];
			let answered = 0, stopped = false;
			const one = async (i) => {
				for (let n = 0; !stopped; n++) {
					const put = (i + n) % 2;
					const r = put ? await fastcgi.request(c.web, "POST", `/_matrix/client/v3/rooms/${enc(room)}/send/m.room.message`, { token: alice.token, body: '{"body":"x"}' })
						: await fastcgi.request(c.web, "GET", "/_matrix/client/versions");
					if (r.status === 200) answered++;
					else if (r.closed && !r.connected) { refused.push(i); return; }
					else broken.push(r);
				}
			};
			const running = Array.from({ length: 12 }, (_, i) => one(i));
			await waitFor(() => answered > 50, { what: "load" });
			c.child.kill("SIGTERM");
			assert.equal(await c.exited, 0);
			stopped = true;
			await Promise.all(running);
			assert.deepEqual(broken, []);
			fs.rmSync(c.dir, { recursive: true });
		}
	});

	test("workers die with their master", async () => {
		const c = await container();
		const below = server.children.bind(server)(/ serve /, c.child.pid);
		assert.ok(below.length >= 5);
		c.child.kill("SIGKILL");
		await c.exited;
		await waitFor(() => !below.some(alive), { timeout: 15000, what: "their end" });
		fs.rmSync(c.dir, { recursive: true });
	});
});
