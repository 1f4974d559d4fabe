/* decoder_fuzz.c - libFuzzer entry for compressed bytes. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/decoder_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_decoder(at, len);
    return 0;
}
