/* structured_test.c - dictionaries of structured fields, member by member, as a table; and the
 * fuzzer's corpus. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "http/structured_fuzz_priv.h"
#include "tests/corpus.h"

#define BAD "bad"

static const struct {
    const char *field;
    const char *expected; /* "key=type:number:text;params " and so on, or BAD */
} ROWS[] = {
    {"", ""},
    {"a", "a=bool:1: "},
    {"a, b", "a=bool:1: b=bool:1: "},
    {"a,b", "a=bool:1: b=bool:1: "},
    {"a \t,\t b", "a=bool:1: b=bool:1: "},
    {"a,", BAD},
    {"a, ", BAD},
    {",a", BAD},
    {"a,,b", BAD},
    {"a b", BAD},
    {" a", BAD},
    {"a;", BAD},
    /* keys */
    {"*a_-.*9=1", "*a_-.*9=int:1: "},
    {"A=1", BAD},
    {"aB=1", BAD},
    {"9a=1", BAD},
    {"-a=1", BAD},
    {"a\x80=1", BAD},
    {"=1", BAD},
    {"a =1", BAD},
    {"a= 1", BAD},
    {"a=", BAD},
    {"a==1", BAD},
    /* integers */
    {"a=0", "a=int:0: "},
    {"a=-0", "a=int:0: "},
    {"a=007", "a=int:7: "},
    {"a=-42", "a=int:-42: "},
    {"a=999999999999999", "a=int:999999999999999: "},
    {"a=-999999999999999", "a=int:-999999999999999: "},
    {"a=1000000000000000", BAD},
    {"a=0000000000000000", BAD},
    {"a=-", BAD},
    {"a=--1", BAD},
    {"a=+1", BAD},
    {"a=1x", BAD},
    /* decimals */
    {"a=1.5", "a=dec:1500: "},
    {"a=-1.05", "a=dec:-1050: "},
    {"a=1.123", "a=dec:1123: "},
    {"a=1.1234", BAD},
    {"a=1.", BAD},
    {"a=.5", BAD},
    {"a=1.5.5", BAD},
    {"a=999999999999.999", "a=dec:999999999999999: "},
    {"a=1000000000000.0", BAD},
    /* strings */
    {"a=\"\"", "a=string:0: "},
    {"a=\"b, c\"", "a=string:0:b, c "},
    {"a=\"\\\"\\\\\"", "a=string:0:\\\"\\\\ "},
    {"a=\"\\b\"", BAD},
    {"a=\"b", BAD},
    {"a=\"b\\", BAD},
    {"a=\"\t\"", BAD},
    {"a=\"\x7f\"", BAD},
    {"a=\"\xc3\xa4\"", BAD},
    {"a='b'", BAD},
    /* tokens */
    {"a=b", "a=token:0:b "},
    {"a=*b", "a=token:0:*b "},
    {"a=B:/!#$%&'*+-.^_`|~9", "a=token:0:B:/!#$%&'*+-.^_`|~9 "},
    {"a=!b", BAD},
    {"a=b@", BAD},
    /* byte sequences */
    {"a=::", "a=bytes:0: "},
    {"a=:aGVsbG8=:", "a=bytes:0:aGVsbG8= "},
    {"a=:aGVsbG8:", "a=bytes:0:aGVsbG8 "},
    {"a=:aGVsbA==:", "a=bytes:0:aGVsbA== "},
    {"a=:aGVsb:", BAD},
    {"a=:aGVsbA=:", BAD},
    {"a=:aGVsbA===:", BAD},
    {"a=:====:", BAD},
    {"a=:aGV=bA==:", BAD},
    {"a=:aGVs-_==:", BAD},
    {"a=:aGVs", BAD},
    /* booleans */
    {"a=?1", "a=bool:1: "},
    {"a=?0", "a=bool:0: "},
    {"a=?2", BAD},
    {"a=?", BAD},
    {"a=?10", BAD},
    /* dates */
    {"a=@1659578233", "a=date:1659578233: "},
    {"a=@-1", "a=date:-1: "},
    {"a=@1.5", BAD},
    {"a=@", BAD},
    /* display strings */
    {"a=%\"\"", "a=display:0: "},
    {"a=%\"f%c3%bc%c3%bc\"", "a=display:0:f%c3%bc%c3%bc "},
    {"a=%\"%f0%9f%98%80\"", "a=display:0:%f0%9f%98%80 "},
    {"a=%\"%f4%8f%bf%bf\"", "a=display:0:%f4%8f%bf%bf "},
    {"a=%\"%f4%90%80%80\"", BAD}, /* past U+10FFFF */
    {"a=%\"%ed%a0%80\"", BAD},    /* a surrogate */
    {"a=%\"%c0%80\"", BAD},       /* longer than needed */
    {"a=%\"%e0%9f%bf\"", BAD},
    {"a=%\"%f0%8f%bf%bf\"", BAD},
    {"a=%\"%f5%80%80%80\"", BAD},
    {"a=%\"%c3\"", BAD},
    {"a=%\"%c3b\"", BAD},
    {"a=%\"%80\"", BAD},
    {"a=%\"%C3%BC\"", BAD}, /* upper case */
    {"a=%\"%c\"", BAD},
    {"a=%\"%", BAD},
    {"a=%\"b", BAD},
    {"a=%b\"", BAD},
    {"a=%", BAD},
    /* inner lists */
    {"a=()", "a=list:0: "},
    {"a=( )", "a=list:0:  "},
    {"a=(1 \"b)\" c;d=2)", "a=list:0:1 \"b)\" c;d=2 "},
    {"a=( 1  2 )", "a=list:0: 1  2  "},
    {"a=(1 2);b", "a=list:0:1 2;b "},
    {"a=(1,2)", BAD},
    {"a=(1\t2)", BAD},
    {"a=(1\"b\")", BAD},
    {"a=(1", BAD},
    {"a=(1 ", BAD},
    {"a=((1))", BAD},
    {"a=(A b=1)", BAD},
    /* parameters */
    {"a;b", "a=bool:1:;b "},
    {"a;b=1; c=?0;*d=\"x\"", "a=bool:1:;b=1; c=?0;*d=\"x\" "},
    {"a=1;b=:YQ==:, c", "a=int:1:;b=:YQ==: c=bool:1: "},
    {"a;B", BAD},
    {"a;b=", BAD},
    {"a;b=(1)", BAD},
    {"a ;b", BAD},
    {"a;\tb", BAD},
    {"a;b =1", BAD},
};

