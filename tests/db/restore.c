/*
 * tests/db/restore.c - what becomes of tokens when the database is stopped, crashes, or is put back from
 * somewhere: they go on where nothing they had seen was lost, and are judged lost where it was.
 */
#include <signal.h>

#include "core/base/log.h"
#include "core/sync/token.h"
#include "tests/db/cluster.h"
#include "tests/db/harness.h"

static struct cluster c;
static struct ctx *cx;
static struct arena *keep;

STMT(t_news, "SELECT type, pos FROM account_data WHERE pos >= $1 OR pos = ANY($2) ORDER BY type");
STMT(t_pos, "SELECT pos FROM account_data WHERE type = $1");
STMT(t_write, "INSERT INTO account_data (usr, type, content) VALUES (0, $1, '{}')");

#define OK(e) cr_assert_eq((e), M_OK)

static void
use(struct cluster *cl)
{
	if (cx != NULL)
		session_end(cx);
	cx = session_on(cl->url);
}

/* The server as a worker meets it: it may have been restarted since. */
static const char *
token_now(void)
{
	struct position p;

	session_next(cx);
	db_begin(cx, TX_RO);
	OK(position_now(cx, &p, NULL, 0));
	OK(db_commit(cx));
	return arena_strdup(keep, token_encode(cx->a, &p));
}

static enum token_state
judge(const char *token)
{
	struct position p, now;
	struct epochs h;

	session_next(cx);
	cr_assert(token_decode(cx->a, token, &p));
	db_begin(cx, TX_RO);
	OK(position_now(cx, &now, &h, p.epoch));
	OK(db_commit(cx));
	return token_judge(&p, &now, &h);
}

/* The types of the rows new for the token, with spaces between. */
static const char *
news(const char *token)
{
	struct position p;
	struct rows r;
	const char *s = "";

	session_next(cx);
	cr_assert(token_decode(cx->a, token, &p));
	OK(db_query(cx, &r, &t_news, P_POSITION(&p)));
	while (db_next(&r))
		s = arena_printf(cx->a, "%s%s%s", s, *s != '\0' ? " " : "", db_text(&r, 0));
	return s;
}

static void
write_row(const char *type)
{
	session_next(cx);
	OK(db_exec(cx, NULL, &t_write, P_TEXT(type)));
}

static const char *
row_pos(const char *type)
{
	struct rows r;

	OK(db_row(cx, &r, &t_pos, P_TEXT(type)));
	return db_text(&r, 0);
}

static void
setup(void)
{
	log_level_set(LOG_ERROR_ + 1);
	keep = arena_new();
	cluster_init(&c);
	cluster_shell(&c, "psql -Xq hearth -c \"INSERT INTO hearth.account (usr, localpart, created_ts) VALUES (0, 'x', 0)\"");
	use(&c);
	write_row("old");
}

static void
teardown(void)
{
	session_end(cx);
	cluster_free(&c);
}

TestSuite(restore, .init = setup, .fini = teardown);

Test(restore, stopped_started_and_crashed)
{
	const char *t[4];
	int i;

	t[0] = token_now();
	write_row("a");
	cluster_stop(&c, STOP_CLEAN);
	cluster_start(&c);
	t[1] = token_now();
	write_row("b");
	cluster_stop(&c, STOP_CRASH);
	cluster_start(&c);
	t[2] = token_now();
	write_row("c");
	/* a backend killed outright takes the others down, the postmaster stays */
	kill(db_backend_pid(cx->db), SIGKILL);
	cr_assert(EVENTUALLY(db_exec(cx, NULL, &t_write, P_TEXT("d")) == M_OK));
	t[3] = token_now();
	for (i = 0; i < 4; i++)
		cr_assert_eq(judge(t[i]), TOKEN_GOOD, "token %d", i);
	cr_assert_str_eq(news(t[0]), "a b c d");
	cr_assert_str_eq(news(t[1]), "b c d");
	cr_assert_str_eq(news(t[2]), "c d");
	cr_assert_str_eq(news(t[3]), "");
}

#define XID(pos) ((pos) & (((int64_t)1 << POS_XID_BITS) - 1))

/*
 * Ids whose WAL never reached the disk come again after a crash: the row written then has an id that the
 * token had seen the end of. Only the epoch tells.
 */
