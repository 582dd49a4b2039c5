/*
 * tests/db/harness.h - real PostgreSQL for tests: a fresh, migrated database for each test.
 *
 * The cluster comes from tests/pg-temp (the program calls it by itself when it is
 * run without); main.c migrates a template once, and each test that asks for a
 * session gets a copy of it, dropped after the test.
 *
 *	Test(profile, set_and_get)
 *	{
 *		struct ctx *cx = session();
 *
 *		cr_assert_eq(profile_set(cx, "@a:localhost", "displayname", "\"A\""), M_OK);
 *		cr_assert_str_eq(sql("SELECT value FROM profile"), "\"A\"");
 *	}
 *
 * RACES. Two sessions, one of them in a thread:
 *
 *	struct ctx *a = session(), *b = session();
 *	struct step *s;
 *
 *	db_begin(a, TX_RW); ... (a holds the room's lock)
 *	s = step_start(b, join_room, &arg);
 *	cr_assert(step_waits(s));		(b stands at a's lock)
 *	cr_assert_eq(db_commit(a), M_OK);
 *	cr_assert_eq(step_end(s), M_OK);	(what join_room returned)
 */
#ifndef HEARTH_TESTS_DB_HARNESS_H
#define HEARTH_TESTS_DB_HARNESS_H

#include <criterion/criterion.h>

#include "core/base/conf.h"
#include "core/ctx.h"
#include "core/db/db.h"

/* A session of role hearth_worker on this test's database: arena, connection, settings (server localhost, cheap passwords), a fixed key, the clock. */
struct ctx *session(void);
struct ctx *session_on(const char *conninfo);
/* Starts over as for a new request: arena and what was touched are cleared, the clock is read. */
void session_next(struct ctx *cx);
void session_end(struct ctx *cx);

const char *test_url(const char *user);		/* of this test's database */
const char *test_dbname(void);
const char *test_url_of(const char *user, const char *dbname);
const struct conf *test_conf(void);

/*
 * SQL as an administrator types it, with a printf format, search_path hearth, in a
 * session of its own that stays. Returns the first column of the first row
 * ("" when there is none or it is NULL); an error fails the test.
 */
const char *sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *sql_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* the SQLSTATE, "" when all went well */
long long sql_int(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct step;
struct step *step_start(struct ctx *cx, enum err (*fn)(struct ctx *cx, void *arg), void *arg);
bool step_waits(struct step *s);	/* until it stands at a lock (true) or has ended (false) */
bool step_ended(struct step *s);
enum err step_end(struct step *s);	/* waits for its end; what fn returned */

/* Asks again until it is so, at most 20 seconds. */
#define EVENTUALLY(expr)							\
	__extension__({							\
		int n_ = 0;						\
									\
		while (!(expr) && n_++ < 2000)				\
			test_pause();					\
		n_ < 2000;						\
	})
void test_pause(void);	/* 10 ms, between two looks */

#endif
