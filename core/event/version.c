/* core/event/version.c - what differs between room versions, in one table; and the names of memberships. */
#include "core/event/event.h"

#include <string.h>

/*
 * Columns: the fields of struct room_version, in order. Spec: rooms/v1 to v12.
 *
 *        id format   strict       restricted       redacts in content
 *        |  state res|  notific.  |  keeps auth.'d |  redaction v11
 *        |  |        |  |  knock  |  |  knock_restr|  |  redact by domain
 *  id    |  | key    |  |  |      |  |  |  integer |  |  |  room id is a hash
 *        |  | |  ali |  |  |      |  |  |  |  impl.|  |  |  |  creators
 *        |  | |  |   |  |  |      |  |  |  |  |    |  |  |  |  |  no create in auth
 */
static const struct room_version versions[] = {
	{ "1",  1, RES_V1,  0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 },
	{ "2",  1, RES_V2,  0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 },
	{ "3",  3, RES_V2,  0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ "4",  4, RES_V2,  0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ "5",  4, RES_V2,  1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ "6",  4, RES_V2,  1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ "7",  4, RES_V2,  1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ "8",  4, RES_V2,  1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ "9",  4, RES_V2,  1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ "10", 4, RES_V2,  1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0 },
	{ "11", 4, RES_V2,  1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0 },
	{ "12", 4, RES_V21, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1 },
};
#define NVERSIONS (sizeof(versions) / sizeof(versions[0]))

const struct room_version *
room_version_get(const char *id)
{
	for (size_t i = 0; id && i < NVERSIONS; i++)
		if (strcmp(versions[i].id, id) == 0)
			return &versions[i];
	return NULL;
}

const struct room_version *const *
room_versions(size_t *n)
{
	static const struct room_version *const all[] = {
		&versions[0], &versions[1], &versions[2], &versions[3], &versions[4], &versions[5],
		&versions[6], &versions[7], &versions[8], &versions[9], &versions[10], &versions[11],
	};
	_Static_assert(sizeof(all) / sizeof(all[0]) == NVERSIONS, "every version is listed");

	*n = NVERSIONS;
	return all;
}

static const char *const memberships[] = {
	[MEM_INVITE] = "invite", [MEM_JOIN] = "join", [MEM_KNOCK] = "knock", [MEM_LEAVE] = "leave", [MEM_BAN] = "ban",
};

enum membership
membership_of(const char *s)
{
	for (int m = MEM_INVITE; s && m <= MEM_BAN; m++)
		if (strcmp(memberships[m], s) == 0)
			return (enum membership)m;
	return MEM_NONE;
}

const char *
membership_name(enum membership m)
{
	return m >= MEM_NONE && m <= MEM_BAN ? memberships[m] : NULL;
}
