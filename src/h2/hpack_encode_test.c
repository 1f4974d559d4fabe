/* hpack_encode_test.c - what the encoder writes and remembers, field by field. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack_priv.h"
#include "h2/hpack_rig_test.h"

/* The bytes of one field in hex. */
static void field_is(struct rig *r, const char *name, const char *value, const char *hex)
{
    char got[1024];
    r->block_len = 0;
    RIG_PUT(r, name, value);
    for (size_t i = 0; i < r->block_len; i++)
        snprintf(got + 2 * i, 3, "%02x", (unsigned char)r->block[i]);
    assert_string_equal(got, hex);
}

static void begin_is(struct rig *r, const char *hex)
{
    char got[40] = "";
    rig_begin(r);
    for (size_t i = 0; i < r->block_len; i++)
        snprintf(got + 2 * i, 3, "%02x", (unsigned char)r->block[i]);
    assert_string_equal(got, hex);
}

static void static_fields(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    field_is(r, ":method", "GET", "82");
    field_is(r, ":method", "POST", "83");
    field_is(r, ":path", "/", "84");
    field_is(r, ":path", "/index.html", "85");
    field_is(r, ":scheme", "https", "87");
    field_is(r, ":status", "200", "88");
    field_is(r, ":status", "500", "8e");
    field_is(r, "accept-encoding", "gzip, deflate", "90");
    field_is(r, "WWW-Authenticate", "", "bd");
    assert_null(r->encoder.table);
    field_is(r, ":status", "501", "48826c01");
    rig_free(r);
}

static void repeated_field_is_one_byte(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    field_is(r, "Server", "a", "760161"); /* a literal that is shorter than its code */
    field_is(r, "server", "a", "be");
    field_is(r, "X-Unknown", "b", "4087f2b5b575a8fe2a0162");
    field_is(r, "x-unknown", "b", "be");
    field_is(r, "server", "a", "bf");
    rig_free(r);
}

static void secrets_are_never_stored(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    for (int i = 0; i < 3; i++) {
        field_is(r, "authorization", "a", "1f080161");
        field_is(r, "proxy-authorization", "a", "1f220161");
        field_is(r, "set-cookie", "a", "1f280161");
    }
    assert_null(r->encoder.table);
    RIG_PUT(r, "cookie", "0123456789012345678"); /* 19 */
    assert_null(r->encoder.table);
    RIG_PUT(r, "cookie", "01234567890123456789");
    field_is(r, "cookie", "01234567890123456789", "be");
    rig_free(r);
}

static void never_indexed_passes_on(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct slice name = SLICE("x-key"), value = SLICE("v");
    RIG_PUT(r, "x-key", "other"); /* the name may be used, the value not be stored */
    uint32_t count = hpack_table_count(r->encoder.table);
    struct slice first = rig_block(r);
    assert_int_equal(rig_decode(r, first), ERR_OK);
    for (int i = 0; i < 3; i++) {
        r->block_len = hpack_encode_never(&r->encoder, r->block, FIELD_OTHER, name, value);
        assert_int_equal(rig_decode(r, rig_block(r)), ERR_OK);
        rig_list_is(&r->list, "x-key: v\n");
        assert_true(r->list.at[0].never_indexed);
    }
    assert_int_equal(hpack_table_count(r->encoder.table), count);
    rig_free(r);
}

static void changing_fields_are_stored_when_they_repeat(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    RIG_PUT(r, "server", "a"); /* the table is there */
    field_is(r, "etag", "1", "0f130131");
    field_is(r, "etag", "2", "0f130132");
    field_is(r, "etag", "1", "620131");
    field_is(r, "etag", "1", "be");
    field_is(r, "expires", "0", "0f150130");
    field_is(r, "expires", "0", "640130");
    rig_free(r);
}

static void second_value_of_a_name_waits(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    field_is(r, "date", "1", "610131");
    field_is(r, "date", "2", "0f120132");
    field_is(r, "date", "2", "610132");
    field_is(r, "date", "2", "be");
    field_is(r, "date", "1", "bf");
    rig_free(r);
}

