/* workers.c - worker threads: birth, updates by mail, draining, end.
 *
 * Everything that happens to a running worker happens by mail on its own thread: an update carries
 * a count on the snapshot and the sockets to open or close. Loops are released only after all
 * threads were joined, because workers post to each other's mailboxes. */
// SPDX-License-Identifier: Apache-2.0
#include "main/workers.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/encoder.h"
#include "fcgi/fcgi.h"
#include "h1/h1.h"
#include "h2/h2.h"
#include "h2/h2_origin.h"
#include "main/gate.h"
#include "main/handshakes.h"
#include "main/main_conf.h"
#include "net/listener.h"
#include "proxy/route.h"
#include "tls/tls.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LOG_RING_BYTES = 1 << 20,
    SWEEP_MS = 5000,
    LEAVE_MS = 500,   /* for handshakes of TCP that were under way when a listener was removed */
    SETTLE_MS = 3000, /* for the last bytes of answers after the last session ended */
    MANAGERS_MAX = 64,
    CROWD_SAID_MS = 1000,
};

/* A listening socket of one worker. Freed when it is closed and no session has it. */
struct worker_listen {
    struct listener listener;
    struct listen_point point;
    struct worker_thread *thread;
    struct list link;
    struct timer leave_by; /* its address was removed */
    int64_t crowd_said_ms;
    bool closing, closed;
};

/* ---- listeners of a worker, on its thread ---- */

/* Prior knowledge: HTTP/2 on a plain connection (RFC 9113 3.3). */
static bool take_preface(struct stream_acceptor *a, struct conn *c, void *listener,
                         struct span first)
{
    const struct listen_point *p = listener;
    if (!p->conf->h2 || p->conf->tls)
        return false;
    (void)h2_client_adopt(c, a, listener, first);
    return true;
}

static void on_paused(struct listener *ln)
{
    struct worker_thread *t = CONTAINER_OF(ln, struct worker_listen, listener)->thread;
    if (!t->is_main)
        shed_no_fds(&t->worker);
}

static uint32_t session_count(const struct worker_listen *wl)
{
    uint32_t count = 0;
    LIST_EACH (l, &wl->thread->worker.acceptor.sessions)
        count += LIST_ENTRY(l, struct session_link, link)->listener == &wl->point;
    return count;
}

static void crowd_say(struct worker_listen *wl, int64_t now_ms)
{
    char at[ADDR_TEXT_BYTES];
    if (now_ms < wl->crowd_said_ms)
        return;
    wl->crowd_said_ms = now_ms + CROWD_SAID_MS;
    log_write(LOG_WARN_, "admin: %d connections are open at %.*s: newcomers are closed",
              MANAGERS_MAX, (int)addr_write(at, &wl->listener.addr), at);
}

/* Those who manage weir are few, and no client's connection has to go for theirs: each of their
 * listeners has a bound of its own, or whoever reaches one could take all descriptors. */
static struct conn *manager_let_in(struct worker_listen *wl, int fd)
{
    struct loop *l = &wl->thread->worker.loop;
    if (session_count(wl) < MANAGERS_MAX)
        return conn_accept(l, fd, NULL, NULL);
    crowd_say(wl, l->now_ms);
    io_discard(l, fd);
    return NULL;
}

static void on_accept(struct listener *ln, int fd)
{
    struct worker_listen *wl = CONTAINER_OF(ln, struct worker_listen, listener);
    struct worker *w = &wl->thread->worker;
    counter_add(w->counters, METRIC_CONNECTIONS_ACCEPTED, 1);
    struct conn *c = wl->thread->is_main ? manager_let_in(wl, fd) : gate_let_in(w, fd);
    if (!c)
        return;
    if (wl->point.conf->tls)
        handshake_begin(w, &wl->point, c);
    else if (!wl->point.conf->h1)
        (void)h2_client_adopt(c, &w->acceptor, &wl->point, (struct span){0});
    else
        (void)h1_client_adopt(c, &w->acceptor, &wl->point);
}

static void on_closed(struct listener *ln)
{
    struct worker_listen *wl = CONTAINER_OF(ln, struct worker_listen, listener);
    wl->closed = true;
}

