/* disk_format_test.c - heads there and back, every flipped byte and every truncation, torn slots,
 * blocks in the wrong place, limits; and the fuzzer's corpus. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_format_fuzz_priv.h"
#include "tests/corpus.h"

enum { ARENA_BYTES = 4 << 20 };

struct fixture {
    struct arena arena;
    struct headers headers;
    struct disk_head head;
    struct disk_layout layout;
    char *slots[2];
};

static void header(struct fixture *f, struct slice name, struct slice value)
{
    assert_int_equal(headers_add(&f->headers, &f->arena, name, value), ERR_OK);
}

static char *slot_new(struct fixture *f)
{
    char *at = arena_alloc(&f->arena, f->layout.slot_bytes);
    assert_non_null(at);
    memset(at, 0, f->layout.slot_bytes);
    return at;
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    arena_init(&f->arena, ARENA_BYTES);
    header(f, SLICE("Content-Type"), SLICE("text/plain"));
    header(f, SLICE("X-Own"), SLICE(""));
    header(f, SLICE("x-own"), SLICE("twice"));
    f->head = (struct disk_head){.sequence = 1, .born = 99, .body_bytes = 70000};
    struct object_draft *d = &f->head.draft;
    *d = (struct object_draft){.status = 200,
                               .kind = OBJECT_PART,
                               .headers = &f->headers,
                               .reason = SLICE("OK"),
                               .vary = SLICE("accept,accept-language"),
                               .tags = SLICE("one two"),
                               .site = SLICE("a.test"),
                               .variant = 0x123456789abcdef0,
                               .variant_without_language = 77,
                               .first = 5,
                               .last = 9,
                               .total = UINT64_MAX};
    d->freshness = (struct freshness){.received_ms = 1767323045678,
                                      .age_ms = 1,
                                      .lifetime_ms = 2,
                                      .swr_s = 3,
                                      .sie_s = -1,
                                      .flags = FRESH_EXPLICIT | FRESH_VALIDATOR};
    d->key.text = SLICE("https://a.test/path?query");
    f->layout =
        (struct disk_layout){.number = 0xfedcba9876543210, .slot_bytes = disk_slot_room(&f->head)};
    f->slots[0] = slot_new(f);
    f->slots[1] = slot_new(f);
}

static enum err decode(struct fixture *f, unsigned slot, struct disk_head *out)
{
    return disk_slot_decode(&f->layout, (struct slice){f->slots[slot], f->layout.slot_bytes},
                            &f->arena, out);
}

static enum err decode_both(struct fixture *f, struct disk_head *out, unsigned *which)
{
    struct slice s[2] = {{f->slots[0], f->layout.slot_bytes}, {f->slots[1], f->layout.slot_bytes}};
    return disk_slots_decode(&f->layout, s, &f->arena, out, which);
}

#define assert_slice_equal(a, b) assert_true(slice_eq((a), (b)))

static void heads_equal(const struct disk_head *x, const struct disk_head *y)
{
    const struct object_draft *a = &x->draft, *b = &y->draft;
    assert_int_equal(x->sequence, y->sequence);
    assert_int_equal(x->born, y->born);
    assert_int_equal(x->body_bytes, y->body_bytes);
    assert_int_equal(x->expired, y->expired);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->variant, b->variant);
    assert_int_equal(a->variant_without_language, b->variant_without_language);
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->last, b->last);
    assert_int_equal(a->total, b->total);
    assert_memory_equal(&a->freshness, &b->freshness, sizeof a->freshness);
    assert_slice_equal(a->key.text, b->key.text);
    assert_slice_equal(a->reason, b->reason);
    assert_slice_equal(a->vary, b->vary);
    assert_slice_equal(a->tags, b->tags);
    assert_slice_equal(a->site, b->site);
    assert_int_equal(a->headers->count, b->headers->count);
    for (uint32_t i = 0; i < a->headers->count; i++) {
        assert_slice_equal(a->headers->at[i].name, b->headers->at[i].name);
        assert_slice_equal(a->headers->at[i].value, b->headers->at[i].value);
        assert_int_equal(a->headers->at[i].id, b->headers->at[i].id);
    }
}

static void head_comes_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (unsigned expired = 0; expired < 2; expired++) {
        struct disk_head read;
        f.head.expired = expired;
        assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
        assert_int_equal(decode(&f, 0, &read), ERR_OK);
        heads_equal(&f.head, &read);
    }
    arena_release(&f.arena);
}

static void dead_headers_are_left_out(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    fixture_init(&f);
    f.headers.at[1].dead = true;
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    assert_int_equal(decode(&f, 0, &read), ERR_OK);
    assert_int_equal(read.draft.headers->count, 2);
    assert_slice_equal(read.draft.headers->at[1].value, SLICE("twice"));
    arena_release(&f.arena);
}

/* The bytes of a slot that say something; what follows is padding. */
static uint32_t used_bytes(const char *slot)
{
    uint32_t used;
    memcpy(&used, slot + DISK_SUM_BYTES, sizeof used);
    return used;
}

