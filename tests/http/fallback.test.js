// Several stages of authentication: terms, a registration token, an e-mail address; the pages on which they are completed in a browser.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const { start, shared } = require("./lib/server.js");
const { request, register, login, Client, unique } = require("./lib/client.js");
const { MailCatcher, linkOf } = require("./lib/mail.js");

const V3 = "/_matrix/client/v3", TERMS = "m.login.terms", TOKEN = "m.login.registration_token", EMAIL = "m.login.email.identity", DUMMY = "m.login.dummy";
const policies = {
	tos: { version: "1.2", en: { name: "Terms <script>alert(1)</script> & \"more\"", url: "https://example.org/tos?a=1&b=2" }, fr: { name: "Conditions", url: "https://example.org/fr" } },
	privacy: { version: "3", de: { name: "Datenschutz", url: "https://example.org/de" } },
};
let server, mails;
before(async () => {
	mails = await new MailCatcher().listen();
	server = await start({
		HEARTH_REGISTRATION: "token", HEARTH_TERMS: JSON.stringify(policies), HEARTH_SMTP_URL: mails.url, HEARTH_SMTP_TLS: "off", HEARTH_SMTP_FROM: "h@example.org",
	});
});
after(async () => { await server.stop(); await mails.close(); });

const post = (path, body, more = {}) => request(more.server || server, "POST", path, { body, ...more });
const pathOf = (type, session) => `${V3}/auth/${type}/fallback/web?session=${encodeURIComponent(session)}`;
const page = (type, session, on = server) => request(on, "GET", pathOf(type, session));
const submit = (type, session, fields = {}, on = server) => request(on, "POST", pathOf(type, session), {
	body: new URLSearchParams(fields).toString(), headers: { "Content-Type": "application/x-www-form-urlencoded" },
});
const makeToken = (args = "") => server.sql(`SELECT admin.create_registration_token(${args})`);
function safe(r) {
	assert.match(r.headers["content-type"], /^text\/html; charset=utf-8$/);
	assert.match(r.headers["content-security-policy"], /^default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/);
	assert.equal(r.headers["x-frame-options"], "DENY");
	assert.equal(r.headers["referrer-policy"], "no-referrer");
	assert.equal(r.headers["cache-control"], "no-store");
	assert.equal(r.headers["x-content-type-options"], "nosniff");
	assert.equal(r.headers["set-cookie"], undefined);
	assert.doesNotMatch(r.text, /<script(?! src="\/_matrix\/static\/client\/auth\/done\.js" defer><\/script>)|<style|\sstyle=|\son[a-z]+=/);
	for (const [, link] of r.text.matchAll(/(?:src|href|action)="([^"]*)"/g)) assert.match(link, /^(\/_matrix\/static\/|https:\/\/example\.org\/)/);
}
const done = (r) => { safe(r); assert.equal(r.status, 200, r.text); assert.match(r.text, /done\.js/); };

