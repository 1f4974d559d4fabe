/* keeper.c - the supervisor keeps a worker process: starts it, answers it, starts it again.
 *
 * A worker gets the bundle of the configuration and the sockets of its addresses. It says IN_FORCE
 * when all its threads have them; until then a death means that the configuration before stays. The
 * first configuration has none before it, so its failure is the end of weir. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "main/bundle.h"
#include "main/command.h"
#include "main/notify.h"
#include "main/sandbox.h"
#include "main/spawn.h"
#include "main/supervisor_priv.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- what a bundle says to us ---- */

static bool want_listen(struct supervisor *s, const struct bundle_entry *e, uint32_t workers)
{
    struct addr a;
    if (e->body.len != sizeof a)
        return true;
    memcpy(&a, e->body.at, sizeof a);
    bool alone = s->stage == SUPERVISOR_STARTING && s->elder < 0;
    return sockets_want(&s->sockets, &a, e->number & BUNDLE_INTERNAL, workers, alone);
}

static bool wish_rights(struct supervisor *s, const struct bundle_entry *e)
{
    struct addr a;
    uint64_t group = SOCKET_GROUP_OWN;
    if (e->body.len != sizeof a || num_parse_u64(e->name, &group) != ERR_OK)
        return true;
    memcpy(&a, e->body.at, sizeof a);
    return sockets_wish(&s->sockets, &a, (struct socket_rights){e->number, (uint32_t)group});
}

/* False: no memory. The supervisor does not end for that. */
static bool want_all(struct supervisor *s, const struct bundle *b)
{
    struct bundle_entry e;
    uint32_t workers = 1;
    sockets_want_none(&s->sockets);
    for (size_t at = 0; bundle_next(b, &at, &e);) {
        if (e.kind == BUNDLE_WORKERS)
            workers = e.number;
        else if (e.kind == BUNDLE_RIGHTS && !wish_rights(s, &e))
            return false;
        else if (e.kind == BUNDLE_LISTEN && !want_listen(s, &e, workers))
            return false;
    }
    return true;
}

static char *pid_file_of(const struct bundle *b)
{
    struct bundle_entry e;
    for (size_t at = 0; bundle_next(b, &at, &e);)
        if (e.kind == BUNDLE_PID_FILE)
            return mem_dup(e.body.at, e.body.len);
    return NULL;
}

/* The pid file is first: who sees an address open may look for it. One that takes over waits until
 * it has. */
static bool write_pid_file(struct supervisor *s, const struct bundle *b)
{
    if (s->pid_file || s->elder >= 0)
        return true;
    s->pid_file = pid_file_of(b);
    return !s->pid_file || pid_file_write(s->pid_file);
}

/* Binds what the configuration wants. An address that cannot be bound is the worker's to judge. */
static bool apply_bundle(struct supervisor *s, int fd)
{
    struct bundle b;
    if (!bundle_open(&b, fd)) {
        log_write(LOG_ERROR_, "cannot map the configuration: %s", strerror(errno));
        return false;
    }
    bool ok = s->stage != SUPERVISOR_STARTING || write_pid_file(s, &b);
    if (ok && !(ok = want_all(s, &b)))
        log_write(LOG_ERROR_, "no memory for the sockets of the configuration");
    bundle_release(&b);
    return ok;
}

/* Our own system calls, and so those of all that we start. For good: once. */
static void confine(struct supervisor *s, int fd)
{
    struct bundle b;
    struct bundle_entry e;
    if (s->confined || !bundle_open(&b, fd))
        return;
    for (size_t at = 0; bundle_next(&b, &at, &e);) {
        if (e.kind != BUNDLE_SANDBOX)
            continue;
        s->confined = true;
        if (!sandbox_enter_supervisor((enum sandbox_mode)e.number))
            log_write(LOG_WARN_, "the supervisor's system calls are not confined: %s",
                      strerror(errno));
    }
    bundle_release(&b);
}

/* ---- talking to the worker ---- */

/* It does not listen any more: its death will follow. */
static void give_up(struct supervisor *s)
{
    close_fd(&s->worker.channel);
    if (s->worker.pid)
        kill(s->worker.pid, SIGKILL);
}

