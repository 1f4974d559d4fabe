/* disk_journal_test.c - purges that are written down and read again, up to where a crash tore the
 * file; what they concern; and purges that files have not heard of when the tier is opened. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_journal_fuzz_priv.h"
#include "cache/disk_rig_test.h"
#include "tests/corpus.h"

struct journal_rig {
    struct disk_rig r;
    int dir;
    struct disk_journal_shared *j;
};

static void rig_open(struct journal_rig *g)
{
    disk_rig_folder(&g->r);
    g->dir = open(g->r.path, O_RDONLY | O_DIRECTORY);
    assert_true(g->dir >= 0);
    g->j = disk_journal_new(g->dir);
    assert_true(disk_journal_own(g->j));
}

static void rig_again(struct journal_rig *g)
{
    disk_journal_free(g->j);
    g->j = disk_journal_new(g->dir);
}

static void rig_close(struct journal_rig *g)
{
    disk_journal_free(g->j);
    close(g->dir);
    disk_rig_remove(&g->r);
}

static void note(struct disk_journal_shared *j, enum purge_kind kind, enum purge_how how,
                 const char *text, uint64_t before)
{
    struct purge_order p = {kind, how, slice_of(text)};
    disk_journal_note(j, &p, before);
}

static enum disk_verdict judge(struct disk_journal_shared *j, const char *url, const char *tags,
                               uint64_t born)
{
    struct disk_subject s = {slice_of(url), slice_of(tags), born};
    enum disk_verdict v = disk_journal_judge_begin(j, &s);
    disk_journal_judge_end(j);
    return v;
}

static const struct {
    const char *url, *tags;
    uint64_t born;
    enum disk_verdict verdict;
} ROWS[] = {
    {"https://a/one", "", 9, VERDICT_DROP},
    {"https://a/one", "", 10, VERDICT_KEEP}, /* stored after it */
    {"https://a/one/", "", 9, VERDICT_KEEP},
    {"https://a/on", "", 9, VERDICT_KEEP},
    {"https://a/p/", "", 19, VERDICT_DROP},
    {"https://a/p/q", "", 19, VERDICT_DROP},
    {"https://a/p/q", "", 20, VERDICT_KEEP},
    {"https://a/p", "", 19, VERDICT_KEEP},
    {"https://b/", "news", 29, VERDICT_EXPIRE},
    {"https://b/", "old  news more", 29, VERDICT_EXPIRE},
    {"https://b/", "news", 30, VERDICT_KEEP},
    {"https://b/", "newsy new", 29, VERDICT_KEEP},
    {"https://a/one", "news", 9, VERDICT_DROP}, /* the harder one */
    {"https://c/", "x", 4, VERDICT_DROP},       /* everything */
    {"https://c/", "x", 5, VERDICT_KEEP},
};

static void check_rows(struct disk_journal_shared *j)
{
    for (unsigned i = 0; i < COUNT_OF(ROWS); i++)
        assert_int_equal(judge(j, ROWS[i].url, ROWS[i].tags, ROWS[i].born), ROWS[i].verdict);
}

static void note_rows(struct disk_journal_shared *j)
{
    note(j, PURGE_URL, PURGE_HARD, "https://a/one", 10);
    note(j, PURGE_PREFIX, PURGE_HARD, "https://a/p/", 20);
    note(j, PURGE_TAG, PURGE_SOFT, "news", 30);
    note(j, PURGE_ALL, PURGE_HARD, "", 5);
}

static void purges_are_read_again(void **state)
{
    (void)state;
    struct journal_rig g;
    rig_open(&g);
    note_rows(g.j);
    check_rows(g.j);
    rig_again(&g);
    check_rows(g.j);
    assert_true(disk_journal_own(g.j));
    rig_again(&g);
    check_rows(g.j);
    rig_close(&g);
}

static void the_latest_of_a_text_counts(void **state)
{
    (void)state;
    struct journal_rig g;
    rig_open(&g);
    for (uint64_t i = 1; i <= 1000; i++)
        note(g.j, PURGE_TAG, PURGE_HARD, "t", i);
    note(g.j, PURGE_TAG, PURGE_HARD, "t", 5);
    assert_int_equal(disk_journal_count(g.j), 1);
    assert_int_equal(judge(g.j, "u", "t", 999), VERDICT_DROP);
    assert_int_equal(judge(g.j, "u", "t", 1000), VERDICT_KEEP);
    rig_close(&g);
}

static size_t file_read(struct journal_rig *g, char *to, size_t cap)
{
    int fd = openat(g->dir, "journal", O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, to, cap);
    assert_true(n > 0);
    close(fd);
    return (size_t)n;
}

