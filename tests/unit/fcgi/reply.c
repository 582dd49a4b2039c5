/* tests/unit/fcgi/reply.c - FastCGI records of answers, read back by a reader of our own */
#include <criterion/criterion.h>
#include <string.h>

#include "fcgi/reply.h"

/* Joins STDOUT; checks versions, ids, padding and the end. */
static size_t
read_back(const struct buf *b, int id, char *out)
{
	const unsigned char *p = (const unsigned char *)b->s, *end = p + b->n;
	size_t n = 0;
	bool closed = false;

	for (;;) {
		size_t content, padding;

		cr_assert_geq(end - p, 8);
		cr_assert_eq(p[0], 1);
		cr_assert_eq(p[2] << 8 | p[3], id);
		content = (size_t)p[4] << 8 | p[5];
		padding = p[6];
		cr_assert_geq((size_t)(end - p), 8 + content + padding);
		cr_assert_eq((8 + content + padding) % 8, 0);
		if (p[1] == 3) {
			cr_assert(closed);
			cr_assert_eq(content, 8);
			cr_assert_eq(end - p, 16);
			return n;
		}
		cr_assert_eq(p[1], 6);
		cr_assert_not(closed);
		closed = content == 0;
		memcpy(out + n, p + 8, content);
		n += content;
		p += 8 + content + padding;
	}
}

static void
round_trip(size_t body_n)
{
	static char body[300000], out[310000];
	const struct reply_header h = { "Retry-After", "2" };
	struct arena *a = arena_new();
	struct buf b;
	char head[200];
	size_t n;

	for (size_t i = 0; i < body_n; i++)
		body[i] = (char)('a' + i % 26);
	buf_init(&b, a);
	reply_pack(&b, 258, &(struct reply){ 503, "application/json", &h, 1, body, body_n });
	n = read_back(&b, 258, out);
	snprintf(head, sizeof(head), "Status: 503\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nRetry-After: 2\r\n\r\n", body_n);
	cr_assert_eq(n, strlen(head) + body_n);
	cr_assert(memcmp(out, head, strlen(head)) == 0);
	cr_assert(memcmp(out + strlen(head), body, body_n) == 0);
	arena_free(a);
}

Test(reply, records)
{
	for (size_t n = 0; n < 20; n++)
		round_trip(n);
	for (size_t n = 65400; n < 65540; n++)
		round_trip(n);
	round_trip(65528 * 2);
	round_trip(300000);
}
