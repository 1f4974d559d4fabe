/* hpack_test.c - the decoder: the RFC's examples, and every rule at its limit and one past it. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack_priv.h"
#include "h2/hpack_rig_test.h"

static void table_is(const struct rig *r, uint32_t count, uint32_t bytes)
{
    assert_int_equal(hpack_table_count(r->decoder.table), count);
    assert_int_equal(hpack_table_bytes(r->decoder.table), bytes);
}

static void block_is(struct rig *r, const char *hex, const char *fields)
{
    assert_int_equal(rig_decode_hex(r, hex), ERR_OK);
    rig_list_is(&r->list, fields);
}

/* Appendix C.2. */
static void rfc_representations(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    block_is(r, "040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n");
    table_is(r, 0, 0);
    assert_null(r->decoder.table); /* nothing stored, nothing taken */
    block_is(r, "1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret\n");
    assert_true(r->list.at[0].never_indexed);
    block_is(r, "82", ":method: GET\n");
    table_is(r, 0, 0);
    block_is(r, "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
             "custom-key: custom-header\n");
    assert_false(r->list.at[0].never_indexed);
    table_is(r, 1, 55);
    rig_free(r);
}

#define FIRST_REQUEST ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n"
#define THIRD_REQUEST \
    ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\n"

/* Appendix C.3 and C.4. */
static void rfc_requests(void **state)
{
    (void)state;
    static const char *const blocks[2][3] = {
        {"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 84be 5808 6e6f 2d63 6163 6865",
         "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"},
        {"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
         "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"},
    };
    for (int huffman = 0; huffman < 2; huffman++) {
        struct rig *r = rig_new();
        block_is(r, blocks[huffman][0], FIRST_REQUEST);
        table_is(r, 1, 57);
        block_is(r, blocks[huffman][1], FIRST_REQUEST "cache-control: no-cache\n");
        table_is(r, 2, 110);
        block_is(r, blocks[huffman][2], THIRD_REQUEST "custom-key: custom-value\n");
        table_is(r, 3, 164);
        rig_free(r);
    }
}

#define DATE_21    "date: Mon, 21 Oct 2013 20:13:21 GMT\n"
#define DATE_22    "date: Mon, 21 Oct 2013 20:13:22 GMT\n"
#define LOCATION   "location: https://www.example.com\n"
#define SET_COOKIE "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n"

/* Appendix C.5 and C.6: a table of 256 bytes, so that entries are evicted. */
static void rfc_responses(void **state)
{
    (void)state;
    static const char *const blocks[2][3] = {
        {"3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 "
         "2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 "
         "2e63 6f6d",
         "4803 3330 37c1 c0bf",
         "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 "
         "5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 "
         "5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31"},
        {"3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 "
         "2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
         "4883 640e ffc1 c0bf",
         "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad "
         "94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 "
         "65c0 03ed 4ee5 b106 3d50 07"},
    };
    for (int huffman = 0; huffman < 2; huffman++) {
        struct rig *r = rig_new();
        block_is(r, blocks[huffman][0], ":status: 302\ncache-control: private\n" DATE_21 LOCATION);
        table_is(r, 4, 222);
        block_is(r, blocks[huffman][1], ":status: 307\ncache-control: private\n" DATE_21 LOCATION);
        table_is(r, 4, 222);
        block_is(r, blocks[huffman][2],
                 ":status: 200\ncache-control: private\n" DATE_22 LOCATION
                 "content-encoding: gzip\n" SET_COOKIE);
        table_is(r, 3, 215);
        rig_free(r);
    }
}

/* A decoder that has `x: y` (34 bytes) and `x: z` in its table gets one block. */
static enum err verdict(const char *hex)
{
    struct rig *r = rig_new();
    assert_int_equal(rig_decode_hex(r, "40 0178 0179 40 0178 017a"), ERR_OK);
    enum err e = rig_decode_hex(r, hex);
    rig_free(r);
    return e;
}

