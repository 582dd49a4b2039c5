/* tests/db/e2ee/device.h - what the tests of core/e2ee share. */
#ifndef HEARTH_TESTS_E2EE_DEVICE_H
#define HEARTH_TESTS_E2EE_DEVICE_H

#include "tests/db/sync/client.h"

/* JSON in the arena of c's context, with ' for ", so that it reads well in C. */
struct json *jsonf(struct ctx *cx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *device_name(const struct client *c);	/* its device id */
/* The text that fn wrote into an open object. */
#define WRITTEN(c, call)							\
	__extension__({								\
		struct json_out o;						\
		enum err e_;							\
		json_out_init(&o, (c)->cx->a);					\
		json_obj(&o, NULL);						\
		e_ = call;							\
		cr_assert_eq(e_, M_OK, "%d %s", e_, (c)->cx->err_text);		\
		json_end(&o);							\
		(const char *)o.b.s;						\
	})

#endif
