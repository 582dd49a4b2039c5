/*
 * tests/db/db/plans.c - how PostgreSQL carries out every statement of the program.
 *
 * A statement that reads a whole table is quick in every other test and slow where it matters. Here each statement is
 * planned as a worker has it planned (the settings of db_session: one generic plan), twice: on the empty tables that
 * `hearth migrate` leaves, for workers plan as they start and keep their plans; and on tables that are filled and
 * analyzed. No plan may read a table, or an index from end to end, unless a list below says why.
 * A table of a later migration is filled by its columns; where that does not do, fill it by hand.
 */
#include <ctype.h>
#include <libpq-fe.h>

#include "core/base/buf.h"
#include "tests/db/harness.h"

#define ROWS 5000

/* Tables that stay small whatever happens. */
static const char *const small[] = { "push_feed", "schema_migration", "server", "signing_key", "stream_epoch", "stream_floor", "stream_life", NULL };

/* Statements that may go through an index, and why. */
static const struct {
	const char *stmt, *index, *why;
} exceptions[] = {
	{ "cleanup_redacted", "event_redacted_original", "holds only what waits to be erased: the redactions of a week" },
	{ "deliver_next", "pusher_due", "the first row in its order" },
	{ "deliver_next", "pusher_gateway", "holds only what is due" },
	{ "erased_any_row", "account_erased", "stops at the first row, and holds only who is erased" },
	{ "feed_any_pusher", "pusher_device", "stops at the first row" },
	{ "feed_count", "pusher_usr", "asked once in a while, to choose between two ways of finding those with a pusher" },
	{ "feed_members", "pusher_usr", "the branch for rooms that have more members than there are pushers" },
	{ "presence_sweep", "presence_up", "holds only who is online: each of them may have gone" },
	{ "sync_presence_alone", "presence_up", "the same, for a first sync: each of them may be in a room of the reader" },
};

/* Rooms of many members and events, users of many rooms; everything else by columns. $R: rows. */
static const char *const fills[] = {
	"INSERT INTO name (body) SELECT '@user' || g || ':localhost' FROM generate_series(1, " "$R" ") g",
	"INSERT INTO account (usr, localpart, created_ts, kind) SELECT nid, nid::text, 0, CASE WHEN nid % 10 = 0 THEN 'guest' ELSE 'user' END FROM name WHERE body LIKE '@%'",
	"INSERT INTO device (usr, device_id, created_ts) SELECT usr, 'D' || d, 0 FROM account, generate_series(1, 2) d",
	"INSERT INTO access_token (hash, device, usr, created_ts) SELECT decode(md5(nid::text), 'hex'), nid, usr, 0 FROM device",
	"INSERT INTO room (id, version, created_ts, public, joined, extremities) SELECT '!room' || g, '10', 0, g % 10 = 0, g % 100,"
	" ARRAY[g * 20] FROM generate_series(1, $R / 10) g",
	"INSERT INTO event (nid, room, room_pos, pos, ts, type, state_key, sender, ver, at_ver, id, content, pdu)"
	" SELECT g, (SELECT min(nid) FROM room) + g / 20, g % 20 + 1, 4398046511104 + g, g, CASE WHEN g % 2 = 0 THEN 16 ELSE 2 END,"
	" CASE WHEN g % 2 = 1 THEN 1000 + g % 5000 END, 1000 + g % 5000, g % 20, g % 20, '$event' || g, '{}', '{}'"
	" FROM generate_series(1, 2 * $R) g",
	"INSERT INTO state (room, since, type, key, event, pos, membership) SELECT room, g.s, type, state_key, min(nid), min(pos), 2 FROM event, generate_series(1, 3) g(s) WHERE state_key IS NOT NULL GROUP BY 1, 2, 3, 4",
	"INSERT INTO state (room, since, type, key, event, pos) SELECT room, t, t, 0, min(nid), min(pos) FROM event, generate_series(3, 11) t GROUP BY 1, 2",
	"INSERT INTO current_state (room, type, key, since, event, membership) SELECT DISTINCT ON (room, type, key) room, type, key, since, event, membership"
	" FROM state ORDER BY room, type, key, since DESC",
	"INSERT INTO local_member (usr, room, membership, event, pos) SELECT 1000 + g % 2500, (SELECT min(nid) FROM room) + g / 10, 1 + g % 4, g,"
	" 4398046511104 + g FROM generate_series(1, $R) g ON CONFLICT DO NOTHING",
	"INSERT INTO event_relation (event, target, rel_type, type, sender, room_pos, ts) SELECT nid, nid / 20 * 20 + 1, 25 + nid % 4, type, sender, room_pos, ts"
	" FROM event WHERE nid % 2 = 0",
	"INSERT INTO receipt (room, usr, thread, kind, event, room_pos, ts, pos) SELECT room, usr, 0, 1, event, 1, 0, pos FROM local_member",
	"INSERT INTO account_data (usr, room, type, content, pos) SELECT usr, room, 'm.tag', '{}', pos FROM local_member",
	"INSERT INTO to_device (device, usr, sender, type, content, pos) SELECT nid % 2000, usr, usr, 't', '{}', nid FROM device",
	"INSERT INTO txn (device, key, event, txn_id, ts) SELECT nid % 2000, decode(md5(nid::text), 'hex'), nid, '1', nid FROM event",
};