describe("flows of several stages", () => {
	test("offered as the settings say, with the policies; each in its order, by requests", async () => {
		const body = { username: unique(), password: "pass" }, asked = await post(`${V3}/register`, body);
		assert.deepEqual(asked.body.flows, [{ stages: [TOKEN, TERMS, DUMMY] }, { stages: [TOKEN, TERMS, EMAIL] }]);
		assert.deepEqual(asked.body.params, { [TERMS]: { policies } });
		const { session } = asked.body, token = makeToken("uses => 1"), step = (auth) => post(`${V3}/register`, { ...body, auth: { ...auth, session } });
		for (const type of [TERMS, DUMMY, EMAIL]) {
			const r = await step({ type });
			assert.equal(`${r.status} ${r.body.errcode} ${r.body.session}`, `401 M_FORBIDDEN ${session}`);
			assert.deepEqual(r.body.completed, []);
		}
		assert.deepEqual((await step({ type: TOKEN, token })).body.completed, [TOKEN]);
		// A completed stage is not checked again.
		const again = await step({ type: TOKEN, token: "nonsense" });
		assert.deepEqual([again.status, again.body.errcode, again.body.completed], [401, undefined, [TOKEN]]);
		assert.equal((await step({ type: DUMMY })).body.errcode, "M_FORBIDDEN");
		const terms = await step({ type: TERMS });
		assert.deepEqual([terms.body.completed, terms.body.params], [[TOKEN, TERMS], { [TERMS]: { policies } }]);
		const changed = await post(`${V3}/register`, { ...body, username: unique(), auth: { type: DUMMY, session } });
		assert.equal(`${changed.status} ${changed.body.errcode}`, "403 M_FORBIDDEN", "what was authenticated does not change");
		const made = await step({ type: DUMMY });
		assert.equal(made.status, 200, made.text);
		assert.equal(server.sql(`SELECT string_agg(policy || ' ' || version, ',' ORDER BY policy) FROM admin.terms_consents WHERE user_id = '${made.body.user_id}'`), "privacy 3,tos 1.2");
		assert.equal(server.sql(`SELECT used FROM admin.registration_tokens WHERE token = '${token}'`), "1");
		assert.equal((await post(`${V3}/register`, { ...body, auth: { session } })).body.user_id, made.body.user_id, "the lost answer");
	});

	test("terms count only once they were shown", async () => {
		const token = makeToken(), asked = await post(`${V3}/register`, { username: unique(), auth: { type: TOKEN, token } });
		assert.deepEqual(asked.body.completed, [TOKEN], "a first stage without a session begins one");
		const blind = await post(`${V3}/register`, { username: unique(), auth: { type: TERMS } });
		assert.equal(blind.body.errcode, "M_FORBIDDEN");
	});

	test("a token that is used up meanwhile makes no account, and a second request no second one", async () => {
		const token = makeToken("uses => 1"), sessions = await Promise.all([0, 1].map(async () => {
			const username = unique(), { body: { session } } = await post(`${V3}/register`, { username, auth: { type: TOKEN, token } });
			await post(`${V3}/register`, { username, auth: { type: TERMS, session } });
			return { username, session };
		}));
		const all = await Promise.all(sessions.map(({ username, session }) => post(`${V3}/register`, { username, auth: { type: DUMMY, session } })));
		assert.deepEqual(all.map((r) => r.status).sort(), [200, 403]);
		const won = sessions[all.findIndex((r) => r.status === 200)];
		const twice = await Promise.all([0, 1].map(() => post(`${V3}/register`, { username: won.username, auth: { type: DUMMY, session: won.session } })));
		assert.ok(twice.every((r) => r.status === 200 && r.body.user_id === `@${won.username}:localhost`));
	});

	test("two stages of different flows at once: the session goes on along one of them", async () => {
		const token = makeToken(), username = unique(), { body: { session } } = await post(`${V3}/register`, { username, auth: { type: TOKEN, token } });
		const all = await Promise.all(Array.from({ length: 8 }, () => post(`${V3}/register`, { username, auth: { type: TERMS, session } })));
		assert.ok(all.every((r) => r.status === 401 && r.body.completed.length === 2), JSON.stringify(all.map((r) => r.body)));
		assert.equal(server.sql(`SELECT array_to_string(completed, ' ') FROM hearth.uia_session WHERE id = '${session}'`), `${TOKEN} ${TERMS}`);
	});
});

