/* condition_test.c - what conditions say about requests, and where mistakes in them are shown. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/config_test_priv.h"
#include <stdio.h>

static const struct {
    const char *condition, *request;
    bool holds;
} CASES[] = {
    {"method == GET", "GET http://a/", true},
    {"method == GET", "POST http://a/", false},
    {"method != GET", "POST http://a/", true},
    {"method in GET HEAD", "HEAD http://a/", true},
    {"method not in GET HEAD", "HEAD http://a/", false},
    {"method not in GET HEAD", "PUT http://a/", true},
    {"path == /x", "GET http://a/x", true},
    {"path == /x", "GET http://a/x/", false},
    {"path == /x", "GET http://a/%78?y", true}, /* normalised */
    {"path ~ ^/up", "GET http://a/upload", true},
    {"path ~ ^/(a|b)", "GET http://a/b", true},
    {"(path ~ ^/(a|b))", "GET http://a/b", true},
    {"path !~ '^/up'", "GET http://a/upload", false},
    {"path !~ '^/up'", "GET http://a/down", true},
    {"host == A.example", "GET http://a.EXAMPLE/", true},
    {"host ~ '\\.example$'", "GET http://a.example/", true},
    {"query == x=1", "GET http://a/?x=1", true},
    {"query == ''", "GET http://a/?", true},
    {"query == ''", "GET http://a/", false},
    {"query", "GET http://a/", false},
    {"query", "GET http://a/?", true},
    {"query.x == 1", "GET http://a/?y=2&x=1", true},
    {"query.x == 'a b'", "GET http://a/?x=a%20b", true},
    {"query.x == 1", "GET http://a/?xx=1", false},
    {"query.x", "GET http://a/?x", true},
    {"query.x != 1", "GET http://a/", true},
    {"query.x == '%zz'", "GET http://a/?x=%zz", false},
    {"header.X-A == b", "GET http://a/ | x-a: b", true},
    {"header.X-A == b", "GET http://a/ | x-a: c | x-a: b", true}, /* any line */
    {"header.X-A != b", "GET http://a/ | x-a: c | x-a: b", false},
    {"header.X-A", "GET http://a/ | x-a:", true},
    {"header.X-A", "GET http://a/", false},
    {"not header.X-A", "GET http://a/", true},
    {"header.X-A ~ b+", "GET http://a/ | X-A: abbc", true},
    {"cookie.s == 1", "GET http://a/ | Cookie: t=2; s=1", true},
    {"cookie.s", "GET http://a/ | Cookie: t=2", false},
    {"ip == 10.0.0.1", "GET http://a/ from=10.0.0.1", true},
    {"ip in 10.0.0.0/8 192.168.0.0/16", "GET http://a/ from=192.168.3.4", true},
    {"ip in 10.0.0.0/8 192.168.0.0/16", "GET http://a/ from=11.0.0.0", false},
    {"ip != 10.0.0.0/8", "GET http://a/ from=11.0.0.0", true},
    {"ip in fd00::/8", "GET http://a/ from=fd12::1", true},
    {"scheme == http", "GET http://a/", true},
    {"proto == HTTP/1.1", "GET http://a/", true},
    {"country == DE", "GET http://a/", false},
    {"country != DE", "GET http://a/", true},
    {"asn == 64500", "GET http://a/", false},
    {"asn", "GET http://a/", false},
    {"method == GET and path == /x", "GET http://a/x", true},
    {"method == GET and path == /x", "GET http://a/y", false},
    {"method == PUT or path == /x", "GET http://a/x", true},
    /* "and" binds before "or", "not" before both */
    {"path == /x or path == /y and method == PUT", "GET http://a/x", true},
    {"(path == /x or path == /y) and method == PUT", "GET http://a/x", false},
    {"not path == /x and method == GET", "GET http://a/y", true},
    {"not (path == /x and method == GET)", "GET http://a/x", false},
    {"not not path == /x", "GET http://a/x", true},
    {"( ( path == /x ) )", "GET http://a/x", true},
    {"((path == /x) or (path == /y))", "GET http://a/y", true},
    {"path in /x /y or method == PUT", "PUT http://a/z", true},
    {"header.X == \"and\"", "GET http://a/ | X: and", true},
};

static void conditions_hold_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        char text[512];
        struct test_config t;
        snprintf(text, sizeof(text), "site * {\n respond 200\n when %s { respond 204 }\n}",
                 CASES[i].condition);
        test_config_need(&t, text);
        const struct exchange *x = test_request(&t, CASES[i].request);
        if (x->res.status != (CASES[i].holds ? 204 : 200))
            fail_msg("'%s' on '%s': status %u", CASES[i].condition, CASES[i].request,
                     x->res.status);
        test_config_release(&t);
    }
}

static const struct {
    const char *condition;
    uint32_t col; /* of the condition's own text, from 1 */
    const char *error;
} MISTAKES[] = {
    {"metod == GET", 1, "'metod' can not be tested"},
    {"header. == x", 1, "can not be tested"},
    {"method", 7, "one of == != ~ !~ in is due"},
    {"method GET", 8, "one of == != ~ !~ in is due"},
    {"method == ", 10, "a value is due"},
    {"method == get", 11, "in capitals"},
    {"method==GET", 1, "can not be tested"},
    {"path == x", 9, "from its first '/' on"},
    {"path == /x /y", 12, "'and' or 'or' is due"},
    {"path == /x and", 15, "a condition is due"},
    {"and path == /x", 1, "can not be tested"},
    {"(path == /x", 1, "'(' is not closed"},
    {"path == /x)", 11, "'and' or 'or' is due"},
    {"path ~ a(b", 11, "regular expression"},
    {"ip == 10.0.0", 7, "an address or prefix is due"},
    {"ip ~ 10", 6, "addresses have no '~'"},
    {"ip in", 6, "values are due"},
    {"path in and", 9, "values are due"},
    {"scheme == ftp", 11, "http or https"},
    {"proto == 1.1", 10, "HTTP/1.0"},
    {"country == de", 12, "two capital letters"},
    {"asn == AS5", 8, "number of an autonomous system"},
    {"asn in 5 05", 10, "number of an autonomous system"},
    {"not", 4, "a condition is due"},
    {"header.X not", 13, "one of =="},
    {"$nothing == x", 1, "can not be tested"},
    {"user == x", 1, "not known yet"},
    {"$user == x", 1, "not known yet"},
    {"claim.role == x", 1, "not known yet"},
};

static void mistakes_are_shown_in_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(MISTAKES) / sizeof(*MISTAKES); i++) {
        char text[512];
        snprintf(text, sizeof(text), "site * {\nwhen %s { respond 204 }\n}", MISTAKES[i].condition);
        test_error(text, 2, 5 + MISTAKES[i].col, MISTAKES[i].error);
    }
}

static void nested(char *to, size_t cap, int depth)
{
    size_t len = (size_t)snprintf(to, cap, "site * {\nwhen ");
    for (int i = 0; i < depth; i++)
        len += (size_t)snprintf(to + len, cap - len, "not ");
    snprintf(to + len, cap - len, "path == /x { respond 204 }\n respond 200\n}");
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[512];
    struct test_config t;
    nested(text, sizeof(text), 31);
    test_config_need(&t, text);
    test_config_release(&t);
    nested(text, sizeof(text), 32);
    test_error(text, 2, 6 + 32 * 4, "more than 32 levels");
}

UNIT_SUITE(proxy_condition, cmocka_unit_test(conditions_hold_or_not),
           cmocka_unit_test(mistakes_are_shown_in_place), cmocka_unit_test(depth_is_limited));
