/* files_open.c - opens the files of `files`, and keeps those that were used a moment ago.
 *
 * A file that is asked for again within a second costs one fstat() instead of a walk along its
 * path: its descriptor, the facts about it and the texts of its fields are kept, and so is that
 * there is no precompressed sibling. What was written, replaced, renamed or deleted shows in its
 * change time at once; that a folder or a symbolic link above it now leads elsewhere is seen after
 * that second, when the path is walked again. Paths are always walked by the kernel, below the
 * root.
 *
 * Each worker keeps FILES_KEPT_MAX at most. Who is full gives up one that was not used since it was
 * looked at last (the clock algorithm), so that a scan of many files does not push out hot ones. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/date.h"
#include "base/hash.h"
#include "proxy/files_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    KEPT_MS = 1000,
    KEY_MAX_BYTES = 1024,
    DESCRIPTORS_SHARE =
        16, /* of those that may be open, one in so many is for files that are kept */
    /* O_NONBLOCK: a FIFO must not hold up the worker; it is refused once it is known to be one. */
    READ_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY,
};

struct file_cache {
    struct worker *w;
    struct timer sweep;
    struct hash_map map;
    unsigned max, count, hand;
    struct open_file *at[FILES_KEPT_MAX]; /* NULL: free */
};

/* --- one file --------------------------------------------------------------------------------- */

