/* disk_format_fuzz_priv.h - what holds for every slot and preface that is read from a disk; run by
 * the fuzzer on made-up bytes and by a unit test on the corpus. The input is a slot without its
 * checksum: the right one is put in, so that what follows is looked at. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "cache/disk_format.h"
#include <stdlib.h>

enum { FUZZ_SUM_AND_LENGTH_BYTES = 12, FUZZ_ARENA_BYTES = 1 << 20 };

static inline void fuzz_sum(const struct disk_layout *l, char *slot, size_t used)
{
    uint32_t len = (uint32_t)used;
    memcpy(slot + DISK_SUM_BYTES, &len, sizeof len);
    struct slice summed = {slot + DISK_SUM_BYTES, used - DISK_SUM_BYTES};
    disk_sum_encode(hash_fast(summed, 0x736c6f7473756d31ull ^ l->number), slot);
}

/* What was decoded is written as it was read. */
static inline void fuzz_same(const struct disk_layout *l, const struct disk_head *h,
                             const char *slot, size_t used)
{
    ASSERT(h->draft.key.text.len > 0 && h->draft.headers->count <= DISK_HEADERS_MAX);
    ASSERT(disk_slot_room(h) >= used);
    char *again = malloc(l->slot_bytes);
    ASSERT(again != NULL && disk_slot_encode(l, h, again));
    ASSERT(memcmp(again, slot, used) == 0);
    free(again);
}

/* 1: it is a head. */
static inline size_t fuzz_disk_format(const void *at, size_t len)
{
    struct disk_layout l = {.number = 7}, read;
    if (disk_preface_decode((struct slice){at, len}, &read) == ERR_OK)
        ASSERT(read.slot_bytes > 0 && read.slot_bytes <= DISK_SLOT_MAX_BYTES);
    size_t used = len + FUZZ_SUM_AND_LENGTH_BYTES;
    if (used > DISK_SLOT_MAX_BYTES)
        return 0;
    l.slot_bytes =
        (uint32_t)(used + DISK_SLOT_STEP_BYTES - 1) / DISK_SLOT_STEP_BYTES * DISK_SLOT_STEP_BYTES;
    char *slot = malloc(used);
    ASSERT(slot != NULL);
    if (len > 0)
        memcpy(slot + FUZZ_SUM_AND_LENGTH_BYTES, at, len);
    fuzz_sum(&l, slot, used);
    struct arena a;
    arena_init(&a, FUZZ_ARENA_BYTES);
    struct disk_head h;
    bool good = disk_slot_decode(&l, (struct slice){slot, used}, &a, &h) == ERR_OK;
    if (good)
        fuzz_same(&l, &h, slot, used);
    arena_release(&a);
    free(slot);
    return good;
}