static void broken(const char *hex)
{
    assert_int_equal(verdict(hex), ERR_H2_COMPRESSION);
}

static void good(const char *hex)
{
    assert_int_equal(verdict(hex), ERR_OK);
}

static void indexes(void **state)
{
    (void)state;
    good("");
    struct rig *r = rig_new();
    assert_int_equal(hpack_decode(&r->decoder, SLICE_NONE, 0, &r->arena, rig_take, &r->list),
                     ERR_OK);
    rig_free(r);
    good("bd");    /* 61: the last static one */
    good("be bf"); /* 62, 63: both entries */
    broken("c0");  /* 64: past the table */
    broken("80");  /* 0 */
    broken("ff ffffffff0f");
    good("7f00 0161");   /* the name of 63 with an entry of its own */
    broken("7f01 0161"); /* 64 */
    good("0f30 0161");
    broken("0f31 0161");
    broken("1f31 0161");
}

static void integers(void **state)
{
    (void)state;
    good("3fe11f");             /* 4096 */
    good("3fe19f00");           /* 4096 again: longer than needed, but within five bytes */
    good("3fe19f808000");       /* five */
    broken("3fe19f80808000");   /* six */
    broken("3f ffffffff0f 82"); /* past 2^32 by the prefix */
    broken("ff 80808080 10");   /* 2^32 and the prefix */
    broken("ff ffffffff ff 7f");
    broken("3f");
    broken("3f 80");
    broken("ff ffff");
}

static void cut_off(void **state)
{
    (void)state;
    broken("40");
    broken("40 01");
    broken("40 0178");
    broken("40 0178 01");
    broken("40 0178 0279");
    broken("00 0278");
    broken("41");
    broken("41 81");
    good("40 00 00"); /* both empty: HPACK does not mind */
    good("41 80");    /* empty and Huffman-coded */
}

static void huffman_padding(void **state)
{
    (void)state;
    good("0f 2f 81 1f");           /* 'a' 00011 and three ones; the name is that of 62 */
    broken("0f 2f 81 18");         /* padding of zeros */
    broken("0f 2f 81 1b");         /* ones with a zero among them */
    good("0f 2f 81 f8");           /* '&': eight bits, no padding at all */
    broken("0f 2f 82 f8ff");       /* eight ones behind it */
    good("0f 2f 82 fe7f");         /* 11111110 01 "!" and six ones */
    good("0f 2f 82 1cff");         /* five bits, six bits, five ones */
    broken("0f 2f 81 ff");         /* a byte of padding alone */
    broken("0f 2f 84 ffffffff");   /* EOS and two ones */
    broken("0f 2f 85 1fffffffff"); /* 'a', then EOS */
    broken("0f 2f 89 1863 1863 ffff ffff ff");
    broken("0f 2f 8c 1863 ffff ffff 1863 1863 1863"); /* EOS where words are taken */
    broken("0f 2f 81 fe");                            /* begins a code of ten bits */
    broken("0f 2f 83 fffffe");                        /* 23 ones and a zero: inside a code */
}

static void huffman_takes_every_byte(void **state)
{
    (void)state;
    hpack_huffman_init();
    char code[4096], text[4096];
    for (unsigned c = 0; c < 256; c++) {
        for (size_t run = 1; run <= 40; run++) { /* each tail, each phase */
            char plain[64];
            memset(plain, (int)c, run);
            size_t len = hpack_huffman_encode(code, (struct slice){plain, run}), got = 0;
            if (len >= run)
                continue; /* gets longer; the differential test has those */
            assert_int_equal(hpack_huffman_decode(text, (struct slice){code, len}, &got), ERR_OK);
            assert_int_equal(got, run);
            assert_memory_equal(text, plain, run);
        }
    }
}

static void huffman_bound_holds(void **state)
{
    (void)state;
    for (size_t len = 0; len < 100; len++)
        assert_int_equal(hpack_huffman_bound(len), (len * 8 + 4) / 5);
}