static void every_flipped_byte_is_seen(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    fixture_init(&f);
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    uint32_t used = used_bytes(f.slots[0]);
    for (uint32_t i = 0; i < used; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            f.slots[0][i] ^= (char)(1 << bit);
            assert_int_equal(decode(&f, 0, &read), ERR_IO);
            f.slots[0][i] ^= (char)(1 << bit);
        }
    assert_int_equal(decode(&f, 0, &read), ERR_OK);
    arena_release(&f.arena);
}

static void every_truncation_is_seen(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    fixture_init(&f);
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    uint32_t used = used_bytes(f.slots[0]);
    for (uint32_t len = 0; len < used; len++)
        assert_int_equal(
            disk_slot_decode(&f.layout, (struct slice){f.slots[0], len}, &f.arena, &read), ERR_IO);
    assert_int_equal(disk_slot_decode(&f.layout, (struct slice){f.slots[0], used}, &f.arena, &read),
                     ERR_OK);
    arena_release(&f.arena);
}

static void another_files_slot_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    fixture_init(&f);
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    f.layout.number++;
    assert_int_equal(decode(&f, 0, &read), ERR_IO);
    arena_release(&f.arena);
}

/* Values that no object has, under a right checksum. */
static void impossible_values_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    const struct disk_head good = f.head;
    struct disk_head bad[12], read;
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        bad[i] = good;
    bad[0].sequence = 0;
    bad[1].body_bytes = DISK_BODY_MAX_BYTES + 1;
    bad[2].draft.status = 199;
    bad[3].draft.status = 1000;
    bad[4].draft.kind = OBJECT_PART + 1;
    bad[5].draft.first = 10;
    bad[6].draft.total = 9;
    bad[7].draft.key.text = SLICE("");
    bad[8].draft.freshness.age_ms = -((int64_t)1 << 53) - 1;
    bad[9].draft.freshness.received_ms = ((int64_t)1 << 53) + 1;
    bad[10].draft.freshness.lifetime_ms = INT64_MAX;
    bad[11].draft.freshness.lifetime_ms = INT64_MIN;
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        assert_true(disk_slot_encode(&f.layout, &bad[i], f.slots[0]));
        assert_int_equal(decode(&f, 0, &read), ERR_IO);
    }
    f.head.body_bytes = DISK_BODY_MAX_BYTES;
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    assert_int_equal(decode(&f, 0, &read), ERR_OK);
    arena_release(&f.arena);
}

static void headers_that_split_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    fixture_init(&f);
    f.headers.at[0].value = SLICE("text\r\nb: c");
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    assert_int_equal(decode(&f, 0, &read), ERR_IO);
    arena_release(&f.arena);
}

