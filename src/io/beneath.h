/* beneath.h - opens a file below a folder, whatever its path says and whoever changes the folder at
 * the same time. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

enum beneath_links {
    LINKS_INSIDE, /* symbolic links are followed while they stay below; absolute ones do not */
    LINKS_NONE,   /* a symbolic link anywhere in the path is refused */
    LINKS_ANY,    /* links may lead out; ".." may not */
};

/* `path` is relative to the descriptor `dir`; "." is the folder itself. `flags` are those of
 * open(); O_CLOEXEC is added. Returns a descriptor or a negative errno: -ELOOP and -EXDEV for links
 * that the policy refuses. A kernel without openat2() follows no link at all unless LINKS_ANY. */
int open_beneath(int dir, const char *path, int flags, enum beneath_links links);

/* What such a kernel gets: one step at a time. Exposed for tests. */
int open_beneath_walk(int dir, const char *path, int flags);
