/* core/room/alias.h - names of rooms, and the room directory's switch (Client-Server API, "Room aliases"). */
#ifndef HEARTH_ALIAS_H
#define HEARTH_ALIAS_H

#include "core/ctx.h"

/* *room is the id. M_INVALID_PARAM: no alias; M_NOT_FOUND: unknown, or of another server. */
enum err alias_find(struct ctx *cx, const char *alias, const char **room);
/* A room id stays what it is, an alias becomes the id of its room. M_INVALID_PARAM: neither. */
enum err alias_resolve(struct ctx *cx, const char *room_or_alias, const char **room);

/*
 * PUT and DELETE, TX_RW. Only members of the room name it (M_FORBIDDEN); M_ALIAS_IN_USE (409) when taken. Deleting: who made it, or who may
 * change the room's canonical alias; M_NOT_FOUND when there is none.
 */
enum err alias_create(struct ctx *cx, const char *alias, const char *room);
enum err alias_delete(struct ctx *cx, const char *alias);
/* The bare row, made by cx->user, for a room that is being created; goes at once, M_ALIAS_IN_USE when taken. */
enum err alias_insert(struct ctx *cx, const char *alias, int64_t room);

/* The aliases that this server has for a room: for its members, and for all when it is world-readable. */
enum err alias_list(struct ctx *cx, const char *room, const char ***aliases, size_t *n);

/* Is the room in the directory? Setting it is for members who may change the canonical alias. M_NOT_FOUND: unknown room. */
enum err directory_get(struct ctx *cx, const char *room, bool *public);
enum err directory_set(struct ctx *cx, const char *room, bool public);

#endif
