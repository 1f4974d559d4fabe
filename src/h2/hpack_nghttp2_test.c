/* hpack_nghttp2_test.c - our coder against nghttp2's, both ways, on random lists of fields with
 * changes of the table's size in between. Built where libnghttp2 is. */
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"
#include "h2/hpack_priv.h"
#include "h2/hpack_rig_test.h"
#include <nghttp2/nghttp2.h>

enum { LISTS = 60, SEEDS = 40, LIST_FIELDS = 24 };

/* A random list of fields; texts live until the next one is made. */
struct sample {
    struct rand rand;
    nghttp2_nv at[LIST_FIELDS];
    size_t count;
    char text[LIST_FIELDS * 1200];
    size_t text_len;
};

static size_t pick(struct sample *s, size_t below)
{
    return (size_t)(rand_next(&s->rand) % below);
}

static uint8_t *keep(struct sample *s, const char *at, size_t len)
{
    char *to = s->text + s->text_len;
    assert_true(s->text_len + len <= sizeof s->text);
    memcpy(to, at, len);
    s->text_len += len;
    return (uint8_t *)to;
}

static void name_pick(struct sample *s, nghttp2_nv *nv)
{
    char name[160];
    size_t len;
    if (pick(s, 3) == 0) {
        len = pick(s, 8) == 0 ? 1 + pick(s, sizeof name) : 1 + pick(s, 3);
        for (size_t i = 0; i < len; i++)
            name[i] = (char)('a' + pick(s, 4));
    } else {
        struct slice row = hpack_static_get(1 + (uint32_t)pick(s, HPACK_STATIC_COUNT))->name;
        len = row.len;
        memcpy(name, row.at, len);
    }
    nv->name = keep(s, name, len);
    nv->namelen = len;
}

static void value_pick(struct sample *s, nghttp2_nv *nv)
{
    static const char *const common[] = {"",
                                         "GET",
                                         "/",
                                         "200",
                                         "404",
                                         "gzip, deflate",
                                         "0",
                                         "text/html; charset=utf-8",
                                         "max-age=31536000"};
    char value[1000];
    size_t len = 0;
    if (pick(s, 2) == 0) {
        const char *v = common[pick(s, COUNT_OF(common))];
        len = strlen(v);
        memcpy(value, v, len);
    } else {
        len = pick(s, 20) == 0 ? pick(s, sizeof value) : pick(s, 40);
        unsigned from = pick(s, 3) == 0 ? 0 : 32, range = from ? 95 : 256;
        for (size_t i = 0; i < len; i++)
            value[i] = (char)(from + pick(s, range));
    }
    nv->value = keep(s, value, len);
    nv->valuelen = len;
}

static void sample_next(struct sample *s)
{
    s->text_len = 0;
    s->count = pick(s, LIST_FIELDS + 1);
    for (size_t i = 0; i < s->count; i++) {
        s->at[i].flags = pick(s, 10) ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX;
        name_pick(s, &s->at[i]);
        value_pick(s, &s->at[i]);
    }
}

static uint32_t size_pick(struct sample *s)
{
    static const uint32_t sizes[] = {0, 31, 32, 33, 64, 100, 256, 500, 1000, 4095, 4096};
    return sizes[pick(s, COUNT_OF(sizes))];
}

static struct slice name_of(const nghttp2_nv *nv)
{
    return (struct slice){(const char *)nv->name, nv->namelen};
}

static struct slice value_of(const nghttp2_nv *nv)
{
    return (struct slice){(const char *)nv->value, nv->valuelen};
}

static void encode_sample(struct rig *r, const struct sample *s)
{
    rig_begin(r);
    for (size_t i = 0; i < s->count; i++)
        rig_put(r, name_of(&s->at[i]), value_of(&s->at[i]));
}

static void nghttp2_reads(nghttp2_hd_inflater *theirs, const struct rig *r, const struct sample *s)
{
    const uint8_t *at = (const uint8_t *)r->block, *end = at + r->block_len;
    size_t count = 0;
    for (int flags = 0; !(flags & NGHTTP2_HD_INFLATE_FINAL);) {
        nghttp2_nv nv;
        flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(theirs, &nv, &flags, at, (size_t)(end - at), 1);
        assert_true(n >= 0);
        at += n;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
            continue;
        assert_true(count < s->count);
        assert_true(slice_eq(name_of(&nv), name_of(&s->at[count])));
        assert_true(slice_eq(value_of(&nv), value_of(&s->at[count])));
        count++;
    }
    assert_int_equal(count, s->count);
    assert_ptr_equal(at, end);
    nghttp2_hd_inflate_end_headers(theirs);
}

