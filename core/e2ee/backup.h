/*
 * core/e2ee/backup.h - encrypted room keys kept for a user (Client-Server API, "Server-side key backups").
 *
 * All are about cx->user. Writers of one user stand in line at the account's row, so
 * "the newest version" is what it was when the key was judged. Versions are
 * numbers as text; a deleted one is never used again, and what lay in it is removed by a job.
 */
#ifndef HEARTH_E2EE_BACKUP_H
#define HEARTH_E2EE_BACKUP_H

#include "core/base/json.h"
#include "core/ctx.h"

#define BACKUP_SESSION_MAX 65536	/* bytes of one session's data; of all of a version: the setting key_backup_max_mb */

/* TX_RW. auth_data: any JSON; it is the clients' own. *version: the new one. */
enum err backup_create(struct ctx *cx, const char *algorithm, const struct json *auth_data, const char **version);
/* version NULL: the newest. Writes the answer into the open object. M_NOT_FOUND. */
enum err backup_show(struct ctx *cx, const char *version, struct json_out *o);
/* TX_RW. M_INVALID_PARAM: another algorithm than the version's. */
enum err backup_update(struct ctx *cx, const char *version, const char *algorithm, const struct json *auth_data);
/* TX_RW. M_OK also for one that was deleted before. */
enum err backup_delete(struct ctx *cx, const char *version);

/*
 * Keys: room and session as in the path, NULL where it has none. The shape of v
 * follows: one session's data, {"sessions": {...}}, or {"rooms": {...}}.
 *
 * Put keeps of two keys of a session the better one: verified, then the lower first_message_index, then the
 * lower forwarded_count. Put and delete write etag and count into the open object.
 * M_WRONG_ROOM_KEYS_VERSION (with current_version): not the newest version; M_NOT_FOUND: no such version; M_TOO_LARGE: a session's
 * data, or all data of the version with what is put. (A GET answers them in one piece: a worker must be able to hold it.)
 */
enum err backup_put(struct ctx *cx, const char *version, const char *room, const char *session, const struct json *v,
    struct json_out *o);
/* Writes the whole answer. M_NOT_FOUND: no such version; with session given, no such key. */
enum err backup_get(struct ctx *cx, const char *version, const char *room, const char *session, struct json_out *o);
enum err backup_forget(struct ctx *cx, const char *version, const char *room, const char *session, struct json_out *o);

/* For the jobs: a piece of what lay in deleted versions of a user; *more: there may be more. */
enum err backup_purge(struct ctx *cx, int64_t usr, bool *more);

#endif
