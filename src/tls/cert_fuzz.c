/* cert_fuzz.c - libFuzzer entry for certificates and keys as files hold them. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/cert_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    cert_fuzz(at, len);
    return 0;
}
