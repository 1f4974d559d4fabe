/* wire.c - a second, simple reader of HTTP/1.1, so that weir is not judged by its own parser. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void wire_init(struct wire *w, bool response, void *ctx)
{
    *w = (struct wire){.response = response, .ctx = ctx};
}

bool wire_between(const struct wire *w)
{
    return w->state == WIRE_HEAD && w->head_len == 0;
}

bool wire_has(const char *head, const char *text)
{
    return strcasestr(head, text) != NULL;
}

long wire_number(const char *head, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *at = strcasestr(head, key);
    return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

static void message_end(struct wire *w)
{
    w->state = WIRE_HEAD;
    w->head_len = 0;
    w->on_end(w);
}

void wire_eof(struct wire *w)
{
    if (w->state == WIRE_UNTIL_CLOSE)
        message_end(w);
}

static bool has_no_body(const struct wire *w)
{
    if (!w->response)
        return !wire_has(w->head, "\r\ncontent-length:") && !w->chunked;
    int status = atoi(w->head + 9);
    return w->expects_no_body || status == 204 || status == 304 || status < 200;
}

static void head_end(struct wire *w)
{
    w->head[w->head_len] = '\0';
    w->chunked = wire_has(w->head, "\r\ntransfer-encoding: chunked");
    w->at = 0;
    w->on_head(w, w->head);
    long length = wire_number(w->head, "content-length");
    if (w->chunked && length >= 0)
        w->broken = "both framings";
    w->head_len = 0;
    w->line_len = 0;
    if (w->state == WIRE_RAW)
        return;
    if (has_no_body(w)) {
        message_end(w);
    } else if (w->chunked) {
        w->state = WIRE_CHUNK_SIZE;
    } else if (length >= 0) {
        w->left = (uint64_t)length;
        w->state = WIRE_BODY;
        if (w->left == 0)
            message_end(w);
    } else {
        w->state = WIRE_UNTIL_CLOSE;
    }
}

static size_t feed_head(struct wire *w, const char *at, size_t len)
{
    size_t used = 0;
    while (used < len && w->state == WIRE_HEAD && !w->broken) {
        if (w->head_len + 1 >= sizeof w->head) {
            w->broken = "head is too long";
            return used;
        }
        w->head[w->head_len++] = at[used++];
        if (w->head_len >= 4 && memcmp(w->head + w->head_len - 4, "\r\n\r\n", 4) == 0)
            head_end(w);
    }
    return used;
}

static size_t feed_data(struct wire *w, const char *at, size_t len)
{
    size_t n = w->state == WIRE_UNTIL_CLOSE || w->left > len ? len : (size_t)w->left;
    w->on_body(w, at, n);
    w->at += n;
    if (w->state == WIRE_UNTIL_CLOSE)
        return n;
    w->left -= n;
    if (w->left == 0 && w->state == WIRE_BODY)
        message_end(w);
    else if (w->left == 0)
        w->state = WIRE_CHUNK_END;
    return n;
}

static void chunk_line(struct wire *w)
{
    char *end;
    switch (w->state) {
    case WIRE_CHUNK_SIZE:
        w->left = strtoull(w->line, &end, 16);
        if (end == w->line)
            w->broken = "bad chunk size";
        w->state = w->left ? WIRE_CHUNK_DATA : WIRE_TRAILER;
        break;
    case WIRE_CHUNK_END:
        if (w->line_len != 0)
            w->broken = "chunk does not end where it should";
        w->state = WIRE_CHUNK_SIZE;
        break;
    default:
        if (w->line_len == 0)
            message_end(w);
        else
            w->on_trailer(w, w->line);
        break;
    }
    w->line_len = 0;
}

static size_t feed_line(struct wire *w, const char *at)
{
    if (*at == '\n') {
        w->line[w->line_len] = '\0';
        chunk_line(w);
    } else if (*at != '\r') {
        if (w->line_len + 1 < sizeof w->line)
            w->line[w->line_len++] = *at;
        else
            w->broken = "chunk line is too long";
    }
    return 1;
}

void wire_feed(struct wire *w, const char *at, size_t len)
{
    while (len > 0 && !w->broken) {
        size_t used;
        switch (w->state) {
        case WIRE_HEAD: used = feed_head(w, at, len); break;
        case WIRE_BODY:
        case WIRE_CHUNK_DATA:
        case WIRE_UNTIL_CLOSE: used = feed_data(w, at, len); break;
        case WIRE_RAW: w->on_raw(w, at, len); return;
        default: used = feed_line(w, at); break;
        }
        at += used;
        len -= used;
    }
}
