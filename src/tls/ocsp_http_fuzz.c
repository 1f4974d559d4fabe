/* ocsp_http_fuzz.c - libFuzzer entry for a responder's answers and URLs. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/ocsp_http_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    ocsp_fuzz_http(at, len);
    return 0;
}
