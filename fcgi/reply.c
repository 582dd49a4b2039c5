/* fcgi/reply.c - answers, as FastCGI records (FastCGI Specification 1.0, 3.3, 5.5, 6.2); see reply.h. */
#include "fcgi/reply.h"

#include <errno.h>
#include <fcgios.h>
#include <fastcgi.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define CONTENT_MAX 65528	/* per record; a multiple of 8, so only the last one is padded */

static void
record(struct buf *b, int type, int id, size_t content, size_t padding)
{
	const unsigned char h[8] = {
		FCGI_VERSION_1, (unsigned char)type, (unsigned char)(id >> 8), (unsigned char)id,
		(unsigned char)(content >> 8), (unsigned char)content, (unsigned char)padding, 0,
	};

	buf_add(b, h, sizeof(h));
}

static void
end_request(struct buf *b, int id)
{
	static const char complete[8];	/* application status 0, FCGI_REQUEST_COMPLETE */

	record(b, FCGI_STDOUT, id, 0, 0);
	record(b, FCGI_END_REQUEST, id, sizeof(complete), 0);
	buf_add(b, complete, sizeof(complete));
}

static void
head(struct buf *b, const struct reply *rp)
{
	buf_addf(b, "Status: %d\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", rp->status, rp->content_type, rp->body_n);
	for (int i = 0; i < rp->nheaders; i++)
		buf_addf(b, "%s: %s\r\n", rp->headers[i].name, rp->headers[i].value);
	buf_puts(b, "\r\n");
}

void
reply_pack(struct buf *b, int fcgi_id, const struct reply *rp)
{
	struct buf h;
	const char *s = rp->body;
	size_t left = rp->body_n, n;

	buf_init(&h, b->a);
	head(&h, rp);
	buf_reserve(b, h.n + left + (left / CONTENT_MAX + 4) * 8 + 16);
	n = left < CONTENT_MAX - h.n ? left : CONTENT_MAX - h.n;
	record(b, FCGI_STDOUT, fcgi_id, h.n + n, -(h.n + n) & 7);
	buf_add(b, h.s, h.n);
	for (;;) {
		buf_add(b, s, n);
		if ((s += n, left -= n) == 0)
			break;
		n = left < CONTENT_MAX ? left : CONTENT_MAX;
		record(b, FCGI_STDOUT, fcgi_id, n, -n & 7);
	}
	while ((b->n & 7) != 0)
		buf_putc(b, '\0');
	end_request(b, fcgi_id);
}

bool
reply_send(struct arena *a, int fd, int fcgi_id, const struct reply *rp)
{
	struct buf b;
	size_t off = 0;

	buf_init(&b, a);
	reply_pack(&b, fcgi_id, rp);
	while (off < b.n) {
		ssize_t n = send(fd, b.s + off, b.n - off, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		off += (size_t)n;
	}
	return true;
}
