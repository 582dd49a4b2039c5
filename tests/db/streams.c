/*
 * tests/db/streams.c - no row of a stream is missed and none comes twice, whatever happens: writers that
 * take their time, roll back (wholly or to a savepoint) or hold long transactions open, writers in psql, killed
 * backends, crashes and restarts of PostgreSQL; readers go on with the same tokens throughout.
 *
 * What is in the tables at the end is the truth. Each reader keeps what it was given:
 *	ins	every row seen exactly once, and no row that is not there
 *	ev	rows numbered per room under the room's lock: what is new is a suffix, without a gap
 *	cell	rows that are updated: the last value seen is the last there is
 */
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/sync/token.h"
#include "tests/db/cluster.h"
#include "tests/db/harness.h"

#define RUN_MS		8000
#define CHAOS_MS	700
#define WRITERS		5
#define PSQLS		2
#define LONGS		2
#define READERS		3
#define IDS		1000000
#define ROOMS		8
#define CELLS		50

/* Of tables that only this test has, so they are not in the program's list. */
#define OWN(id, text) static const struct stmt id = { #id, text }
OWN(t_ins_add, "INSERT INTO ins (id) VALUES ($1)");
OWN(t_room_lock, "SELECT n FROM rm WHERE id = $1 FOR NO KEY UPDATE");
OWN(t_ev_add, "INSERT INTO ev (room, n) SELECT id, n + 1 FROM rm WHERE id = $1");
OWN(t_room_step, "UPDATE rm SET n = n + 1 WHERE id = $1");
OWN(t_cell_set, "UPDATE cell SET v = $2 WHERE k = $1");
OWN(t_savepoint, "SAVEPOINT a");
OWN(t_savepoint_back, "ROLLBACK TO a");
OWN(t_ins_news, "SELECT id FROM ins WHERE pos >= $1 OR pos = ANY($2)");
OWN(t_ev_news, "SELECT room, n FROM ev WHERE pos >= $1 OR pos = ANY($2) ORDER BY room, n");
OWN(t_cell_news, "SELECT k, v FROM cell WHERE pos >= $1 OR pos = ANY($2)");

#define TABLES									\
	"CREATE TABLE ins (id bigint, pos bigint NOT NULL DEFAULT stream_pos());"	\
	"CREATE INDEX ON ins (pos);"						\
	"CREATE TABLE rm (id int PRIMARY KEY, n bigint NOT NULL);"		\
	"CREATE TABLE ev (room int, n bigint, pos bigint NOT NULL DEFAULT stream_pos(), PRIMARY KEY (room, n));"	\
	"CREATE INDEX ON ev (pos);"						\
	"CREATE TABLE cell (k int PRIMARY KEY, v bigint, pos bigint NOT NULL DEFAULT stream_pos());"	\
	"CREATE INDEX ON cell (pos);"						\
	"CREATE TRIGGER pos BEFORE UPDATE ON cell FOR EACH ROW EXECUTE FUNCTION stream_pos_touch();"	\
	"INSERT INTO rm SELECT g, 0 FROM generate_series(0, 7) g;"		\
	"INSERT INTO cell SELECT g, 0 FROM generate_series(0, 49) g;"		\
	"GRANT ALL ON ALL TABLES IN SCHEMA hearth TO hearth_worker"

static struct cluster c;
static char worker_url[160];
static atomic_bool writers_stop, readers_stop;
static atomic_int next_id, next_value, commits, rollbacks;

struct reader {
	unsigned char *seen;	/* of ins, by id */
	int64_t last[ROOMS];
	int64_t cell[CELLS];
	int reads, lost, gaps, twice;
	const char *token;
	char *text;
};

static void
nap(unsigned *seed, unsigned max_us)
{
	usleep((unsigned)rand_r(seed) % max_us);
}

/* ---- writers */

static enum err
write_ins(struct ctx *cx, unsigned *seed)
{
	int i, k = 1 + rand_r(seed) % 3;

	for (i = 0; i < k; i++)
		db_queue(cx, NULL, DB_NONE, &t_ins_add, P_I64(next_id++));
	if (rand_r(seed) % 6 == 0) {	/* a subtransaction that comes to nothing */
		db_queue(cx, NULL, DB_NONE, &t_savepoint);
		db_queue(cx, NULL, DB_NONE, &t_ins_add, P_I64(next_id++));
		db_queue(cx, NULL, DB_NONE, &t_savepoint_back);
	}
	return db_run(cx);
}

static enum err
write_event(struct ctx *cx, unsigned *seed)
{
	struct rows r;
	int room = rand_r(seed) % ROOMS;
	enum err e;

	if ((e = db_row(cx, &r, &t_room_lock, P_I64(room))) != M_OK)
		return e;
	db_queue(cx, NULL, DB_NONE, &t_ev_add, P_I64(room));
	return db_exec(cx, NULL, &t_room_step, P_I64(room));
}

static enum err
write_something(struct ctx *cx, unsigned *seed)
{
	switch (rand_r(seed) % 3) {
	case 0:
		return write_event(cx, seed);
	case 1:
		return db_exec(cx, NULL, &t_cell_set, P_I64(rand_r(seed) % CELLS), P_I64(++next_value));
	default:
		return write_ins(cx, seed);
	}
}

