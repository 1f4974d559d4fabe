/* dns.c - names to addresses and back: c-ares on a loop's readiness and timers.
 *
 * c-ares opens and closes its own sockets and says what it waits for (on_sock_state); each is
 * watched by a struct watch, which the reaper frees. c-ares may answer from inside dns_resolve()
 * (literals, /etc/hosts): an answer is therefore kept in the query and delivered by a task, so
 * `done` always comes from a tick. It reads /etc/resolv.conf once, when it is made. */
// SPDX-License-Identifier: Apache-2.0
#include "net/dns.h"
#include "base/assert.h"
#include "base/mem.h"
#include <ares.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUERY_TIMEOUT_MS = 2000, /* per try; c-ares doubles it */
    QUERY_TRIES = 3,
    NAME_MAX_BYTES = 255,
    ADDRS_MAX = 64,    /* of one answer; the rest is dropped */
    NAMES_MAX = 16,    /* likewise */
    TTL_MIN_MS = 1000, /* a TTL of 0 must not mean a query per request */
    TTL_MAX_MS = 86400000,
    TTL_HOSTS_MS = 30000,   /* /etc/hosts has none */
    TTL_NAMES_MS = 3600000, /* c-ares does not tell it */
    TTL_FAILED_MS = 5000
};

struct dns {
    struct loop *loop;
    ares_channel channel;
    struct timer timer;
    struct list watches, queries;
};

struct watch {
    struct list link;
    struct dns *dns;
    struct loop *loop;
    struct io_sock sock;
    struct io_op rd, wr;
    struct dead dead;
    ares_socket_t fd;
    bool want_rd, want_wr, closed;
};

struct dns_query {
    struct list link;
    struct task task; /* delivers */
    struct dns *dns;
    void (*done)(void *ctx, const struct dns_answer *a); /* NULL: canceled */
    void *ctx;
    struct dns_answer answer;
    struct addr *addrs;
    char *names[NAMES_MAX];
    bool asking; /* inside ares_getaddrinfo(): an answer now is not from the network */
    bool answered;
};

/* ---- sockets ---- */

static void update(struct watch *w)
{
    if (w->want_rd && !w->rd.armed)
        io_poll_in(w->loop, &w->sock, &w->rd);
    else if (!w->want_rd)
        io_cancel(w->loop, &w->rd);
    if (w->want_wr && !w->wr.armed)
        io_poll_out(w->loop, &w->sock, &w->wr);
    else if (!w->want_wr)
        io_cancel(w->loop, &w->wr);
}

static void set_timer(struct dns *d)
{
    struct timeval tv;
    if (!ares_timeout(d->channel, NULL, &tv)) {
        timer_stop(&d->loop->timers, &d->timer);
        return;
    }
    int64_t wait_ms = (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1;
    timer_stop(&d->loop->timers, &d->timer); /* it may have to come earlier than before */
    timer_set(&d->loop->timers, &d->timer, d->loop->now_ms + wait_ms);
}

static void process(struct watch *w, ares_socket_t rd, ares_socket_t wr)
{
    struct dns *d = w->dns;
    if (w->closed)
        return;
    ares_process_fd(d->channel, rd, wr);
    if (!w->closed)
        update(w);
    set_timer(d);
}

static void on_readable(struct io_op *op, int res)
{
    struct watch *w = CONTAINER_OF(op, struct watch, rd);
    if (res == 0)
        process(w, w->fd, ARES_SOCKET_BAD);
}

static void on_writable(struct io_op *op, int res)
{
    struct watch *w = CONTAINER_OF(op, struct watch, wr);
    if (res == 0)
        process(w, ARES_SOCKET_BAD, w->fd);
}

static bool watch_ready(struct dead *dead)
{
    struct watch *w = CONTAINER_OF(dead, struct watch, dead);
    return !w->rd.armed && !w->wr.armed;
}

static void watch_free(struct dead *dead)
{
    free(CONTAINER_OF(dead, struct watch, dead));
}

static struct watch *watch_new(struct dns *d, ares_socket_t fd)
{
    struct watch *w = MEM_NEW(struct watch);
    *w = (struct watch){.dns = d,
                        .loop = d->loop,
                        .fd = fd,
                        .rd.done = on_readable,
                        .wr.done = on_writable,
                        .dead = {.ready = watch_ready, .free = watch_free}};
    if (!io_sock_open(d->loop, &w->sock, fd)) {
        free(w); /* the query ends by its timeout */
        return NULL;
    }
    list_push(&d->watches, &w->link);
    return w;
}

static void watch_close(struct watch *w)
{
    w->closed = true;
    list_remove(&w->link);
    io_cancel(w->loop, &w->rd);
    io_cancel(w->loop, &w->wr);
    io_sock_detach(w->loop, &w->sock);
    dead_add(w->loop, &w->dead);
}

static struct watch *watch_find(struct dns *d, ares_socket_t fd)
{
    LIST_EACH (it, &d->watches) {
        struct watch *w = LIST_ENTRY(it, struct watch, link);
        if (w->fd == fd)
            return w;
    }
    return NULL;
}

/* From c-ares: it waits for this socket, or (neither) is about to close it. */
static void on_sock_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct dns *d = ctx;
    struct watch *w = watch_find(d, fd);
    if (!readable && !writable) {
        if (w)
            watch_close(w);
        return;
    }
    if (!w && !(w = watch_new(d, fd)))
        return;
    w->want_rd = readable;
    w->want_wr = writable;
    update(w);
}