static void headers_have_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    fixture_init(&f);
    while (f.headers.count < DISK_HEADERS_MAX)
        header(&f, SLICE("a"), SLICE("b"));
    f.layout.slot_bytes = disk_slot_room(&f.head);
    f.slots[0] = slot_new(&f);
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    assert_int_equal(decode(&f, 0, &read), ERR_OK);
    header(&f, SLICE("a"), SLICE("b"));
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    assert_int_equal(decode(&f, 0, &read), ERR_IO);
    arena_release(&f.arena);
}

static void slot_room_has_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    char *big = arena_alloc(&f.arena, DISK_SLOT_MAX_BYTES);
    assert_non_null(big);
    memset(big, 'x', DISK_SLOT_MAX_BYTES);
    size_t most = DISK_SLOT_MAX_BYTES -
                  used_bytes((disk_slot_encode(&f.layout, &f.head, f.slots[0]), f.slots[0]));
    f.headers.at[1].value = (struct slice){big, most};
    assert_int_equal(disk_slot_room(&f.head), DISK_SLOT_MAX_BYTES);
    f.layout.slot_bytes = DISK_SLOT_MAX_BYTES;
    f.slots[0] = slot_new(&f);
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    f.headers.at[1].value.len++;
    assert_int_equal(disk_slot_room(&f.head), 0);
    assert_false(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    arena_release(&f.arena);
}

static void a_head_may_grow_a_little(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    header(&f, SLICE("age"), SLICE("01234567890123456789"));
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    arena_release(&f.arena);
}

static void newer_slot_counts(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    unsigned which = 9;
    fixture_init(&f);
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    assert_int_equal(decode_both(&f, &read, &which), ERR_OK); /* the other one is a hole */
    assert_int_equal(which, 0);
    f.head.sequence = 2;
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[1]));
    assert_int_equal(decode_both(&f, &read, &which), ERR_OK);
    assert_int_equal(which, 1);
    assert_int_equal(read.sequence, 2);
    f.head.sequence = 3;
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    assert_int_equal(decode_both(&f, &read, &which), ERR_OK);
    assert_int_equal(which, 0);
    arena_release(&f.arena);
}

static void torn_slot_leaves_the_other(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    unsigned which;
    fixture_init(&f);
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    char *next = slot_new(&f);
    f.head.sequence = 2;
    assert_true(disk_slot_encode(&f.layout, &f.head, next));
    for (uint32_t done = 0; done < used_bytes(next); done++) {
        memcpy(f.slots[1], next, done); /* as far as the writer came */
        assert_int_equal(decode_both(&f, &read, &which), ERR_OK);
        assert_int_equal(read.sequence, 1);
    }
    f.slots[0][20] ^= 1;
    assert_int_equal(decode_both(&f, &read, &which), ERR_IO);
    arena_release(&f.arena);
}

static void preface_comes_back(void **state)
{
    (void)state;
    char bytes[DISK_PREFACE_BYTES];
    struct disk_layout l = {.number = 42, .slot_bytes = 512}, read;
    disk_preface_encode(&l, bytes);
    struct slice s = {bytes, sizeof bytes};
    assert_int_equal(disk_preface_decode(s, &read), ERR_OK);
    assert_int_equal(read.number, 42);
    assert_int_equal(read.slot_bytes, 512);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(disk_preface_decode(slice_head(s, len), &read), ERR_IO);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(disk_preface_decode(s, &read), ERR_IO);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
}

static void slots_have_sizes_in_steps(void **state)
{
    (void)state;
    static const struct {
        uint32_t bytes;
        enum err expected;
    } ROWS[] = {{0, ERR_IO},
                {DISK_SLOT_STEP_BYTES - 1, ERR_IO},
                {DISK_SLOT_STEP_BYTES, ERR_OK},
                {DISK_SLOT_MAX_BYTES, ERR_OK},
                {DISK_SLOT_MAX_BYTES + DISK_SLOT_STEP_BYTES, ERR_IO}};
    for (unsigned i = 0; i < COUNT_OF(ROWS); i++) {
        char bytes[DISK_PREFACE_BYTES];
        struct disk_layout l = {.number = 1, .slot_bytes = ROWS[i].bytes};
        disk_preface_encode(&l, bytes);
        assert_int_equal(disk_preface_decode((struct slice){bytes, sizeof bytes}, &l),
                         ROWS[i].expected);
    }
}

