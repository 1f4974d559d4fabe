/* users.h - names and the hashes of their passwords, as files of htpasswd(1) have them.
 *
 * A line is NAME:HASH; empty ones and those that begin with '#' are skipped. All is in the arena
 * given to users_gather_finish(), but for hashes, which are copied there too. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include <stdbool.h>

enum { USERS_MAX = 1000000 };

struct user {
    struct slice name;
    const char *hash; /* NUL-terminated */
};

struct users {
    const struct user *list; /* by name */
    uint32_t count;
};

/* Zeroed: empty. */
struct users_gather {
    struct user *list; /* on the heap */
    uint32_t count, cap;
};

/* What is wrong, for people; never with the hash in it. */
struct users_error {
    uint32_t line;     /* of a file; 0: none */
    struct slice name; /* whose; may be empty */
    const char *why, *hint;
};

bool users_gather_add(struct users_gather *g, struct arena *a, struct slice name, struct slice hash,
                      struct users_error *e);
bool users_gather_read(struct users_gather *g, struct arena *a, struct slice text,
                       struct users_error *e);
/* False: a name is there twice. */
bool users_gather_finish(struct users_gather *g, struct arena *a, struct users *out,
                         struct users_error *e);
void users_gather_release(struct users_gather *g);

const struct user *users_find(const struct users *u, struct slice name); /* NULL: none */
/* Whose hash takes the place of an unknown user's, so that nobody sees by the time that it takes
 * that there is none: the same one for the same name. There is at least one. */
const struct user *users_decoy(const struct users *u, struct slice name);
