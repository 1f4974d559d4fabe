/* ban_keeper.c - see ban_keeper.h. The file is named after the configuration's path, since several
 * weirs may share a state folder, and appears whole: written beside, synced, renamed. A fork is the
 * snapshot that the child writes from. */
// SPDX-License-Identifier: Apache-2.0
#include "main/ban_keeper.h"
#include "base/hash.h"
#include "base/log.h"
#include "main/authority.h"
#include "main/bundle.h"
#include "main/handover.h"
#include "main/supervisor_priv.h"
#include "tls/kept_secret.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITE_MS = 10 * 1000, NAME_BYTES = 40 };

static const size_t FILE_BYTES_MAX = (size_t)BANS_MAX * BAN_LINE_BYTES;

static struct ban_clocks clocks(void)
{
    return (struct ban_clocks){supervisor_now_ms(), supervisor_unix_ms()};
}

static void put(void *ctx, const struct ban *b)
{
    (void)bans_put(b, *(const int64_t *)ctx);
}

static bool put_all(struct slice lines)
{
    int64_t now_ms = supervisor_now_ms();
    return ban_lines_read(lines, clocks(), put, &now_ms);
}

struct lines {
    struct text text;
    struct ban_clocks clocks;
};

static void line_add(void *ctx, const struct ban *b)
{
    struct lines *l = ctx;
    ban_line_write(&l->text, b, l->clocks);
}

static void write_all(struct text *to)
{
    struct lines l = {.clocks = clocks()};
    text_init(&l.text);
    bans_each_known(line_add, &l);
    *to = l.text;
}

/* ---- the file ---- */

static void file_name(const struct ban_keeper *k, char to[NAME_BYTES])
{
    char full[PATH_MAX];
    const char *path = realpath(k->config_path, full) ? full : k->config_path;
    snprintf(to, NAME_BYTES, "bans-%016llx", (unsigned long long)hash_fast(slice_of(path), 0));
}

static bool write_bytes(int fd, struct slice s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.at, s.len);
        if (n < 0 && errno != EINTR)
            return false;
        s = slice_from(s, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd) == 0;
}

static bool file_replace(int dir, const char *name, struct slice bytes)
{
    char fresh[NAME_BYTES + 8];
    snprintf(fresh, sizeof fresh, "%s.new", name);
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, fresh, flags, 0600);
    bool ok = fd >= 0 && write_bytes(fd, bytes) && renameat(dir, fresh, dir, name) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return ok;
}

static bool file_write(const struct ban_keeper *k)
{
    char name[NAME_BYTES];
    struct text path, why, all;
    text_init(&path);
    text_init(&why);
    write_all(&all);
    file_name(k, name);
    int dir = authority_dir(&path, &why) ? kept_dir_open(path.at, &why) : -1;
    bool ok = dir >= 0 && file_replace(dir, name, text_slice(&all));
    if (!ok && dir >= 0)
        text_addf(&why, "%s/%s: %s", path.at, name, strerror(errno));
    if (!ok && !k->failed)
        log_write(LOG_WARN_, "bans will not outlive this process: %s", why.at ? why.at : "");
    if (dir >= 0)
        close(dir);
    text_release(&path);
    text_release(&why);
    text_release(&all);
    return ok;
}

static bool read_bytes(int fd, struct text *to)
{
    char part[16384];
    ssize_t n;
    while ((n = read(fd, part, sizeof part)) > 0 && to->len < FILE_BYTES_MAX)
        text_add(to, (struct slice){part, (size_t)n});
    return n == 0;
}

/* -1: there is none, or it is not ours. */
static int file_open(const struct ban_keeper *k)
{
    char name[NAME_BYTES];
    struct text path, why;
    struct stat st;
    text_init(&path);
    text_init(&why);
    file_name(k, name);
    int dir = authority_dir(&path, &why) ? open(path.at, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    int fd = dir >= 0 ? openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())) {
        close(fd);
        fd = -1;
    }
    if (dir >= 0)
        close(dir);
    text_release(&path);
    text_release(&why);
    return fd;
}

static void write_later(struct ban_keeper *k)
{
    if (k->config_path && !k->write_at_ms)
        k->write_at_ms = supervisor_now_ms() + WRITE_MS;
}

void ban_keeper_init(struct ban_keeper *k, const char *config_path)
{
    *k = (struct ban_keeper){.config_path = config_path};
}

void ban_keeper_load(struct ban_keeper *k)
{
    struct text bytes;
    int fd = k->config_path ? file_open(k) : -1;
    if (fd < 0)
        return;
    text_init(&bytes);
    if (!read_bytes(fd, &bytes) || !put_all(text_slice(&bytes)))
        log_write(LOG_WARN_, "the file with the bans of the last run is damaged");
    text_release(&bytes);
    close(fd);
}

/* ---- changes ---- */

void ban_keeper_inherited(struct ban_keeper *k)
{
    int fd = k->config_path ? file_open(k) : -1;
    if (fd < 0)
        return;
    close(fd);
    write_later(k); /* what was lifted last may still stand in it */
}

void ban_keeper_take(struct ban_keeper *k, struct slice lines)
{
    if (!put_all(lines))
        log_write(LOG_ERROR_, "the worker process tells of bans that make no sense");
    write_later(k);
}

void ban_keeper_take_all(struct ban_keeper *k, int fd)
{
    struct bundle b;
    if (!bundle_open(&b, fd))
        return;
    ban_keeper_take(k, b.bytes);
    bundle_release(&b);
}

/* Without memory for them the other process begins without bans. */
bool ban_keeper_send(int channel)
{
    struct text all;
    if (!bans_any())
        return true;
    write_all(&all);
    struct handover m = {.kind = HANDOVER_BANS, .fds = {bundle_seal(&all)}, .fd_count = 1};
    text_release(&all);
    if (m.fds[0] < 0)
        return true;
    bool sent = handover_send(channel, &m);
    close(m.fds[0]);
    return sent;
}

/* ---- writing ---- */

static void child_run(const struct ban_keeper *k)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(file_write(k) ? 0 : 1);
}

void ban_keeper_run(struct ban_keeper *k, int64_t now_ms)
{
    if (!k->write_at_ms || now_ms < k->write_at_ms || k->writer)
        return;
    k->write_at_ms = 0;
    pid_t pid = fork();
    if (pid == 0)
        child_run(k);
    if (pid > 0)
        k->writer = pid;
    else
        write_later(k);
}

/* What could not be written is tried again with the next change. */
void ban_keeper_written(struct ban_keeper *k, int status)
{
    k->writer = 0;
    k->failed = !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void ban_keeper_end(struct ban_keeper *k)
{
    if (k->writer)
        (void)waitpid(k->writer, NULL, 0);
    if (k->write_at_ms)
        (void)file_write(k);
    k->write_at_ms = 0;
}
