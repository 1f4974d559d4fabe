/* suspicion_test.c - which requests are not trusted, as tables. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/rules_test.h"
#include "cache/suspicion.h"

#define HTML "Content-Type: text/html; charset=utf-8"
#define CSS  "Content-Type: text/css"

static const struct {
    const char *request;
    bool expected;
} OVERRIDES[] = {
    {"", false},
    {"Cookie: a=b", false},
    {"X-Forwarded-Host: a", false},
    {"X-HTTP-Method-Override: DELETE", true},
    {"x-http-method-override: GET", true},
    {"X-Original-URL: /admin", true},
    {"Accept: x | X-Rewrite-URL: /admin", true},
    {"X-HTTP-Method-Overrides: DELETE", false},
};

static void fields_that_name_another_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(OVERRIDES); i++) {
        struct rules_head req;
        rules_head_read(&req, OVERRIDES[i].request);
        if (suspicion_overrides(&req.h) != OVERRIDES[i].expected)
            fail_msg("%s", OVERRIDES[i].request);
    }
}

static const struct {
    const char *path, *response;
    bool expected;
} PATHS[] = {
    {"/", HTML, false},
    {"/a/b", HTML, false},
    {"/a.html", HTML, false},
    {"/a.php", HTML, false},
    {"/v1.2", HTML, false},
    {"/a.json", "Content-Type: application/json", false},
    {"/a.css", CSS, false},
    {"/a.css", "", false},
    {"/a.png", "Content-Type: image/webp", false},
    {"/a%20b.css", CSS, false},
    {"/a%C3%A4", HTML, false},
    {"/a..b", HTML, false},
    {"/.well-known/x", HTML, false},
    {"/a%", HTML, false},
    /* another kind */
    {"/account/x.css", HTML, true},
    {"/account/x.CSS", "Content-Type: TEXT/HTML", true},
    {"/account/.js", HTML, true},
    {"/account.png", "Content-Type: application/json", true},
    {"/account/x.woff2", "Content-Type: text/plain", true},
    /* where servers think that it ends */
    {"/a%2fx", CSS, true},
    {"/a%2Fx", CSS, true},
    {"/a%00.css", CSS, true},
    {"/a%0d", CSS, true},
    {"/a%1f", CSS, true},
    {"/a%23x", CSS, true},
    {"/a%3Fx", CSS, true},
    {"/a%3bx", CSS, true},
    {"/a;x.css", CSS, true},
    {"/a\\x.css", CSS, true},
    {"/a%5cx", CSS, true},
    {"/a%252fx", CSS, true},
    {"/a//x.css", CSS, true},
    {"//x.css", CSS, true},
    {"/a/./x.css", CSS, true},
    {"/a/../x.css", CSS, true},
    {"/a/..", CSS, true},
    {"/a/%2e%2e/x", CSS, true},
    {"/.", CSS, true},
};

static void paths_that_may_be_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
        struct rules_head res;
        rules_head_read(&res, PATHS[i].response);
        if (suspicion_of_path(slice_of(PATHS[i].path), &res.h) != PATHS[i].expected)
            fail_msg("%s with %s", PATHS[i].path, PATHS[i].response);
    }
}

UNIT_SUITE(cache_suspicion, cmocka_unit_test(fields_that_name_another_request),
           cmocka_unit_test(paths_that_may_be_another));
