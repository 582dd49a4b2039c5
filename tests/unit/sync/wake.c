/* tests/unit/sync/wake.c - what is told to park and to other containers */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/sync/wake.h"

Test(wake, datagrams)
{
	int64_t rooms[700], users[] = { 5, 6 }, got[WAKE_DATAGRAM_KEYS + 1];
	struct touched t = { .rooms = rooms, .users = users, .nrooms = 700, .nusers = 2 };
	int s[2];
	ssize_t n;

	for (int i = 0; i < 700; i++)
		rooms[i] = 1000 + i;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	wake_send(&t);		/* before the setup: nothing, and no fault */
	wake_setup(s[1]);
	wake_send(&(struct touched){ 0 });
	wake_send(&t);
	n = recv(s[0], got, sizeof(got), MSG_DONTWAIT);
	cr_assert_eq(n, WAKE_DATAGRAM_KEYS * 8);
	cr_expect(got[0] == WAKE_USER(5) && got[1] == WAKE_USER(6) && got[2] == WAKE_ROOM(1000));
	n = recv(s[0], got, sizeof(got), MSG_DONTWAIT);
	cr_assert_eq(n, (702 - WAKE_DATAGRAM_KEYS) * 8);
	cr_expect_eq(got[702 - WAKE_DATAGRAM_KEYS - 1], WAKE_ROOM(1699));
	cr_expect_lt(recv(s[0], got, sizeof(got), MSG_DONTWAIT), 0);
	for (int i = 0; i < 100000; i++)
		wake_send(&t);	/* a full queue blocks nobody */
	wake_setup(-1);
	close(s[0]);
	close(s[1]);
}

Test(wake, payload_there_and_back)
{
	static int64_t keys[2000], got[2000];
	static char p[WAKE_PAYLOAD_MAX + 1];
	size_t n, at = 0;

	for (size_t i = 0; i < 2000; i++)
		keys[i] = i % 3 ? WAKE_ROOM((int64_t)i * 1000000007 + 1) : WAKE_USER((int64_t)i + 1);
	while (at < 2000) {
		n = wake_payload(p, "container", keys + at, 2000 - at);
		cr_assert_gt(n, 0);
		cr_assert_leq(strlen(p), WAKE_PAYLOAD_MAX);
		cr_assert_eq(wake_payload_read(p, "other", got, 2000), n);
		cr_assert(memcmp(keys + at, got, n * sizeof(*got)) == 0);
		cr_assert_eq(wake_payload_read(p, "container", got, 2000), 0, "our own");
		at += n;
	}
}

Test(wake, foreign_payloads)
{
	int64_t got[4];

	cr_expect_eq(wake_payload_read("- r5 u6", "me", got, 4), 2);
	cr_expect(got[0] == WAKE_ROOM(5) && got[1] == WAKE_USER(6));
	cr_expect_eq(wake_payload_read("mexico r5", "me", got, 4), 1, "only the whole name is ours");
	cr_expect_eq(wake_payload_read("- x5 r r- r0 r-3 r99999999999999999999 u7", "me", got, 4), 1);
	cr_expect_eq(got[0], WAKE_USER(7));
	cr_expect_eq(wake_payload_read("", "me", got, 4), 0);
	cr_expect_eq(wake_payload_read("-", "me", got, 4), 0);
	cr_expect_eq(wake_payload_read("- ", "me", got, 4), 0);
	cr_expect_eq(wake_payload_read("- r1 r2 r3 r4 r5", "me", got, 4), 4);
	cr_expect(wake_payload_other("mexico r5", "me") && wake_payload_other("mexico", "me") && wake_payload_other("m", "me"));
	cr_expect_not(wake_payload_other("me r5", "me") || wake_payload_other("me", "me") || wake_payload_other("- r5", "me") || wake_payload_other("-", "me"));
	cr_expect_not(wake_payload_other("", "me") || wake_payload_other(" r5", "me"));
}
