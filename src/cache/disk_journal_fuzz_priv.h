/* disk_journal_fuzz_priv.h - what holds for every journal that is read; run by the fuzzer on
 * made-up bytes and by a unit test on the corpus. A byte string is cut into records: kind, way,
 * four bytes of place in time, length, text; checksums are put in. It is read as it is, too. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "base/text.h"
#include "cache/disk_journal_priv.h"

enum { FUZZ_RECORD_BYTES = 7 };

static inline void fuzz_notes(struct disk_journal_shared *j, struct slice s)
{
    while (s.len >= FUZZ_RECORD_BYTES) {
        const unsigned char *at = (const unsigned char *)s.at;
        struct purge_order p = {.kind = at[0] % (PURGE_ALL + 1), .how = at[1] % 2};
        uint32_t before;
        memcpy(&before, at + 2, sizeof before);
        s = slice_from(s, FUZZ_RECORD_BYTES);
        p.text = slice_head(s, at[6]);
        s = slice_from(s, p.text.len);
        disk_journal_note(j, &p, before);
        struct disk_subject hit = {.born = before ? before - 1 : 0};
        if (p.kind == PURGE_URL || p.kind == PURGE_PREFIX)
            hit.url = p.text;
        if (p.kind == PURGE_TAG)
            hit.tags = p.text;
        bool word =
            p.kind != PURGE_TAG || (p.text.len > 0 && slice_find(p.text, ' ') == p.text.len);
        enum disk_verdict v = disk_journal_judge_begin(j, &hit);
        ASSERT(!word || before == 0 || v == (p.how == PURGE_HARD ? VERDICT_DROP : v));
        ASSERT(!word || before == 0 || v != VERDICT_KEEP);
        disk_journal_judge_end(j);
    }
}

/* Records of the journal that made sense as it is. */
static inline size_t fuzz_disk_journal(const void *at, size_t len)
{
    struct slice bytes = {at, len};
    struct disk_journal_shared *j = disk_journal_new(-1);
    size_t good = disk_journal_parse(j, bytes);
    ASSERT(good <= len);
    ASSERT(disk_journal_count(j) <= JOURNAL_TEXTS_MAX);
    fuzz_notes(j, bytes);
    disk_journal_drop(j, disk_journal_mark(j));
    ASSERT(disk_journal_count(j) == 0);
    disk_journal_free(j);
    return good > 0;
}
