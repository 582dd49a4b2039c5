/* core/base/banned.h - calls that may not compile; included before everything by the Makefile. */
#ifndef HEARTH_BANNED_H
#define HEARTH_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEARTH_BANNED(f) sorry_##f##_is_banned
#undef strcpy
#define strcpy(a, b) HEARTH_BANNED(strcpy)
#undef strcat
#define strcat(a, b) HEARTH_BANNED(strcat)
#undef strncpy
#define strncpy(a, b, n) HEARTH_BANNED(strncpy)
#undef sprintf
#define sprintf(...) HEARTH_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) HEARTH_BANNED(vsprintf)
#undef strtok
#define strtok(a, b) HEARTH_BANNED(strtok)
#undef gets
#define gets(a) HEARTH_BANNED(gets)
#undef atoi
#define atoi(a) HEARTH_BANNED(atoi)

#endif
