/*
 * core/base/ip.h - IP addresses: which belong to the public internet, and lists of ranges.
 *
 * A server that calls addresses which strangers name (push gateways, other homeservers, previews of links) must
 * not be a way into its own network. So what is not public is refused, unless the setting outgoing_allow lists it.
 */
#ifndef HEARTH_IP_H
#define HEARTH_IP_H

#include <stdbool.h>
#include <sys/socket.h>

/* IPv4 as ::ffff:a.b.c.d. */
struct ip {
	unsigned char b[16];
};

bool ip_parse(const char *text, struct ip *out);	/* "192.0.2.1", "2001:db8::1" (no brackets); false: neither */
bool ip_of_sockaddr(const struct sockaddr *sa, struct ip *out);	/* false: neither IPv4 nor IPv6 */

/*
 * Is it a unicast address of the public internet? Not: this host, loopback, private, link-local, shared (carriers'
 * NAT), documentation, benchmarks, multicast, reserved; nor the IPv6 forms that carry such an IPv4 address or tunnel to
 * one that nobody can check (6to4, Teredo).
 */
bool ip_is_public(const struct ip *ip);

/* A list: addresses and ranges ("10.1.0.0/16", "::1") parted by commas or spaces; may be empty. */
bool ip_list_ok(const char *list);			/* false: something in it is no address or range */
bool ip_list_has(const char *list, const struct ip *ip);	/* what is no range contains nothing */

#endif