/* A worker. hold_us: how long a transaction may stay open between its first write and its last. */
static void
write_loop(unsigned seed, unsigned hold_us)
{
	struct ctx *cx = session_on(worker_url);
	enum err e;

	while (!writers_stop) {
		session_next(cx);
		db_begin(cx, TX_RW);
		e = write_something(cx, &seed);
		nap(&seed, hold_us);
		if (e == M_OK && rand_r(&seed) % 2)
			e = write_something(cx, &seed);
		if (e == M_OK && rand_r(&seed) % 5 != 0 && db_commit(cx) == M_OK) {
			commits++;
		} else {
			db_rollback(cx);
			rollbacks++;
		}
		if (e == E_UNAVAILABLE)
			usleep(10000);
	}
	session_end(cx);
}

static void *
writer(void *arg)
{
	write_loop((unsigned)(uintptr_t)arg + 1, 6000);
	return NULL;
}

static void *
long_writer(void *arg)
{
	write_loop((unsigned)(uintptr_t)arg + 1000, 900000);
	return NULL;
}

static void
no_notice(void *arg, const PGresult *res)
{
}

/* Somebody in psql: knows nothing of epochs. */
static void *
psql(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg + 2000;
	char q[300];

	while (!writers_stop) {
		PGconn *p = PQconnectdb(c.url);
		int i;

		PQsetNoticeReceiver(p, no_notice, NULL);
		PQclear(PQexec(p, "SET search_path = hearth"));
		for (i = 0; i < 20 && PQstatus(p) == CONNECTION_OK && !writers_stop; i++) {
			snprintf(q, sizeof(q), "BEGIN; INSERT INTO ins (id) VALUES (%d); UPDATE cell SET v = %d WHERE k = %d", next_id++,
			    ++next_value, rand_r(&seed) % CELLS);
			PQclear(PQexec(p, q));
			nap(&seed, 10000);
			PQclear(PQexec(p, rand_r(&seed) % 4 ? "COMMIT" : "ROLLBACK"));
		}
		PQfinish(p);
		nap(&seed, 20000);
	}
	return NULL;
}

/* ---- readers */

static void
take_rows(struct reader *rd, struct rows *ins, struct rows *ev, struct rows *cell)
{
	while (db_next(ins)) {
		int64_t id = db_i64(ins, 0);

		if (id < IDS)
			rd->twice += rd->seen[id]++ != 0;
	}
	while (db_next(ev)) {
		int64_t room = db_i64(ev, 0), n = db_i64(ev, 1);

		rd->gaps += n != rd->last[room] + 1;
		rd->last[room] = n;
	}
	while (db_next(cell))
		rd->cell[db_i64(cell, 0)] = db_i64(cell, 1);
}

static enum err
read_once(struct ctx *cx, struct reader *rd)
{
	struct position since = { 0 }, now;
	struct epochs h;
	struct rows pos, ins, ev, cell;
	enum err e;

	if (rd->text != NULL && !token_decode(cx->a, rd->text, &since))
		return M_UNKNOWN;
	db_begin(cx, TX_RO);
	position_queue(cx, &pos, since.epoch);
	db_queue(cx, &ins, DB_ANY, &t_ins_news, P_POSITION(&since));
	db_queue(cx, &ev, DB_ANY, &t_ev_news, P_POSITION(&since));
	db_queue(cx, &cell, DB_ANY, &t_cell_news, P_POSITION(&since));
	if ((e = db_run(cx)) != M_OK || (e = position_read(cx, &pos, &now, &h)) != M_OK || (e = db_commit(cx)) != M_OK)
		return e;
	rd->lost += token_judge(&since, &now, &h) != TOKEN_GOOD;
	take_rows(rd, &ins, &ev, &cell);
	rd->reads++;
	free(rd->text);
	rd->text = strdup(token_encode(cx->a, &now));
	return M_OK;
}

static void *
reader(void *arg)
{
	struct reader *rd = arg;
	struct ctx *cx = session_on(worker_url);
	unsigned seed = (unsigned)(uintptr_t)arg;
	bool last = false;

	for (;;) {
		bool end = readers_stop;

		session_next(cx);
		if (read_once(cx, rd) == M_OK) {
			if (last)
				break;
			last = end;
		} else {
			db_rollback(cx);
			usleep(5000);
		}
		nap(&seed, 15000);
	}
	session_end(cx);
	return NULL;
}

/* ---- chaos, by the test's own thread */

#define ONE_BACKEND "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'hearth_worker' ORDER BY random() LIMIT 1"

static int
some_backend(void)
{
	PGconn *p = PQconnectdb(c.url);
	PGresult *res = PQexec(p, ONE_BACKEND);
	int pid = PQntuples(res) == 1 ? (int)strtol(PQgetvalue(res, 0, 0), NULL, 10) : 0;

	PQclear(res);
	PQfinish(p);
	return pid;
}