/* What a column of some type is filled with; NULL: left to its default. */
static const char *
value_of(const char *type)
{
	static const char *const values[][2] = { { "bigint", "g" }, { "integer", "g" }, { "smallint", "g % 5" }, { "text", "'x' || g" },
		{ "bytea", "decode(md5(g::text), 'hex')" }, { "boolean", "g % 20 = 0" }, { "double precision", "g" },
		{ "timestamp with time zone", "to_timestamp(g)" }, { "ARRAY", "'{}'" }, { "jsonb", "'{}'" }, { "json", "'{}'" } };

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (strcmp(values[i][0], type) == 0)
			return values[i][1];
	return NULL;
}

static bool
is_small(const char *table)
{
	for (size_t i = 0; small[i] != NULL; i++)
		if (strcmp(small[i], table) == 0)
			return true;
	return false;
}

static PGresult *
query(PGconn *c, const char *q)
{
	PGresult *res = PQexec(c, q);

	if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
		cr_assert_fail("%s: %s", q, PQerrorMessage(c));
	return res;
}

/* All columns without a default, and those that say when (pos), from a series. */
static void
fill_by_columns(PGconn *c, struct arena *a, const char *table)
{
	PGresult *cols = query(c, arena_printf(a, "SELECT column_name, data_type FROM information_schema.columns"
	    " WHERE table_schema = 'hearth' AND table_name = '%s' AND is_identity = 'NO' AND (column_default IS NULL OR column_name = 'pos')", table));
	struct buf names, values;

	buf_init(&names, a);
	buf_init(&values, a);
	for (int i = 0; i < PQntuples(cols); i++) {
		const char *v = value_of(PQgetvalue(cols, i, 1));
		if (v == NULL)
			continue;
		buf_addf(&names, "%s\"%s\"", names.n > 0 ? ", " : "", PQgetvalue(cols, i, 0));
		buf_addf(&values, "%s%s", values.n > 0 ? ", " : "", v);
	}
	PQclear(cols);
	PQclear(query(c, arena_printf(a, "INSERT INTO \"%s\" (%s) SELECT %s FROM generate_series(1, %d) g", table, names.s, values.s, ROWS)));
}

static void
fill(PGconn *c, struct arena *a)
{
	PGresult *tables;

	/* no foreign keys, no triggers, no checks: rows only have to be many */
	PQclear(query(c, "SET search_path = hearth; SET session_replication_role = replica"));
	PQclear(query(c, "DO $$ DECLARE c record; BEGIN FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint"
	    " WHERE contype = 'c' AND connamespace = 'hearth'::regnamespace LOOP"
	    " EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; END $$"));
	for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
		struct buf b;
		buf_init(&b, a);
		for (const char *s = fills[i]; *s != '\0'; s++)
			if (s[0] == '$' && s[1] == 'R')
				buf_addf(&b, "%d", (s++, ROWS));
			else
				buf_putc(&b, *s);
		PQclear(query(c, b.s));
	}
	tables = query(c, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'hearth' AND table_type = 'BASE TABLE'");
	for (int i = 0; i < PQntuples(tables); i++) {
		const char *t = PQgetvalue(tables, i, 0);
		PGresult *some = query(c, arena_printf(a, "SELECT 1 FROM \"%s\" LIMIT 1", t));
		if (PQntuples(some) == 0 && !is_small(t))
			fill_by_columns(c, a, t);
		PQclear(some);
	}
	PQclear(tables);
	PQclear(query(c, "ANALYZE"));
}

static bool
is_excepted(const char *stmt, const char *index)
{
	for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
		if (strcmp(exceptions[i].stmt, stmt) == 0 && strcmp(exceptions[i].index, index) == 0)
			return true;
	return false;
}

static int
indent(const char *line)
{
	return (int)strspn(line, " ");
}

/* ---- what a plan reads */

