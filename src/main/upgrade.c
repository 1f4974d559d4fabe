/* upgrade.c - a new binary takes over: both ends of the conversation between two supervisors.
 *
 * The old one starts the program that stands at its path now, with its own arguments, and sends it
 * all sockets. The new one reads the configuration, starts a worker of its own, and says IN_FORCE
 * when that serves. Both then accept from the same sockets, so no connection is refused while the
 * old worker finishes what it has. Until IN_FORCE nothing has changed: if the new process ends, is
 * too slow, or was not even a program, the old one goes on and tells why. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "main/command.h"
#include "main/spawn.h"
#include "main/supervisor_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TAKEOVER_MS = 60000, /* for the new one to serve */
    INHERIT_MS = 10000,  /* for the old one to send its sockets */
};

/* ---- the old one ---- */

static void close_next(struct supervisor *s)
{
    if (s->next.channel >= 0)
        close(s->next.channel);
    s->next = (struct child){.channel = -1};
}

/* In the log, and to the worker, whom `weir upgrade` asks. */
static void failed(struct supervisor *s, const char *why)
{
    struct text t;
    text_init(&t);
    text_addf(&t, "%s%s", s->next_report.len ? s->next_report.at : "", why);
    log_write(LOG_ERROR_, "upgrade failed, nothing has changed: %s", why);
    if (s->worker.channel >= 0)
        (void)handover_say(s->worker.channel, HANDOVER_NEWS, 0, text_slice(&t));
    text_release(&t);
}

static bool send_changes(struct supervisor *s)
{
    return s->changes.len == 0 ||
           handover_say(s->next.channel, HANDOVER_CHANGES, 0, text_slice(&s->changes));
}

/* One that does not take them will end or be too slow: that is the reason to tell. */
static void send_sockets(struct supervisor *s)
{
    struct handover m = {.kind = HANDOVER_HELLO, .text = text_slice(&s->tickets)};
    m.numbers[HELLO_PID] = getpid();
    m.numbers[HELLO_LISTENERS] = sockets_message_count(&s->sockets, true);
    if (handover_send(s->next.channel, &m) && send_changes(s) && ban_keeper_send(s->next.channel))
        (void)sockets_send(&s->sockets, s->next.channel, true);
}

void upgrade_begin(struct supervisor *s)
{
    struct spawn how = {.path = s->own_path, .argv = s->options->argv, .takeover = true};
    if (s->stage != SUPERVISOR_RUNNING || !s->ready || s->reader.pid || s->bundle_next >= 0) {
        failed(s, "weir is starting, reloading or stopping");
        return;
    }
    if (s->next.pid)
        return;
    text_release(&s->next_report);
    log_write(LOG_NOTICE_, "upgrade: starting %s", s->own_path);
    s->next.pid = spawn_start(&how, &s->next.channel);
    s->next_by_ms = supervisor_now_ms() + TAKEOVER_MS;
    if (s->next.pid)
        send_sockets(s);
    else
        failed(s, strerror(errno));
}

/* It may have a worker: that dies with it. */
void upgrade_give_up(struct supervisor *s, const char *why)
{
    if (!s->next.pid)
        return;
    kill(s->next.pid, SIGKILL);
    close_next(s);
    failed(s, why);
}

/* From here on all that others see of weir is the successor's: files of sockets, the pid file, the
 * service manager. Our worker finishes what it has. */
static void leave(struct supervisor *s)
{
    log_write(LOG_NOTICE_, "upgrade: process %ld has taken over; open connections are finished",
              (long)s->next.pid);
    close_next(s);
    s->stage = SUPERVISOR_LEAVING;
    s->own_files = false;
    s->bans.config_path = NULL; /* the file is the successor's */
    s->bans.write_at_ms = 0;
    ban_export_end(&s->ban_export); /* as are the sets */
    sockets_release(&s->sockets, SOCKETS_KEEP_FILES);
    if (s->worker.pid)
        keeper_order(s, ORDER_LEAVE);
    else
        supervisor_end(s, EXIT_OK);
}

void upgrade_on_message(struct supervisor *s)
{
    struct handover m;
    while (s->next.channel >= 0) {
        enum handover_got got = handover_receive(s->next.channel, &m, 0);
        if (got == HANDOVER_NOTHING)
            return;
        if (got == HANDOVER_GONE) { /* its death follows, unless it hangs */
            close(s->next.channel);
            s->next.channel = -1;
            return;
        }
        handover_close_fds(&m);
        if (m.kind == HANDOVER_REPORT) {
            text_release(&s->next_report);
            text_add(&s->next_report, m.text);
        } else if (m.kind == HANDOVER_IN_FORCE) {
            leave(s);
        }
    }
}

void upgrade_on_death(struct supervisor *s, int status)
{
    struct text why;
    upgrade_on_message(s); /* its last words */
    if (!s->next.pid)
        return; /* it had taken over */
    close_next(s);
    text_init(&why);
    text_addf(&why, "the new process ended before it served: ");
    supervisor_add_status(&why, status);
    failed(s, why.at);
    text_release(&why);
}

/* ---- the new one ---- */

/* No program but a supervisor gives us this variable together with a channel. */
static bool is_takeover(void)
{
    bool yes = getenv(SPAWN_TAKEOVER) != NULL;
    unsetenv(SPAWN_TAKEOVER);
    return yes;
}

static bool receive_sockets(struct supervisor *s)
{
    struct handover m;
    if (handover_receive(s->elder, &m, INHERIT_MS) != HANDOVER_GOT || m.kind != HANDOVER_HELLO)
        return false;
    supervisor_keep_tickets(s, m.text);
    for (int64_t left = m.numbers[HELLO_LISTENERS]; left > 0;) {
        if (handover_receive(s->elder, &m, INHERIT_MS) != HANDOVER_GOT)
            return false;
        if (m.kind == HANDOVER_CHANGES) {
            supervisor_keep_changes(s, m.text);
            continue;
        }
        if (m.kind == HANDOVER_BANS && m.fd_count == 1) {
            ban_keeper_take_all(&s->bans, m.fds[0]);
            handover_close_fds(&m);
            continue;
        }
        if (m.kind != HANDOVER_LISTENER)
            return false;
        sockets_add(&s->sockets, &m);
        left--;
    }
    return true;
}

bool upgrade_inherit(struct supervisor *s)
{
    if (!is_takeover())
        return true;
    s->elder = HANDOVER_CHANNEL;
    if (fcntl(s->elder, F_SETFD, FD_CLOEXEC) == 0 && receive_sockets(s))
        return true;
    fprintf(stderr, "weir: %s is set, but no supervisor sends its sockets\n", SPAWN_TAKEOVER);
    return false;
}

/* An old one that is gone without a word has crashed: its sockets are here, so we carry on. */
void upgrade_on_elder(struct supervisor *s)
{
    struct handover m;
    enum handover_got got = handover_receive(s->elder, &m, 0);
    if (got == HANDOVER_GOT)
        handover_close_fds(&m);
    if (got != HANDOVER_GONE)
        return;
    close(s->elder);
    s->elder = -1;
    log_write(LOG_WARN_, "the old supervisor is gone; this one goes on with its sockets");
}

void upgrade_tell_elder(struct supervisor *s)
{
    if (s->elder < 0)
        return;
    (void)handover_say(s->elder, HANDOVER_IN_FORCE, 0, SLICE_NONE);
    close(s->elder);
    s->elder = -1;
}
