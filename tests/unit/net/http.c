/* tests/unit/net/http.c - which URLs may be called, and a call that the guard stops before anything leaves */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/net/http.h"

static const struct conf strict = { .outgoing_allow = "", .ca_file = "" };
static const struct conf lax = { .outgoing_allow = "127.0.0.0/8", .ca_file = "", .outgoing_http = true };

Test(http, urls_that_may_be_called)
{
	cr_assert(http_url_ok(&strict, "https://push.example.org/_matrix/push/v1/notify"));
	cr_assert(http_url_ok(&strict, "https://push.example.org:8443/x?y=z"));
	cr_assert(http_url_ok(&strict, "https://8.8.8.8/"));
	cr_assert_not(http_url_ok(&strict, "http://push.example.org/"));
	cr_assert(http_url_ok(&lax, "http://push.example.org/"));
	cr_assert(http_url_ok(&lax, "https://127.0.0.1:9/"));
}

Test(http, urls_that_may_not)
{
	static const char *const bad[] = {
		"", "x", "/path", "https://", "ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "javascript:alert(1)",
		"https://user@example.org/", "https://user:pw@example.org/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1:8080/x",
		"https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest", "https://exa mple.org/", "https://example.org:99999/",
		"https://%ff.example.org/", "https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_not(http_url_ok(&strict, bad[i]), "%s", bad[i]);
}

Test(http, a_url_in_parts)
{
	struct arena *a = arena_new();
	const char *origin, *path;

	cr_assert(http_url_split(a, "https://Push.Example.ORG/_matrix/push/v1/notify?k=v#f", &origin, &path));
	cr_assert_str_eq(origin, "https://push.example.org:443");
	cr_assert_str_eq(path, "/_matrix/push/v1/notify");
	cr_assert(http_url_split(a, "https://[2a00::1]:8443/a%2Fb", &origin, &path));
	cr_assert_str_eq(origin, "https://[2a00::1]:8443");
	cr_assert_str_eq(path, "/a%2Fb");
	arena_free(a);
}

/* A listener that counts nobody: the guard must stop the call before a connection. */
static int
listener(int *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, n), 0);
	cr_assert_eq(listen(fd, 5), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

Test(http, a_name_that_leads_inside_is_refused_when_it_is_connected_to)
{
	struct arena *a = arena_new();
	struct conf http_only = { .outgoing_allow = "", .ca_file = "", .outgoing_http = true };
	int port, fd = listener(&port);
	struct http_request rq = { .method = "GET", .url = arena_printf(a, "http://localhost:%d/", port) };
	struct http_answer ans = http_fetch(&http_only, a, &rq);

	cr_assert_eq(ans.fault, HTTP_REFUSED, "%s", http_fault_name(ans.fault));
	cr_assert_eq(accept(fd, NULL, NULL), -1);
	close(fd);
	arena_free(a);
}

Test(http, faults_have_names)
{
	struct arena *a = arena_new();
	struct http_request rq = { .method = "GET", .url = "ftp://127.0.0.1/" };
	struct http_answer ans = http_fetch(&lax, a, &rq);

	cr_assert_str_eq(http_fault_name(ans.fault), "bad_url");
	rq.url = "http://127.0.0.1:1/";	/* nobody listens there */
	ans = http_fetch(&lax, a, &rq);
	cr_assert_str_eq(http_fault_name(ans.fault), "no_connection");
	cr_assert_eq(ans.status, 0);
	arena_free(a);
}

/* ---- a name whose servers do not answer */

static sem_t name_asked, name_answered;

/* In the place of libc's, for libcurl too. */
int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (node != NULL && strcmp(node, "silent.test") == 0) {
		sem_post(&name_asked);
		sem_wait(&name_answered);
		return EAI_AGAIN;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, out);
}

Test(http, a_name_that_nobody_resolves_holds_up_nobody, .timeout = 60)
{
	struct arena *a = arena_new();
	struct http_request rq = { .method = "GET", .url = "https://silent.test/", .timeout_ms = 100 };
	struct http_answer ans;

	cr_assert_eq(sem_init(&name_asked, 0, 0) | sem_init(&name_answered, 0, 0), 0);
	ans = http_fetch(&strict, a, &rq);	/* its name is asked for until the end of this test */
	cr_assert_str_eq(http_fault_name(ans.fault), "timeout");
	sem_wait(&name_asked);
	sem_post(&name_answered);
	arena_free(a);
}

/* ---- waiting */

static void
note_fault(void *arg, const struct http_answer *ans)
{
	*(const char **)arg = http_fault_name(ans->fault);
}

/* The answer came in time, but nobody looked: he who calls was away for longer than it might take. */
Test(http, an_answer_that_was_there_is_taken)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	struct http *h = http_new(&lax);
	struct arena *a = arena_new();
	int port, fd = listener(&port), to = -1;
	struct http_request rq = { .method = "GET", .url = arena_printf(a, "http://127.0.0.1:%d/", port), .timeout_ms = 1000 };
	const char *came = NULL;
	char ask[1000];

	http_start(h, &rq, note_fault, &came);
	while (to < 0 && came == NULL) {
		http_wait(h, NULL, 0, 1);
		to = accept(fd, NULL, NULL);
	}
	while (came == NULL && recv(to, ask, sizeof ask, MSG_DONTWAIT) <= 0)
		http_wait(h, NULL, 0, 1);
	cr_assert_eq(write(to, answer, sizeof answer - 1), sizeof answer - 1);
	usleep(1200 * 1000);
	while (came == NULL)
		http_wait(h, NULL, 0, 10);
	cr_expect_str_eq(came, "ok");
	close(to);
	close(fd);
	http_free(h);
	arena_free(a);
}

Test(http, as_many_descriptors_as_it_takes)
{
	struct http *h = http_new(&strict);
	struct pollfd fds[HTTP_WAIT_FDS_MAX];
	int p[2];

	cr_assert_eq(pipe(p), 0);
	for (size_t i = 0; i < HTTP_WAIT_FDS_MAX; i++)
		fds[i] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	cr_assert_eq(write(p[1], "x", 1), 1);
	http_wait(h, fds, HTTP_WAIT_FDS_MAX, 60000);
	for (size_t i = 0; i < HTTP_WAIT_FDS_MAX; i++)
		cr_expect_eq(fds[i].revents, POLLIN);
	http_free(h);
	close(p[0]);
	close(p[1]);
}

Test(http, more_than_that_is_a_mistake, .signal = SIGABRT)
{
	struct pollfd fds[HTTP_WAIT_FDS_MAX + 1];

	for (size_t i = 0; i < HTTP_WAIT_FDS_MAX + 1; i++)
		fds[i] = (struct pollfd){ .fd = -1 };
	http_wait(http_new(&strict), fds, HTTP_WAIT_FDS_MAX + 1, 0);
}
