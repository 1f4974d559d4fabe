/* hpack_saving_test.c - how much of the header bytes of browser-like traffic the encoder saves.
 *
 * Fifty pages of a shop by one browser on one connection: each an HTML page, style sheets, scripts,
 * pictures, fonts and API calls, some not modified, with the fields that Chromium and usual origins
 * send. Paths, tags, lengths, dates and request ids are as different as they are in life. Saved is
 * counted against the same fields as HTTP/1 lines (name, value and four bytes). */
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"
#include "h2/hpack_priv.h"
#include "h2/hpack_rig_test.h"

enum { PAGES = 50, RESOURCES = 11, SAVED_MIN_PERCENT = 85 };

struct traffic {
    struct rig *to_origin, *to_client;
    struct rand rand;
    size_t request_bytes, request_coded, response_bytes, response_coded, messages;
    char page[64]; /* path of the page that its resources name */
    unsigned second;
};

enum kind { PAGE, STYLE, SCRIPT, PICTURE, FONT, API };

static const struct {
    const char *accept, *mode, *dest, *type, *suffix, *cache;
} kinds[] = {
    [PAGE] = {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
              "image/apng,*/*;q=0.8",
              "navigate", "document", "text/html; charset=utf-8", "", "private, no-cache"},
    [STYLE] = {"text/css,*/*;q=0.1", "no-cors", "style", "text/css", ".css",
               "public, max-age=31536000, immutable"},
    [SCRIPT] = {"*/*", "no-cors", "script", "text/javascript", ".js",
                "public, max-age=31536000, immutable"},
    [PICTURE] = {"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "no-cors",
                 "image", "image/webp", ".webp", "public, max-age=86400"},
    [FONT] = {"*/*", "cors", "font", "font/woff2", ".woff2", "public, max-age=31536000, immutable"},
    [API] = {"application/json, text/plain, */*", "cors", "empty", "application/json", "",
             "no-store"},
};

static unsigned below(struct traffic *t, unsigned n)
{
    return (unsigned)(rand_next(&t->rand) % n);
}

static void put(struct rig *r, size_t *plain, const char *name, const char *value)
{
    *plain += strlen(name) + strlen(value) + 4;
    RIG_PUT(r, name, value);
}

static void path_make(struct traffic *t, enum kind kind, char *to, size_t room)
{
    unsigned long long id = rand_next(&t->rand);
    if (kind == PAGE)
        snprintf(to, room, "/catalogue/garden/chair-%u?ref=list", below(t, 100000));
    else if (kind == API)
        snprintf(to, room, "/api/v2/products/%u/stock", below(t, 100000));
    else
        snprintf(to, room, "/assets/%s/main-%08llx%s", kinds[kind].dest, id & 0xffffffff,
                 kinds[kind].suffix);
}

