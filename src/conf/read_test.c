/* read_test.c - includes, snippets and what is put into words: input to tree or error. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct read_case {
    const char *input, *want; /* the tree, then " ! " and the errors */
};

static void check_case(const struct test_file *files, const struct read_case *c)
{
    struct test_conf t;
    struct text got;
    text_init(&got);
    test_read(&t, files, c->input);
    test_dump(&t.tree->root, &got);
    if (t.diag.count)
        text_add(&got, SLICE(" ! "));
    test_errors(&t.diag, &got);
    test_same(c->input, &got, c->want);
    test_release(&t);
    text_release(&got);
}

static const struct test_file files[] = {
    {"one.conf", "one 1\n"},
    {"d/a.conf", "a\ninclude b.conf\n"},
    {"d/b.conf", "b\n"},
    {"loop.conf", "include loop.conf\n"},
    {"back.conf", "x\ninclude t.conf\n"},
    {"broken.conf", "a {\n"},
    {"bad.conf", "use nix\n"},
    {"/run/secret", "  s3cret$x \nmore\n"},
    {"key", "k1\r\n"},
    {"empty", ""},
    {"$NAME", "value"},
    {"$EMPTY", ""},
    {"$MONEY", "a$b"},
    {"$SPACE", "a b"},
    {NULL},
};

static void check_cases(const struct read_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_case(files, &cases[i]);
}

