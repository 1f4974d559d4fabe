/* renewals.h - of many requests of one session that find it due for renewal at once, one renews it,
 * and the others use what it got: services take the same refresh token once (RFC 9700 4.14.2).
 *
 * A small table for the whole process, by the session's number; what was got is known for a while,
 * until browsers have the new cookie. Any thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include <stdint.h>

enum { RENEWALS_MAX = 256, RENEWAL_KNOWN_MS = 30 * 1000, RENEWAL_MOST_MS = 15 * 1000 };

enum renewal {
    RENEWAL_MINE,   /* renew it, then renewal_end() */
    RENEWAL_OTHERS, /* somebody does: ask again in a moment */
    RENEWAL_DONE,   /* *result was added to */
};

enum renewal renewal_begin(uint64_t session, int64_t now_ms, struct text *result);
/* .at NULL: it failed, and the next one may try. */
void renewal_end(uint64_t session, int64_t now_ms, struct slice result);