static void half_of_the_table_at_most(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    char value[HPACK_TABLE_BYTES];
    memset(value, 'v', sizeof value);
    struct slice name = SLICE("vary"), over = {value, 2048 - 4 - 32 + 1};
    rig_put(r, name, over);
    assert_null(r->encoder.table);
    rig_put(r, name, slice_head(over, over.len - 1));
    assert_int_equal(hpack_table_bytes(r->encoder.table), 2048);
    rig_free(r);
}

static void size_updates_begin_a_block(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    begin_is(r, "");
    hpack_encoder_limit(&r->encoder, 4096);
    begin_is(r, "");
    hpack_encoder_limit(&r->encoder, 100);
    begin_is(r, "3f45");
    begin_is(r, "");
    hpack_encoder_limit(&r->encoder, 0); /* down and up again: both are told */
    hpack_encoder_limit(&r->encoder, 50);
    hpack_encoder_limit(&r->encoder, 4096);
    begin_is(r, "203fe11f");
    hpack_encoder_limit(&r->encoder, 5000); /* up and down to less: one */
    hpack_encoder_limit(&r->encoder, 30);
    begin_is(r, "3e");
    hpack_encoder_limit(&r->encoder, UINT32_MAX);
    begin_is(r, "3fe1ff03"); /* 65536 */
    rig_free(r);
}

static void smaller_table_evicts(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    RIG_PUT(r, "x", "y");
    RIG_PUT(r, "z", "y");
    hpack_encoder_limit(&r->encoder, 67);
    begin_is(r, "3f24");
    assert_int_equal(hpack_table_count(r->encoder.table), 1);
    field_is(r, "z", "y", "be");
    hpack_encoder_limit(&r->encoder, 0);
    begin_is(r, "20");
    assert_null(r->encoder.table);
    field_is(r, "z", "y", "00017a0179");
    assert_null(r->encoder.table);
    rig_free(r);
}

static void names_go_out_in_lower_case(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    char name[130];
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = (char)("AbZ@[`{-9\xc3\x9a"[i % 11]);
    for (size_t len = 1; len <= sizeof name; len += len < 120 ? 17 : 1) {
        rig_begin(r);
        rig_put(r, (struct slice){name, len}, SLICE("v"));
        rig_put(r, (struct slice){name, len}, SLICE("v"));
        assert_int_equal(rig_decode(r, rig_block(r)), ERR_OK);
        assert_int_equal(r->list.count, 2);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(r->list.at[0].name.at[i], "abz@[`{-9\xc3\x9a"[i % 11]);
        assert_true(slice_eq(r->list.at[0].name, r->list.at[1].name));
    }
    rig_free(r);
}

/* Values that no code shortens, and every length of length; rig_put() watches the room. */
static void room_holds(void **state)
{
    (void)state;
    static char value[70000];
    static const size_t around[] = {0, 1, 126, 127, 128, 254, 255, 16510, 16511, 16512, 65600};
    for (int c = 0; c < 256; c += 5) {
        struct rig *r = rig_new();
        memset(value, c, sizeof value);
        for (size_t i = 0; i < COUNT_OF(around); i++) {
            rig_begin(r);
            rig_put(r, SLICE("x"), (struct slice){value, around[i]});
            assert_int_equal(rig_decode(r, rig_block(r)), ERR_OK);
            assert_int_equal(r->list.at[0].value.len, around[i]);
            assert_memory_equal(r->list.at[0].value.at, value, around[i]);
        }
        rig_free(r);
    }
}

UNIT_SUITE(h2_hpack_encode, cmocka_unit_test(static_fields),
           cmocka_unit_test(repeated_field_is_one_byte), cmocka_unit_test(secrets_are_never_stored),
           cmocka_unit_test(never_indexed_passes_on),
           cmocka_unit_test(changing_fields_are_stored_when_they_repeat),
           cmocka_unit_test(second_value_of_a_name_waits),
           cmocka_unit_test(half_of_the_table_at_most),
           cmocka_unit_test(size_updates_begin_a_block), cmocka_unit_test(smaller_table_evicts),
           cmocka_unit_test(names_go_out_in_lower_case), cmocka_unit_test(room_holds));
