/* supervised.c - see supervised.h. A line that breaks ends the process: without its supervisor
 * nobody could reload, upgrade or stop it, and its sockets would be shared with the next weir. */
// SPDX-License-Identifier: Apache-2.0
#include "main/supervised.h"
#include "base/log.h"
#include "main/command.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void lost(void)
{
    log_write(LOG_ERROR_, "the supervisor is gone: this worker process ends");
    log_stop();
    _exit(EXIT_FAILED);
}

/* ---- what can arrive at any time ---- */

static void keep_bans(struct supervised *s, int fd)
{
    struct bundle b;
    if (!bundle_open(&b, fd))
        return;
    text_clear(&s->bans);
    text_add(&s->bans, b.bytes);
    bundle_release(&b);
}

static void on_message(struct supervised *s, const struct handover *m)
{
    if (m->kind == HANDOVER_ORDER) {
        int64_t order = m->numbers[ORDER_NUMBER];
        if (order > 0 && order < ORDER_END)
            s->orders |= 1u << order;
    } else if (m->kind == HANDOVER_TICKETS) {
        text_clear(&s->tickets);
        text_add(&s->tickets, m->text);
    } else if (m->kind == HANDOVER_CHANGES) {
        text_clear(&s->changes);
        text_add(&s->changes, m->text);
    } else if (m->kind == HANDOVER_BANS && m->fd_count == 1) {
        keep_bans(s, m->fds[0]);
    } else if (m->kind == HANDOVER_NEWS) {
        text_release(&s->news);
        text_add(&s->news, m->text);
        s->info.upgrade_error = s->news.at;
        s->info.upgrading = false;
    }
}

/* The next message of `kind`; others are dealt with on the way. */
static void await(struct supervised *s, uint32_t kind, struct handover *m)
{
    for (;;) {
        if (handover_receive(s->channel, m, -1) == HANDOVER_GONE)
            lost();
        if (m->kind == kind)
            return;
        on_message(s, m);
        handover_close_fds(m);
    }
}

int supervised_next_order(struct supervised *s)
{
    if (!s->orders)
        return 0;
    int order = __builtin_ctz(s->orders);
    s->orders &= s->orders - 1;
    return order;
}

/* ---- start ---- */

static void hello(struct supervised *s, const struct handover *m)
{
    s->control = m->addr;
    text_add(&s->reason, m->text);
    sandbox_facts_unpack(&s->keeper, m->numbers[HELLO_SANDBOX]);
    s->info = (struct admin_supervisor){
        .pid = m->numbers[HELLO_PID],
        .started_unix_ms = m->numbers[HELLO_STARTED_MS],
        .restarts = m->numbers[HELLO_RESTARTS],
        .restarted_unix_ms = m->numbers[HELLO_RESTARTED_MS],
        .reason = s->reason.len ? s->reason.at : NULL,
    };
}

bool supervised_begin(struct supervised *s)
{
    struct handover m;
    *s = (struct supervised){.channel = HANDOVER_CHANNEL};
    if (fcntl(s->channel, F_SETFD, FD_CLOEXEC) != 0 ||
        handover_receive(s->channel, &m, HANDOVER_SEND_MS) != HANDOVER_GOT ||
        m.kind != HANDOVER_HELLO) {
        fprintf(stderr, "weir: this word is for 'weir run', which starts its worker by it\n");
        return false;
    }
    hello(s, &m);
    return true;
}

/* ---- configurations ---- */

/* What is left of a configuration that was refused, or of an address that came twice. */
static void forget_sockets(struct supervised *s)
{
    sockets_release(&s->sockets, SOCKETS_KEEP_FILES);
}

