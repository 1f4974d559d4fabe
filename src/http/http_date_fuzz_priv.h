/* http_date_fuzz_priv.h - what holds for every text as a date; run by the fuzzer on made-up bytes
 * and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "base/date.h"
#include "http/http_date.h"

/* True: it is a date. Then it lies in the years 0 to 9999, and what date.h writes of it is read as
 * the same second. */
static inline bool fuzz_http_date(const void *at, size_t len)
{
    const int64_t now_s = 1764115200; /* 2025-11-26 */
    int64_t t = 0, again = 0;
    char text[DATE_HTTP_BYTES];
    if (!http_date_parse((struct slice){at, len}, now_s, &t))
        return false;
    ASSERT(len >= 24 && len <= 33);
    ASSERT(t >= -62167219200 && t <= 253402300800);
    if (t >= 0 && t < 253402300800) {
        date_write_http(text, t);
        ASSERT(http_date_parse((struct slice){text, sizeof text}, now_s, &again));
        ASSERT(again == t);
    }
    return true;
}
