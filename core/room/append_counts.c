/* core/room/append_counts.c - what an append writes for unread counts; core/push/counts.h says what it is for. */
#include "core/push/counts.h"
#include "core/room/append_impl.h"
#include "core/room/relation.h"

STMT(append_thread_count,
    "INSERT INTO thread_count (root, room, last_pos, n_a, n_b, n_c, n_d, n_e) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
    " ON CONFLICT (root) DO UPDATE SET last_pos = excluded.last_pos, n_a = excluded.n_a, n_b = excluded.n_b, n_c = excluded.n_c,"
    " n_d = excluded.n_d, n_e = excluded.n_e");
STMT(append_mentions,
    "INSERT INTO mention (usr, room, room_pos, event, thread, push_class) SELECT usr, $1, $2, $3, NULLIF($4::bigint, -1), $5 FROM local_member"
    " WHERE usr = ANY(ARRAY(SELECT nid FROM name WHERE body = ANY($6))) AND room = $1 AND membership = 2 AND usr <> $7");
STMT(append_mentions_forget, "DELETE FROM mention WHERE event = $1");

void
counts_note(struct append *ap, struct made *m, int64_t sender_power, const struct json *power_levels)
{
	const struct push_event ev = { .event = m->ev.json, .members = ap->room.joined, .sender_power = sender_power, .power_levels = power_levels };

	m->class = push_class_of(&ev);
	m->members = ap->room.joined;
	if (m->thread < 0) {
		push_sums_add(&ap->room.sums, m->class);
	} else {
		m->thread_sums = ap->rel->thread_sums;
		push_sums_add(&m->thread_sums, m->class);
	}
	m->sums = ap->room.sums;
}

/* Users of this server named in m.mentions. */
static size_t
mentioned(struct append *ap, const struct made *m, const char ***out)
{
	const struct json *ids = json_get(json_get(m->ev.content, "m.mentions"), "user_ids");
	struct arena *a = ap->cx->a;
	size_t n = 0;

	if (m->class == PUSH_NEVER || !json_is(ids, JSON_ARR))
		return 0;
	*out = arena_calloc(a, ids->u.arr.n + 1, sizeof **out);
	for (size_t i = 0; i < ids->u.arr.n; i++) {
		const char *id = json_is(ids->u.arr.v[i], JSON_STR) ? json_esc_of(a, ids->u.arr.v[i]) : NULL;

		if (id != NULL && name_fits(id) && name_is_local(ap->cx, id))
			(*out)[n++] = id;
	}
	return n;
}

void
counts_write_event(struct append *ap, const struct made *m)
{
	const int64_t *s = m->thread_sums.n;
	const char **users;
	size_t n = mentioned(ap, m, &users);

	if (m->thread >= 0)
		db_queue(ap->cx, NULL, DB_NONE, &append_thread_count, P_I64(m->thread), P_I64(ap->room.nid), P_I64(m->room_pos),
		    P_I64(s[0]), P_I64(s[1]), P_I64(s[2]), P_I64(s[3]), P_I64(s[4]));
	if (n > 0)
		db_queue(ap->cx, NULL, DB_NONE, &append_mentions, P_I64(ap->room.nid), P_I64(m->room_pos), P_I64(m->nid), P_I64(m->thread),
		    P_I64(m->class), P_TEXTS(users, n), P_I64(m->sender_nid));
}

/*
 * A statement more than each send is worth: mentions that are read do no harm but lie there, and mostly a receipt has taken
 * them. So do those who never send one (bots), with every so many events of the room; and whoever comes back.
 */
#define MENTIONS_EVERY 16

/* Whoever sends has read what he answers to. Member events do not say so: servers send them for their users. */
static size_t
positions(struct append *ap, struct read_up_to **out)
{
	struct read_up_to *v = arena_calloc(ap->cx->a, ap->nmade + ap->nmembers + 1, sizeof *v);
	size_t n = 0;

	*out = v;
	for (size_t i = 0; i < ap->nmade; i++) {
		const struct made *m = ap->made[i];

		if (m->type_nid != T_MEMBER && name_is_local(ap->cx, m->ev.sender))
			v[n++] = (struct read_up_to){ m->sender_nid, ap->room.nid, m->thread, m->room_pos };
	}
	for (size_t i = 0; i < ap->nmembers; i++)
		if (ap->members[i].joins)
			v[n++] = (struct read_up_to){ ap->members[i].user, ap->room.nid, 0, ap->members[i].room_pos };
	return n;
}

static void
mentions_passed(struct append *ap, const struct read_up_to *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].thread == 0 || v[i].room_pos % MENTIONS_EVERY == 0)
			mentions_read_queue(ap->cx, &v[i]);
	for (size_t i = 0; i < ap->nmembers; i++)
		if (ap->members[i].membership == MEM_LEAVE || ap->members[i].membership == MEM_BAN)
			mentions_left_queue(ap->cx, ap->members[i].user, ap->room.nid);
}

void
counts_write_positions(struct append *ap)
{
	struct read_up_to *v;
	size_t n = positions(ap, &v);

	read_up_to_queue(ap->cx, v, n);
	mentions_passed(ap, v, n);
}

void
counts_positions_written(struct append *ap)
{
	struct read_up_to *v;
	size_t n = positions(ap, &v);

	mentions_passed(ap, v, n);
}

void
counts_forget(struct ctx *cx, int64_t event)
{
	db_queue(cx, NULL, DB_NONE, &append_mentions_forget, P_I64(event));
}
