/* process.c - the life of the main thread: start everything, tick, end.
 *
 * The order of a start matters: the configuration is checked before anything is touched, addresses
 * and log files are opened before root is given up, threads start last. Reloading is in reload.c,
 * stopping in stop.c. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "main/command.h"
#include "main/control.h"
#include "main/load.h"
#include "main/logs.h"
#include "main/main_conf.h"
#include "main/notify.h"
#include "main/privileges.h"
#include "main/process_priv.h"
#include "main/server_log.h"
#include "main/snapshots.h"
#include "proxy/route.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LOG_RING_BYTES = 1 << 18 };

struct loop *process_loop(struct process *p)
{
    return &workers_main(&p->workers)->worker.loop;
}

/* ---- what the admin API asks ---- */

static uint32_t on_snapshots_alive(void *ctx)
{
    (void)ctx;
    return snapshots_alive();
}

static bool on_stopping(void *ctx)
{
    return ((struct process *)ctx)->stage != PROCESS_RUNNING;
}

static bool on_installing(void *ctx)
{
    return ((struct process *)ctx)->workers.installing > 0;
}

static bool on_listening(void *ctx, struct slice key)
{
    return listeners_has(&((struct process *)ctx)->listeners, key);
}

static bool on_reload(void *ctx, struct text *report)
{
    return process_reload(ctx, report);
}

static void on_stop(void *ctx)
{
    process_stop(ctx);
}

static void admin_init(struct process *p)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    p->admin = (struct admin_source){
        .ctx = p,
        .started_unix_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000,
        .control = p->control.len ? &p->control : NULL,
        .snapshots_alive = on_snapshots_alive,
        .stopping = on_stopping,
        .installing = on_installing,
        .listening = on_listening,
        .reload = on_reload,
        .stop = on_stop,
    };
}

static void admin_set_pages(struct process *p)
{
    p->admin.pages = (const struct counters_shared *const *)p->workers.pages;
    p->admin.page_count = p->workers.count; /* asking for numbers does not change them */
    p->admin.worker_count = p->workers.count;
}

/* ---- signals ---- */

static void on_signal(void *ctx, int signo)
{
    struct process *p = ctx;
    struct text report;
    switch (signo) {
    case SIGHUP:
        text_init(&report);
        (void)process_reload(p, &report); /* it logs */
        text_release(&report);
        break;
    case SIGUSR1: log_sinks_reopen(); break;
    case SIGINT:
        if (p->stage != PROCESS_RUNNING)
            process_end_now();
        process_stop(p);
        break;
    case SIGTERM:
    case SIGQUIT: process_stop(p); break;
    default: break;
    }
}

/* ---- start ---- */

static void print_diag(const struct diag *d)
{
    struct text t;
    text_init(&t);
    diag_print(d, &t, color_on(STDERR_FILENO));
    print_err(&t);
    text_release(&t);
}

/* Without a control socket weir still runs, but one that answers belongs to another weir. */
static bool control_init(struct process *p)
{
    struct text why;
    if (p->options->text.at)
        return true; /* not a file: nobody could name it */
    text_init(&why);
    if (!control_address(p->options->path, &p->control, &why)) {
        fprintf(stderr, "weir: no control socket: %.*s\n", (int)why.len, why.at);
        p->control.len = 0;
    }
    text_release(&why);
    if (!p->control.len || !control_alive(&p->control))
        return true;
    fprintf(stderr, "weir: a weir runs already with %s; see 'weir status -c %s'\n",
            p->options->path, p->options->path);
    return false;
}

static bool system_failed(const char *what)
{
    fprintf(stderr, "weir: %s: %s\n", what, strerror(errno));
    return false;
}

static bool pid_file_write(const struct conf *c)
{
    if (c->main->pid_file.len == 0)
        return true;
    FILE *f = fopen(c->main->pid_file.at, "we");
    if (!f)
        return system_failed(c->main->pid_file.at);
    fprintf(f, "%ld\n", (long)getpid());
    return fclose(f) == 0 || system_failed(c->main->pid_file.at);
}

static void pid_file_remove(const struct conf *c)
{
    if (c->main->pid_file.len)
        unlink(c->main->pid_file.at);
}

/* What may need root, before it is given up. The pid file is first: who sees an address open may
 * look for it. */
