/* disk_format_fuzz.c - libFuzzer entry for the headers of the disk tier's files. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_format_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_disk_format(at, len);
    return 0;
}
