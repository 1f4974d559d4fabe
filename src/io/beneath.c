/* beneath.c - openat2() with RESOLVE_BENEATH (Linux 5.6): the kernel walks the path and refuses
 * every step that would leave the folder, so that nothing can change between a check and its use.
 *
 * Where the call is missing, or filtered away, the path is walked here with O_NOFOLLOW, which is
 * stricter: no symbolic link is followed. ".." is refused by both. */
// SPDX-License-Identifier: Apache-2.0
#include "io/beneath.h"
#include "base/slice.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* While something is renamed the kernel may be unsure whether ".." in a link leaves the folder. */
enum { RACE_TRIES = 8 };

static bool climbs(const char *path)
{
    struct slice rest = slice_of(path), part;
    while (slice_cut(&rest, '/', &part))
        if (slice_eq(part, SLICE("..")))
            return true;
    return path[0] == '/';
}

/* One name, without slashes: behind one the last link of a path is followed whatever the flags say,
 * and in front of it the path is that of another root. */
static int step(int dir, struct slice part, int flags)
{
    char name[NAME_MAX + 1];
    if (part.len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, part.at, part.len);
    name[part.len] = '\0';
    int fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

static bool part_next(struct slice *rest, struct slice *part)
{
    while (slice_cut(rest, '/', part))
        if (part->len > 0)
            return true;
    return false;
}

int open_beneath_walk(int dir, const char *path, int flags)
{
    struct slice rest = slice_of(path), part, after;
    bool ends_in_slash = slice_ends(rest, SLICE("/"));
    int at = dir;
    if (climbs(path))
        return -EXDEV;
    if (!part_next(&rest, &part))
        part = SLICE(".");
    for (; part_next(&rest, &after); part = after) {
        int next = step(at, part, O_PATH | O_DIRECTORY);
        if (at != dir)
            close(at);
        if (next < 0)
            return next;
        at = next;
    }
    int fd = step(at, part, ends_in_slash ? flags | O_DIRECTORY : flags);
    if (at != dir)
        close(at);
    return fd;
}

static int open_any(int dir, const char *path, int flags)
{
    if (climbs(path))
        return -EXDEV;
    int fd = openat(dir, path, flags | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int open_beneath(int dir, const char *path, int flags, enum beneath_links links)
{
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    if (links == LINKS_ANY)
        return open_any(dir, path, flags);
    if (links == LINKS_NONE)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    long fd = -1;
    for (int i = 0; fd < 0 && i < RACE_TRIES && (i == 0 || errno == EAGAIN); i++)
        fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd >= 0)
        return (int)fd;
    if (errno == ENOSYS || errno == EPERM) /* EPERM: what filters of system calls answer */
        return open_beneath_walk(dir, path, flags);
    return errno == EAGAIN ? -EXDEV : -errno;
}
