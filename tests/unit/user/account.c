/* tests/unit/user/account.c - names that may be registered, and the forms of a password login. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/conf.h"
#include "core/user/account.h"

static struct conf conf = { .server_name = "example.org" };
static struct ctx cx;

static void
setup(void)
{
	cx = (struct ctx){ .a = arena_new(), .conf = &conf };
}

TestSuite(account, .init = setup);

static const char *
checked(const char *name, bool privileged)
{
	const char *s = NULL;

	return account_name_check(&cx, name, privileged, &s) == M_OK ? s : NULL;
}

Test(account, names)
{
	char longest[300];
	static const char *const bad[] = { "", "a b", "@a:example.org", "\xc3\xa9", "a:b", "a\n", "_bridge", "12345" };

	cr_assert_str_eq(checked("Alice", false), "alice");
	cr_assert_str_eq(checked("a.b_c=d-e/f+9", false), "a.b_c=d-e/f+9");
	cr_assert_str_eq(checked("_bridge", true), "_bridge");
	cr_assert_str_eq(checked("12345", true), "12345");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_null(checked(bad[i], false), "%s", bad[i]);
	/* the whole id, "@" + name + ":example.org", has at most 255 bytes */
	memset(longest, 'a', sizeof longest);
	longest[255 - 13] = '\0';
	cr_assert_not_null(checked(longest, false));
	longest[255 - 13] = 'a';
	longest[255 - 12] = '\0';
	cr_assert_null(checked(longest, true));
}

Test(account, random_names_are_valid_and_differ)
{
	const char *one = account_name_random(&cx), *two = account_name_random(&cx);

	cr_assert_not_null(checked(one, false));
	cr_assert_str_neq(one, two);
}

Test(account, passwords)
{
	char *big = arena_alloc(cx.a, 514);

	memset(big, 'x', 513);
	big[513] = '\0';
	cr_assert_eq(account_password_ok(&cx, ""), M_WEAK_PASSWORD);
	cr_assert_eq(account_password_ok(&cx, "x"), M_OK);
	cr_assert_eq(account_password_ok(&cx, big), M_INVALID_PARAM);
	big[512] = '\0';
	cr_assert_eq(account_password_ok(&cx, big), M_OK);
}

static enum err
creds(const char *text, struct credentials *c)
{
	struct json *v;

	cr_assert_eq(json_parse(cx.a, text, strlen(text), &v), JSON_OK, "%s", text);
	return credentials_read(&cx, v, c);
}

Test(account, both_forms_of_login)
{
	struct credentials c;

	cr_assert_eq(creds("{\"identifier\":{\"type\":\"m.id.user\",\"user\":\"@A:b\"},\"password\":\"p\"}", &c), M_OK);
	cr_assert_str_eq(c.name, "@A:b");
	cr_assert_str_eq(c.password, "p");
	cr_assert_not(c.third_party);
	cr_assert_eq(creds("{\"user\":\"a\",\"password\":\"p\"}", &c), M_OK);
	cr_assert_str_eq(c.name, "a");
	cr_assert_eq(creds("{\"identifier\":null,\"user\":\"a\",\"password\":\"p\"}", &c), M_OK);
	/* third-party identifiers are understood, and belong to nobody */
	cr_assert_eq(creds("{\"medium\":\"email\",\"address\":\"a@b\",\"password\":\"p\"}", &c), M_OK);
	cr_assert(c.third_party);
	cr_assert_eq(creds("{\"identifier\":{\"type\":\"m.id.thirdparty\"},\"password\":\"p\"}", &c), M_OK);
	cr_assert(c.third_party);
}

Test(account, malformed_logins)
{
	struct credentials c;

	cr_assert_eq(creds("{\"password\":\"p\"}", &c), M_MISSING_PARAM);
	cr_assert_eq(creds("{\"user\":\"a\"}", &c), M_MISSING_PARAM);
	cr_assert_eq(creds("{\"user\":\"a\",\"password\":7}", &c), M_BAD_JSON);
	cr_assert_eq(creds("{\"user\":7,\"password\":\"p\"}", &c), M_BAD_JSON);
	cr_assert_eq(creds("{\"identifier\":\"a\",\"password\":\"p\"}", &c), M_BAD_JSON);
	cr_assert_eq(creds("{\"identifier\":{\"type\":\"m.id.user\"},\"password\":\"p\"}", &c), M_MISSING_PARAM);
	cr_assert_eq(creds("{\"identifier\":{\"type\":\"x\"},\"password\":\"p\"}", &c), E_BAD_REQUEST);
	cr_assert_eq(creds("{\"user\":\"a\",\"password\":\"p\\u0000q\"}", &c), M_BAD_JSON);
}