static void every_torn_end_leaves_what_was_before(void **state)
{
    (void)state;
    struct journal_rig g;
    char bytes[4096];
    rig_open(&g);
    note_rows(g.j);
    size_t len = file_read(&g, bytes, sizeof bytes);
    uint32_t before = 0;
    for (size_t cut = 0; cut <= len; cut++) {
        struct disk_journal_shared *j = disk_journal_new(-1);
        size_t good = disk_journal_parse(j, (struct slice){bytes, cut});
        assert_true(good <= cut && disk_journal_count(j) >= before);
        before = disk_journal_count(j);
        disk_journal_free(j);
    }
    assert_int_equal(before, 4);
    for (size_t at = 0; at < len; at++) {
        struct disk_journal_shared *j = disk_journal_new(-1);
        bytes[at] ^= 0x20;
        assert_true(disk_journal_parse(j, (struct slice){bytes, len}) <= at);
        bytes[at] ^= 0x20;
        disk_journal_free(j);
    }
    rig_close(&g);
}

/* What a crash left half written is written over by who owns it next. */
static void a_torn_end_is_repaired(void **state)
{
    (void)state;
    struct journal_rig g;
    rig_open(&g);
    note(g.j, PURGE_URL, PURGE_HARD, "https://a/one", 10);
    int fd = openat(g.dir, "journal", O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "torn", 4), 4);
    close(fd);
    rig_again(&g);
    assert_true(disk_journal_own(g.j));
    note(g.j, PURGE_URL, PURGE_HARD, "https://a/two", 10);
    rig_again(&g);
    assert_int_equal(judge(g.j, "https://a/one", "", 9), VERDICT_DROP);
    assert_int_equal(judge(g.j, "https://a/two", "", 9), VERDICT_DROP);
    rig_close(&g);
}

static void what_is_dropped_stays_away(void **state)
{
    (void)state;
    struct journal_rig g;
    rig_open(&g);
    note(g.j, PURGE_URL, PURGE_HARD, "https://a/one", 10);
    uint64_t mark = disk_journal_mark(g.j);
    note(g.j, PURGE_URL, PURGE_HARD, "https://a/two", 10);
    disk_journal_drop(g.j, mark);
    for (unsigned turn = 0; turn < 2; turn++) {
        assert_int_equal(judge(g.j, "https://a/one", "", 9), VERDICT_KEEP);
        assert_int_equal(judge(g.j, "https://a/two", "", 9), VERDICT_DROP);
        rig_again(&g);
    }
    rig_close(&g);
}

static void the_bound_grows(void **state)
{
    (void)state;
    struct journal_rig g;
    rig_open(&g);
    assert_int_equal(disk_journal_bound(g.j), 0);
    assert_true(disk_journal_reserve(g.j, 77));
    uint64_t bound = disk_journal_bound(g.j);
    assert_true(bound > 77);
    assert_true(disk_journal_reserve(g.j, bound - 1));
    assert_int_equal(disk_journal_bound(g.j), bound);
    assert_true(disk_journal_reserve(g.j, bound));
    bound = disk_journal_bound(g.j);
    rig_again(&g);
    assert_int_equal(disk_journal_bound(g.j), bound);
    rig_close(&g);
}

static void who_does_not_own_it_writes_nothing(void **state)
{
    (void)state;
    struct journal_rig g;
    rig_open(&g);
    rig_again(&g);
    struct purge_order p = {PURGE_URL, PURGE_HARD, SLICE("https://a/one")};
    assert_false(disk_journal_note(g.j, &p, 10));
    assert_int_equal(judge(g.j, "https://a/one", "", 9), VERDICT_DROP); /* but knows it */
    assert_true(disk_journal_own(g.j));                                 /* and writes it now */
    rig_again(&g);
    assert_int_equal(judge(g.j, "https://a/one", "", 9), VERDICT_DROP);
    rig_close(&g);
}

static void too_many_become_one(void **state)
{
    (void)state;
    struct disk_journal_shared *j = disk_journal_new(-1);
    char text[32];
    for (uint64_t i = 0; i < JOURNAL_TEXTS_MAX; i++) {
        snprintf(text, sizeof text, "https://a/%u", (unsigned)i);
        note(j, PURGE_URL, PURGE_SOFT, text, 100 + i);
    }
    assert_int_equal(disk_journal_count(j), JOURNAL_TEXTS_MAX);
    assert_int_equal(judge(j, "https://b/", "", 1), VERDICT_KEEP);
    note(j, PURGE_URL, PURGE_HARD, "https://c/", 1000000);
    assert_int_equal(disk_journal_count(j), 1);
    assert_int_equal(judge(j, "https://b/", "", 999999), VERDICT_DROP);
    assert_int_equal(judge(j, "https://c/", "", 1000000), VERDICT_KEEP);
    disk_journal_free(j);
}

