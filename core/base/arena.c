/* core/base/arena.c - blocks in a list, newest first; allocation moves a pointer in the newest. */
#include "core/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer what is not handed out is poisoned, and a gap follows every allocation. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define GAP		16
#define HIDE(p, n)	ASAN_POISON_MEMORY_REGION(p, n)
#define SHOW(p, n)	ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define GAP		0
#define HIDE(p, n)	((void)(p), (void)(n))
#define SHOW(p, n)	((void)(p), (void)(n))
#endif

#define ALIGN		16
#define BLOCK_FIRST	((size_t)8 << 10)
#define BLOCK_MAX	((size_t)1 << 20)
#define ALLOC_MAX	((size_t)1 << 40)	/* nothing honest asks for more; keeps sums from wrapping */

struct block {
	struct block *older;
	size_t size, used;	/* of mem */
	_Alignas(ALIGN) char mem[];
};

struct defer {
	struct defer *older;
	void (*fn)(void *);
	void *arg;
};

struct arena {
	struct block *block;
	struct defer *defers;
	size_t next_size, held;
};

static void
out_of_memory(size_t n)
{
	fprintf(stderr, "level=error event=out_of_memory bytes=%zu\n", n);
	abort();
}

static size_t
round_up(size_t n)
{
	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void
block_add(struct arena *a, size_t need)
{
	size_t size = a->next_size > need ? a->next_size : need;
	struct block *b = malloc(sizeof(*b) + size);

	if (!b)
		out_of_memory(size);
	b->older = a->block;
	b->size = size;
	b->used = 0;
	HIDE(b->mem, size);
	a->block = b;
	a->held += sizeof(*b) + size;
	if (a->next_size < BLOCK_MAX)
		a->next_size *= 2;
}

static void
block_drop(struct arena *a)
{
	struct block *b = a->block;

	a->block = b->older;
	a->held -= sizeof(*b) + b->size;
	SHOW(b->mem, b->size);
	free(b);
}

struct arena *
arena_new(void)
{
	struct arena *a = malloc(sizeof(*a));

	if (!a)
		out_of_memory(sizeof(*a));
	*a = (struct arena){ .next_size = BLOCK_FIRST, .held = sizeof(*a) };
	block_add(a, BLOCK_FIRST);
	return a;
}

static void
run_defers(struct arena *a, const struct defer *until)
{
	while (a->defers != until) {
		struct defer *d = a->defers;

		a->defers = d->older;
		d->fn(d->arg);
	}
}

void
arena_free(struct arena *a)
{
	if (!a)
		return;
	run_defers(a, NULL);
	while (a->block)
		block_drop(a);
	free(a);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	size_t need = round_up(n ? n : 1) + GAP;
	struct block *b = a->block;
	char *p;

	if (n > ALLOC_MAX)
		out_of_memory(n);
	if (need > b->size - b->used) {
		block_add(a, need);
		b = a->block;
	}
	p = b->mem + b->used;
	b->used += need;
	SHOW(p, n);
	return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

void *
arena_calloc(struct arena *a, size_t count, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(count, size, &n))
		out_of_memory(SIZE_MAX);
	return arena_zalloc(a, n);
}

void *
arena_realloc(struct arena *a, void *p, size_t old, size_t n)
{
	struct block *b = a->block;
	size_t was = round_up(old ? old : 1) + GAP, need = round_up(n ? n : 1) + GAP;
	void *q;

	if (p && n <= old)
		return p;
	if (n > ALLOC_MAX)
		out_of_memory(n);
	if (p && was <= b->used && (char *)p == b->mem + b->used - was &&
	    need <= b->size - (b->used - was)) {
		b->used += need - was;
		SHOW(p, n);
		return p;
	}
	q = arena_alloc(a, n);
	if (p && old)
		memcpy(q, p, old);
	return q;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (n)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	char small[256], *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(0);
	if ((size_t)n < sizeof(small))
		return arena_strndup(a, small, (size_t)n);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
	struct defer *d = arena_alloc(a, sizeof(*d));

	*d = (struct defer){ a->defers, fn, arg };
	a->defers = d;
}

struct arena_mark
arena_mark(struct arena *a)
{
	return (struct arena_mark){ a->block, a->block->used, a->defers };
}

void
arena_rewind(struct arena *a, struct arena_mark m)
{
	struct block *b;

	run_defers(a, m.defers);
	while (a->block != m.block)
		block_drop(a);
	b = a->block;
	HIDE(b->mem + m.used, b->used - m.used);
	b->used = m.used;
	if (!b->older)
		a->next_size = 2 * BLOCK_FIRST;
}

size_t
arena_used(const struct arena *a)
{
	return a->held;
}
