/* tests/db/db/statements.c - every statement of the program is prepared against the migrated schema. */
#include <libpq-fe.h>

#include "core/room/names.h"
#include "tests/db/harness.h"

#define NAME_MAX_BYTES 63	/* PostgreSQL cuts longer ones, and then they collide */

TestSuite(statements);

/* The greatest $n outside of quotes: a number left out would shift what callers give. */
static int
params_of(const char *s)
{
	int max = 0;
	bool quoted = false;

	for (; *s != '\0'; s++) {
		if (*s == '\'')
			quoted = !quoted;
		if (*s == '$' && !quoted && strtol(s + 1, NULL, 10) > max)
			max = (int)strtol(s + 1, NULL, 10);
	}
	return max;
}

Test(statements, all_prepare)
{
	PGconn *c = PQconnectdb(test_url("hearth_worker"));
	const struct stmt *const *p;
	int n = 0, bad = 0;

	PQclear(PQexec(c, "SET search_path = hearth"));
	// cppcheck-suppress comparePointers
	for (p = __start_stmts; p < __stop_stmts; p++, n++) {
		PGresult *res = PQprepare(c, (*p)->name, (*p)->sql, 0, NULL), *d;

		if (PQresultStatus(res) != PGRES_COMMAND_OK) {
			cr_log_error("%s: %s", (*p)->name, PQerrorMessage(c));
			bad++;
		} else {
			d = PQdescribePrepared(c, (*p)->name);
			if (PQnparams(d) != params_of((*p)->sql)) {
				cr_log_error("%s: %d parameters, %d in the text", (*p)->name, PQnparams(d), params_of((*p)->sql));
				bad++;
			}
			PQclear(d);
		}
		PQclear(res);
	}
	cr_assert_gt(n, 5);
	cr_assert_eq(bad, 0, "%d of %d statements do not prepare", bad, n);
	PQfinish(c);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(const struct stmt *const *)a)->name, (*(const struct stmt *const *)b)->name);
}

Test(statements, names_are_unique_and_short)
{
	// cppcheck-suppress comparePointers
	size_t n = (size_t)(__stop_stmts - __start_stmts), i;
	const struct stmt **v = calloc(n, sizeof(*v));

	memcpy(v, __start_stmts, n * sizeof(*v));
	qsort(v, n, sizeof(*v), by_name);
	for (i = 0; i < n; i++) {
		cr_expect_leq(strlen(v[i]->name), NAME_MAX_BYTES, "%s", v[i]->name);
		cr_expect(i == 0 || strcmp(v[i]->name, v[i - 1]->name) != 0, "two are called %s", v[i]->name);
	}
	free(v);
}

/* core/room/names.h, names.c and the migrations list the same. */
Test(statements, names_table)
{
	static const struct {
		int nid;
		const char *body;
	} v[] = { { NAME_EMPTY, "" }, { T_CREATE, "m.room.create" }, { T_MEMBER, "m.room.member" },
		{ T_POWER_LEVELS, "m.room.power_levels" }, { T_JOIN_RULES, "m.room.join_rules" },
		{ T_HISTORY_VISIBILITY, "m.room.history_visibility" }, { T_GUEST_ACCESS, "m.room.guest_access" },
		{ T_NAME, "m.room.name" }, { T_TOPIC, "m.room.topic" }, { T_AVATAR, "m.room.avatar" },
		{ T_CANONICAL_ALIAS, "m.room.canonical_alias" }, { T_ENCRYPTION, "m.room.encryption" },
		{ T_TOMBSTONE, "m.room.tombstone" }, { T_THIRD_PARTY_INVITE, "m.room.third_party_invite" },
		{ T_SERVER_ACL, "m.room.server_acl" }, { T_PINNED_EVENTS, "m.room.pinned_events" }, { T_MESSAGE, "m.room.message" },
		{ T_ENCRYPTED, "m.room.encrypted" }, { T_REDACTION, "m.room.redaction" }, { T_REACTION, "m.reaction" },
		{ T_SPACE_CHILD, "m.space.child" }, { T_SPACE_PARENT, "m.space.parent" }, { T_ALIASES, "m.room.aliases" },
		{ T_STICKER, "m.sticker" }, { T_POLICY, "m.room.policy" },
		{ REL_ANNOTATION, "m.annotation" }, { REL_REPLACE, "m.replace" }, { REL_THREAD, "m.thread" },
		{ REL_REFERENCE, "m.reference" } };
	size_t i;

	cr_assert_eq(sizeof(v) / sizeof(*v), NAME_WELL_KNOWN);
	for (i = 0; i < sizeof(v) / sizeof(*v); i++) {
		cr_expect_str_eq(name_well_known(v[i].nid), v[i].body);
		cr_expect_str_eq(sql("SELECT body FROM name WHERE nid = %d", v[i].nid), v[i].body);
	}
	cr_assert_eq(sql_int("SELECT count(*) FROM name WHERE nid < 1000"), NAME_WELL_KNOWN);
	cr_assert_geq(sql_int("INSERT INTO name (body) VALUES ('x') RETURNING nid"), 1000);
}
