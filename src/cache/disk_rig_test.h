/* disk_rig_test.h - a store with a disk tier in a folder of its own, for tests. What a file holds
 * can be made up byte by byte, too. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "cache/disk_priv.h"
#include "cache/store_rig_test.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DISK_RIG_WAIT_MS = 20000, DISK_RIG_MEMORY_BYTES = 64 << 20 };

struct disk_rig {
    char path[64];
    struct cache_shared *c;
    struct disk_shared *d;
};

static _Atomic(unsigned) disk_rig_warnings;

static inline void disk_rig_warn(const char *text)
{
    assert_non_null(text);
    atomic_fetch_add(&disk_rig_warnings, 1);
}

static inline void disk_rig_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

#define DISK_RIG_UNTIL(cond)                                         \
    do {                                                             \
        int left_ms_ = DISK_RIG_WAIT_MS;                             \
        while (!(cond) && left_ms_-- > 0)                            \
            disk_rig_pause();                                        \
        if (left_ms_ <= 0)                                           \
            fail_msg("%s:%d: %s: never", __FILE__, __LINE__, #cond); \
    } while (0)

static inline void disk_rig_folder(struct disk_rig *r)
{
    strcpy(r->path, "/tmp/weir-disk-test-XXXXXX");
    assert_non_null(mkdtemp(r->path));
}

static inline void disk_rig_open_with(struct disk_rig *r, uint64_t max_bytes, uint64_t memory_bytes)
{
    struct text why;
    text_init(&why);
    struct disk_options o = {
        .path = slice_of(r->path), .max_bytes = max_bytes, .warn = disk_rig_warn};
    r->c = rig_cache(memory_bytes);
    r->d = disk_open(r->c, &o, &why);
    if (!r->d)
        fail_msg("%.*s", (int)why.len, why.at);
    text_release(&why);
    DISK_RIG_UNTIL(!disk_is_scanning(r->d));
}

static inline void disk_rig_open(struct disk_rig *r)
{
    disk_rig_open_with(r, (uint64_t)1 << 40, DISK_RIG_MEMORY_BYTES);
}

static inline void disk_rig_close(struct disk_rig *r)
{
    disk_close(r->d);
    cache_free(r->c);
}

static inline void disk_rig_reopen(struct disk_rig *r)
{
    disk_rig_close(r);
    disk_rig_open(r);
}

static inline void disk_rig_path(const struct disk_rig *r, const char *name, char to[128])
{
    snprintf(to, 128, "%s/%s", r->path, name);
}

static inline int disk_rig_remove_one(const char *path, const struct stat *st, int type,
                                      struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static inline void disk_rig_remove(struct disk_rig *r)
{
    assert_int_equal(nftw(r->path, disk_rig_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline unsigned disk_rig_files_in(const struct disk_rig *r, const char *folder)
{
    char path[128];
    unsigned count = 0;
    disk_rig_path(r, folder, path);
    DIR *listing = opendir(path);
    if (!listing)
        return 0;
    for (struct dirent *e; (e = readdir(listing));)
        count += e->d_name[0] != '.';
    closedir(listing);
    return count;
}

/* Objects' files that are there. */
static inline unsigned disk_rig_files(const struct disk_rig *r)
{
    unsigned count = 0;
    for (unsigned i = 0; i < DISK_FOLDERS; i++) {
        char name[3];
        snprintf(name, sizeof name, "%02x", i);
        count += disk_rig_files_in(r, name);
    }
    return count;
}

/* --- objects ---------------------------------------------------------------------------------- */

/* The object of a key, counted; NULL: it is not there. */
static inline struct object_shared *disk_rig_find(struct disk_rig *r, unsigned n)
{
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, n), .match = rig_match_fresh, .alone = true};
    struct cache_result found;
    cache_lookup(r->c, &q, &found);
    struct object_shared *o = found.object;
    if (found.content)
        content_drop(found.content);
    return o;
}

