/* core/net/easy.c - what every use of libcurl here has in common; see easy.h. */
#include "core/net/easy.h"

#include <stdlib.h>
#include <sys/socket.h>

#define CA_DIR "/etc/ssl/certs"		/* Debian's, where libcurl does not say where its own is */

CURL *
net_easy_new(const struct conf *conf)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
	CURL *easy = curl_easy_init();

	if (easy == NULL)
		abort();
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A name whose servers do not answer is given up with the call: else libcurl waits for the resolver's thread, and the loop with it. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* The directory holds the system's, so the one file may hold further ones. */
	curl_easy_setopt(easy, CURLOPT_CAPATH, info->capath ? info->capath : CA_DIR);
	if (*conf->ca_file != '\0')
		curl_easy_setopt(easy, CURLOPT_CAINFO, conf->ca_file);
	return easy;
}

bool
net_ip_ok(const struct conf *conf, const struct ip *ip)
{
	return ip_is_public(ip) || ip_list_has(conf->outgoing_allow, ip);
}

static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct net_guard *g = arg;
	struct ip ip;

	if (purpose != CURLSOCKTYPE_IPCXN || !ip_of_sockaddr(&to->addr, &ip) || !net_ip_ok(g->conf, &ip)) {
		g->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

void
net_easy_guard(CURL *easy, struct net_guard *g, const struct conf *conf)
{
	g->conf = conf;
	g->refused = false;
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, g);
}