int supervised_receive(struct supervised *s, struct text *why)
{
    struct handover config, m;
    forget_sockets(s);
    await(s, HANDOVER_CONFIG, &config);
    s->generation = config.numbers[CONFIG_GENERATION];
    for (int64_t left = config.numbers[CONFIG_LISTENERS]; left > 0; left--) {
        await(s, HANDOVER_LISTENER, &m);
        sockets_add(&s->sockets, &m);
    }
    if (config.fd_count)
        return config.fds[0];
    if (config.text.len)
        text_addf(why, "%.*s\n", SLICE_ARG(config.text));
    else
        text_add(why, SLICE("out of file descriptors\n"));
    return -1;
}

int supervised_prepare(struct supervised *s, struct text *why)
{
    if (!handover_say(s->channel, HANDOVER_PREPARE, 0, SLICE_NONE))
        lost();
    return supervised_receive(s, why);
}

/* ---- telling ---- */

static void say(struct supervised *s, uint32_t kind, int64_t number, struct slice text)
{
    if (!handover_say(s->channel, kind, number, text))
        lost();
}

void supervised_in_force(struct supervised *s, uint64_t generation)
{
    say(s, HANDOVER_IN_FORCE, (int64_t)generation, SLICE_NONE);
}

void supervised_refused(struct supervised *s)
{
    forget_sockets(s);
    say(s, HANDOVER_REFUSED, 0, SLICE_NONE);
}

void supervised_report(struct supervised *s, struct slice text)
{
    say(s, HANDOVER_REPORT, 0, text);
}

void supervised_give_tickets(struct supervised *s, struct slice bytes)
{
    say(s, HANDOVER_TICKETS, 0, bytes);
}

void supervised_give_changes(struct supervised *s, struct slice text)
{
    say(s, HANDOVER_CHANGES, 0, text);
}

void supervised_give_bans(struct supervised *s, struct slice lines)
{
    say(s, HANDOVER_BANS, 0, lines);
}

void supervised_ask_stop(struct supervised *s)
{
    say(s, HANDOVER_STOP, 0, SLICE_NONE);
}

void supervised_ask_replace(struct supervised *s)
{
    forget_sockets(s);
    say(s, HANDOVER_REPLACE, 0, SLICE_NONE);
}

void supervised_ask_upgrade(struct supervised *s)
{
    s->info.upgrading = true;
    s->info.upgrade_error = NULL;
    say(s, HANDOVER_UPGRADE, 0, SLICE_NONE);
}

/* ---- watching ---- */

static void on_readable(struct io_op *op, int res)
{
    struct supervised *s = CONTAINER_OF(op, struct supervised, op);
    struct handover m;
    enum handover_got got = HANDOVER_NOTHING;
    while (!s->closing && res == 0 && (got = handover_receive(s->channel, &m, 0)) == HANDOVER_GOT) {
        on_message(s, &m);
        handover_close_fds(&m);
    }
    if (got == HANDOVER_GONE)
        lost();
    if (!s->closing)
        io_poll_in(s->loop, &s->sock, op);
}

static bool dead_ready(struct dead *d)
{
    return !CONTAINER_OF(d, struct supervised, dead)->op.armed;
}

/* The other end takes a closed channel for the end of this process, so it stays open. */
static void dead_free(struct dead *d)
{
    struct supervised *s = CONTAINER_OF(d, struct supervised, dead);
    io_sock_detach(s->loop, &s->sock);
}

bool supervised_watch(struct supervised *s, struct loop *l)
{
    s->loop = l;
    s->op.done = on_readable;
    s->dead = (struct dead){.ready = dead_ready, .free = dead_free};
    if (!io_sock_open(l, &s->sock, s->channel))
        return false;
    io_poll_in(l, &s->sock, &s->op);
    return true;
}

void supervised_unwatch(struct supervised *s)
{
    if (!s->loop)
        return;
    s->closing = true;
    io_cancel(s->loop, &s->op);
    dead_add(s->loop, &s->dead);
}

void supervised_release(struct supervised *s)
{
    forget_sockets(s);
    text_release(&s->reason);
    text_release(&s->news);
    text_release(&s->tickets);
    text_release(&s->changes);
    text_release(&s->bans);
}
