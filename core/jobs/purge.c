/* core/jobs/purge.c - what was left behind by devices and backups that are gone: in pieces, so that no transaction lasts. */
#include <stdlib.h>

#include "core/e2ee/backup.h"
#include "core/e2ee/inbox.h"
#include "core/jobs/jobs_impl.h"

static enum err
purge(struct ctx *cx, struct job *j, enum err (*piece)(struct ctx *cx, int64_t nid, bool *more))
{
	bool more = false;
	enum err e = piece(cx, strtoll(j->key, NULL, 10), &more);

	if (more)
		j->again_ts = cx->now;
	return e;
}

enum err
to_device_purge_run(struct ctx *cx, struct job *j)
{
	return purge(cx, j, inbox_purge_device);
}

enum err
backup_purge_run(struct ctx *cx, struct job *j)
{
	return purge(cx, j, backup_purge);
}
