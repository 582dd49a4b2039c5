/*
 * core/room/known.h - what this process remembers of rooms' states, so that a message is judged without reading them again.
 *
 * Most messages are judged by the same few state events as those before them. They are remembered with the room's state version
 * and the number of edits (redactions change an event and no version) at which they were read. Whether both are still
 * the room's is seen under its lock; a connection of its own, too, for a database may be restored between two. What is out of date
 * is read again. Two generations of 4 MB, one memory per worker (ctx.known).
 */
#ifndef HEARTH_KNOWN_H
#define HEARTH_KNOWN_H

#include "core/room/append.h"

struct known;

struct known_rooms *known_new(void);
void known_free(struct known_rooms *m);

/* All of these slots at one version, or NULL. Good until known_learn(). */
const struct known *known_find(const struct known_rooms *m, const char *room_id, const struct slot *slots, size_t n);
/* Fills the slots, if the room is still the one that was remembered. What they point to is not to be changed, and stays until known_learn(). */
bool known_recall(const struct known *k, const struct ctx *cx, const struct room *room, struct slot *slots, size_t n);
/* Only what is committed: not what a transaction that has written state reads. */
void known_learn(struct ctx *cx, const struct room *room, const struct slot *slots, size_t n);

#endif
