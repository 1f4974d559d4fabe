/* spawn.c - see spawn.h. The supervisor has one thread, so the child may do as it likes between
 * fork() and exec(). A fresh exec() also gives every worker process its own address layout: one
 * that was crashed on purpose tells nothing about the next. */
// SPDX-License-Identifier: Apache-2.0
#include "main/spawn.h"
#include "base/mem.h"
#include "base/text.h"
#include "main/handover.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

static void unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A worker tells nobody but its supervisor how it is. */
static void set_environment(const struct spawn *s)
{
    if (s->takeover)
        setenv(SPAWN_TAKEOVER, "1", 1);
    else
        unsetenv("NOTIFY_SOCKET");
}

static void say_failed(const char *path)
{
    struct text t;
    text_init(&t);
    text_addf(&t, "cannot run %s: %s\n", path, strerror(errno));
    (void)handover_say(HANDOVER_CHANNEL, HANDOVER_REPORT, 0, text_slice(&t));
}

static void child_run(const struct spawn *s, int channel)
{
    if (channel == HANDOVER_CHANNEL)
        fcntl(channel, F_SETFD, 0);
    else if (dup2(channel, HANDOVER_CHANNEL) < 0)
        _exit(127);
    if (!s->takeover)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_environment(s);
    unblock_signals();
    execv(s->path, s->argv);
    say_failed(s->path);
    _exit(127);
}

pid_t spawn_start(const struct spawn *s, int *channel)
{
    int fds[2];
    if (!handover_pair(fds))
        return 0;
    pid_t pid = fork();
    if (pid == 0)
        child_run(s, fds[1]);
    int error = errno;
    close(fds[1]);
    if (pid < 0)
        close(fds[0]);
    else
        *channel = fds[0];
    errno = error;
    return pid < 0 ? 0 : pid;
}

/* AT_EXECFN is what execve() was given: with its links, so that a link which leads to another
 * version later is followed then. */
char *spawn_own_path(void)
{
    char folder[PATH_MAX], path[2 * PATH_MAX];
    const char *given = (const char *)getauxval(AT_EXECFN);
    if (!given || !*given)
        given = "/proc/self/exe";
    if (given[0] == '/' || !getcwd(folder, sizeof folder))
        return mem_dup(given, strlen(given));
    int len = snprintf(path, sizeof path, "%s/%s", folder, given);
    return mem_dup(path, (size_t)len);
}

const char *spawn_same_program(void)
{
    static const char self[] = "/proc/self/exe";
    return access(self, X_OK) == 0 ? self : (const char *)getauxval(AT_EXECFN);
}
