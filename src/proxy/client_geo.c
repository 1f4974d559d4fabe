/* client_geo.c - the directive `geo`, and what its databases say of an exchange's client.
 *
 * The address is the believed one (`trust`). Conditions, variables and the log ask for single
 * facts, so all of them are gathered by the first who asks. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/client_geo.h"
#include "base/text.h"
#include "conf/source.h"
#include "proxy/apply_priv.h"
#include "proxy/build_priv.h"
#include "proxy/exchange.h"

enum { FILE_BYTES_MAX = 1 << 30 };

static void let_go(void *ctx)
{
    geo_drop(ctx);
}

/* NULL after an error, and where files are only collected. */
static struct geo *database_load(struct conf_build *b, const struct conf_word *w)
{
    const char *why = NULL, *path = conf_file_path(b, w->pos, w->text);
    struct geo *g = NULL;
    struct text bytes;
    text_init(&bytes);
    bool read = conf_need_file(b, w->pos, path, FILE_BYTES_MAX, &bytes);
    if (read && !(b->source && b->source->skims))
        g = geo_take(text_slice(&bytes), &why);
    if (why)
        diag_error(b->diag, w->pos, "%s is no database that can be used: %s", path, why);
    text_release(&bytes);
    return g;
}

void geo_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct geo_conf *c = &((struct conf *)b->app)->proxy->geo;
    struct geo **all = BUILD_ARRAY(b, struct geo *, c->count + n->arg_count);
    (void)scope;
    if (c->count > 0)
        memcpy(all, c->all, c->count * sizeof(*all));
    c->all = all;
    c->named = true;
    for (uint32_t i = 0; i < n->arg_count; i++) {
        struct geo *g = database_load(b, &n->args[i]);
        if (!g)
            continue;
        conf_on_free(b->app, let_go, g);
        all[c->count++] = g;
    }
}

void client_geo_asked(struct conf_build *b, struct conf_pos pos)
{
    struct geo_conf *c = &((struct conf *)b->app)->proxy->geo;
    if (!c->asked_at.file)
        c->asked_at = pos;
}

void client_geo_check(struct conf_build *b)
{
    const struct geo_conf *c = &((struct conf *)b->app)->proxy->geo;
    if (c->named || !c->asked_at.file)
        return;
    diag_warn(b->diag, c->asked_at, "nothing is known of anybody's country or network");
    diag_hint(b->diag, "name a database: geo /var/lib/GeoIP/GeoLite2-Country.mmdb");
}

const struct geo_facts *client_geo(struct exchange *x)
{
    static const struct geo_facts nothing;
    const struct geo_conf *c = &x->view->conf->proxy->geo;
    if (x->geo || c->count == 0)
        return x->geo ? x->geo : &nothing;
    struct geo_facts *f = ARENA_NEW(&x->arena, struct geo_facts);
    if (!f)
        return &nothing;
    *f = nothing;
    for (uint32_t i = 0; i < c->count; i++)
        geo_look_up(c->all[i], &x->client_addr, f);
    x->geo = f;
    return f;
}
