/*
 * core/db/warm.c - statements are prepared and planned before anybody waits for them.
 *
 * A session's first uses are slow: it is opened, PostgreSQL reads its catalogue, each statement is parsed and planned. A pool's
 * spare processes first have work when many requests come at once, and then all of them would stand still together. A connection
 * that was lost is opened again by the next request and not here: a failed try is followed by a pause in which requests are refused.
 *
 * Prepared is by Parse; planned by EXPLAIN EXECUTE, which makes the plan that the session keeps (db_session wants one plan per
 * statement), and runs nothing.
 */
#include "core/db/impl.h"

static bool
concerns(const struct warm *w, const char *role)
{
	size_t n = strlen(role);

	for (const char *s = w->roles; (s = strstr(s, role)) != NULL; s += n)
		if ((s == w->roles || s[-1] == ' ') && (s[n] == ' ' || s[n] == '\0'))
			return true;
	return false;
}

/* The next one that this role wants, from db->warmed on; NULL: none is left. */
static const struct stmt *
next(struct db *db)
{
	// cppcheck-suppress comparePointers
	size_t n = (size_t)(__stop_warm - __start_warm);

	for (; db->warmed < n; db->warmed++)
		if (concerns(__start_warm[db->warmed], db_role))
			return __start_warm[db->warmed]->st;
	return NULL;
}

bool
db_warm_due(struct db *db)
{
	return (db->pg != NULL || !db->tried) && next(db) != NULL;
}

/* The statement's own tables and functions are looked up, so what is wrong with it is told where it is used. */
static bool
plan(struct db *db, const struct stmt *st)
{
	struct slot *slot = db_slot(db, st);
	char sql[64 + 64 + DB_PARAMS_MAX * 6], *p = sql;
	const char *s;
	long n = 0;

	if (slot->state != SLOT_NONE)	/* a request was quicker */
		return true;
	for (s = strchr(st->sql, '$'); s != NULL; s = strchr(s + 1, '$'))
		n = strtol(s + 1, NULL, 10) > n ? strtol(s + 1, NULL, 10) : n;
	p += snprintf(p, sizeof(sql), "EXPLAIN (COSTS OFF) EXECUTE \"%s\"", st->name);
	for (long i = 0; i < n; i++)
		p += snprintf(p, 8, i == 0 ? "(NULL" : ",NULL");
	if (n > 0)
		snprintf(p, 2, ")");
	return db_send_plan(db, slot, sql) && db_sync(db) && db_take_all(db);
}

void
db_warm(struct ctx *cx)
{
	struct db *db = cx->db;
	const struct stmt *st;

	db->cx = cx;
	db->fault = M_OK;	/* not that of the last request: connecting looks at it */
	if (db->tx != TX_NONE || !db_ready(db))
		db->away_ms = 0;	/* nobody was refused: whoever comes may try himself */
	else if ((st = next(db)) != NULL) {
		db->warmed++;
		if (!plan(db, st))
			db_lost(db, NULL);
	}
	db->tried = true;
	db->cx = NULL;
}
