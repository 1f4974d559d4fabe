/* privileges.c - raises the limit of open files, and gives up rights, for good: of a supervisor all
 * but a few, of a worker process every one. */
// SPDX-License-Identifier: Apache-2.0
#include "main/privileges.h"
#include "base/asan.h"
#include "base/assert.h"
#include "base/log.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void descriptors_raise(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == r.rlim_max)
        return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

/* A limit of 0 alone would not do: a handler of core files that is a program gets them even so. The
 * search for leaks traces the process, so a build for it is left alone. */
void memory_hide(void)
{
    if (!ASAN_ON)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void memory_show(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static bool fail(const char *what, const char *name)
{
    fprintf(stderr, "weir: %s '%s': %s\n", what, name, errno ? strerror(errno) : "not found");
    return false;
}

static bool become(const char *user, const char *group)
{
    errno = 0;
    struct passwd *pw = getpwnam(user);
    if (!pw)
        return fail("user", user);
    gid_t gid = pw->pw_gid;
    uid_t uid = pw->pw_uid;
    struct group *gr = *group ? getgrnam(group) : NULL;
    if (*group && !gr)
        return fail("group", group);
    if (gr)
        gid = gr->gr_gid;
    log_sinks_give(uid, gid);
    if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
        setresuid(uid, uid, uid) != 0)
        return fail("cannot become user", user);
    return true;
}

static bool become_user(struct slice user, struct slice group)
{
    char user_text[256], group_text[256];
    if (user.len == 0)
        return true;
    snprintf(user_text, sizeof user_text, "%.*s", SLICE_ARG(user));
    snprintf(group_text, sizeof group_text, "%.*s", SLICE_ARG(group));
    if (geteuid() != 0) {
        fprintf(stderr, "weir: 'user %s' has no effect: not started by root\n", user_text);
        return true;
    }
    return become(user_text, group_text);
}

/* The bounding set first, while we may: it takes a capability. Sockets come from the supervisor and
 * files were opened, so that nothing needs one any more, not even for root. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) != 0)
        return fail("capabilities of", "weir");
    return true;
}

static void drop_bounding_set(uint64_t but)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (!(but >> cap & 1))
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/* ---- the supervisor ---- */

/* Why each is needed, by a supervisor that root started; without the rest of them nothing of what
 * it does was found to fail. */
static const struct {
    uint8_t cap;
    const char *why;
} kept[] = {
    {CAP_NET_BIND_SERVICE, "ports below 1024, also those of a later configuration"},
    {CAP_DAC_OVERRIDE, "files of the configuration, of certificates and logs of any owner"},
    {CAP_SETUID, "the worker becomes `user`"},
    {CAP_SETGID, "and takes its groups"},
    {CAP_CHOWN, "log files become that user's"},
    {CAP_KILL, "a worker of another user is killed when it hangs"},
    {CAP_SETPCAP, "the worker empties its bounding set"},
    {CAP_NET_ADMIN, "`ban_export`; a filter on a socket that is taken out, where the kernel asks"},
};

static uint64_t kept_set(void)
{
    uint64_t set = 0;
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        set |= UINT64_C(1) << kept[i].cap;
    return set;
}

static void keep_capabilities(uint64_t set)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &head, caps) != 0)
        return;
    for (size_t i = 0; i < COUNT_OF(caps); i++) {
        uint32_t part = (uint32_t)(set >> 32 * i);
        caps[i].permitted &= part;
        caps[i].effective &= part;
        caps[i].inheritable &= part;
    }
    (void)syscall(SYS_capset, &head, caps);
}

void privileges_keep_few(void)
{
    uint64_t set = kept_set();
    drop_bounding_set(set);
    keep_capabilities(set);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    memory_hide();
}

/* ---- the worker process ---- */

/* After the last change of credentials, which resets both. */
static void set_process_flags(bool core_dumps)
{
    core_dumps |= ASAN_ON; /* its search for leaks traces the process */
    if (!core_dumps)
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, core_dumps ? 1 : 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

bool privileges_drop(struct slice user, struct slice group, bool core_dumps)
{
    drop_bounding_set(0);
    if (!become_user(user, group) || !drop_capabilities())
        return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail("no_new_privs of", "weir");
    set_process_flags(core_dumps);
    return true;
}
