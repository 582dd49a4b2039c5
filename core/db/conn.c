/*
 * core/db/conn.c - the connection: opened at first use, opened again when it was lost.
 *
 * While PostgreSQL is away every request fails at once, and one try per pause
 * (0.1 s, doubling to 1 s, a little different in each process) looks whether it is back.
 * The same pause answers "too many connections".
 */
#include <poll.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/impl.h"

#define AWAY_MS_FIRST	100
#define AWAY_MS_MAX	1000

/*
 * What every session is told first: design 4 (worker role settings). By
 * statement, not by startup options, which poolers refuse and a user's own
 * would be lost to. Times bound what a stuck session can hold.
 *
 * One plan per statement, made once and without looking at the parameters, and by
 * index where there is one: every statement is written for such a plan. Else
 * statements whose cost the planner cannot guess (UNION ALL of limited scans, LATERAL over
 * arrays) are planned anew each time, which took two thirds of the server's time for a
 * sync; and a plan made while a table was small would scan it when it no longer is.
 */
STMT(db_session,
    "SELECT set_config('application_name', $1, false), set_config('search_path', 'hearth', false),"
    " set_config('jit', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false),"
    " set_config('enable_seqscan', 'off', false), set_config('TimeZone', 'UTC', false), set_config('bytea_output', 'hex', false),"
    " set_config('default_transaction_isolation', 'read committed', false), set_config('default_transaction_read_only', 'off', false),"
    " set_config('statement_timeout', '15s', false), set_config('lock_timeout', '3s', false),"
    " set_config('idle_in_transaction_session_timeout', '5s', false),"
    " set_config('client_connection_check_interval', '2s', false),"
    " hearth.hearth_connect()");

const char *db_role = "hearth";

void
db_role_set(const char *role)
{
	db_role = role;
}

struct db *
db_open(const char *conninfo)
{
	struct db *db = calloc(1, sizeof(*db));
	size_t n = (size_t)(__stop_stmts - __start_stmts);

	if (db == NULL)
		abort();
	db->conninfo = conninfo;
	for (db->nslots = 64; db->nslots < 2 * n; db->nslots *= 2)
		;
	if ((db->slots = calloc(db->nslots, sizeof(*db->slots))) == NULL)
		abort();
	return db;
}

static void
forget(struct db *db)
{
	if (db->pg != NULL)
		PQfinish(db->pg);
	db->pg = NULL;
	db->farewell = false;
	db->warmed = 0;
	memset(db->slots, 0, db->nslots * sizeof(*db->slots));
	db->sent.head = db->sent.n = 0;
	db->sent.synced = db->sent.syncs;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	/* A ROLLBACK or a COMMIT nobody waited for still has to leave. */
	if (db->pg != NULL && db->sent.n > 0)
		db_take_all(db);
	forget(db);
	free(db->slots);
	free(db->queue.v);
	free(db->queue.values);
	free(db->queue.bytes);
	free(db->sent.v);
	free(db);
}

int64_t
db_connection(const struct db *db)
{
	return db->connections;
}

int
db_backend_pid(const struct db *db)
{
	return db->pg == NULL ? 0 : PQbackendPID(db->pg);
}

struct slot *
db_slot(struct db *db, const struct stmt *st)
{
	size_t h = ((uintptr_t)st >> 3) * 0x9e3779b97f4a7c15u >> 32;

	/* At most half full: db_open() counted the statements of the program. */
	for (;; h++) {
		struct slot *s = &db->slots[h & (db->nslots - 1)];

		if (s->st == NULL)
			s->st = st;
		if (s->st == st)
			return s;
	}
}

/* A message without its line ends; it names hosts and roles, no data. */
static const char *
one_line(const char *s, char *out, size_t max)
{
	size_t n = strcspn(s, "\n");

	if (n >= max)
		n = max - 1;
	memcpy(out, s, n);
	out[n] = '\0';
	return out;
}