static void on_timer(struct timer *t)
{
    struct dns *d = CONTAINER_OF(t, struct dns, timer);
    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(d);
}

/* ---- queries ---- */

static void query_free(struct dns_query *q)
{
    task_cancel(&q->dns->loop->tasks, &q->task);
    list_remove(&q->link);
    free(q->addrs);
    for (int i = 0; i < NAMES_MAX; i++)
        free(q->names[i]);
    free(q);
}

static void deliver(struct task *t)
{
    struct dns_query *q = CONTAINER_OF(t, struct dns_query, task);
    void (*done)(void *, const struct dns_answer *) = q->done;
    q->done = NULL; /* dns_cancel() from inside done() finds nothing to do */
    done(q->ctx, &q->answer);
    query_free(q);
}

static int64_t smallest_ttl_ms(const struct ares_addrinfo *info)
{
    int64_t ttl_s = TTL_MAX_MS / 1000;
    for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next)
        if (n->ai_ttl < ttl_s)
            ttl_s = n->ai_ttl;
    for (const struct ares_addrinfo_cname *c = info->cnames; c; c = c->next)
        if (c->ttl < ttl_s)
            ttl_s = c->ttl;
    return ttl_s * 1000 < TTL_MIN_MS ? TTL_MIN_MS : ttl_s * 1000;
}

static void keep_addrs(struct dns_query *q, const struct ares_addrinfo *info)
{
    q->addrs = mem_new(sizeof(*q->addrs) * ADDRS_MAX);
    for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next) {
        struct addr *a = &q->addrs[q->answer.count];
        if (q->answer.count == ADDRS_MAX || n->ai_addrlen > sizeof(a->un))
            continue;
        a->len = n->ai_addrlen;
        memcpy(&a->sa, n->ai_addr, n->ai_addrlen);
        q->answer.count++;
    }
    q->answer.addrs = q->addrs;
}

static void fail(struct dns_query *q, int status)
{
    q->answer = (struct dns_answer){.err = ERR_DNS_FAILED,
                                    .text = ares_strerror(status),
                                    .none = status == ARES_ENOTFOUND || status == ARES_ENODATA,
                                    .ttl_ms = TTL_FAILED_MS};
}

static void answered(struct dns_query *q)
{
    q->answered = true;
    if (q->done)
        task_wake(&q->dns->loop->tasks, &q->task);
    else
        query_free(q); /* canceled meanwhile */
}

static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    struct dns_query *q = ctx;
    (void)timeouts;
    if (status == ARES_SUCCESS && info && info->nodes) {
        keep_addrs(q, info);
        q->answer.ttl_ms = q->asking ? TTL_HOSTS_MS : smallest_ttl_ms(info);
    } else {
        fail(q, status == ARES_SUCCESS ? ARES_ENODATA : status);
    }
    if (info)
        ares_freeaddrinfo(info);
    answered(q);
}

static void name_keep(struct dns_query *q, const char *name)
{
    if (name && q->answer.count < NAMES_MAX)
        q->names[q->answer.count++] = mem_dup(name, strlen(name));
}