static void one_connection_out(uint64_t seed)
{
    struct rig *r = rig_new();
    struct sample *s = calloc(1, sizeof *s);
    nghttp2_hd_inflater *theirs;
    rand_init(&s->rand, seed);
    assert_int_equal(nghttp2_hd_inflate_new(&theirs), 0);
    for (int i = 0; i < LISTS; i++) {
        for (size_t changes = pick(s, 8) == 0 ? pick(s, 4) : 0; changes > 0; changes--) {
            uint32_t bytes = size_pick(s);
            hpack_encoder_limit(&r->encoder, bytes);
            assert_int_equal(nghttp2_hd_inflate_change_table_size(theirs, bytes), 0);
        }
        sample_next(s);
        encode_sample(r, s);
        nghttp2_reads(theirs, r, s);
        /* Both hold the same; only we may have left memory-starved entries out. */
        assert_int_equal(nghttp2_hd_inflate_get_dynamic_table_size(theirs),
                         hpack_table_bytes(r->encoder.table));
    }
    nghttp2_hd_inflate_del(theirs);
    free(s);
    rig_free(r);
}

static void nghttp2_understands_us(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        one_connection_out(seed);
}

static void we_read(struct rig *r, const struct sample *s)
{
    assert_int_equal(rig_decode(r, rig_block(r)), ERR_OK);
    assert_int_equal(r->list.count, s->count);
    for (size_t i = 0; i < s->count; i++) {
        assert_true(slice_eq(r->list.at[i].name, name_of(&s->at[i])));
        assert_true(slice_eq(r->list.at[i].value, value_of(&s->at[i])));
        assert_int_equal(r->list.at[i].id, field_find(r->list.at[i].name));
        if (s->at[i].flags & NGHTTP2_NV_FLAG_NO_INDEX)
            assert_true(r->list.at[i].never_indexed);
    }
}

static void one_connection_in(uint64_t seed)
{
    struct rig *r = rig_new();
    struct sample *s = calloc(1, sizeof *s);
    nghttp2_hd_deflater *theirs;
    rand_init(&s->rand, seed);
    assert_int_equal(nghttp2_hd_deflate_new(&theirs, HPACK_TABLE_BYTES), 0);
    for (int i = 0; i < LISTS; i++) {
        for (size_t changes = pick(s, 8) == 0 ? pick(s, 4) : 0; changes > 0; changes--) {
            uint32_t bytes = size_pick(s);
            hpack_decoder_limit(&r->decoder, bytes);
            assert_int_equal(nghttp2_hd_deflate_change_table_size(theirs, bytes), 0);
        }
        sample_next(s);
        ssize_t len =
            nghttp2_hd_deflate_hd(theirs, (uint8_t *)r->block, sizeof r->block, s->at, s->count);
        assert_true(len >= 0);
        r->block_len = (size_t)len;
        we_read(r, s);
        assert_int_equal(nghttp2_hd_deflate_get_dynamic_table_size(theirs),
                         hpack_table_bytes(r->decoder.table));
    }
    nghttp2_hd_deflate_del(theirs);
    free(s);
    rig_free(r);
}

static void we_understand_nghttp2(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        one_connection_in(seed);
}

/* Bytes as a value, Huffman-coded by nghttp2 wherever that is shorter: the code is theirs. */
static void huffman_agrees(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    nghttp2_hd_inflater *theirs;
    struct sample *s = calloc(1, sizeof *s);
    assert_int_equal(nghttp2_hd_inflate_new(&theirs), 0);
    for (unsigned c = 0; c < 256; c++) {
        char value[64];
        memset(value, 'a', sizeof value);
        value[c % 40] = (char)c;
        s->count = 1;
        s->text_len = 0;
        s->at[0] = (nghttp2_nv){keep(s, "x", 1), keep(s, value, sizeof value), 1, sizeof value,
                                NGHTTP2_NV_FLAG_NONE};
        encode_sample(r, s);
        assert_true(r->block_len < sizeof value); /* coded */
        nghttp2_reads(theirs, r, s);
    }
    nghttp2_hd_inflate_del(theirs);
    free(s);
    rig_free(r);
}

UNIT_SUITE(h2_hpack_nghttp2, cmocka_unit_test(nghttp2_understands_us),
           cmocka_unit_test(we_understand_nghttp2), cmocka_unit_test(huffman_agrees));
