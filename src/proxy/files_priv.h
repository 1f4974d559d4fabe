/* files_priv.h - what the files of the local origin `files` share: its configuration, a file that
 * was found, and the body that sends one. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "http/range.h"
#include "io/beneath.h"
#include "proxy/exchange_priv.h"
#include <sys/stat.h>

enum {
    FILES_OPEN_MAX = 4096, /* per worker: files that are being sent */
    FILES_TRIES_MAX = 8,   /* index names, and names to try */
    FILE_PARTS_MAX = RANGES_MAX + 1,
    LISTING_MAX = 4096, /* entries on a page */
};

struct names {
    struct slice at[FILES_TRIES_MAX];
    unsigned count;
};

struct files_conf {
    struct slice root; /* NUL-terminated */
    struct names index, tries;
    bool browse, precompressed, hidden;
    int64_t links; /* enum beneath_links */
    int64_t max_age_ms;
    const struct hash_map *types; /* extension -> struct slice; NULL: only the built-in ones */
    /* as written; the fields above are made of them */
    struct slice index_words, try_words, types_file;
    bool spa;
};

enum found_kind { FOUND_FILE, FOUND_FOLDER /* to be listed */, FOUND_REDIRECT /* add a slash */ };

struct found {
    enum found_kind kind;
    int root, fd; /* descriptors; -1: none */
    struct stat st;
    struct slice name;   /* below the root, decoded, NUL-terminated */
    bool fallback;       /* not what was asked for: a name of `try` */
    struct slice coding; /* Content-Encoding of a precompressed sibling; empty: none */
};

/* files_find.c: what the path of the request means. The descriptors are the caller's also after an
 * error; found_release(). ERR_NOT_FOUND, ERR_FILE_DENIED, ERR_NO_DESCRIPTORS, ERR_IO. */
enum err files_find(struct exchange *x, const struct files_conf *c, struct found *f) MUST_CHECK;
/* Puts a sibling in its place that the client takes: name.br, .zst, .gz. */
enum err files_precompressed(struct exchange *x, const struct files_conf *c,
                             struct found *f) MUST_CHECK;
void found_release(struct found *f);
/* Answers as `files` does, but with ERR_NOT_FOUND for files whose name `refuses`. */
enum err files_serve_but(struct exchange *x, const struct files_conf *c,
                         bool (*refuses)(const void *ctx, struct slice name),
                         const void *ctx) MUST_CHECK;
enum err files_add_slash(struct exchange *x) MUST_CHECK; /* a redirect to the path with one */
enum err files_errno(int err); /* what a positive errno means to a client */
bool files_is_hidden(const struct files_conf *c, struct slice name);

/* A text, then bytes of the file. */
struct file_part {
    struct slice head;
    uint64_t at, left;
};

/* What is being sent; in the exchange's arena. */
struct file_body {
    struct exchange *x;
    int fd;
    struct stat st; /* when it was opened */
    struct timer again;
    unsigned waits;      /* for the same piece to come from the disk */
    bool begun;          /* the first round is over */
    struct text listing; /* owned; a part's head points into it */
    unsigned part, count;
    struct file_part parts[FILE_PARTS_MAX];
};

/* files_body.c: x->res_body is made by `f`. file_body_new() counts against FILES_OPEN_MAX and takes
 * over `fd` (-1: none): NULL when out of memory or over the limit, `fd` is still the caller's then.
 */
struct file_body *file_body_new(struct exchange *x, int fd, const struct stat *st);
void file_body_start(struct file_body *f);

/* files_list.c: the page of a folder. Takes over `fd`. */
enum err files_list(struct exchange *x, const struct files_conf *c, int fd,
                    struct text *out) MUST_CHECK;