static void on_names(void *ctx, int status, int timeouts, struct hostent *host)
{
    struct dns_query *q = ctx;
    (void)timeouts;
    if (status == ARES_SUCCESS && host && host->h_name) {
        name_keep(q, host->h_name);
        for (char **alias = host->h_aliases; alias && *alias; alias++)
            name_keep(q, *alias);
        q->answer.names = (const char *const *)q->names;
        q->answer.ttl_ms = TTL_NAMES_MS;
    } else {
        fail(q, status == ARES_SUCCESS ? ARES_ENODATA : status);
    }
    answered(q);
}

static void ask(struct dns_query *q, struct slice name)
{
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char copy[NAME_MAX_BYTES + 1];
    memcpy(copy, name.at, name.len);
    copy[name.len] = '\0';
    q->asking = true;
    ares_getaddrinfo(q->dns->channel, copy, NULL, &hints, on_answer, q);
    q->asking = false;
    set_timer(q->dns);
}

static struct dns_query *query_new(struct dns *d,
                                   void (*done)(void *ctx, const struct dns_answer *a), void *ctx)
{
    struct dns_query *q = MEM_NEW(struct dns_query);
    *q = (struct dns_query){.dns = d, .done = done, .ctx = ctx};
    task_init(&q->task, deliver);
    list_push(&d->queries, &q->link);
    return q;
}

struct dns_query *dns_resolve(struct dns *d, struct slice name,
                              void (*done)(void *ctx, const struct dns_answer *a), void *ctx)
{
    struct dns_query *q = query_new(d, done, ctx);
    if (name.len > 0 && name.len <= NAME_MAX_BYTES && slice_find(name, '\0') == name.len) {
        ask(q, name);
        return q;
    }
    fail(q, ARES_EBADNAME);
    answered(q);
    return q;
}

struct dns_query *dns_reverse(struct dns *d, const struct addr *a,
                              void (*done)(void *ctx, const struct dns_answer *a), void *ctx)
{
    struct dns_query *q = query_new(d, done, ctx);
    struct addr plain = *a;
    addr_unmap(&plain);
    if (plain.len > 0 && plain.sa.sa_family == AF_INET) {
        ares_gethostbyaddr(d->channel, &plain.in.sin_addr, 4, AF_INET, on_names, q);
    } else if (plain.len > 0 && plain.sa.sa_family == AF_INET6) {
        ares_gethostbyaddr(d->channel, &plain.in6.sin6_addr, 16, AF_INET6, on_names, q);
    } else {
        fail(q, ARES_EBADFAMILY);
        answered(q);
    }
    set_timer(d);
    return q;
}

void dns_cancel(struct dns_query *q)
{
    if (!q->done)
        return;
    q->done = NULL;
    if (q->answered)
        query_free(q);
}

/* ---- the resolver ---- */

static bool open_channel(struct dns *d, const char *servers_csv)
{
    struct ares_options o = {.timeout = QUERY_TIMEOUT_MS,
                             .tries = QUERY_TRIES,
                             .lookups = (char[]){"fb"}, /* /etc/hosts, then DNS */
                             .sock_state_cb = on_sock_state,
                             .sock_state_cb_data = d};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&d->channel, &o, mask) != ARES_SUCCESS)
        return false;
    if (!servers_csv || ares_set_servers_ports_csv(d->channel, servers_csv) == ARES_SUCCESS)
        return true;
    ares_destroy(d->channel);
    return false;
}

/* c-ares counts its users without a lock; workers make resolvers, too. */
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void library_init(void)
{
    library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

struct dns *dns_new(struct loop *l, const char *servers_csv)
{
    struct dns *d = MEM_NEW(struct dns);
    d->loop = l;
    list_init(&d->watches);
    list_init(&d->queries);
    timer_init(&d->timer, on_timer);
    pthread_once(&library_once, library_init);
    if (library_status == ARES_SUCCESS && open_channel(d, servers_csv))
        return d;
    free(d);
    return NULL;
}

void dns_free(struct dns *d)
{
    LIST_EACH_SAFE (it, &d->queries)
        dns_cancel(LIST_ENTRY(it, struct dns_query, link));
    ares_destroy(d->channel); /* ends what is outstanding and closes the sockets */
    ASSERT(list_empty(&d->queries) && list_empty(&d->watches));
    timer_stop(&d->loop->timers, &d->timer);
    free(d);
}
