/* hpack.c - what header compression costs, ours and nghttp2's, on the same lists of fields.
 *
 * `bench/hpack.sh` builds it and counts the instructions of each scenario under callgrind: a
 * request decoded and a response encoded in the middle of a connection, with path, length and tag
 * new each time (`decode`, `encode`) or all as before (`-same`), and the first request of a
 * connection (`decode-first`). "peer" as second argument takes nghttp2's coder. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack.h"
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

struct line {
    const char *name, *value;
};

static const struct line request[] = {
    {":method", "GET"},
    {":scheme", "https"},
    {":authority", "shop.example.net"},
    {":path", "/assets/script/main-3f9a77c1.js"},
    {"sec-ch-ua", "\"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\""},
    {"sec-ch-ua-mobile", "?0"},
    {"sec-ch-ua-platform", "\"Linux\""},
    {"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                   "Chrome/130.0.0.0 Safari/537.36"},
    {"accept", "*/*"},
    {"sec-fetch-site", "same-origin"},
    {"sec-fetch-mode", "no-cors"},
    {"sec-fetch-dest", "script"},
    {"referer", "https://shop.example.net/catalogue/garden/chair-4711?ref=list"},
    {"accept-encoding", "gzip, deflate, br, zstd"},
    {"accept-language", "en-GB,en;q=0.9,de;q=0.8"},
    {"cookie", "session=2f1c7d9be04a4f6f9c1d7c52b6a1e3f0; consent=analytics.0; currency=EUR"},
};

static const struct line response[] = {
    {":status", "200"},
    {"server", "nginx"},
    {"date", "Wed, 06 Nov 2024 10:00:00 GMT"},
    {"content-type", "text/javascript"},
    {"content-length", "48213"},
    {"content-encoding", "br"},
    {"cache-control", "public, max-age=31536000, immutable"},
    {"strict-transport-security", "max-age=31536000; includeSubDomains; preload"},
    {"x-content-type-options", "nosniff"},
    {"last-modified", "Tue, 15 Oct 2024 08:31:07 GMT"},
    {"etag", "\"3f9a77c1a0b4d2e8\""},
    {"vary", "Accept-Encoding"},
};

enum { REQUEST_LINES = sizeof request / sizeof *request };
enum { RESPONSE_LINES = sizeof response / sizeof *response };

enum { LINES_MAX = 32, BLOCK_BYTES = 4096, WARM = 16, LIST_BYTES = 65536 };

/* A list of fields with what a proxy knows of each: the id. */
struct list {
    struct slice names[LINES_MAX], values[LINES_MAX];
    enum field_id ids[LINES_MAX];
    char scratch[LINES_MAX][256];
    size_t count;
};

/* One direction of a connection by one of the two coders. */
struct coder {
    struct hpack_encoder encoder;
    struct hpack_decoder decoder;
    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *inflater;
    bool peer;
    char block[BLOCK_BYTES];
    size_t block_len, total;
};

static void must(bool good)
{
    if (!good)
        abort();
}

static void list_fill(struct list *l, const struct line *lines, size_t count)
{
    l->count = count;
    for (size_t i = 0; i < count; i++) {
        l->names[i] = slice_of(lines[i].name);
        l->ids[i] = field_find(l->names[i]);
        l->values[i] = slice_of(lines[i].value);
        memcpy(l->scratch[i], lines[i].value, l->values[i].len);
        l->values[i].at = l->scratch[i];
    }
}

/* Path, length and tag differ from message to message by four digits before the last byte. */
static void list_turn(struct list *l, unsigned turn)
{
    for (size_t i = 0; i < l->count; i++) {
        bool differs = slice_eq(l->names[i], SLICE(":path")) || l->ids[i] == FIELD_CONTENT_LENGTH ||
                       l->ids[i] == FIELD_ETAG;
        char *end = l->scratch[i] + l->values[i].len - 1;
        for (unsigned n = turn, digits = differs ? 4 : 0; digits > 0; digits--, n /= 10)
            end[-(int)digits] = (char)('0' + n % 10);
    }
}