static void
away(struct db *db, const char *why)
{
	/* Said once per outage: the first time. */
	if (db->away_ms == 0)
		log_error(db->cx, "db_away", LS("why", why));
	db->away_ms = db->away_ms == 0 ? AWAY_MS_FIRST : 2 * db->away_ms;
	if (db->away_ms > AWAY_MS_MAX)
		db->away_ms = AWAY_MS_MAX;
	db->away_until = clock_mono_ms() + db->away_ms - getpid() % (AWAY_MS_FIRST / 2);
	forget(db);
}

void
db_lost(struct db *db, const char *why)
{
	char s[200];

	if (db->pg != NULL) {
		if (why == NULL)
			why = one_line(PQerrorMessage(db->pg), s, sizeof(s));
		log_warn(db->cx, "db_lost", LS("why", why));
	}
	forget(db);
}

/* Notices are nothing; but what comes to an idle session is PostgreSQL's farewell (57P01 and its like). */
static void
notice(void *arg, const PGresult *res)
{
	struct db *db = arg;
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (state != NULL && strncmp(state, "57P", 3) == 0)
		db->farewell = true;
}

/* The user's conninfo comes second, so it may say otherwise. A peer that vanishes is noticed by the keepalives. */
PGconn *
db_socket(const struct db *db, bool wait)
{
	static const char *const keys[] = { "connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count",
		"tcp_user_timeout", "fallback_application_name", "dbname", "client_encoding", NULL };
	const char *const values[] = { "3", "10", "5", "3", "20000", "hearth", db->conninfo, "UTF8", NULL };

	return wait ? PQconnectdbParams(keys, values, 1) : PQconnectStartParams(keys, values, 1);
}

bool
db_session_send(struct db *db)
{
	struct queued q = { .st = &db_session, .expect = DB_NONE, .nvalues = 1 };
	char name[64];
	bool ok;

	snprintf(name, sizeof(name), strcmp(db_role, "hearth") == 0 ? "hearth" : "hearth %s", db_role);
	/* The queue holds the batch that is about to run: its first parameter is put behind that. */
	q.value = queue_text(db, name);
	ok = PQsetnonblocking(db->pg, 1) == 0 && PQenterPipelineMode(db->pg) && db_send(db, &q, false) && db_sync(db);
	PQsetNoticeReceiver(db->pg, notice, db);
	db->queue.nvalues--;
	return ok;
}

static bool
connect_now(struct db *db)
{
	char s[200];
	int64_t t0 = clock_mono_us();

	db->pg = db_socket(db, true);
	if (PQstatus(db->pg) != CONNECTION_OK) {
		away(db, one_line(PQerrorMessage(db->pg), s, sizeof(s)));
		return false;
	}
	db->stats.trips++;
	if (!db_session_send(db) || !db_take_all(db) || db->fault != M_OK) {
		away(db, "session refused");
		return false;
	}
	db->stats.us += clock_mono_us() - t0;
	db->connections++;
	if (db->away_ms != 0)
		log_info(db->cx, "db_back");
	db->away_ms = 0;
	return true;
}

/* Was the idle connection closed meanwhile? Looked at before a batch, so that a restart of PostgreSQL costs no request. */
static bool
still_there(struct db *db)
{
	struct pollfd p = { .fd = PQsocket(db->pg), .events = POLLIN };

	/* A farewell first, then, perhaps a moment later, the end of the stream. */
	while (poll(&p, 1, 0) > 0)
		if (PQconsumeInput(db->pg) == 0)
			return false;
	if (!db_take_ready(db))
		return false;
	PQisBusy(db->pg);	/* reads messages that no statement asked for */
	return !db->farewell;
}

bool
db_ready(struct db *db)
{
	if (db->pg != NULL) {
		if (db->begun || still_there(db))
			return true;
		db_lost(db, "closed while idle");
	}
	if (db->away_ms != 0 && clock_mono_ms() < db->away_until)
		return false;
	return connect_now(db);
}
