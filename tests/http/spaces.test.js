// Spaces: order, depth, pages, loops, and who sees which room.
"use strict";
const { test, before, describe } = require("node:test");
const assert = require("node:assert/strict");
const { shared } = require("./lib/server.js");
const { register, enc } = require("./lib/client.js");

const V1 = "/_matrix/client/v1";
let server, alice, bob;
before(async () => {
	server = await shared();
	[alice, bob] = await Promise.all([register(server), register(server)]);
});
const path = (room, query = "") => `${V1}/rooms/${enc(room)}/hierarchy${query}`;
const walk = (who, room, query) => who.ok("GET", path(room, query));
const ids = (answer) => answer.rooms.map((r) => r.room_id);
const space = (more = {}) => alice.createRoom({ preset: "public_chat", creation_content: { type: "m.space" }, ...more });
const room = (more = {}) => alice.createRoom({ preset: "public_chat", ...more });
const child = (parent, id, content = {}) => alice.setState(parent, "m.space.child", { via: [server.name], ...content }, id);

async function tree() {
	const [root, sub, a, b, c, d] = await Promise.all([space({ name: "root" }), space(), room(), room(), room(), room()]);
	await child(root, a, { order: "b", suggested: true });
	await child(root, sub, { order: "a" });
	await child(root, d);
	await child(root, "!elsewhere:x", { order: "c" });
	await child(sub, b, { suggested: true });
	await child(sub, c);
	return { root, sub, a, b, c, d };
}

