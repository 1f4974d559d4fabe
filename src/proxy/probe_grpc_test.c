/* probe_grpc_test.c - the messages of the gRPC health protocol, byte by byte. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/probe_priv.h"
#include "tests/unit.h"

static void asks(void **state)
{
    (void)state;
    char name[300];
    struct text t;
    memset(name, 'n', sizeof name);
    text_init(&t);
    probe_grpc_write(&t, SLICE(""));
    assert_int_equal(t.len, 5);
    assert_memory_equal(t.at, "\0\0\0\0\0", 5);
    text_clear(&t);
    probe_grpc_write(&t, SLICE("ab"));
    assert_int_equal(t.len, 9);
    assert_memory_equal(t.at,
                        "\0\0\0\0\x04\x0a\x02"
                        "ab",
                        9);
    text_clear(&t);
    probe_grpc_write(&t, (struct slice){name, 127});
    assert_memory_equal(t.at, "\0\0\0\0\x81\x0a\x7fnn", 9);
    text_clear(&t);
    probe_grpc_write(&t, (struct slice){name, 300});
    assert_int_equal(t.len, 308);
    assert_memory_equal(t.at, "\0\0\0\x01\x2f\x0a\xac\x02nn", 10);
    text_release(&t);
}

static void judges(const char *status, struct slice body, const char *want)
{
    struct header at[] = {
        {.name = SLICE("grpc-status"), .value = slice_of(status), .id = FIELD_GRPC_STATUS}};
    struct headers trailers = {
        .at = at, .count = *status ? 1 : 0, .cap = 1, .known = (uint64_t)1 << FIELD_GRPC_STATUS};
    struct headers none = {0};
    struct fetch_answer a = {.status = 200, .headers = &none, .trailers = &trailers, .body = body};
    struct text why;
    text_init(&why);
    probe_grpc_judge(&a, &why);
    if (!slice_eq(text_slice(&why), slice_of(want)) && (why.len || *want))
        fail_msg("'%s' instead of '%s'", why.len ? why.at : "", want);
    text_release(&why);
}

static void understands_answers(void **state)
{
    (void)state;
    judges("0", SLICE("\0\0\0\0\2\x08\x01"), "");
    judges("0", SLICE("\0\0\0\0\2\x08\x02"), "NOT_SERVING");
    judges("0", SLICE("\0\0\0\0\0"), "UNKNOWN");
    judges("0", SLICE("\0\0\0\0\2\x08\x09"), "health status 9");
    judges("0", SLICE("\0\0\0\0\5\x12\1x\x08\x01"), ""); /* a field of the future */
    judges("5", SLICE(""), "grpc-status 5");
    judges("", SLICE("hello"), "the answer is not gRPC: no grpc-status");
}

static void refuses_what_is_broken(void **state)
{
    (void)state;
    static const char want[] = "the answer is no HealthCheckResponse";
    judges("0", SLICE(""), want);
    judges("0", SLICE("\0\0\0\0"), want);
    judges("0", SLICE("\1\0\0\0\2\x08\x01"), want); /* compressed */
    judges("0", SLICE("\0\0\0\0\1\x08"), want);
    judges("0", SLICE("\0\0\0\0\2\x08\x81"), want);
    judges("0", SLICE("\0\0\0\0\3\x12\x05x"), want);
    judges("0", SLICE("\0\0\0\0\1\x0b"), want); /* a group */
}

UNIT_SUITE(proxy_probe_grpc, cmocka_unit_test(asks), cmocka_unit_test(understands_answers),
           cmocka_unit_test(refuses_what_is_broken));
