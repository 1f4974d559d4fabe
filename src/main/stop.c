/* stop.c - a graceful stop in stages, each with a deadline.
 *
 * First the worker threads drain; the admin listener goes on meanwhile, so that one can watch.
 * After `stop_timeout` open connections are cut off. When the threads have ended the main thread's
 * own worker drains, too. Whatever hangs even then ends with the process. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "main/command.h"
#include "main/main_conf.h"
#include "main/process_priv.h"
#include <unistd.h>

enum {
    ADMIN_DRAIN_MS = 1000,
    LEAVE_IDLE_MS = 5000,
    ABORTED_MS = 5000, /* what an aborted worker may still need */
};

static void set_deadline(struct process *p, int64_t ms)
{
    struct loop *l = process_loop(p);
    timer_set(&l->timers, &p->deadline, l->now_ms + ms);
}

void process_end_now(void)
{
    log_write(LOG_WARN_, "ended at once");
    log_stop();
    _exit(EXIT_FAILED);
}

static void on_deadline(struct timer *t)
{
    struct process *p = CONTAINER_OF(t, struct process, deadline);
    if (p->aborted)
        process_end_now();
    if (p->stage == PROCESS_DRAINING)
        log_write(LOG_WARN_, "stop_timeout is over: open connections are closed");
    p->aborted = true;
    workers_abort(&p->workers);
    set_deadline(p, ABORTED_MS);
}

void process_stop_init(struct process *p)
{
    timer_init(&p->deadline, on_deadline);
    workers_main(&p->workers)->extra_timers = 3; /* and those of tickets and bans */
}

static bool drain_begin(struct process *p, const char *what)
{
    if (p->stage != PROCESS_RUNNING)
        return false;
    p->stage = PROCESS_DRAINING;
    log_write(LOG_NOTICE_, "%s; requests in flight have %lld s", what,
              (long long)(p->conf->main->stop_ms + 999) / 1000);
    set_deadline(p, p->conf->main->stop_ms);
    return true;
}

void process_stop(struct process *p)
{
    if (drain_begin(p, "stopping"))
        workers_drain(&p->workers);
}

/* The successor has the same sockets: whoever connects from now on is to reach it alone. */
void process_leave(struct process *p)
{
    int64_t half_ms = p->conf->main->stop_ms / 2;
    if (drain_begin(p, "leaving to the next process"))
        workers_leave(&p->workers, half_ms < LEAVE_IDLE_MS ? half_ms : LEAVE_IDLE_MS);
}

void process_advance(struct process *p)
{
    if (p->stage != PROCESS_DRAINING || p->workers.running > 0)
        return;
    p->stage = PROCESS_CLOSING;
    p->aborted = false;
    process_dns_free(p);
    process_checks_free(p);
    workers_drain_main(&p->workers);
    set_deadline(p, ADMIN_DRAIN_MS);
}