static const char *const TYPES[] = {"int",  "dec",  "string",  "token", "bytes",
                                    "bool", "date", "display", "list"};

static void describe(struct text *t, struct slice rest)
{
    struct structured_member m;
    enum structured_next next;
    text_clear(t);
    while ((next = structured_dictionary_next(&rest, &m)) == STRUCTURED_MEMBER)
        text_addf(t, "%.*s=%s:%lld:%.*s%.*s ", SLICE_ARG(m.key), TYPES[m.value.type],
                  (long long)m.value.number, SLICE_ARG(m.value.text), SLICE_ARG(m.params));
    if (next == STRUCTURED_BAD)
        text_clear(t);
    text_add(t, slice_of(next == STRUCTURED_BAD ? BAD : ""));
}

static void dictionaries_are_read(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        describe(&t, slice_of(ROWS[i].field));
        if (!slice_eq(text_slice(&t), slice_of(ROWS[i].expected)))
            fail_msg("%s: '%.*s', not '%s'", ROWS[i].field, SLICE_ARG(text_slice(&t)),
                     ROWS[i].expected);
    }
    text_release(&t);
}

/* Every single-byte change of a good field either is read or is refused, but never read past. */
static void changed_bytes_hold(void **state)
{
    (void)state;
    const char good[] = "a=1.5, b=(\"x\" :YQ==:;p=?1), c=%\"%c3%bc\";q=@-7, d=*t/x";
    char text[sizeof good];
    for (size_t i = 0; i < sizeof good - 1; i++)
        for (int c = 0; c < 256; c++) {
            memcpy(text, good, sizeof good);
            text[i] = (char)c;
            fuzz_structured(text, sizeof good - 1);
        }
}

static size_t replay(char *bytes, size_t len)
{
    return fuzz_structured(bytes, len) ? 1 : 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/structured/*", 20, replay) >= 10);
}

UNIT_SUITE(http_structured, cmocka_unit_test(dictionaries_are_read),
           cmocka_unit_test(changed_bytes_hold), cmocka_unit_test(corpus_holds));
