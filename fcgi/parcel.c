/* fcgi/parcel.c - waiting requests between processes: descriptors and records in one message; see park.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "fcgi/park.h"

union fds {
	struct cmsghdr align;
	char space[CMSG_SPACE(PARK_BATCH * sizeof(int))];
};

bool
park_pack(struct arena *a, struct waiter *v)
{
	void *p;
	size_t n = sync_wait_pack(a, v->wait, &p);

	v->packed = p;
	v->head.version = PARK_HEAD_VERSION;
	v->head.size = (uint32_t)n;
	return n <= PARK_RECORD_MAX - sizeof(v->head);
}

int
park_message_send(int sock, const struct waiter *v, size_t n, int flags)
{
	struct iovec iov[2 * PARK_BATCH];
	union fds fds;
	struct msghdr m = {
		.msg_iov = iov, .msg_iovlen = 2 * n, .msg_control = &fds, .msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	ssize_t sent;

	memset(&fds, 0, sizeof(fds));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	for (size_t i = 0; i < n; i++) {
		memcpy(CMSG_DATA(c) + i * sizeof(int), &v[i].fd, sizeof(int));
		iov[2 * i] = (struct iovec){ (void *)(uintptr_t)&v[i].head, sizeof(v[i].head) };
		iov[2 * i + 1] = (struct iovec){ (void *)(uintptr_t)v[i].packed, v[i].head.size };
	}
	do
		sent = sendmsg(sock, &m, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? errno : 0;
}

static size_t
fds_take(struct msghdr *m, int fd[PARK_BATCH])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fd, CMSG_DATA(c), n * sizeof(int));
	}
	return n;
}

size_t
park_message_recv(struct arena *a, int sock, struct waiter v[PARK_BATCH])
{
	static char bytes[PARK_MESSAGE_MAX];
	char *p = bytes;
	struct iovec iov = { bytes, sizeof(bytes) };
	union fds fds;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &fds, .msg_controllen = sizeof(fds) };
	ssize_t got = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd[PARK_BATCH];
	size_t nfds, n = 0, left;

	if (got <= 0)
		return 0;
	left = (size_t)got;
	nfds = fds_take(&m, fd);
	while (n < nfds && left >= sizeof(v->head)) {
		memcpy(&v[n].head, p, sizeof(v->head));
		p += sizeof(v->head);
		left -= sizeof(v->head);
		if (v[n].head.version != PARK_HEAD_VERSION || v[n].head.size > left)
			break;
		v[n].fd = fd[n];
		v[n].packed = p;
		v[n].wait = arena_alloc(a, sizeof(*v->wait));
		if (sync_wait_unpack(a, p, v[n].head.size, v[n].wait) != M_OK)
			v[n].wait = NULL;
		p += v[n].head.size;
		left -= v[n].head.size;
		n++;
	}
	for (size_t i = n; i < nfds; i++)
		close(fd[i]);	/* nginx tries a GET again */
	return n;
}

size_t
park_gathered_recv(struct arena *a, int sock, struct waiter v[WAITERS_MAX])
{
	size_t n = 0, got;

	while (n < PARK_BATCH && (got = park_message_recv(a, sock, v + n)) > 0) {
		n += got;
		if (v[n - 1].head.why == PARK_HEAVY)
			break;
	}
	return n;
}

void
park_baton_pass(const struct env *env, const char *position, int64_t at)
{
	size_t n = strlen(position);
	struct iovec iov[2] = { { &at, sizeof(at) }, { (void *)(uintptr_t)position, n < PARK_BATON_MAX ? n : 0 } };
	const struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	(void)!sendmsg(env->fd[FD_BATON_W], &m, MSG_NOSIGNAL);
}
