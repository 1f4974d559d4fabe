/* cache.c - the store of responses: made once, of the size that the configuration in force says.
 *
 * All workers have it from the start, empty as it may stay, so that a reload that first uses it
 * changes nothing but a route. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "cache/disk.h"
#include "cache/store.h"
#include "main/main_conf.h"
#include "main/process_priv.h"
#include "proxy/route.h"
#include <stdlib.h>

enum {
    LARGEST_SHARE = 16 /* of memory is the most that one response may take; disk.h has its own */
};

static void warn(const char *text)
{
    log_write(LOG_WARN_, "cache: %s", text);
}

static struct cache_limits limits_of(const struct cache_store_conf *c)
{
    uint64_t memory = (uint64_t)(c->memory_bytes ? c->memory_bytes : CACHE_MEMORY_DEFAULT_BYTES);
    return (struct cache_limits){.memory_bytes = memory, .object_bytes = memory / LARGEST_SHARE};
}

bool process_cache_begin(struct process *p)
{
    struct cache_limits l = limits_of(&(struct cache_store_conf){0});
    p->cache = cache_new(&l);
    if (!p->cache)
        return false;
    for (uint32_t i = 0; i < p->workers.count; i++)
        p->workers.all[i]->worker.cache = p->cache;
    p->admin.cache = p->cache;
    return true;
}

static void disk_begin(struct process *p, const struct cache_store_conf *c)
{
    struct disk_options o = {
        .path = c->disk_path, .max_bytes = (uint64_t)c->disk_bytes, .warn = warn};
    struct text why;
    text_init(&why);
    p->disk = disk_open(p->cache, &o, &why);
    if (p->disk)
        p->disk_path = mem_dup(c->disk_path.at, c->disk_path.len);
    else
        log_write(LOG_WARN_, "cache: %.*s; responses are kept in memory alone", (int)why.len,
                  why.at ? why.at : "");
    text_release(&why);
}

static void disk_sync(struct process *p, const struct cache_store_conf *c)
{
    if (!p->disk && c->disk_path.len)
        disk_begin(p, c);
    else if (p->disk && slice_eq(c->disk_path, slice_of(p->disk_path)))
        disk_limit_set(p->disk, (uint64_t)c->disk_bytes);
    else if (p->disk)
        log_write(LOG_WARN_, "'cache_store disk' has changed, which takes effect after a restart");
}

/* Before the configuration is given to the workers. */
void process_cache_sync(struct process *p, struct conf *c)
{
    const struct cache_store_conf *s = &c->main->cache;
    struct cache_limits l = limits_of(s);
    cache_limits_set(p->cache, &l);
    for (uint32_t i = 0; i < c->proxy->site_count; i++) {
        struct site *site = c->proxy->sites[i];
        site->cache = cache_site_get(p->cache, site->names[0].text);
    }
    disk_sync(p, s);
}

void process_cache_end(struct process *p)
{
    if (p->disk)
        disk_close(p->disk);
    if (p->cache)
        cache_free(p->cache);
    free(p->disk_path);
}
