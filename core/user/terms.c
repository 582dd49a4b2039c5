/* core/user/terms.c - consent; see terms.h. */
#include "core/user/terms.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/db/db.h"

STMT(terms_consent_insert,
    "INSERT INTO terms_consent (usr, policy, version, ts) SELECT $1, p, v, $4 FROM unnest($2::text[], $3::text[]) AS t(p, v)"
    " ON CONFLICT DO NOTHING");

const char *
terms_current(const struct conf *conf)
{
	return conf->terms != NULL && *conf->terms != '\0' ? conf->terms : NULL;
}

void
terms_consent(struct ctx *cx, int64_t usr, const char *policies)
{
	const char **ids, **versions;
	struct json *v;
	size_t n;

	if (json_parse(cx->a, policies, strlen(policies), &v) != JSON_OK || !json_is(v, JSON_OBJ))
		return;		/* it was checked when the settings were read */
	n = v->u.obj.n;
	ids = arena_calloc(cx->a, n, sizeof *ids);
	versions = arena_calloc(cx->a, n, sizeof *versions);
	for (size_t i = 0; i < n; i++) {
		ids[i] = v->u.obj.v[i].key;
		versions[i] = json_get_str(v->u.obj.v[i].value, "version");
	}
	db_queue(cx, NULL, DB_NONE, &terms_consent_insert, P_I64(usr), P_TEXTS(ids, n), P_TEXTS(versions, n), P_I64(cx->now));
}
