/* core/base/policies.h - the documents that people who register have to accept: the setting `terms` (m.login.terms). */
#ifndef HEARTH_POLICIES_H
#define HEARTH_POLICIES_H

#include "core/base/json.h"

/* What is wrong with text as the `policies` of m.login.terms (Client-Server API, "Terms of service at registration"); NULL: nothing. "" is fine. */
const char *policies_fault(struct arena *a, const char *text);

#endif
