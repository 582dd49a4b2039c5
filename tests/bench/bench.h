/*
 * tests/bench/bench.h - what the scenarios of the bench share (bench.c has their table).
 *
 * Users u1, u2, … have the tokens t1, t2, … (fixture.sql). Rooms are made by HTTP, or filled
 * by the functions of rooms.sql. Each scenario prints lines "name<TAB>value<TAB>unit" that run
 * puts beside their yardsticks. Memory is not given back: the program ends with its scenario.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#include "tests/bench/load.h"

extern struct bench {
	const char *server_name;
	int server_pid;
	int n_args;
	char **args;		/* of the scenario */
	double shrink;		/* BENCH_SHRINK: by what fixtures are smaller than the issue of the figure wants, to try a scenario out */
} bench;

/* ---- figures */

void say(const char *name, double v, const char *unit);
void sayf(double v, const char *unit, const char *name, ...) __attribute__((format(printf, 3, 4)));
/* Sorts v. */
double quantile(double *v, long n, double q);
long arg_long(int i, long dflt);
/* n / shrink, at least least. */
long sized(long n, long least);

/* ---- the server's answers: plain search, for they are ours */

/* The first string member of this name, malloc'ed, or NULL. */
char *member(const char *json, const char *key);
long count_of(const char *text, const char *part);

/* ---- calls */

const char *token(long user);
/* One call after the other, `runs` of them; their seconds, sorted. body NULL: GET. The last answer if answer is not NULL. */
double *ask_times(const char *tok, const char *path, const char *body, long runs, char **answer);
double ask_median_ms(const char *tok, const char *path, const char *body, long runs, char **answer);

/* `lanes` callers, each on a connection of its own, that repeat step() until `want` calls are done or the time is over. */
struct chain {
	int (*step)(struct chain *ch, int lane, long i, char *path, size_t max, const char **token, const char **body, bool *put);
	void (*answer)(struct chain *ch, struct call *c);
	long next, want, failed;
	long done;
	double *took;		/* seconds of each */
	double until;		/* now_s(); 0: no limit */
	void *arg;
};
void chain_run(struct chain *ch, int lanes, long want);

/* done() for calls whose arg is a counter (long) of the good ones. */
void count_done(struct call *c);
/* Drives all calls for so long. */
void drive(double seconds);
/* How many requests wait at the server; and drives all calls until as many do. A minute at most, then the program ends. */
long waiting(void);
void until_waiting(long n);

/* ---- rooms */

extern char **rooms;
extern long nrooms;
/* Fills rooms: n of them, room i made by user first + i % users. */
void make_rooms(long n, long first, long users);
/* One more room of user 1, with a message in it: what rooms.sql copies from. */
char *make_template(void);
/* Users 2 … n join the room, by HTTP. */
void join_all(char *room, long n);
#define CONTENT_500 "{\"msgtype\":\"m.text\",\"body\":\"%0430ld\"}"
void send_one(const char *tok, const char *room, long i);
/* A token of the present, from a sync that shows no rooms. */
char *sync_token(const char *tok);
/* Percent-encodes what room and event ids have of it. */
const char *path_id(const char *id);

/* ---- the database (BENCH_DB), as superuser; a fault ends the program */

char *db_get(const char *sql, ...) __attribute__((format(printf, 1, 2)));	/* first column of the first row, malloc'ed */
long db_list(char ***out, const char *sql, ...) __attribute__((format(printf, 2, 3)));	/* the first column */
/* Median seconds of a statement that is prepared, with all its rows fetched. */
double db_time(long runs, const char *sql);

/* ---- processes of the server: names begin with a or b */

double cpu_of(const char *a, const char *b);		/* seconds */
int pid_of(const char *comm);
double private_dirty(int pid);				/* bytes */
double own_cpu(void);

/* ---- scenarios */

void scenario_sends(void), scenario_latency(void), scenario_members(void);				/* send.c */
void scenario_incremental(void), scenario_initial(void), scenario_week(void);				/* sync.c */
void scenario_fanout(void), scenario_waiting(void), scenario_wakeups(void), scenario_live(void);	/* wait.c */
void scenario_history(void), scenario_reading(void), scenario_create(void), scenario_storage(void);	/* rooms.c */
void scenario_whoami(void), scenario_logins(void), scenario_keys(void);				/* accounts.c */

#endif
