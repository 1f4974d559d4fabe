/* files_priv.h - what the files of the local origin `files` share: its configuration, a file that
 * was found, and the body that sends one. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/date.h"
#include "base/text.h"
#include "http/range.h"
#include "io/beneath.h"
#include "proxy/exchange_priv.h"
#include <sys/stat.h>

enum {
    FILES_OPEN_MAX = 4096, /* per worker: files that are being sent */
    FILES_KEPT_MAX = 512,  /* per worker: files that are kept open for the next request */
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

/* A file or folder that is open, shared by all of a worker's requests that ask for it. Counted. */
struct open_file {
    uint32_t refs;
    int fd;
    struct stat st; /* when it was opened */
    char etag[40];  /* with the opening quote, without the closing one */
    char modified[DATE_HTTP_BYTES];
    uint8_t etag_len;
    uint8_t err;   /* enum err: why there is none */
    bool used;     /* while it is kept: since the clock's hand passed */
    uint16_t slot; /* where it is kept */
    int64_t until_ms;
    struct slice key;
    char key_bytes[];
};

enum if_missing { MISSING_IS_ASKED_AGAIN, MISSING_IS_KEPT };

/* files_open.c: the file `name` below the root, counted for the caller: open_file_drop(). *root is
 * the root's descriptor or -1; opened when it is needed. ERR_NOT_FOUND, ERR_FILE_DENIED,
 * ERR_NO_DESCRIPTORS, ERR_NO_MEMORY, ERR_IO. */
enum err open_file_take(struct worker *w, const struct files_conf *c, int *root, struct slice name,
                        enum if_missing missing, struct open_file **out) MUST_CHECK;
static inline struct open_file *open_file_ref(struct open_file *f)
{
    f->refs++;
    return f;
}
void open_file_drop(struct open_file *f);              /* NULL: no effect */
unsigned file_cache_count(const struct file_cache *k); /* for tests, as the next */
bool file_cache_has(const struct file_cache *k, const char *name);

enum found_kind { FOUND_FILE, FOUND_FOLDER /* to be listed */, FOUND_REDIRECT /* add a slash */ };

struct found {
    enum found_kind kind;
    int root;               /* descriptor; -1: not needed so far */
    struct open_file *file; /* counted; NULL: none */
    struct slice name;      /* below the root, decoded, NUL-terminated */
    bool fallback;          /* not what was asked for: a name of `try` */
    struct slice coding;    /* Content-Encoding of a precompressed sibling; empty: none */
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
    struct open_file *file; /* counted; NULL: none, or closed again */
    struct buf *spans;      /* of the file, when bytes of it go out without a copy (io/file.h) */
    struct timer again;
    unsigned waits;      /* for the same piece to come from the disk */
    bool late;           /* begins with the step "relay" */
    bool begun;          /* the first round is over */
    struct text listing; /* owned; a part's head points into it */
    unsigned part, count;
    struct file_part parts[FILE_PARTS_MAX];
};

/* files_body.c: x->res_body is made by `f`. file_body_new() counts against FILES_OPEN_MAX and takes
 * a count of `file` (NULL: none). NULL when out of memory or over the limit. */
struct file_body *file_body_new(struct exchange *x, struct open_file *file);
void file_body_start(struct file_body *f);

/* files_list.c: the page of a folder. */
enum err files_list(struct exchange *x, const struct files_conf *c, int folder,
                    struct text *out) MUST_CHECK;
