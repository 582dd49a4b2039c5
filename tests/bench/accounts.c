/* tests/bench/accounts.c - authentication, logging in, keys. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- an authenticated request beside one that is not ---- */

void
scenario_whoami(void)
{
	enum { N = 2000 };
	static double took[2][N];
	static const char *const path[2] = { "/_matrix/client/versions", "/_matrix/client/v3/account/whoami" };

	for (int i = -100; i < N; i++)		/* the first hundred warm up */
		for (int k = 0; k < 2; k++) {
			double t = now_s();

			free(load_ask(k ? token(1) : NULL, path[k], NULL, false));
			if (i >= 0)
				took[k][i] = now_s() - t;
		}
	say("versions_p50", quantile(took[0], N, 0.5) * 1e3, "ms");
	say("whoami_p50", quantile(took[1], N, 0.5) * 1e3, "ms");
}

/* ---- 100 logins at once; messages go on ---- */

struct logins {
	long wanted, done, refused;
};

static int
step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	static char content[64][1024];

	snprintf(path, max, "/_matrix/client/v3/rooms/%s/send/m.room.message/l%ld.%.0f", rooms[lane], i, now_s() * 1e6);
	snprintf(content[lane], sizeof(content[lane]), CONTENT_500, i);
	*tok = token(1 + lane);
	*body = content[lane];
	*put = true;
	return 1;
}

static void
login_done(struct call *c)
{
	struct logins *l = c->arg;

	l->done++;
	if (c->status != 200 && l->refused++ == 0)
		fprintf(stderr, "bench: a login got HTTP %ld: %.200s\n", c->status, c->body ? c->body : "");
}

static void
end_with_logins(struct chain *ch, struct call *c)
{
	const struct logins *l = ch->arg;

	(void)c;
	if (l != NULL && l->done == l->wanted)
		ch->until = now_s();
}

/* Four senders, one message after the other each, for so long or until the logins are done: p99 in ms. */
static double
senders(double seconds, struct logins *l, double *per_s)
{
	struct chain ch = { .step = step, .answer = end_with_logins, .arg = l, .until = now_s() + seconds };
	double t = now_s(), p99;

	chain_run(&ch, 4, 1000000);
	*per_s = (double)ch.done / (now_s() - t);
	p99 = quantile(ch.took, ch.done, 0.99) * 1e3;
	free(ch.took);
	return p99;
}

void
scenario_logins(void)
{
	struct logins l = { sized(100, 4), 0, 0 };
	double per_s, t;
	char body[256];

	free(load_ask(NULL, "/_matrix/client/v3/register",
	    "{\"username\":\"pattern\",\"password\":\"a pass phrase\",\"auth\":{\"type\":\"m.login.dummy\"}}", false));
	free(db_get("UPDATE account SET password_hash = (SELECT password_hash FROM account WHERE localpart = 'pattern')"
	    " WHERE localpart ~ '^u[0-9]+$'"));
	make_rooms(4, 1, 4);
	senders(1, NULL, &per_s);
	say("sends_p99_without_logins", senders(5, NULL, &per_s), "ms");
	say("sends_per_s_without_logins", per_s, "1/s");
	t = now_s();
	for (long i = 0; i < l.wanted; i++) {
		snprintf(body, sizeof(body), "{\"type\":\"m.login.password\",\"identifier\":{\"type\":\"m.id.user\",\"user\":\"u%ld\"},"
		    "\"password\":\"a pass phrase\"}", 5 + i);
		load_call(LOAD_STREAM, 0, NULL, "/_matrix/client/v3/login", body, false, login_done, &l, i);
	}
	say("sends_p99_with_logins", senders(60, &l, &per_s), "ms");
	say("sends_per_s_with_logins", per_s, "1/s");
	load_run(&l.done, l.wanted, 60);
	say("logins_done", (double)(l.done - l.refused), "");
	say("logins_all_after", now_s() - t, "s");
}

/* ---- keys of a thousand users and devices ---- */

/* {"<member>": {"@u2:server": <value>, …}} of n users */
static char *
users_body(const char *name, const char *value, long n)
{
	size_t max = 64 + (size_t)n * (64 + strlen(value)), at;
	char *b = malloc(max);

	at = (size_t)snprintf(b, max, "{\"%s\":{", name);
	for (long i = 0; i < n; i++)
		at += (size_t)snprintf(b + at, max - at, "%s\"@u%ld:%s\":%s", i ? "," : "", 2 + i, bench.server_name, value);
	snprintf(b + at, max - at, "}}");
	return b;
}

void
scenario_keys(void)
{
	static const char query[] = "/_matrix/client/v3/keys/query", claim[] = "/_matrix/client/v3/keys/claim";
	long n = sized(1000, 20), few = n / 10, runs = 10;
	char *answer;

	free(db_get("SELECT bench.keys(2, %ld, 5, %ld)", n, 3 * runs));
	free(db_get("ANALYZE"));
	ask_median_ms(token(1), query, users_body("device_keys", "[]", n), 3, NULL);
	say("query_many", ask_median_ms(token(1), query, users_body("device_keys", "[]", n), runs, &answer), "ms");
	say("query_devices", (double)count_of(answer, "\"device_id\""), "");
	say("query_few", ask_median_ms(token(1), query, users_body("device_keys", "[]", few), runs, NULL), "ms");
	say("query_bare", db_time(runs, "SELECT n.body, d.device_id, d.display_name, k.body, s.signer_key, s.signature FROM name n JOIN device d ON d.usr = n.nid"
	    " JOIN device_key k ON k.device = d.nid JOIN key_signature s ON s.usr = d.usr AND s.key = d.device_id"
	    " UNION ALL SELECT n.body, c.public, NULL, c.body, NULL, NULL FROM name n JOIN cross_signing_key c ON c.usr = n.nid") * 1e3, "ms");
	say("claim_many", ask_median_ms(token(1), claim, users_body("one_time_keys", "{\"DEVICE1\":\"signed_curve25519\"}", n), runs, &answer), "ms");
	say("claim_devices", (double)count_of(answer, "\"DEVICE1\""), "");
	say("claim_few", ask_median_ms(token(1), claim, users_body("one_time_keys", "{\"DEVICE2\":\"signed_curve25519\"}", few), runs, NULL), "ms");
}
