/* tests/unit/base/ip.c - which addresses are public, and lists of ranges */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>

#include "core/base/ip.h"

static bool
public(const char *text)
{
	struct ip ip;

	cr_assert(ip_parse(text, &ip), "%s", text);
	return ip_is_public(&ip);
}

static bool
has(const char *list, const char *text)
{
	struct ip ip;

	cr_assert(ip_parse(text, &ip), "%s", text);
	return ip_list_has(list, &ip);
}

Test(ip, private_and_special_addresses_are_not_public)
{
	static const char *const inner[] = {
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.8.8.8",
		"169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1",
		"255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::127.0.0.1", "fe80::1", "febf::1", "fc00::1", "fd12:3456::1",
		"ff02::1", "2001:db8::1", "2001::1", "2001:10::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "4000::1",
		"64:ff9b::127.0.0.1", "64:ff9b::a01:203", "64:ff9b:1::1", "100::1", "5f00::1",
	};

	for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
		cr_expect_not(public(inner[i]), "%s", inner[i]);
}

Test(ip, the_rest_is_public)
{
	static const char *const outer[] = {
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.1.1",
		"172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.1.1", "192.169.1.1", "198.17.1.1", "198.20.0.0", "223.255.255.255",
		"2606:4700::1111", "2a00::1", "2001:200::1", "2001:4860:4860::8888", "3ffe::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
	};

	for (size_t i = 0; i < sizeof outer / sizeof *outer; i++)
		cr_expect(public(outer[i]), "%s", outer[i]);
}

Test(ip, lists_hold_addresses_and_ranges)
{
	const char *list = "127.0.0.0/8, ::1 10.1.2.3,fd00::/8";

	cr_assert(ip_list_ok(list));
	cr_assert(has(list, "127.255.0.1"));
	cr_assert(has(list, "::1"));
	cr_assert(has(list, "10.1.2.3"));
	cr_assert(has(list, "fdff::9"));
	cr_assert(has(list, "::ffff:127.0.0.1"), "it is the same address");
	cr_assert_not(has(list, "10.1.2.4"));
	cr_assert_not(has(list, "::2"));
	cr_assert_not(has(list, "fe00::1"));
	cr_assert_not(has("", "127.0.0.1"));
	cr_assert(has("0.0.0.0/0", "8.8.8.8"));
	cr_assert_not(has("0.0.0.0/0", "2a00::1"), "all of IPv4 and nothing else");
	cr_assert(has("::/0", "8.8.8.8"));
	cr_assert(has("10.0.0.0/9", "10.127.0.1"));
	cr_assert_not(has("10.0.0.0/9", "10.128.0.1"));
}

Test(ip, what_is_no_list_is_told)
{
	static const char *const bad[] = {
		"localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/ 8", "10.0.0", "1.2.3.4/8x", "/8", "127.0.0.1;::1",
		"10.0.0.0/99999999999999999999", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001/128",
	};

	cr_assert(ip_list_ok(""));
	cr_assert(ip_list_ok(" , ,"));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_not(ip_list_ok(bad[i]), "%s", bad[i]);
	cr_assert(has("nonsense, 127.0.0.1", "127.0.0.1"));
}

Test(ip, of_a_socket_address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct ip ip;

	inet_pton(AF_INET, "127.0.0.1", &v4.sin_addr);
	inet_pton(AF_INET6, "fe80::1", &v6.sin6_addr);
	cr_assert(ip_of_sockaddr((struct sockaddr *)&v4, &ip));
	cr_assert(ip_list_has("127.0.0.1", &ip));
	cr_assert(ip_of_sockaddr((struct sockaddr *)&v6, &ip));
	cr_assert(ip_list_has("fe80::1", &ip));
	cr_assert_not(ip_of_sockaddr(&other, &ip));
}