static void listen_close(struct worker_listen *wl)
{
    if (wl->closing)
        return;
    wl->closing = true;
    timer_stop(&wl->thread->worker.loop.timers, &wl->leave_by);
    listener_close(&wl->listener);
}

static void on_leave_by(struct timer *timer)
{
    struct worker_listen *wl = CONTAINER_OF(timer, struct worker_listen, leave_by);
    listener_accept_waiting(&wl->listener);
    listen_close(wl);
}

static void listen_open(struct worker_thread *t, struct slice key, const struct addr *a, int fd)
{
    struct worker_listen *wl = MEM_NEW(struct worker_listen);
    wl->thread = t;
    timer_init(&wl->leave_by, on_leave_by);
    wl->listener = (struct listener){
        .addr = *a, .on_accept = on_accept, .on_closed = on_closed, .on_paused = on_paused};
    ASSERT(listener_start(&wl->listener, &t->worker.loop, fd));
    list_push(&t->listens, &wl->link);
    worker_point_add(&t->worker, &wl->point, key);
}

/* Whoever is in the queue of a socket when it is closed is reset: so nobody new gets there first.
 * An internal address has one socket, which can not be bound again as long as it is there. */
static void listen_leave(struct worker_listen *wl)
{
    struct loop *l = &wl->thread->worker.loop;
    worker_point_leave(&wl->thread->worker, &wl->point);
    if (wl->thread->is_main) {
        listen_close(wl);
        return;
    }
    timer_set(&l->timers, &wl->leave_by, l->now_ms + LEAVE_MS);
}

static void listen_close_key(struct worker_thread *t, struct slice key)
{
    LIST_EACH (l, &t->listens) {
        struct worker_listen *wl = LIST_ENTRY(l, struct worker_listen, link);
        if (!wl->closing && !wl->point.left && slice_eq(wl->point.key, key))
            listen_leave(wl);
    }
}

static void listen_close_all(struct worker_thread *t)
{
    LIST_EACH (l, &t->listens)
        listen_close(LIST_ENTRY(l, struct worker_listen, link));
}

static void listen_free(struct worker_listen *wl)
{
    worker_point_remove(&wl->thread->worker, &wl->point);
    list_remove(&wl->link);
    free(wl);
}

static bool listen_in_use(const struct worker_listen *wl)
{
    LIST_EACH (l, &wl->thread->worker.acceptor.sessions) {
        struct session_link *s = LIST_ENTRY(l, struct session_link, link);
        if (s->listener == &wl->point)
            return true;
    }
    return false;
}

/* A closed listener holds the last view that had it: frees those that nobody needs any more, and
 * comes again while there are others. */
static void on_sweep(struct timer *timer)
{
    struct worker_thread *t = CONTAINER_OF(timer, struct worker_thread, sweep);
    bool again = false;
    LIST_EACH_SAFE (l, &t->listens) {
        struct worker_listen *wl = LIST_ENTRY(l, struct worker_listen, link);
        if (!wl->closing && !wl->point.left)
            continue;
        if (wl->closed && !listen_in_use(wl))
            listen_free(wl);
        else
            again = true;
    }
    if (again)
        timer_set(&t->worker.loop.timers, &t->sweep, t->worker.loop.now_ms + SWEEP_MS);
}

/* ---- updates ---- */

struct listen_change {
    struct slice key;
    struct addr addr;
    int fd; /* -1: close */
};

/* One snapshot on its way. Owner: the main thread; freed when its own worker has installed it. */
struct install {
    uint32_t missing; /* threads that have not said that they installed it */
    struct update *main;
};

struct update {
    struct mail mail;
    struct worker_thread *to;
    struct install *install;
    struct conf *conf; /* counted */
    uint32_t change_count;
    struct listen_change changes[];
};

/* Without memory for it handshakes do not begin. */
static void tls_need(struct worker_thread *t, const struct conf *c)
{
    const struct proxy_conf *p = c->proxy;
    for (uint32_t i = 0; i < p->listen_count && t->is_main && !t->worker.tls; i++)
        if (p->listens[i]->internal && p->listens[i]->tls)
            t->worker.tls = tls_worker_new(&t->worker.loop, t->set->tickets);
}

