/* fcgi_env_test.c - a message as the variables of CGI. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "fcgi/fcgi_env_priv.h"
#include "http/cgi.h"
#include "tests/unit.h"
#include <stdio.h>

static struct arena arena;
static struct message m;
static char text[4096];

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 65536);
    message_init(&m);
    m.method_text = SLICE("POST");
    text[0] = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static enum err note(void *ctx, struct slice name, const struct slice *value, size_t parts)
{
    (void)ctx;
    size_t len = strlen(text);
    len += (size_t)snprintf(text + len, sizeof text - len, "%.*s=", SLICE_ARG(name));
    for (size_t i = 0; i < parts; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s", SLICE_ARG(value[i]));
    snprintf(text + len, sizeof text - len, "\n");
    return ERR_OK;
}

static void field(const char *name, const char *value)
{
    assert_int_equal(headers_add(&m.headers, &arena, slice_of(name), slice_of(value)), ERR_OK);
}

static bool says(const char *line)
{
    const char *at = strstr(text, line);
    return at && (at == text || at[-1] == '\n');
}

static void all(void)
{
    assert_int_equal(fcgi_env_each(&m, note, NULL), ERR_OK);
}

static void fields_have_names(void **state)
{
    (void)state;
    field("Accept-Language", "de");
    field("x-two", "1");
    field("Authorization", "Basic x");
    field("X-Two", "2");
    field("Cookie", "a=1");
    field("Cookie", "b=2");
    all();
    assert_string_equal(text, "GATEWAY_INTERFACE=CGI/1.1\nREQUEST_METHOD=POST\n"
                              "HTTP_ACCEPT_LANGUAGE=de\nHTTP_X_TWO=1, 2\n"
                              "HTTP_AUTHORIZATION=Basic x\nHTTP_COOKIE=a=1; b=2\n");
}

/* What would be taken for something else, or is for us. */
static void fields_that_have_none(void **state)
{
    (void)state;
    field("Proxy", "http://evil");
    field("pROXY", "http://evil");
    field("X_Forwarded_For", "1.2.3.4");
    field("a.b", "1");
    field("a!b", "1");
    field("Connection", "close");
    field("TE", "trailers");
    field("Upgrade", "websocket");
    field("Proxy-Authorization", "x");
    field("Expect", "100-continue");
    field("Content-Length", "77");
    field("Gone", "1");
    headers_del(&m.headers, SLICE("gone"));
    all();
    assert_string_equal(text, "GATEWAY_INTERFACE=CGI/1.1\nREQUEST_METHOD=POST\n");
}

static void names_of_any_length(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'a', sizeof name);
    name[251] = 0; /* with HTTP_ 256 */
    field(name, "fits");
    memset(name, 'b', 252);
    name[252] = 0;
    field(name, "long");
    all();
    assert_non_null(strstr(text, "=fits\n"));
    assert_null(strstr(text, "=long\n"));
}

static void bodies(void **state)
{
    (void)state;
    field("Content-Type", "text/plain");
    m.length = LENGTH_KNOWN;
    m.content_length = 12345678901;
    all();
    assert_true(says("CONTENT_TYPE=text/plain\n") && says("CONTENT_LENGTH=12345678901\n"));
    assert_null(strstr(text, "HTTP_CONTENT"));
}

static void parameters_win(void **state)
{
    (void)state;
    struct cgi_param list[] = {{SLICE_INIT("HTTP_X_A"), SLICE_INIT("ours")},
                               {SLICE_INIT("SCRIPT_NAME"), SLICE_INIT("/x.php")}};
    struct cgi_params params = {.at = list, .count = 2, .names_fields = true};
    m.cgi = &params;
    field("X-A", "theirs");
    field("X-AB", "theirs");
    all();
    assert_true(says("HTTP_X_A=ours\n") && says("HTTP_X_AB=theirs\n"));
    assert_true(says("SCRIPT_NAME=/x.php\n"));
    assert_false(says("HTTP_X_A=theirs\n"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(fcgi_fcgi_env, CASE(fields_have_names), CASE(fields_that_have_none),
           CASE(names_of_any_length), CASE(bodies), CASE(parameters_win));
