/* web_origin_fuzz.c - libFuzzer entry for origins of web pages. */
// SPDX-License-Identifier: Apache-2.0
#include "http/web_origin_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_web_origin(at, len);
    return 0;
}