struct index {
	const char *name, *table, *first;	/* its first column; "": an expression */
};

static struct index *
indexes_of(PGconn *c, struct arena *a)
{
	PGresult *res = query(c, "SELECT i.indexrelid::regclass, i.indrelid::regclass, coalesce(t.attname, '') FROM pg_index i"
	    " JOIN pg_class k ON k.oid = i.indrelid LEFT JOIN pg_attribute t ON t.attrelid = i.indrelid AND t.attnum = i.indkey[0]"
	    " WHERE k.relnamespace = 'hearth'::regnamespace");
	int n = PQntuples(res);
	struct index *v = arena_alloc(a, (size_t)(n + 1) * sizeof *v);

	for (int i = 0; i < n; i++)
		v[i] = (struct index){ arena_strdup(a, PQgetvalue(res, i, 0)), arena_strdup(a, PQgetvalue(res, i, 1)),
			arena_strdup(a, PQgetvalue(res, i, 2)) };
	v[n] = (struct index){ 0 };
	PQclear(res);
	return v;
}

/* Is the column in the condition? Columns of other tables are written behind their table and a dot. */
static bool
names(const char *cond, const char *column)
{
	size_t n = strlen(column);

	for (const char *s = cond; (s = strstr(s, column)) != NULL; s += n)
		if (!isalnum((unsigned char)s[-1]) && strchr("._", s[-1]) == NULL && !isalnum((unsigned char)s[n]) && s[n] != '_')
			return true;
	return false;
}

/* Is the node of line i told where in the index to look? By its first column: else it goes through all of it. */
static bool
is_narrowed(PGresult *plan, int i, const struct index *ix)
{
	int deep = indent(PQgetvalue(plan, i, 0));

	for (int k = i + 1; k < PQntuples(plan) && indent(PQgetvalue(plan, k, 0)) > deep; k++) {
		const char *line = PQgetvalue(plan, k, 0), *cond = strstr(line, "Index Cond:");

		if (strncmp(line + indent(line), "->", 2) == 0)
			break;
		if (cond != NULL)
			return ix->first[0] == '\0' || names(cond + 1, ix->first);
	}
	return false;
}

/* The word behind what a node begins with; NULL: it begins otherwise. */
static const char *
word_after(struct arena *a, const char *line, const char *what)
{
	const char *s = strstr(line, what);

	return s == NULL ? NULL : arena_strndup(a, s + strlen(what), strcspn(s + strlen(what), " "));
}

/* What the line's node reads from end to end, table and perhaps index; NULL: it does not. */
static const struct index *
reads_all(struct arena *a, const struct index *ix, PGresult *plan, int i)
{
	static const char *const by_index[] = { "Index Scan using ", "Index Only Scan using ", "Index Scan Backward using ",
		"Index Only Scan Backward using ", "Bitmap Index Scan on " };
	const char *line = PQgetvalue(plan, i, 0), *name = NULL, *table = word_after(a, line, "Seq Scan on ");

	if (table != NULL) {
		struct index *whole = arena_zalloc(a, sizeof *whole);
		whole->name = whole->table = table;
		return whole;
	}
	for (size_t k = 0; k < sizeof by_index / sizeof *by_index && name == NULL; k++)
		name = word_after(a, line, by_index[k]);
	if (name == NULL)
		return NULL;
	for (; ix->name != NULL && strcmp(ix->name, name) != 0; ix++)
		;
	cr_assert_not_null(ix->name, "%s", line);
	return is_narrowed(plan, i, ix) ? NULL : ix;
}

static int
look_at(PGconn *c, struct arena *a, const struct index *ix, const struct stmt *st)
{
	PGresult *d = PQdescribePrepared(c, st->name), *plan;
	struct buf b;
	int faults = 0;

	buf_init(&b, a);
	buf_addf(&b, "EXPLAIN (COSTS OFF) EXECUTE \"%s\"", st->name);
	for (int i = 0; i < PQnparams(d); i++)
		buf_addf(&b, "%sNULL", i == 0 ? " (" : ", ");
	if (PQnparams(d) > 0)
		buf_puts(&b, ")");
	PQclear(d);
	plan = PQexec(c, b.s);
	for (int i = 0; i < PQntuples(plan); i++) {
		const struct index *all = reads_all(a, ix, plan, i);
		if (all == NULL || is_small(all->table) || is_excepted(st->name, all->name))
			continue;
		cr_log_error("%s reads all of %s:", st->name, all->name);
		for (int k = 0; k < PQntuples(plan); k++)
			cr_log_error("    %s", PQgetvalue(plan, k, 0));
		faults++;
		break;
	}
	PQclear(plan);
	return faults;
}

