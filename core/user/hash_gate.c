/* core/user/hash_gate.c - a counting semaphore of record locks: slot i is byte i of an anonymous file. */
#include "core/user/hash_gate.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/conf.h"
#include "core/crypto/crypto.h"

static int gate_fd = -1, gate_slots;

void
hash_gate_init(int slots)
{
	gate_slots = slots < 1 ? 1 : slots;
	gate_fd = memfd_create("hash_gate", MFD_CLOEXEC);
}

static int
slot_lock(int slot, short type, int how)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };
	int r;

	do
		r = fcntl(gate_fd, how, &fl);
	while (r < 0 && errno == EINTR);
	return r;
}

/* When all slots are taken, the queue of one of them. */
int
hash_gate_enter(void)
{
	int i;

	if (gate_fd < 0)
		return -1;
	for (i = 0; i < gate_slots; i++)
		if (slot_lock(i, F_WRLCK, F_SETLK) == 0)
			return i;
	i = (int)((unsigned)getpid() % (unsigned)gate_slots);
	return slot_lock(i, F_WRLCK, F_SETLKW) == 0 ? i : -1;
}

void
hash_gate_leave(int slot)
{
	if (slot >= 0)
		slot_lock(slot, F_UNLCK, F_SETLK);
}

const char *
gated_password_hash(struct ctx *cx, const char *password)
{
	int slot = hash_gate_enter();
	const char *hash = password_hash(cx->a, password, cx->conf->password_cost);

	hash_gate_leave(slot);
	return hash;
}

bool
gated_password_check(struct ctx *cx, const char *password, const char *hash)
{
	int slot;
	bool ok;

	if (hash == NULL) {
		gated_password_hash(cx, password);
		return false;
	}
	slot = hash_gate_enter();
	ok = password_check(password, hash);
	hash_gate_leave(slot);
	return ok;
}
