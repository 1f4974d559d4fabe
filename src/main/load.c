/* load.c - read, check, build, bind, test: the one way to a snapshot.
 *
 * Each stage runs only when the one before found no errors, except that reading and checking both
 * report, so that one run shows as many mistakes as it can. Nothing here touches what is running.
 */
// SPDX-License-Identifier: Apache-2.0
#include "main/load.h"
#include "admin/admin.h"
#include "conf/source.h"
#include "main/authority.h"
#include "main/main_conf.h"
#include "main/schema.h"
#include "proxy/build.h"
#include "upstream/changes.h"
#include <time.h>

static int64_t unix_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The top-level nodes whose rows stand in `rows`, applied to their section. */
static void apply_section(struct conf_build *b, struct conf *c, const struct directive *rows,
                          void *section)
{
    CONF_NODE_EACH(n, &c->tree->root)
    if (n->row && schema_row_in(rows, n->row))
        conf_apply(b, section, n);
}

static void build(struct conf_build *b, struct conf *c, const struct load_request *r)
{
    c->main = ARENA_NEW(&c->arena, struct main_conf);
    c->upstreams = ARENA_NEW(&c->arena, struct upstreams_conf);
    if (!c->main || !c->upstreams) {
        diag_error(b->diag, (struct conf_pos){0}, "the configuration is too large");
        return;
    }
    main_conf_init(c->main);
    apply_section(b, c, main_rows, c->main);
    apply_section(b, c, admin_rows, &c->main->admin);
    apply_section(b, c, cache_store_rows, c->main);
    apply_section(b, c, sandbox_rows, c->main);
    apply_section(b, c, upstream_rows, c->upstreams);
    proxy_build(b, c);
    c->proxy->resolvers = c->main->resolvers;
    if (r->changes && !diag_failed(b->diag))
        upstreams_change(b, c->upstreams, r->changes);
    if (diag_failed(b->diag))
        return;
    proxy_servers_known(b, c);
    upstreams_bind(b, c);
    if (r->admin && !diag_failed(b->diag))
        admin_build(b, c, r->admin, &c->main->admin);
}

bool load_run(struct load *l, const struct load_request *r)
{
    *l = (struct load){.conf = conf_new(r->generation)};
    struct conf *c = l->conf;
    c->unused = conf_free;
    c->loaded_unix_ms = unix_ms();
    diag_init(&l->diag);
    struct conf_source system = conf_source_system;
    system.issue = authority_pretend;
    system.secret = authority_pretend_secret;
    const struct conf_source *source = r->source ? r->source : &system;
    c->tree = conf_read_from(source, &c->arena, &l->diag, r->path, r->text);
    if (c->tree)
        conf_check(schema_all(), c->tree, &l->diag);
    if (diag_failed(&l->diag) || !c->tree)
        return false;
    struct conf_build b = {&c->arena, &l->diag, schema_all(), c, source, &c->places};
    build(&b, c, r);
    if (!diag_failed(&l->diag) && r->run_tests)
        proxy_tests_run(c, &l->diag, &l->test_count);
    return !diag_failed(&l->diag);
}

struct conf *load_take(struct load *l)
{
    struct conf *c = l->conf;
    l->conf = NULL;
    return c;
}

void load_release(struct load *l)
{
    diag_release(&l->diag);
    if (l->conf)
        conf_drop(l->conf);
    l->conf = NULL;
}
