// A PostgreSQL of the test's own (tests/pg-temp), which can be stopped, crashed and started again. For start({ HEARTH_DATABASE_URL: pg.url }).
"use strict";
const assert = require("node:assert/strict");
const { spawn, spawnSync } = require("node:child_process");
const path = require("node:path");
const { top } = require("./server.js");
const { waitFor } = require("./client.js");

// durable: what it has committed survives a crash, as in real life (without, tests are quicker).
async function startPostgres({ durable = false } = {}) {
	const run = spawn(path.join(top, "tests/pg-temp"), ["sh", "-c", "env; echo READY; exec sleep 100000"], {
		stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, TEST_PG_DURABLE: durable ? "1" : "" },
	});
	let text = "";
	run.stdout.setEncoding("utf8").on("data", (d) => { text += d; });
	await waitFor(() => text.includes("READY\n"), { timeout: 60000, what: "PostgreSQL" });
	const env = Object.fromEntries(text.split("\n").filter((l) => l.startsWith("HEARTH_")).map((l) => [l.slice(0, l.indexOf("=")), l.slice(l.indexOf("=") + 1)]));
	function ctl(...args) {
		const command = [`${env.HEARTH_TEST_PGBIN}/pg_ctl`, "-D", env.HEARTH_TEST_PGDATA, "-s", "-w", ...args];
		const r = process.getuid() === 0 ? spawnSync("setpriv", ["--reuid=postgres", "--regid=postgres", "--init-groups", "--", ...command], { cwd: "/", stdio: "ignore" })
			: spawnSync(command[0], command.slice(1), { stdio: "ignore" });
		assert.equal(r.status, 0, `pg_ctl ${args.join(" ")}`);
	}
	return {
		url: env.HEARTH_DATABASE_URL,
		stop: (mode = "fast") => ctl("-m", mode, "stop"),	// "immediate": as a crash; what was not committed is lost
		start: () => ctl("-o", "-c logging_collector=off", "start"),
		end: () => {
			const ended = new Promise((done) => run.once("exit", done));
			run.kill("SIGTERM");
			return ended;
		},
	};
}

module.exports = { startPostgres };
