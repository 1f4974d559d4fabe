/* oidc_fuzz.c - libFuzzer entry for what login services say, and what comes back in cookies. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/oidc_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_oidc(at, len);
    return 0;
}
