/* cache_rows.c - see cache_rows.h. */
// SPDX-License-Identifier: Apache-2.0
#include "main/cache_rows.h"
#include "conf/places.h"
#include "main/main_conf.h"

struct store_options {
    int64_t size_bytes;
};

static const struct directive store_options[] = {
    {.name = "size",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .offset = offsetof(struct store_options, size_bytes),
     .min = 1 << 20,
     .max = (int64_t)1 << 50,
     .usage = "SIZE",
     .text = "The most that the store takes: in memory 128M unless said otherwise, on disk 1G. "
             "It counts everything, heads and index included; on disk whole blocks."},
    {0},
};

static void apply_memory(struct conf_build *b, struct cache_store_conf *c,
                         const struct conf_node *n, int64_t bytes)
{
    if (n->arg_count > 1)
        diag_error(b->diag, n->args[1].pos, "'cache_store memory' takes no path");
    else if (c->memory_bytes)
        diag_error(b->diag, n->pos, "a second 'cache_store memory'");
    else
        c->memory_bytes = bytes ? bytes : CACHE_MEMORY_DEFAULT_BYTES;
}

static void apply_disk(struct conf_build *b, struct cache_store_conf *c, const struct conf_node *n,
                       int64_t bytes)
{
    if (n->arg_count < 2 || n->args[1].text.len == 0 || n->args[1].text.at[0] != '/') {
        diag_error(b->diag, n->args[0].pos, "'cache_store disk' needs the whole path of a folder");
        return;
    }
    if (c->disk_path.len) {
        diag_error(b->diag, n->pos, "a second 'cache_store disk'");
        return;
    }
    c->disk_path = arena_dup(b->arena, n->args[1].text); /* NUL-terminated, unlike words */
    c->disk_bytes = bytes ? bytes : (int64_t)1 << 30;
    c->disk_pos = n->pos;
    conf_place_add(b, n->args[1].pos, c->disk_path.at, CONF_OWNS);
}

static void apply_cache_store(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct cache_store_conf *c = &((struct main_conf *)scope)->cache;
    struct store_options o = {0};
    conf_options(b, n, &o);
    if (slice_eq(n->args[0].text, SLICE("memory")))
        apply_memory(b, c, n, o.size_bytes);
    else if (slice_eq(n->args[0].text, SLICE("disk")))
        apply_disk(b, c, n, o.size_bytes);
    else
        diag_error(b->diag, n->args[0].pos, "'memory' or 'disk' is due");
}

const struct directive cache_store_rows[] = {
    {.name = "cache_store",
     .where = IN_TOP,
     .repeat = true,
     .args_min = 1,
     .args_max = 2,
     .options = store_options,
     .apply = apply_cache_store,
     .usage = "memory|disk PATH [size=SIZE]",
     .text =
         "Where `cache` keeps responses. Memory is always there, and survives a reload; a folder "
         "on "
         "disk also survives restarts and crashes, and holds what is too large for memory. The "
         "folder belongs to this weir alone. When it is full or can not be written, memory goes on "
         "serving, and the log says so. Sizes may be changed by a reload, a path by a restart.",
     .example = "cache_store disk /var/cache/weir size=10G"},
    {0},
};
