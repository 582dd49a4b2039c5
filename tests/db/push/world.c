/* tests/db/push/world.c - see world.h. */
#include "tests/db/push/world.h"

const struct conf *
push_conf(void)
{
	static struct conf conf;

	if (conf.database_url == NULL) {
		conf = *test_conf();
		conf.outgoing_allow = "127.0.0.0/8";
		conf.outgoing_http = true;
		conf.push_timeout_ms = 200;
	}
	return &conf;
}

struct worker *
worker(void)
{
	struct worker *w = calloc(1, sizeof *w);

	cr_assert_not_null(w);
	w->cx = session();
	w->cx->conf = push_conf();
	w->http = http_new(push_conf());
	w->d = delivery_new(w->cx, w->http, &w->n);
	return w;
}

void
until_ended(struct worker *w)
{
	while (delivery_running(w->d) > 0)
		http_wait(w->http, NULL, 0, 100);
}

long long
pusher_at(struct ctx *cx, const char *key, const char *url)
{
	const char *body = arena_printf(cx->a, "{\"kind\":\"http\",\"app_id\":\"app\",\"pushkey\":\"%s\",\"app_display_name\":\"A\","
	    "\"device_display_name\":\"D\",\"lang\":\"en\",\"append\":true,\"data\":{\"url\":\"%s\"}}", key, url);

	cx->conf = push_conf();
	OK(cx, TX_RW, pusher_set(cx, parse(cx, body)));
	return sql_int("SELECT nid FROM pusher WHERE usr = %lld AND pushkey = '%s'", (long long)cx->user_nid, key);
}

long long
pusher_of(struct ctx *cx, const char *key)
{
	return pusher_at(cx, key, "http://127.0.0.1:1/_matrix/push/v1/notify");
}

struct feed_look
look(struct ctx *cx)
{
	struct feed_look out;

	session_next(cx);
	cr_assert_eq(push_feed_look(cx, &out), M_OK);
	return out;
}

int
look_all(struct ctx *cx)
{
	int n = 1;

	while (look(cx).more)
		n++;
	return n;
}

const char *
waiting(long long pusher)
{
	return sql("SELECT string_agg(coalesce(e.content::jsonb ->> 'body', n.body), ' ' ORDER BY p.nid) FROM push p"
	    " JOIN event e ON e.nid = p.event JOIN name n ON n.nid = e.type WHERE p.pusher = %lld", pusher);
}
