/* privileges.c - raises the limit of open files and gives up root, for good. */
// SPDX-License-Identifier: Apache-2.0
#include "main/privileges.h"
#include "base/log.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

void descriptors_raise(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == r.rlim_max)
        return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
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
    /* A change of user makes the process undumpable; core files and perf are wanted. */
    prctl(PR_SET_DUMPABLE, 1);
    return true;
}

bool privileges_drop(struct slice user, struct slice group)
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
