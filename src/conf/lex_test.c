/* lex_test.c - tokens and their positions, and what the lexer refuses. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"
#include "conf/lex_priv.h"

static void check_tokens(const char *input, const char *want)
{
    struct conf_file f = {.path = "t.conf", .text = slice_of(input)};
    struct conf_lexer l;
    struct diag d;
    struct text got;
    text_init(&got);
    diag_init(&d);
    conf_lex_init(&l, &f, &d);
    for (;;) {
        struct conf_token t = conf_lex_next(&l);
        if (t.kind == TOKEN_EOF)
            break;
        text_addf(&got, "%s%u:%u%s%c", got.len ? " " : "", t.pos.line, t.pos.col,
                  t.continued ? "+" : "", "w{};#"[t.kind]);
        if (t.kind == TOKEN_WORD || t.kind == TOKEN_COMMENT)
            text_addf(&got, "<%.*s>", SLICE_ARG(t.raw));
        if (t.value_at)
            text_addf(&got, "@%u", t.value_at);
    }
    if (d.count)
        text_add(&got, SLICE(" "));
    test_errors(&d, &got);
    test_same(input, &got, want);
    diag_release(&d);
    text_release(&got);
}

static void cuts_words_and_braces(void **state)
{
    (void)state;
    check_tokens("", "");
    check_tokens("a", "1:1w<a>");
    check_tokens("a b\n", "1:1w<a> 1:3w<b> 1:4;");
    check_tokens("a{b;c}", "1:1w<a> 1:2{ 1:3w<b> 1:4; 1:5w<c> 1:6}");
    check_tokens("\n\xef\xbb\xbf"
                 "a",
                 "1:1; 2:1w<\xef\xbb\xbf"
                 "a> 2:1 a byte order mark "
                 "inside the file (delete the three bytes EF BB BF before this word)");
    check_tokens("\xef\xbb\xbf"
                 "a",
                 "1:4w<a>");
    check_tokens("a\r\nb", "1:1w<a> 1:3; 2:1w<b>");
    check_tokens("\ta b", "1:2w<a> 1:4w<b>");
    check_tokens("~ ^/x\\.php$", "1:1w<~> 1:3w<^/x\\.php$>");
    check_tokens("it's a\"b", "1:1w<it's> 1:6w<a\"b>");
}

static void keeps_references_whole(void **state)
{
    (void)state;
    check_tokens("${file:/a b;{}x", "1:1w<${file:/a b;{}x>");
    check_tokens("a${x}b{", "1:1w<a${x}b> 1:7{");
    check_tokens("$host$", "1:1w<$host$>");
}

static void cuts_quotes(void **state)
{
    (void)state;
    check_tokens("\"a b\" 'c;d'", "1:1w<\"a b\"> 1:7w<'c;d'>");
    check_tokens("\"a\\\"b\";", "1:1w<\"a\\\"b\"> 1:7;");
    check_tokens("'a\\' b", "1:1w<'a\\'> 1:6w<b>");
    check_tokens("k=\"a b\" c", "1:1w<k=\"a b\">@2 1:9w<c>");
    check_tokens("k='{'{", "1:1w<k='{'>@2 1:6{");
    check_tokens("k=v=w /k=v", "1:1w<k=v=w>@2 1:7w</k=v>");
    check_tokens("k=", "1:1w<k=>@2");
}

static void knows_comments_and_continuations(void **state)
{
    (void)state;
    check_tokens("# x {\na # y \\\nb", "1:1#<# x {> 1:6; 2:1w<a> 2:3#<# y \\> 2:8; 3:1w<b>");
    check_tokens("a \\\n  b\nc", "1:1w<a> 2:3+w<b> 2:4; 3:1w<c>");
    check_tokens("a\\\r\nb", "1:1w<a> 2:1+w<b>");
    check_tokens("\"a\\\n  b\" c", "1:1w<\"a\\\n  b\"> 2:6w<c>");
    check_tokens("a \\", "1:1w<a> 1:3w<\\> 1:3 a '\\' continues a line only at its very end "
                         "(remove what follows it, or put the word in quotes)");
    check_tokens("a x\\; b", "1:1w<a> 1:3w<x\\> 1:5; 1:7w<b> 1:4 a '\\' continues a line only at "
                             "its very end (remove what follows it, or put the word in quotes)");
    check_tokens("x\\y 'z\\'", "1:1w<x\\y> 1:5w<'z\\'>");
}

static void refuses_what_would_change_meaning(void **state)
{
    (void)state;
    check_tokens("a \"b\nc", "1:1w<a> 1:3w<\"b> 1:5; 2:1w<c> "
                             "1:3 this quote is not closed (a \" is due on the same line)");
    check_tokens("a 'b", "1:1w<a> 1:3w<'b> 1:3 this quote is not closed "
                         "(a ' is due on the same line)");
    check_tokens("k='b", "1:1w<k='b>@2 1:3 this quote is not closed "
                         "(a ' is due on the same line)");
    check_tokens("\"a\"b c", "1:1w<\"a\"> 1:6w<c> 1:4 text right after a closing quote "
                             "(put a space between, or the whole word in quotes)");
    check_tokens("a#b", "1:1w<a#b> 1:2 a '#' inside a word "
                        "(put a space before it to start a comment, or the word in quotes)");
    check_tokens("a{2}", "1:1w<a> 1:2{ 1:3w<2> 1:4} 1:2 a '{' inside a word "
                         "(put the pattern in '...'; a block's '{' stands after a space)");
    check_tokens("a ${b\nc", "1:1w<a> 1:3w<${b> 1:6; 2:1w<c> 1:3 '${' is not closed "
                             "(a '}' is due on the same line; write '...' where a '$' is just a "
                             "'$')");
    check_tokens("a \x01 b\x7f", "1:1w<a> 1:5w<b\x7f> 1:3 control character 0x01\n"
                                 "1:6 control character 0x7f");
}

UNIT_SUITE(conf_lex, cmocka_unit_test(cuts_words_and_braces),
           cmocka_unit_test(keeps_references_whole), cmocka_unit_test(cuts_quotes),
           cmocka_unit_test(knows_comments_and_continuations),
           cmocka_unit_test(refuses_what_would_change_meaning));