void keeper_order(struct supervisor *s, enum handover_order o)
{
    if (s->worker.channel >= 0 && !handover_say(s->worker.channel, HANDOVER_ORDER, o, SLICE_NONE))
        give_up(s);
}

static bool send_hello(struct supervisor *s)
{
    struct handover m = {
        .kind = HANDOVER_HELLO, .addr = s->control, .text = text_slice(&s->reason)};
    m.numbers[HELLO_PID] = getpid();
    m.numbers[HELLO_STARTED_MS] = s->started_unix_ms;
    m.numbers[HELLO_RESTARTS] = s->restarts;
    m.numbers[HELLO_RESTARTED_MS] = s->restarted_unix_ms;
    struct sandbox_facts own;
    sandbox_facts_read(&own);
    m.numbers[HELLO_SANDBOX] = sandbox_facts_pack(&own);
    return handover_send(s->worker.channel, &m);
}

static bool send_tickets(struct supervisor *s)
{
    return s->tickets.len == 0 ||
           handover_say(s->worker.channel, HANDOVER_TICKETS, 0, text_slice(&s->tickets));
}

static bool send_changes(struct supervisor *s)
{
    return s->changes.len == 0 ||
           handover_say(s->worker.channel, HANDOVER_CHANGES, 0, text_slice(&s->changes));
}

static bool send_config(struct supervisor *s, int bundle)
{
    struct handover m = {.kind = HANDOVER_CONFIG, .fds = {bundle}, .fd_count = 1};
    m.numbers[CONFIG_LISTENERS] = sockets_message_count(&s->sockets, false);
    m.numbers[CONFIG_GENERATION] = bundle == s->bundle ? s->generation : s->generation + 1;
    return handover_send(s->worker.channel, &m) &&
           sockets_send(&s->sockets, s->worker.channel, false);
}

void keeper_refuse(struct supervisor *s, const char *why)
{
    if (!s->asked)
        return;
    s->asked = false;
    if (!handover_say(s->worker.channel, HANDOVER_CONFIG, 0, slice_of(why)))
        give_up(s);
}

/* ---- starting ---- */

static bool spawn_worker(struct supervisor *s)
{
    char *argv[] = {(char *)"weir", (char *)SPAWN_WORKER_WORD, (char *)s->options->path, NULL};
    struct spawn how = {.path = spawn_same_program(), .argv = argv};
    s->worker.started_ms = supervisor_now_ms();
    s->worker.pid = spawn_start(&how, &s->worker.channel);
    if (!s->worker.pid)
        log_write(LOG_ERROR_, "cannot start a worker process: %s", strerror(errno));
    return s->worker.pid != 0;
}

static void start_again_later(struct supervisor *s, int64_t pause_ms)
{
    s->start_at_ms = supervisor_now_ms() + pause_ms;
}

void keeper_start(struct supervisor *s)
{
    int bundle = s->bundle_next >= 0 ? s->bundle_next : s->bundle;
    s->start_at_ms = 0;
    s->ready = s->asked = false;
    text_release(&s->report);
    sockets_taken_back(&s->sockets);
    bool ok = apply_bundle(s, bundle);
    confine(s, bundle);
    ok = ok && spawn_worker(s);
    if (ok && !(send_hello(s) && send_tickets(s) && send_changes(s) &&
                ban_keeper_send(s->worker.channel) && send_config(s, bundle)))
        give_up(s);
    if (ok)
        return;
    if (s->stage == SUPERVISOR_STARTING)
        supervisor_end(s, EXIT_FAILED);
    else
        start_again_later(s, backoff_after(&s->backoff, 0));
}

/* ---- reloading ---- */

void keeper_forget_next(struct supervisor *s)
{
    close_fd(&s->bundle_next);
    sockets_refuse(&s->sockets);
}

static bool read_config(struct supervisor *s)
{
    if (s->reader.pid || reader_start(&s->reader, s->options, &s->control, supervisor_now_ms()))
        return true;
    log_write(LOG_ERROR_, "cannot start a process: %s", strerror(errno));
    return false;
}

