/* replace.c - a worker process hands over to the next one, of the same supervisor.
 *
 * A configuration that names a folder which the sandbox of the running process does not reach needs
 * a process with another one: nothing that was given up can be had back. The worker asks for it by
 * REPLACE, after it has checked the configuration. The next is started with it and the same
 * sockets; when it serves, the old one stops accepting and finishes what it has. Until then nothing
 * has changed: if the next one ends, the old one stays. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "main/notify.h"
#include "main/supervisor_priv.h"
#include <signal.h>
#include <unistd.h>

static const struct child nobody = {.channel = -1};

static void tell_old(struct supervisor *s, enum handover_order o)
{
    if (s->old.channel >= 0)
        (void)handover_say(s->old.channel, HANDOVER_ORDER, o, SLICE_NONE);
}

static void close_old(struct supervisor *s)
{
    if (s->old.channel >= 0)
        close(s->old.channel);
    s->old = nobody;
    s->old_leaves = false;
}

void replace_begin(struct supervisor *s)
{
    if (s->stage != SUPERVISOR_RUNNING || s->bundle_next < 0 || s->old.pid) {
        log_write(LOG_ERROR_, "reload refused: the process before still finishes its requests");
        keeper_forget_next(s);
        keeper_order(s, ORDER_STAY);
        notify_ready();
        return;
    }
    log_write(LOG_NOTICE_,
              "a new worker process takes over: the sandbox of %ld does not reach "
              "what the configuration names",
              (long)s->worker.pid);
    s->old = s->worker;
    s->old_leaves = false;
    s->worker = nobody;
    keeper_start(s);
    if (!s->worker.pid)
        (void)replace_take_back(s, "it could not be started");
}

bool replace_take_back(struct supervisor *s, const char *why)
{
    if (!s->old.pid || s->old_leaves)
        return false;
    log_write(LOG_ERROR_, "reload refused: the new worker process did not serve: %s", why);
    s->worker = s->old;
    s->old = nobody;
    s->start_at_ms = 0;
    s->ready = true;
    keeper_forget_next(s);
    keeper_order(s, ORDER_STAY);
    notify_ready();
    return true;
}

void replace_finish(struct supervisor *s)
{
    if (!s->old.pid || s->old_leaves)
        return;
    s->old_leaves = true;
    tell_old(s, ORDER_LEAVE);
}

void replace_stop(struct supervisor *s)
{
    tell_old(s, ORDER_STOP);
}

void replace_end_now(struct supervisor *s)
{
    if (s->old.pid)
        kill(s->old.pid, SIGKILL);
}

/* It waits for no answer but to PREPARE. */
static void on_message(struct supervisor *s, const struct handover *m)
{
    if (m->kind == HANDOVER_PREPARE)
        (void)handover_say(s->old.channel, HANDOVER_CONFIG, 0,
                           SLICE("a new worker process is taking over"));
    else if (m->kind == HANDOVER_BANS)
        keeper_on_bans(s, m->text);
    else if (m->kind == HANDOVER_STOP)
        supervisor_stop(s);
}

/* A closed channel is its own affair: its death follows. */
void replace_on_message(struct supervisor *s)
{
    struct handover m;
    enum handover_got got = HANDOVER_NOTHING;
    while (s->old.channel >= 0 && (got = handover_receive(s->old.channel, &m, 0)) == HANDOVER_GOT) {
        handover_close_fds(&m);
        on_message(s, &m);
    }
    if (got != HANDOVER_GONE)
        return;
    close(s->old.channel);
    s->old.channel = -1;
}

void replace_on_death(struct supervisor *s)
{
    close_old(s);
    if (s->stage >= SUPERVISOR_STOPPING && !s->worker.pid)
        supervisor_end(s, s->exit_code);
}
