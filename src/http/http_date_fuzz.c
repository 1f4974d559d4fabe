/* http_date_fuzz.c - libFuzzer entry for HTTP dates. */
// SPDX-License-Identifier: Apache-2.0
#include "http/http_date_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_http_date(at, len);
    return 0;
}
