/* tests/db/main.h - what the runner and the tests' processes agree on. */
#ifndef HEARTH_TESTS_DB_MAIN_H
#define HEARTH_TESTS_DB_MAIN_H

#include <stddef.h>

#define TEMPLATE_DB "hearth_template"

/* Names are cut at 63 bytes by PostgreSQL: a digest of suite and test. */
void test_database_name(const char *suite, const char *test, char *out, size_t max);

#endif
