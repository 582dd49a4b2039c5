// Registration by token: the stage, uses and expiry, the validity endpoint.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const { start, shared } = require("./lib/server.js");
const { request, Client, unique } = require("./lib/client.js");

const V3 = "/_matrix/client/v3";
const STAGE = "m.login.registration_token";
let server, anyone;
before(async () => {
	server = await start({ HEARTH_REGISTRATION: "token" });
	anyone = new Client(server);
});
after(() => server.stop());

const post = (body) => request(server, "POST", `${V3}/register`, { body });
const valid = async (token) => (await anyone.ok("GET", `/_matrix/client/v1/register/${STAGE}/validity?token=${token}`)).valid;

describe("registration by token", () => {
	test("the flow; a use counts when an account is made; used up", async () => {
		const token = server.sql("SELECT admin.create_registration_token(uses => 1)");
		const username = unique();
		const asked = await post({ username, password: "x" });
		assert.equal(asked.status, 401);
		assert.deepEqual(asked.body.flows, [{ stages: [STAGE] }]);
		const session = asked.body.session;
		for (const auth of [{ type: "m.login.dummy", session }, { type: STAGE, token: "nonsense", session }]) {
			const r = await post({ username, password: "x", auth });
			assert.equal(`${r.status} ${r.body.errcode}`, "401 M_FORBIDDEN");
		}
		await anyone.fails(400, "M_MISSING_PARAM", "POST", `${V3}/register`, { username, password: "x", auth: { type: STAGE, session } });
		assert.equal(await valid(token), true);
		const made = await post({ username, password: "x", auth: { type: STAGE, token, session } });
		assert.equal(made.status, 200, made.text);
		assert.equal(await valid(token), false);
		assert.equal(server.sql(`SELECT used FROM admin.registration_tokens WHERE token = '${token}'`), "1");
		const again = await post({ username, password: "x", auth: { type: STAGE, token, session } });
		assert.equal(again.body.user_id, made.body.user_id, "the lost answer, not a second use");
		const late = await post({ username: unique(), auth: { type: STAGE, token } });
		assert.equal(`${late.status} ${late.body.errcode}`, "401 M_FORBIDDEN");
	});

	test("of many at once, as many as allowed get in", async () => {
		const token = server.sql("SELECT admin.create_registration_token('Many.uses_~-', uses => 3)");
		const all = await Promise.all([...Array(10)].map(() => post({ username: unique(), auth: { type: STAGE, token } })));
		assert.equal(all.filter((r) => r.status === 200).length, 3);
		assert.ok(all.every((r) => r.status === 200 || r.body.errcode === "M_FORBIDDEN"));
		assert.equal(server.sql(`SELECT used FROM admin.registration_tokens WHERE token = '${token}'`), "3");
	});

	test("expired, deleted, unknown; what psql refuses", async () => {
		const token = server.sql("SELECT admin.create_registration_token(valid_for => '1 hour')");
		assert.equal(await valid(token), true);
		server.sql(`UPDATE hearth.registration_token SET expires_ts = 1 WHERE token = '${token}'`);
		assert.equal(await valid(token), false);
		assert.equal((await post({ username: unique(), auth: { type: STAGE, token } })).status, 401);
		const other = server.sql("SELECT admin.create_registration_token()");
		assert.equal(server.sql(`SELECT admin.delete_registration_token('${other}')`), "t");
		assert.equal(await valid(other), false);
		await anyone.fails(400, "M_MISSING_PARAM", "GET", `/_matrix/client/v1/register/${STAGE}/validity`);
		assert.throws(() => server.sql("SELECT admin.create_registration_token('a b')"), /check/);
		assert.equal((await anyone.ok("GET", `${V3}/register/available?username=${unique()}`)).available, true);
	});

	test("where registration is open the stage opens nothing", async () => {
		const open = await shared();
		const r = await request(open, "POST", `${V3}/register`, { body: { username: unique(), auth: { type: STAGE, token: "x" } } });
		assert.equal(`${r.status} ${r.body.errcode}`, "401 M_FORBIDDEN");
	});
});
