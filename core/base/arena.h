/*
 * core/base/arena.h - memory with one lifetime.
 *
 * Everything a request (or a job) makes lives in one arena and goes with it;
 * code in the middle never frees. Out of memory ends the process (the master
 * starts another), so nothing here returns NULL. arena_defer() closes what is
 * not memory (PGresult, EVP_PKEY) when the arena is rewound or freed, last
 * deferred first.
 */
#ifndef HEARTH_ARENA_H
#define HEARTH_ARENA_H

#include <stddef.h>

struct arena;
struct arena_mark {
	void *block;
	size_t used;
	void *defers;
};

struct arena *arena_new(void);
void arena_free(struct arena *a);	/* runs the defers; NULL is fine */

void *arena_alloc(struct arena *a, size_t n);	/* 16-byte aligned, not zeroed */
void *arena_zalloc(struct arena *a, size_t n);
void *arena_calloc(struct arena *a, size_t count, size_t size); /* zeroed; aborts on overflow */
/* Grows an allocation; in place when p was the last one. old: the size it was made with (0 with p NULL). */
void *arena_realloc(struct arena *a, void *p, size_t old, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);	/* copies n bytes, adds NUL */
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void arena_defer(struct arena *a, void (*fn)(void *), void *arg);
struct arena_mark arena_mark(struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);	/* frees all made since m */
size_t arena_used(const struct arena *a);	/* bytes held from malloc */

#endif
