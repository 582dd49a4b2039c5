/* tests/unit/event/version.c */
#include <criterion/criterion.h>
#include <string.h>

#include "core/event/event.h"

Test(event_version, all_twelve_in_order)
{
	size_t n;
	const struct room_version *const *all = room_versions(&n);

	cr_assert_eq(n, 12);
	for (size_t i = 0; i < n; i++) {
		cr_expect_eq(strtol(all[i]->id, NULL, 10), (long)i + 1);
		cr_expect_eq(room_version_get(all[i]->id), all[i]);
	}
}

Test(event_version, unknown)
{
	cr_expect_null(room_version_get("0"));
	cr_expect_null(room_version_get("13"));
	cr_expect_null(room_version_get("01"));
	cr_expect_null(room_version_get(""));
	cr_expect_null(room_version_get(NULL));
}

/* Each difference begins (or ends) in the version that the specification says. */
#define BEGINS(field, first) check(#field, offsetof(struct room_version, field), first, 12)
#define ENDS(field, last)    check(#field, offsetof(struct room_version, field), 1, last)

static void
check(const char *name, size_t field, int first, int last)
{
	size_t n;
	const struct room_version *const *all = room_versions(&n);

	for (int v = 1; v <= (int)n; v++)
		cr_expect_eq(
		    *(const bool *)((const char *)all[v - 1] + field), first <= v && v <= last, "%s in v%d", name, v);
}

Test(event_version, differences)
{
	size_t n;
	const struct room_version *const *all = room_versions(&n);

	BEGINS(enforce_key_validity, 5);
	ENDS(special_aliases_auth, 5);
	BEGINS(strict_canonical, 6);
	BEGINS(notifications_pl, 6);
	BEGINS(knock, 7);
	BEGINS(restricted, 8);
	BEGINS(redact_keeps_authorised, 9);
	BEGINS(knock_restricted, 10);
	BEGINS(integer_power_levels, 10);
	BEGINS(implicit_creator, 11);
	BEGINS(redacts_in_content, 11);
	BEGINS(redact_v11, 11);
	ENDS(redact_auth_by_domain, 2);
	BEGINS(room_id_is_create_hash, 12);
	BEGINS(privileged_creators, 12);
	BEGINS(no_create_in_auth, 12);
	for (int v = 1; v <= (int)n; v++) {
		cr_expect_eq(all[v - 1]->event_id_format, v <= 2 ? 1 : v == 3 ? 3 : 4);
		cr_expect_eq(all[v - 1]->state_res, v == 1 ? RES_V1 : v < 12 ? RES_V2 : RES_V21);
	}
}

Test(event_version, memberships)
{
	for (int m = MEM_INVITE; m <= MEM_BAN; m++)
		cr_expect_eq((int)membership_of(membership_name((enum membership)m)), m);
	cr_expect_eq(membership_of("join"), MEM_JOIN);
	cr_expect_eq(membership_of("Join"), MEM_NONE);
	cr_expect_eq(membership_of(""), MEM_NONE);
	cr_expect_eq(membership_of(NULL), MEM_NONE);
	cr_expect_null(membership_name(MEM_NONE));
}
