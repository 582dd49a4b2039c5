// A real server for tests: deploy/local in a directory of its own, on free ports, with cheap passwords, no rate limits and a
// shared secret. Registration is open, as it is by default on loopback. tests/http/run starts ONE for all files and tells them by HEARTH_TEST_*; a file run by
// itself (node --test tests/http/x.test.js) starts its own. Tests that break a server start one with start().
"use strict";
const { execFile, spawn, spawnSync } = require("node:child_process");
const { after } = require("node:test");
const crypto = require("node:crypto");
const fs = require("node:fs");
const https = require("node:https");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { promisify } = require("node:util");

const top = path.resolve(__dirname, "../../..");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Below the range from which the kernel takes ports for outgoing connections.
async function freePort() {
	for (;;) {
		const port = crypto.randomInt(12000, 32000);
		const free = await new Promise((done) => {
			const s = net.createServer().once("error", () => done(false));
			s.listen({ port, host: "127.0.0.1", exclusive: true }, () => s.close(() => done(true)));
		});
		if (free) return port;
	}
}

// Others (PostgreSQL's and nginx's users) must be able to enter it.
function tempDir(what) {
	const base = process.getuid() === 0 ? "/tmp" : os.tmpdir();
	const dir = fs.mkdtempSync(path.join(base, `hearth-${what}-`));
	fs.chmodSync(dir, 0o755);
	return dir;
}

class Server {
	// From what tests/http/run handed down.
	static fromEnv(env = process.env) {
		const s = new Server();
		s.url = env.HEARTH_TEST_URL;
		s.httpUrl = env.HEARTH_TEST_HTTP_URL;
		s.caFile = env.HEARTH_TEST_CA;
		s.dir = env.HEARTH_TEST_DIR;
		s.secret = env.HEARTH_TEST_SECRET;
		s.name = env.HEARTH_TEST_SERVER_NAME || "localhost";
		s.databaseUrl = env.HEARTH_TEST_DATABASE_URL;	// superuser
		s.pid = Number(env.HEARTH_TEST_PID) || undefined;
		return s;
	}

	toEnv() {
		return {
			HEARTH_TEST_URL: this.url, HEARTH_TEST_HTTP_URL: this.httpUrl, HEARTH_TEST_CA: this.caFile, HEARTH_TEST_DIR: this.dir,
			HEARTH_TEST_SECRET: this.secret, HEARTH_TEST_SERVER_NAME: this.name, HEARTH_TEST_DATABASE_URL: this.databaseUrl,
			HEARTH_TEST_PID: String(this.pid),
		};
	}

	get agent() {
		this._agent ||= new https.Agent({
			ca: this.caFile && fs.readFileSync(this.caFile), rejectUnauthorized: Boolean(this.caFile), keepAlive: true,
		});
		return this._agent;
	}

	get log() { return fs.readFileSync(path.join(this.dir, "server.log"), "utf8"); }	// the workers' log

	// psql as superuser; the answer's text, unaligned, columns parted by |
	sql(text) {
		const r = spawnSync("psql", ["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", this.databaseUrl, "-c", text], { encoding: "utf8" });
		if (r.status !== 0) throw new Error(`psql: ${r.stderr}`);
		return r.stdout.trim();
	}

	// The same, while this process goes on with what else it does.
	async query(text) {
		const { stdout } = await promisify(execFile)("psql", ["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", this.databaseUrl, "-c", text]);
		return stdout.trim();
	}

	// Pids below deploy/local whose command line matches: /serve/ are the workers, /postgres -D/, /nginx: master/. /proc is read once: for
	// each of them again, it took seconds on a busy machine, in which this process did nothing else.
	children(pattern, of = this.pid) {
		const below = new Map();
		for (const p of fs.readdirSync("/proc").filter((n) => /^\d+$/.test(n))) {
			try {
				const stat = fs.readFileSync(`/proc/${p}/stat`, "utf8"), parent = Number(stat.slice(stat.lastIndexOf(")") + 4).split(" ")[0]);
				below.set(parent, [...(below.get(parent) ?? []), Number(p)]);
			} catch { /* it is gone */ }
		}
		const all = [of];
		for (const p of all) all.push(...(below.get(p) ?? []));
		return all.slice(1).filter((p) => {
			try {
				return pattern.test(fs.readFileSync(`/proc/${p}/cmdline`, "utf8").replaceAll("\0", " "));
			} catch { return false; }
		});
	}