/* --- with files ------------------------------------------------------------------------------- */

static void image(struct disk_rig *r, unsigned n)
{
    struct disk_image m;
    disk_image_make(&m, n, 10);
    disk_image_write(r, &m, m.len);
    disk_image_free(&m);
}

static void with_journal(struct disk_rig *r, enum purge_kind kind, enum purge_how how,
                         const char *text, uint64_t before)
{
    int dir = open(r->path, O_RDONLY | O_DIRECTORY);
    struct disk_journal_shared *j = disk_journal_new(dir);
    assert_true(disk_journal_own(j));
    note(j, kind, how, text, before);
    disk_journal_free(j);
    close(dir);
}

static bool is_expired(struct disk_rig *r, unsigned n)
{
    struct object_shared *o = disk_rig_find(r, n);
    assert_non_null(o);
    bool expired = atomic_load(&o->expired);
    object_drop(o);
    return expired;
}

/* Files that were purged, and then the process died: images are born at 1000 + n. */
static void purged_files_do_not_come_back(void **state)
{
    (void)state;
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    disk_rig_close(&r);
    for (unsigned n = 0; n < 6; n++)
        image(&r, n);
    with_journal(&r, PURGE_URL, PURGE_HARD, "https://host/path/0", 2000);
    with_journal(&r, PURGE_TAG, PURGE_HARD, "some", 1003); /* 1, 2 */
    with_journal(&r, PURGE_TAG, PURGE_SOFT, "some", 1005); /* 3, 4 */
    disk_rig_open(&r);
    for (unsigned n = 0; n < 3; n++)
        assert_false(disk_rig_has(&r, n));
    assert_true(is_expired(&r, 3));
    assert_true(is_expired(&r, 4));
    assert_false(is_expired(&r, 5));
    assert_int_equal(disk_rig_files(&r), 3);
    assert_int_equal(disk_journal_count(r.d->journal), 0); /* all files have heard of it */
    disk_rig_reopen(&r);
    assert_true(is_expired(&r, 3)); /* from its own head now */
    assert_true(is_expired(&r, 4));
    assert_false(is_expired(&r, 5));
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static void purge(struct disk_rig *r, enum purge_kind kind, enum purge_how how, const char *text)
{
    uint64_t id, count;
    struct purge_order p = {kind, how, slice_of(text)};
    assert_int_equal(purge_add(r->c, &p, &id), ERR_OK);
    DISK_RIG_UNTIL(purge_result(r->c, id, &count));
}

static void a_purge_removes_files(void **state)
{
    (void)state;
    struct disk_rig r;
    disk_rig_folder(&r);
    disk_rig_open(&r);
    for (unsigned n = 0; n < 4; n++)
        disk_rig_put(&r, n, 100);
    purge(&r, PURGE_URL, PURGE_HARD, "https://host/path/1");
    assert_false(disk_rig_has(&r, 1));
    DISK_RIG_UNTIL(disk_rig_files(&r) == 3);
    purge(&r, PURGE_URL, PURGE_SOFT, "https://host/path/2");
    disk_rig_reopen(&r);
    assert_false(disk_rig_has(&r, 1));
    assert_true(is_expired(&r, 2));
    assert_false(is_expired(&r, 3));
    purge(&r, PURGE_ALL, PURGE_HARD, "");
    DISK_RIG_UNTIL(disk_rig_files(&r) == 0);
    disk_rig_put(&r, 1, 100); /* what comes later stays */
    disk_rig_reopen(&r);
    assert_true(disk_rig_has(&r, 1));
    assert_false(disk_rig_has(&r, 0));
    disk_rig_close(&r);
    disk_rig_remove(&r);
}

static size_t replay(char *bytes, size_t len)
{
    return fuzz_disk_journal(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/disk_journal/*", 4, replay) >= 2);
}

UNIT_SUITE(cache_disk_journal, cmocka_unit_test(purges_are_read_again),
           cmocka_unit_test(the_latest_of_a_text_counts),
           cmocka_unit_test(every_torn_end_leaves_what_was_before),
           cmocka_unit_test(a_torn_end_is_repaired), cmocka_unit_test(what_is_dropped_stays_away),
           cmocka_unit_test(the_bound_grows), cmocka_unit_test(who_does_not_own_it_writes_nothing),
           cmocka_unit_test(too_many_become_one), cmocka_unit_test(purged_files_do_not_come_back),
           cmocka_unit_test(a_purge_removes_files), cmocka_unit_test(corpus_holds));
