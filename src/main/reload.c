/* reload.c - puts a configuration in force, first and later ones.
 *
 * A reload is all or nothing: the supervisor reads the files and binds new addresses, then they are
 * checked and tested here, and only then anything changes. Health, idle connections and counters
 * are found again by identity; requests in flight keep the snapshot that they began with. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "main/load.h"
#include "main/logs.h"
#include "main/main_conf.h"
#include "main/process_priv.h"
#include "main/snapshots.h"
#include "tls/key_heap.h"
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ---- */

static void on_resolved(const struct server_shared *s, enum err e)
{
    if (e != ERR_OK)
        log_write(LOG_WARN_, "server %s of upstream %s: name does not resolve: %s", s->name,
                  s->upstream_name, s->resolve_error);
    else
        log_write(LOG_INFO_, "server %s of upstream %s: resolved to %u address%s", s->name,
                  s->upstream_name, s->addr_count, s->addr_count == 1 ? "" : "es");
}

void process_dns_free(struct process *p)
{
    process_staples_free(p);
    if (p->resolver)
        upstream_resolver_free(p->resolver);
    if (p->dns)
        dns_free(p->dns);
    p->resolver = NULL;
    p->dns = NULL;
}

static void dns_sync(struct process *p, const struct conf *c)
{
    struct slice servers = c->main->resolvers;
    if (!p->dns || !slice_eq(servers, p->resolvers)) {
        process_dns_free(p);
        p->dns = dns_new(process_loop(p), servers.len ? servers.at : NULL);
        if (p->dns)
            p->resolver = upstream_resolver_new(process_loop(p), p->dns, on_resolved);
        else
            log_write(LOG_ERROR_, "no DNS: the resolver can not be started");
    }
    p->resolvers = servers;
    if (p->resolver)
        upstream_resolver_sync(p->resolver, c);
    process_staples_sync(p, c);
}

/* ---- install ---- */

void process_install(struct process *p, struct conf *c)
{
    struct conf *old = p->conf;
    snapshots_adopt(c);
    p->conf = c;
    logs_install(c);
    process_cache_sync(p, c);
    workers_install(&p->workers, c, &p->listeners);
    dns_sync(p, c);
    process_checks_sync(p, c);
    if (old)
        conf_drop(old);
}

static void on_installed(void *ctx, const struct conf *c)
{
    struct process *p = ctx;
    supervised_in_force(&p->supervised, c->generation);
    if (p->reloaded) /* the start has lines of its own */
        log_write(LOG_NOTICE_, "configuration %llu is in force", (unsigned long long)c->generation);
}

void process_reload_init(struct process *p)
{
    p->workers.on_installed = on_installed;
    p->workers.ctx = p;
}

static void warn_restart(const char *word)
{
    log_write(LOG_WARN_, "'%s' has changed, which takes effect after a restart", word);
}

static void warn_of_fixed(const struct main_conf *old, const struct main_conf *new)
{
    if (main_conf_workers(old) != main_conf_workers(new))
        warn_restart("workers");
    if (!slice_eq(old->user, new->user) || !slice_eq(old->group, new->group))
        warn_restart("user");
    if (old->sandbox != new->sandbox)
        warn_restart("sandbox");
    if (!slice_eq(old->pid_file, new->pid_file))
        warn_restart("pid_file");
}

/* ---- reload ---- */

static void log_lines(enum log_level level, struct slice text)
{
    struct slice line;
    while (text.len > 0 && slice_cut(&text, '\n', &line))
        if (line.len > 0)
            log_write(level, "%.*s", SLICE_ARG(line));
}

/* `ok`: it was loaded. */
static bool open_next(struct process *p, struct load *l, bool ok, struct text *report)
{
    ok = ok && logs_open(l->conf, &l->diag) &&
         listeners_open(&p->listeners, l->conf, &p->supervised.sockets, &l->diag);
    diag_print(&l->diag, report, false);
    return ok;
}

static bool may_reload(const struct process *p, struct text *report)
{
    if (p->stage != PROCESS_RUNNING)
        text_add(report, SLICE("weir is stopping\n"));
    else if (p->workers.installing > 0 || p->replaced)
        text_add(report, SLICE("the last reload is still being installed; try again\n"));
    return report->len == 0;
}

static void warn_of_idle_changes(const struct process *p, const struct conf *c)
{
    for (uint32_t i = 0; i < p->changes.count; i++) {
        const struct server_change *change = &p->changes.list[i];
        const char *why = server_change_idle(change, c->upstreams);
        if (why)
            log_write(
                LOG_WARN_,
                "server %.*s of upstream %.*s was changed at run time, which has no effect: %s",
                SLICE_ARG(change->server), SLICE_ARG(change->upstream), why);
    }
}

static void refused(struct process *p)
{
    log_write(LOG_ERROR_, "reload refused: configuration %llu stays",
              (unsigned long long)p->conf->generation);
    supervised_refused(&p->supervised);
}

static void keep_bundle(struct process *p, int bundle)
{
    if (p->bundle >= 0)
        close(p->bundle);
    p->bundle = bundle;
}

/* Good, but out of this process's reach: the supervisor starts one that has it. */
static void hand_over(struct process *p, const struct load *l, struct text *report)
{
    struct diag told;
    diag_init(&told);
    if (l)
        (void)sandbox_suffices(&p->sandbox, l->conf->places, &told);
    diag_print(&told, report, false);
    diag_release(&told);
    p->replaced = true;
    supervised_ask_replace(&p->supervised);
}

void process_stay(struct process *p)
{
    if (p->replaced)
        log_write(LOG_ERROR_, "configuration %llu stays", (unsigned long long)p->conf->generation);
    p->replaced = false;
}

static void take(struct process *p, struct load *l, int bundle)
{
    warn_of_fixed(p->conf->main, l->conf->main);
    warn_of_idle_changes(p, l->conf);
    keep_bundle(p, bundle);
    p->reloaded = true;
    process_install(p, load_take(l));
}

static bool keys_fit(int bundle)
{
    struct stat st;
    return fstat(bundle, &st) != 0 || key_heap_fits((size_t)st.st_size);
}

static bool load_prepared(struct process *p, struct load *l, int bundle, struct text *report)
{
    if (!keys_fit(bundle)) { /* the next process has a larger heap for them, and judges itself */
        hand_over(p, NULL, report);
        return true;
    }
    bool ok = process_load(p, l, bundle, p->conf->generation + 1);
    if (ok && !sandbox_suffices(&p->sandbox, l->conf->places, NULL)) {
        diag_print(&l->diag, report, false);
        hand_over(p, l, report);
        return true;
    }
    return open_next(p, l, ok, report);
}

bool process_reload(struct process *p, struct text *report)
{
    struct load l = {0};
    if (!may_reload(p, report))
        return false;
    int bundle = supervised_prepare(&p->supervised, report);
    bool ok = bundle >= 0 && load_prepared(p, &l, bundle, report);
    log_lines(ok ? LOG_WARN_ : LOG_ERROR_, text_slice(report));
    if (ok && !p->replaced) {
        take(p, &l, bundle);
    } else {
        if (bundle >= 0)
            close(bundle);
        if (!ok)
            refused(p);
    }
    load_release(&l);
    return ok;
}

bool process_rebuild(struct process *p, struct text *why)
{
    struct load l = {0};
    if (!may_reload(p, why))
        return false;
    bool ok = process_load(p, &l, p->bundle, p->conf->generation + 1);
    ok = open_next(p, &l, ok, why);
    if (ok)
        process_install(p, load_take(&l));
    load_release(&l);
    return ok;
}
