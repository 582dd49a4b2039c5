/*
 * tests/unit/event/state_res.c - state resolution: cases, one property of each rule, and random rooms.
 *
 * dag_resolve() checks each result against other orders of the input and against plain.c.
 */
#include "core/event/state_res.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/event/dag.h"
#include "tests/unit/event/room.h"

/* Runs a case in the room versions that it holds in. */
static void
in_versions(const char *const *versions, void (*run)(struct dag *d))
{
	for (; *versions; versions++) {
		struct dag d;

		dag_open(&d, *versions);
		run(&d);
		dag_close(&d);
	}
}
#define IN(run, ...) in_versions((const char *const[]){ __VA_ARGS__, NULL }, run)
#define IN_ALL(run)  IN(run, "1", "2", "3", "6", "8", "10", "11", "12")
#define IN_V2(run)   IN(run, "2", "3", "6", "8", "10", "11", "12")

/* What all versions have in common */

static void
nothing_in_conflict(struct dag *d)
{
	struct state_set s = dag_after(d, "dave"), none = { NULL, 0 };
	struct state_set twice[] = { s, s }, out = dag_merge(d, twice, 2);

	cr_assert_eq(out.n, s.n);
	for (size_t i = 0; i < s.n; i++)
		cr_assert_str_eq(dag_value(out, s.v[i].type, s.v[i].key), s.v[i].id);
	cr_assert_eq(d->loads, 0, "nothing is to be loaded where all agree");
	cr_assert_eq(dag_merge(d, &s, 1).n, s.n);
	cr_assert_eq(dag_merge(d, &none, 1).n, 0);
	cr_assert_eq(dag_merge(d, NULL, 0).n, 0);
}
Test(state_res, what_all_agree_on_stands) { IN_ALL(nothing_in_conflict); }

static void
concurrent_joins(struct dag *d)
{
	struct state_set s;

	DAG_SEND(d, { "eve", "@eve:e", MEMBER, "@eve:e", JOIN, "dave" },
	    { "frank", "@frank:f", MEMBER, "@frank:f", JOIN, "dave" },
	    { "topic", "@alice:a", TOPIC, "", "{}", "dave" });
	s = dag_resolve_names(d, "eve frank topic");
	EXPECT(d, s, MEMBER, "@eve:e", "eve");
	EXPECT(d, s, MEMBER, "@frank:f", "frank");
	EXPECT(d, s, TOPIC, "", "topic");
	EXPECT(d, s, LEVELS, "", "levels");
	cr_assert_eq(s.n, dag_after(d, "dave").n + 3);
}
Test(state_res, what_different_branches_add_comes_together) { IN_ALL(concurrent_joins); }

/* Versions 2 and later */

static void
topics_by_time(struct dag *d)
{
	DAG_SEND(d, { "T1", "@alice:a", TOPIC, "", "{}", "dave", .ts = 90000 },
	    { "T2", "@bob:b", TOPIC, "", "{}", "dave", .ts = 80000 },
	    { "T3", "@bob:b", TOPIC, "", "{}", "dave", .ts = 90000 });
	EXPECT(d, dag_resolve_names(d, "T1 T2"), TOPIC, "", "T1");
	EXPECT(d, dag_resolve_names(d, "T1 T3"), TOPIC, "", "T3");	/* the same time: the greater id */
	EXPECT(d, dag_resolve_names(d, "T3 T2 T1"), TOPIC, "", "T3");
}
Test(state_res, topics_of_one_epoch_go_by_time_then_by_id) { IN_V2(topics_by_time); }

static void
ids_by_raw_bytes(struct dag *d)
{
	/* The raw ids have '"' (0x22) and 'A' (0x41); the escaped ones '\\' (0x5c) and 'A'. */
	DAG_SEND(d, { "x\\\"", "@alice:a", TOPIC, "", "{}", "dave", .ts = 90000 },
	    { "xA", "@bob:b", TOPIC, "", "{}", "dave", .ts = 90000 });
	EXPECT(d, dag_resolve_names(d, "xA x\\\""), TOPIC, "", "xA");
}
Test(state_res, ids_are_compared_by_their_raw_bytes) { IN(ids_by_raw_bytes, "2"); }

