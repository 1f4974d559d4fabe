/* disk_test.c - the disk tier in temporary folders: what is saved comes back as it was, what is
 * damaged never does; budget, failures, two owners of a folder. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_rig_test.h"
#include <signal.h>
#include <sys/resource.h>

static const uint64_t SIZES[] = {0,     1,     100,    4096,   65535,  65536,
                                 65537, 70000, 131072, 131073, 1000000};

static void everything_comes_back(void **state)
{
    (void)state;
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    for (unsigned i = 0; i < COUNT_OF(SIZES); i++)
        disk_rig_put(&r, i, SIZES[i]);
    assert_int_equal(rig_stats(r.c).disk_objects, COUNT_OF(SIZES));
    disk_rig_reopen(&r);
    for (unsigned i = 0; i < COUNT_OF(SIZES); i++) {
        struct object_shared *o = disk_rig_find(&r, i);
        assert_non_null(o);
        assert_true(disk_rig_body_is(&r, o, 0, UINT64_MAX));
        object_drop(o);
    }
    assert_int_equal(rig_stats(r.c).disk_objects, COUNT_OF(SIZES));
    assert_int_equal(rig_stats(r.c).disk_errors, 0);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void parts_come_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, length;
    } ROWS[] = {{0, 1},      {0, 65536},      {1, 1},         {65535, 1},
                {65536, 1},  {65535, 2},      {65530, 70000}, {199999, 1},
                {1, 199999}, {131072, 68928}, {100000, 99999}};
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_put(&r, 1, 200000);
    disk_rig_reopen(&r);
    struct object_shared *o = disk_rig_find(&r, 1);
    assert_non_null(o);
    for (unsigned i = 0; i < COUNT_OF(ROWS); i++)
        assert_true(disk_rig_body_is(&r, o, ROWS[i].first, ROWS[i].length));
    assert_null(cache_load(r.c, o, 200001, 1));
    assert_null(o->content); /* a part is not kept */
    assert_true(disk_rig_body_is(&r, o, 0, 200000));
    assert_non_null(o->content);
    object_drop(o);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void save_draft(struct disk_rig *r, const struct object_draft *d)
{
    struct object_draft with = *d;
    with.content = rig_content(r->c, d->key.hash, 10);
    struct object_shared *o = object_new(r->c, &with);
    assert_non_null(o);
    content_drop(with.content);
    assert_true(cache_insert(r->c, o, cache_now(r->c)));
    cache_settle(r->c, o);
    cache_save(r->c, o);
    DISK_RIG_UNTIL(disk_rig_file(o) != 0);
    object_drop(o);
}

static struct object_shared *find_variant(struct disk_rig *r, const struct object_draft *d)
{
    struct cache_query q = {
        .key = d->key, .match = rig_match_fresh, .variant = d->variant, .alone = true};
    struct cache_result found;
    cache_lookup(r->c, &q, &found);
    assert_non_null(found.object);
    assert_null(found.content);
    return found.object;
}

static void heads_equal(struct object_shared *o, const struct object_draft *d)
{
    struct message m;
    struct arena a;
    uint64_t first, last, total;
    message_init(&m);
    arena_init(&a, 1 << 16);
    assert_int_equal(object_head_get(o, &a, &m), ERR_OK);
    assert_int_equal(m.status, d->status);
    assert_true(slice_eq(m.reason, d->reason));
    assert_true(slice_eq(object_vary(o), d->vary));
    assert_true(slice_eq(object_tags(o), d->tags));
    assert_int_equal(o->kind, d->kind);
    assert_int_equal(object_variant_without_language(o), d->variant_without_language);
    assert_memory_equal(&o->freshness, &d->freshness, sizeof o->freshness);
    if (d->kind == OBJECT_PART) {
        assert_true(object_range(o, &first, &last, &total));
        assert_int_equal(first, d->first);
        assert_int_equal(last, d->last);
        assert_int_equal(total, d->total);
    }
    assert_int_equal(m.headers.count, d->headers->count);
    for (uint32_t i = 0; i < m.headers.count; i++) {
        assert_true(slice_eq(m.headers.at[i].name, d->headers->at[i].name));
        assert_true(slice_eq(m.headers.at[i].value, d->headers->at[i].value));
    }
    arena_release(&a);
}

