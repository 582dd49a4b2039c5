/* tests/fuzz/token.c - sync tokens from anywhere: what is taken for one is in range and is written back as a token of the same position. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/sync/token.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct position p, q;
	size_t i;

	if (token_decode(a, arena_printf(a, "s%s", arena_strndup(a, (const char *)data, size)), &p)) {
		MUST(p.epoch > 0 && p.epoch <= POS_EPOCH_MAX && p.xmax >> POS_XID_BITS == p.epoch && p.nxip <= POSITION_XIP_MAX);
		for (i = 0; i < p.nxip; i++)
			MUST(p.xip[i] >> POS_XID_BITS == p.epoch && p.xip[i] < (i + 1 < p.nxip ? p.xip[i + 1] : p.xmax));
		MUST(token_decode(a, token_encode(a, &p), &q));
		MUST(q.xmax == p.xmax && q.nxip == p.nxip && q.lsn == p.lsn && q.tag == p.tag && q.td_pos == p.td_pos);
	}
	arena_free(a);
	return 0;
}