static void size_updates(void **state)
{
    (void)state;
    good("3fe11f");
    broken("3fe21f");     /* 4097: above what we allow */
    good("20 3fe11f 82"); /* two: the smallest, then the final one */
    good("20 20 20 20 82");
    broken("82 20"); /* behind a field */
    broken("20 be"); /* the entries are gone */
    broken("20 3fe11f be");
    good("3f25 be bf"); /* 68: both stay */
    broken("3f24 bf");  /* 67: the older one goes */
    good("3f24 be");
    good("3f03 be");   /* 34 */
    broken("3f02 be"); /* 33 */
}

static void empty_table_gives_memory_back(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    assert_int_equal(rig_decode_hex(r, "40 0178 0179"), ERR_OK);
    assert_non_null(r->decoder.table);
    assert_int_equal(rig_decode_hex(r, "20"), ERR_OK);
    assert_null(r->decoder.table);
    assert_int_equal(rig_decode_hex(r, "40 0178 0179"), ERR_OK); /* too large for no table */
    assert_null(r->decoder.table);
    rig_free(r);
}

static void lower_limit_has_to_be_followed(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    hpack_decoder_limit(&r->decoder, 100);
    assert_int_equal(rig_decode_hex(r, ""), ERR_OK);
    assert_int_equal(rig_decode_hex(r, "82"), ERR_H2_COMPRESSION);
    assert_int_equal(rig_decode_hex(r, "3f46 82"), ERR_H2_COMPRESSION); /* 101 */
    assert_int_equal(rig_decode_hex(r, "3f45 82"), ERR_OK);
    assert_int_equal(rig_decode_hex(r, "82"), ERR_OK);
    rig_free(r);
}

static void higher_limit_may_be_used(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    hpack_decoder_release(&r->decoder);
    hpack_decoder_init(&r->decoder, 8192);
    assert_int_equal(rig_decode_hex(r, "3fe23f"), ERR_H2_COMPRESSION); /* 8193 */
    assert_int_equal(rig_decode_hex(r, "3fe13f 82"), ERR_OK);
    assert_int_equal(r->decoder.size_bytes, 8192);
    hpack_decoder_init(&r->decoder, 0); /* not before the peer knows */
    assert_int_equal(rig_decode_hex(r, "3fe11f 82"), ERR_OK);
    rig_free(r);
}

/* `letter` with a value of `len` bytes, stored. */
static void store(struct rig *r, char letter, size_t len)
{
    struct slice head = rig_hex(r, "40 0161 7f");
    char *at = r->block + head.len;
    r->block[2] = letter;
    size_t v = len - 0x7f;
    *at++ = (char)(0x80 | (v & 0x7f));
    *at++ = (char)(v >> 7);
    memset(at, letter, len);
    assert_int_equal(rig_decode(r, (struct slice){r->block, (size_t)(at - r->block) + len}),
                     ERR_OK);
}

static void eviction_is_exact(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    store(r, 'a', 1000);
    store(r, 'b', 2000);
    table_is(r, 2, 3000 + 2 + 64);
    store(r, 'c', 4096 - 3066 - 33);
    table_is(r, 3, 4096); /* full to the byte */
    store(r, 'd', 1000);  /* as large as the oldest, which makes room */
    table_is(r, 3, 4096);
    store(r, 'e', 2001); /* one more than the oldest: two go */
    table_is(r, 2, 1033 + 2034);
    store(r, 'f', 4096 - 33);
    table_is(r, 1, 4096);
    assert_int_equal(rig_decode_hex(r, "be"), ERR_OK);
    assert_int_equal(r->list.at[0].value.len, 4063);
    assert_int_equal(r->list.at[0].value.at[4062], 'f');
    store(r, 'g', 4096 - 32); /* one past the whole table: empties it, and is no error */
    table_is(r, 0, 0);
    assert_int_equal(r->list.count, 1);
    rig_free(r);
}

