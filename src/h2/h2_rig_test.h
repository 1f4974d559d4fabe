/* h2_rig_test.h - what the tests of the core share: frames made of parts, a session that does what
 * events ask of it, and what the core said. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_core.h"
#include "tests/unit.h"
#include <stdlib.h>

enum { OUT_MAX_BYTES = 1 << 20, IN_MAX_BYTES = 1 << 20, RIG_STREAMS = 512 };

struct part {
    uint8_t type, flags;
    uint32_t stream;
    const char *payload; /* NULL: `len` zeros */
    uint32_t len;
};

static struct core_rig {
    struct h2_core core;
    struct h2_stream *streams[RIG_STREAMS];
    unsigned opened, headers, resets, windows, pongs;
    bool ended;   /* END_STREAM on any */
    bool nowhere; /* a block was only to be decoded */
    bool keeps;   /* does not consume what comes */
    enum err err; /* of H2_EV_FAILED */
    size_t data_bytes;
    size_t block_bytes; /* of the last */
    size_t in_len, out_len;
    char in[IN_MAX_BYTES], out[OUT_MAX_BYTES];
} core_rig;

static char *core_rig_room(struct h2_core *c, size_t len)
{
    (void)c;
    char *at = core_rig.out + core_rig.out_len;
    assert_true(core_rig.out_len + len <= OUT_MAX_BYTES);
    core_rig.out_len += len;
    return at;
}

static inline void core_rig_event(const struct h2_event *ev)
{
    struct core_rig *r = &core_rig;
    switch (ev->kind) {
    case H2_EV_HEADERS:
        r->headers++;
        r->block_bytes = ev->bytes.len;
        r->ended |= ev->end;
        r->nowhere |= ev->nowhere;
        if (!ev->opens)
            break;
        assert_true(r->opened < RIG_STREAMS);
        r->streams[r->opened] = calloc(1, sizeof(struct h2_stream));
        h2_core_open(&r->core, r->streams[r->opened++], ev);
        break;
    case H2_EV_DATA:
        r->data_bytes += ev->bytes.len;
        r->ended |= ev->end;
        if (!r->keeps)
            h2_core_consumed(&r->core, ev->stream, (uint32_t)ev->bytes.len);
        break;
    case H2_EV_RESET: r->resets++; break;
    case H2_EV_WINDOW: r->windows++; break;
    case H2_EV_PONG: r->pongs++; break;
    case H2_EV_FAILED: r->err = ev->err; break;
    default: break;
    }
}

/* Feeds what was said, in pieces of `step` bytes. */
static inline void core_rig_feed(size_t step)
{
    struct core_rig *r = &core_rig;
    for (size_t at = 0; at < r->in_len && !h2_core_failed(&r->core); at += step) {
        struct slice in = slice_head((struct slice){r->in + at, r->in_len - at}, step);
        struct h2_event ev = {0};
        do {
            h2_core_next(&r->core, &in, &ev);
            core_rig_event(&ev);
        } while (ev.kind != H2_EV_MORE && ev.kind != H2_EV_FAILED);
    }
    r->in_len = 0;
}

static inline void core_rig_bytes(const char *at, size_t len)
{
    assert_true(core_rig.in_len + len <= IN_MAX_BYTES);
    if (at)
        memcpy(core_rig.in + core_rig.in_len, at, len);
    else
        memset(core_rig.in + core_rig.in_len, 0, len);
    core_rig.in_len += len;
}

static inline void core_rig_frame(struct part p)
{
    char head[H2_FRAME_HEAD_BYTES];
    h2_frame_write(head, &(struct h2_frame){p.len, p.stream, p.type, p.flags});
    core_rig_bytes(head, sizeof head);
    core_rig_bytes(p.payload, p.len);
}

static inline void core_rig_say(struct part p)
{
    core_rig_frame(p);
    core_rig_feed(SIZE_MAX / 2);
}

static inline void core_rig_open(void)
{
    memset(&core_rig, 0, offsetof(struct core_rig, in));
    h2_core_init(&core_rig.core, H2_SERVER, 32768, core_rig_room);
    h2_core_start(&core_rig.core);
    core_rig_bytes(h2_preface, H2_PREFACE_BYTES);
    core_rig_frame((struct part){H2_SETTINGS, 0, 0, "", 0});
}

static inline void core_rig_close(void)
{
    for (unsigned i = 0; i < core_rig.opened; i++) {
        if (core_rig.streams[i]->listed)
            h2_core_reset(&core_rig.core, core_rig.streams[i], H2_CANCEL);
        h2_core_close(&core_rig.core, core_rig.streams[i]);
        free(core_rig.streams[i]);
    }
    h2_core_release(&core_rig.core);
}

/* The n-th frame of a type that the core wrote; false: there is none. */
static inline bool core_rig_wrote(uint8_t type, unsigned n, struct h2_frame *f,
                                  const char **payload)
{
    for (size_t at = 0; at < core_rig.out_len;) {
        h2_frame_read(core_rig.out + at, f);
        *payload = core_rig.out + at + H2_FRAME_HEAD_BYTES;
        at += H2_FRAME_HEAD_BYTES + f->len;
        if (f->type == type && n-- == 0)
            return true;
    }
    return false;
}

/* The code of its (last) GOAWAY, or of the first RST_STREAM for a stream; -1: none. */
static inline int core_rig_goaway(void)
{
    struct h2_frame f;
    const char *p;
    int code = -1;
    for (unsigned n = 0; core_rig_wrote(H2_GOAWAY, n, &f, &p); n++)
        code = (int)h2_get32(p + 4);
    return code;
}

static inline int core_rig_reset(uint32_t id)
{
    struct h2_frame f;
    const char *p;
    for (unsigned n = 0; core_rig_wrote(H2_RST_STREAM, n, &f, &p); n++)
        if (f.stream == id)
            return (int)h2_get32(p);
    return -1;
}

static inline unsigned core_rig_count(uint8_t type)
{
    struct h2_frame f;
    const char *p;
    unsigned n = 0;
    while (core_rig_wrote(type, n, &f, &p))
        n++;
    return n;
}
