/* url_fuzz.c - libFuzzer entry for URLs that strangers name. */
// SPDX-License-Identifier: Apache-2.0
#include "http/url_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_url(at, len);
    return 0;
}
