/* supervisor.c - the supervisor's life: start, one poll(2) for signals, children and clocks, end.
 *
 * keeper.c keeps the worker process, upgrade.c gives everything to a new binary. The order of a
 * start: read the configuration (in a child), bind its addresses, start the worker with both. */
// SPDX-License-Identifier: Apache-2.0
#include "main/supervisor.h"
#include "base/log.h"
#include "main/command.h"
#include "main/control.h"
#include "main/notify.h"
#include "main/privileges.h"
#include "main/spawn.h"
#include "main/supervisor_priv.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { END_NOW_MS = 1000, REASON_BYTES = 120 };

static int64_t clock_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t supervisor_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t supervisor_unix_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

void supervisor_add_status(struct text *to, int status)
{
    if (WIFSIGNALED(status))
        text_addf(to, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        text_addf(to, "exit code %d", WEXITSTATUS(status));
}

void supervisor_keep_tickets(struct supervisor *s, struct slice bytes)
{
    if (s->tickets.at)
        explicit_bzero(s->tickets.at, s->tickets.cap);
    text_clear(&s->tickets);
    text_add(&s->tickets, bytes);
}

void supervisor_keep_changes(struct supervisor *s, struct slice text)
{
    text_clear(&s->changes);
    text_add(&s->changes, text);
}

void supervisor_end(struct supervisor *s, int exit_code)
{
    s->stage = SUPERVISOR_ENDED;
    s->exit_code = exit_code;
}

/* ---- signals ---- */

static bool signals_open(struct supervisor *s)
{
    static const int all[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sigaddset(&set, all[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signals < 0)
        fprintf(stderr, "weir: cannot watch signals: %s\n", strerror(errno));
    return s->signals >= 0;
}

/* Addresses of clients are closed here, too: from now on connecting is refused. */
void supervisor_stop(struct supervisor *s)
{
    if (s->stage >= SUPERVISOR_STOPPING)
        return;
    upgrade_give_up(s, "weir was stopped meanwhile");
    s->stage = SUPERVISOR_STOPPING;
    notify_stopping();
    reader_cancel(&s->reader);
    keeper_refuse(s, "weir is stopping");
    sockets_close_public(&s->sockets);
    replace_stop(s);
    s->exit_code = EXIT_OK;
    if (s->worker.pid)
        keeper_order(s, ORDER_STOP);
    else if (!s->old.pid)
        supervisor_end(s, EXIT_OK);
}

/* The worker writes what its logs still hold; if it does not even do that it is killed. */
static void end_now(struct supervisor *s)
{
    replace_end_now(s);
    if (s->worker.pid && s->kill_at_ms == 0) {
        s->kill_at_ms = supervisor_now_ms() + END_NOW_MS;
        keeper_order(s, ORDER_END_NOW);
    }
}

static void on_signal(struct supervisor *s, int signo)
{
    switch (signo) {
    case SIGHUP: keeper_reload(s); break;
    case SIGUSR1: keeper_order(s, ORDER_REOPEN); break;
    case SIGUSR2: upgrade_begin(s); break;
    case SIGINT:
        if (s->stage >= SUPERVISOR_STOPPING)
            end_now(s);
        else
            supervisor_stop(s);
        break;
    case SIGTERM:
    case SIGQUIT: supervisor_stop(s); break;
    default: break; /* SIGCHLD: children are looked at after every wake-up */
    }
}

static void signals_run(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (s->stage != SUPERVISOR_ENDED && read(s->signals, &info, sizeof info) == sizeof info)
        on_signal(s, (int)info.ssi_signo);
}

/* ---- children ---- */

static void on_reader_end(struct supervisor *s, int status)
{
    int fd = reader_take(&s->reader);
    if (fd >= 0 && status != 0) {
        close(fd);
        fd = -1;
    }
    keeper_on_read(s, fd);
}

/* As process 1 of a container we also get children that are not ours. */
static void children_run(struct supervisor *s)
{
    int status;
    pid_t pid;
    while (s->stage != SUPERVISOR_ENDED && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->worker.pid)
            keeper_on_death(s, status);
        else if (pid == s->old.pid)
            replace_on_death(s);
        else if (pid == s->reader.pid)
            on_reader_end(s, status);
        else if (pid == s->next.pid)
            upgrade_on_death(s, status);
        else if (pid == s->bans.writer)
            ban_keeper_written(&s->bans, status);
    }
}

/* ---- clocks ---- */

static int64_t sooner(int64_t a, int64_t b)
{
    return b && b < a ? b : a;
}

static int wait_ms(const struct supervisor *s)
{
    int64_t at = INT64_MAX, now = supervisor_now_ms();
    at = sooner(at, s->start_at_ms);
    at = sooner(at, s->kill_at_ms);
    at = sooner(at, s->watch.at_ms);
    at = sooner(at, s->ban_export.at_ms);
    at = sooner(at, s->bans.writer ? 0 : s->bans.write_at_ms);
    at = sooner(at, s->reader.pid ? s->reader.by_ms : 0);
    at = sooner(at, s->next.pid ? s->next_by_ms : 0);
    if (at == INT64_MAX)
        return -1;
    return at <= now ? 0 : (int)(at - now);
}

static void reload_for_certificates(struct supervisor *s, enum watch_news news)
{
    if (news == WATCH_NOTHING)
        return;
    log_write(LOG_NOTICE_, news == WATCH_CHANGED
                               ? "files that it names have changed: the configuration is read again"
                               : "certificates of the local CA are looked at again: the "
                                 "configuration is read again");
    keeper_reload(s);
}

static void clocks_run(struct supervisor *s)
{
    int64_t now = supervisor_now_ms();
    if (s->reader.pid && now >= s->reader.by_ms) {
        reader_cancel(&s->reader);
        keeper_on_read(s, -1);
    }
    if (s->next.pid && now >= s->next_by_ms)
        upgrade_give_up(s, "it was not ready in time");
    if (s->kill_at_ms && now >= s->kill_at_ms) {
        s->kill_at_ms = 0;
        kill(s->worker.pid, SIGKILL);
    }
    if (s->start_at_ms && now >= s->start_at_ms)
        keeper_start(s);
    ban_keeper_run(&s->bans, now);
    ban_export_run(&s->ban_export, now);
    if (s->stage == SUPERVISOR_RUNNING)
        reload_for_certificates(s, watch_run(&s->watch, now));
}

/* ---- the loop ---- */

static void tick(struct supervisor *s)
{
    struct pollfd fds[] = {{.fd = s->signals, .events = POLLIN},
                           {.fd = s->worker.channel, .events = POLLIN},
                           {.fd = s->next.channel, .events = POLLIN},
                           {.fd = s->elder, .events = POLLIN},
                           {.fd = s->old.channel, .events = POLLIN}};
    if (poll(fds, sizeof fds / sizeof *fds, wait_ms(s)) < 0 && errno != EINTR)
        return;
    /* What was said before a death is heard before it. */
    if (fds[1].revents)
        keeper_on_message(s);
    if (fds[2].revents)
        upgrade_on_message(s);
    if (fds[3].revents)
        upgrade_on_elder(s);
    if (fds[4].revents)
        replace_on_message(s);
    signals_run(s);
    children_run(s);
    if (s->stage != SUPERVISOR_ENDED)
        clocks_run(s);
}

/* Without a control socket weir still runs, but one that answers belongs to another weir. */
static bool control_init(struct supervisor *s)
{
    const struct process_options *o = s->options;
    struct text why;
    if (o->text.at)
        return true; /* not a file: nobody could name it */
    text_init(&why);
    if (!control_address(o->path, &s->control, &why)) {
        fprintf(stderr, "weir: no control socket: %.*s\n", (int)why.len, why.at);
        s->control.len = 0;
    }
    text_release(&why);
    if (!s->control.len || s->elder >= 0 || !control_alive(&s->control))
        return true;
    fprintf(stderr, "weir: a weir runs already with %s; see 'weir status -c %s'\n", o->path,
            o->path);
    return false;
}

static bool begin(struct supervisor *s)
{
    descriptors_raise();
    ban_keeper_init(&s->bans, s->options->text.at ? NULL : s->options->path);
    privileges_keep_few();
    if (!signals_open(s) || !upgrade_inherit(s) || !control_init(s))
        return false;
    if (s->elder >= 0)
        ban_keeper_inherited(&s->bans);
    else
        ban_keeper_load(&s->bans);
    if (reader_start(&s->reader, s->options, &s->control, supervisor_now_ms()))
        return true;
    fprintf(stderr, "weir: cannot start a process: %s\n", strerror(errno));
    return false;
}

static void end_child(const struct child *c)
{
    if (!c->pid)
        return;
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
}

/* What a successor serves, or the elder still does, is left alone. */
static void end(struct supervisor *s)
{
    end_child(&s->worker);
    end_child(&s->old);
    reader_cancel(&s->reader);
    ban_keeper_end(&s->bans);
    ban_export_end(&s->ban_export);
    if (s->pid_file)
        pid_file_remove(s->pid_file);
    sockets_release(&s->sockets, s->own_files ? SOCKETS_REMOVE_FILES : SOCKETS_KEEP_FILES);
    int fds[] = {s->signals,      s->bundle, s->bundle_next, s->worker.channel,
                 s->next.channel, s->elder,  s->old.channel};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    watch_release(&s->watch);
    free(s->pid_file);
    free(s->own_path);
    supervisor_keep_tickets(s, SLICE_NONE);
    text_release(&s->tickets);
    text_release(&s->changes);
    text_release(&s->reason);
    text_release(&s->report);
    text_release(&s->next_report);
}

int supervisor_run(const struct process_options *o)
{
    struct supervisor s = {.options = o,
                           .signals = -1,
                           .bundle = -1,
                           .bundle_next = -1,
                           .worker.channel = -1,
                           .old.channel = -1,
                           .next.channel = -1,
                           .elder = -1,
                           .own_files = true,
                           .exit_code = EXIT_FAILED,
                           .started_unix_ms = supervisor_unix_ms()};
    text_reserve(&s.reason, REASON_BYTES); /* a death needs no memory */
    s.own_path = spawn_own_path();
    if (begin(&s))
        while (s.stage != SUPERVISOR_ENDED)
            tick(&s);
    end(&s);
    return s.exit_code;
}
