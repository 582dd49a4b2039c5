// What a device makes of its syncs, in the way that the specification tells clients to, and whether a fresh device would know the same.
"use strict";
const assert = require("node:assert/strict");

// A random sequence that a seed makes again (mulberry32). dice(n): 0 .. n - 1.
function random(seed) {
	let s = seed >>> 0;
	const next = () => {
		s = (s + 0x6d2b79f5) >>> 0;
		let t = s;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return (t ^ (t >>> 14)) >>> 0;
	};
	const dice = (n) => next() % n;
	return { dice, pick: (list) => list[dice(list.length)] };
}

const events = (section) => section?.events ?? [];
const keyOf = (e) => `${e.type}|${e.state_key}`;

class Device {
	// client: of tests/http/lib/client.js, logged in. variant: {name, filter, query, state} - query: further parameters of /sync; state: the
	// name under which it reads the state ("state", or one of state_after); lazy: does it load members lazily?
	constructor(client, variant) {
		Object.assign(this, { client, variant, since: undefined, rooms: new Map(), invites: new Map(), data: new Map() });
		this.told = new Set();		// every event ever told in a timeline
		this.redacted = new Set();
		this.inbox = [];
		this.owed = new Set();		// users whose keys changed and who have not been named since
		this.mention = new Map();	// the last word about a user in device_lists
	}

	get name() { return `${this.client.userId} (${this.variant.name})`; }

	url(filter = this.variant.filter, timeout = 0, since = this.since) {
		const q = new URLSearchParams({ timeout: String(timeout), ...this.variant.query });
		if (since) q.set("since", since);
		if (filter) q.set("filter", JSON.stringify(filter));
		return `/_matrix/client/v3/sync?${q}`;
	}

	// An answer that came. False: nothing in it.
	apply(answer) {
		for (const e of events(answer.account_data)) this.data.set(e.type, e.content);
		for (const e of events(answer.to_device)) {
			assert.ok(!this.inbox.includes(e.content.n), `${this.name}: message ${e.content.n} comes twice`);
			this.inbox.push(e.content.n);
		}
		for (const u of answer.device_lists?.changed ?? []) { this.owed.delete(u); this.mention.set(u, "changed"); }
		for (const u of answer.device_lists?.left ?? []) this.mention.set(u, "left");
		assert.ok(answer.device_one_time_keys_count && answer.device_unused_fallback_key_types, `${this.name}: key counts`);
		const rooms = answer.rooms ?? {};
		for (const [id, room] of Object.entries(rooms.join ?? {})) this.join(id, room);
		for (const [id, room] of Object.entries(rooms.invite ?? {})) { this.rooms.delete(id); this.invites.set(id, room.invite_state); }
		for (const [id, room] of Object.entries(rooms.leave ?? {})) {
			// The end of an invitation is one event of a room that is not known.
			if (this.rooms.has(id) || events(room.timeline).length > 1) for (const e of events(room.timeline)) this.event(id, e);
			this.rooms.delete(id);
			this.invites.delete(id);
		}
		this.since = answer.next_batch;
		return Object.keys(answer).some((k) => !["next_batch", "device_one_time_keys_count", "device_unused_fallback_key_types", "presence"].includes(k));
	}

	event(room, e) {
		assert.ok(!this.told.has(e.event_id), `${this.name} is told ${e.event_id} in ${room} twice`);
		this.told.add(e.event_id);
		if (e.unsigned?.redacted_because) this.redacted.add(e.event_id);
		if (e.type === "m.room.redaction" && e.redacts) this.redacted.add(e.redacts);
	}

	join(id, room) {
		const mine = this.rooms.get(id) ?? { state: new Map(), timeline: [], data: new Map(), receipts: new Map(), typing: [] };
		const end = this.variant.state !== "state", set = (e) => e.state_key !== undefined && mine.state.set(keyOf(e), e.event_id);
		this.rooms.set(id, mine);
		this.invites.delete(id);
		if (room.timeline?.limited) mine.timeline = [];
		for (const k of ["state", "state_after", "org.matrix.msc4222.state_after"]) assert.ok(k === this.variant.state || !room[k], `${this.name}: ${k}`);
		assert.ok(!end || room[this.variant.state], `${this.name}: no ${this.variant.state}`);
		for (const e of events(room[this.variant.state])) set(e);
		for (const e of events(room.timeline)) {
			this.event(id, e);
			mine.timeline.push(e.event_id);
			if (!end) set(e);
		}
		for (const e of events(room.account_data)) mine.data.set(e.type, e.content);
		for (const e of events(room.ephemeral)) {
			if (e.type === "m.typing") mine.typing = e.content.user_ids;
			else for (const [event, kinds] of Object.entries(e.content))
				for (const [kind, users] of Object.entries(kinds))
					for (const [user, r] of Object.entries(users)) mine.receipts.set(`${user} ${kind} ${r.thread_id ?? ""}`, event);
		}
	}

	// fresh: a device of the same user after its first sync, with the longest timeline there is.
	compare(fresh, sharing) {
		const at = (what) => `${this.name}: ${what}`;
		const sorted = (m) => [...m].sort(([a], [b]) => (a < b ? -1 : 1));
		assert.deepEqual([...this.rooms.keys()].sort(), [...fresh.rooms.keys()].sort(), at("rooms"));
		assert.deepEqual(sorted(this.invites), sorted(fresh.invites), at("invitations"));
		assert.deepEqual(sorted(this.data), sorted(fresh.data), at("account data"));
		for (const [id, its] of fresh.rooms) {
			const mine = this.rooms.get(id), n = Math.min(mine.timeline.length, its.timeline.length);
			// Who loads lazily need not know all members; whom he knows, he knows as they are.
			const known = ([k]) => !this.variant.lazy || !k.startsWith("m.room.member|") || (mine.state.has(k) && its.state.has(k));
			assert.deepEqual(sorted(mine.state).filter(known), sorted(its.state).filter(known), at(`state of ${id}`));
			assert.deepEqual(n ? mine.timeline.slice(-n) : [], n ? its.timeline.slice(-n) : [], at(`timeline of ${id}`));
			const gone = (d) => (n ? mine.timeline.slice(-n).filter((e) => d.redacted.has(e)) : []);
			assert.deepEqual(gone(this), gone(fresh), at(`redactions in ${id}`));
			for (const k of ["data", "receipts"]) assert.deepEqual(sorted(mine[k]), sorted(its[k]), at(`${k} of ${id}`));
			assert.deepEqual(mine.typing, its.typing, at(`typing in ${id}`));
		}
		for (const user of sharing) {
			assert.ok(!this.owed.has(user), at(`was not told of changed keys of ${user}`));
			if (user !== this.client.userId) assert.equal(this.mention.get(user), "changed", at(`device list of ${user}, who shares a room`));
		}
		for (const [user, word] of this.mention)
			if (user !== this.client.userId && !sharing.has(user)) assert.equal(word, "left", at(`device list of ${user}, who shares no room`));
	}
}

module.exports = { Device, random };
