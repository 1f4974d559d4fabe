/* hash_test.c - hashes against known answers, the map against a plain array. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/num.h"
#include "base/rand.h"
#include "tests/unit.h"

/* Computed by a second implementation, which gives the answer of the SipHash paper's appendix A
 * for SipHash-2-4: key 00..0f, message 00, 01, .. of the length in the first column. */
static void siphash_known_answers(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint64_t due;
    } rows[] = {{0, 0xabac0158050fc4dcu}, {1, 0xc9f49bf37d57ca93u},  {7, 0xd3927d989bb11140u},
                {8, 0x369095118d299a8eu}, {15, 0xd320d86d2a519956u}, {63, 0x9d199062b7bbb3a8u}};
    uint8_t key[16];
    char message[64];
    for (int i = 0; i < 64; i++)
        message[i] = (char)i;
    memcpy(key, message, sizeof(key));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_true(hash_siphash13(key, (struct slice){message, rows[i].len}) == rows[i].due);
}

static void secret_key_matters(void **state)
{
    (void)state;
    uint64_t drawn = hash_secret(SLICE("x"));
    assert_true(drawn == hash_secret(SLICE("x")));
    static const uint8_t key[16] = {1};
    hash_secret_init(key);
    assert_true(hash_secret(SLICE("x")) == hash_siphash13(key, SLICE("x")));
    assert_true(hash_secret(SLICE("x")) != drawn);
}

static void fast_hash_known_answers(void **state)
{
    (void)state;
    assert_true(hash_fast(SLICE_NONE, 0) == 0x2d06800538d394c2u); /* XXH3_64bits("") */
    assert_true(hash_fast(SLICE("a"), 0) != hash_fast(SLICE("a"), 1));
    assert_true(hash_fast(SLICE("a"), 0) != hash_fast(SLICE("b"), 0));
}

static void puts_finds_replaces_removes(void **state)
{
    (void)state;
    struct hash_map m;
    int one, two;
    hash_map_init(&m);
    assert_null(hash_map_find(&m, SLICE("a")));
    assert_null(hash_map_remove(&m, SLICE("a")));
    assert_null(hash_map_put(&m, SLICE("a"), &one));
    assert_null(hash_map_put(&m, SLICE(""), &two));
    assert_ptr_equal(hash_map_find(&m, SLICE("a")), &one);
    assert_ptr_equal(hash_map_find(&m, SLICE_NONE), &two);
    assert_ptr_equal(hash_map_put(&m, SLICE("a"), &two), &one);
    assert_int_equal(m.count, 2);
    assert_ptr_equal(hash_map_remove(&m, SLICE("a")), &two);
    assert_null(hash_map_find(&m, SLICE("a")));
    assert_int_equal(m.count, 1);
    hash_map_release(&m);
}

enum { KEYS = 500 };

struct model {
    char names[KEYS][8];
    struct slice keys[KEYS];
    bool in[KEYS];
};

static void model_init(struct model *w)
{
    for (uint64_t i = 0; i < KEYS; i++)
        w->keys[i] = (struct slice){w->names[i], num_write_u64(w->names[i], i)};
}

static void agrees(const struct hash_map *m, const struct model *w)
{
    size_t count = 0, seen = 0;
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(hash_map_find(m, w->keys[i]), w->in[i] ? w->names[i] : NULL);
        count += w->in[i];
    }
    assert_int_equal(m->count, count);
    uint32_t at = 0;
    for (const struct hash_slot *s; (s = hash_map_next(m, &at)); seen++)
        assert_ptr_equal(s->value, s->key.at);
    assert_int_equal(seen, count);
}

/* Many removals from long probe chains: shifting back must lose nothing. */
static void agrees_with_a_plain_array(void **state)
{
    (void)state;
    static struct model w;
    struct hash_map m;
    struct rand r;
    model_init(&w);
    hash_map_init(&m);
    rand_init(&r, 1);
    for (int round = 0; round < 20000; round++) {
        size_t i = rand_below(&r, KEYS);
        bool put = rand_below(&r, KEYS) > m.count;
        void *due = w.in[i] ? w.names[i] : NULL;
        void *old = put ? hash_map_put(&m, w.keys[i], w.names[i]) : hash_map_remove(&m, w.keys[i]);
        assert_ptr_equal(old, due);
        w.in[i] = put;
        if (round % 500 == 0)
            agrees(&m, &w);
    }
    agrees(&m, &w);
    hash_map_release(&m);
}

static void keeps_a_quarter_free(void **state)
{
    (void)state;
    static struct model w;
    struct hash_map m;
    model_init(&w);
    hash_map_init(&m);
    for (size_t i = 0; i < KEYS; i++) {
        hash_map_put(&m, w.keys[i], w.names[i]);
        assert_true(m.count * 4 <= (m.mask + 1) * 3);
    }
    hash_map_release(&m);
}

UNIT_SUITE(base_hash, cmocka_unit_test(siphash_known_answers), cmocka_unit_test(secret_key_matters),
           cmocka_unit_test(fast_hash_known_answers), cmocka_unit_test(puts_finds_replaces_removes),
           cmocka_unit_test(agrees_with_a_plain_array), cmocka_unit_test(keeps_a_quarter_free));