/* Closed listeners go first, so that their points keep the view they had; opened ones come after
 * the install, because their points need the new view. */
static void update_apply(struct update *u)
{
    struct worker_thread *t = u->to;
    struct loop *l = &t->worker.loop;
    for (uint32_t i = 0; i < u->change_count; i++)
        if (u->changes[i].fd < 0)
            listen_close_key(t, u->changes[i].key);
    l->bufs.cap_bytes = (size_t)u->conf->main->buffers_bytes;
    tls_need(t, u->conf);
    worker_install(&t->worker, u->conf);
    for (uint32_t i = 0; i < u->change_count; i++) {
        struct listen_change *c = &u->changes[i];
        if (c->fd >= 0 && t->stage != WORKER_RUNNING)
            close(c->fd);
        else if (c->fd >= 0)
            listen_open(t, c->key, &c->addr, c->fd);
    }
    timer_set(&l->timers, &t->sweep, l->now_ms);
}

static void update_free(struct update *u)
{
    conf_drop(u->conf);
    free(u);
}

/* On the main thread, when every other has installed. */
static void install_finish(struct install *in)
{
    struct update *u = in->main;
    struct workers *set = u->to->set;
    set->installing--;
    update_apply(u);
    if (set->on_installed)
        set->on_installed(set->ctx, u->conf);
    update_free(u);
    free(in);
}

/* An update comes back to the main thread as the word that it was applied. */
static void update_done(struct mail *m, struct loop *l)
{
    struct update *u = CONTAINER_OF(m, struct update, mail);
    struct install *in = u->install;
    (void)l;
    update_free(u);
    if (--in->missing == 0)
        install_finish(in);
}

static void update_run(struct mail *m, struct loop *l)
{
    struct update *u = CONTAINER_OF(m, struct update, mail);
    (void)l;
    update_apply(u);
    u->mail.run = update_done;
    mailbox_post(workers_main(u->to->set)->worker.loop.mailbox, &u->mail);
}

static struct update *update_new(struct worker_thread *t, struct conf *c, const struct listeners *l)
{
    uint32_t count = 0;
    for (const struct listen_slot *s = l->slots; s; s = s->next)
        count += 1 + s->fd_count;
    struct update *u = mem_new(sizeof *u + count * sizeof u->changes[0]);
    u->mail.run = update_run;
    u->to = t;
    u->conf = conf_take(c);
    return u;
}

static void change_add(struct update *u, const struct listen_slot *s, int fd)
{
    u->changes[u->change_count++] = (struct listen_change){s->key, s->addr, fd};
}

/* What the slot means for this worker: new sockets, closed ones, or nothing. */
static void update_add(struct update *u, const struct listen_slot *s)
{
    bool mine = s->internal == u->to->is_main;
    uint32_t threads = s->internal ? 1 : u->to->set->count;
    if (!mine || !s->open)
        return;
    if (!s->wanted)
        change_add(u, s, -1);
    for (uint32_t i = s->internal ? 0 : u->to->worker.index; s->wanted && i < s->fd_count;
         i += threads)
        change_add(u, s, s->fds[i]);
}

static struct update *update_make(struct worker_thread *t, struct install *in, struct conf *c,
                                  const struct listeners *l)
{
    struct update *u = update_new(t, c, l);
    u->install = in;
    for (const struct listen_slot *s = l->slots; s; s = s->next)
        update_add(u, s);
    return u;
}

void workers_install(struct workers *w, struct conf *c, struct listeners *l)
{
    struct install *in = MEM_NEW(struct install);
    in->missing = w->count;
    in->main = update_make(workers_main(w), in, c, l);
    w->installing++;
    for (uint32_t i = 0; i < w->count; i++) {
        struct update *u = update_make(w->all[i], in, c, l);
        mailbox_post(u->to->worker.loop.mailbox, &u->mail);
    }
    listeners_settle(l);
}

/* ---- stopping ---- */

