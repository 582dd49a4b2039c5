/* core/base/clock.h - the two clocks. */
#ifndef HEARTH_CLOCK_H
#define HEARTH_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);		/* the wall: ms since 1970, may jump; for what is stored and shown */
int64_t clock_mono_ms(void);	/* never jumps back; for time-outs; equal across processes of one machine */
int64_t clock_mono_us(void);

#endif
