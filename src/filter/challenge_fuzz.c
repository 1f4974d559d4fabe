/* challenge_fuzz.c - libFuzzer entry for the cookies of challenges. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/challenge_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_challenge(at, len);
    return 0;
}
