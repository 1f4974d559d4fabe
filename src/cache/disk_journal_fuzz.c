/* disk_journal_fuzz.c - libFuzzer entry for the journal of the disk tier. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_journal_fuzz_priv.h"
#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_disk_journal(at, len);
    return 0;
}
