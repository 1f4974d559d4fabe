/* files_find.c - from the path of a request to an open file below the root.
 *
 * The path is decoded once, and only the kernel walks it (io/beneath.h): there is no check here
 * that a rename could outrun. A file is opened once (files_open.c); what is said about it comes
 * from its descriptor. Opening and looking up names are ordinary system calls: on a slow disk they
 * block the worker. */
// SPDX-License-Identifier: Apache-2.0
#include "http/coding.h"
#include "proxy/files_priv.h"
#include <errno.h>
#include <unistd.h>

enum err files_errno(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
    case ENXIO: return ERR_NOT_FOUND;
    case EACCES:
    case EPERM: return ERR_FILE_DENIED;
    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTORS;
    default: return ERR_IO;
    }
}

void found_release(struct found *f)
{
    open_file_drop(f->file);
    f->file = NULL;
    if (f->root >= 0)
        close(f->root);
    f->root = -1;
}

/* Names that begin with a dot are nobody's business, but for /.well-known/ (RFC 8615). */
bool files_is_hidden(const struct files_conf *c, struct slice name)
{
    struct slice part, rest = name;
    bool first = true;
    while (!c->hidden && slice_cut(&rest, '/', &part)) {
        if (slice_starts(part, SLICE(".")) && !(first && slice_eq(part, SLICE(".well-known"))))
            return true;
        first = false;
    }
    return false;
}

/* The path without its slash and escapes. An escaped slash would name a file that no route saw;
 * such a name does not exist. */
static enum err path_decode(struct exchange *x, const struct files_conf *c, struct slice path,
                            struct slice *name)
{
    for (size_t i = 0; i + 2 < path.len; i++)
        if (path.at[i] == '%' && path.at[i + 1] == '2' && (path.at[i + 2] | 0x20) == 'f')
            return ERR_NOT_FOUND;
    struct slice decoded = uri_decode(&x->arena, path);
    while (slice_starts(decoded, SLICE("/")))
        decoded = slice_from(decoded, 1);
    *name = decoded.at ? arena_dup(&x->arena, decoded) : SLICE_NONE;
    if (!name->at)
        return ERR_OVER_BUDGET;
    if (slice_find(*name, '\0') < name->len || files_is_hidden(c, *name))
        return ERR_NOT_FOUND;
    return ERR_OK;
}

/* f->file: a file or folder. */
static enum err name_open(struct exchange *x, const struct files_conf *c, struct found *f,
                          struct slice name)
{
    open_file_drop(f->file);
    f->file = NULL;
    TRY(open_file_take(x->worker, c, &f->root, name, MISSING_IS_ASKED_AGAIN, &f->file));
    f->name = name;
    return ERR_OK;
}

static bool is_file(const struct open_file *f)
{
    return S_ISREG(f->st.st_mode);
}

static enum err index_find(struct exchange *x, const struct files_conf *c, struct found *f)
{
    struct slice folder = f->name;
    for (unsigned i = 0; i < c->index.count; i++) {
        struct slice name = ARENA_CONCAT(&x->arena, folder, c->index.at[i]);
        if (!name.at)
            return ERR_OVER_BUDGET;
        enum err e = name_open(x, c, f, name);
        if (e == ERR_OK && is_file(f->file))
            return ERR_OK;
        if (e != ERR_OK && e != ERR_NOT_FOUND)
            return e;
    }
    if (!c->browse)
        return ERR_NOT_FOUND;
    TRY(name_open(x, c, f, folder));
    f->kind = FOUND_FOLDER;
    return ERR_OK;
}

static enum err path_find(struct exchange *x, const struct files_conf *c, struct slice path,
                          struct found *f)
{
    struct slice name;
    f->kind = FOUND_FILE;
    TRY(path_decode(x, c, path, &name));
    TRY(name_open(x, c, f, name));
    if (is_file(f->file))
        return ERR_OK;
    if (slice_ends(path, SLICE("/")))
        return index_find(x, c, f);
    f->kind = FOUND_REDIRECT;
    return ERR_OK;
}

/* A name of `try` is a file of the root, or an ending for the path that was asked for. */
static enum err try_find(struct exchange *x, const struct files_conf *c, struct slice word,
                         struct found *f)
{
    struct slice path = word;
    f->fallback = slice_starts(word, SLICE("/"));
    if (!f->fallback) {
        if (slice_ends(x->forward_path, SLICE("/")))
            return ERR_NOT_FOUND;
        path = ARENA_CONCAT(&x->arena, x->forward_path, word);
    }
    return path.at ? path_find(x, c, path, f) : ERR_OVER_BUDGET;
}

enum err files_find(struct exchange *x, const struct files_conf *c, struct found *f)
{
    struct slice hidden;
    *f = (struct found){.root = -1};
    enum err e = path_find(x, c, x->forward_path, f);
    if (e == ERR_NOT_FOUND && c->tries.count > 0)
        TRY(path_decode(x, c, x->forward_path, &hidden)); /* what is hidden has no stand-in */
    for (unsigned i = 0; e == ERR_NOT_FOUND && i < c->tries.count; i++)
        e = try_find(x, c, c->tries.at[i], f);
    return e;
}

/* --- precompressed siblings ------------------------------------------------------------------- */

/* In order of our preference among equal weights: size. */
static const uint8_t OFFERED[] = {CODING_BR, CODING_ZSTD, CODING_GZIP};
static const struct slice ENDINGS[CODING_COUNT] = {[CODING_BR] = SLICE_INIT(".br"),
                                                   [CODING_ZSTD] = SLICE_INIT(".zst"),
                                                   [CODING_GZIP] = SLICE_INIT(".gz")};

/* One that is older than the file itself was forgotten when that changed. */
static bool sibling_open(struct exchange *x, const struct files_conf *c, struct found *f,
                         enum coding coding, enum err *e)
{
    struct open_file *s = NULL;
    struct slice name = ARENA_CONCAT(&x->arena, f->name, ENDINGS[coding]);
    *e = name.at ? open_file_take(x->worker, c, &f->root, name, MISSING_IS_KEPT, &s)
                 : ERR_OVER_BUDGET;
    if (*e != ERR_OK || !is_file(s) || s->st.st_mtime < f->file->st.st_mtime) {
        open_file_drop(s);
        return false;
    }
    open_file_drop(f->file);
    f->file = s;
    f->coding = coding_name(coding);
    return true;
}

enum err files_precompressed(struct exchange *x, const struct files_conf *c, struct found *f)
{
    struct coding_weights w;
    enum coding coding;
    if (!headers_find(&x->req.headers, FIELD_ACCEPT_ENCODING))
        return ERR_OK;
    struct slice accept = headers_join(&x->req.headers, &x->arena, FIELD_ACCEPT_ENCODING);
    if (!accept.at)
        return ERR_OVER_BUDGET;
    coding_weights_parse(accept, &w);
    while ((coding = coding_choose(&w, OFFERED, COUNT_OF(OFFERED))) != CODING_IDENTITY) {
        enum err e = ERR_OK;
        if (sibling_open(x, c, f, coding, &e))
            return ERR_OK;
        if (e == ERR_OVER_BUDGET || e == ERR_NO_DESCRIPTORS)
            return e;
        w.of[coding] = 0; /* there is none: the next best */
    }
    return ERR_OK;
}
