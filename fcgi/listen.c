/* fcgi/listen.c - listening sockets; see listen.h. */
#include "fcgi/listen.h"

#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "core/base/log.h"

#define BACKLOG 4096

static int
refused(const char *address, const char *why)
{
	log_error(NULL, "listen", LS("address", address), LS("why", why));
	return -1;
}

/* A name left over by a crash may be taken; one that somebody answers at may not. */
static bool
is_stale(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool stale = connect(fd, (const struct sockaddr *)un, sizeof(*un)) != 0 && errno == ECONNREFUSED;

	close(fd);
	return stale;
}

static int
open_unix(const char *address, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;
	mode_t mask;

	if (fd < 0)
		return refused(address, strerror(errno));
	if (strlen(path) >= sizeof(un.sun_path))
		return refused(address, "the path is too long");
	memcpy(un.sun_path, path, strlen(path) + 1);
	if (is_stale(&un))
		unlink(path);
	mask = umask(0117);	/* 0660: its group is nginx's */
	rc = bind(fd, (struct sockaddr *)&un, sizeof(un));
	umask(mask);
	if (rc != 0 || listen(fd, BACKLOG) != 0)
		return refused(address, strerror(errno));
	return fd;
}

static int
open_tcp(const char *address, const char *host_port)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(host_port, ':');
	struct addrinfo *ai;
	char host[256];
	size_t n;
	int fd, rc;

	if (!colon || (n = (size_t)(colon - host_port)) >= sizeof(host))
		return refused(address, "is no host:port");
	memcpy(host, host_port, n);
	host[n] = '\0';
	if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = '\0';
	}
	rc = getaddrinfo(*host == '\0' || strcmp(host, "*") == 0 ? NULL : host, colon + 1, &hints, &ai);
	if (rc != 0)
		return refused(address, gai_strerror(rc));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	rc = fd < 0 ? -1 : bind(fd, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	if (rc != 0 || listen(fd, BACKLOG) != 0)
		return refused(address, strerror(errno));
	return fd;
}

int
listen_open(const char *address)
{
	if (strncmp(address, "unix:", 5) == 0)
		return open_unix(address, address + 5);
	return open_tcp(address, strncmp(address, "tcp:", 4) == 0 ? address + 4 : address);
}

void
listen_close_door(int fd, const char *address)
{
	/* The filter sees a segment from its TCP header on; byte 13 holds the flags: SYN without ACK is dropped. */
	static struct sock_filter drop_syn[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0x40000),
	};
	const struct sock_fprog prog = { sizeof(drop_syn) / sizeof(*drop_syn), drop_syn };

	if (strncmp(address, "unix:", 5) == 0)
		unlink(address + 5);
	else
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}
