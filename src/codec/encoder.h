/* encoder.h - compresses a stream of bytes, piece by piece: one face for all codings.
 *
 * Encoders are large (a quarter of a megabyte and more), so a thread may hold ENCODERS_MAX_BYTES of
 * them and no more; a few that were given back are kept for the next. One belongs to who took it,
 * and stays on its thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stddef.h>
#include <stdint.h>

enum {
    ENCODERS_MAX_BYTES = 128 << 20, /* per thread, in use */
    ENCODERS_KEPT = 4,              /* per thread and type, not in use */
    ENCODER_ROOM_MIN_BYTES = 512,   /* of encoder_run() */
    ENCODER_PADDING_MAX_BYTES = 255,
};

#define ENCODER_SIZE_UNKNOWN UINT64_MAX

enum encoder_effort { ENCODER_FAST, ENCODER_NORMAL, ENCODER_SMALL, ENCODER_EFFORTS };

struct encoder_plan {
    uint8_t effort;        /* enum encoder_effort */
    uint8_t padding_bytes; /* that mean nothing are put in; gzip only */
    uint64_t size_bytes;   /* of what will be encoded; must be right when it is known */
};

enum encoder_op {
    ENCODER_GO,    /* as much comes out as is due */
    ENCODER_FLUSH, /* all that went in comes out, so that it can be decoded */
    ENCODER_END,   /* that, and the end of the stream */
};

struct encoder_out {
    char *to;
    size_t room; /* ENCODER_ROOM_MIN_BYTES or more */
    size_t len;  /* written */
    bool done;   /* FLUSH, END: all is out; otherwise the same has to be asked for again */
};

struct encoder {
    const struct encoder_type *type;
    struct encoder *next; /* among those that are kept */
};

struct encoder_type {
    uint8_t slot;                  /* 0..2, a number of its own */
    bool once;                     /* can not be used again */
    size_t memory_bytes;           /* that one holds, about */
    struct encoder *(*make)(void); /* NULL: no memory */
    bool (*begin)(struct encoder *e, const struct encoder_plan *plan); /* also a used one */
    enum err (*run)(struct encoder *e, struct slice *in, enum encoder_op op,
                    struct encoder_out *out);
    void (*free)(struct encoder *e);
};

extern const struct encoder_type encoder_gzip, encoder_zstd, encoder_br;

/* NULL: this thread holds too many already, or there is no memory. */
struct encoder *encoder_take(const struct encoder_type *type, const struct encoder_plan *plan);
void encoder_drop(struct encoder *e);
/* Takes bytes off the front of *in, and writes what they become. ERR_INTERNAL: the library refused,
 * for instance because the plan's size was wrong. */
enum err encoder_run(struct encoder *e, struct slice *in, enum encoder_op op,
                     struct encoder_out *out) MUST_CHECK;
size_t encoders_held_bytes(void); /* in use on the calling thread */
void encoders_release(void);      /* frees those that the calling thread keeps (thread end) */