static void blocks_have_their_places(void **state)
{
    (void)state;
    struct disk_layout l = {.number = 1, .slot_bytes = 512};
    static const struct {
        uint64_t body, block;
        size_t len;
        uint64_t file;
    } ROWS[] = {
        {0, 0, 0, 1056},
        {1, 0, 1, 1056 + 1 + 8},
        {1, 1, 0, 1056 + 1 + 8},
        {65536, 0, 65536, 1056 + 65536 + 8},
        {65536, 1, 0, 1056 + 65536 + 8},
        {65537, 0, 65536, 1056 + 65537 + 16},
        {65537, 1, 1, 1056 + 65537 + 16},
    };
    for (unsigned i = 0; i < COUNT_OF(ROWS); i++) {
        assert_int_equal(disk_block_len(ROWS[i].body, ROWS[i].block), ROWS[i].len);
        assert_int_equal(disk_file_bytes(&l, ROWS[i].body), ROWS[i].file);
    }
    assert_int_equal(disk_block_at(&l, 0), 1056);
    assert_int_equal(disk_block_at(&l, 2), 1056 + 2 * 65544);
}

static void a_block_holds_in_its_place_alone(void **state)
{
    (void)state;
    struct disk_layout l = {.number = 5, .slot_bytes = 512},
                       other = {.number = 6, .slot_bytes = 512};
    char bytes[100 + DISK_SUM_BYTES];
    struct slice s = {bytes, sizeof bytes};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    disk_sum_encode(disk_block_sum(&l, 3, slice_head(s, 100)), bytes + 100);
    assert_true(disk_block_holds(&l, 3, s));
    assert_false(disk_block_holds(&l, 2, s));
    assert_false(disk_block_holds(&other, 3, s));
    for (size_t len = 0; len < s.len; len++)
        assert_false(disk_block_holds(&l, 3, slice_head(s, len)));
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_false(disk_block_holds(&l, 3, s));
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
}

static void small_arena_is_no_damage(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_head read;
    struct arena none;
    fixture_init(&f);
    assert_true(disk_slot_encode(&f.layout, &f.head, f.slots[0]));
    arena_init(&none, 0);
    assert_int_equal(
        disk_slot_decode(&f.layout, (struct slice){f.slots[0], f.layout.slot_bytes}, &none, &read),
        ERR_OVER_BUDGET);
    arena_release(&none);
    arena_release(&f.arena);
}

static size_t replay(char *bytes, size_t len)
{
    return fuzz_disk_format(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/disk_format/*", 8, replay) >= 4);
}

UNIT_SUITE(cache_disk_format, cmocka_unit_test(head_comes_back),
           cmocka_unit_test(dead_headers_are_left_out),
           cmocka_unit_test(every_flipped_byte_is_seen), cmocka_unit_test(every_truncation_is_seen),
           cmocka_unit_test(another_files_slot_is_refused),
           cmocka_unit_test(impossible_values_are_refused),
           cmocka_unit_test(headers_that_split_are_refused), cmocka_unit_test(headers_have_a_limit),
           cmocka_unit_test(slot_room_has_a_limit), cmocka_unit_test(a_head_may_grow_a_little),
           cmocka_unit_test(newer_slot_counts), cmocka_unit_test(torn_slot_leaves_the_other),
           cmocka_unit_test(preface_comes_back), cmocka_unit_test(slots_have_sizes_in_steps),
           cmocka_unit_test(blocks_have_their_places),
           cmocka_unit_test(a_block_holds_in_its_place_alone),
           cmocka_unit_test(small_arena_is_no_damage), cmocka_unit_test(corpus_holds));
