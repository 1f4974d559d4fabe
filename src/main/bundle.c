/* bundle.c - see bundle.h. Entries stand one after the other: two numbers, two lengths, then name
 * and body, each with a NUL so that they can be used in place. */
// SPDX-License-Identifier: Apache-2.0
#include "main/bundle.h"
#include "base/mem.h"
#include "main/authority.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry_head {
    uint32_t kind, number;
    uint64_t name_len, body_len;
};

void bundle_add(struct text *to, const struct bundle_entry *e)
{
    struct entry_head h = {e->kind, e->number, e->name.len, e->body.len};
    text_add(to, (struct slice){(const char *)&h, sizeof h});
    text_add(to, e->name);
    text_add(to, (struct slice){"", 1});
    text_add(to, e->body);
    text_add(to, (struct slice){"", 1});
}

/* ---- the recorder ---- */

static void record(const struct conf_source *s, uint32_t kind, const char *name, struct slice body)
{
    bundle_add(s->ctx, &(struct bundle_entry){kind, 0, slice_of(name), body});
}

static const char *recorder_load(const struct conf_source *s, const char *path, size_t max_bytes,
                                 struct text *out)
{
    size_t before = out->len;
    const char *why = conf_source_system.load(&conf_source_system, path, max_bytes, out);
    if (why)
        record(s, BUNDLE_UNREAD, path, slice_of(why));
    else
        record(s, BUNDLE_FILE, path, slice_from(text_slice(out), before));
    return why;
}

struct match {
    const struct conf_source *source;
    const char *pattern;
};

static void on_match(void *ctx, const char *path)
{
    const struct match *m = ctx;
    record(m->source, BUNDLE_MATCH, m->pattern, slice_of(path));
}

/* All matches stand together, before what the files themselves ask for. */
static void recorder_glob(const struct conf_source *s, const char *pattern,
                          void (*found)(void *ctx, const char *path), void *ctx)
{
    struct match m = {s, pattern};
    conf_source_system.glob(&conf_source_system, pattern, on_match, &m);
    conf_source_system.glob(&conf_source_system, pattern, found, ctx);
}

static const char *system_env(const struct conf_source *s, const char *name)
{
    (void)s;
    return conf_source_system.env(&conf_source_system, name);
}

/* Names have no blanks. */
static void names_join(struct text *to, const struct slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        text_addf(to, "%s%.*s", i > 0 ? " " : "", SLICE_ARG(names[i]));
}

static const char *recorder_issue(const struct conf_source *s, const struct slice *names,
                                  uint32_t count, struct text *cert, struct text *key)
{
    struct text id;
    size_t cert_at = cert->len, key_at = key->len;
    text_init(&id);
    names_join(&id, names, count);
    const char *why = authority_issue(s, names, count, cert, key);
    if (why) {
        record(s, BUNDLE_UNISSUED, id.at, slice_of(why));
    } else {
        record(s, BUNDLE_ISSUED, id.at, slice_from(text_slice(cert), cert_at));
        record(s, BUNDLE_ISSUED_KEY, id.at, slice_from(text_slice(key), key_at));
    }
    text_release(&id);
    return why;
}

static const char *recorder_secret(const struct conf_source *s, uint8_t out[CONF_SECRET_BYTES])
{
    const char *why = authority_secret(s, out);
    if (why)
        record(s, BUNDLE_NO_SECRET, "", slice_of(why));
    else
        record(s, BUNDLE_SECRET, "", (struct slice){(const char *)out, CONF_SECRET_BYTES});
    return why;
}

const struct conf_source bundle_recorder = {.load = recorder_load,
                                            .glob = recorder_glob,
                                            .env = system_env,
                                            .issue = recorder_issue,
                                            .secret = recorder_secret,
                                            .skims = true};

/* ---- the memory file ---- */

