/* conf_fuzz.c - libFuzzer entry for the configuration's reader, check, builder and formatter. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_fuzz_priv.h"

enum { FUZZ_USES_MAX = 20 }; /* snippets may multiply up to their limit: true, but slow */

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static int count_uses(const uint8_t *at, size_t len)
{
    int count = 0;
    for (size_t i = 0; i + 3 <= len; i++)
        count += memcmp(at + i, "use", 3) == 0;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (count_uses(at, len) <= FUZZ_USES_MAX)
        fuzz_conf(at, len);
    return 0;
}
