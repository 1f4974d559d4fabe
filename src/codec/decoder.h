/* decoder.h - decompresses a stream of bytes, piece by piece: one face for all codings.
 *
 * What comes in is hostile until shown otherwise: a decoder ends with an error at the first byte
 * too many, by its plan, and all decoders of a thread together hold DECODERS_MAX_BYTES of memory at
 * most. One belongs to who took it, and stays on its thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DECODERS_MAX_BYTES = 128 << 20,     /* per thread */
    DECODER_RATIO_FREE_BYTES = 1 << 20, /* that come out of a stream before its ratio counts */
    DECODER_WINDOW_LOG = 23,            /* zstd: 8 MB, as RFC 9659 has it */
};

struct decoder_plan {
    uint64_t max_bytes; /* that may come out; 0: any */
    uint32_t ratio;     /* bytes out for one in; 0: any */
};

struct decoder_out {
    char *to;
    size_t room; /* 1 or more */
    size_t len;  /* written; less than there was room: nothing more comes without more input */
};

struct decoder {
    const struct decoder_type *type;
    struct decoder_plan plan;
    uint64_t in_bytes, out_bytes;
    size_t held_bytes; /* of memory */
    bool at_end;       /* a stream has ended here, and no other has begun */
};

struct decoder_type {
    struct decoder *(*make)(void); /* NULL: no memory */
    enum err (*run)(struct decoder *d, struct slice *in, struct decoder_out *out);
    void (*free)(struct decoder *d);
};

extern const struct decoder_type decoder_gzip, decoder_zstd, decoder_br;

/* NULL: this thread holds too many, or there is no memory. */
struct decoder *decoder_take(const struct decoder_type *type, const struct decoder_plan *plan);
void decoder_drop(struct decoder *d);
/* Takes bytes off the front of *in, and writes what they become. ERR_BAD_CODING: they are not of
 * the coding; ERR_DECODED_TOO_LARGE: more came out than the plan allows; ERR_NO_MEMORY. */
enum err decoder_run(struct decoder *d, struct slice *in, struct decoder_out *out) MUST_CHECK;
/* May the input end here? Nothing at all is an empty text: servers do that. */
static inline bool decoder_is_whole(const struct decoder *d)
{
    return d->at_end || d->in_bytes == 0;
}
size_t decoders_held_bytes(void); /* by the calling thread */

/* --- for the codings -------------------------------------------------------------------------- */

/* Memory that counts. NULL: over the limit, or none. */
void *decoder_alloc(struct decoder *d, size_t bytes);
void decoder_release(struct decoder *d, void *at);
/* The same for memory that a library takes by itself: what it holds now. */
enum err decoder_hold(struct decoder *d, size_t bytes) MUST_CHECK;
