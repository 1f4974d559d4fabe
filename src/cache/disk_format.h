/* disk_format.h - what a file of the disk tier looks like, as bytes. Pure.
 *
 *     preface  32 bytes: magic with the version, number of the file, size of a slot, checksum
 *     slot A   the head of the response, checksummed as a whole
 *     slot B   the same; the valid one with the higher sequence counts
 *     body     blocks of DISK_BLOCK_BYTES, the last one shorter, each followed by its checksum
 *
 * A changed head (a 304) goes into the slot that does not count, so that at every instant one of
 * the two is whole. Checksums are seeded with the number of the file and the place in it: bytes
 * that a file system brought to the wrong place do not pass. All integers are little endian. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/object.h"

enum {
    DISK_PREFACE_BYTES = 32,
    DISK_SLOT_STEP_BYTES = 256,
    DISK_SLOT_MAX_BYTES = 1 << 20,
    DISK_BLOCK_BYTES = 64 << 10,
    DISK_SUM_BYTES = 8,
    DISK_HEADERS_MAX = 1024,
};
#define DISK_BODY_MAX_BYTES ((uint64_t)1 << 50)

/* What the preface says, and what follows from it. */
struct disk_layout {
    uint64_t number;
    uint32_t slot_bytes;
};

/* One slot. The draft's slices and headers borrow what it was decoded from, or is made of; it has
 * no content, and the key's hash is not read: cache_key_init(). */
struct disk_head {
    uint64_t sequence; /* from 1 */
    uint64_t born;     /* when it was stored, in the store's order of events */
    uint64_t body_bytes;
    bool expired;
    struct object_draft draft;
};

/* Room that a slot for this head gets: its bytes and some more, for heads that grow. 0: it is too
 * large for any. */
uint32_t disk_slot_room(const struct disk_head *h);
uint64_t disk_slot_at(const struct disk_layout *l, unsigned slot); /* 0 or 1 */
uint64_t disk_body_at(const struct disk_layout *l);
uint64_t disk_block_at(const struct disk_layout *l, uint64_t block);
/* How many bytes of the body block `block` has; 0 past the end. */
size_t disk_block_len(uint64_t body_bytes, uint64_t block);
uint64_t disk_file_bytes(const struct disk_layout *l, uint64_t body_bytes);

void disk_preface_encode(const struct disk_layout *l, char to[DISK_PREFACE_BYTES]);
/* ERR_IO: not one of ours, another version, or damaged. */
enum err disk_preface_decode(struct slice bytes, struct disk_layout *out) MUST_CHECK;

/* Writes l->slot_bytes. False: the head needs more. */
bool disk_slot_encode(const struct disk_layout *l, const struct disk_head *h, char *to);
/* `bytes` is the slot as it was read. ERR_IO: damaged; ERR_OVER_BUDGET: of the arena. */
enum err disk_slot_decode(const struct disk_layout *l, struct slice bytes, struct arena *a,
                          struct disk_head *out) MUST_CHECK;
/* The valid one of two with the higher sequence; *which is its index. Errors as above. */
enum err disk_slots_decode(const struct disk_layout *l, const struct slice slots[2],
                           struct arena *a, struct disk_head *out, unsigned *which) MUST_CHECK;

uint64_t disk_block_sum(const struct disk_layout *l, uint64_t block, struct slice bytes);
void disk_sum_encode(uint64_t sum, char to[DISK_SUM_BYTES]);
/* `bytes` is a block with its checksum behind it. */
bool disk_block_holds(const struct disk_layout *l, uint64_t block, struct slice bytes);
