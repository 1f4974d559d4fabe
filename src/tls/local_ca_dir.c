/* local_ca_dir.c - the directory of the local authority.
 *
 * Whoever can write there can put an authority of his own in place, so it must belong to us (or
 * root) and be closed to others. Everything is opened relative to the directory's descriptor and
 * follows no link. A file is written beside its place, synced and renamed: there is no half of it.
 */
// SPDX-License-Identifier: Apache-2.0
#include "tls/local_ca_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_ours(const struct stat *st)
{
    return st->st_uid == geteuid() || st->st_uid == 0;
}

/* Its parents too, for everybody to enter; the directory itself for us alone. */
static bool make_dirs(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) {
        errno = len ? ENAMETOOLONG : ENOENT;
        return false;
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return false;
        part[i] = '/';
    }
    return mkdir(part, 0700) == 0 || errno == EEXIST;
}

static bool check_dir(int dir, const char *path, struct text *why)
{
    struct stat st;
    if (fstat(dir, &st) != 0)
        text_addf(why, "%s: %s", path, strerror(errno));
    else if (!is_ours(&st))
        text_addf(why, "%s belongs to another user (%u)", path, (unsigned)st.st_uid);
    else if (st.st_mode & 022)
        text_addf(why, "%s can be written by others: 'chmod 700 %s'", path, path);
    else
        return true;
    return false;
}

int ca_dir_open(const char *path, struct text *why)
{
    int dir = make_dirs(path) ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (dir < 0)
        text_addf(why, "%s: %s", path, strerror(errno));
    else if (check_dir(dir, path, why))
        return dir;
    if (dir >= 0)
        close(dir);
    return -1;
}

int ca_dir_lock(int dir, struct text *why)
{
    int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int failed;
    do
        failed = fd < 0 || flock(fd, LOCK_EX);
    while (failed && fd >= 0 && errno == EINTR);
    if (!failed)
        return fd;
    text_addf(why, "its lock file: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool check_file(int fd, const char *name, enum ca_file kind, size_t *len, struct text *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        text_addf(why, "%s: %s", name, strerror(errno));
    else if (!S_ISREG(st.st_mode) || st.st_size > LOCAL_CA_FILE_BYTES_MAX)
        text_addf(why, "%s is no file of at most %d bytes", name, LOCAL_CA_FILE_BYTES_MAX);
    else if (!is_ours(&st))
        text_addf(why, "%s belongs to another user (%u)", name, (unsigned)st.st_uid);
    else if (kind == CA_FILE_SECRET && (st.st_mode & 077))
        text_addf(why,
                  "%s holds a key but is open to others: make a new authority (remove the "
                  "directory), or 'chmod 600' it if nobody has seen it",
                  name);
    else {
        *len = (size_t)st.st_size;
        return true;
    }
    return false;
}

static bool read_bytes(int fd, size_t len, struct text *out)
{
    text_reserve(out, len);
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, out->at + out->len, len - got);
        if (n < 0)
            return false;
        if (n == 0) /* it became shorter */
            break;
        out->len += (size_t)n;
        out->at[out->len] = '\0';
        got += (size_t)n;
    }
    return true;
}

enum ca_read ca_dir_read(int dir, const char *name, enum ca_file kind, struct text *out,
                         struct text *why)
{
    size_t len;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return CA_READ_NONE;
    if (fd < 0) {
        text_addf(why, "%s: %s", name, strerror(errno));
        return CA_READ_FAILED;
    }
    bool ok = check_file(fd, name, kind, &len, why);
    if (ok && !read_bytes(fd, len, out)) {
        text_addf(why, "%s: %s", name, strerror(errno));
        ok = false;
    }
    close(fd);
    return ok ? CA_READ_OK : CA_READ_FAILED;
}

static bool write_bytes(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0)
            return false;
        bytes = slice_from(bytes, (size_t)n);
    }
    return fsync(fd) == 0;
}

/* Under the lock, so the name of the new file may be a fixed one. */
bool ca_dir_write(int dir, const char *name, enum ca_file kind, struct slice bytes,
                  struct text *why)
{
    char new[NAME_MAX];
    snprintf(new, sizeof new, ".%s.new", name);
    unlinkat(dir, new, 0);
    int fd = openat(dir, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && (kind == CA_FILE_SECRET || fchmod(fd, 0644) == 0) &&
              write_bytes(fd, bytes) && renameat(dir, new, dir, name) == 0 && fsync(dir) == 0;
    if (!ok)
        text_addf(why, "%s: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!ok)
        unlinkat(dir, new, 0);
    return ok;
}