describe("hierarchy", () => {
	test("depth first, in order; what is told of the rooms", async () => {
		const { root, sub, a, b, c, d } = await tree();
		const all = await walk(bob, root);
		assert.deepEqual(ids(all), [root, sub, b, c, a, d]);
		assert.equal(all.next_batch, undefined);
		assert.equal(all.rooms[0].name, "root");
		assert.equal(all.rooms[0].room_type, "m.space");
		assert.equal(all.rooms[0].room_version, "12");
		assert.deepEqual(all.rooms[0].children_state.map((e) => e.state_key), [sub, a, "!elsewhere:x", d]);
		const { origin_server_ts: ts, ...event } = all.rooms[0].children_state[1];
		assert.ok(ts > 0);
		assert.deepEqual(event, { type: "m.space.child", state_key: a, sender: alice.userId, content: { via: [server.name], order: "b", suggested: true } });
		assert.deepEqual(all.rooms[2].children_state, []);
	});

	test("equal orders: by time; bad ones: as none; no via: no child", async () => {
		const [root, a, b, c, d] = await Promise.all([space(), room(), room(), room(), room()]);
		await child(root, a, { order: "x".repeat(51) });
		await child(root, b, { order: "same" });
		await child(root, c, { order: "same" });
		await child(root, d, { via: undefined });
		await alice.setState(root, "m.space.child", { via: [] }, d);
		assert.deepEqual(ids(await walk(bob, root)), [root, b, c, a]);
		await alice.setState(root, "m.space.child", {}, b);
		assert.deepEqual(ids(await walk(bob, root)), [root, c, a]);
	});

	test("depth and suggestions", async () => {
		const { root, sub, a, b, c, d } = await tree();
		assert.deepEqual(ids(await walk(bob, root, "?max_depth=0")), [root]);
		assert.deepEqual(ids(await walk(bob, root, "?max_depth=1")), [root, sub, a, d]);
		assert.deepEqual(ids(await walk(bob, root, "?suggested_only=true")), [root, a]);
		assert.deepEqual(ids(await walk(bob, sub, "?suggested_only=true")), [sub, b]);
		assert.deepEqual(ids(await walk(bob, c)), [c], "no space, no children");
	});

	test("rooms that are not known here, many of them before, between and behind the others", async () => {
		const [a, b] = await Promise.all([room(), room()]);
		const there = (i) => [`!there${i}:x`, String(i).padStart(3, "0")];
		const children = [...Array.from({ length: 180 }, (_, i) => there(i)), [a, "060"], [b, "121"]];
		const root = await space({ initial_state: children.map(([id, order]) => (
			{ type: "m.space.child", state_key: id, content: { via: [server.name], order } })) });
		const first = await walk(bob, root, "?limit=2");
		assert.equal(first.rooms[0].children_state.length, 182);
		assert.deepEqual(ids(first), [root, a]);
		const second = await walk(bob, root, `?limit=2&from=${first.next_batch}`);
		assert.deepEqual(ids(second), [b]);
		assert.equal(second.next_batch, undefined);
	});

	for (const limit of [1, 2, 3, 5]) {
		test(`pages of ${limit}`, async () => {
			const { root, sub, a, b, c, d } = await tree();
			const seen = [];
			for (let from = ""; from !== undefined;) {
				const page = await walk(bob, root, `?limit=${limit}${from && `&from=${from}`}`);
				assert.ok(page.rooms.length <= limit);
				seen.push(...ids(page));
				from = page.next_batch;
			}
			assert.deepEqual(seen, [root, sub, b, c, a, d]);
		});
	}

	test("loops end, and no room comes twice", async () => {
		const [x, y, r] = await Promise.all([space(), space(), room()]);
		for (const [p, q] of [[x, y], [y, x], [x, r], [y, r], [x, x]]) await child(p, q);
		const all = ids(await walk(bob, x));
		assert.equal(all.length, 3);
		assert.deepEqual(new Set(all), new Set([x, y, r]));
	});

	// c is in sub, and again below sub2 and in the root itself: what an earlier page has shown comes on no later one.
	for (const query of ["", "&suggested_only=true"])
		test(`no room comes twice on different pages${query}`, async () => {
			const { root, sub, a, b, c, d } = await tree();
			const [sub2, e, hidden, f] = await Promise.all([space(), room(), space({ preset: "private_chat" }), room()]);
			const more = { suggested: true };
			for (const [p, q, order] of [[root, sub, "a"], [sub, c, "b"], [root, sub2, "d"], [sub2, b, "a"], [sub2, sub, "b"], [sub2, e, "c"], [sub2, c, "d"],
				[root, c, "e"], [root, hidden, "a0"], [hidden, f, "a"], [root, f, "f"]])
				await child(p, q, { order, ...more });
			const all = ids(await walk(bob, root, `?limit=50${query}`));
			assert.deepEqual(all, query ? [root, sub, c, b, a, sub2, e, f] : [root, sub, c, b, a, sub2, e, f, d]);
			for (const limit of [1, 2, 3, 4]) {
				const seen = [];
				for (let from = ""; from !== undefined;) {
					const page = await walk(bob, root, `?limit=${limit}${query}${from && `&from=${from}`}`);
					seen.push(...ids(page));
					from = page.next_batch;
				}
				assert.deepEqual(seen, all, `pages of ${limit}`);
			}
		});

	test("rooms that the reader may not know of are left out, and so is what is below them", async () => {
		const [root, secret, inside, invited, parent] = await Promise.all([space(), space({ preset: "private_chat" }), room(), room({ preset: "private_chat" }), room()]);
		const restricted = await alice.createRoom({ initial_state: [{ type: "m.room.join_rules",
			content: { join_rule: "restricted", allow: [{ type: "m.room_membership", room_id: parent }] } }] });
		await child(root, secret, { order: "1" });
		await child(secret, inside);
		await child(root, invited, { order: "2" });
		await child(root, restricted, { order: "3" });
		assert.deepEqual(ids(await walk(alice, root)), [root, secret, inside, invited, restricted]);
		assert.deepEqual(ids(await walk(bob, root)), [root]);
		await alice.invite(invited, bob.userId);
		await bob.join(parent);
		assert.deepEqual(ids(await walk(bob, root)), [root, invited, restricted]);
		await bob.fails(403, "M_FORBIDDEN", "GET", path(secret));
		await bob.fails(403, "M_FORBIDDEN", "GET", path("!none:x"));
	});

	test("tokens of other walks", async () => {
		const { root, sub } = await tree();
		const { next_batch: from } = await walk(bob, root, "?limit=2");
		await bob.fails(400, "M_INVALID_PARAM", "GET", path(root, `?from=${from}&max_depth=1`));
		await bob.fails(400, "M_INVALID_PARAM", "GET", path(root, `?from=${from}&suggested_only=true`));
		await bob.fails(400, "M_INVALID_PARAM", "GET", path(sub, `?from=${from}`));
		for (const bad of ["x", "h", "h30", "h30.0", "h30.0.", "h30.0.x", `${from}.99999999999999999999`, `${from}${".1".repeat(40)}`])
			await bob.fails(400, "M_INVALID_PARAM", "GET", path(root, `?from=${bad}`));
		await bob.fails(400, "M_INVALID_PARAM", "GET", path(root, "?limit=0"));
		// What was shown is no longer for the reader.
		await alice.setState(sub, "m.room.join_rules", { join_rule: "invite" });
		await bob.fails(400, "M_INVALID_PARAM", "GET", path(root, `?from=${from}`));
	});
});