static bool open_first(struct process *p, struct load *l)
{
    struct conf *c = l->conf;
    bool ok = pid_file_write(c);
    bool bound = ok && listeners_open(&p->listeners, c, LISTENERS_FIRST, &l->diag);
    ok = bound && logs_open(c, &l->diag);
    print_diag(&l->diag);
    if (!bound && p->options->hint)
        fprintf(stderr, "%s\n", p->options->hint);
    ok = ok && privileges_drop(c->main->user, c->main->group);
    if (!ok)
        pid_file_remove(c);
    return ok;
}

/* Loads the first configuration and opens what it names: all that can fail because of it. */
static int load_first(struct process *p, struct load *l)
{
    struct load_request r = {p->options->path, p->options->text, 1, true, &p->admin};
    if (!load_run(l, &r)) {
        print_diag(&l->diag);
        return EXIT_CONFIG;
    }
    p->listeners = (struct listeners){.worker_count = main_conf_workers(l->conf->main),
                                      .control = p->admin.control};
    return open_first(p, l) ? EXIT_OK : EXIT_FAILED;
}

static bool threads_start(struct process *p)
{
    struct loop *l = process_loop(p);
    server_log_begin();
    if (!log_start())
        return system_failed("the log's thread");
    log_thread_begin("weir-main", LOG_RING_BYTES);
    p->signals = signals_new(l, on_signal, p);
    if (!p->signals)
        return system_failed("signals");
    return workers_start(&p->workers) || system_failed("threads");
}

static void add_addresses(struct process *p, struct text *t)
{
    char addr[ADDR_TEXT_BYTES];
    const char *separator = "";
    for (const struct listen_slot *s = p->listeners.slots; s; s = s->next) {
        if (!s->open || (p->control.len && addr_eq(&s->addr, &p->control)))
            continue;
        int len = (int)addr_write(addr, &s->addr);
        text_addf(t, "%s%s%.*s", separator, s->internal ? "admin on " : "", len, addr);
        separator = ", ";
    }
}

static void announce(struct process *p)
{
    struct text t;
    text_init(&t);
    add_addresses(p, &t);
    log_write(LOG_NOTICE_, "weir %s listens on %s; %u worker%s, configuration %s", WEIR_VERSION,
              t.len ? t.at : "nothing", p->workers.count, p->workers.count == 1 ? "" : "s",
              p->options->path);
    if (geteuid() == 0 && !p->options->text.at)
        log_write(LOG_WARN_, "running as root; 'user NAME' in the configuration changes that");
    text_release(&t);
    if (p->options->banner) {
        fputs(p->options->banner, stdout);
        fflush(stdout);
    }
    notify_ready();
}

/* From bound addresses to serving. False: the reason is on stderr. */
static bool serve_begin(struct process *p, struct load *l)
{
    struct conf *c = l->conf;
    if (!workers_init(&p->workers, p->listeners.worker_count, (size_t)c->main->buffers_bytes))
        return system_failed("workers");
    admin_set_pages(p);
    process_stop_init(p);
    process_reload_init(p);
    snapshots_begin(process_loop(p)->mailbox);
    if (!threads_start(p))
        return false;
    process_install(p, load_take(l));
    return true;
}

static void serve_end(struct process *p)
{
    pid_file_remove(p->conf);
    log_write(LOG_NOTICE_, "stopped");
    logs_to_stderr();
    timer_stop(&process_loop(p)->timers, &p->deadline);
    signals_free(p->signals);
    listeners_release(&p->listeners);
    conf_drop(p->conf);
    snapshots_end();
    workers_release(&p->workers);
    log_thread_end();
    log_stop();
    arena_cache_release();
}

int process_run(const struct process_options *o)
{
    struct process p = {.options = o};
    struct load l;
    signals_block();
    descriptors_raise();
    if (!control_init(&p))
        return EXIT_FAILED;
    admin_init(&p);
    int code = load_first(&p, &l);
    if (code == EXIT_OK && !serve_begin(&p, &l))
        code = EXIT_FAILED;
    load_release(&l);
    if (code != EXIT_OK) {
        listeners_release(&p.listeners);
        return code;
    }
    announce(&p);
    while (worker_tick(workers_main(&p.workers)))
        process_advance(&p);
    serve_end(&p);
    return EXIT_OK;
}