describe("pages", () => {
	test("all stages in the browser; then the session alone makes the account", async () => {
		const username = unique(), email = `${unique("p")}@example.org`, token = makeToken(), body = { username, password: "pass" };
		const { body: { session } } = await post(`${V3}/register`, body);
		const early = await page(TERMS, session);
		safe(early);
		assert.equal(early.status, 400);
		assert.equal((await submit(TERMS, session, { accept: "yes" })).status, 400, "its turn has not come");
		const form = await page(TOKEN, session);
		safe(form);
		assert.match(form.text, /<form method="post">/);
		const wrong = await submit(TOKEN, session, { token: "\"><svg onload=alert(1)>" });
		safe(wrong);
		assert.match(wrong.text, /role="alert"/);
		assert.doesNotMatch(wrong.text, /svg/);
		done(await submit(TOKEN, session, { token }));
		done(await page(TOKEN, session));
		const only = { ...body, auth: { session } };
		assert.deepEqual((await post(`${V3}/register`, only)).body.completed, [TOKEN]);

		const terms = await page(TERMS, session);
		safe(terms);
		assert.match(terms.text, /Terms &lt;script&gt;alert\(1\)&lt;\/script&gt; &amp; &quot;more&quot;<\/a>/);
		assert.match(terms.text, /href="https:\/\/example\.org\/tos\?a=1&amp;b=2"/);
		assert.match(terms.text, />Datenschutz</);
		assert.match((await submit(TERMS, session)).text, /role="alert"/);
		done(await submit(TERMS, session, { accept: "yes" }));

		safe(await page(EMAIL, session));
		safe(await page(DUMMY, session));
		assert.match((await submit(EMAIL, session)).text, /enter your e-mail address/);
		assert.match((await submit(EMAIL, session, { email: "nonsense <b>" })).text, /no e-mail address/);
		const sent = await submit(EMAIL, session, { email });
		assert.equal(sent.status, 200);
		assert.match(sent.text, /on its way/);
		assert.match((await submit(EMAIL, session)).text, /not validated yet/);
		assert.equal((await post(`${V3}/register`, only)).status, 401);
		const mail = await mails.to(email);
		assert.equal((await request(server, "POST", linkOf(mail), { body: "", headers: { "Content-Type": "application/x-www-form-urlencoded" } })).status, 200);
		done(await submit(EMAIL, session));
		const made = await post(`${V3}/register`, only);
		assert.equal(made.status, 200, made.text);
		assert.equal(server.sql(`SELECT address FROM admin.emails WHERE user_id = '${made.body.user_id}'`), email);
		assert.equal(server.sql(`SELECT count(*) FROM admin.terms_consents WHERE user_id = '${made.body.user_id}'`), "2");
		assert.equal((await page(EMAIL, session)).status, 404, "the session has ended");
	});

	test("until a request carries them out, the parameters may still be given; then they stay", async () => {
		const { body: { session } } = await post(`${V3}/register`, {}), token = makeToken();
		done(await submit(TOKEN, session, { token }));
		done(await submit(TERMS, session, { accept: "yes" }));
		const username = unique(), made = await post(`${V3}/register`, { username, password: "pass", auth: { type: DUMMY, session } });
		assert.equal(made.body.user_id, `@${username}:localhost`);
		assert.equal((await post(`${V3}/register`, { username: unique(), auth: { session } })).status, 401);
	});

	test("unknown sessions and types; methods; nothing of the session comes back", async () => {
		const { body: { session } } = await post(`${V3}/register`, {});
		for (const r of [await page(TOKEN, "nope"), await submit(TOKEN, "nope"), await page(TOKEN, "<script>")]) {
			safe(r);
			assert.equal(r.status, 404);
			assert.doesNotMatch(r.text, /nope/);
		}
		assert.equal((await page("m.login.nonsense", session)).status, 404);
		const none = await request(server, "GET", `${V3}/auth/${TOKEN}/fallback/web`);
		assert.equal(`${none.status} ${none.body.errcode}`, "400 M_MISSING_PARAM");
		assert.equal((await page("m.login.password", session)).status, 400, "no stage of this session");
		assert.equal((await request(server, "PUT", pathOf(TOKEN, session), { body: {} })).status, 405);
		for (const body of ["token", "=", "&&&", "token=%", "token=%ff", "token=%00", "%=x", "{\"token\":1}", "x".repeat(5000)]) {
			const r = await request(server, "POST", pathOf(TOKEN, session), { body, headers: { "Content-Type": "application/x-www-form-urlencoded" } });
			safe(r);
			assert.equal(r.status, 400);
		}
		assert.equal((await request(server, "POST", pathOf(TOKEN, session), { body: "x".repeat(20000) })).status, 413);
		server.sql(`UPDATE hearth.uia_session SET created_ts = 1 WHERE id = '${session}'`);
		assert.equal((await page(TOKEN, session)).status, 404);
	});

	test("the scripts are where the pages look for them", async () => {
		const script = await request(server, "GET", "/_matrix/static/client/auth/done.js");
		assert.equal(script.status, 200);
		assert.match(script.headers["content-type"], /javascript/);
		assert.match(script.text, /postMessage\("authDone", "\*"\)/);
		assert.equal((await request(server, "GET", "/_matrix/static/client/login/")).status, 200);
	});
});

describe("the password on a page", () => {
	let open;
	before(async () => { open = await shared(); });

	test("says for what; the account's own password alone; what was authorized stays as it was asked", async () => {
		const alice = await register(open), bob = await register(open, { password: "another" });
		await login(open, alice.name, alice.password, { device_id: "OTHER" });
		await login(open, alice.name, alice.password, { device_id: "THIRD" });
		const path = `${V3}/delete_devices`, body = { devices: ["OTHER"] }, { body: { session } } = await alice.request("POST", path, { body });
		const form = await page("m.login.password", session, open);
		safe(form);
		assert.ok(form.text.includes("log devices out") && form.text.includes(alice.userId));
		for (const password of ["wrong", bob.password, ""]) assert.match((await submit("m.login.password", session, { password }, open)).text, /role="alert"/);
		assert.match((await submit("m.login.password", session, { password: bob.password, user: bob.name }, open)).text, /role="alert"/, "whose it is is not the form's to say");
		done(await submit("m.login.password", session, { password: alice.password }, open));
		await alice.fails(403, "M_FORBIDDEN", "POST", path, { devices: ["THIRD"], auth: { session } });
		assert.equal((await bob.request("POST", path, { body: { ...body, auth: { session } } })).status, 401, "another's session");
		await alice.fails(403, "M_FORBIDDEN", "POST", `${V3}/account/deactivate`, { auth: { session } });
		await alice.ok("POST", path, { ...body, auth: { session } });
		assert.deepEqual((await alice.ok("GET", `${V3}/devices`)).devices.map((d) => d.device_id).sort(), [alice.deviceId, "THIRD"].sort());
	});
});