static void request(struct traffic *t, enum kind kind, const char *path, const char *tag)
{
    struct rig *r = t->to_origin;
    size_t *n = &t->request_bytes;
    char referer[128];
    snprintf(referer, sizeof referer, "https://shop.example.net%s", t->page);
    rig_begin(r);
    put(r, n, ":method", "GET");
    put(r, n, ":scheme", "https");
    put(r, n, ":authority", "shop.example.net");
    put(r, n, ":path", path);
    put(r, n, "sec-ch-ua", "\"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"");
    put(r, n, "sec-ch-ua-mobile", "?0");
    put(r, n, "sec-ch-ua-platform", "\"Linux\"");
    if (kind == PAGE)
        put(r, n, "upgrade-insecure-requests", "1");
    if (kind == FONT)
        put(r, n, "origin", "https://shop.example.net");
    put(r, n, "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/130.0.0.0 Safari/537.36");
    put(r, n, "accept", kinds[kind].accept);
    put(r, n, "sec-fetch-site", kind == PAGE && t->messages == 0 ? "none" : "same-origin");
    put(r, n, "sec-fetch-mode", kinds[kind].mode);
    put(r, n, "sec-fetch-dest", kinds[kind].dest);
    put(r, n, "referer", referer);
    put(r, n, "accept-encoding", "gzip, deflate, br, zstd");
    put(r, n, "accept-language", "en-GB,en;q=0.9,de;q=0.8");
    if (kind != FONT)
        put(r, n, "cookie",
            "session=2f1c7d9be04a4f6f9c1d7c52b6a1e3f0; consent=analytics.0.ads.0; currency=EUR");
    if (tag)
        put(r, n, "if-none-match", tag);
    t->request_coded += r->block_len;
}

static void text_random(struct traffic *t, char *to, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = "0123456789abcdef"[below(t, 16)];
    to[len] = '\0';
}

static void response_for_page(struct traffic *t, struct rig *r, size_t *n)
{
    char id[33];
    text_random(t, id, 32);
    put(r, n, "content-security-policy",
        "default-src 'self'; img-src 'self' data: https://images.example.net; "
        "frame-ancestors 'none'; object-src 'none'");
    put(r, n, "x-frame-options", "DENY");
    put(r, n, "referrer-policy", "strict-origin-when-cross-origin");
    put(r, n, "x-request-id", id);
    put(r, n, "vary", "Accept-Encoding, Cookie");
    if (below(t, 5) == 0) {
        char cookie[96];
        snprintf(cookie, sizeof cookie, "seen=%.12s; Path=/; Secure; HttpOnly; SameSite=Lax", id);
        put(r, n, "set-cookie", cookie);
    }
}

static void response_for_asset(struct traffic *t, struct rig *r, size_t *n, const char *tag)
{
    char modified[40];
    snprintf(modified, sizeof modified, "Tue, %02u Oct 2024 %02u:%02u:%02u GMT", 1 + below(t, 28),
             below(t, 24), below(t, 60), below(t, 60));
    put(r, n, "last-modified", modified);
    put(r, n, "etag", tag);
    put(r, n, "accept-ranges", "bytes");
    put(r, n, "vary", "Accept-Encoding");
    put(r, n, "access-control-allow-origin", "*");
    put(r, n, "age", "0");
}

static void response(struct traffic *t, enum kind kind, const char *tag, bool not_modified)
{
    struct rig *r = t->to_client;
    size_t *n = &t->response_bytes;
    char date[40], length[16];
    snprintf(date, sizeof date, "Wed, 06 Nov 2024 10:%02u:%02u GMT", t->second / 60,
             t->second % 60);
    snprintf(length, sizeof length, "%u", below(t, 90000));
    rig_begin(r);
    put(r, n, ":status", not_modified ? "304" : "200");
    put(r, n, "server", "nginx");
    put(r, n, "date", date);
    if (!not_modified) {
        put(r, n, "content-type", kinds[kind].type);
        put(r, n, "content-length", length);
        if (kind != PICTURE && kind != FONT)
            put(r, n, "content-encoding", "br");
    }
    put(r, n, "cache-control", kinds[kind].cache);
    put(r, n, "strict-transport-security", "max-age=31536000; includeSubDomains; preload");
    put(r, n, "x-content-type-options", "nosniff");
    put(r, n, "alt-svc", "h3=\":443\"; ma=86400");
    if (kind == PAGE || kind == API)
        response_for_page(t, r, n);
    else
        response_for_asset(t, r, n, tag);
    t->response_coded += r->block_len;
}

static void exchange(struct traffic *t, enum kind kind)
{
    char path[96], tag[40] = "\"";
    path_make(t, kind, path, sizeof path);
    text_random(t, tag + 1, 16);
    strcat(tag, "\"");
    bool known = kind != PAGE && kind != API && below(t, 4) == 0;
    request(t, kind, path, known ? tag : NULL);
    response(t, kind, tag, known);
    if (kind == PAGE)
        snprintf(t->page, sizeof t->page, "%.63s", path);
    t->messages++;
}

static void page(struct traffic *t)
{
    static const enum kind order[RESOURCES] = {STYLE,   STYLE,   SCRIPT,  SCRIPT, SCRIPT, FONT,
                                               PICTURE, PICTURE, PICTURE, API,    API};
    exchange(t, PAGE);
    for (int i = 0; i < RESOURCES; i++) {
        if (i % 6 == 5)
            t->second++;
        exchange(t, order[i]);
    }
    t->second += 5 + below(t, 20);
}

static unsigned saved_permille(size_t plain, size_t coded)
{
    return (unsigned)((plain - coded) * 1000 / plain);
}

static void fifty_pages_save_enough(void **state)
{
    (void)state;
    struct traffic t = {.to_origin = rig_new(), .to_client = rig_new()};
    rand_init(&t.rand, 7);
    for (int i = 0; i < PAGES; i++)
        page(&t);
    unsigned of_requests = saved_permille(t.request_bytes, t.request_coded);
    unsigned of_responses = saved_permille(t.response_bytes, t.response_coded);
    unsigned of_all =
        saved_permille(t.request_bytes + t.response_bytes, t.request_coded + t.response_coded);
    print_message("saved of requests %u.%u %%, responses %u.%u %%, together %u.%u %%\n",
                  of_requests / 10, of_requests % 10, of_responses / 10, of_responses % 10,
                  of_all / 10, of_all % 10);
    assert_true(of_all >= 10 * SAVED_MIN_PERCENT);
    assert_true(of_requests >= 10 * SAVED_MIN_PERCENT);
    rig_free(t.to_origin);
    rig_free(t.to_client);
}

UNIT_SUITE(h2_hpack_saving, cmocka_unit_test(fifty_pages_save_enough));