static void encode_ours(struct coder *c, const struct list *l)
{
    c->block_len = hpack_encode_begin(&c->encoder, c->block);
    for (size_t i = 0; i < l->count; i++)
        c->block_len += hpack_encode(&c->encoder, c->block + c->block_len, l->ids[i], l->names[i],
                                     l->values[i]);
}

static void encode_peer(struct coder *c, const struct list *l)
{
    nghttp2_nv nv[LINES_MAX];
    for (size_t i = 0; i < l->count; i++)
        nv[i] = (nghttp2_nv){(uint8_t *)l->names[i].at, (uint8_t *)l->values[i].at, l->names[i].len,
                             l->values[i].len, NGHTTP2_NV_FLAG_NONE};
    ssize_t len =
        nghttp2_hd_deflate_hd(c->deflater, (uint8_t *)c->block, sizeof c->block, nv, l->count);
    must(len > 0);
    c->block_len = (size_t)len;
}

static enum err count_field(void *user, const struct hpack_header *h)
{
    *(size_t *)user += h->name.len + h->value.len;
    return ERR_OK;
}

static void decode_ours(struct coder *c)
{
    struct arena a;
    struct slice block = {c->block, c->block_len};
    arena_init(&a, 1 << 20);
    must(hpack_decode(&c->decoder, block, LIST_BYTES, &a, count_field, &c->total) == ERR_OK);
    arena_release(&a);
}

static void decode_peer(struct coder *c)
{
    const uint8_t *at = (const uint8_t *)c->block, *end = at + c->block_len;
    for (int flags = 0; !(flags & NGHTTP2_HD_INFLATE_FINAL);) {
        nghttp2_nv nv;
        flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(c->inflater, &nv, &flags, at, (size_t)(end - at), 1);
        must(n >= 0);
        at += n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            c->total += nv.namelen + nv.valuelen;
    }
    nghttp2_hd_inflate_end_headers(c->inflater);
}

static void encode(struct coder *c, struct list *l)
{
    if (c->peer)
        encode_peer(c, l);
    else
        encode_ours(c, l);
}

static void decode(struct coder *c)
{
    if (c->peer)
        decode_peer(c);
    else
        decode_ours(c);
}

static void coder_open(struct coder *c)
{
    hpack_encoder_init(&c->encoder);
    hpack_decoder_init(&c->decoder, HPACK_TABLE_BYTES);
    must(nghttp2_hd_deflate_new(&c->deflater, HPACK_TABLE_BYTES) == 0);
    must(nghttp2_hd_inflate_new(&c->inflater) == 0);
}

static void decoder_renew(struct coder *c)
{
    if (c->peer) {
        nghttp2_hd_inflate_del(c->inflater);
        must(nghttp2_hd_inflate_new(&c->inflater) == 0);
        return;
    }
    hpack_decoder_release(&c->decoder);
    hpack_decoder_init(&c->decoder, HPACK_TABLE_BYTES);
}

static void run(struct coder *c, const char *what, unsigned rounds)
{
    static struct list l;
    bool first = strcmp(what, "decode-first") == 0, decodes = strncmp(what, "decode", 6) == 0;
    bool same = strstr(what, "-same") != NULL;
    list_fill(&l, decodes ? request : response, decodes ? REQUEST_LINES : RESPONSE_LINES);
    for (unsigned i = 0; i < (first ? 1 : WARM) + (decodes ? 0 : rounds); i++) {
        list_turn(&l, same ? 0 : 1000 + i);
        encode(c, &l);
        if (decodes)
            decode(c);
    }
    for (unsigned i = 0; decodes && i < rounds; i++) {
        if (first)
            decoder_renew(c);
        decode(c);
    }
}

int main(int argc, char **argv)
{
    static struct coder c;
    if (argc != 4)
        return 2;
    c.peer = strcmp(argv[2], "peer") == 0;
    coder_open(&c);
    run(&c, argv[1], (unsigned)strtoul(argv[3], NULL, 10));
    printf("block of %zu bytes\n", c.block_len);
    return 0;
}