Test(restore, transaction_ids_that_come_again)
{
	struct position p;
	int64_t xid = INT64_MAX;
	const char *t, *type;
	int try;

	cluster_shell(&c, "psql -Xq postgres -c \"ALTER SYSTEM SET wal_writer_delay = '10s'\" -c 'SELECT pg_reload_conf()' >/dev/null");
	for (try = 0; try < 10; try++) {
		cluster_shell(&c, "for i in $(seq 300); do echo 'BEGIN; SELECT pg_current_xact_id(); ROLLBACK;'; done | psql -Xq hearth >/dev/null");
		t = token_now();
		cr_assert(token_decode(keep, t, &p));
		kill(db_backend_pid(cx->db), SIGKILL);
		type = arena_printf(keep, "again%d", try);
		cr_assert(EVENTUALLY(db_exec(cx, NULL, &t_write, P_TEXT(type)) == M_OK));
		cr_assert_eq(judge(t), TOKEN_GOOD);
		cr_assert_str_eq(news(t), type);
		xid = strtoll(row_pos(type), NULL, 10);
		if (XID(xid) < XID(p.xmax))
			break;
	}
	cr_assert_lt(XID(xid), XID(p.xmax), "no id came again");
}

/* The administrator's first statement after a restart is what makes the epoch. */
Test(restore, psql_first_after_a_restart)
{
	const char *t = token_now();

	cluster_stop(&c, STOP_CRASH);
	cluster_start(&c);
	cluster_shell(&c, "psql -Xq hearth -c \"INSERT INTO hearth.account_data (usr, type, content) VALUES (0, 'psql', '{}')\"");
	cr_assert_eq(judge(t), TOKEN_GOOD);
	cr_assert_str_eq(news(t), "psql");
	t = token_now();
	cluster_shell(&c, "psql -Xq hearth -c \"UPDATE hearth.account_data SET content = '{\\\"a\\\":1}' WHERE type = 'old'\"");
	cr_assert_str_eq(news(t), "old", "an UPDATE by hand is news");
}

/* The transaction that made the epoch is rolled back: the next writer makes it again. */
Test(restore, epoch_rolled_back)
{
	cluster_stop(&c, STOP_CRASH);
	cluster_start(&c);
	cluster_shell(&c, "psql -Xq -v ON_ERROR_STOP=1 hearth -c 'BEGIN' -c 'SELECT hearth.stream_pos()' -c 'ROLLBACK'"
	    " -c \"INSERT INTO hearth.account_data (usr, type, content) VALUES (0, 'after', '{}')\""
	    " -c \"SELECT 1 / (pos >> 42 = (SELECT max(epoch) FROM hearth.stream_epoch))::int FROM hearth.account_data WHERE type = 'after'\" >/dev/null");
	cr_assert_str_eq(news(token_now()), "");
}

Test(restore, copy_of_the_stopped_cluster_put_back)
{
	const char *before, *after, *later;

	before = token_now();
	cluster_stop(&c, STOP_CLEAN);
	cluster_keep_copy(&c);
	cluster_start(&c);
	after = token_now();		/* nothing was written since, but another life was seen */
	write_row("gone");
	later = token_now();
	cluster_stop(&c, STOP_CLEAN);
	cluster_put_back(&c);
	cluster_start(&c);
	write_row("new");
	cr_assert_eq(judge(before), TOKEN_GOOD);
	cr_assert_str_eq(news(before), "new");
	cr_assert_eq(judge(after), TOKEN_LOST);
	cr_assert_eq(judge(later), TOKEN_LOST);
}

Test(restore, base_backup_put_back)
{
	struct cluster b;
	const char *before = token_now(), *after;

	cluster_init_backup(&b, &c, false);
	write_row("gone");
	after = token_now();
	cluster_start(&b);
	use(&b);
	cr_assert_eq(judge(before), TOKEN_GOOD);
	cr_assert_eq(judge(after), TOKEN_LOST);
	/* also when much was written before the first look at it */
	cluster_stop(&b, STOP_CRASH);
	cluster_start(&b);
	cluster_shell(&b, "psql -Xq postgres -c 'CREATE TABLE much AS SELECT generate_series(1, 100000)'");
	cr_assert_eq(judge(after), TOKEN_LOST);
	cr_assert_eq(judge(before), TOKEN_GOOD);
	cluster_stop(&b, STOP_CRASH);
	use(&c);
	cluster_free(&b);
}

