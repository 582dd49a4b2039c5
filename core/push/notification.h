/*
 * core/push/notification.h - the body of POST /_matrix/push/v1/notify (Push Gateway API). Pure.
 */
#ifndef HEARTH_PUSH_NOTIFICATION_H
#define HEARTH_PUSH_NOTIFICATION_H

#include "core/base/json.h"

/* All strings esc unless it says otherwise; NULL: left out. */
struct push_notification {
	/* The event; id NULL: the number of unread messages alone (a badge). */
	const char *id, *room_id, *type, *sender;
	const char *sender_name, *room_name, *room_alias;
	bool member_event, user_is_target;	/* an m.room.member event; of the user himself */
	const char *membership;			/* what it says */
	const char *content;			/* canonical JSON */
	bool highlight;
	const char *sound;			/* esc */

	int64_t unread;
	/* The device. */
	const char *app_id, *pushkey;
	int64_t pushkey_ts;			/* ms since 1970 */
	const struct json *data;		/* as the client gave it, url included */
};
const char *push_notification_body(struct arena *a, const struct push_notification *n, size_t *len);

/* Is pushkey (esc) among the "rejected" of the gateway's answer? Whatever else it holds is passed over. */
bool push_answer_rejects(struct arena *a, const char *answer, size_t n, const char *pushkey);

#endif
