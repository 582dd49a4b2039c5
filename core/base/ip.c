/* core/base/ip.c - IP addresses; see ip.h. */
#include "core/base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS ", \t"
#define V4_BITS 96		/* of the prefix ::ffff:0:0 */

static const unsigned char v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct range {
	struct ip ip;
	int bits;
};

static bool
is_v4(const struct ip *ip)
{
	return memcmp(ip->b, v4_prefix, sizeof v4_prefix) == 0;
}

static void
set_v4(struct ip *out, const void *four)
{
	memcpy(out->b, v4_prefix, sizeof v4_prefix);
	memcpy(out->b + 12, four, 4);
}

bool
ip_parse(const char *text, struct ip *out)
{
	unsigned char four[4];

	if (inet_pton(AF_INET, text, four) == 1) {
		set_v4(out, four);
		return true;
	}
	return inet_pton(AF_INET6, text, out->b) == 1;
}

bool
ip_of_sockaddr(const struct sockaddr *sa, struct ip *out)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof in);
		set_v4(out, &in.sin_addr);
		return true;
	case AF_INET6:
		memcpy(&in6, sa, sizeof in6);
		memcpy(out->b, &in6.sin6_addr, sizeof out->b);
		return true;
	}
	return false;
}

static bool
within(const struct ip *ip, const struct ip *of, int bits)
{
	int whole = bits / 8, rest = bits % 8;

	return memcmp(ip->b, of->b, (size_t)whole) == 0 &&
	    (rest == 0 || (ip->b[whole] ^ of->b[whole]) >> (8 - rest) == 0);
}

/* "addr" or "addr/bits". */
static bool
range_parse(const char *text, size_t n, struct range *out)
{
	char s[INET6_ADDRSTRLEN + 8], *slash, *end;
	long bits, max;

	if (n >= sizeof s)
		return false;
	memcpy(s, text, n);
	s[n] = '\0';
	if ((slash = strchr(s, '/')) != NULL)
		*slash++ = '\0';
	if (!ip_parse(s, &out->ip))
		return false;
	max = strchr(s, ':') ? 128 : 32;
	bits = max;
	if (slash) {
		if (*slash < '0' || *slash > '9')
			return false;
		bits = strtol(slash, &end, 10);
		if (*end != '\0' || bits > max)
			return false;
	}
	out->bits = (int)(max == 32 ? V4_BITS + bits : bits);
	return true;
}

/* "IANA IPv4 Special-Purpose Address Registry", multicast and class E. */
static const char v4_special[] =
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4";
/* Within 2000::/3, the only IPv6 addresses given out: protocols and Teredo, documentation (twice), 6to4. */
static const char v6_special[] = "2001::/23 2001:db8::/32 2002::/16 3fff::/20";

static bool
v6_is_public(const struct ip *ip)
{
	static const struct ip nat64 = { .b = { 0, 0x64, 0xff, 0x9b } };
	struct ip inner;

	/* A network without IPv4 reaches it through this prefix (RFC 6052). */
	if (within(ip, &nat64, 96)) {
		set_v4(&inner, ip->b + 12);
		return ip_is_public(&inner);
	}
	return ip->b[0] >> 5 == 1 && !ip_list_has(v6_special, ip);
}

bool
ip_is_public(const struct ip *ip)
{
	return is_v4(ip) ? !ip_list_has(v4_special, ip) : v6_is_public(ip);
}

/* The next word of the list: its start, and its length; NULL at the end. */
static const char *
next_word(const char **list, size_t *n)
{
	const char *word = *list + strspn(*list, SEPARATORS);

	*n = strcspn(word, SEPARATORS);
	*list = word + *n;
	return *n > 0 ? word : NULL;
}

bool
ip_list_ok(const char *list)
{
	struct range r;
	const char *word;
	size_t n;

	while ((word = next_word(&list, &n)) != NULL)
		if (!range_parse(word, n, &r))
			return false;
	return true;
}

bool
ip_list_has(const char *list, const struct ip *ip)
{
	struct range r;
	const char *word;
	size_t n;

	while ((word = next_word(&list, &n)) != NULL)
		if (range_parse(word, n, &r) && within(ip, &r.ip, r.bits))
			return true;
	return false;
}