/* The files of a running server, as a snapshot of the disk has them: here of the moment of a crash. */
Test(restore, snapshot_of_the_disk_put_back)
{
	const char *before = token_now(), *after;

	cluster_stop(&c, STOP_CRASH);
	cluster_keep_copy(&c);
	cluster_start(&c);
	write_row("gone");
	after = token_now();
	cluster_stop(&c, STOP_CRASH);
	cluster_put_back(&c);
	cluster_start(&c);
	cr_assert_eq(judge(before), TOKEN_GOOD);
	cr_assert_eq(judge(after), TOKEN_LOST);
}

/* A snapshot within one life: the tokens after it are of the same epoch, told by the WAL position alone. */
Test(restore, snapshot_within_an_epoch)
{
	const char *before = token_now(), *after;

	/* nothing else runs, so copying one file after the other does as well as a snapshot */
	cluster_shell(&c, "psql -Xq postgres -c CHECKPOINT");
	cluster_shell(&c, "cp -a data copy; rm copy/postmaster.pid");
	write_row("gone");
	after = token_now();
	cluster_stop(&c, STOP_CRASH);
	cluster_put_back(&c);
	cluster_start(&c);
	cr_assert_eq(judge(before), TOKEN_GOOD);
	cr_assert_eq(judge(after), TOKEN_LOST);
}

Test(restore, dump_into_a_new_cluster)
{
	struct cluster n;
	const char *before = token_now(), *fresh;

	cluster_shell(&c, "pg_dump -Fc hearth >dump; chmod 644 dump");
	cluster_init_new(&n);
	cluster_shell(&n, "dropdb hearth; createdb hearth; pg_restore -d hearth %s/dump", c.dir);
	use(&n);
	cr_assert_eq(judge(before), TOKEN_LOST);
	fresh = token_now();
	write_row("new");
	cr_assert_eq(judge(fresh), TOKEN_GOOD);
	cr_assert_str_eq(news(fresh), "new");
	use(&c);
	cluster_free(&n);
}

/* The usual way back: the same cluster, the database dropped and made again, or only its tables. */
Test(restore, dump_into_the_same_cluster)
{
	const char *before = token_now(), *after, *fresh;

	cluster_shell(&c, "pg_dump -Fc hearth >dump");
	write_row("gone");
	after = token_now();
	session_end(cx);
	cx = NULL;
	cluster_shell(&c, "dropdb hearth; createdb hearth; pg_restore -d hearth dump");
	use(&c);
	cr_assert_eq(judge(after), TOKEN_LOST);
	cr_assert_eq(judge(before), TOKEN_LOST, "of a dump nobody can say how old it is");
	write_row("gone too");
	fresh = token_now();
	cr_assert_eq(judge(fresh), TOKEN_GOOD);
	cluster_shell(&c, "pg_restore --clean -d hearth dump");
	use(&c);
	cr_assert_eq(judge(fresh), TOKEN_LOST);
	cr_assert_eq(judge(token_now()), TOKEN_GOOD);
}

Test(restore, promoted_standby)
{
	struct cluster s;
	const char *before = token_now(), *at_once;
	struct rows r;

	cluster_init_backup(&s, &c, true);
	cluster_start(&s);
	write_row("a");
	at_once = token_now();
	use(&s);
	/* a standby is no place to take positions from */
	cr_assert_eq(db_query(cx, &r, &t_news, P_I64(0), P_I64S(NULL, 0)), E_UNAVAILABLE);
	cluster_shell(&s, "until psql -XqAt hearth -c \"SELECT type FROM hearth.account_data\" | grep -qx a; do sleep 0.05; done");
	cluster_stop(&c, STOP_CRASH);
	cluster_shell(&s, "pg_ctl promote -D data >/dev/null; until psql -XqAt hearth -c 'SELECT pg_is_in_recovery()' | grep -qx f; do sleep 0.05; done");
	use(&s);
	cr_assert_eq(judge(before), TOKEN_GOOD);
	cr_assert_eq(judge(at_once), TOKEN_GOOD);
	write_row("b");
	cr_assert_str_eq(news(before), "a b");
	cr_assert_str_eq(news(at_once), "b");
	cluster_stop(&s, STOP_CRASH);
	cluster_start(&c);
	use(&c);
	cluster_free(&s);
}
