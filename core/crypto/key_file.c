/* core/crypto/key_file.c - the server's signing key on disk; see key_file.h. */
#include "core/crypto/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "core/base/b64.h"
#include "core/base/log.h"

static struct signing_key *
refused(const char *path, const char *why)
{
	log_error(NULL, "signing_key", LS("path", path), LS("why", why));
	return NULL;
}

/* Writes a new key beside path and links it there: whoever is first wins, and nobody reads half a key. */
static bool
make(struct arena *a, const char *path)
{
	unsigned char seed[ED25519_SEED];
	const char *line, *temp = arena_printf(a, "%s.%ld", path, (long)getpid());
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return false;
	random_bytes(seed, sizeof(seed));
	line = arena_printf(a, "ed25519 a_%s %s\n", random_letters(a, 4), b64_encode(a, seed, sizeof(seed)));
	ok = write(fd, line, strlen(line)) == (ssize_t)strlen(line) && fsync(fd) == 0;
	close(fd);
	ok = ok && (link(temp, path) == 0 || errno == EEXIST);
	unlink(temp);
	return ok;
}

static struct signing_key *
read_key(struct arena *a, int fd, const char *path)
{
	char line[512], version[64], seed64[256];
	ssize_t n = read(fd, line, sizeof(line) - 1);
	size_t seed_n;
	void *seed;

	if (n <= 0)
		return refused(path, "cannot be read");
	line[n] = '\0';
	if (sscanf(line, "ed25519 %63[A-Za-z0-9_] %255s", version, seed64) != 2)
		return refused(path, "is no line \"ed25519 version seed\"");
	seed = b64_decode(a, seed64, strlen(seed64), &seed_n);
	if (!seed || seed_n != ED25519_SEED)
		return refused(path, "holds no seed of 32 bytes");
	return signing_key_new(arena_printf(a, "ed25519:%s", version), seed);
}

struct signing_key *
signing_key_file(const char *path)
{
	struct arena *a = arena_new();		/* process lifetime: the key's id lives in it */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct signing_key *k;

	if (fd < 0 && errno == ENOENT && make(a, path))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refused(path, strerror(errno));
	k = read_key(a, fd, path);
	close(fd);
	return k;
}
