/*
 * core/base/log.h - logfmt to stderr, one event one line, one write(2).
 *
 *	log_info(cx, "login_ok", LS("device", id), LI("ms", t));
 * gives: ts=2026-11-23T19:20:01.123Z level=info event=login_ok req=… user=… device=… ms=…
 * cx may be NULL. Event names are stable snake_case. Never tokens, passwords, content.
 * Values are quoted and escaped where they need it, and a line is cut at PIPE_BUF
 * bytes: what comes from outside can forge no field and no line.
 */
#ifndef HEARTH_LOG_H
#define HEARTH_LOG_H

#include <stdint.h>

struct ctx;
enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };
struct log_field {
	const char *key;	/* NULL ends the list */
	const char *s;		/* NULL: the number */
	int64_t i;
};
static inline const char *
log_text(const char *s)
{
	return s ? s : "";
}
#define LS(k, v)	((struct log_field){ k, log_text(v), 0 })	/* NULL or empty: no field */
#define LI(k, v)	((struct log_field){ k, 0, v })
void log_(enum log_level lv, const struct ctx *cx, const char *event, const struct log_field *f);
#define LOG_FIELDS(...)	(const struct log_field[]){ __VA_ARGS__ __VA_OPT__(,) { 0, 0, 0 } }
#define log_debug(cx, ev, ...)	log_(LOG_DEBUG_, cx, ev, LOG_FIELDS(__VA_ARGS__))
#define log_info(cx, ev, ...)	log_(LOG_INFO_, cx, ev, LOG_FIELDS(__VA_ARGS__))
#define log_warn(cx, ev, ...)	log_(LOG_WARN_, cx, ev, LOG_FIELDS(__VA_ARGS__))
#define log_error(cx, ev, ...)	log_(LOG_ERROR_, cx, ev, LOG_FIELDS(__VA_ARGS__))
void log_level_set(enum log_level lv);	/* below it nothing is written; default info */
void log_role_set(const char *role);	/* "web", "sync", "park", …: role= on every line */

#endif
