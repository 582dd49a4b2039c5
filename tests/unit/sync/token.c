/* tests/unit/sync/token.c - what is new for a position, tokens as text, and which tokens are lost. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/sync/token.h"

#define P(epoch, xid) ((int64_t)(epoch) << POS_XID_BITS | (xid))

static struct arena *a;

static void
setup(void)
{
	a = arena_new();
}

static void
teardown(void)
{
	arena_free(a);
}

TestSuite(token, .init = setup, .fini = teardown);

static int64_t xip[] = { P(3, 90), P(3, 95), P(3, 99) };
static const struct position sample = { .epoch = 3, .tag = 4000000000, .xmax = P(3, 101), .xip = xip, .nxip = 3, .lsn = 0x12345678,
	.clock = 1795464132464, .td_pos = P(3, 50), .td_id = 77 };

Test(token, what_is_new)
{
	struct position none = { 0 };

	cr_assert(position_new(&sample, P(3, 101)));
	cr_assert(position_new(&sample, P(4, 1)));
	cr_assert(position_new(&sample, P(3, 95)));
	cr_assert_not(position_new(&sample, P(3, 100)));
	cr_assert_not(position_new(&sample, P(3, 94)));
	cr_assert_not(position_new(&sample, P(2, 99)), "the same id in an older epoch");
	cr_assert(position_new(&none, 1));
}

Test(token, text_and_back)
{
	const char *s = token_encode(a, &sample);
	struct position p;

	cr_assert_eq(strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(s), "%s", s);
	cr_assert_lt(strlen(s), 60);
	cr_assert(token_decode(a, s, &p));
	cr_assert_eq(p.epoch, sample.epoch);
	cr_assert_eq(p.tag, sample.tag);
	cr_assert_eq(p.xmax, sample.xmax);
	cr_assert_eq(p.nxip, 3);
	cr_assert_arr_eq(p.xip, xip, sizeof(xip));
	cr_assert_eq(p.lsn, sample.lsn);
	cr_assert_eq(p.clock, sample.clock);
	cr_assert_eq(p.td_pos, sample.td_pos);
	cr_assert_eq(p.td_id, sample.td_id);
	cr_assert_str_eq(token_encode(a, &p), s);
}

Test(token, the_longest_list)
{
	struct position p = { .epoch = POS_EPOCH_MAX, .tag = UINT32_MAX, .xmax = P(POS_EPOCH_MAX, ((int64_t)1 << 42) - 1), .lsn = INT64_MAX,
		.clock = INT64_MAX, .td_pos = INT64_MAX, .td_id = INT64_MAX }, q;
	size_t i;

	p.nxip = POSITION_XIP_MAX;
	p.xip = arena_calloc(a, p.nxip, sizeof(*p.xip));
	for (i = 0; i < p.nxip; i++)
		p.xip[i] = P(POS_EPOCH_MAX, ((int64_t)1 << 41) + (int64_t)i * 100000000);
	cr_assert(token_decode(a, token_encode(a, &p), &q));
	cr_assert_eq(q.nxip, p.nxip);
	cr_assert_arr_eq(q.xip, p.xip, p.nxip * sizeof(*p.xip));
}

Test(token, hostile_text)
{
	static const char *const bad[] = { "", "s", "x", "s!", "sAAAA", "s=", "s72594_4483_0_8_1", "t12-345_6", "sAQ", "1", "null",
		"s__________________________________________", "sAAABAAAAAAA", "s\xff\xfe" };
	const char *s = token_encode(a, &sample);
	char cut[200];
	struct position p;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(token_decode(a, bad[i], &p), "%s", bad[i]);
	for (i = 0; i < strlen(s); i++) {
		snprintf(cut, sizeof(cut), "%.*s", (int)i, s);
		cr_expect_not(token_decode(a, cut, &p), "%s", cut);
	}
	snprintf(cut, sizeof(cut), "%sAAAA", s);
	cr_expect_not(token_decode(a, cut, &p), "more behind the end");
}

/* Every change of one character gives another token, or none; whatever is taken is in range. */
Test(token, what_is_accepted_is_in_range)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *s = arena_strdup(a, token_encode(a, &sample));
	struct position p;
	size_t i, k, j;

	for (i = 1; i < strlen(s); i++)
		for (k = 0; k < 64; k++) {
			char was = s[i];

			s[i] = letters[k];
			if (token_decode(a, s, &p)) {
				cr_assert(p.epoch > 0 && p.epoch <= POS_EPOCH_MAX && p.xmax >> POS_XID_BITS == p.epoch);
				for (j = 0; j < p.nxip; j++)
					cr_assert(p.xip[j] >> POS_XID_BITS == p.epoch && p.xip[j] < (j + 1 < p.nxip ? p.xip[j + 1] : p.xmax));
			}
			s[i] = was;
		}
}

Test(token, judged_by_the_history)
{
	struct epoch v[] = { { 3, 4000000000, 100, "home" }, { 4, 5, 0x12345678, "home" }, { 5, 6, 0x20000000, "home" } };
	struct epochs h = { v, 3 };
	struct position now = { .epoch = 5, .tag = 6, .xmax = P(5, 200), .lsn = 0x20000100 }, t = sample, none = { 0 };

	cr_assert_eq(token_judge(&none, &now, &h), TOKEN_GOOD);
	cr_assert_eq(token_judge(&t, &now, &h), TOKEN_GOOD, "the next epoch began where it had read to");
	t.lsn++;
	cr_assert_eq(token_judge(&t, &now, &h), TOKEN_LOST, "it had read more than the next epoch began with");
	t = sample;
	t.tag++;
	cr_assert_eq(token_judge(&t, &now, &h), TOKEN_LOST, "an epoch of a copy");
	t = sample;
	t.epoch = 2;
	cr_assert_eq(token_judge(&t, &now, &h), TOKEN_LOST, "an epoch nobody knows");
	t.epoch = 6;
	cr_assert_eq(token_judge(&t, &now, &h), TOKEN_LOST, "an epoch to come");
	v[2].home = "elsewhere";
	cr_assert_eq(token_judge(&sample, &now, &h), TOKEN_LOST, "restored elsewhere in between");
	t = now;
	cr_assert_eq(token_judge(&t, &now, &h), TOKEN_GOOD, "of the present epoch, wherever that lives");
	t.lsn = now.lsn + 1;
	cr_assert_eq(token_judge(&t, &now, &h), TOKEN_LOST, "beyond what is written");
	t = now;
	t.xmax = P(5, 201);
	cr_assert_eq(token_judge(&t, &now, &h), TOKEN_LOST, "beyond what was begun");
}