static bool write_all(int fd, struct slice s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.at, s.len);
        if (n < 0 && errno != EINTR)
            return false;
        s = slice_from(s, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* Sealed: a worker process that was taken over must not be able to change what the next one,
 * which starts with more rights, will read. */
int bundle_seal(const struct text *t)
{
    int fd = memfd_create("weir-configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (write_all(fd, text_slice(t)) && fcntl(fd, F_ADD_SEALS, seals) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

bool bundle_open(struct bundle *b, int fd)
{
    struct stat st;
    *b = (struct bundle){0};
    if (fstat(fd, &st) != 0)
        return false;
    if (st.st_size == 0)
        return true;
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return false;
    mem_keep_out_of_cores(at, (size_t)st.st_size); /* private keys among it */
    b->bytes = (struct slice){at, (size_t)st.st_size};
    return true;
}

void bundle_release(struct bundle *b)
{
    if (b->bytes.len)
        munmap((void *)b->bytes.at, b->bytes.len);
    b->bytes = SLICE_NONE;
}

/* ---- reading ---- */

/* Takes `len` bytes and a NUL off the front. */
static bool cut(struct slice *rest, uint64_t len, struct slice *out)
{
    if (len >= rest->len || rest->at[len] != '\0')
        return false;
    *out = (struct slice){rest->at, (size_t)len};
    *rest = (struct slice){rest->at + len + 1, rest->len - (size_t)len - 1};
    return true;
}

bool bundle_next(const struct bundle *b, size_t *at, struct bundle_entry *out)
{
    struct slice rest = slice_from(b->bytes, *at);
    struct entry_head h;
    if (rest.len < sizeof h)
        return false;
    memcpy(&h, rest.at, sizeof h);
    rest = slice_from(rest, sizeof h);
    *out = (struct bundle_entry){.kind = h.kind, .number = h.number};
    if (!cut(&rest, h.name_len, &out->name) || !cut(&rest, h.body_len, &out->body))
        return false;
    *at = b->bytes.len - rest.len;
    return true;
}

static bool is_file(const struct bundle_entry *e, const char *path)
{
    return (e->kind == BUNDLE_FILE || e->kind == BUNDLE_UNREAD) &&
           slice_eq(e->name, slice_of(path));
}

/* Files are asked for in the order in which they were recorded, so the search goes on where the
 * last one ended, once around. */
static bool file_find(struct bundle *b, const char *path, struct bundle_entry *out)
{
    size_t begin = b->next;
    for (size_t at = begin; bundle_next(b, &at, out);)
        if (is_file(out, path)) {
            b->next = at;
            return true;
        }
    for (size_t at = 0; at < begin && bundle_next(b, &at, out);)
        if (is_file(out, path))
            return true;
    return false;
}

static const char *replay_load(const struct conf_source *s, const char *path, size_t max_bytes,
                               struct text *out)
{
    struct bundle_entry e;
    if (!file_find(s->ctx, path, &e))
        return "the supervisor did not read it";
    if (e.kind == BUNDLE_UNREAD)
        return e.body.at;
    if (e.body.len > max_bytes)
        return "it is too large";
    text_add(out, e.body);
    return NULL;
}

static void replay_glob(const struct conf_source *s, const char *pattern,
                        void (*found)(void *ctx, const char *path), void *ctx)
{
    struct bundle_entry e;
    bool begun = false;
    for (size_t at = 0; bundle_next(s->ctx, &at, &e);) {
        bool mine = e.kind == BUNDLE_MATCH && slice_eq(e.name, slice_of(pattern));
        if (begun && !mine)
            return; /* the same pattern may stand twice in a configuration */
        begun = mine;
        if (mine)
            found(ctx, e.body.at);
    }
}

/* As files are, certificates are asked for in the order in which they were recorded; the key stands
 * right after. */
static bool issued_find(struct bundle *b, struct slice id, struct bundle_entry *out)
{
    size_t begin = b->next;
    for (int round = 0; round < 2; round++) {
        for (size_t at = round == 0 ? begin : 0; bundle_next(b, &at, out);) {
            bool is_it = out->kind == BUNDLE_ISSUED || out->kind == BUNDLE_UNISSUED;
            if (!is_it || !slice_eq(out->name, id))
                continue;
            b->next = at;
            return true;
        }
    }
    return false;
}

static const char *replay_issue(const struct conf_source *s, const struct slice *names,
                                uint32_t count, struct text *cert, struct text *key)
{
    struct bundle *b = s->ctx;
    struct bundle_entry e;
    struct text id;
    text_init(&id);
    names_join(&id, names, count);
    bool found = issued_find(b, text_slice(&id), &e);
    text_release(&id);
    if (!found)
        return "the supervisor did not make one";
    if (e.kind == BUNDLE_UNISSUED)
        return e.body.at;
    text_add(cert, e.body);
    size_t at = b->next;
    if (!bundle_next(b, &at, &e) || e.kind != BUNDLE_ISSUED_KEY)
        return "its key is missing";
    text_add(key, e.body);
    return NULL;
}

static const char *replay_secret(const struct conf_source *s, uint8_t out[CONF_SECRET_BYTES])
{
    struct bundle_entry e;
    for (size_t at = 0; bundle_next(s->ctx, &at, &e);) {
        if (e.kind == BUNDLE_NO_SECRET)
            return e.body.at;
        if (e.kind != BUNDLE_SECRET || e.body.len != CONF_SECRET_BYTES)
            continue;
        memcpy(out, e.body.at, CONF_SECRET_BYTES);
        return NULL;
    }
    return "the supervisor did not read it";
}

struct conf_source bundle_source(struct bundle *b)
{
    return (struct conf_source){.load = replay_load,
                                .glob = replay_glob,
                                .env = system_env,
                                .issue = replay_issue,
                                .secret = replay_secret,
                                .ctx = b};
}
