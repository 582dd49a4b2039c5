/*
 * core/push/gateway.h - gateways that cannot be reached; for deliver.c.
 *
 * When a call gets no answer at all (no address, no connection, no certificate, silence), that may say nothing of the pusher but all of
 * its gateway: if it is so GATEWAY_SILENT times, one after the other, in one worker. Table push_gateway remembers it: until the gateway answers, one pusher is tried (the probe) with growing pauses, and
 * the others wait, however many they are; those that failed least come first, so that one pusher which is silence itself does not keep
 * its gateway down. Any answer, of whatever status, ends it. The row stays for a day, for what was queued before that moment was
 * missed: of it the newest is told (tell.c).
 */
#ifndef HEARTH_PUSH_GATEWAY_H
#define HEARTH_PUSH_GATEWAY_H

#include <stdint.h>

#include "core/ctx.h"
#include "core/net/http.h"

#define PUSH_GATEWAY_KEPT_MS (25 * 3600 * 1000LL)	/* longer than anything waits: PUSH_GIVE_UP_MS */

bool gateway_silent(enum http_fault f);	/* is it the gateway's fault, and not this pusher's? */

/* What a worker has seen of gateways lately; zeroed. A call that is lost here and there among many is no outage. */
#define GATEWAY_SILENT 3
struct silence {
	struct {
		uint32_t gateway;	/* hash */
		int n;			/* calls without an answer since the last that had one */
	} slot[256];
};
bool silence_grows(struct silence *s, const char *gateway);	/* one more; is it an outage? */
void silence_ends(struct silence *s, const char *gateway);
/*
 * A call that began at started_ts got no answer; lease: its pusher's. Of the many that were under way when it began, one counts. due_ts:
 * when the next may try. *first: an outage begins.
 */
enum err gateway_failed(struct ctx *cx, const char *gateway, int64_t started_ts, int64_t lease, int64_t due_ts, bool *first);
/* The probe was answered: all may go on, those that failed because of the gateway at once. */
enum err gateway_back(struct ctx *cx, const char *gateway, int64_t lease);

#endif