/* A worker that serves reloads by itself; one that is starting will. Without one the next is
 * started with what the files hold now: what it keeps dying of may just have been put right. */
void keeper_reload(struct supervisor *s)
{
    if (s->stage == SUPERVISOR_RUNNING && !s->worker.pid) {
        (void)read_config(s);
        return;
    }
    s->reload_due = true; /* until it asks for the files: it may die before */
    if (s->ready)
        keeper_order(s, ORDER_RELOAD);
}

static void on_prepare(struct supervisor *s)
{
    s->asked = true;
    s->reload_due = false;
    notify_reloading();
    if (s->stage != SUPERVISOR_RUNNING)
        keeper_refuse(s, "weir is stopping");
    else if (s->next.pid)
        keeper_refuse(s, "an upgrade is under way");
    else if (!read_config(s))
        keeper_refuse(s, "cannot start a process");
}

static void read_failed(struct supervisor *s)
{
    if (s->asked)
        keeper_refuse(s, "the configuration could not be read: its reader failed");
    else if (s->stage == SUPERVISOR_STARTING) {
        log_write(LOG_ERROR_, "the configuration could not be read: its reader failed");
        supervisor_end(s, EXIT_FAILED);
    }
}

void keeper_on_read(struct supervisor *s, int bundle)
{
    if (bundle < 0) {
        read_failed(s);
        return;
    }
    close_fd(&s->bundle_next);
    s->bundle_next = bundle;
    if (!s->worker.pid) {
        keeper_start(s);
        return;
    }
    if (!s->asked || !apply_bundle(s, bundle)) {
        keeper_forget_next(s);
        read_failed(s);
        return;
    }
    s->asked = false;
    if (!send_config(s, bundle))
        give_up(s);
}

/* ---- what the worker says ---- */

static void first_time(struct supervisor *s, const struct bundle *b)
{
    s->stage = SUPERVISOR_RUNNING;
    upgrade_tell_elder(s);
    (void)write_pid_file(s, b);
    if (s->options->banner) {
        fputs(s->options->banner, stdout);
        fflush(stdout);
    }
}

static void now_in_force(struct supervisor *s, int64_t generation)
{
    struct bundle b;
    bool was_read = s->bundle_next >= 0;
    if (was_read) {
        close_fd(&s->bundle);
        s->bundle = s->bundle_next;
        s->bundle_next = -1;
    }
    s->generation = generation;
    sockets_accept(&s->sockets);
    if (!bundle_open(&b, s->bundle))
        return;
    if (was_read) /* a change by command must not put off the next look at the files */
        watch_set(&s->watch, &b, supervisor_now_ms());
    ban_export_set(&s->ban_export, &b, supervisor_now_ms());
    if (s->stage == SUPERVISOR_STARTING)
        first_time(s, &b);
    bundle_release(&b);
}

static void on_in_force(struct supervisor *s, int64_t generation)
{
    if (s->stage >= SUPERVISOR_STOPPING)
        return;
    now_in_force(s, generation);
    bool first = !s->ready;
    if (first && s->died_ms)
        log_write(LOG_NOTICE_, "worker process %ld serves, %lld ms after the end of the last",
                  (long)s->worker.pid, (long long)(supervisor_now_ms() - s->died_ms));
    s->ready = true;
    s->died_ms = 0;
    replace_finish(s);
    notify_ready();
    if (first && s->reload_due)
        keeper_order(s, ORDER_RELOAD);
}

static void on_report(struct supervisor *s, struct slice text)
{
    text_release(&s->report);
    text_add(&s->report, text);
    if (s->elder >= 0)
        (void)handover_say(s->elder, HANDOVER_REPORT, 0, text);
}

void keeper_on_bans(struct supervisor *s, struct slice lines)
{
    ban_keeper_take(&s->bans, lines);
    ban_export_soon(&s->ban_export, supervisor_now_ms());
}