/* Many small ones turn the ring and slide the bytes; each stays what it was. */
static void ring_turns(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    for (unsigned i = 0; i < 5000; i++) {
        char name[8], value[32];
        snprintf(name, sizeof name, "n%u", i % 7);
        int len = snprintf(value, sizeof value, "%u%.*s", i, (int)(i % 13), "aaaaaaaaaaaaa");
        r->block[0] = 0x40;
        r->block[1] = 2;
        memcpy(r->block + 2, name, 2);
        r->block[4] = (char)len;
        memcpy(r->block + 5, value, (size_t)len);
        assert_int_equal(rig_decode(r, (struct slice){r->block, 5 + (size_t)len}), ERR_OK);
        uint32_t count = hpack_table_count(r->decoder.table);
        assert_true(hpack_table_bytes(r->decoder.table) <= 4096);
        r->block[0] = (char)0xff; /* the oldest */
        r->block[1] = (char)(HPACK_STATIC_COUNT + count - 127);
        if (HPACK_STATIC_COUNT + count < 127)
            continue;
        assert_int_equal(rig_decode(r, (struct slice){r->block, 2}), ERR_OK);
        assert_int_equal(strtoul(r->list.at[0].value.at, NULL, 10), i + 1 - count);
    }
    assert_true(hpack_table_count(r->decoder.table) > 80);
    rig_free(r);
}

static void own_name_may_be_evicted(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    assert_int_equal(rig_decode_hex(r, "3f05 40 0461626364 00"), ERR_OK); /* 36 bytes of 36 */
    block_is(r, "7e 00", "abcd: \n"); /* its name is read before it goes */
    table_is(r, 1, 36);
    block_is(r, "be", "abcd: \n");
    rig_free(r);
}

/* x: y takes 34 of the list. */
static void list_limit(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct slice b = rig_hex(r, "40 0178 0179 be 00 0178 0179 88");
    assert_int_equal(rig_decode_limited(r, b, 3 * 34 + 42), ERR_OK);
    assert_int_equal(r->list.count, 4);
    assert_int_equal(rig_decode_limited(r, b, 3 * 34 + 41), ERR_HEAD_TOO_LARGE);
    assert_int_equal(r->list.count, 3);
    assert_int_equal(rig_decode_limited(r, b, 33), ERR_HEAD_TOO_LARGE);
    assert_int_equal(r->list.count, 0);
    table_is(r, 3, 3 * 34); /* in step through all of it */
    assert_int_equal(rig_decode_limited(r, b, 0), ERR_HEAD_TOO_LARGE);
    table_is(r, 4, 4 * 34);
    rig_free(r);
}

/* Twenty line feeds take 75 bytes of code: longer than the text, and than what the list allows. */
static void list_limit_counts_text_not_code(void **state)
{
    (void)state;
#define FOUR "fffffff3ffffffcfffffff3ffffffc"
    struct rig *r = rig_new();
    struct slice b = rig_hex(r, "00 0178 cb" FOUR FOUR FOUR FOUR FOUR);
    assert_int_equal(rig_decode_limited(r, b, 1 + 20 + 32), ERR_OK);
    assert_int_equal(r->list.at[0].value.len, 20);
    assert_int_equal(rig_decode_limited(r, b, 1 + 20 + 31), ERR_HEAD_TOO_LARGE);
    rig_free(r);
#undef FOUR
}

/* An entry of 1,024 bytes, named as often as 128 KB or four times the limit have room, and more. */
static void bomb_ends_the_connection(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    store(r, 'b', 1024 - 32 - 1);
    memset(r->block, 0xbe, 160);
    const struct slice all = {r->block, 160};
    assert_int_equal(rig_decode_limited(r, slice_head(all, 127), 1000), ERR_HEAD_TOO_LARGE);
    assert_int_equal(rig_decode_limited(r, slice_head(all, 128), 1000), ERR_H2_HEADS);
    assert_int_equal(rig_decode_limited(r, slice_head(all, 159), 40960), ERR_HEAD_TOO_LARGE);
    assert_int_equal(rig_decode_limited(r, all, 40960), ERR_H2_HEADS);
    rig_free(r);
}

