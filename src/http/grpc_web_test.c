/* grpc_web_test.c - content types, base64 with padding anywhere, the frame of trailers. */
// SPDX-License-Identifier: Apache-2.0
#include "http/grpc_web.h"
#include "http/message.h"
#include "tests/unit.h"

static void expect_mode(const char *type, enum grpc_web_mode want, const char *want_rest)
{
    struct slice rest = SLICE("?");
    assert_int_equal(grpc_web_mode_of(slice_of(type), &rest), want);
    assert_true(slice_eq(rest, slice_of(want_rest)));
}

static void modes_are_told_by_type(void **state)
{
    (void)state;
    expect_mode("application/grpc-web", GRPC_WEB_BINARY, "");
    expect_mode("application/grpc-web+proto", GRPC_WEB_BINARY, "+proto");
    expect_mode("Application/gRPC-Web-Text", GRPC_WEB_TEXT, "");
    expect_mode("application/grpc-web-text+proto; a=b", GRPC_WEB_TEXT, "+proto; a=b");
    expect_mode("application/grpc", GRPC_WEB_NOT, "?");
    expect_mode("application/grpc-webs", GRPC_WEB_NOT, "?");
    expect_mode("application/grpc-web-texts", GRPC_WEB_NOT, "?");
    expect_mode("application/grpc-web-json", GRPC_WEB_NOT, "?");
    expect_mode("", GRPC_WEB_NOT, "?");
}

static enum err decode(const char *text, const char *want)
{
    struct grpc_web_decoder d = {0};
    char to[64];
    size_t len = 0;
    struct slice in = slice_of(text);
    enum err e = grpc_web_decode(&d, &in, to, sizeof to, &len);
    if (e)
        return e;
    if (!grpc_web_decoded_whole(&d))
        return ERR_HOLD;
    assert_int_equal(len, strlen(want));
    assert_memory_equal(to, want, len);
    return ERR_OK;
}

static void groups_may_be_padded_anywhere(void **state)
{
    (void)state;
    assert_int_equal(decode("", ""), ERR_OK);
    assert_int_equal(decode("YWJj", "abc"), ERR_OK);
    assert_int_equal(decode("YQ==", "a"), ERR_OK);
    assert_int_equal(decode("YQ==YmM=ZGVm", "abcdef"), ERR_OK);
    assert_int_equal(decode("+/+/", "\xfb\xff\xbf"), ERR_OK);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"=",    "Y===", "YQ=A",  "YQ=YQ==", "YR==",  "YWK=",
                                      "YW J", "YWJ-", "YW\nJ", "====",    "YQ===", "YQ==="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(decode(bad[i], ""), ERR_BAD_GRPC_WEB);
    assert_int_equal(decode("YWJjY", ""), ERR_HOLD); /* not whole */
    assert_int_equal(decode("YQ=", ""), ERR_HOLD);
}

static void no_more_is_read_than_there_is_room_for(void **state)
{
    (void)state;
    struct grpc_web_decoder d = {0};
    char to[4];
    size_t len = 0;
    struct slice in = SLICE("YWJjZGVm");
    assert_int_equal(grpc_web_decode(&d, &in, to, sizeof to, &len), ERR_OK);
    assert_int_equal(len, 3);
    assert_int_equal(in.len, 1); /* the group's last */
    len = 0;
    assert_int_equal(grpc_web_decode(&d, &in, to, 3, &len), ERR_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(to, "def", 3);
}

static void pieces_are_encoded_for_themselves(void **state)
{
    (void)state;
    char to[16];
    static const char *const both[][2] = {
        {"", ""}, {"a", "YQ=="}, {"ab", "YWI="}, {"abc", "YWJj"}, {"\xff\xfe\xfd\xfc", "//79/A=="}};
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        struct slice got = {to, grpc_web_encode(to, slice_of(both[i][0]))};
        assert_true(slice_eq(got, slice_of(both[i][1])));
    }
}

static void trailers_are_a_frame(void **state)
{
    (void)state;
    struct arena a;
    struct headers h = {0};
    char to[128];
    static const char want[] = "\x80\0\0\0\x21grpc-status: 0\r\nx-end-bin: AAE=\r\n";
    arena_init(&a, 1 << 16);
    assert_int_equal(headers_add(&h, &a, SLICE("Grpc-Status"), SLICE("0")), ERR_OK);
    assert_int_equal(headers_add(&h, &a, SLICE("X-Gone"), SLICE("1")), ERR_OK);
    assert_int_equal(headers_add(&h, &a, SLICE("X-End-Bin"), SLICE("AAE=")), ERR_OK);
    headers_del(&h, SLICE("X-Gone"));
    assert_int_equal(grpc_web_trailers_bytes(&h), sizeof want - 1);
    grpc_web_trailers_write(to, &h);
    assert_memory_equal(to, want, sizeof want - 1);
    arena_release(&a);
}

UNIT_SUITE(http_grpc_web, cmocka_unit_test(modes_are_told_by_type),
           cmocka_unit_test(groups_may_be_padded_anywhere),
           cmocka_unit_test(other_texts_are_refused),
           cmocka_unit_test(no_more_is_read_than_there_is_room_for),
           cmocka_unit_test(pieces_are_encoded_for_themselves),
           cmocka_unit_test(trailers_are_a_frame));