/* Orders are part of the thread, so that a stop needs no memory. Each is given once. */
static void post_order(struct worker_thread *to, struct mail *order,
                       void (*run)(struct mail *m, struct loop *l))
{
    ASSERT(!order->run);
    order->run = run;
    mailbox_post(to->worker.loop.mailbox, order);
}

/* A client that has not even said hello yet has asked for nothing. */
static void sessions_drain(struct worker_thread *t)
{
    if (t->worker.tls)
        tls_worker_drain(t->worker.tls);
    worker_drain(&t->worker);
}

static void drain_run(struct mail *m, struct loop *l)
{
    struct worker_thread *t = CONTAINER_OF(m, struct worker_thread, drain);
    (void)l;
    if (t->stage != WORKER_RUNNING)
        return;
    t->stage = WORKER_DRAINING;
    listen_close_all(t);
    sessions_drain(t);
}

static void abort_run(struct mail *m, struct loop *l)
{
    struct worker_thread *t = CONTAINER_OF(m, struct worker_thread, abort);
    (void)l;
    if (t->stage == WORKER_DRAINING)
        worker_abort(&t->worker);
}

static void on_drain_by(struct timer *timer)
{
    sessions_drain(CONTAINER_OF(timer, struct worker_thread, drain_by));
}

static void leave_run(struct mail *m, struct loop *l)
{
    struct worker_thread *t = CONTAINER_OF(m, struct worker_thread, drain);
    if (t->stage != WORKER_RUNNING)
        return;
    t->stage = WORKER_DRAINING;
    listen_close_all(t);
    worker_leave(&t->worker);
    timer_set(&l->timers, &t->drain_by, l->now_ms + t->set->idle_ms);
}

/* The main thread's own worker goes on with the connections that it has. */
void workers_leave(struct workers *w, int64_t idle_ms)
{
    w->idle_ms = idle_ms; /* read by the threads after the mail, not changed again */
    listen_close_all(workers_main(w));
    for (uint32_t i = 0; i < w->count; i++)
        post_order(w->all[i], &w->all[i]->drain, leave_run);
}

void workers_drain(struct workers *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        post_order(w->all[i], &w->all[i]->drain, drain_run);
}

void workers_drain_main(struct workers *w)
{
    post_order(workers_main(w), &workers_main(w)->drain, drain_run);
}

void workers_abort(struct workers *w)
{
    if (w->running == 0)
        post_order(workers_main(w), &workers_main(w)->abort, abort_run);
    for (uint32_t i = 0; i < w->count && w->running > 0; i++)
        post_order(w->all[i], &w->all[i]->abort, abort_run);
}

static void listens_free(struct worker_thread *t)
{
    LIST_EACH_SAFE (l, &t->listens) {
        struct worker_listen *wl = LIST_ENTRY(l, struct worker_listen, link);
        if (wl->closed)
            listen_free(wl);
    }
}

static void on_settle_by(struct timer *timer)
{
    CONTAINER_OF(timer, struct worker_thread, settle_by)->stage = WORKER_ENDED;
}

/* The last session is gone, but not its last bytes: a connection that closes has a timer until it
 * is closed, so no timer but ours means that nothing is left. */
static void settle_begin(struct worker_thread *t)
{
    struct loop *l = &t->worker.loop;
    t->stage = WORKER_SETTLING;
    timer_stop(&l->timers, &t->sweep);
    timer_stop(&l->timers, &t->drain_by);
    worker_settle(&t->worker);
    timer_set(&l->timers, &t->settle_by, l->now_ms + SETTLE_MS);
}

static void advance(struct worker_thread *t)
{
    struct loop *l = &t->worker.loop;
    if (t->stage == WORKER_DRAINING && worker_idle(&t->worker))
        settle_begin(t);
    if (t->stage == WORKER_SETTLING)
        listens_free(t);
    if (t->stage == WORKER_SETTLING && l->timers.count <= 1u + t->extra_timers &&
        list_empty(&l->dead) && list_empty(&t->listens))
        t->stage = WORKER_ENDED;
    if (t->stage == WORKER_ENDED)
        timer_stop(&l->timers, &t->settle_by);
}

bool worker_tick(struct worker_thread *t)
{
    loop_tick(&t->worker.loop);
    if (t->stage != WORKER_RUNNING)
        advance(t);
    return t->stage != WORKER_ENDED;
}

