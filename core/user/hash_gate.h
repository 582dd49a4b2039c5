/*
 * core/user/hash_gate.h - password hashing takes at most half of the cores at once, over all processes.
 *
 * Slots are record locks on one anonymous file that every process inherits: the
 * kernel frees the slot of a worker that is killed. Without hash_gate_init()
 * (tests, tools) there is no limit.
 */
#ifndef HEARTH_HASH_GATE_H
#define HEARTH_HASH_GATE_H

#include <stdbool.h>
#include "core/ctx.h"

void hash_gate_init(int slots);	/* by the master, before it forks; slots < 1 counts as 1 */

/* Waits for a slot, and gives it back. -1: there is no gate. */
int hash_gate_enter(void);
void hash_gate_leave(int slot);

/*
 * password_hash() and password_check() of core/crypto, when a slot is free. Never inside a
 * transaction. A hash of NULL (no such user, no password) is wrong, after as much work.
 */
const char *gated_password_hash(struct ctx *cx, const char *password);
bool gated_password_check(struct ctx *cx, const char *password, const char *hash);

#endif