void open_file_drop(struct open_file *f)
{
    if (!f || --f->refs > 0)
        return;
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

/* Time and size make the tag, as everywhere. */
static void texts_make(struct open_file *f)
{
    uint64_t ns = (uint64_t)f->st.st_mtim.tv_sec * 1000000000u + (uint64_t)f->st.st_mtim.tv_nsec;
    int len = snprintf(f->etag, sizeof f->etag, "\"%llx-%llx", (unsigned long long)ns,
                       (unsigned long long)f->st.st_size);
    f->etag_len = (uint8_t)len;
    date_write_http(f->modified, f->st.st_mtim.tv_sec);
}

static enum err facts_read(struct open_file *f)
{
    if (fstat(f->fd, &f->st) != 0)
        return ERR_IO;
    if (S_ISREG(f->st.st_mode))
        texts_make(f);
    return S_ISREG(f->st.st_mode) || S_ISDIR(f->st.st_mode) ? ERR_OK : ERR_NOT_FOUND;
}

static struct open_file *file_new(struct slice key)
{
    struct open_file *f = malloc(sizeof *f + key.len);
    if (!f)
        return NULL;
    *f = (struct open_file){.refs = 1, .fd = -1, .key = {f->key_bytes, key.len}};
    memcpy(f->key_bytes, key.at, key.len);
    return f;
}

static enum err root_open(const struct files_conf *c, int *root)
{
    if (*root < 0)
        *root = open(c->root.at, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *root >= 0 ? ERR_OK : files_errno(errno);
}

static enum err file_open(const struct files_conf *c, int *root, struct slice name,
                          struct open_file *f)
{
    TRY(root_open(c, root));
    int fd =
        open_beneath(*root, name.len ? name.at : ".", READ_FLAGS, (enum beneath_links)c->links);
    if (fd < 0)
        return files_errno(-fd);
    f->fd = fd;
    enum err e = facts_read(f);
    if (e == ERR_OK)
        return ERR_OK;
    close(fd);
    f->fd = -1;
    return e;
}

/* --- those that are kept ---------------------------------------------------------------------- */

static void forget(struct file_cache *k, unsigned i)
{
    struct open_file *f = k->at[i];
    k->at[i] = NULL;
    k->count--;
    hash_map_remove(&k->map, f->key);
    open_file_drop(f);
}

static void forget_file(struct file_cache *k, const struct open_file *f)
{
    ASSERT(k->at[f->slot] == f);
    forget(k, f->slot);
}

/* What nobody asks for is closed, so that the space of a deleted file comes back. */
static void on_sweep(struct timer *t)
{
    struct file_cache *k = CONTAINER_OF(t, struct file_cache, sweep);
    struct loop *l = &k->w->loop;
    for (unsigned i = 0; i < k->max; i++)
        if (k->at[i] && k->at[i]->until_ms <= l->now_ms)
            forget(k, i);
    if (k->count > 0)
        timer_set(&l->timers, t, l->now_ms + KEPT_MS);
}

static unsigned kept_max(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur / DESCRIPTORS_SHARE >= FILES_KEPT_MAX)
        return FILES_KEPT_MAX;
    return (unsigned)(r.rlim_cur / DESCRIPTORS_SHARE);
}

static struct file_cache *cache_of(struct worker *w)
{
    if (w->file_cache)
        return w->file_cache;
    struct file_cache *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->w = w;
    k->max = kept_max();
    hash_map_init(&k->map);
    timer_init(&k->sweep, on_sweep);
    return w->file_cache = k;
}

static void forget_all(struct file_cache *k)
{
    for (unsigned i = 0; i < k->max; i++)
        if (k->at[i])
            forget(k, i);
}

void file_cache_release(struct worker *w)
{
    struct file_cache *k = w->file_cache;
    if (!k)
        return;
    forget_all(k);
    timer_stop(&w->loop.timers, &k->sweep);
    hash_map_release(&k->map);
    free(k);
    w->file_cache = NULL;
}

unsigned file_cache_count(const struct file_cache *k)
{
    return k->count;
}

bool file_cache_has(const struct file_cache *k, const char *name)
{
    for (unsigned i = 0; i < k->max; i++)
        if (k->at[i] && slice_ends(k->at[i]->key, slice_of(name)))
            return true;
    return false;
}

/* The next place that is free; when none is, the clock's hand makes one. */
static unsigned place_find(struct file_cache *k)
{
    for (;;) {
        unsigned i = k->hand++ % k->max;
        struct open_file *f = k->at[i];
        if (!f)
            return i;
        if (k->count < k->max)
            continue;
        if (!f->used) {
            forget(k, i);
            return i;
        }
        f->used = false;
    }
}

static void keep(struct file_cache *k, struct open_file *f)
{
    struct loop *l = &k->w->loop;
    if (!hash_map_reserve(&k->map))
        return;
    f->slot = (uint16_t)place_find(k);
    f->until_ms = l->now_ms + KEPT_MS;
    f->refs++;
    k->at[f->slot] = f;
    hash_map_put(&k->map, f->key, f);
    if (k->count++ == 0)
        timer_set(&l->timers, &k->sweep, l->now_ms + KEPT_MS);
}

/* The change time tells of new bytes, another name and fewer names. */
static bool is_as_it_was(const struct open_file *f)
{
    struct stat now;
    return f->fd < 0 ||
           (fstat(f->fd, &now) == 0 && now.st_ctim.tv_sec == f->st.st_ctim.tv_sec &&
            now.st_ctim.tv_nsec == f->st.st_ctim.tv_nsec && now.st_size == f->st.st_size);
}

static struct open_file *kept_find(struct file_cache *k, struct slice key)
{
    struct open_file *f = hash_map_find(&k->map, key);
    if (!f)
        return NULL;
    if (f->until_ms <= k->w->loop.now_ms || !is_as_it_was(f)) {
        forget_file(k, f);
        return NULL;
    }
    f->used = true;
    f->refs++;
    return f;
}

/* What the answer depends on. Empty: too long, not kept. */
static struct slice key_make(const struct files_conf *c, struct slice name, char *to)
{
    size_t len = c->root.len + 1 + name.len;
    if (len > KEY_MAX_BYTES)
        return SLICE("");
    memcpy(to, c->root.at, c->root.len);
    to[c->root.len] = (char)c->links; /* no byte of a path: they end before */
    memcpy(to + c->root.len + 1, name.at, name.len);
    return (struct slice){to, len};
}

/* What may be kept: a file, a folder, or that there is no sibling. */
static bool is_lasting(enum err e, enum if_missing missing)
{
    return e == ERR_OK || (e == ERR_NOT_FOUND && missing == MISSING_IS_KEPT);
}

/* Descriptors that are only kept make way. */
static struct open_file *open_anew(struct file_cache *k, const struct files_conf *c, int *root,
                                   struct slice name, struct slice key)
{
    struct open_file *f = file_new(key);
    if (!f)
        return NULL;
    f->err = (uint8_t)file_open(c, root, name, f);
    if (f->err == ERR_NO_DESCRIPTORS && k && k->count > 0) {
        forget_all(k);
        f->err = (uint8_t)file_open(c, root, name, f);
    }
    return f;
}

enum err open_file_take(struct worker *w, const struct files_conf *c, int *root, struct slice name,
                        enum if_missing missing, struct open_file **out)
{
    char bytes[KEY_MAX_BYTES];
    struct slice key = key_make(c, name, bytes);
    struct file_cache *k = key.len > 0 ? cache_of(w) : NULL;
    struct open_file *f = k && k->max > 0 ? kept_find(k, key) : NULL;
    if (!f) {
        f = open_anew(k, c, root, name, key);
        if (!f)
            return ERR_NO_MEMORY;
        if (k && k->max > 0 && is_lasting(f->err, missing))
            keep(k, f);
    }
    if (f->err == ERR_OK) {
        *out = f;
        return ERR_OK;
    }
    enum err e = f->err;
    open_file_drop(f);
    return e;
}
