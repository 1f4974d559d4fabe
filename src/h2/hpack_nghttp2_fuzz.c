/* hpack_nghttp2_fuzz.c - libFuzzer entry: our decoder beside nghttp2's. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack_nghttp2_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    hpack_nghttp2_fuzz(at, len);
    return 0;
}
