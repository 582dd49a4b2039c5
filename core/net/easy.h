/*
 * core/net/easy.h - what every use of libcurl here has in common.
 *
 * TLS verified by the system's certificate authorities and those of the setting ca_file. No proxy from the environment, no
 * .netrc, no signals. And, for addresses that strangers chose, a guard: it looks at the address that is really connected
 * to, after the name was looked up, so a name that answers differently the second time gains nothing.
 */
#ifndef HEARTH_NET_EASY_H
#define HEARTH_NET_EASY_H

#include <curl/curl.h>
#include <stdbool.h>
#include "core/base/conf.h"
#include "core/base/ip.h"

/* Lives as long as the handle is used. */
struct net_guard {
	const struct conf *conf;
	bool refused;	/* an address was refused: neither public nor in outgoing_allow */
};

CURL *net_easy_new(const struct conf *conf);	/* never NULL */
/* From now on only public addresses, and those that the setting outgoing_allow lists, are connected to. */
void net_easy_guard(CURL *easy, struct net_guard *g, const struct conf *conf);
bool net_ip_ok(const struct conf *conf, const struct ip *ip);	/* is it such an address? */

#endif
