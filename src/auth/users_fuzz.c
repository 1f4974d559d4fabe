/* users_fuzz.c - libFuzzer entry for files of users. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/users_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_users(at, len);
    return 0;
}