static void on_message(struct supervisor *s, const struct handover *m)
{
    switch (m->kind) {
    case HANDOVER_PREPARE: on_prepare(s); break;
    case HANDOVER_IN_FORCE: on_in_force(s, m->numbers[IN_FORCE_GENERATION]); break;
    case HANDOVER_REFUSED:
        keeper_forget_next(s);
        notify_ready();
        break;
    case HANDOVER_REPLACE: replace_begin(s); break;
    case HANDOVER_REPORT: on_report(s, m->text); break;
    case HANDOVER_TICKETS: supervisor_keep_tickets(s, m->text); break;
    case HANDOVER_CHANGES: supervisor_keep_changes(s, m->text); break;
    case HANDOVER_BANS: keeper_on_bans(s, m->text); break;
    case HANDOVER_STOP: supervisor_stop(s); break;
    case HANDOVER_UPGRADE: upgrade_begin(s); break;
    default: give_up(s); break;
    }
}

void keeper_on_message(struct supervisor *s)
{
    struct handover m;
    while (s->worker.channel >= 0) {
        enum handover_got got = handover_receive(s->worker.channel, &m, 0);
        if (got == HANDOVER_NOTHING)
            return;
        if (got == HANDOVER_GONE) {
            give_up(s);
            return;
        }
        handover_close_fds(&m); /* it has none to give */
        on_message(s, &m);
    }
}

/* ---- its death ---- */

static void first_failed(struct supervisor *s, int status)
{
    if (!WIFEXITED(status))
        log_write(LOG_ERROR_, "the worker process was %s at its start", s->reason.at);
    if (s->options->hint && sockets_any_failed(&s->sockets))
        fprintf(stderr, "%s\n", s->options->hint);
    supervisor_end(s, WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILED);
}

static void log_death(const struct supervisor *s, pid_t pid, int64_t lived_ms, int64_t pause_ms)
{
    if (pause_ms == 0)
        log_write(LOG_ERROR_, "worker process %ld ended after %lld ms: %s; another one is started",
                  (long)pid, (long long)lived_ms, s->reason.at);
    else
        log_write(LOG_ERROR_,
                  "worker process %ld ended after %lld ms: %s; that is %u times in a row that it "
                  "ends right after its start, so the next is started in %lld ms",
                  (long)pid, (long long)lived_ms, s->reason.at, s->backoff.failures,
                  (long long)pause_ms);
}

/* It is not tried again with the next: that might end over it, too. */
static void refuse_reload(struct supervisor *s)
{
    if (s->asked || s->bundle_next >= 0)
        log_write(LOG_ERROR_,
                  "reload refused: the worker process ended over it; configuration %lld stays",
                  (long long)s->generation);
    s->asked = false;
    reader_cancel(&s->reader);
    keeper_forget_next(s);
}

static void restart(struct supervisor *s, pid_t pid)
{
    int64_t lived_ms = supervisor_now_ms() - s->worker.started_ms;
    int64_t pause_ms = backoff_after(&s->backoff, lived_ms);
    if (!s->died_ms)
        s->died_ms = supervisor_now_ms();
    s->restarts++;
    s->restarted_unix_ms = supervisor_unix_ms();
    log_death(s, pid, lived_ms, pause_ms);
    refuse_reload(s);
    if (pause_ms)
        start_again_later(s, pause_ms);
    else
        keeper_start(s);
}

/* One that hands over may still have requests. */
static void last_ended(struct supervisor *s, int status)
{
    s->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
    if (!s->old.pid)
        supervisor_end(s, s->exit_code);
}

void keeper_on_death(struct supervisor *s, int status)
{
    pid_t pid = s->worker.pid;
    s->worker.pid = 0;    /* reaped: the number may be another's by now */
    keeper_on_message(s); /* its last words */
    close_fd(&s->worker.channel);
    s->ready = false;
    s->kill_at_ms = 0;
    text_clear(&s->reason);
    supervisor_add_status(&s->reason, status);
    if (s->stage >= SUPERVISOR_STOPPING)
        last_ended(s, status);
    else if (replace_take_back(s, s->reason.at))
        return;
    else if (s->stage == SUPERVISOR_STARTING)
        first_failed(s, status);
    else
        restart(s, pid);
}
