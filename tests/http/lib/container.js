// A second master on TCP sockets, on the database of the first: as in another container.
"use strict";
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { freePort, tempDir, top } = require("./server.js");
const { waitFor } = require("./client.js");
const fastcgi = require("./fastcgi.js");

// Answers {dir, web, sync, login (ports for fastcgi.js), metrics (host:port), child, exited (a promise of status or signal)}. Whoever
// starts it ends the child, waits for exited and removes dir.
async function container(server, settings = {}) {
	const dir = tempDir("container");
	const web = await freePort(), sync = await freePort(), login = await freePort(), metrics = `127.0.0.1:${await freePort()}`;
	const log = fs.openSync(path.join(dir, "log"), "a");
	const child = spawn(path.join(server.dir, "app/hearth"), ["serve"], {
		stdio: ["ignore", log, log],
		env: {
			PATH: process.env.PATH, HEARTH_SERVER_NAME: server.name, HEARTH_DATABASE_URL: server.databaseUrl.replace("user=postgres", "user=hearth_worker"),
			HEARTH_WEB_SOCKET: `tcp:127.0.0.1:${web}`, HEARTH_SYNC_SOCKET: `tcp:127.0.0.1:${sync}`, HEARTH_LOGIN_SOCKET: `tcp:127.0.0.1:${login}`, HEARTH_RUN_DIR: dir,
			HEARTH_METRICS_LISTEN: metrics, HEARTH_SQL_DIR: path.join(top, "sql"), HEARTH_WEB_WORKERS: "2", HEARTH_SYNC_WORKERS: "1", HEARTH_RATE_LIMITS: "off", ...settings,
		},
	});
	const c = { dir, web, sync, login, metrics, child, exited: new Promise((done) => child.once("exit", (code, signal) => done(signal ?? code))) };
	await waitFor(async () => (await fastcgi.request(web, "GET", "/_hearth/health")).status === 200, { timeout: 30000, what: "the second container" });
	return c;
}

module.exports = { container };