/* Whatever a worker sends that has a plan: transactions and settings have none. */
static bool
has_plan(const struct stmt *st)
{
	static const char *const verbs[] = { "SELECT", "INSERT", "UPDATE", "DELETE", "WITH" };

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strncmp(st->sql, verbs[i], strlen(verbs[i])) == 0)
			return true;
	return false;
}

static const struct stmt *
stmt_named(const char *name)
{
	const struct stmt *const *p = __start_stmts;

	// cppcheck-suppress comparePointers
	while (p < __stop_stmts && strcmp((*p)->name, name) != 0)
		p++;
	// cppcheck-suppress comparePointers
	cr_assert_lt(p, __stop_stmts);
	return *p;
}

static void
look_at_all(struct arena *a)
{
	PGconn *c = PQconnectdb(test_url("hearth_worker"));
	const char *const role = "test";
	const struct index *ix;
	int n = 0, bad = 0;

	PQclear(PQexecParams(c, stmt_named("db_session")->sql, 1, NULL, &role, NULL, NULL, 0));
	cr_assert_str_eq(PQgetvalue(query(c, "SHOW plan_cache_mode"), 0, 0), "force_generic_plan");
	ix = indexes_of(c, a);
	// cppcheck-suppress comparePointers
	for (const struct stmt *const *p = __start_stmts; p < __stop_stmts; p++) {
		if (strncmp((*p)->name, "t_", 2) == 0 || strncmp((*p)->name, "test_", 5) == 0 || !has_plan(*p))
			continue;
		PQclear(PQprepare(c, (*p)->name, (*p)->sql, 0, NULL));
		bad += look_at(c, a, ix, *p);
		n++;
	}
	cr_assert_gt(n, 100);
	cr_assert_eq(bad, 0, "%d of %d statements read a table as a whole", bad, n);
	PQfinish(c);
}

Test(plans, no_statement_reads_a_table_that_grows)
{
	PGconn *c = PQconnectdb(test_url("postgres"));
	struct arena *a = arena_new();

	fill(c, a);
	look_at_all(a);
	PQfinish(c);
	arena_free(a);
}

/* What is planned now is done later, when the tables have grown. */
Test(plans, nor_is_planned_to_on_empty_tables)
{
	struct arena *a = arena_new();

	look_at_all(a);
	arena_free(a);
}

/*
 * What every send and every membership changes stands in no index, whomever that holds: else PostgreSQL writes a row anew in all
 * indexes of the table, instead of in place.
 */
Test(plans, rows_are_rewritten_in_place)
{
	cr_expect_str_eq(sql("SELECT coalesce(string_agg(DISTINCT d.objid::regclass || ': ' || a.attname, ', '), '') FROM pg_depend d"
	    " JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
	    " WHERE d.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = d.refobjid) AND"
	    " (d.refobjid = 'room'::regclass AND a.attname IN ('joined', 'invited', 'last_room_pos', 'state_ver', 'last_pos', 'depth', 'extremities')"
	    " OR d.refobjid = 'current_state'::regclass AND a.attname IN ('since', 'event', 'membership'))"), "");
	sql("INSERT INTO room (id, version, created_ts, joined) VALUES ('!hot', '10', 0, 4)");
	const char *before = sql("SELECT listed IS NULL, magnitude FROM room WHERE id = '!hot'");
	sql("UPDATE room SET joined = 5 WHERE id = '!hot'");
	cr_expect_str_eq(sql("SELECT listed IS NULL, magnitude FROM room WHERE id = '!hot'"), before);
	/* Those that stand there for them follow whoever changes something: a trigger sees to it. */
	sql("UPDATE room SET joined = 9 WHERE id = '!hot'");
	cr_expect_str_eq(sql("SELECT listed IS NULL AND magnitude = 3 FROM room WHERE id = '!hot'"), "t");
	sql("UPDATE room SET public = true WHERE id = '!hot'");
	cr_expect_str_eq(sql("SELECT listed = 9 FROM room WHERE id = '!hot'"), "t");
	sql("UPDATE room SET blocked = true, listed = 9, magnitude = 7 WHERE id = '!hot'");
	cr_expect_str_eq(sql("SELECT listed IS NULL AND magnitude = 3 FROM room WHERE id = '!hot'"), "t");
	sql("UPDATE room SET joined = 0, blocked = false WHERE id = '!hot'");
	cr_expect_str_eq(sql("SELECT listed IS NULL AND magnitude = 0 FROM room WHERE id = '!hot'"), "t");
}