static inline bool disk_rig_has(struct disk_rig *r, unsigned n)
{
    struct object_shared *o = disk_rig_find(r, n);
    if (o)
        object_drop(o);
    return o != NULL;
}

static inline uint64_t disk_rig_file(struct object_shared *o)
{
    return object_file(o);
}

/* Stored, saved, and waited for. */
static inline void disk_rig_put(struct disk_rig *r, unsigned n, uint64_t bytes)
{
    rig_put(r->c, n, bytes);
    struct object_shared *o = disk_rig_find(r, n);
    assert_non_null(o);
    cache_save(r->c, o);
    DISK_RIG_UNTIL(disk_rig_file(o) != 0);
    object_drop(o);
}

/* Its body, from `first` on: true when it came whole and is that of its key. */
static inline bool disk_rig_body_is(struct disk_rig *r, struct object_shared *o, uint64_t first,
                                    uint64_t length)
{
    struct content_shared *k = cache_load(r->c, o, first, length);
    if (!k)
        return false;
    DISK_RIG_UNTIL(content_state(k) != CONTENT_FILLING);
    bool whole = content_state(k) == CONTENT_WHOLE;
    struct content_reader reader;
    struct slice piece;
    struct chunk_shared *chunk;
    uint64_t end = length == UINT64_MAX ? length : first + length;
    if (whole) {
        uint64_t at = first;
        assert_true(content_reader_open(&reader, k, NULL, first, end, NULL, NULL));
        while (content_read_next(&reader, SIZE_MAX, &piece, &chunk) == CONTENT_BYTES) {
            rig_check(piece, o->hash, at);
            at += piece.len;
            chunk_drop(chunk);
        }
        content_reader_close(&reader);
        if (length != UINT64_MAX)
            assert_int_equal(at - first, length);
    }
    content_drop(k);
    return whole;
}

/* --- files as bytes --------------------------------------------------------------------------- */

struct disk_image {
    struct disk_layout layout;
    size_t len, used; /* used: of the first slot */
    char *bytes;
};

/* The file of a key as it would be saved. */
static inline void disk_image_make(struct disk_image *m, unsigned n, uint64_t body_bytes)
{
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, n);
    struct header h = {.name = SLICE("a"), .value = SLICE("b")};
    struct headers headers = {.at = &h, .count = 1};
    struct disk_head head = {.sequence = 1, .born = 1000 + n, .body_bytes = body_bytes};
    head.draft = (struct object_draft){
        .key = k, .status = 200, .headers = &headers, .tags = SLICE("some"), .reason = SLICE("OK")};
    m->layout = (struct disk_layout){.number = 0x100000 + n, .slot_bytes = disk_slot_room(&head)};
    m->len = (size_t)disk_file_bytes(&m->layout, body_bytes);
    m->bytes = calloc(1, m->len);
    assert_non_null(m->bytes);
    disk_preface_encode(&m->layout, m->bytes);
    assert_true(disk_slot_encode(&m->layout, &head, m->bytes + DISK_PREFACE_BYTES));
    uint32_t used;
    memcpy(&used, m->bytes + DISK_PREFACE_BYTES + 8, sizeof used);
    m->used = used;
    for (uint64_t b = 0; disk_block_len(body_bytes, b) > 0; b++) {
        char *at = m->bytes + disk_block_at(&m->layout, b);
        size_t len = disk_block_len(body_bytes, b);
        for (size_t i = 0; i < len; i++)
            at[i] = rig_byte(k.hash, b * DISK_BLOCK_BYTES + i);
        disk_sum_encode(disk_block_sum(&m->layout, b, (struct slice){at, len}), at + len);
    }
}

static inline void disk_image_write(const struct disk_rig *r, const struct disk_image *m,
                                    size_t len)
{
    char name[DISK_NAME_BYTES], path[128];
    disk_name(m->layout.number, name);
    disk_rig_path(r, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, m->bytes, len, 0), len);
    close(fd);
}

static inline void disk_image_free(struct disk_image *m)
{
    free(m->bytes);
}
