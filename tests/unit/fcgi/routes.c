/* tests/unit/fcgi/routes.c - the table against the specification's list of endpoints, and finding rows in it */
#include <criterion/criterion.h>
#include <ctype.h>

#include "fcgi/routes.h"

/* ---- the specification's endpoints: tests/vectors/endpoints.tsv */

struct endpoint {
	char api[16], method[8], path[200], op[80], auth[4], rate[4], guest[4];
};

static size_t
endpoints(struct endpoint *v, size_t max)
{
	FILE *f = fopen("tests/vectors/endpoints.tsv", "re");
	char line[512];
	size_t n = 0;

	cr_assert_not_null(f, "run from the top of the tree");
	while (fgets(line, sizeof(line), f) && n < max)
		if (sscanf(line, "%15s %7s %199s %79s %3s %3s %3s", v[n].api, v[n].method, v[n].path, v[n].op, v[n].auth, v[n].rate,
		    v[n].guest) == 7)
			n++;
	fclose(f);
	return n - 1;	/* the head line is first */
}

static const char *
method_name(enum http_method m)
{
	static const char *const names[] = { "GET", "PUT", "POST", "DELETE" };

	return names[m];
}

static const char *
api_of(const char *path)
{
	return strncmp(path, "/_matrix/federation/", 20) == 0 || strncmp(path, "/_matrix/key/", 13) == 0 ||
	    strcmp(path, "/.well-known/matrix/server") == 0 ? "federation" : "client";
}

static const struct endpoint *
endpoint_of(const struct endpoint *v, size_t n, const struct route *rt)
{
	for (size_t i = 1; i <= n; i++)
		if (strcmp(v[i].op, rt->op) == 0 && strcmp(v[i].api, api_of(rt->path)) == 0 && strcmp(v[i].path, rt->path) == 0 &&
		    strcmp(v[i].method, method_name(rt->method)) == 0)
			return &v[i];
	return NULL;
}

/* Where we let in more than the list says, and why that is right. */
static const char *const more_open[] = {
	"getRoomSummary",	/* "Servers MAY allow unauthenticated access" */
	"joinRoom",		/* what a guest may do by joinRoomById: clients know no other way */
	"queryPublicRooms",	/* a guest may ask the same by GET, without any token */
};

static bool
may_be_more_open(const char *op)
{
	for (size_t i = 0; i < sizeof(more_open) / sizeof(*more_open); i++)
		if (strcmp(more_open[i], op) == 0)
			return true;
	return false;
}

static bool
access_fits(const struct endpoint *e, enum access who)
{
	bool guest = who == GUEST || who == ANYONE || who == MAYBE_USER;

	if (*e->auth == 'n')
		return who == ANYONE || who == MAYBE_USER;
	if (*e->auth == 'o')
		return who == MAYBE_USER || who == ANYONE;
	if (strcmp(e->api, "federation") == 0)
		return true;	/* signed requests: not by these */
	return who != ANYONE && who != MAYBE_USER && (*e->guest == 'y') == guest;
}

Test(routes, are_the_specifications_endpoints)
{
	static struct endpoint v[512];
	size_t n = endpoints(v, 512);

	cr_assert_gt(n, 190);
	for (size_t i = 0; i < nroutes; i++) {
		const struct route *rt = &routes[i];
		const struct endpoint *e;

		if (*rt->op == '\0') {
			for (size_t k = 1; k <= n; k++)
				cr_expect_not(strcmp(v[k].path, rt->path) == 0 && strcmp(v[k].method, method_name(rt->method)) == 0,
				    "%s %s has operationId %s", v[k].method, rt->path, v[k].op);
			continue;
		}
		if ((e = endpoint_of(v, n, rt)) == NULL) {
			cr_expect_fail("%s %s is not %s in the specification", method_name(rt->method), rt->path, rt->op);
			continue;
		}
		cr_expect(access_fits(e, rt->who) || (may_be_more_open(e->op) && rt->who != USER), "%s: who may ask (auth %s, guest %s)", rt->op, e->auth, e->guest);
		cr_expect(*e->rate != 'y' || rt->rate != R_FREE, "%s is rate-limited", rt->op);
	}
}

