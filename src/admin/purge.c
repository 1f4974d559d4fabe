/* purge.c - POST /cache/purge?url=URL | prefix=URL | tag=TAG | all=1 [&soft=1]: makes the cache
 * forget; and GET-like POST /cache/purged?id=N: has everything gone by now? */
// SPDX-License-Identifier: Apache-2.0
#include "cache/purge.h"
#include "admin/admin_priv.h"
#include "base/assert.h"
#include "base/num.h"
#include "http/uri.h"

static struct slice parameter(const struct admin_page *p, const char *name)
{
    struct slice raw = uri_query_get(p->query, slice_of(name));
    return raw.at ? uri_decode(p->arena, raw) : SLICE_NONE;
}

static const struct {
    const char *name;
    enum purge_kind kind;
} KINDS[] = {{"url", PURGE_URL}, {"prefix", PURGE_PREFIX}, {"tag", PURGE_TAG}, {"all", PURGE_ALL}};

static bool order_read(const struct admin_page *p, struct purge_order *o)
{
    unsigned found = 0;
    for (size_t i = 0; i < COUNT_OF(KINDS); i++) {
        struct slice value = parameter(p, KINDS[i].name);
        if (!value.at)
            continue;
        o->kind = KINDS[i].kind;
        o->text = o->kind == PURGE_ALL ? SLICE("") : value;
        found++;
    }
    o->how = parameter(p, "soft").at ? PURGE_SOFT : PURGE_HARD;
    if (found == 1 && (o->text.len > 0 || o->kind == PURGE_ALL))
        return true;
    text_add(p->out, SLICE("expected one of ?url=URL, ?prefix=URL, ?tag=TAG, ?all=1\n"));
    return false;
}

int purge_run(const struct admin_page *p)
{
    struct purge_order o;
    uint64_t id;
    if (!order_read(p, &o))
        return 422;
    if (o.text.len > PURGE_TEXT_MAX) {
        text_addf(p->out, "longer than %d bytes\n", PURGE_TEXT_MAX);
        return 422;
    }
    if (purge_add(p->source->cache, &o, &id) != ERR_OK) {
        text_add(p->out, SLICE("too many purges are under way; try again\n"));
        return 409;
    }
    text_addf(p->out, "%llu\n", (unsigned long long)id);
    return 200;
}

int purged_run(const struct admin_page *p)
{
    uint64_t id = 0, count = 0;
    struct slice text = parameter(p, "id");
    if (!text.at || num_parse_u64(text, &id) != ERR_OK) {
        text_add(p->out, SLICE("expected ?id=NUMBER\n"));
        return 422;
    }
    if (!purge_result(p->source->cache, id, &count))
        return 202; /* under way */
    text_addf(p->out, "%llu\n", (unsigned long long)count);
    return 200;
}