static void includes_files(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"include one.conf", "one 1"},
        {"x { include one.conf; y }", "x { one 1; y }"},
        {"include d/a.conf", "a; b"},
        {"include d/*", "a; b; b"},
        {"include none/*", ""},
        {"\"include\" one.conf", "\"include\" one.conf"},
        {"include nix.conf", " ! 1:9 cannot read 'nix.conf': No such file or directory"},
        {"include loop.conf", " ! loop.conf:1:9 'loop.conf' includes itself"},
        {"include back.conf", "x ! back.conf:2:9 't.conf' includes itself"},
        {"include", " ! 1:1 'include' takes one file or pattern "
                    "(such as: include conf.d/*.conf)"},
        {"include broken.conf",
         "a { } ! broken.conf:1:3 this '{' is not closed (the file ends before its '}')"},
        {"include bad.conf", " ! bad.conf:1:5 no snippet 'nix' is defined above"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void unfolds_snippets(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"define s { a; b }\nuse s\nx { use s }", "a; b; x { a; b }"},
        {"define s X { a ${X} p${X}q \"${X}\" '${X}' k=${X} }\nuse s 1", "a 1 p1q 1 '${X}' k=1"},
        {"define s X Y { a ${Y} { b ${X} } }\nuse s 'r s' \"q t\"", "a \"q t\" { b 'r s' }"},
        {"define s X { a ${X} ${host} $X }\nuse s 1", "a 1 ${host} $X"},
        {"define i X { in ${X} }\ndefine o X { use i ${X}2 }\nuse o 1", "in 12"},
        {"define s { include one.conf }\nuse s", "one 1"},
        {"define s X { a b${X} }\nuse s '$x'", "a 'b$x'"},
        {"define s X { a b${X} }\nuse s $x", "a b$x"},
        {"define s X { a $h${X} }\nuse s '$x'",
         "a $h$x ! 1:16 a value put in here has a '$', and the word has variables "
         "(put the two in words of their own)"},
        {"use nix", " ! 1:5 no snippet 'nix' is defined above"},
        {"define site { }\nuse sit", " ! 2:5 no snippet 'sit' is defined above "
                                     "(did you mean 'site'?)"},
        {"define s X { a }\nuse s", " ! 2:5 snippet 's' takes 1 value, not 0 "
                                    "(it is defined in t.conf:1)"},
        {"define s { a }\nuse s 1", " ! 2:5 snippet 's' takes 0 values, not 1 "
                                    "(it is defined in t.conf:1)"},
        {"define s { use s }\nuse s", " ! 1:16 snippet 's' uses itself"},
        {"define s { a }\ndefine s { b }", " ! 2:8 snippet 's' is defined twice "
                                           "(first in t.conf:1)"},
        {"define s 1x { a }", " ! 1:10 '1x' cannot name a parameter "
                              "(letters, digits and '_'; its value is ${NAME} in the body)"},
        {"define s X X { a }", " ! 1:12 parameter 'X' is named twice"},
        {"x { define s { } }", "x { } ! 1:5 'define' may stand only at the top level of a file"},
        {"define s", " ! 1:1 'define' takes a name, parameters and a block "
                     "(such as: define internal NET { allow ${NET} })"},
        {"use", " ! 1:1 'use' takes the name of a snippet and its values"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void puts_in_values(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"a ${env.NAME} x${env.NAME}y \"${env.NAME}\"", "a value xvaluey \"value\""},
        {"a '${env.NAME}' $env.NAME", "a '${env.NAME}' $env.NAME"},
        {"a ${env.SPACE}", "a a b"},
        {"a ${env.NIX:-}", "a "},
        {"a ${env.NIX:-d e} ${env.EMPTY:-f} ${env.NAME:-g}", "a d e f value"},
        {"a ${env.EMPTY}", "a "},
        {"a ${env.NIX}", "a  ! 1:3 environment variable 'NIX' is not set "
                         "(a default can be given: ${env.NIX:-VALUE})"},
        {"a x=${env.NIX}", "a x= ! 1:3 environment variable 'NIX' is not set "
                           "(a default can be given: ${env.NIX:-VALUE})"},
        {"a ${env.MONEY} \"-${env.MONEY}\"", "a 'a$b' '-a$b'"},
        {"a $x${env.MONEY}", "a $xa$b ! 1:3 a value put in here has a '$', and the word has "
                             "variables (put the two in words of their own)"},
        {"a ${file:/run/secret} ${file:key}", "a 's3cret$x' k1"},
        {"a ${file:empty}", "a "},
        {"a ${file:nix}", "a  ! 1:3 cannot read 'nix': No such file or directory"},
        {"include ${env.NIX:-one}.conf", "one 1"},
        {"a ${header.User-Agent} $path", "a ${header.User-Agent} $path"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void resolves_escapes(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"a \"x\\ty\\n\\r\\\\\\\"\"", "a \"x\ty\n\r\\\"\""},
        {"a \"x \\\n     y\"", "a \"x y\""},
        {"a 'x\\ty' x\\ty", "a 'x\\ty' x\\ty"},
        {"a k=\"x\\ty\" k='\\t'", "a k=x\ty k=\\t"},
        {"a \"\\.php\"", "a \"php\" ! 1:3 unknown escape '\\.' in a quoted word "
                         "(known are \\n \\r \\t \\\" \\\\; in '...' a '\\' is just a '\\')"},
        {"a \"${x\"", "a \"\" ! 1:3 '${' is not closed (write '...' where a '$' is just a '$')"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void limits_the_depth_of_reading(void **state)
{
    (void)state;
    for (int depth = CONF_READ_DEPTH_MAX; depth <= CONF_READ_DEPTH_MAX + 1; depth++) {
        struct text in, got;
        text_init(&in);
        text_init(&got);
        text_add(&in, SLICE("define s1 { a }\n"));
        for (int i = 2; i < depth; i++) /* the file itself is the first level */
            text_addf(&in, "define s%d { use s%d }\n", i, i - 1);
        text_addf(&in, "use s%d\n", depth - 1);
        struct test_conf t;
        test_read(&t, NULL, in.at);
        test_dump(&t.tree->root, &got);
        assert_string_equal(got.at ? got.at : "", depth == CONF_READ_DEPTH_MAX ? "a" : "");
        assert_int_equal(t.diag.error_count, depth > CONF_READ_DEPTH_MAX);
        test_release(&t);
        text_release(&in);
        text_release(&got);
    }
}

static void limits_what_snippets_make(void **state)
{
    (void)state;
    struct text in;
    struct arena a;
    struct diag d;
    text_init(&in);
    text_add(&in, SLICE("define s0 { a; a; a; a; a; a; a; a }\n"));
    for (int i = 1; i < 8; i++) {
        text_addf(&in, "define s%d {", i);
        for (int j = 0; j < 8; j++)
            text_addf(&in, " use s%d;", i - 1);
        text_add(&in, SLICE(" }\n"));
    }
    text_add(&in, SLICE("use s7\n"));
    arena_init(&a, (size_t)2 << 30);
    diag_init(&d);
    conf_read_from(&conf_source_nothing, &a, &d, "t.conf", text_slice(&in));
    assert_true(d.error_count > 0);
    assert_string_equal(d.entries[0].text.at, "snippets make more than 1048576 directives");
    diag_release(&d);
    arena_release(&a);
    text_release(&in);
}

static void reads_from_the_system(void **state)
{
    (void)state;
    char folder[] = "/tmp/weir_conf_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    static const char *const names[] = {"b.conf", "a.conf", "main.conf"};
    static const char *const texts[] = {"b\n", "a\n", "include ?.conf\ninclude .\n"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(texts[i], f);
        fclose(f);
    }
    struct test_conf t;
    struct text got;
    text_init(&got);
    arena_init(&t.arena, 1 << 20);
    diag_init(&t.diag);
    t.tree = conf_read(&t.arena, &t.diag, path, SLICE_NONE);
    test_dump(&t.tree->root, &got);
    assert_string_equal(got.at, "a; b");
    assert_int_equal(t.diag.count, 1);
    assert_non_null(strstr(t.diag.entries[0].text.at, "it is a folder"));
    assert_int_equal(t.tree->file_count, 3);
    test_release(&t);
    text_release(&got);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void says_when_the_file_is_missing(void **state)
{
    (void)state;
    struct arena a;
    struct diag d;
    arena_init(&a, 1 << 20);
    diag_init(&d);
    conf_read(&a, &d, "/nix/weir.conf", SLICE_NONE);
    assert_int_equal(d.error_count, 1);
    assert_string_equal(d.entries[0].text.at,
                        "cannot read '/nix/weir.conf': No such file or directory");
    diag_release(&d);
    arena_release(&a);
}

UNIT_SUITE(conf_read, cmocka_unit_test(includes_files), cmocka_unit_test(unfolds_snippets),
           cmocka_unit_test(puts_in_values), cmocka_unit_test(resolves_escapes),
           cmocka_unit_test(limits_the_depth_of_reading),
           cmocka_unit_test(limits_what_snippets_make), cmocka_unit_test(reads_from_the_system),
           cmocka_unit_test(says_when_the_file_is_missing));