/* A misspelt one would close to suspended users what they may do. */
Test(routes, open_to_suspended_users_exist)
{
	static struct endpoint v[512];
	size_t n = endpoints(v, 512);

	for (size_t i = 0; i < nroutes_while_suspended; i++) {
		const char *path = routes_while_suspended[i];
		bool known = strncmp(path, "/_matrix/client/unstable/", 25) == 0;

		for (size_t k = 1; k <= n; k++)
			known |= strcmp(v[k].path, path) == 0;
		for (size_t k = 0; k < nroutes; k++)
			known |= strcmp(routes[k].path, path) == 0;
		cr_expect(known, "%s", path);
	}
}

/* The same letters and digits, whatever stands between. */
static bool
same_letters(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '_')
			a++;
		while (*b == '_')
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
	}
}

/* Handlers are named cl_ or fed_ + the operationId, so that the specification greps to the code. */
Test(routes, handlers_are_named_after_operation_ids)
{
	FILE *f = fopen("fcgi/routes.c", "re");
	char line[512], handler[80], op[80];
	static char seen[512][80];
	size_t n = 0;

	cr_assert_not_null(f, "run from the top of the tree");
	while (fgets(line, sizeof(line), f)) {
		char *p = strchr(line, '{'), *q = strrchr(line, '"'), *h;

		if (!p || !strstr(line, "TX_") || !q)
			continue;
		*q = '\0';
		cr_assert_not_null(q = strrchr(line, '"'));
		snprintf(op, sizeof(op), "%s", q + 1);
		*q = '\0';
		*strrchr(line, ',') = '\0';
		h = strrchr(line, ',') + 1;
		snprintf(handler, sizeof(handler), "%s", h + strspn(h, " \t"));
		for (size_t i = 0; i < n; i++)
			cr_expect_str_neq(seen[i], handler);
		snprintf(seen[n++], sizeof(*seen), "%s", handler);
		if (*op == '\0')
			continue;
		cr_expect(strncmp(handler, "cl_", 3) == 0 || strncmp(handler, "fed_", 4) == 0, "%s", handler);
		cr_expect(same_letters(strchr(handler, '_'), op), "%s is not %s", handler, op);
	}
	fclose(f);
	cr_expect_eq(n, nroutes);
}

Test(routes, bodies_are_read_where_one_is_sent)
{
	for (size_t i = 0; i < nroutes; i++) {
		if (routes[i].method == HTTP_GET)
			cr_expect_eq(routes[i].body_max, 0, "%s", routes[i].path);
		if (routes[i].method == HTTP_PUT || routes[i].method == HTTP_POST)
			cr_expect_gt(routes[i].body_max, 0, "%s", routes[i].path);
	}
}

/* ---- finding */

static struct req r;

static enum err
find(enum http_method m, const char *path)
{
	routes_init();
	arena_free(r.cx.a);
	memset(&r, 0, sizeof(r));
	r.cx.a = arena_new();
	r.method = m;
	return route_find(&r, path, strlen(path));
}

#define SEND "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}"
#define STATE "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}"

Test(route_find, gives_row_and_parameters)
{
	cr_assert_eq(find(HTTP_PUT, "/_matrix/client/v3/rooms/!r:x/send/m.room.message/1"), M_OK);
	cr_expect_str_eq(r.route->path, SEND);
	cr_expect_eq(r.nparams, 3);
	cr_expect_str_eq(req_param(&r, "roomId"), "!r:x");
	cr_expect_str_eq(req_param(&r, "eventType"), "m.room.message");
	cr_expect_str_eq(req_param(&r, "txnId"), "1");
}

Test(route_find, splits_before_it_decodes)
{
	cr_assert_eq(find(HTTP_PUT, "/_matrix/client/v3/rooms/%21r%2Fq%3ax/send/a%2fb/%252F+%C3%A4"), M_OK);
	cr_expect_str_eq(req_param(&r, "roomId"), "!r/q:x");
	cr_expect_str_eq(req_param(&r, "eventType"), "a/b");
	cr_expect_str_eq(req_param(&r, "txnId"), "%2F+\xc3\xa4");
	/* a literal segment may be encoded too */
	cr_expect_eq(find(HTTP_GET, "/%5fmatrix/client/v%33/sync"), M_OK);
	/* but a slash within a segment is no separator */
	cr_expect_eq(find(HTTP_GET, "/_matrix%2Fclient/v3/sync"), M_UNRECOGNIZED);
}

Test(route_find, parameters_are_esc_strings)
{
	cr_assert_eq(find(HTTP_PUT, "/_matrix/client/v3/rooms/!r:x/send/a%22b%5C/1"), M_OK);
	cr_expect_str_eq(req_param(&r, "eventType"), "a\\\"b\\\\");
}

