/* tests/unit/fcgi/parcel.c - waiting requests and their descriptors from process to process */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fcgi/park.h"

static struct arena *a;
static int s[2];

static void
setup(void)
{
	a = arena_new();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
}

static void
teardown(void)
{
	close(s[0]);
	close(s[1]);
	arena_free(a);
}

TestSuite(parcel, .init = setup, .fini = teardown);

static struct waiter
make(int64_t user)
{
	struct sync_wait *w = arena_zalloc(a, sizeof(*w));
	int64_t *rooms = arena_alloc(a, sizeof(*rooms) * 3);
	struct waiter v = { .fd = memfd_create("x", 0), .wait = w };

	rooms[0] = 30;
	rooms[1] = 10;
	rooms[2] = (int64_t)1 << 50;
	*w = (struct sync_wait){ .user_nid = user, .device = 2, .user = "@u:x", .device_id = "", .filter = "{}", .next = "s2",
		.full_state = true, .unstable_state_after = true, .deadline = 5, .seen = 6, .rooms = rooms, .nrooms = 3, .kind = 1 };
	v.head.fcgi_id = 7;
	v.head.why = PARK_RETRY;
	cr_assert(park_pack(a, &v));
	return v;
}

static bool
same_file(int x, int y)
{
	struct stat p, q;

	return fstat(x, &p) == 0 && fstat(y, &q) == 0 && p.st_ino == q.st_ino;
}

Test(parcel, there_and_back)
{
	struct waiter v[PARK_BATCH], got[PARK_BATCH];

	for (int i = 0; i < PARK_BATCH; i++)
		v[i] = make(100 + i);
	cr_assert_eq(park_message_send(s[0], v, PARK_BATCH, MSG_DONTWAIT), 0);
	cr_assert_eq(park_message_recv(a, s[1], got), PARK_BATCH);
	for (int i = 0; i < PARK_BATCH; i++) {
		const struct sync_wait *w = got[i].wait;

		cr_assert_not_null(w);
		cr_expect(same_file(v[i].fd, got[i].fd));
		cr_expect(fcntl(got[i].fd, F_GETFD) & FD_CLOEXEC);
		cr_expect(got[i].head.fcgi_id == 7 && got[i].head.why == PARK_RETRY);
		cr_expect(w->user_nid == 100 + i && w->device == 2 && w->deadline == 5 && w->seen == 6 && w->kind == 1);
		cr_expect(w->full_state && !w->use_state_after && w->unstable_state_after);
		cr_expect_str_eq(w->user, "@u:x");
		cr_expect_str_eq(w->device_id, "");
		cr_expect_null(w->since);
		cr_expect_str_eq(w->filter, "{}");
		cr_expect_str_eq(w->next, "s2");
		cr_expect(w->nrooms == 3 && w->rooms[0] == 10 && w->rooms[1] == 30 && w->rooms[2] == (int64_t)1 << 50, "sorted");
		close(got[i].fd);
		close(v[i].fd);
	}
	cr_expect_eq(park_message_recv(a, s[1], got), 0);
}

static void
send_one(int64_t user, enum park_why why)
{
	struct waiter v = make(user);

	v.head.why = (uint8_t)why;
	cr_assert_eq(park_message_send(s[0], &v, 1, MSG_DONTWAIT), 0);
	close(v.fd);
}

static size_t
gathered(struct waiter v[WAITERS_MAX])
{
	size_t n = park_gathered_recv(a, s[1], v);

	for (size_t i = 0; i < n; i++)
		close(v[i].fd);
	return n;
}

/* A worker takes what has come in several messages, but no more heavy ones than one, and nothing behind it. */
Test(parcel, what_has_gathered)
{
	static const enum park_why whys[] = { PARK_WAIT, PARK_RETRY, PARK_HEAVY, PARK_HEAVY, PARK_WAIT };
	struct waiter v[WAITERS_MAX];

	for (int i = 0; i < 5; i++)
		send_one(100 + i, whys[i]);
	cr_assert_eq(gathered(v), 3);
	for (int i = 0; i < 3; i++)
		cr_expect(v[i].wait->user_nid == 100 + i && v[i].head.why == whys[i]);
	cr_assert_eq(gathered(v), 1);
	cr_expect(v[0].wait->user_nid == 103 && v[0].head.why == PARK_HEAVY);
	cr_assert_eq(gathered(v), 1);
	cr_expect_eq(v[0].wait->user_nid, 104);
	cr_assert_eq(gathered(v), 0);
	for (int i = 0; i < PARK_BATCH + 1; i++)
		send_one(i, PARK_WAIT);
	cr_assert_eq(gathered(v), PARK_BATCH);
	cr_assert_eq(gathered(v), 1);
}

Test(parcel, a_full_socket_says_so)
{
	struct waiter v = make(1);
	int rc = 0;

	for (int i = 0; i < 100000 && rc == 0; i++)
		rc = park_message_send(s[0], &v, 1, MSG_DONTWAIT);
	cr_expect(rc == EAGAIN || rc == ETOOMANYREFS, "%d", rc);
}

Test(parcel, other_versions_are_not_guessed)
{
	struct waiter v = make(1), got[PARK_BATCH];
	char other[64] = { 99 };

	v.packed = other;
	v.head.size = sizeof(other);
	cr_assert_eq(park_message_send(s[0], &v, 1, 0), 0);
	cr_assert_eq(park_message_recv(a, s[1], got), 1);
	cr_expect_null(got[0].wait, "the record");
	close(got[0].fd);
	v.head.version = PARK_HEAD_VERSION + 1;
	cr_assert_eq(park_message_send(s[0], &v, 1, 0), 0);
	cr_expect_eq(park_message_recv(a, s[1], got), 0, "the head");
}

Test(parcel, too_large_to_wait)
{
	struct sync_wait w = { .user = "@u:x", .device_id = "D" };
	struct waiter v = { .wait = &w };
	char *filter = arena_alloc(a, 70000);

	memset(filter, 'x', 69999);
	filter[69999] = '\0';
	w.filter = filter;
	cr_expect_not(park_pack(a, &v));
}