	async stop({ keep = false } = {}) {
		this._agent?.destroy();
		if (this.process && this.process.exitCode === null && this.process.signalCode === null) {
			this.process.kill("SIGTERM");
			await this.exited;
		}
		if (!keep && this.process) fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

// settings: HEARTH_ variables beside the usual ones; dir: an earlier server's, to start it again.
async function start(settings = {}, { dir = tempDir("http") } = {}) {
	const s = new Server();
	s.dir = dir;
	s.secret = "test shared secret";
	s.name = settings.HEARTH_SERVER_NAME || "localhost";
	const port = await freePort(), httpPort = await freePort();
	s.url = `https://127.0.0.1:${port}`;
	s.httpUrl = `http://127.0.0.1:${httpPort}`;
	const env = {
		...process.env,
		HEARTH_DIR: dir, HEARTH_LISTEN: `https:127.0.0.1:${port},http:127.0.0.1:${httpPort}`, HEARTH_PASSWORD_COST: "low",
		HEARTH_RATE_LIMITS: "off", HEARTH_REGISTRATION_SHARED_SECRET: s.secret,
		HEARTH_SHARED_BUFFERS: "64MB", HEARTH_STOP_SECONDS: "10", HEARTH_READY_FD: "3", HEARTH_SERVER_NAME: s.name, ...settings,
	};
	if (!settings.HEARTH_DATABASE_URL) delete env.HEARTH_DATABASE_URL;
	for (const k of Object.keys(env)) if (k.startsWith("HEARTH_TEST_")) delete env[k];
	const log = fs.openSync(path.join(dir, "server.log"), "a");
	s.process = spawn(path.join(top, "deploy/local"), { env, stdio: ["ignore", log, log, "pipe"] });
	fs.closeSync(log);
	s.pid = s.process.pid;
	s.exited = new Promise((done) => s.process.once("exit", done));
	// A test run that is killed takes its servers along.
	const kill = () => { try { s.process.kill("SIGTERM"); } catch { /* gone */ } };
	process.once("exit", kill);
	s.exited.then(() => process.off("exit", kill));
	const ready = await Promise.race([
		new Promise((done) => s.process.stdio[3].once("data", () => done(true))), s.exited.then(() => false),
	]);
	if (!ready) throw new Error(`the server did not start (${dir}):\n${s.log.split("\n").slice(-25).join("\n")}`);
	s.caFile = settings.HEARTH_TLS_CERT || path.join(dir, "tls/cert.pem");
	s.databaseUrl = settings.HEARTH_DATABASE_URL || `host=${fs.realpathSync(path.join(dir, "run"))}/pg dbname=hearth user=postgres`;
	return s;
}

let mine;
// The server of this run: await it once, at the top of a file's before().
async function shared() {
	if (process.env.HEARTH_TEST_URL) return Server.fromEnv();
	if (!mine) {
		mine = start();
		after(async () => (await mine).stop());
	}
	return mine;
}

// nginx alone, with nothing listening behind it.
async function startNginx() {
	const dir = tempDir("nginx"), port = await freePort();
	const conf = spawnSync(path.join(top, "deploy/nginx-conf"), ["local"], {
		encoding: "utf8",
		env: {
			...process.env, NGX_LISTEN: `http:127.0.0.1:${port}`, NGX_SOCKETS: dir, NGX_USER: process.getuid() === 0 ? "user www-data;" : "",
			NGX_RUN: dir, NGX_LOG: dir, NGX_STATIC: path.join(top, "deploy/static"), NGX_NOFILE: "1000", NGX_CERT: "", NGX_KEY: "",
		},
	}).stdout;
	fs.writeFileSync(`${dir}/nginx.conf`, conf);
	const child = spawn("nginx", ["-e", "stderr", "-c", `${dir}/nginx.conf`], { stdio: "inherit", env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
	const exited = new Promise((done) => child.once("exit", done));
	const s = new Server();
	s.dir = dir;
	s.url = s.httpUrl = `http://127.0.0.1:${port}`;
	s.stop = async () => {
		child.kill("SIGTERM");
		await exited;
		fs.rmSync(dir, { recursive: true, force: true });
	};
	for (let n = 0; n < 100; n++) {
		const up = await new Promise((done) => net.connect(port, "127.0.0.1").once("connect", function () { this.destroy(); done(true); }).once("error", () => done(false)));
		if (up) return s;
		await sleep(50);
	}
	await s.stop();
	throw new Error("nginx did not start");
}

module.exports = { start, shared, startNginx, freePort, tempDir, sleep, top, Server };