/* ---- threads ---- */

static void ended_run(struct mail *m, struct loop *l)
{
    (void)l;
    CONTAINER_OF(m, struct worker_thread, ended)->set->running--;
}

static void post_ended(struct worker_thread *t)
{
    t->ended.run = ended_run;
    mailbox_post(workers_main(t->set)->worker.loop.mailbox, &t->ended);
}

static void *thread_main(void *arg)
{
    struct worker_thread *t = arg;
    char name[16];
    snprintf(name, sizeof name, "weir-%u", t->worker.index);
    pthread_setname_np(pthread_self(), name);
    log_thread_begin(name, LOG_RING_BYTES);
    while (worker_tick(t))
        continue;
    log_thread_end();
    encoders_release();
    arena_cache_release();
    post_ended(t);
    return NULL;
}

struct worker_thread *workers_main(const struct workers *w)
{
    return w->all[w->count];
}

/* An OpenSSL library context is not cheap, so the main thread, which only serves the admin API and
 * resolves names, has none before an admin listener speaks TLS. */
static bool tls_init(struct worker_thread *t, struct tls_tickets *tickets)
{
    if (t->is_main)
        return true;
    t->worker.tls = t->worker.pools.tls = tls_worker_new(&t->worker.loop, tickets);
    return t->worker.tls != NULL;
}

static bool thread_init(struct workers *w, uint32_t i, size_t buffer_cap_bytes,
                        struct tls_tickets *tickets)
{
    struct worker_thread *t = MEM_NEW(struct worker_thread);
    w->all[i] = t;
    w->pages[i] = aligned_alloc(64, sizeof(struct counters_shared));
    if (!w->pages[i])
        return false;
    memset(w->pages[i], 0, sizeof(struct counters_shared));
    t->set = w;
    t->is_main = i == w->count;
    list_init(&t->listens);
    timer_init(&t->sweep, on_sweep);
    timer_init(&t->drain_by, on_drain_by);
    timer_init(&t->settle_by, on_settle_by);
    if (!worker_init(&t->worker, i, &io_backend_epoll, NULL, &h1_origin_engine, w->pages[i],
                     buffer_cap_bytes))
        return false;
    t->worker.acceptor.take_preface = take_preface;
    t->worker.shared_engine = &h2_origin_engine;
    t->worker.fastcgi_engine = &fcgi_origin_engine;
    t->worker.pools.engine = &h2_mux_engine;
    return tls_init(t, tickets);
}

bool workers_init(struct workers *w, uint32_t count, size_t buffer_cap_bytes,
                  struct tls_tickets *tickets)
{
    *w = (struct workers){.count = count, .tickets = tickets};
    w->all = mem_new((count + 1) * sizeof *w->all);
    w->pages = mem_new((count + 1) * sizeof *w->pages);
    for (uint32_t i = 0; i <= count; i++)
        if (!thread_init(w, i, buffer_cap_bytes, tickets))
            return false;
    return true;
}

bool workers_start(struct workers *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        int error = pthread_create(&w->all[i]->thread, NULL, thread_main, w->all[i]);
        if (error) {
            errno = error;
            return false;
        }
        w->running++;
    }
    return true;
}

/* After a settle that timed out connections are still open, so the worker stays as it is: the
 * process ends anyway. */
static void thread_release(struct worker_thread *t)
{
    struct loop *l = &t->worker.loop;
    if (!list_empty(&t->listens) || l->timers.count > 0)
        return;
    mailbox_run(l->mailbox, l); /* what came after its end frees itself */
    struct tls_worker *tls = t->worker.tls;
    if (tls)
        tls_worker_stop(tls);
    worker_release(&t->worker);
    if (tls)
        tls_worker_free(tls);
    free(t);
}

void workers_release(struct workers *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        pthread_join(w->all[i]->thread, NULL);
    for (uint32_t i = 0; i <= w->count; i++)
        thread_release(w->all[i]);
    for (uint32_t i = 0; i <= w->count; i++)
        free(w->pages[i]);
    free(w->all);
    free(w->pages);
}