static void
harm(int round)
{
	static const int plan[] = { SIGTERM, 'C', SIGKILL, SIGTERM, 'R', SIGTERM, 'C', SIGKILL, 'C' };
	int what = plan[(size_t)round % (sizeof(plan) / sizeof(*plan))], pid;

	if (what == 'C' || what == 'R') {
		cluster_stop(&c, what == 'C' ? STOP_CRASH : STOP_CLEAN);
		cluster_start(&c);
	} else if ((pid = some_backend()) != 0) {
		kill(pid, what);
	}
}

static PGresult *
final(PGconn *p, const char *q)
{
	PGresult *res = PQexec(p, q);

	cr_assert_eq(PQresultStatus(res), PGRES_TUPLES_OK, "%s", PQerrorMessage(p));
	return res;
}

static int64_t
cellv(PGresult *res, int row, int col)
{
	return strtoll(PQgetvalue(res, row, col), NULL, 10);
}

static void
compare(PGconn *p, struct reader *rd)
{
	PGresult *res = final(p, "SELECT id FROM hearth.ins");
	int i, missed = 0, ghosts = 0;
	unsigned char *there = calloc(IDS, 1);

	for (i = 0; i < PQntuples(res); i++)
		there[cellv(res, i, 0)] = 1;
	PQclear(res);
	for (i = 0; i < IDS; i++) {
		missed += there[i] && !rd->seen[i];
		ghosts += !there[i] && rd->seen[i];
	}
	free(there);
	res = final(p, "SELECT id, n FROM hearth.rm ORDER BY id");
	for (i = 0; i < ROOMS; i++)
		missed += cellv(res, i, 1) != rd->last[i];
	PQclear(res);
	res = final(p, "SELECT v FROM hearth.cell ORDER BY k");
	for (i = 0; i < CELLS; i++)
		missed += cellv(res, i, 0) != rd->cell[i];
	PQclear(res);
	cr_expect_eq(missed, 0, "%d rows missed", missed);
	cr_expect_eq(ghosts, 0, "%d rows seen that are not there", ghosts);
	cr_expect_eq(rd->twice, 0, "%d rows seen twice", rd->twice);
	cr_expect_eq(rd->gaps, 0, "%d times new events were no suffix", rd->gaps);
	cr_expect_eq(rd->lost, 0, "%d tokens judged lost", rd->lost);
	cr_expect_gt(rd->reads, 20);
}

Test(streams, nothing_missed_nothing_twice)
{
	static struct reader readers[READERS];
	pthread_t rt[READERS], wt[WRITERS + PSQLS + LONGS];
	int64_t end, i, n = 0, round = 0;
	PGconn *p;
	PGresult *res;

	log_level_set(LOG_ERROR_ + 1);
	cluster_init(&c);
	p = PQconnectdb(c.url);
	PQclear(PQexec(p, "SET search_path = hearth"));
	res = PQexec(p, TABLES);
	cr_assert_eq(PQresultStatus(res), PGRES_COMMAND_OK, "%s", PQerrorMessage(p));
	PQclear(res);
	PQfinish(p);
	snprintf(worker_url, sizeof(worker_url), "host=%s user=hearth_worker dbname=hearth", c.dir);
	test_conf();	/* made here, before threads would race for it */

	for (i = 0; i < READERS; i++) {
		readers[i].seen = calloc(IDS, 1);
		pthread_create(&rt[i], NULL, reader, &readers[i]);
	}
	for (i = 0; i < WRITERS; i++)
		pthread_create(&wt[n++], NULL, writer, (void *)(uintptr_t)i);
	for (i = 0; i < PSQLS; i++)
		pthread_create(&wt[n++], NULL, psql, (void *)(uintptr_t)i);
	for (i = 0; i < LONGS; i++)
		pthread_create(&wt[n++], NULL, long_writer, (void *)(uintptr_t)i);
	for (end = clock_mono_ms() + RUN_MS; clock_mono_ms() < end;) {
		usleep(CHAOS_MS * 1000);
		harm((int)round++);
	}
	writers_stop = true;
	for (i = 0; i < n; i++)
		pthread_join(wt[i], NULL);
	readers_stop = true;
	for (i = 0; i < READERS; i++)
		pthread_join(rt[i], NULL);

	cr_assert_eq(PQping(c.url), PQPING_OK);
	p = PQconnectdb(c.url);
	for (i = 0; i < READERS; i++)
		compare(p, &readers[i]);
	res = final(p, "SELECT (SELECT count(*) FROM hearth.stream_epoch), (SELECT count(*) FROM hearth.ins), (SELECT count(*) FROM hearth.ev)");
	cr_log_info("%d commits, %d rollbacks, %s epochs, %s + %s rows, %d reads", commits, rollbacks, PQgetvalue(res, 0, 0),
	    PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2), readers[0].reads);
	cr_expect_geq(cellv(res, 0, 0), 4, "epochs");
	cr_expect_gt(cellv(res, 0, 1), 200, "rows");
	cr_expect_lt(next_id, IDS);
	PQclear(res);
	PQfinish(p);
	cluster_free(&c);
}
