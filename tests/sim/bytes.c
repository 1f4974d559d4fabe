/* bytes.c - what bodies and tunnels are made of, and how the test writes.
 *
 * Every byte follows from the id of its request, its place and its kind, so that a receiver can
 * tell a byte that is missing, doubled, moved or of somebody else. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 4096, CHUNK_LINE_BYTES = 32, SPANS_KEPT = 8 };

char sim_byte(uint32_t id, uint64_t at, enum sim_bytes kind)
{
    return (char)('a' + (id * 7 + at + at / 251 + kind * 5) % 26);
}

size_t sim_bytes_check(uint32_t id, uint64_t at, enum sim_bytes kind, const char *bytes, size_t len)
{
    size_t i = 0;
    while (i < len && bytes[i] == sim_byte(id, at + i, kind))
        i++;
    return i;
}

void sim_write(struct sim_world *w, struct conn *c, const char *at, size_t len)
{
    struct buf *b = buf_take(&c->loop->bufs, len > BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL);
    if (!b || len > b->cap)
        sim_broken(w, "the test itself has no buffer");
    memcpy(b->bytes, at, len);
    b->len = (uint32_t)len;
    if (conn_write(c, (struct span){b, b->bytes, len}) != ERR_OK)
        buf_drop(b); /* it broke already and will be told so */
}

void sim_writef(struct sim_world *w, struct conn *c, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= sizeof text)
        sim_broken(w, "the test itself writes too much: %s", fmt);
    sim_write(w, c, text, (size_t)len);
}

static bool has_room(const struct conn *c)
{
    return conn_out_bytes(c) <= CONN_OUT_HIGH_BYTES / 4 && conn_out_room(c) >= SPANS_KEPT;
}

size_t sim_write_bytes(struct sim_world *w, struct conn *c, uint32_t id, uint64_t at, size_t len,
                       enum sim_bytes kind, bool chunked)
{
    char piece[PIECE_BYTES];
    size_t n = len < PIECE_BYTES - CHUNK_LINE_BYTES ? len : PIECE_BYTES - CHUNK_LINE_BYTES;
    size_t head = 0;
    if (len == 0 || !has_room(c))
        return 0;
    n = 1 + rand_below(&w->rand, (uint32_t)n);
    if (chunked)
        head = (size_t)snprintf(piece, CHUNK_LINE_BYTES, "%zx%s\r\n", n,
                                world_chance(w, 50) ? ";a=\"b\"" : "");
    for (size_t i = 0; i < n; i++)
        piece[head + i] = sim_byte(id, at + i, kind);
    if (chunked)
        memcpy(piece + head + n, "\r\n", 2);
    sim_write(w, c, piece, head + n + (chunked ? 2 : 0));
    return n;
}
