/* slice.h - a borrowed run of bytes.
 *
 * A slice never owns memory. Whoever hands one out says for how long it lives (usually
 * "until the exchange ends", because the bytes sit in its arena or in a buffer it holds).
 * Not NUL-terminated; print with "%.*s", SLICE_ARG(s). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *at;
    size_t len; /* bytes */
};

#define SLICE(lit) ((struct slice){"" lit, sizeof(lit) - 1})
#define SLICE_INIT(lit)         \
    {                           \
        "" lit, sizeof(lit) - 1 \
    } /* for static tables */
#define SLICE_ARG(s) (int)(s).len, (s).at
#define SLICE_NONE   ((struct slice){NULL, 0})

static inline struct slice slice_of(const char *cstr)
{
    return (struct slice){cstr, strlen(cstr)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static inline bool slice_ends(struct slice s, struct slice suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.at + s.len - suffix.len, suffix.at, suffix.len) == 0);
}

/* The rest of `s` from byte `from` on; empty when `from` is past the end. */
static inline struct slice slice_from(struct slice s, size_t from)
{
    size_t skip = from < s.len ? from : s.len;
    return skip == 0 ? s : (struct slice){s.at + skip, s.len - skip}; /* no NULL + 0 */
}

static inline struct slice slice_head(struct slice s, size_t len)
{
    return (struct slice){s.at, len < s.len ? len : s.len};
}

bool slice_eq_nocase(struct slice a, struct slice b); /* ASCII letters only */
int slice_cmp(struct slice a, struct slice b);        /* memcmp order, shorter first */

static inline bool slice_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes spaces and tabs off both ends. */
static inline struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && slice_is_blank(s.at[0]))
        s = (struct slice){s.at + 1, s.len - 1};
    while (s.len > 0 && slice_is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

/* Position of the first `c`, or s.len. */
size_t slice_find(struct slice s, char c);

/* Cuts the part before the first `sep` off the front of *rest and stores it in *part; without
 * `sep` the whole rest is the part. False when *rest was NULL (used up). */
bool slice_cut(struct slice *rest, char sep, struct slice *part);
