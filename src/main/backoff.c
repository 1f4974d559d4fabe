/* backoff.c - see backoff.h. */
// SPDX-License-Identifier: Apache-2.0
#include "main/backoff.h"

int64_t backoff_after(struct backoff *b, int64_t lived_ms)
{
    int64_t pause = BACKOFF_FIRST_MS;
    if (lived_ms >= BACKOFF_EARLY_MS)
        b->failures = 0;
    else if (b->failures < UINT32_MAX)
        b->failures++;
    if (b->failures <= 1)
        return 0;
    for (uint32_t i = 2; i < b->failures && pause < BACKOFF_MOST_MS; i++)
        pause *= 2;
    return pause < BACKOFF_MOST_MS ? pause : BACKOFF_MOST_MS;
}