static void
newer_epoch(struct dag *d)
{
	/* T2 knows the new power levels, T1 does not: whatever its clock says, T1 is older. */
	DAG_SEND(d, { "T1", "@bob:b", TOPIC, "", "{}", "dave", .ts = 99000 },
	    { "levels2", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':60"), "dave" },
	    { "T2", "@bob:b", TOPIC, "", "{}", "levels2", .ts = 50000 });
	EXPECT(d, dag_resolve_names(d, "T1 T2"), LEVELS, "", "levels2");
	EXPECT(d, dag_resolve_names(d, "T1 T2"), TOPIC, "", "T2");
}
Test(state_res, mainline_order_comes_before_time) { IN_V2(newer_epoch); }

static void
off_the_mainline(struct dag *d)
{
	const char *both = dag_levels(d, "", "'@bob:b':60");

	/*
	 * lost is played and then replaced by won: T1 stands on a side line, whose
	 * place is that of levels, where it leaves the mainline; T2 stands on levels itself and is later.
	 */
	DAG_SEND(d, { "lost", "@alice:a", LEVELS, "", both, "dave", .ts = 20000 },
	    { "T1", "@bob:b", TOPIC, "", "{}", "lost", .ts = 60000 },
	    { "won", "@alice:a", LEVELS, "", both, "dave", .ts = 30000 },
	    { "T2", "@bob:b", TOPIC, "", "{}", "dave", .ts = 70000 },
	    { "T3", "@bob:b", TOPIC, "", "{}", "won", .ts = 40000 });
	EXPECT(d, dag_resolve_names(d, "T1 won"), LEVELS, "", "won");
	EXPECT(d, dag_resolve_names(d, "T1 won T2"), TOPIC, "", "T2");
	EXPECT(d, dag_resolve_names(d, "T1 T2 T3"), TOPIC, "", "T3");
}
Test(state_res, side_lines_have_the_place_where_they_leave_the_mainline) { IN_V2(off_the_mainline); }

static void
levels_of_the_agreed_state(struct dag *d)
{
	const char *with = d->rv->no_create_in_auth ? "alice levels" : "create alice levels";
	const char *none = d->rv->no_create_in_auth ? "alice" : "create alice";
	struct state_set sets[2];

	/*
	 * T1 cites levels, which is on the mainline of levels3 though nothing in conflict leads there; T2 cites
	 * none, so it is older than all. The names keep levels out of the auth difference. In v2.1 the power
	 * levels that all agree on are not in the partial state: there is no mainline, and time decides.
	 */
	DAG_SEND(d, { "levels2", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':60") },
	    { "levels3", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':70") },
	    { "T1", "@alice:a", TOPIC, "", "{}", "levels3", with, .ts = 50000 },
	    { "N1", "@alice:a", "name", "", "{}", "T1", with }, { "N2", "@alice:a", "name", "", "{}", "levels3", with },
	    { "T2", "@alice:a", TOPIC, "", "{}", "levels3", none, .ts = 60000 });
	sets[0] = dag_after(d, "N1");
	sets[1] = dag_claim(d, "levels3", "T2 N2");
	EXPECT(d, dag_resolve(d, sets, 2), TOPIC, "", d->rv->state_res == RES_V21 ? "T2" : "T1");
}
Test(state_res, the_mainline_starts_at_the_agreed_levels) { IN_V2(levels_of_the_agreed_state); }

static void
ban_against_topic(struct dag *d)
{
	DAG_SEND(d, { "T0", "@alice:a", TOPIC, "" }, { "ban", "@alice:a", MEMBER, "@bob:b", BAN, "T0" },
	    { "T1", "@bob:b", TOPIC, "", "{}", "T0" });
	EXPECT(d, dag_resolve_names(d, "ban T1"), MEMBER, "@bob:b", "ban");
	EXPECT(d, dag_resolve_names(d, "ban T1"), TOPIC, "", "T0");
}
Test(state_res, who_is_banned_on_one_branch_loses_what_he_did_on_the_other) { IN_V2(ban_against_topic); }

static void
ban_against_join(struct dag *d)
{
	DAG_SEND(d, { "ban", "@bob:b", MEMBER, "@eve:e", BAN, "dave", .ts = 90000 },
	    { "eve", "@eve:e", MEMBER, "@eve:e", JOIN, "dave", .ts = 95000 },
	    { "left", "@eve:e", MEMBER, "@eve:e", LEAVE, "eve", .ts = 96000 },
	    { "again", "@eve:e", MEMBER, "@eve:e", JOIN, "left", .ts = 97000 });
	EXPECT(d, dag_resolve_names(d, "ban eve"), MEMBER, "@eve:e", "ban");
	EXPECT(d, dag_resolve_names(d, "ban left"), MEMBER, "@eve:e", "ban");
	EXPECT(d, dag_resolve_names(d, "ban again"), MEMBER, "@eve:e", "ban");
}
Test(state_res, a_ban_beats_a_join) { IN_V2(ban_against_join); }

static void
unban_against_ban(struct dag *d)
{
	/* The unban knows the ban; on the other branch there is neither. */
	DAG_SEND(d, { "eve", "@eve:e", MEMBER, "@eve:e", JOIN }, { "ban", "@alice:a", MEMBER, "@eve:e", BAN },
	    { "unban", "@alice:a", MEMBER, "@eve:e", LEAVE }, { "T1", "@eve:e", "x", "", "{}", "eve" });
	EXPECT(d, dag_resolve_names(d, "unban T1"), MEMBER, "@eve:e", "unban");
	EXPECT(d, dag_resolve_names(d, "unban ban"), MEMBER, "@eve:e", "unban");
	EXPECT(d, dag_resolve_names(d, "unban ban T1"), MEMBER, "@eve:e", "unban");
	EXPECT(d, dag_resolve_names(d, "unban T1"), "x", "", NULL);
}
Test(state_res, an_unban_follows_its_ban) { IN_V2(unban_against_ban); }

static void
rules_against_join(struct dag *d)
{
	DAG_SEND(d, { "closed", "@alice:a", RULES, "", "{\"join_rule\":\"invite\"}", "dave", .ts = 99000 },
	    { "eve", "@eve:e", MEMBER, "@eve:e", JOIN, "dave", .ts = 50000 });
	EXPECT(d, dag_resolve_names(d, "closed eve"), RULES, "", "closed");
	EXPECT(d, dag_resolve_names(d, "closed eve"), MEMBER, "@eve:e", NULL);
	EXPECT(d, dag_resolve_names(d, "closed eve"), MEMBER, "@dave:d", "dave");	/* is in already */
}
Test(state_res, a_closed_door_keeps_out_who_joined_meanwhile) { IN_V2(rules_against_join); }

static void
kick_against_profile(struct dag *d)
{
	DAG_SEND(d, { "closed", "@alice:a", RULES, "", "{\"join_rule\":\"invite\"}" },
	    { "kick", "@alice:a", MEMBER, "@dave:d", LEAVE, "closed", .ts = 99000 },
	    { "name", "@dave:d", MEMBER, "@dave:d", JOIN, "closed", .ts = 50000 });
	EXPECT(d, dag_resolve_names(d, "kick name"), MEMBER, "@dave:d", "kick");
}
Test(state_res, a_kick_beats_a_new_profile) { IN_V2(kick_against_profile); }

/* Bob was earlier, but Alice has more power: she is played first, and he can no longer. */
static void
power_by_level(struct dag *d)
{
	const char *two = "'@bob:b':50,'@carol:c':50";

	DAG_SEND(d, { "bobs", "@bob:b", LEVELS, "", dag_levels(d, "", two), "dave", .ts = 50000 },
	    { "T1", "@carol:c", TOPIC, "" },
	    { "alices", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':0"), "dave", .ts = 99000 });
	EXPECT(d, dag_resolve_names(d, "bobs alices"), LEVELS, "", "alices");
	EXPECT(d, dag_resolve_names(d, "T1 alices"), LEVELS, "", "alices");
	EXPECT(d, dag_resolve_names(d, "T1 alices"), TOPIC, "", NULL);
	DAG_SEND(d, { "closed", "@bob:b", RULES, "", "{}", "dave", .ts = 40000 });
	EXPECT(d, dag_resolve_names(d, "closed alices"), RULES, "", "rules");
	EXPECT(d, dag_resolve_names(d, "closed T1"), RULES, "", "closed");
}
Test(state_res, more_power_is_played_first) { IN_V2(power_by_level); }

/* Two with 100 each take it from each other. */
static void
send_fight(struct dag *d)
{
	const char *two = "'@bob:b':100,'@carol:c':100";

	DAG_SEND(d, { "equals", "@alice:a", LEVELS, "", dag_levels(d, "", two) },
	    { "bobs", "@bob:b", LEVELS, "", dag_levels(d, "'ban':60,", two), "equals", .ts = 50000 },
	    { "carols", "@carol:c", LEVELS, "", dag_levels(d, "'ban':70,", two), "equals", .ts = 40000 },
	    /* not allowed, unless she is a creator */
	    { "alices", "@alice:a", LEVELS, "", dag_levels(d, "", "'@carol:c':100"), "equals", .ts = 60000 });
}

static void
power_by_time(struct dag *d)
{
	send_fight(d);
	EXPECT(d, dag_resolve_names(d, "bobs carols"), LEVELS, "", "bobs");	/* both are allowed: the later stands */
	EXPECT(d, dag_resolve_names(d, "bobs carols alices"), LEVELS, "", "bobs");
}
Test(state_res, equal_power_goes_by_time) { IN(power_by_time, "2", "3", "6", "8", "10", "11"); }

static void
creators_first(struct dag *d)
{
	send_fight(d);
	/* Alice takes Bob's power away first, though she was last; then Carol may still change the level of a ban. */
	EXPECT(d, dag_resolve_names(d, "bobs alices"), LEVELS, "", "alices");
	EXPECT(d, dag_resolve_names(d, "bobs carols"), LEVELS, "", "bobs");
	DAG_SEND(d, { "T1", "@bob:b", TOPIC, "", "{}", "bobs" });
	EXPECT(d, dag_resolve_names(d, "T1 alices"), TOPIC, "", NULL);
}
Test(state_res, creators_of_version_12_have_more_power_than_any_level) { IN(creators_first, "12"); }

Test(state_res, additional_creators_are_creators)
{
	struct dag d;

	dag_open_empty(&d, "12");	/* Bob has all the power that can be given */
	DAG_SEND(&d, { "create", "@alice:a", CREATE, "", "{\"additional_creators\":[\"@zoe:z\"]}" },
	    { "alice", "@alice:a", MEMBER, "@alice:a", JOIN },
	    { "levels", "@alice:a", LEVELS, "", dag_levels(&d, "", "'@bob:b':9007199254740991") },
	    { "rules", "@alice:a", RULES, "", "{\"join_rule\":\"public\"}" },
	    { "bob", "@bob:b", MEMBER, "@bob:b", JOIN }, { "zoe", "@zoe:z", MEMBER, "@zoe:z", JOIN },
	    { "closed", "@bob:b", RULES, "", "{}", "zoe", .ts = 10 },
	    { "zoes", "@zoe:z", LEVELS, "", dag_levels(&d, "", ""), "zoe", .ts = 20 });
	EXPECT(&d, dag_resolve_names(&d, "closed zoes"), LEVELS, "", "zoes");
	EXPECT(&d, dag_resolve_names(&d, "closed zoes"), RULES, "", "rules");
	dag_close(&d);
}

static void
kicked_moderator(struct dag *d)
{
	DAG_SEND(d, { "kick_carol", "@bob:b", MEMBER, "@carol:c", LEAVE, "dave", .ts = 50000 },
	    { "kick_bob", "@alice:a", MEMBER, "@bob:b", LEAVE, "dave", .ts = 60000 });
	EXPECT(d, dag_resolve_names(d, "kick_carol kick_bob"), MEMBER, "@bob:b", "kick_bob");
	EXPECT(d, dag_resolve_names(d, "kick_carol kick_bob"), MEMBER, "@carol:c", "carol");
}
Test(state_res, what_a_kicked_moderator_did_meanwhile_is_undone) { IN_V2(kicked_moderator); }

static void
auth_difference(struct dag *d)
{
	/* Neither state has levels2, but levels3 is allowed by it alone: it comes by the auth difference. */
	DAG_SEND(d, { "levels2", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':70") },
	    { "levels3", "@bob:b", LEVELS, "", dag_levels(d, "", "'@bob:b':70,'@carol:c':60") },
	    { "T1", "@carol:c", TOPIC, "" }, { "T0", "@alice:a", TOPIC, "", "{}", "dave" });
	EXPECT(d, dag_resolve_names(d, "T1 T0"), LEVELS, "", "levels3");
	EXPECT(d, dag_resolve_names(d, "T1 T0"), TOPIC, "", "T1");
	EXPECT(d, dag_resolve_names(d, "T1 dave T0"), LEVELS, "", "levels3");
}
Test(state_res, what_lies_between_is_played_too) { IN_V2(auth_difference); }

static void
restricted(struct dag *d)
{
	const char *join = "{\"membership\":\"join\",\"join_authorised_via_users_server\":\"@bob:b\"}";

	DAG_SEND(d, { "closed", "@alice:a", RULES, "", "{\"join_rule\":\"restricted\",\"allow\":[]}" },
	    { "levels2", "@alice:a", LEVELS, "", dag_levels(d, "'invite':50,", "'@bob:b':50") },
	    { "eve", "@eve:e", MEMBER, "@eve:e", join, "levels2" }, { "T1", "@alice:a", TOPIC, "", "{}", "levels2" },
	    { "levels3", "@alice:a", LEVELS, "", dag_levels(d, "'invite':50,", "'@bob:b':49"), "levels2" });
	EXPECT(d, dag_resolve_names(d, "eve T1"), MEMBER, "@eve:e", "eve");
	EXPECT(d, dag_resolve_names(d, "eve levels3"), MEMBER, "@eve:e", NULL);
}
Test(state_res, a_restricted_join_needs_a_user_who_may_still_invite) { IN(restricted, "8", "10", "11", "12"); }

static void
three_branches(struct dag *d)
{
	DAG_SEND(d, { "T1", "@alice:a", TOPIC, "", "{}", "dave", .ts = 90000 },
	    { "T2", "@bob:b", TOPIC, "", "{}", "dave", .ts = 91000 },
	    { "kick", "@alice:a", MEMBER, "@bob:b", LEAVE, "dave", .ts = 92000 });
	EXPECT(d, dag_resolve_names(d, "T1 T2 kick"), TOPIC, "", "T1");
	EXPECT(d, dag_resolve_names(d, "T1 T2 kick dave"), TOPIC, "", "T1");
	/* The event after all of them sees that state; resolved with it, nothing changes. */
	DAG_SEND(d, { "M", "@alice:a", "x", "", "{}", "T1 T2 kick" });
	EXPECT(d, dag_after(d, "M"), TOPIC, "", "T1");
	EXPECT(d, dag_resolve_names(d, "M T1 T2 kick"), TOPIC, "", "T1");
}
Test(state_res, three_branches_and_one_more) { IN_V2(three_branches); }

/* Room v2 §Rejected events */

static void
rejected_takes_part(struct dag *d)
{
	struct state_set sets[2];

	/* Refused by the state where it was sent; in the state that another server tells of, Bob was never kicked. */
	DAG_SEND(d, { "T0", "@alice:a", TOPIC, "" }, { "kick", "@alice:a", MEMBER, "@bob:b", LEAVE },
	    { "T1", "@bob:b", TOPIC, "", "{}", "kick", "create levels bob", .rejected = true },
	    { "x", "@alice:a", "x", "", "{}", "T0" });
	cr_assert_str_eq(dag_value(dag_after(d, "T1"), TOPIC, ""), dag_id(d, "T0"));
	sets[0] = dag_after(d, "x");
	sets[1] = dag_claim(d, "T0", "T1");
	EXPECT(d, dag_resolve(d, sets, 2), TOPIC, "", "T1");
	sets[0] = dag_after(d, "kick");
	EXPECT(d, dag_resolve(d, sets, 2), TOPIC, "", "T0");
}
Test(state_res, a_rejected_event_is_judged_again) { IN_V2(rejected_takes_part); }

static void
rejected_becomes_state(struct dag *d)
{
	struct state_set sets[2];

	/* levels2 was rejected where it was sent; it becomes state, and then Carol's topic is allowed by it. */
	DAG_SEND(d, { "levels2", "@alice:a", LEVELS, "", dag_levels(d, "", "'@carol:c':50"), .rejected = true },
	    { "T1", "@carol:c", TOPIC, "", "{}", "levels2", "create levels carol" });
	sets[0] = dag_after(d, "dave");
	sets[1] = dag_claim(d, "dave", "levels2 T1");
	EXPECT(d, dag_resolve(d, sets, 2), LEVELS, "", "levels2");
	EXPECT(d, dag_resolve(d, sets, 2), TOPIC, "", "T1");
}
Test(state_res, a_rejected_event_that_becomes_state_authorizes_others) { IN_V2(rejected_becomes_state); }

Test(state_res, a_rejected_auth_event_authorizes_nothing)
{
	struct state_set sets[2];

	for (int rejected = 0; rejected < 2; rejected++) {
		struct dag d;

		/* In v12 the agreed state does not help: of eve's membership only the auth event tells. */
		dag_open(&d, "12");
		DAG_SEND(&d, { "free", "@alice:a", LEVELS, "", "{\"state_default\":0}" },
		    { "eve", "@eve:e", MEMBER, "@eve:e", JOIN, .rejected = rejected },
		    { "x", "@eve:e", "x", "", "{}", "eve", "free eve" });
		sets[0] = dag_claim(&d, "free", "eve");
		sets[1] = dag_claim(&d, "free", "eve x");
		EXPECT(&d, dag_resolve(&d, sets, 2), "x", "", rejected ? NULL : "x");
		EXPECT(&d, dag_resolve(&d, sets, 2), MEMBER, "@eve:e", "eve");
		dag_close(&d);
	}
}

static void
unknown_events(struct dag *d)
{
	struct state_set sets[2];

	DAG_SEND(d, { "T1", "@alice:a", TOPIC, "", "{}", "dave" },
	    { "T2", "@alice:a", TOPIC, "", "{}", "dave", .unknown = true },
	    { "T3", "@alice:a", TOPIC, "", "{}", "dave" },
	    { "N1", "@alice:a", "name", "", "{}", "dave", .unknown = true });
	EXPECT(d, dag_resolve_names(d, "T1 T2"), TOPIC, "", "T1");
	EXPECT(d, dag_resolve_names(d, "T3 T2 N1"), TOPIC, "", "T3");
	EXPECT(d, dag_resolve_names(d, "T3 T2 N1"), "name", "", NULL);
	/* Where all agree on it, it stands. */
	sets[0] = dag_claim(d, "T1", "N1");
	sets[1] = dag_claim(d, "T3", "N1");
	EXPECT(d, dag_resolve(d, sets, 2), "name", "", "N1");
}
Test(state_res, an_unknown_event_takes_no_part) { IN_V2(unknown_events); }

static void
unknown_auth_event(struct dag *d)
{
	struct state_set sets[2];

	/* The power levels come first in the states, and are found behind an auth event that nobody has. */
	DAG_SEND(d, { "T1", "@alice:a", TOPIC, "", "{}", "dave", "ghost create alice levels", .ts = 50000 },
	    { "T2", "@alice:a", TOPIC, "", "{}", "dave", "create alice", .ts = 60000 });
	sets[0] = dag_claim(d, NULL, "levels create alice rules T1");
	sets[1] = dag_claim(d, NULL, "levels create alice rules T2");
	EXPECT(d, dag_resolve(d, sets, 2), TOPIC, "", "T1");
}
Test(state_res, an_unknown_auth_event_is_passed_over) { IN(unknown_auth_event, "2", "6", "11"); }

static void
nobody_knows(void *arg, const char *const *ids, size_t n, struct state_event *out)
{
	(void)arg, (void)ids;
	for (size_t i = 0; i < n; i++)
		out[i] = (struct state_event){ NULL, 0 };
}

Test(state_res, version_12_needs_its_create_event)
{
	struct state_source src = { .load = nobody_knows };
	struct state_set sets[2], out;
	struct dag d;

	dag_open(&d, "12");
	DAG_SEND(&d, { "T1", "@alice:a", TOPIC, "", "{}", "dave" }, { "T2", "@alice:a", TOPIC, "", "{}", "dave" });
	sets[0] = dag_after(&d, "T1");
	sets[1] = dag_after(&d, "T2");
	cr_assert_eq(state_resolve(&d.cx, d.rv, d.room, sets, 2, &src, &out), M_NOT_FOUND);
	cr_assert_eq(state_resolve(&d.cx, d.rv, "", sets, 2, &src, &out), M_NOT_FOUND);
	cr_assert_eq(state_resolve(&d.cx, d.rv, d.room, sets, 1, &src, &out), M_OK);
	dag_close(&d);
}

static void
other_room(struct dag *d)
{
	/* An event of another room, and one that is no state event, are as good as unknown. */
	DAG_SEND(d, { "T1", "@alice:a", TOPIC, "", "{}", "dave" }, { "T2", "@alice:a", TOPIC, "", "{}", "dave" });
	dag_at(d, "T2")->ev.room = "!other:a";
	dag_at(d, "T2")->unknown = true;	/* for plain.c */
	EXPECT(d, dag_resolve_names(d, "T1 T2"), TOPIC, "", "T1");
	dag_at(d, "T2")->unknown = false;
	EXPECT(d, dag_merge(d, (struct state_set[]){ dag_after(d, "T1"), dag_after(d, "T2") }, 2), TOPIC, "", "T1");
	dag_at(d, "T2")->ev.room = d->room;
	dag_at(d, "T2")->ev.state_key = NULL;
	EXPECT(d, dag_merge(d, (struct state_set[]){ dag_after(d, "T1"), dag_after(d, "T2") }, 2), TOPIC, "", "T1");
}
Test(state_res, events_of_other_rooms_take_no_part) { IN_V2(other_room); }

Test(state_res, events_that_name_each_other_end_nothing)
{
	struct state_set sets[2];
	struct dag d;

	/* Possible where ids are made up. Nobody accepts such events, but the algorithm must come to its end. */
	dag_open(&d, "2");
	DAG_SEND(&d, { "p", "@bob:b", LEVELS, "", "{}", "dave", "create bob q" },
	    { "q", "@bob:b", LEVELS, "", "{}", "dave", "create bob p" },
	    { "T1", "@bob:b", TOPIC, "", "{}", "dave", "create bob q" }, { "T2", "@bob:b", TOPIC, "", "{}", "dave" });
	sets[0] = dag_claim(&d, "T1", "p");
	sets[1] = dag_claim(&d, "T2", "q");
	EXPECT(&d, dag_merge(&d, sets, 2), LEVELS, "", NULL);
	dag_close(&d);
}

/* MSC4297, "Problem A": v2 loses the join rules, for who set them has left on both branches. */

static void
problem_a(struct dag *d, const char *expected)
{
	struct state_set sets[2];

	DAG_SEND(d, { "admin", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':100") },
	    { "closed", "@alice:a", RULES, "", "{\"join_rule\":\"invite\"}" },
	    { "gone", "@alice:a", MEMBER, "@alice:a", LEAVE });
	sets[0] = dag_after(d, "gone");
	sets[1] = dag_claim(d, "gone", "rules");	/* told by a server that still has the old join rules */
	EXPECT(d, dag_resolve(d, sets, 2), RULES, "", expected);
	EXPECT(d, dag_resolve(d, sets, 2), MEMBER, "@alice:a", "gone");
}
static void problem_a_v2(struct dag *d) { problem_a(d, NULL); }
static void problem_a_v21(struct dag *d) { problem_a(d, "closed"); }
Test(state_res, old_join_rules_reset_version_2) { IN(problem_a_v2, "2", "6", "10", "11"); }
Test(state_res, old_join_rules_do_not_reset_version_12) { IN(problem_a_v21, "12"); }

/*
 * MSC4297, "Problem B": Alice made Bob, Bob made Carol a moderator. Eve's new profile
 * cites the first levels, but she joined under the last ones; so both branches
 * have levels2 in their auth chains, it is not played, and v2 refuses levels3.
 */
static void
problem_b(struct dag *d, bool reset)
{
	bool v12 = d->rv->privileged_creators;
	struct state_set sets[2];

	DAG_SEND(d, { "levels2", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':60") },
	    { "levels3", "@bob:b", LEVELS, "", dag_levels(d, "'state_default':60,", "'@bob:b':60,'@carol:c':60") },
	    { "carols", "@carol:c", LEVELS, "", dag_levels(d, "'state_default':55,", "'@bob:b':60,'@carol:c':60") },
	    { "eve", "@eve:e", MEMBER, "@eve:e", JOIN },
	    { "eve2", "@eve:e", MEMBER, "@eve:e", JOIN, "eve", v12 ? "levels rules eve" : "create levels rules eve" },
	    { "zara", "@zara:z", MEMBER, "@zara:z", JOIN, "eve" });
	sets[0] = dag_claim(d, "eve2", "levels");
	sets[1] = dag_claim(d, "zara", "-m.room.member,@eve:e");
	EXPECT(d, dag_resolve(d, sets, 2), LEVELS, "", reset ? "levels" : "carols");
	EXPECT(d, dag_resolve(d, sets, 2), MEMBER, "@zara:z", "zara");
	EXPECT(d, dag_resolve(d, sets, 2), MEMBER, "@eve:e", reset ? "eve2" : "eve");
}
static void problem_b_v2(struct dag *d) { problem_b(d, true); }
static void problem_b_v21(struct dag *d) { problem_b(d, false); }
Test(state_res, a_stale_branch_resets_power_levels_in_version_2) { IN(problem_b_v2, "2", "6", "10", "11"); }
Test(state_res, a_stale_branch_resets_nothing_in_version_12) { IN(problem_b_v21, "12"); }

/* The same by an event that both branches have in their state: then the agreed state has levels2 in its chain. */
static void
common_chain(struct dag *d)
{
	struct state_set sets[2];

	DAG_SEND(d, { "levels2", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':60") },
	    { "eve", "@eve:e", MEMBER, "@eve:e", JOIN },
	    { "levels3", "@bob:b", LEVELS, "", dag_levels(d, "", "'@bob:b':60,'@carol:c':60") });
	sets[0] = dag_after(d, "levels3");
	sets[1] = dag_claim(d, "levels3", "levels");
	EXPECT(d, dag_resolve(d, sets, 2), LEVELS, "", d->rv->state_res == RES_V21 ? "levels3" : "levels");
}
Test(state_res, what_the_agreed_state_is_built_on_is_in_no_difference) { IN_V2(common_chain); }

/* Version 1 */

static void
v1_depth(struct dag *d)
{
	/* At one depth the lowest is taken: sha1("$T5:a") is 188d…, sha1("$T6:a") 6415…. */
	DAG_SEND(d, { "T5", "@alice:a", TOPIC, "", "{}", "dave", .ts = 1, .depth = 20 },
	    { "T6", "@alice:a", TOPIC, "", "{}", "dave", .ts = 90000, .depth = 20 },
	    { "T7", "@alice:a", TOPIC, "", "{}", "dave", .ts = 91000, .depth = 19 },
	    { "deep", "@dave:d", TOPIC, "", "{}", "dave", .depth = 90 });
	EXPECT(d, dag_resolve_names(d, "T6 T7"), TOPIC, "", "T6");
	EXPECT(d, dag_resolve_names(d, "T6 T5 T7"), TOPIC, "", "T5");
	/* Dave may not: the next one is taken; where none may, the oldest. */
	EXPECT(d, dag_resolve_names(d, "T7 deep T6"), TOPIC, "", "T6");
	DAG_SEND(d, { "deeper", "@dave:d", TOPIC, "", "{}", "dave", .depth = 91 });
	EXPECT(d, dag_resolve_names(d, "deeper deep"), TOPIC, "", "deep");
}
Test(state_res, version_1_goes_by_depth_then_sha1) { IN(v1_depth, "1"); }

static void
v1_levels(struct dag *d)
{
	/* From the lowest depth upwards, each judged by the one before, until one is not allowed. */
	DAG_SEND(d, { "first", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':40"), "dave", .depth = 20 },
	    { "bobs", "@bob:b", LEVELS, "", dag_levels(d, "", "'@bob:b':50,'@carol:c':50"), "dave", .depth = 21 },
	    { "last", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':50,'@dave:d':9"), "dave", .depth = 22 });
	EXPECT(d, dag_resolve_names(d, "dave bobs"), LEVELS, "", "bobs");	/* levels allows it */
	EXPECT(d, dag_resolve_names(d, "first bobs"), LEVELS, "", "first");
	EXPECT(d, dag_resolve_names(d, "last bobs first"), LEVELS, "", "first");	/* last gets no turn */
	EXPECT(d, dag_resolve_names(d, "last first"), LEVELS, "", "last");
	EXPECT(d, dag_resolve_names(d, "last bobs"), LEVELS, "", "last");
}
Test(state_res, version_1_plays_power_levels_upwards) { IN(v1_levels, "1"); }

static void
v1_passes(struct dag *d)
{
	/* Power levels, then join rules, then members, then the rest: each sees what was decided before. */
	DAG_SEND(d, { "levels2", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':50,'@carol:c':1"), "dave" },
	    { "bobs", "@bob:b", RULES, "", "{\"join_rule\":\"public\"}", "dave" },
	    { "closed", "@bob:b", RULES, "", "{}", "bobs" },
	    { "kick", "@alice:a", MEMBER, "@carol:c", LEAVE, "dave" },
	    { "again", "@carol:c", MEMBER, "@carol:c", JOIN, "dave" },
	    { "out", "@alice:a", MEMBER, "@bob:b", LEAVE, "dave" },
	    { "N1", "@alice:a", "name", "", "{}", "dave" }, { "N2", "@bob:b", "name", "", "{}", "dave" });
	EXPECT(d, dag_resolve_names(d, "levels2 bobs"), LEVELS, "", "levels2");
	EXPECT(d, dag_resolve_names(d, "levels2 bobs"), RULES, "", "bobs");
	EXPECT(d, dag_resolve_names(d, "levels2 bobs kick again"), MEMBER, "@carol:c", "again");
	EXPECT(d, dag_resolve_names(d, "levels2 closed kick again"), RULES, "", "closed");
	EXPECT(d, dag_resolve_names(d, "levels2 closed kick again"), MEMBER, "@carol:c", "kick");
	EXPECT(d, dag_resolve_names(d, "N1 N2"), "name", "", "N2");
	EXPECT(d, dag_resolve_names(d, "N1 N2 out"), "name", "", "N1");
}
Test(state_res, version_1_resolves_in_passes) { IN(v1_passes, "1"); }

static void
v1_absent(struct dag *d)
{
	struct state_set sets[2];

	/* Absence is no conflict: what one state has alone is taken, allowed or not. */
	DAG_SEND(d, { "eve", "@eve:e", MEMBER, "@eve:e", JOIN, "dave" },
	    { "closed", "@alice:a", RULES, "", "{\"join_rule\":\"invite\"}", "dave" });
	EXPECT(d, dag_resolve_names(d, "eve closed"), MEMBER, "@eve:e", "eve");
	sets[0] = dag_claim(d, "closed", "-m.room.member,@alice:a");
	sets[1] = dag_after(d, "eve");
	EXPECT(d, dag_resolve(d, sets, 2), MEMBER, "@alice:a", "alice");
	EXPECT(d, dag_resolve(d, sets, 2), RULES, "", "closed");	/* by Alice, who is there from the first */
	/* A rejected event is judged like another, an unknown one is not taken. */
	DAG_SEND(d, { "T1", "@alice:a", TOPIC, "", "{}", "dave", .rejected = true },
	    { "T2", "@alice:a", TOPIC, "", "{}", "dave" },
	    { "T3", "@alice:a", TOPIC, "", "{}", "dave", .unknown = true });
	sets[0] = dag_claim(d, "dave", "T2");
	sets[1] = dag_claim(d, "dave", "T1");
	EXPECT(d, dag_resolve(d, sets, 2), TOPIC, "", "T2");
	sets[1] = dag_claim(d, "dave", "T3");
	EXPECT(d, dag_resolve(d, sets, 2), TOPIC, "", "T2");
}
Test(state_res, version_1_has_no_conflict_with_nothing) { IN(v1_absent, "1"); }

/* Size */

/* A chain of power levels as long as someone liked to make it, against a branch that has none of them. */
Test(state_res, deep_auth_chains)
{
	struct state_set sets[2];
	struct dag d;
	char name[32], auth[64], before[32] = "levels";

	dag_open(&d, "11");
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		snprintf(auth, sizeof(auth), "create alice %s", before);
		DAG_SEND(&d, { arena_strdup(d.cx.a, name), "@alice:a", LEVELS, "", dag_levels(&d, "", "'@bob:b':1"),
		    "create", arena_strdup(d.cx.a, auth) });
		snprintf(before, sizeof(before), "%s", name);
	}
	DAG_SEND(&d, { "T1", "@alice:a", TOPIC, "", "{}", "create", arena_printf(d.cx.a, "create alice %s", before) },
	    { "T2", "@alice:a", TOPIC, "", "{}", "create", "create alice levels", .ts = INT64_C(1) << 40 });
	sets[0] = dag_claim(&d, "dave", arena_printf(d.cx.a, "T1 %s", before));
	sets[1] = dag_claim(&d, "dave", "T2");
	EXPECT(&d, dag_merge(&d, sets, 2), LEVELS, "", before);
	EXPECT(&d, dag_merge(&d, sets, 2), TOPIC, "", "T1");
	dag_close(&d);
}

/* Each of a hundred generations cites both of the one before: there are more paths than anyone can walk. */
Test(state_res, auth_chains_with_many_paths)
{
	struct state_set sets[2];
	struct dag d;
	const char *auth = "create alice levels", *with = "";

	dag_open(&d, "11");
	for (int i = 0; i < 100; i++) {
		const char *x = arena_printf(d.cx.a, "x%d", i), *y = arena_printf(d.cx.a, "y%d", i);

		DAG_SEND(&d, { x, "@alice:a", "x", x, "{}", "create", auth }, { y, "@alice:a", "y", y, "{}", "create", auth });
		auth = arena_printf(d.cx.a, "create alice levels %s %s", x, y);
		with = arena_printf(d.cx.a, "%s %s", x, y);
	}
	/* Once in what all agree on, once in the conflict. */
	DAG_SEND(&d, { "levels2", "@alice:a", LEVELS, "", dag_levels(&d, "", ""), "dave" },
	    { "levels3", "@alice:a", LEVELS, "", dag_levels(&d, "", "") },
	    { "T1", "@alice:a", TOPIC, "", "{}", "levels3", auth });
	d.orders = false;
	sets[0] = dag_claim(&d, "levels3", with);
	sets[1] = dag_claim(&d, "dave", with);
	EXPECT(&d, dag_resolve(&d, sets, 2), LEVELS, "", "levels3");
	sets[0] = dag_claim(&d, "levels3", "T1");
	sets[1] = dag_after(&d, "dave");
	EXPECT(&d, dag_resolve(&d, sets, 2), TOPIC, "", "T1");
	dag_close(&d);
}

/* With orders known, the members that were there before the fork are not looked at. */
Test(state_res, a_fork_costs_what_changed_in_it)
{
	struct state_item *v;
	struct state_set sets[2];
	struct dag d;
	size_t n, with;

	dag_open(&d, "11");
	n = dag_after(&d, "dave").n;
	v = arena_calloc(d.cx.a, n + 3000, sizeof(*v));
	memcpy(v, dag_after(&d, "dave").v, n * sizeof(*v));
	for (int i = 0; i < 3000; i++) {
		const char *user = arena_printf(d.cx.a, "@u%d:a", i);

		const char *name = arena_printf(d.cx.a, "u%d", i);

		DAG_SEND(&d, { name, user, MEMBER, user, JOIN, "create", "create levels rules" });
		v[n++] = (struct state_item){ MEMBER, user, dag_id(&d, name), (int64_t)d.n };
	}
	DAG_SEND(&d, { "levels2", "@alice:a", LEVELS, "", "{\"users\":{\"@alice:a\":100,\"@bob:b\":70}}", "dave" },
	    { "levels3", "@alice:a", LEVELS, "", "{\"users\":{\"@alice:a\":100,\"@bob:b\":80}}" });
	sets[0] = (struct state_set){ v, n };
	sets[1] = dag_with(&d, sets[0], &dag_at(&d, "levels3")->ev);
	EXPECT(&d, dag_merge(&d, sets, 2), LEVELS, "", "levels3");
	with = d.loaded;
	cr_assert_lt(with, 20, "%zu events loaded", with);
	d.orders = false;
	EXPECT(&d, dag_merge(&d, sets, 2), LEVELS, "", "levels3");
	cr_assert_gt(d.loaded, with);
	dag_close(&d);
}

/* Random rooms */

static uint64_t rng;

static uint32_t
rnd(uint32_t n)		/* xorshift64* */
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return (uint32_t)((rng * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

static const char *const users[] = { "@alice:a", "@bob:b", "@carol:c", "@dave:d", "@eve:e" };
#define ANY(list) list[rnd(sizeof(list) / sizeof(list[0]))]

static const char *
some_levels(struct dag *d)
{
	static const int levels[] = { 0, 40, 50, 60, 100 };
	const char *settings = arena_printf(d->cx.a, "'ban':%d,'invite':%d,'state_default':%d,",
	    ANY(levels), ANY(levels), ANY(levels));

	return dag_levels(d, settings, arena_printf(d->cx.a, "'@bob:b':%d,'@carol:c':%d", ANY(levels), ANY(levels)));
}

static struct step
some_step(struct dag *d, int i)
{
	static const char *const rules[] = { "{\"join_rule\":\"public\"}", "{\"join_rule\":\"invite\"}", "{}" };
	static const char *const memberships[] = { LEAVE, BAN, "{\"membership\":\"invite\"}" };
	static const char *const topics[] = { TOPIC, "name", "topic2" };
	struct step s = { .id = arena_printf(d->cx.a, "e%d", i), .sender = ANY(users), .key = "", .ts = 1 + rnd(200) };

	switch (rnd(8)) {
	case 0:
		s.type = LEVELS;
		s.content = some_levels(d);
		break;
	case 1:
		s.type = RULES;
		s.content = ANY(rules);
		break;
	case 2:
	case 3:
		s.type = MEMBER;
		s.key = ANY(users);
		s.content = ANY(memberships);
		break;
	case 4:
	case 5:
		s.type = MEMBER;
		s.key = s.sender;
		s.content = JOIN;
		break;
	default:
		s.type = ANY(topics);
		break;
	}
	s.depth = 10 + rnd(20);
	return s;
}

static const struct event *
in_state(void *arg, const char *type, const char *key)
{
	struct { struct dag *d; struct state_set s; } *q = arg;
	const char *id = dag_value(q->s, type, key);

	return id ? &q->d->v[dag_find(q->d, id)].ev : NULL;
}

/* Is the newest event allowed by the state before it? */
static bool
is_allowed(struct dag *d, struct state_set before)
{
	struct { struct dag *d; struct state_set s; } q = { d, before };
	struct auth_state st = { .get = in_state, .arg = &q };

	if (d->rv->no_create_in_auth)
		st.create = &dag_at(d, "create")->ev;
	return event_auth(&d->cx, &d->v[d->n - 1].ev, &st) == M_OK;
}

/* Some event before, that has the same type and state key as something in the state; or a hole instead. */
static struct state_set
stale(struct dag *d, struct state_set s)
{
	const struct state_item *it = &s.v[rnd((uint32_t)s.n)];

	if (strcmp(it->type, CREATE) == 0)
		return s;
	for (int tries = 0; tries < 20; tries++) {
		const struct event *ev = &d->v[rnd((uint32_t)d->n)].ev;

		if (strcmp(ev->type, it->type) == 0 && strcmp(ev->state_key, it->key) == 0)
			return dag_with(d, s, ev);
	}
	return dag_claim(d, d->v[rnd((uint32_t)d->n)].name, "");
}

/* Grows a room by events that are allowed where they stand, and now and then a rejected one or a wrong state. */
static void
grow(struct dag *d, int n)
{
	for (int i = 0; i < n; i++) {
		struct step s = some_step(d, i);
		size_t back = d->n < 8 ? d->n : 8, first = d->n - 1 - rnd((uint32_t)back);
		size_t second = d->n - 1 - rnd((uint32_t)back);
		struct state_set before;

		s.after = first == second ? d->v[first].name
		    : arena_printf(d->cx.a, "%s %s", d->v[first].name, d->v[second].name);
		dag_send(d, &s, 1);
		before = dag_merge(d, (struct state_set[]){ d->v[first].after, d->v[second].after }, 2);
		if (!is_allowed(d, before)) {
			d->v[d->n - 1].ev.rejected = true;
			d->v[d->n - 1].after = before;
		} else if (rnd(6) == 0) {
			d->v[d->n - 1].after = stale(d, d->v[d->n - 1].after);
		}
	}
}

static void
expect_agreed_stands(struct state_set out, const struct state_set *sets, size_t n)
{
	for (size_t i = 0; i < sets[0].n; i++) {
		const struct state_item *it = &sets[0].v[i];
		const char *id = dag_value(out, it->type, it->key);
		bool all = true;

		for (size_t s = 1; s < n; s++) {
			const char *other = dag_value(sets[s], it->type, it->key);

			all &= other && strcmp(other, it->id) == 0;
		}
		cr_assert(!all || (id && strcmp(id, it->id) == 0), "(%s, %s)", it->type, it->key);
	}
}

/* Of each key there is one event, and it is of that key. */
static void
expect_sound(struct dag *d, struct state_set out)
{
	for (size_t i = 0; i < out.n; i++) {
		const struct event *ev = &d->v[dag_find(d, out.v[i].id)].ev;

		cr_assert_str_eq(ev->type, out.v[i].type);
		cr_assert_str_eq(ev->state_key, out.v[i].key);
		cr_assert_eq(dag_value(out, ev->type, ev->state_key), out.v[i].id);
	}
}

static void
random_room(const char *version, uint64_t seed)
{
	struct dag d;

	rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	dag_open(&d, version);
	grow(&d, 10 + (int)rnd(50));
	for (int i = 0; i < 6; i++) {
		struct state_set sets[4] = { { NULL, 0 } }, out, again[2];
		size_t n = 2 + rnd(3);

		for (size_t s = 0; s < n; s++)
			sets[s] = d.v[d.n - 1 - rnd(d.n < 20 ? (uint32_t)d.n : 20)].after;
		if (rnd(3) == 0)
			d.v[rnd((uint32_t)d.n)].unknown = !d.rv->no_create_in_auth;
		out = dag_resolve(&d, sets, n);
		expect_agreed_stands(out, sets, n);
		expect_sound(&d, out);
		again[0] = again[1] = out;
		cr_assert_eq(dag_resolve(&d, again, 2).n, out.n);
	}
	dag_close(&d);
}

#define RANDOM(version, seeds) \
	do { \
		for (uint64_t seed = 1; seed <= (seeds); seed++) \
			random_room(version, seed); \
	} while (0)
Test(state_res, random_rooms_of_version_1) { RANDOM("1", 60); }
Test(state_res, random_rooms_of_version_2) { RANDOM("2", 60); }
Test(state_res, random_rooms_of_version_6) { RANDOM("6", 60); }
Test(state_res, random_rooms_of_version_8) { RANDOM("8", 30); }
Test(state_res, random_rooms_of_version_10) { RANDOM("10", 30); }
Test(state_res, random_rooms_of_version_11) { RANDOM("11", 60); }
Test(state_res, random_rooms_of_version_12) { RANDOM("12", 100); }
