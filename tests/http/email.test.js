// E-mail: validating an address, registering with it, logging in by it, adding and removing, a new password; what attackers try.
"use strict";
const { test, before, after, describe } = require("node:test");
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { start, shared } = require("./lib/server.js");
const { request, register, Client, unique, waitFor } = require("./lib/client.js");
const { MailCatcher, linkOf } = require("./lib/mail.js");

const V3 = "/_matrix/client/v3", EMAIL = "m.login.email.identity";
const REGISTER = `${V3}/register/email/requestToken`, ADD = `${V3}/account/3pid/email/requestToken`, RESET = `${V3}/account/password/email/requestToken`;
let server, mails, anyone;
before(async () => {
	mails = await new MailCatcher().listen();
	server = await start({
		HEARTH_SMTP_URL: mails.url, HEARTH_SMTP_TLS: "off", HEARTH_SMTP_FROM: "Hearth of Täst <noreply@example.org>",
		HEARTH_EMAIL_NEXT_HOSTS: "app.example.org, other.example",
	});
	anyone = new Client(server);
});
after(async () => { await server.stop(); await mails.close(); });

const address = () => `${unique("m")}@example.org`;
const secret = () => crypto.randomBytes(12).toString("hex");
const post = (path, body, more = {}) => request(server, "POST", path, { body, ...more });
const form = (path, fields = {}) => request(server, "POST", path, {
	body: new URLSearchParams(fields).toString(), headers: { "Content-Type": "application/x-www-form-urlencoded" },
});
// Asks for a mail and, unless told otherwise, presses the button that its link leads to.
async function validate(path, email, { click = true, ...more } = {}) {
	const client_secret = secret(), before = mails.count(email.toLowerCase());
	const { sid } = await anyone.ok("POST", path, { client_secret, email, send_attempt: 1, ...more });
	const mail = await mails.to(email.toLowerCase(), before);
	if (click) {
		const r = await form(linkOf(mail));
		assert.ok(r.status === 200 || r.status === 303, `${r.status} ${r.text}`);
	}
	return { sid, client_secret, mail };
}
const password = (user) => ({ type: "m.login.password", identifier: { type: "m.id.user", user: user.name }, password: user.password });
async function withEmail(email = address()) {
	const user = await register(server), { sid, client_secret } = await validate(ADD, email);
	await user.ok("POST", `${V3}/account/3pid/add`, { sid, client_secret, auth: password(user) });
	return Object.assign(user, { email });
}
const byEmail = (email, pw) => post(`${V3}/login`, { type: "m.login.password", identifier: { type: "m.id.thirdparty", medium: "email", address: email }, password: pw });
const safePage = (r) => {
	assert.match(r.headers["content-type"], /^text\/html; charset=utf-8$/);
	assert.match(r.headers["content-security-policy"], /default-src 'none'.*frame-ancestors 'none'/);
	assert.equal(r.headers["x-frame-options"], "DENY");
	assert.equal(r.headers["referrer-policy"], "no-referrer");
	assert.equal(r.headers["cache-control"], "no-store");
	assert.equal(r.headers["x-content-type-options"], "nosniff");
	assert.doesNotMatch(r.text, /<script(?! src="\/_matrix\/static\/)|\son\w+=|<style|\sstyle=/);
};

describe("the mail", () => {
	test("its headers, its link; the page changes nothing before its button is pressed", async () => {
		const email = address(), { sid, client_secret, mail } = await validate(REGISTER, email, { click: false });
		assert.equal(mail.from, "noreply@example.org");
		assert.deepEqual(mail.to, [email]);
		assert.match(mail.headers.from, /^Hearth of Täst\s+<noreply@example.org>$/);
		assert.equal(mail.headers.to, email);
		assert.match(mail.headers.subject, /Confirm your e-mail address \(localhost\)/);
		assert.match(mail.headers["message-id"], /^<[0-9a-f]{32}@example.org>$/);
		assert.ok(Math.abs(new Date(mail.headers.date) - Date.now()) < 600000, mail.headers.date);
		assert.equal(mail.headers["mime-version"], "1.0");
		assert.ok(mail.raw.split("\r\n").every((l) => l.length <= 78 && /^[\x20-\x7e]*$/.test(l)));
		const page = await request(server, "GET", linkOf(mail));
		assert.equal(page.status, 200);
		safePage(page);
		assert.match(page.text, new RegExp(email));
		const creds = { sid, client_secret };
		const early = await post(`${V3}/register`, { username: unique(), auth: { type: EMAIL, threepid_creds: creds } });
		assert.equal(`${early.status} ${early.body.errcode}`, "401 M_THREEPID_AUTH_FAILED");
		assert.ok(early.body.session && early.body.flows);
		const done = await form(linkOf(mail));
		assert.equal(done.status, 200);
		safePage(done);
		assert.match((await request(server, "GET", linkOf(mail))).text, /confirmed/);
		const made = await post(`${V3}/register`, { username: unique(), auth: { type: EMAIL, threepid_creds: creds } });
		assert.equal(made.status, 200, made.text);
	});

	test("no token or address in the log, and no job is left", async () => {
		const { mail } = await validate(REGISTER, address());
		const token = new URL(`https://x${linkOf(mail)}`).searchParams.get("token");
		await waitFor(() => server.sql("SELECT count(*) FROM hearth.job WHERE kind = 'mail'") === "0", { what: "the end of the jobs" });
		assert.ok(!server.log.includes(token));
		assert.ok(!server.log.includes(mail.to[0]));
	});

	test("the same send_attempt sends nothing again, a larger one does, with the same session", async () => {
		const email = address(), client_secret = secret();
		const ask = (send_attempt, more = {}) => anyone.ok("POST", REGISTER, { client_secret, email, send_attempt, ...more });
		const { sid, submit_url } = await ask(1);
		assert.equal(new URL(submit_url).pathname, "/_matrix/client/unstable/hearth/email/submit_token");
		await mails.to(email);
		const again = await Promise.all([1, 1, 1, 0].map((n) => ask(n)));
		assert.ok(again.every((r) => r.sid === sid));
		assert.equal((await ask(2, { email: email.toUpperCase() })).sid, sid, "case does not matter");
		await mails.to(email, 1);
		assert.equal(mails.count(email), 2);
		const [one, two] = mails.mails.filter((m) => m.to[0] === email);
		assert.equal(linkOf(one), linkOf(two), "both links are good");
		assert.notEqual(one.headers["message-id"], two.headers["message-id"]);
		assert.notEqual((await anyone.ok("POST", REGISTER, { client_secret: secret(), email, send_attempt: 1 })).sid, sid);
	});

	test("at once on many connections: one mail", async () => {
		const email = address(), client_secret = secret();
		const all = await Promise.all(Array.from({ length: 12 }, () => anyone.ok("POST", REGISTER, { client_secret, email, send_attempt: 1 })));
		assert.equal(new Set(all.map((r) => r.sid)).size, 1);
		await mails.to(email);
		await validate(REGISTER, address());	// a later one has arrived: nothing is on its way
		assert.equal(mails.count(email), 1);
	});

	test("what is refused: addresses, secrets, attempts, links", async () => {
		const good = { client_secret: secret(), email: address(), send_attempt: 1 };
		for (const email of ["", "x", "a@", "@b", "a b@example.org", "a@b@example.org", "<a@example.org>", "a@example.org\r\nBcc: b@example.org", "a@example.org,b@example.org",
			"\"a\"@example.org", "a@[127.0.0.1]", "a@-x.org", "a@example..org", ".a@example.org", "a\u0000@example.org", `${"a".repeat(65)}@example.org`, `a@${"b".repeat(250)}.org`, "a\u200b@example.org"]) {
			const r = await post(REGISTER, { ...good, email });
			assert.equal(r.status, 400, JSON.stringify(email));
			assert.match(r.body.errcode, /^M_(INVALID_PARAM|BAD_JSON)$/);
		}
		for (const client_secret of ["", "a b", "ä", "a".repeat(256)]) await anyone.fails(400, "M_INVALID_PARAM", "POST", REGISTER, { ...good, client_secret });
		for (const next_link of ["javascript:alert(1)", "//evil.example", "https://", "https://a b", "https://app.example.org@evil.example/", "https://x/\r\nSet-Cookie: a=b", "data:text/html,x", `https://x/${"y".repeat(3000)}`])
			await anyone.fails(400, "M_INVALID_PARAM", "POST", REGISTER, { ...good, next_link });
		await anyone.fails(400, "M_INVALID_PARAM", "POST", REGISTER, { ...good, send_attempt: -1 });
		await anyone.fails(400, "M_BAD_JSON", "POST", REGISTER, { ...good, send_attempt: "1" });
		for (const key of Object.keys(good)) await anyone.fails(400, "M_MISSING_PARAM", "POST", REGISTER, { ...good, [key]: undefined });
		assert.equal(mails.count(good.email), 0);
	});

	test("an address beyond ASCII, in any case", async () => {
		const name = unique("strauß");
		const { mail } = await validate(REGISTER, `${name}@example.org`.replace("ß", "ss"));
		const client_secret = secret();
		await anyone.ok("POST", REGISTER, { client_secret, email: `${name.replace("s", "S")}@EXAMPLE.org`, send_attempt: 1 });
		const second = await mails.to(mail.to[0], 1);
		assert.equal(second.headers.to, mail.to[0], "mail goes to the folded address alone");
		const umlaut = `${unique("jürgen")}@example.org`;
		await anyone.ok("POST", REGISTER, { client_secret, email: umlaut, send_attempt: 1 });
		assert.equal((await mails.to(umlaut)).to.length, 1);
	});

	test("next_link: at once to a host of the settings, by a link to any other", async () => {
		const known = await validate(REGISTER, address(), { click: false, next_link: "https://app.example.org/go?x=1&y=2" });
		const page = await request(server, "GET", linkOf(known.mail));
		assert.match(page.headers["content-security-policy"], /form-action 'self' https:\/\/app\.example\.org;/);
		const r = await form(linkOf(known.mail));
		assert.equal(`${r.status} ${r.headers.location}`, "303 https://app.example.org/go?x=1&y=2");
		const other = await validate(REGISTER, address(), { click: false, next_link: "https://elsewhere.example/<x".replace("<x", "'x") });
		const shown = await form(linkOf(other.mail));
		assert.equal(shown.status, 200);
		assert.equal(shown.headers.location, undefined);
		assert.match(shown.text, /href="https:\/\/elsewhere\.example\/&#39;x">Go on to elsewhere\.example</);
		safePage(shown);
	});

	test("a wrong or old token, and nothing of it comes back in the page", async () => {
		const { sid, client_secret, mail } = await validate(REGISTER, address(), { click: false });
		const path = linkOf(mail).split("?")[0], token = new URL(`https://x${linkOf(mail)}`).searchParams.get("token");
		for (const q of [`sid=${sid}&token=nope`, `sid=nope&token=${token}`, "", `sid=${sid}`, `sid=%3Cscript%3E&token="'%3E<svg/onload=alert(1)>`]) {
			for (const r of [await request(server, "GET", `${path}?${q}`), await form(`${path}?${q}`)]) {
				assert.equal(r.status, 400);
				safePage(r);
				assert.doesNotMatch(r.text, /svg|nope/);
			}
		}
		const submit = "/_matrix/client/unstable/hearth/email/submit_token";
		await anyone.fails(400, "M_TOKEN_INCORRECT", "POST", submit, { sid, client_secret: secret(), token });
		await anyone.fails(400, "M_TOKEN_INCORRECT", "POST", submit, { sid, client_secret, token: "x" });
		await anyone.fails(400, "M_INVALID_PARAM", "POST", submit, { sid, client_secret: "ä", token });
		await anyone.fails(400, "M_MISSING_PARAM", "POST", submit, { sid, token });
		assert.deepEqual(await anyone.ok("POST", submit, { sid, client_secret, token }), { success: true });
		server.sql(`UPDATE hearth.email_session SET expires_ts = 1 WHERE sid = '${sid}'`);
		await anyone.fails(400, "M_SESSION_EXPIRED", "POST", submit, { sid, client_secret, token });
		assert.match((await form(linkOf(mail))).text, /too old/);
		const late = await post(`${V3}/register`, { username: unique(), auth: { type: EMAIL, threepid_creds: { sid, client_secret } } });
		assert.equal(`${late.status} ${late.body.errcode}`, "401 M_THREEPID_AUTH_FAILED");
	});
});

describe("registration with an e-mail address", () => {
	test("a flow of its own beside the dummy; the address belongs to the account; the validation is used up", async () => {
		const email = address(), name = unique();
		const asked = await post(`${V3}/register`, { username: name, password: "pass" });
		assert.deepEqual(asked.body.flows, [{ stages: ["m.login.dummy"] }, { stages: [EMAIL] }]);
		const { sid, client_secret } = await validate(REGISTER, email.toUpperCase());
		const auth = { type: EMAIL, session: asked.body.session, threepid_creds: { sid, client_secret } };
		const made = await post(`${V3}/register`, { username: name, password: "pass", auth });
		assert.equal(made.status, 200, made.text);
		const me = new Client(server, { token: made.body.access_token });
		const { threepids } = await me.ok("GET", `${V3}/account/3pid`);
		assert.deepEqual(threepids.map((t) => [t.medium, t.address]), [["email", email]]);
		assert.ok(threepids[0].validated_at > 0 && threepids[0].added_at >= threepids[0].validated_at);
		const again = await post(`${V3}/register`, { username: unique(), password: "pass", auth: { type: EMAIL, threepid_creds: { sid, client_secret } } });
		assert.equal(`${again.status} ${again.body.errcode}`, "401 M_THREEPID_AUTH_FAILED");
		assert.equal((await byEmail(email, "pass")).body.user_id, made.body.user_id);
	});

	test("the mail's link is opened while the client waits: then the session alone is enough", async () => {
		const email = address(), username = unique(), { sid, client_secret, mail } = await validate(REGISTER, email, { click: false });
		const first = await post(`${V3}/register`, { username, auth: { type: EMAIL, threepid_creds: { sid, client_secret } } });
		assert.equal(`${first.status} ${first.body.errcode}`, "401 M_THREEPID_AUTH_FAILED");
		const only = { username, auth: { session: first.body.session } };
		assert.equal((await post(`${V3}/register`, only)).status, 401);
		await form(linkOf(mail));
		const made = await post(`${V3}/register`, only);
		assert.equal(made.status, 200, made.text);
		assert.equal(server.sql(`SELECT t.address FROM hearth.threepid t JOIN hearth.account USING (usr) WHERE localpart = '${username}'`), email);
	});

	test("somebody else's secret, another purpose", async () => {
		const one = await validate(REGISTER, address()), two = await validate(ADD, address());
		for (const creds of [{ sid: one.sid, client_secret: two.client_secret }, { sid: two.sid, client_secret: two.client_secret }, { sid: "x", client_secret: "y" }]) {
			const r = await post(`${V3}/register`, { username: unique(), auth: { type: EMAIL, threepid_creds: creds } });
			assert.equal(`${r.status} ${r.body.errcode}`, "401 M_THREEPID_AUTH_FAILED");
		}
		await anyone.fails(400, "M_MISSING_PARAM", "POST", `${V3}/register`, { username: unique(), auth: { type: EMAIL } });
		await anyone.fails(400, "M_MISSING_PARAM", "POST", `${V3}/register`, { username: unique(), auth: { type: EMAIL, threepid_creds: "x" } });
	});

	test("two accounts of one address: the first gets it", async () => {
		const email = address(), a = await validate(REGISTER, email), b = await validate(REGISTER, email);
		const all = await Promise.all([a, b].map(({ sid, client_secret }) =>
			post(`${V3}/register`, { username: unique(), auth: { type: EMAIL, threepid_creds: { sid, client_secret } } })));
		assert.deepEqual(all.map((r) => r.status === 200 ? "200" : `${r.status} ${r.body.errcode}`).sort(), ["200", "400 M_THREEPID_IN_USE"]);
	});
});

describe("addresses of an account", () => {
	test("add with the password, log in by it, remove", async () => {
		const email = address(), user = await register(server), { sid, client_secret, mail } = await validate(ADD, email, { click: false });
		const body = { sid, client_secret };
		await user.fails(403, "M_THREEPID_AUTH_FAILED", "POST", `${V3}/account/3pid/add`, body);
		await form(linkOf(mail));
		const asked = await user.request("POST", `${V3}/account/3pid/add`, { body });
		assert.deepEqual(asked.body.flows, [{ stages: ["m.login.password"] }]);
		const auth = { ...password(user), session: asked.body.session };
		assert.equal((await user.request("POST", `${V3}/account/3pid/add`, { body: { ...body, auth: { ...auth, password: "no" } } })).status, 401);
		await user.ok("POST", `${V3}/account/3pid/add`, { ...body, auth });
		await user.ok("POST", `${V3}/account/3pid/add`, { ...body, auth: password(user) });	// the answer was lost
		assert.equal((await byEmail(email, user.password)).body.user_id, user.userId);
		assert.equal((await byEmail(email.toUpperCase(), user.password)).status, 200);
		const old = await post(`${V3}/login`, { type: "m.login.password", medium: "email", address: email, password: user.password });
		assert.equal(old.body.user_id, user.userId);
		assert.equal((await byEmail(email, "wrong")).status, 403);
		assert.equal((await byEmail(address(), user.password)).status, 403);
		// also as the identifier in an authentication
		const { sid: sid2, client_secret: secret2 } = await validate(ADD, address());
		await user.ok("POST", `${V3}/account/3pid/add`, { sid: sid2, client_secret: secret2, auth: { type: "m.login.password", identifier: { type: "m.id.thirdparty", medium: "email", address: email }, password: user.password } });
		assert.equal((await user.ok("GET", `${V3}/account/3pid`)).threepids.length, 2);
		assert.deepEqual(await user.ok("POST", `${V3}/account/3pid/delete`, { medium: "email", address: email.toUpperCase() }), { id_server_unbind_result: "no-support" });
		assert.equal((await user.ok("GET", `${V3}/account/3pid`)).threepids.length, 1);
		assert.equal((await byEmail(email, user.password)).status, 403);
		await user.ok("POST", `${V3}/account/3pid/delete`, { medium: "email", address: email });
		await user.fails(400, "M_INVALID_PARAM", "POST", `${V3}/account/3pid/delete`, { medium: "pigeon", address: email });
		await user.fails(400, "M_MISSING_PARAM", "POST", `${V3}/account/3pid/delete`, { medium: "email" });
	});

	test("somebody else's address can neither be added nor removed", async () => {
		const alice = await withEmail(), bob = await register(server);
		await bob.ok("POST", `${V3}/account/3pid/delete`, { medium: "email", address: alice.email });
		assert.equal((await alice.ok("GET", `${V3}/account/3pid`)).threepids.length, 1);
		// Validated when it was free, taken meanwhile: of two at once, one.
		const email = address(), users = [alice, bob], sessions = [await validate(ADD, email), await validate(ADD, email)];
		const all = await Promise.all(users.map((u, i) => u.request("POST", `${V3}/account/3pid/add`, {
			body: { sid: sessions[i].sid, client_secret: sessions[i].client_secret, auth: password(u) } })));
		assert.deepEqual(all.map((r) => r.status === 200 ? "200" : `${r.status} ${r.body.errcode}`).sort(), ["200", "400 M_THREEPID_IN_USE"]);
		// A session that another has validated: without its secret it is of no use.
		const mine = await validate(ADD, address());
		await bob.fails(403, "M_THREEPID_AUTH_FAILED", "POST", `${V3}/account/3pid/add`, { sid: mine.sid, client_secret: secret(), auth: password(bob) });
	});

	test("the deprecated form adds an address that resets no password", async () => {
		const email = address(), user = await register(server), { sid, client_secret } = await validate(ADD, email);
		await user.fails(400, "M_MISSING_PARAM", "POST", `${V3}/account/3pid`, {});
		await user.ok("POST", `${V3}/account/3pid`, { three_pid_creds: { sid, client_secret, id_server: "x", id_access_token: "y" } });
		assert.equal((await byEmail(email, user.password)).status, 200);
		const told = await validate(RESET, email, { click: false });
		assert.doesNotMatch(told.mail.text, /token=/);
		// Proven once more with the password, it may.
		const more = await validate(ADD, email, { click: false });
		assert.doesNotMatch(more.mail.text, /token=/, "it is in use: by himself");
		await user.ok("POST", `${V3}/account/3pid/delete`, { medium: "email", address: email });
		const full = await validate(ADD, email);
		await user.ok("POST", `${V3}/account/3pid/add`, { sid: full.sid, client_secret: full.client_secret, auth: password(user) });
		assert.match((await validate(RESET, email, { click: false })).mail.text, /token=/);
	});

	test("identity servers, phone numbers", async () => {
		const user = await register(server);
		await user.fails(400, "M_SERVER_NOT_TRUSTED", "POST", `${V3}/account/3pid/bind`, { client_secret: "a", sid: "b", id_server: "id.example", id_access_token: "c" });
		await user.fails(400, "M_MISSING_PARAM", "POST", `${V3}/account/3pid/bind`, {});
		assert.deepEqual(await user.ok("POST", `${V3}/account/3pid/unbind`, { medium: "email", address: "a@b.example" }), { id_server_unbind_result: "no-support" });
		const number = { client_secret: "a", country: "GB", phone_number: "07700900001", send_attempt: 1 };
		await anyone.fails(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED", "POST", `${V3}/account/3pid/msisdn/requestToken`, number);
		await anyone.fails(403, "M_THREEPID_DENIED", "POST", `${V3}/register/msisdn/requestToken`, number);
		await anyone.fails(403, "M_THREEPID_DENIED", "POST", `${V3}/account/password/msisdn/requestToken`, number);
		await anyone.fails(401, "M_MISSING_TOKEN", "GET", `${V3}/account/3pid`);
		assert.equal((await user.ok("GET", `${V3}/capabilities`)).capabilities["m.3pid_changes"].enabled, true);
	});

	test("deactivation frees the address", async () => {
		const user = await withEmail();
		await user.ok("POST", `${V3}/account/deactivate`, { auth: password(user) });
		assert.equal((await byEmail(user.email, user.password)).status, 403);
		assert.equal((await withEmail(user.email)).email, user.email);
		const other = await withEmail();
		server.sql(`SELECT admin.deactivate('${other.userId}')`);
		assert.equal(server.sql(`SELECT count(*) FROM hearth.threepid WHERE address = '${other.email}'`), "0");
	});
});

describe("a new password", () => {
	const reset = (body) => post(`${V3}/account/password`, body);

	test("by e-mail: sessions end, the old password too, the validation is used up", async () => {
		const user = await withEmail();
		const asked = await reset({ new_password: "fresh" });
		assert.deepEqual(asked.body.flows, [{ stages: [EMAIL] }]);
		const { sid, client_secret, mail } = await validate(RESET, user.email, { click: false });
		const page = await request(server, "GET", linkOf(mail));
		assert.match(page.text, /Allow a new password/);
		const auth = { type: EMAIL, session: asked.body.session, threepid_creds: { sid, client_secret } };
		assert.equal((await reset({ new_password: "fresh", auth })).status, 401);
		await form(linkOf(mail));
		const done = await reset({ new_password: "fresh", auth });
		assert.equal(done.status, 200, done.text);
		await user.fails(401, "M_UNKNOWN_TOKEN", "GET", `${V3}/account/whoami`);
		assert.equal((await byEmail(user.email, user.password)).status, 403);
		assert.equal((await byEmail(user.email, "fresh")).status, 200);
		const twice = await reset({ new_password: "again", auth: { type: EMAIL, threepid_creds: { sid, client_secret } } });
		assert.equal(`${twice.status} ${twice.body.errcode}`, "401 M_THREEPID_AUTH_FAILED");
	});

	test("logout_devices false leaves the sessions", async () => {
		const user = await withEmail(), { sid, client_secret } = await validate(RESET, user.email);
		assert.equal((await reset({ new_password: "fresh", logout_devices: false, auth: { type: EMAIL, threepid_creds: { sid, client_secret } } })).status, 200);
		await user.ok("GET", `${V3}/account/whoami`);
	});

	test("nobody learns who has an account: same answers; the mail alone tells", async () => {
		const user = await withEmail(), free = address();
		for (const path of [REGISTER, ADD, RESET]) {
			const known = await post(path, { client_secret: secret(), email: user.email, send_attempt: 1 });
			const unknown = await post(path, { client_secret: secret(), email: free, send_attempt: 1 });
			assert.equal(`${known.status} ${Object.keys(known.body)}`, `${unknown.status} ${Object.keys(unknown.body)}`);
			assert.equal(known.status, 200);
		}
		await mails.to(user.email, 3);
		const texts = mails.mails.filter((m) => m.to[0] === user.email).slice(1);
		assert.equal(texts.filter((m) => /token=/.test(m.text)).length, 1, "the reset alone");
		assert.ok(texts.some((m) => m.text.includes(user.userId)));
		await mails.to(free, 2);
		assert.equal(mails.mails.filter((m) => m.to[0] === free && /token=/.test(m.text)).length, 2, "all but the reset");
	});

	test("a validation to register or to add resets nothing; a changed password is not the authorized one", async () => {
		const user = await withEmail(), free = address();
		for (const path of [REGISTER, ADD]) {
			const { sid, client_secret } = await validate(path, free);
			const r = await reset({ new_password: "x", auth: { type: EMAIL, threepid_creds: { sid, client_secret } } });
			assert.equal(`${r.status} ${r.body.errcode}`, "401 M_THREEPID_AUTH_FAILED");
		}
		const { sid, client_secret } = await validate(RESET, user.email);
		await user.ok("POST", `${V3}/account/3pid/delete`, { medium: "email", address: user.email });
		const gone = await reset({ new_password: "x", auth: { type: EMAIL, threepid_creds: { sid, client_secret } } });
		assert.equal(`${gone.status} ${gone.body.errcode}`, "400 M_THREEPID_NOT_FOUND");
		await user.ok("GET", `${V3}/account/whoami`);
	});
});

describe("without a mail server", () => {
	test("nothing is offered, and said so", async () => {
		const bare = await shared(), one = new Client(bare), user = await register(bare);
		const body = { client_secret: "a", email: "a@example.org", send_attempt: 1 };
		await one.fails(403, "M_THREEPID_DENIED", "POST", REGISTER, body);
		await one.fails(403, "M_THREEPID_DENIED", "POST", RESET, body);
		await one.fails(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED", "POST", ADD, body);
		await one.fails(401, "M_MISSING_TOKEN", "POST", `${V3}/account/password`, { new_password: "x" });
		assert.deepEqual(await user.ok("GET", `${V3}/account/3pid`), { threepids: [] });
		assert.equal((await user.ok("GET", `${V3}/capabilities`)).capabilities["m.3pid_changes"].enabled, false);
	});
});
