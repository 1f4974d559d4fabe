/* users.c - see users.h. Once it is read it never changes: an array by name. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/users.h"
#include "auth/basic.h"
#include "auth/password.h"
#include "base/hash.h"
#include "base/mem.h"
#include <stdlib.h>

static bool wrong(struct users_error *e, struct slice name, const char *why, const char *hint)
{
    e->name = name;
    e->why = why;
    e->hint = hint;
    return false;
}

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f || s.at[i] == ':')
            return false;
    return s.len > 0 && s.len <= BASIC_USER_MAX;
}

bool users_gather_add(struct users_gather *g, struct arena *a, struct slice name, struct slice hash,
                      struct users_error *e)
{
    const char *hint, *why = password_hash_refused(hash, &hint);
    if (!is_name(name))
        return wrong(e, SLICE_NONE, "this is no user's name",
                     "it has 1 to 255 bytes, no colon and no controls");
    if (why)
        return wrong(e, name, why, hint);
    if (g->count == USERS_MAX)
        return wrong(e, name, "is one user too many", NULL);
    if (g->count == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 16;
        g->list = mem_grow(g->list, g->cap * sizeof *g->list);
    }
    struct user *u = &g->list[g->count++];
    *u = (struct user){arena_dup(a, name), arena_dup(a, hash).at};
    mem_must((void *)(u->name.at && u->hash ? u->hash : NULL), hash.len);
    return true;
}

static bool line_read(struct users_gather *g, struct arena *a, struct slice line,
                      struct users_error *e)
{
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    line = slice_trim(line);
    if (line.len == 0 || line.at[0] == '#')
        return true;
    size_t colon = slice_find(line, ':');
    if (colon == line.len)
        return wrong(e, SLICE_NONE, "NAME:HASH is due", "such lines are made by htpasswd -B");
    return users_gather_add(g, a, slice_head(line, colon), slice_from(line, colon + 1), e);
}

bool users_gather_read(struct users_gather *g, struct arena *a, struct slice text,
                       struct users_error *e)
{
    struct slice line;
    for (e->line = 1; text.len > 0 && slice_cut(&text, '\n', &line); e->line++)
        if (!line_read(g, a, line, e))
            return false;
    e->line = 0;
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct user *x = a, *y = b;
    return slice_cmp(x->name, y->name);
}

bool users_gather_finish(struct users_gather *g, struct arena *a, struct users *out,
                         struct users_error *e)
{
    if (g->count > 0)
        qsort(g->list, g->count, sizeof *g->list, by_name);
    for (uint32_t i = 1; i < g->count; i++)
        if (slice_eq(g->list[i - 1].name, g->list[i].name))
            return wrong(e, g->list[i].name, "is there twice", NULL);
    struct user *list = ARENA_ARRAY(a, struct user, g->count + 1);
    mem_must(list, g->count * sizeof *list);
    if (g->count > 0)
        memcpy(list, g->list, g->count * sizeof *list);
    *out = (struct users){list, g->count};
    return true;
}

void users_gather_release(struct users_gather *g)
{
    free(g->list);
    *g = (struct users_gather){0};
}

const struct user *users_find(const struct users *u, struct slice name)
{
    struct user key = {.name = name};
    return u->count > 0 ? bsearch(&key, u->list, u->count, sizeof *u->list, by_name) : NULL;
}

const struct user *users_decoy(const struct users *u, struct slice name)
{
    return &u->list[hash_secret(name) % u->count];
}
