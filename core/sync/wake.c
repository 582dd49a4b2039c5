/* core/sync/wake.c - telling the park process what a transaction touched; see wake.h. */
#include "core/sync/wake.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int wake_fd = -1;

void
wake_setup(int fd)
{
	wake_fd = fd;
}

static void
flush(const int64_t *keys, size_t n)
{
	if (n > 0)
		(void)!send(wake_fd, keys, n * sizeof(*keys), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
wake_send(const struct touched *t)
{
	int64_t keys[WAKE_DATAGRAM_KEYS];
	size_t n = 0;

	if (wake_fd < 0)
		return;
	for (size_t i = 0; i < t->nusers + t->nrooms; i++) {
		keys[n++] = i < t->nusers ? WAKE_USER(t->users[i]) : WAKE_ROOM(t->rooms[i - t->nusers]);
		if (n == WAKE_DATAGRAM_KEYS) {
			flush(keys, n);
			n = 0;
		}
	}
	flush(keys, n);
}

size_t
wake_payload(char *out, const char *container, const int64_t *keys, size_t n)
{
	int at = snprintf(out, WAKE_PAYLOAD_MAX + 1, "%s", container);
	size_t i;

	for (i = 0; i < n && at < WAKE_PAYLOAD_MAX - 24; i++)
		at += snprintf(out + at, (size_t)(WAKE_PAYLOAD_MAX + 1 - at), " %c%lld", WAKE_IS_USER(keys[i]) ? 'u' : 'r',
		    (long long)WAKE_NID(keys[i]));
	return i;
}

size_t
wake_payload_read(const char *payload, const char *own, int64_t *keys, size_t max)
{
	size_t len = strcspn(payload, " "), n = 0;
	const char *p = payload + len;

	if (len == strlen(own) && memcmp(payload, own, len) == 0)
		return 0;
	while (*p == ' ' && n < max) {
		char kind = *++p, *end;
		long long nid;

		if (kind == '\0')
			break;
		nid = strtoll(p + 1, &end, 10);
		if (end > p + 1 && nid >= (kind == 'r') && nid < INT64_MAX / 2 && (kind == 'r' || kind == 'u'))
			keys[n++] = kind == 'u' ? WAKE_USER(nid) : WAKE_ROOM(nid);
		p = end + strcspn(end, " ");
	}
	return n;
}

bool
wake_payload_other(const char *payload, const char *own)
{
	size_t len = strcspn(payload, " ");

	return len > 0 && !(len == 1 && *payload == '-') && !(len == strlen(own) && memcmp(payload, own, len) == 0);
}
