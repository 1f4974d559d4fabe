/* reload.c - puts a configuration in force, first and later ones.
 *
 * A reload is all or nothing: the file is read, checked and tested, then new addresses are bound,
 * and only then anything changes. Health, idle connections and counters are found again by
 * identity; requests in flight keep the snapshot that they began with. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "main/load.h"
#include "main/logs.h"
#include "main/main_conf.h"
#include "main/notify.h"
#include "main/process_priv.h"
#include "main/snapshots.h"

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
}

/* ---- install ---- */

void process_install(struct process *p, struct conf *c)
{
    struct conf *old = p->conf;
    snapshots_adopt(c);
    p->conf = c;
    logs_install(c);
    workers_install(&p->workers, c, &p->listeners);
    dns_sync(p, c);
    if (old)
        conf_drop(old);
}

static void on_installed(void *ctx, const struct conf *c)
{
    (void)ctx;
    if (c->generation == 1) /* the start has lines of its own */
        return;
    log_write(LOG_NOTICE_, "configuration %llu is in force", (unsigned long long)c->generation);
    notify_ready();
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

static bool load_next(struct process *p, struct load *l, struct text *report)
{
    struct load_request r = {p->options->path, p->options->text, p->conf->generation + 1, true,
                             &p->admin};
    bool ok = load_run(l, &r) && logs_open(l->conf, &l->diag) &&
              listeners_open(&p->listeners, l->conf, 0, &l->diag);
    diag_print(&l->diag, report, false);
    return ok;
}

bool process_reload(struct process *p, struct text *report)
{
    struct load l;
    if (p->stage != PROCESS_RUNNING) {
        text_add(report, SLICE("weir is stopping\n"));
        return false;
    }
    notify_reloading();
    bool ok = load_next(p, &l, report);
    log_lines(ok ? LOG_WARN_ : LOG_ERROR_, text_slice(report));
    if (ok) {
        warn_of_fixed(p->conf->main, l.conf->main);
        process_install(p, load_take(&l));
    } else {
        log_write(LOG_ERROR_, "reload refused: configuration %llu stays",
                  (unsigned long long)p->conf->generation);
        notify_ready();
    }
    load_release(&l);
    return ok;
}
