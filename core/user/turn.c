/* core/user/turn.c - see turn.h. */
#include "core/user/turn.h"

#include <string.h>

#include "core/base/b64.h"
#include "core/base/conf.h"
#include "core/base/json.h"
#include "core/crypto/crypto.h"

#define SEPARATORS ", \t"

static void
uris_split(struct ctx *cx, const char *s, struct turn *out)
{
	out->uris = arena_calloc(cx->a, strlen(s) + 1, sizeof *out->uris);
	for (s += strspn(s, SEPARATORS); *s != '\0'; s += strspn(s, SEPARATORS)) {
		size_t n = strcspn(s, SEPARATORS);

		out->uris[out->nuris++] = arena_strndup(cx->a, s, n);
		s += n;
	}
}

void
turn_credentials(struct ctx *cx, struct turn *out)
{
	unsigned char mac[SHA1_LEN];
	const char *raw;
	int64_t until;
	size_t n;

	*out = (struct turn){ .ttl = cx->conf->turn_lifetime_s };
	uris_split(cx, cx->conf->turn_uris, out);
	if (out->nuris == 0)
		return;
	until = cx->now / 1000 + out->ttl;
	out->username = arena_printf(cx->a, "%lld:%s", (long long)until, cx->user);
	raw = esc_to_raw(cx->a, out->username, &n);
	hmac_sha1(cx->conf->turn_shared_secret, raw, n, mac);
	out->password = arena_printf(cx->a, "%s=", b64_encode(cx->a, mac, sizeof mac));	/* TURN servers write it padded */
}
