/* process.c - the life of a worker process's main thread: start everything, tick, end.
 *
 * The supervisor gives it a configuration and the sockets. The configuration is checked before
 * anything is touched, log files are opened before root is given up, threads start last. Reloading
 * is in reload.c, stopping in stop.c. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "main/command.h"
#include "main/logs.h"
#include "main/main_conf.h"
#include "main/privileges.h"
#include "main/process_priv.h"
#include "main/server_log.h"
#include "main/snapshots.h"
#include "proxy/route.h"
#include "tls/key_heap.h"
#include "tls/tls.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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
    const struct process *p = ctx;
    return p->workers.installing > 0 || p->replaced;
}

static bool on_listening(void *ctx, struct slice key)
{
    return listeners_has(&((struct process *)ctx)->listeners, key);
}

static bool on_reload(void *ctx, struct text *report)
{
    return process_reload(ctx, report);
}

/* The supervisor orders it, so that it knows that this end is wanted. */
static void on_stop(void *ctx)
{
    supervised_ask_stop(&((struct process *)ctx)->supervised);
}

static bool on_change(void *ctx, const struct server_order *o, struct text *why)
{
    return process_change(ctx, o, why);
}

static bool on_upgrade(void *ctx, struct text *why)
{
    struct process *p = ctx;
    if (p->stage != PROCESS_RUNNING || p->workers.installing > 0) {
        text_add(why, SLICE("weir is stopping or reloading\n"));
        return false;
    }
    supervised_ask_upgrade(&p->supervised);
    return true;
}

static void admin_init(struct process *p)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    p->admin = (struct admin_source){
        .ctx = p,
        .started_unix_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000,
        .control = p->supervised.control.len ? &p->supervised.control : NULL,
        .owner_uid = geteuid(), /* before it is given up */
        .snapshots_alive = on_snapshots_alive,
        .stopping = on_stopping,
        .installing = on_installing,
        .listening = on_listening,
        .reload = on_reload,
        .change = on_change,
        .changes = &p->changes,
        .stop = on_stop,
        .upgrade = on_upgrade,
        .supervisor = &p->supervised.info,
        .sandbox = process_sandbox_json,
    };
}

static void admin_set_pages(struct process *p)
{
    p->admin.pages = (const struct counters_shared *const *)p->workers.pages;
    p->admin.page_count = p->workers.count; /* asking for numbers does not change them */
    p->admin.main_page = p->workers.pages[p->workers.count];
    p->admin.worker_count = p->workers.count;
}

/* ---- orders ---- */

static void reload(struct process *p)
{
    struct text report;
    p->reload_due = p->workers.installing > 0 || p->replaced;
    if (p->reload_due)
        return;
    text_init(&report);
    (void)process_reload(p, &report); /* it logs */
    text_release(&report);
}

static void carry_out(struct process *p, int order)
{
    switch (order) {
    case ORDER_RELOAD: p->reload_due = true; break;
    case ORDER_REOPEN: log_sinks_reopen(); break;
    case ORDER_LEAVE: process_leave(p); break;
    case ORDER_STAY: process_stay(p); break;
    case ORDER_END_NOW: process_end_now(); break;
    case ORDER_STOP: process_stop(p); break;
    default: break;
    }
}

static void orders_run(struct process *p)
{
    int order;
    while ((order = supervised_next_order(&p->supervised)) != 0)
        carry_out(p, order);
    if (p->reload_due)
        reload(p);
}

/* Signals are for the supervisor. Those that were sent to this process all the same mean the whole
 * of weir, except SIGINT: a terminal sends it to both. */
static void on_signal(void *ctx, int signo)
{
    struct process *p = ctx;
    switch (signo) {
    case SIGHUP: p->reload_due = true; break;
    case SIGUSR1: log_sinks_reopen(); break;
    case SIGUSR2: supervised_ask_upgrade(&p->supervised); break;
    case SIGTERM:
    case SIGQUIT: supervised_ask_stop(&p->supervised); break;
    default: break;
    }
}

/* ---- start ---- */

/* On stderr, and to the supervisor, which may be asked what went wrong. */
static void print_diag(struct process *p, const struct diag *d)
{
    struct text t;
    text_init(&t);
    diag_print(d, &t, color_on(STDERR_FILENO));
    print_err(&t);
    if (t.len && diag_failed(d))
        supervised_report(&p->supervised, text_slice(&t));
    text_release(&t);
}

static bool system_failed(const char *what)
{
    fprintf(stderr, "weir: %s: %s\n", what, strerror(errno));
    return false;
}

/* A core file is written with our rights, to the folder that we are in. */
static const struct conf_place *places_of(const struct conf *c, struct conf_place *cores)
{
    *cores = (struct conf_place){.next = c->places, .path = ".", .access = CONF_OWNS};
    return c->main->core_dumps ? cores : c->places;
}

/* What may need root, before it is given up. */
static bool open_first(struct process *p, struct load *l)
{
    struct main_conf *m = l->conf->main;
    bool ok = listeners_open(&p->listeners, l->conf, &p->supervised.sockets, &l->diag) &&
              logs_open(l->conf, &l->diag);
    print_diag(p, &l->diag);
    struct conf_place cores;
    ok = ok && privileges_drop(m->user, m->group, m->core_dumps);
    if (ok)
        sandbox_enter(&p->sandbox, (enum sandbox_mode)m->sandbox, places_of(l->conf, &cores));
    return ok;
}

