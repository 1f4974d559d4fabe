/* source.c - files, patterns and environment variables of the system, as the reader asks for them.
 *
 * Files are opened without blocking, so that a pipe or device named by mistake cannot stall a
 * reload: whatever is not a regular file is refused. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/source.h"
#include "conf/directive.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *read_all(int fd, size_t max_bytes, struct text *out)
{
    char part[16384];
    for (;;) {
        ssize_t got = read(fd, part, sizeof(part));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return strerror(errno);
        if (got == 0)
            return NULL;
        if ((size_t)got > max_bytes - out->len)
            return "it is too large";
        text_add(out, (struct slice){part, (size_t)got});
    }
}

static const char *system_load(const struct conf_source *s, const char *path, size_t max_bytes,
                               struct text *out)
{
    (void)s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return strerror(errno);
    struct stat st;
    const char *why = NULL;
    if (fstat(fd, &st) < 0)
        why = strerror(errno);
    else if (S_ISDIR(st.st_mode))
        why = "it is a folder";
    else if (!S_ISREG(st.st_mode))
        why = "it is not a regular file";
    else
        why = read_all(fd, max_bytes, out);
    close(fd);
    return why;
}

static void system_glob(const struct conf_source *s, const char *pattern,
                        void (*found)(void *ctx, const char *path), void *ctx)
{
    (void)s;
    glob_t g = {0};
    if (glob(pattern, 0, NULL, &g) == 0) {
        for (size_t i = 0; i < g.gl_pathc; i++)
            found(ctx, g.gl_pathv[i]);
    }
    globfree(&g);
}

static const char *system_env(const struct conf_source *s, const char *name)
{
    (void)s;
    return getenv(name);
}

const struct conf_source conf_source_system = {
    .load = system_load, .glob = system_glob, .env = system_env};

static const char *no_load(const struct conf_source *s, const char *path, size_t max_bytes,
                           struct text *out)
{
    (void)s, (void)path, (void)max_bytes, (void)out;
    return strerror(ENOENT);
}

static void no_glob(const struct conf_source *s, const char *pattern,
                    void (*found)(void *ctx, const char *path), void *ctx)
{
    (void)s, (void)pattern, (void)found, (void)ctx;
}

static const char *no_env(const struct conf_source *s, const char *name)
{
    (void)s, (void)name;
    return NULL;
}

const struct conf_source conf_source_nothing = {.load = no_load, .glob = no_glob, .env = no_env};

const char *conf_load_file(const struct conf_build *b, const char *path, size_t max_bytes,
                           struct text *out)
{
    const struct conf_source *s = b->source ? b->source : &conf_source_system;
    return s->load(s, path, max_bytes, out);
}

bool conf_need_file(const struct conf_build *b, struct conf_pos pos, const char *path,
                    size_t max_bytes, struct text *out)
{
    const char *why = conf_load_file(b, path, max_bytes, out);
    if (why)
        diag_error(b->diag, pos, "cannot read %s: %s", path, why);
    return !why;
}

const char *conf_file_path(const struct conf_build *b, struct conf_pos pos, struct slice name)
{
    return conf_path_from(b->arena, pos.file ? pos.file->path : "", name).at;
}
