/* core/db/async.c - a database connection in an event loop; see async.h. */
#include "core/db/async.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/impl.h"

#define PAUSE_MS_FIRST 50
#define PAUSE_MS_MAX 1000
#define PATIENCE_MS 20000	/* for a connection, or an answer (longer than statement_timeout) */

enum state { DOWN, CONNECTING, GREETING /* the session's settings */, IDLE, BUSY };

struct async {
	struct db *db;
	enum state state;
	PostgresPollingStatusType polling;
	int64_t at;		/* DOWN: the next try; else when patience ends */
	int64_t pause;
	enum err result;
};

struct async *
async_new(const char *conninfo)
{
	struct async *as = calloc(1, sizeof(*as));

	if (as == NULL)
		abort();
	as->db = db_open(conninfo);
	return as;
}

struct db *
async_db(struct async *as)
{
	return as->db;
}

bool
async_idle(const struct async *as)
{
	return as->state == IDLE;
}

enum err
async_result(const struct async *as)
{
	return as->result;
}

struct async_want
async_want(const struct async *as)
{
	struct async_want w = { .fd = -1, .at = as->state == IDLE ? INT64_MAX : as->at };

	if (as->state == DOWN)
		return w;
	w.fd = PQsocket(as->db->pg);
	if (as->state == CONNECTING) {
		w.read = as->polling == PGRES_POLLING_READING;
		w.write = as->polling == PGRES_POLLING_WRITING;
	} else {
		w.read = true;
		w.write = PQflush(as->db->pg) > 0;
	}
	return w;
}

static void
hang_up(struct async *as)
{
	PQfinish(as->db->pg);
	as->db->pg = NULL;
}

void
async_free(struct async *as)
{
	hang_up(as);
	db_close(as->db);
	free(as);
}

static enum async_event
lost(struct async *as, const char *why)
{
	bool was_up = as->state == IDLE || as->state == BUSY;

	/* The loss is logged by db_lost(); of the tries that follow only the first. */
	if (!was_up) {
		if (as->pause == 0)
			log_warn(NULL, "db_away", LS("why", why));
		hang_up(as);
	}
	db_lost(as->db, why);
	queue_clear(as->db);
	as->db->tx = TX_NONE;
	as->db->begun = false;
	as->pause = as->pause == 0 || was_up ? PAUSE_MS_FIRST : as->pause * 2;
	if (as->pause > PAUSE_MS_MAX)
		as->pause = PAUSE_MS_MAX;
	as->at = clock_mono_ms() + as->pause;
	as->state = DOWN;
	as->result = E_UNAVAILABLE;
	return was_up ? ASYNC_LOST : ASYNC_NOTHING;
}

static enum async_event
connect_step(struct async *as)
{
	as->polling = PQconnectPoll(as->db->pg);
	if (as->polling == PGRES_POLLING_FAILED)
		return lost(as, "cannot connect");
	if (as->polling != PGRES_POLLING_OK)
		return ASYNC_NOTHING;
	as->state = GREETING;
	as->db->fault = M_OK;
	return db_session_send(as->db) && db_flush(as->db) ? ASYNC_NOTHING : lost(as, "session refused");
}

static enum async_event
connect_begin(struct async *as)
{
	if (clock_mono_ms() < as->at)
		return ASYNC_NOTHING;
	as->at = clock_mono_ms() + PATIENCE_MS;
	as->db->pg = db_socket(as->db, false);
	as->polling = PGRES_POLLING_WRITING;
	as->state = CONNECTING;
	return PQstatus(as->db->pg) == CONNECTION_BAD ? lost(as, "cannot connect") : ASYNC_NOTHING;
}

/* Reads what is there. Answers that nobody waits for (a ROLLBACK's) go by. */
static enum async_event
take(struct async *as)
{
	if (!PQconsumeInput(as->db->pg) || !db_take_ready(as->db))
		return lost(as, "connection closed");
	if (as->state == IDLE || as->db->sent.n > 0)
		return ASYNC_NOTHING;
	as->result = as->db->fault;
	if (as->state == BUSY) {
		as->state = IDLE;
		return ASYNC_DONE;
	}
	if (as->result != M_OK)
		return lost(as, "session refused");
	as->pause = 0;
	as->state = IDLE;
	return ASYNC_UP;
}

enum async_event
async_step(struct async *as)
{
	if (as->state == DOWN)
		return connect_begin(as);
	if (as->state != IDLE && clock_mono_ms() > as->at)
		return lost(as, "no answer");
	return as->state == CONNECTING ? connect_step(as) : take(as);
}

void
async_go(struct async *as, struct ctx *cx)
{
	struct db *db = as->db;
	bool ok = true;

	as->state = BUSY;
	as->at = clock_mono_ms() + PATIENCE_MS;
	db->fault = M_OK;
	if (db->tx != TX_NONE && !db->begun) {
		ok = db_send(db, &(struct queued){ .st = tx_begin_stmt(db->tx), .expect = DB_NONE }, false);
		db->begun = true;
	}
	for (size_t i = 0; ok && i < db->queue.n; i++)
		ok = db_send(db, &db->queue.v[i], false);
	ok = ok && db_sync(db) && db_flush(db);
	queue_clear(db);
	if (!ok)
		as->at = 0;	/* the next step finds it lost */
}

const char *
async_notify(struct async *as, struct arena *a)
{
	PGnotify *n = as->state == IDLE || as->state == BUSY ? PQnotifies(as->db->pg) : NULL;
	const char *payload;

	if (n == NULL)
		return NULL;
	payload = arena_strdup(a, n->extra);
	PQfreemem(n);
	return payload;
}