/* The supervisor's name for the configuration: the path that it was started with. */
static char *bundle_name(const struct bundle *b)
{
    struct bundle_entry e;
    for (size_t at = 0; bundle_next(b, &at, &e);)
        if (e.kind == BUNDLE_NAME)
            return mem_dup(e.name.at, e.name.len);
    return mem_dup("", 0);
}

bool process_load(struct process *p, struct load *l, int fd, uint64_t generation)
{
    struct bundle b;
    if (!bundle_open(&b, fd))
        process_end_now(); /* no memory for a mapping */
    if (!p->path)
        p->path = bundle_name(&b);
    struct conf_source source = bundle_source(&b);
    struct load_request r = {p->path,   SLICE_NONE, generation, true,
                             &p->admin, &source,    &p->changes};
    bool ok = load_run(l, &r);
    bundle_release(&b);
    return ok;
}

/* Loads the first configuration and opens what it names: all that can fail because of it. */
static int load_first(struct process *p, struct load *l)
{
    struct text why;
    text_init(&why);
    int bundle = supervised_receive(&p->supervised, &why);
    if (bundle < 0)
        fprintf(stderr, "weir: %s", why.at);
    text_release(&why);
    if (bundle < 0)
        return EXIT_FAILED;
    p->bundle = bundle;
    process_changes_init(p);
    struct stat st;
    key_heap_begin(fstat(bundle, &st) == 0 ? (size_t)st.st_size : 0);
    memory_hide(); /* privileges_drop() settles it; log files like /dev/stderr need it till then */
    bool ok = process_load(p, l, bundle, (uint64_t)p->supervised.generation);
    memory_show();
    if (!ok) {
        print_diag(p, &l->diag);
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
    if (!supervised_watch(&p->supervised, l))
        return system_failed("channel");
    return workers_start(&p->workers) || system_failed("threads");
}

static void add_addresses(struct process *p, struct text *t)
{
    char addr[ADDR_TEXT_BYTES];
    const char *separator = "";
    for (const struct listen_slot *s = p->listeners.slots; s; s = s->next) {
        if (!s->open || (p->admin.control && addr_eq(&s->addr, p->admin.control)))
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
              p->path);
    if (p->supervised.reason.len)
        log_write(LOG_WARN_, "this worker process replaces one that ended: %s",
                  p->supervised.reason.at);
    if (geteuid() == 0 && p->admin.control)
        log_write(LOG_WARN_, "running as root; 'user NAME' in the configuration changes that");
    text_release(&t);
}

/* From bound addresses to serving. False: the reason is on stderr. */
static bool serve_begin(struct process *p, struct load *l)
{
    struct conf *c = l->conf;
    if (!process_tickets_init(p) || !workers_init(&p->workers, p->listeners.worker_count,
                                                  (size_t)c->main->buffers_bytes, p->tickets))
        return system_failed("workers");
    if (!process_cache_begin(p))
        return system_failed("cache");
    process_passwords_begin(p);
    admin_set_pages(p);
    process_stop_init(p);
    process_reload_init(p);
    process_tickets_begin(p);
    process_bans_begin(p);
    snapshots_begin(process_loop(p)->mailbox);
    if (!threads_start(p))
        return false;
    process_install(p, load_take(l));
    return true;
}

static void serve_end(struct process *p)
{
    log_write(LOG_NOTICE_, "stopped");
    logs_to_stderr();
    timer_stop(&process_loop(p)->timers, &p->deadline);
    process_tickets_end(p);
    process_bans_end(p);
    signals_free(p->signals);
    supervised_unwatch(&p->supervised);
    listeners_release(&p->listeners);
    conf_drop(p->conf);
    snapshots_end();
    process_work_end(p);
    workers_release(&p->workers);
    process_passwords_end(p);
    process_cache_end(p);
    tls_tickets_free(p->tickets);
    log_thread_end();
    log_stop();
    arena_cache_release();
}

static int run(struct process *p)
{
    struct load l = {0};
    admin_init(p);
    int code = load_first(p, &l);
    if (code == EXIT_OK && !serve_begin(p, &l))
        code = EXIT_FAILED;
    load_release(&l);
    if (code != EXIT_OK) {
        listeners_release(&p->listeners);
        return code;
    }
    announce(p);
    while (worker_tick(workers_main(&p->workers))) {
        orders_run(p);
        process_advance(p);
    }
    serve_end(p);
    return EXIT_OK;
}

int process_run(void)
{
    struct process p = {.bundle = -1};
    prctl(PR_SET_NAME, "weir worker"); /* exec() of /proc/self/exe called it "exe" */
    signals_block();
    if (!supervised_begin(&p.supervised))
        return EXIT_USAGE;
    int code = run(&p);
    supervised_release(&p.supervised);
    server_changes_release(&p.changes);
    sandbox_release(&p.sandbox);
    if (p.bundle >= 0)
        close(p.bundle);
    free(p.path);
    return code;
}
