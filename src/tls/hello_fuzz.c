/* hello_fuzz.c - libFuzzer entry for the first bytes of a TLS client. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/hello_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    hello_fuzz(at, len);
    return 0;
}