static void bomb_is_refused_before_it_is_stored(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    store(r, 'b', 4000);
    memset(r->block, 0xbe, 60);
    assert_int_equal(rig_decode_limited(r, (struct slice){r->block, 60}, 65536),
                     ERR_HEAD_TOO_LARGE);
    assert_int_equal(r->list.count, 65536 / 4033);
    assert_true(r->arena.used <= 65536 + 2 * ARENA_BLOCK_BYTES);
    assert_int_equal(rig_decode_hex(r, "be"), ERR_OK);
    rig_free(r);
}

static void table_keeps_step_after_refusal(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->list.stop_at = 1;
    assert_int_equal(rig_decode_hex(r, "82 40 0178 0179 41 8cf1e3c2e5f23a6ba0ab90f4ff be"),
                     ERR_BAD_HEADER);
    assert_int_equal(r->list.count, 1);
    assert_int_equal(rig_decode_hex(r, "82 80"), ERR_H2_COMPRESSION); /* the worse one tells */
    r->list.stop_at = 0;
    block_is(r, "be bf", ":authority: www.example.com\nx: y\n");
    rig_free(r);
}

static void spent_arena_keeps_step(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    arena_init(&r->arena, 100); /* not one block */
    assert_int_equal(rig_decode_hex(r, "40 0178 0179"), ERR_OK + ERR_OVER_BUDGET);
    assert_int_equal(r->list.count, 0);
    assert_int_equal(rig_decode_hex(r, "be"), ERR_OVER_BUDGET);
    arena_init(&r->arena, SIZE_MAX);
    block_is(r, "be", "x: y\n");
    rig_free(r);
}

static void ids_come_from_the_tables(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    assert_int_equal(rig_decode_hex(r, "82 9f 4a 0161 40 04686f7374 0161 be bf 7f00 0162 "
                                       "00 0178 0179"),
                     ERR_OK);
    const enum field_id due[] = {FIELD_OTHER, FIELD_CONTENT_TYPE, FIELD_OTHER, FIELD_HOST,
                                 FIELD_HOST,  FIELD_OTHER,        FIELD_OTHER, FIELD_OTHER};
    assert_int_equal(r->list.count, COUNT_OF(due));
    for (size_t i = 0; i < COUNT_OF(due); i++)
        assert_int_equal(r->list.at[i].id, due[i]);
    rig_free(r);
}

UNIT_SUITE(h2_hpack, cmocka_unit_test(rfc_representations), cmocka_unit_test(rfc_requests),
           cmocka_unit_test(rfc_responses), cmocka_unit_test(indexes), cmocka_unit_test(integers),
           cmocka_unit_test(cut_off), cmocka_unit_test(huffman_padding),
           cmocka_unit_test(huffman_takes_every_byte), cmocka_unit_test(huffman_bound_holds),
           cmocka_unit_test(size_updates), cmocka_unit_test(empty_table_gives_memory_back),
           cmocka_unit_test(lower_limit_has_to_be_followed),
           cmocka_unit_test(higher_limit_may_be_used), cmocka_unit_test(eviction_is_exact),
           cmocka_unit_test(ring_turns), cmocka_unit_test(own_name_may_be_evicted),
           cmocka_unit_test(list_limit), cmocka_unit_test(list_limit_counts_text_not_code),
           cmocka_unit_test(bomb_is_refused_before_it_is_stored),
           cmocka_unit_test(bomb_ends_the_connection),
           cmocka_unit_test(table_keeps_step_after_refusal),
           cmocka_unit_test(spent_arena_keeps_step), cmocka_unit_test(ids_come_from_the_tables));