static void heads_come_back(void **state)
{
    (void)state;
    struct header h[] = {
        {.name = SLICE("Content-Type"), .value = SLICE("text/plain"), .id = FIELD_CONTENT_TYPE},
        {.name = SLICE("etag"), .value = SLICE("W/\"a b\""), .id = FIELD_ETAG},
        {.name = SLICE("X-Own"), .value = SLICE(""), .id = FIELD_OTHER},
        {.name = SLICE("x-oWn"), .value = SLICE("\xe4"), .id = FIELD_OTHER}};
    struct headers headers = {.at = h, .count = 4};
    char text[RIG_KEY_BYTES];
    struct object_draft d[3];
    for (unsigned i = 0; i < 3; i++)
        d[i] = (struct object_draft){.key = rig_key(text, 1),
                                     .status = (uint16_t)(200 + i),
                                     .headers = &headers,
                                     .vary = SLICE("accept,accept-language"),
                                     .tags = SLICE("one two"),
                                     .variant = i};
    d[1].reason = SLICE("Own Words");
    d[1].variant_without_language = 55;
    d[1].freshness = (struct freshness){1767323045678, 1000, 60000, -1, -1, FRESH_EXPLICIT};
    d[2].kind = OBJECT_PART;
    d[2].first = 10;
    d[2].last = 19;
    d[2].total = UINT64_MAX;
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    for (unsigned i = 0; i < 3; i++)
        save_draft(&r, &d[i]);
    disk_rig_reopen(&r);
    for (unsigned i = 0; i < 3; i++) {
        struct object_shared *o = find_variant(&r, &d[i]);
        heads_equal(o, &d[i]);
        assert_true(disk_rig_body_is(&r, o, 0, 10));
        object_drop(o);
    }
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void memory_may_be_small(void **state)
{
    (void)state;
    enum { COUNT = 40, BYTES = 100000 };
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open_with(&r, (uint64_t)1 << 40, 1 << 20);
    for (unsigned i = 0; i < COUNT; i++)
        disk_rig_put(&r, i, BYTES);
    assert_true(rig_stats(r.c).memory_bytes <= 1 << 20);
    for (unsigned i = 0; i < COUNT; i++) {
        struct object_shared *o = disk_rig_find(&r, i);
        assert_non_null(o);
        assert_true(disk_rig_body_is(&r, o, 0, BYTES));
        object_drop(o);
    }
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

/* --- damage ----------------------------------------------------------------------------------- */

static void no_truncated_file_is_served(void **state)
{
    (void)state;
    enum { BODY = 50 };
    struct disk_rig r;
    struct disk_image m;
    unsigned files = 0;
    disk_rig_folder(&r);
    disk_rig_open(&r); /* makes the folders */
    disk_rig_close(&r);
    for (size_t len = 0;; len++) {
        disk_image_make(&m, (unsigned)len, BODY);
        size_t whole = m.len;
        disk_image_write(&r, &m, len < whole ? len : whole);
        disk_image_free(&m);
        files++;
        if (len == whole)
            break;
    }
    disk_rig_open(&r);
    assert_int_equal(rig_stats(r.c).disk_objects, 1);
    assert_true(disk_rig_has(&r, files - 1));
    assert_int_equal(disk_rig_files(&r), 1); /* the others are gone */
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

/* What becomes of an object whose file has one wrong byte at `at`. */
static void check_flipped(struct disk_rig *r, const struct disk_image *m, unsigned n)
{
    size_t at = n;
    bool in_head = at < DISK_PREFACE_BYTES + m->used;
    bool in_body = at >= disk_body_at(&m->layout);
    struct object_shared *o = disk_rig_find(r, n);
    if (in_head) {
        assert_null(o);
        return;
    }
    assert_non_null(o);
    assert_int_equal(disk_rig_body_is(r, o, 0, UINT64_MAX), !in_body);
    object_drop(o);
    if (in_body)
        DISK_RIG_UNTIL(!disk_rig_has(r, n));
}

static void no_flipped_byte_is_served(void **state)
{
    (void)state;
    enum { BODY = 50 };
    struct disk_rig r;
    struct disk_image m;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_close(&r);
    unsigned n = 0;
    for (size_t len = 1; n < len; n++) {
        disk_image_make(&m, n, BODY);
        len = m.len;
        m.bytes[n] ^= 0x10;
        disk_image_write(&r, &m, len);
        disk_image_free(&m);
    }
    disk_rig_open(&r);
    disk_image_make(&m, 0, BODY);
    for (unsigned i = 0; i < n; i++) {
        struct disk_image one;
        disk_image_make(&one, i, BODY);
        check_flipped(&r, &one, i);
        disk_image_free(&one);
    }
    assert_int_equal(rig_stats(r.c).disk_errors, BODY + DISK_SUM_BYTES);
    disk_image_free(&m);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void a_rotten_block_ends_a_long_one(void **state)
{
    (void)state;
    struct disk_rig r;
    struct disk_image m;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_close(&r);
    disk_image_make(&m, 1, 300000);
    m.bytes[disk_block_at(&m.layout, 3) + 5] ^= 1;
    disk_image_write(&r, &m, m.len);
    disk_image_free(&m);
    disk_rig_open(&r);
    struct object_shared *o = disk_rig_find(&r, 1);
    assert_non_null(o);
    assert_true(disk_rig_body_is(&r, o, 0, 3 * 65536)); /* the blocks before it are good */
    assert_false(disk_rig_body_is(&r, o, 0, UINT64_MAX));
    object_drop(o);
    DISK_RIG_UNTIL(!disk_rig_has(&r, 1));
    DISK_RIG_UNTIL(disk_rig_files(&r) == 0);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void files_that_are_not_ours_stay_alone(void **state)
{
    (void)state;
    struct disk_rig r;
    char path[128];
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_close(&r);
    disk_rig_path(&r, "00/readme", path);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    disk_rig_path(&r, "new/00000000deadbeef", path); /* a save that a crash ended */
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    disk_rig_open(&r);
    assert_int_equal(rig_stats(r.c).disk_objects, 0);
    assert_int_equal(disk_rig_files(&r), 1);
    assert_int_equal(disk_rig_files_in(&r, "new"), 0);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void a_vanished_file_is_a_miss(void **state)
{
    (void)state;
    struct disk_rig r;
    char name[DISK_NAME_BYTES], path[128];
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_put(&r, 1, 1000);
    disk_rig_reopen(&r);
    struct object_shared *o = disk_rig_find(&r, 1);
    assert_non_null(o);
    disk_name(disk_rig_file(o), name);
    disk_rig_path(&r, name, path);
    assert_int_equal(unlink(path), 0);
    assert_false(disk_rig_body_is(&r, o, 0, UINT64_MAX));
    object_drop(o);
    DISK_RIG_UNTIL(!disk_rig_has(&r, 1));
    assert_int_equal(rig_stats(r.c).disk_errors, 0);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

/* --- heads that change ------------------------------------------------------------------------ */

/* A 304: the same content under another head. */
static struct object_shared *validated(struct disk_rig *r, unsigned n, struct slice value)
{
    char text[RIG_KEY_BYTES];
    struct header h = {.name = SLICE("x-new"), .value = value};
    struct headers headers = {.at = &h, .count = 1};
    struct object_shared *old = disk_rig_find(r, n);
    assert_non_null(old);
    struct content_shared *k = cache_content_get(r->c, old);
    struct object_draft d = {
        .key = rig_key(text, n), .status = 200, .headers = &headers, .content = k};
    d.length = object_length(old);
    struct object_shared *o = object_new(r->c, &d);
    assert_non_null(o);
    assert_true(cache_insert(r->c, o, cache_now(r->c)));
    if (k)
        content_drop(k);
    object_drop(old);
    return o;
}

static void head_is(struct disk_rig *r, unsigned n, struct slice name, struct slice value)
{
    struct message m;
    struct arena a;
    struct object_shared *o = disk_rig_find(r, n);
    assert_non_null(o);
    message_init(&m);
    arena_init(&a, 1 << 16);
    assert_int_equal(object_head_get(o, &a, &m), ERR_OK);
    struct header *h = headers_find_name(&m.headers, name);
    assert_non_null(h);
    assert_true(slice_eq(h->value, value));
    assert_true(disk_rig_body_is(r, o, 0, UINT64_MAX));
    arena_release(&a);
    object_drop(o);
}

static void a_new_head_goes_into_the_file(void **state)
{
    (void)state;
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_put(&r, 1, 100000);
    object_drop(validated(&r, 1, SLICE("one")));
    disk_rig_reopen(&r);
    head_is(&r, 1, SLICE("x-new"), SLICE("one"));
    object_drop(validated(&r, 1, SLICE("two")));
    head_is(&r, 1, SLICE("x-new"), SLICE("two"));
    disk_rig_reopen(&r);
    object_drop(validated(&r, 1, SLICE("three"))); /* without its content in memory */
    disk_rig_reopen(&r);
    head_is(&r, 1, SLICE("x-new"), SLICE("three"));
    assert_int_equal(disk_rig_files(&r), 1);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void slot_damage(struct disk_rig *r, uint64_t number, unsigned slot)
{
    char name[DISK_NAME_BYTES], path[128], bytes[DISK_PREFACE_BYTES];
    struct disk_layout l;
    disk_name(number, name);
    disk_rig_path(r, name, path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(disk_preface_decode((struct slice){bytes, sizeof bytes}, &l), ERR_OK);
    assert_int_equal(pwrite(fd, "torn", 4, (off_t)disk_slot_at(&l, slot) + 40), 4);
    close(fd);
}

static void a_torn_head_leaves_the_one_before(void **state)
{
    (void)state;
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_put(&r, 1, 1000);
    struct object_shared *o = validated(&r, 1, SLICE("one"));
    uint64_t number = disk_rig_file(o);
    assert_true(number != 0);
    object_drop(o);
    disk_rig_close(&r);
    slot_damage(&r, number, 1);
    disk_rig_open(&r);
    head_is(&r, 1, SLICE("x-own"), SLICE("1"));
    disk_rig_close(&r);
    slot_damage(&r, number, 0);
    disk_rig_open(&r);
    assert_false(disk_rig_has(&r, 1));
    assert_int_equal(disk_rig_files(&r), 0);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void a_head_that_does_not_fit_drops_the_file(void **state)
{
    (void)state;
    static char large[4096];
    struct disk_rig r;
    memset(large, 'x', sizeof large);
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_put(&r, 1, 1000);
    object_drop(validated(&r, 1, (struct slice){large, sizeof large}));
    DISK_RIG_UNTIL(disk_rig_files(&r) == 0);
    assert_true(disk_rig_has(&r, 1)); /* from memory */
    disk_rig_reopen(&r);
    assert_false(disk_rig_has(&r, 1));
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void what_replaces_removes(void **state)
{
    (void)state;
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_put(&r, 1, 1000);
    disk_rig_put(&r, 1, 1000);
    DISK_RIG_UNTIL(disk_rig_files(&r) == 1);
    struct object_shared *o = disk_rig_find(&r, 1);
    cache_remove(r.c, o);
    object_drop(o);
    DISK_RIG_UNTIL(disk_rig_files(&r) == 0);
    assert_int_equal(rig_stats(r.c).disk_objects, 0);
    assert_int_equal(rig_stats(r.c).disk_bytes, 0);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

/* The older of two files for the same place goes, whichever is read first. */
static void the_younger_file_counts(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 2; turn++) {
        struct disk_rig r;
        disk_rig_folder(&r);
        disk_rig_open(&r);
        disk_rig_close(&r);
        for (unsigned i = 0; i < 2; i++) {
            char text[RIG_KEY_BYTES];
            struct header h = {.name = SLICE("age-of"), .value = i ? SLICE("new") : SLICE("old")};
            struct headers headers = {.at = &h, .count = 1};
            struct disk_head head = {.sequence = 1, .born = 10 + i};
            head.draft =
                (struct object_draft){.key = rig_key(text, 1), .status = 200, .headers = &headers};
            struct disk_image m;
            disk_image_make(&m, i ^ turn ? 256 : 0, 0);
            assert_true(disk_slot_encode(&m.layout, &head, m.bytes + DISK_PREFACE_BYTES));
            disk_image_write(&r, &m, m.len);
            disk_image_free(&m);
        }
        disk_rig_open(&r);
        head_is(&r, 1, SLICE("age-of"), SLICE("new"));
        DISK_RIG_UNTIL(disk_rig_files(&r) == 1);
        disk_rig_close(&r);
        disk_rig_remove(&r);
    }
}

/* --- budget ----------------------------------------------------------------------------------- */

static void the_budget_is_kept(void **state)
{
    (void)state;
    enum { FILES = 10, FILE_BYTES = 8192, BODY = 6000 };
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open_with(&r, FILES * FILE_BYTES, DISK_RIG_MEMORY_BYTES);
    for (unsigned i = 0; i < FILES; i++)
        disk_rig_put(&r, i, BODY);
    assert_int_equal(rig_stats(r.c).disk_bytes, FILES * FILE_BYTES);
    assert_int_equal(rig_stats(r.c).disk_evictions, 0);
    disk_rig_put(&r, FILES, BODY);
    DISK_RIG_UNTIL(rig_stats(r.c).disk_evictions == 1);
    assert_int_equal(rig_stats(r.c).disk_bytes, FILES * FILE_BYTES);
    DISK_RIG_UNTIL(disk_rig_files(&r) == FILES);
    assert_true(disk_rig_has(&r, 0)); /* still in memory */
    disk_limit_set(r.d, FILES * FILE_BYTES - 1);
    DISK_RIG_UNTIL(rig_stats(r.c).disk_evictions == 2);
    disk_rig_close(&r);
    disk_rig_open_with(&r, 3 * FILE_BYTES, DISK_RIG_MEMORY_BYTES);
    DISK_RIG_UNTIL(rig_stats(r.c).disk_bytes == 3 * FILE_BYTES);
    DISK_RIG_UNTIL(disk_rig_files(&r) == 3);
    DISK_RIG_UNTIL(rig_stats(r.c).objects == 3); /* nothing of them was in memory */
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void what_was_used_gets_a_second_chance(void **state)
{
    (void)state;
    enum { FILES = 4, FILE_BYTES = 8192, BODY = 6000 };
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open_with(&r, FILES * FILE_BYTES, DISK_RIG_MEMORY_BYTES);
    for (unsigned i = 0; i < FILES; i++)
        disk_rig_put(&r, i, BODY);
    struct object_shared *first = disk_rig_find(&r, 0), *second = disk_rig_find(&r, 1);
    assert_true(disk_rig_body_is(&r, first, 0, BODY));
    disk_rig_put(&r, FILES, BODY);
    DISK_RIG_UNTIL(rig_stats(r.c).disk_evictions == 1);
    assert_int_not_equal(disk_rig_file(first), 0);
    assert_int_equal(disk_rig_file(second), 0);
    object_drop(first);
    object_drop(second);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void what_is_larger_than_the_budget_is_not_saved(void **state)
{
    (void)state;
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open_with(&r, 16384, DISK_RIG_MEMORY_BYTES);
    rig_put(r.c, 1, 20000);
    struct object_shared *o = disk_rig_find(&r, 1);
    cache_save(r.c, o);
    disk_rig_put(&r, 3, 10); /* on either thread, but numbers follow each other */
    disk_rig_put(&r, 4, 10);
    assert_int_equal(disk_rig_file(o), 0);
    assert_int_equal(rig_stats(r.c).disk_objects, 2);
    object_drop(o);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

/* --- failures --------------------------------------------------------------------------------- */

/* Saving fails: one warning, a pause, and the object is still there from memory. */
static void check_failing(struct disk_rig *r)
{
    unsigned before = atomic_load(&disk_rig_warnings);
    uint64_t errors = rig_stats(r->c).disk_errors;
    for (unsigned i = 0; i < 5; i++) {
        rig_put(r->c, i, 100000);
        struct object_shared *o = disk_rig_find(r, i);
        cache_save(r->c, o);
        object_drop(o);
    }
    DISK_RIG_UNTIL(atomic_load(&r->d->orders) == 0);
    assert_int_equal(atomic_load(&disk_rig_warnings) - before, 1);
    assert_in_range(rig_stats(r->c).disk_errors - errors, 1, DISK_THREADS);
    assert_int_equal(rig_stats(r->c).disk_objects, 0);
    assert_int_equal(disk_rig_files_in(r, "new"), 0);
    for (unsigned i = 0; i < 5; i++)
        assert_true(disk_rig_has(r, i));
    /* The pause is over: it is tried again. */
    atomic_store(&r->d->pause_until_ms, 0);
}

static void a_full_disk_warns_once(void **state)
{
    (void)state;
    struct disk_rig r;
    struct rlimit was, small;
    signal(SIGXFSZ, SIG_IGN);
    disk_rig_folder(&r);
    disk_rig_open(&r);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 50000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    check_failing(&r);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_DFL);
    disk_rig_put(&r, 7, 100000);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void a_folder_that_can_not_be_written_warns_once(void **state)
{
    (void)state;
    struct disk_rig r;
    char path[128], aside[128];
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_path(&r, "new", path);
    disk_rig_path(&r, "aside", aside);
    assert_int_equal(rename(path, aside), 0);
    check_failing(&r);
    assert_int_equal(rename(aside, path), 0);
    disk_rig_put(&r, 7, 100);
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void a_folder_that_can_not_be_made_is_said(void **state)
{
    (void)state;
    struct text why;
    text_init(&why);
    struct cache_shared *c = rig_cache(1 << 20);
    struct disk_options o = {.path = SLICE("/proc/weir-cache"), .max_bytes = 1 << 20};
    assert_null(disk_open(c, &o, &why));
    assert_non_null(strstr(why.at, "/proc/weir-cache"));
    text_release(&why);
    cache_free(c);
}

/* --- two processes ---------------------------------------------------------------------------- */

static void one_owns_the_folder(void **state)
{
    (void)state;
    struct disk_rig r, next;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_put(&r, 1, 1000);
    next = r;
    disk_rig_open(&next);
    assert_true(disk_rig_has(&next, 1));
    rig_put(next.c, 5, 10);
    struct object_shared *o = disk_rig_find(&next, 5);
    cache_save(next.c, o);
    object_drop(o);
    o = disk_rig_find(&next, 1);
    cache_remove(next.c, o); /* the file is not its to remove */
    object_drop(o);
    disk_rig_put(&r, 2, 1000);
    assert_int_equal(disk_rig_files(&r), 2);
    assert_false(disk_rig_has(&next, 2));
    disk_rig_close(&r);
    DISK_RIG_UNTIL(disk_is_owner(next.d) && !disk_is_scanning(next.d));
    assert_true(disk_rig_has(&next, 2));
    disk_rig_put(&next, 3, 1000);
    disk_rig_close(&next);
    disk_rig_remove(&next);
}

UNIT_SUITE(
    cache_disk, cmocka_unit_test(everything_comes_back), cmocka_unit_test(parts_come_back),
    cmocka_unit_test(heads_come_back), cmocka_unit_test(memory_may_be_small),
    cmocka_unit_test(no_truncated_file_is_served), cmocka_unit_test(no_flipped_byte_is_served),
    cmocka_unit_test(a_rotten_block_ends_a_long_one),
    cmocka_unit_test(files_that_are_not_ours_stay_alone),
    cmocka_unit_test(a_vanished_file_is_a_miss), cmocka_unit_test(a_new_head_goes_into_the_file),
    cmocka_unit_test(a_torn_head_leaves_the_one_before),
    cmocka_unit_test(a_head_that_does_not_fit_drops_the_file),
    cmocka_unit_test(what_replaces_removes), cmocka_unit_test(the_younger_file_counts),
    cmocka_unit_test(the_budget_is_kept), cmocka_unit_test(what_was_used_gets_a_second_chance),
    cmocka_unit_test(what_is_larger_than_the_budget_is_not_saved),
    cmocka_unit_test(a_full_disk_warns_once),
    cmocka_unit_test(a_folder_that_can_not_be_written_warns_once),
    cmocka_unit_test(a_folder_that_can_not_be_made_is_said), cmocka_unit_test(one_owns_the_folder));