Test(route_find, refuses_what_cannot_be_text)
{
	static const char *const bad[] = { "%", "%4", "%zz", "%00", "a%00b", "%ff", "%c0%af", "%ed%a0%80", "%f4%90%80%80", "\xff" };
	char path[200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/send/t/1", bad[i]);
		cr_expect_eq(find(HTTP_PUT, path), E_BAD_REQUEST, "%s", bad[i]);
	}
}

Test(route_find, r0_is_v3)
{
	cr_assert_eq(find(HTTP_PUT, "/_matrix/client/r0/rooms/!r:x/send/m.room.message/1"), M_OK);
	cr_expect_str_eq(r.route->path, SEND);
	cr_expect_eq(find(HTTP_GET, "/_matrix/client/r0/versions"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_GET, "/_matrix/client/r0"), M_UNRECOGNIZED);
}

Test(route_find, every_v3_row_has_its_r0_form)
{
	struct arena *a = arena_new();
	size_t n = 0;

	for (size_t i = 0; i < nroutes; i++) {
		bool new = false;
		const char *path;

		for (size_t k = 0; k < nroutes_not_r0; k++)
			new |= strcmp(routes_not_r0[k], routes[i].path) == 0;
		if (strncmp(routes[i].path, "/_matrix/client/v3/", 19) != 0 || routes[i].method == HTTP_OTHER)
			continue;
		path = arena_printf(a, "/_matrix/client/r0/%s", routes[i].path + 19);
		cr_expect_eq(find(routes[i].method, path), new ? M_UNRECOGNIZED : M_OK, "%s", path);
		if (!new)
			cr_expect_eq(r.route, &routes[i], "%s", path);
		n++;
	}
	cr_expect_gt(n, 20);
	arena_free(a);
}

Test(route_find, empty_state_key)
{
	cr_assert_eq(find(HTTP_GET, "/_matrix/client/v3/rooms/!r:x/state/m.room.name/"), M_OK);
	cr_expect_str_eq(r.route->path, STATE);
	cr_expect_str_eq(req_param(&r, "stateKey"), "");
	cr_assert_eq(find(HTTP_PUT, "/_matrix/client/v3/rooms/!r:x/state/m.room.name"), M_OK);
	cr_expect_str_eq(r.route->path, STATE);
	cr_expect_str_eq(req_param(&r, "eventType"), "m.room.name");
	cr_expect_str_eq(req_param(&r, "stateKey"), "");
	cr_assert_eq(find(HTTP_GET, "/_matrix/client/r0/rooms/!r:x/state/m.room.name"), M_OK);
	cr_assert_eq(find(HTTP_GET, "/_matrix/client/v3/rooms/!r:x/state/m.room.member/@a:x"), M_OK);
	cr_expect_str_eq(req_param(&r, "stateKey"), "@a:x");
}

Test(route_find, nothing_else_may_be_empty)
{
	cr_expect_eq(find(HTTP_PUT, "/_matrix/client/v3/rooms//send/t/1"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_PUT, "/_matrix/client/v3/rooms/!r:x/send/t/"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_GET, "/_matrix/client/v3/rooms/!r:x/state//k"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_GET, "/_matrix/client/v3/sync/"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_GET, "//_matrix/client/v3/sync"), M_UNRECOGNIZED);
}

Test(route_find, unknown_path_or_wrong_method)
{
	cr_expect_eq(find(HTTP_GET, "/"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_GET, ""), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_GET, "*"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_GET, "/_matrix/client/v3/no/such"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_GET, "/_matrix/client/v2/sync"), M_UNRECOGNIZED);
	cr_expect_eq(find(HTTP_POST, "/_matrix/client/v3/sync"), E_BAD_METHOD);
	cr_expect_eq(find(HTTP_OTHER, "/_matrix/client/v3/sync"), E_BAD_METHOD);
	cr_expect_eq(find(HTTP_DELETE, "/_matrix/client/v3/rooms/!r:x/state/t/k"), E_BAD_METHOD);
}

/* More segments than any row has. */
Test(route_find, long_paths)
{
	char path[4096] = "";

	for (size_t i = 0; i + 2 < sizeof(path); i += 2)
		memcpy(path + i, "/a", 3);
	cr_expect_eq(find(HTTP_GET, path), M_UNRECOGNIZED);
}
