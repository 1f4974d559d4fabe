/* fcgi_fuzz.c - libFuzzer entry for records and CGI heads. */
// SPDX-License-Identifier: Apache-2.0
#include "fcgi/fcgi_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_fcgi(at, len);
    return 0;
}
