/* source.h - where the files and variables of a configuration come from: the system, a copy that
 * was taken earlier (main/bundle.h), or a test's table. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/tree.h"
#include <stdint.h>

enum { CONF_SECRET_BYTES = 32 };

struct conf_source {
    /* Appends the file's bytes to `out`. Returns NULL, or why it could not, for people. */
    const char *(*load)(const struct conf_source *s, const char *path, size_t max_bytes,
                        struct text *out);
    /* Calls `found` with each path that matches, in sorted order. */
    void (*glob)(const struct conf_source *s, const char *pattern,
                 void (*found)(void *ctx, const char *path), void *ctx);
    const char *(*env)(const struct conf_source *s, const char *name); /* NULL: not set */
    void *ctx;
    /* A certificate for these names from the local CA, as PEM texts: added to *cert and *key.
     * Returns NULL, or why there is none. The function may be missing: there is no local CA. */
    const char *(*issue)(const struct conf_source *s, const struct slice *names, uint32_t count,
                         struct text *cert, struct text *key);
    /* Random bytes that this installation made once and keeps. Returns NULL, or why there are none.
     * The function may be missing: none are kept. */
    const char *(*secret)(const struct conf_source *s, uint8_t out[CONF_SECRET_BYTES]);
    /* The files are only collected: whether their contents are any good is told by whoever builds
     * from them. Which files are wanted must not depend on it. */
    bool skims;
};

extern const struct conf_source conf_source_system;
extern const struct conf_source conf_source_nothing; /* no file exists, no variable is set */

/* As conf_read(), with the files of `source`. */
struct conf_tree *conf_read_from(const struct conf_source *source, struct arena *a, struct diag *d,
                                 const char *path, struct slice text);

/* The file `name` as seen from the file `from`: relative names start in its folder. NUL-terminated.
 */
struct slice conf_path_from(struct arena *a, const char *from, struct slice name);

/* The path of a file that the directive at `pos` names. */
struct conf_build;
const char *conf_file_path(const struct conf_build *b, struct conf_pos pos, struct slice name);
/* A file that a directive names, for apply() functions: through b->source, so that a process which
 * may not open it itself gets it, too. NULL, or why not. */
const char *conf_load_file(const struct conf_build *b, const char *path, size_t max_bytes,
                           struct text *out);
/* The same; false after an error at `pos`. */
bool conf_need_file(const struct conf_build *b, struct conf_pos pos, const char *path,
                    size_t max_bytes, struct text *out);
