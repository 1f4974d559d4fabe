/* sandbox.c - see sandbox.h: the order of the steps, and what holds, asked of the kernel. */
// SPDX-License-Identifier: Apache-2.0
#include "main/sandbox.h"
#include "base/asan.h"
#include "main/sandbox_priv.h"
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void sandbox_enter(struct sandbox *s, enum sandbox_mode mode, const struct conf_place *places)
{
    *s = (struct sandbox){.mode = (uint8_t)mode};
    if (mode == SANDBOX_OFF)
        return;
    for (; places; places = places->next)
        sandbox_place_add(s, places->path, (enum conf_access)places->access);
    if (mode == SANDBOX_ON && (s->landlock = sandbox_files(s)) == 0)
        s->landlock_error = errno;
    if (!sandbox_calls(CALLS_OF_WORKER, mode == SANDBOX_LOG))
        s->seccomp_error = errno;
}

bool sandbox_enter_supervisor(enum sandbox_mode mode)
{
    return mode == SANDBOX_OFF || sandbox_calls(CALLS_OF_SUPERVISOR, mode == SANDBOX_LOG);
}

bool sandbox_suffices(const struct sandbox *s, const struct conf_place *places, struct diag *d)
{
    bool ok = true;
    for (; places; places = places->next) {
        if (sandbox_reaches(s, places))
            continue;
        if (d)
            diag_warn(d, places->pos,
                      "the sandbox of the running process does not reach %s: a new one takes over",
                      places->path);
        ok = false;
    }
    return ok;
}

void sandbox_release(struct sandbox *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        free(s->places[i].path);
    free(s->places);
    s->places = NULL;
    s->count = 0;
}

/* ---- facts ---- */

enum {
    FACT_KNOWN = 1,
    FACT_NO_NEW_PRIVS = 2,
    FACT_DUMPABLE = 4,
    FACT_SECCOMP_SHIFT = 4,
    FACT_CAPABILITIES_SHIFT = 8,
};

static uint64_t bounding_set(void)
{
    uint64_t set = 0;
    for (unsigned long cap = 0; cap < 64; cap++) {
        int held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (held < 0)
            break;
        set |= (uint64_t)held << cap;
    }
    return set;
}

void sandbox_facts_read(struct sandbox_facts *f)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};
    *f = (struct sandbox_facts){
        .known = true,
        .no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        .dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1,
        .bounding = bounding_set(),
    };
    int seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
    f->seccomp = seccomp > 0 ? (uint8_t)seccomp : 0;
    if (syscall(SYS_capget, &head, caps) == 0)
        f->capabilities = caps[0].permitted | (uint64_t)caps[1].permitted << 32;
}

/* 41 capabilities exist, so that they fit beside the rest; the bounding set is the supervisor's
 * permitted one and is not told twice. */
int64_t sandbox_facts_pack(const struct sandbox_facts *f)
{
    return (int64_t)(FACT_KNOWN | (f->no_new_privs ? FACT_NO_NEW_PRIVS : 0) |
                     (f->dumpable ? FACT_DUMPABLE : 0) |
                     (uint64_t)(f->seccomp & 3) << FACT_SECCOMP_SHIFT |
                     f->capabilities << FACT_CAPABILITIES_SHIFT);
}

void sandbox_facts_unpack(struct sandbox_facts *f, int64_t packed)
{
    uint64_t p = (uint64_t)packed;
    *f = (struct sandbox_facts){
        .known = p & FACT_KNOWN,
        .no_new_privs = p & FACT_NO_NEW_PRIVS,
        .dumpable = p & FACT_DUMPABLE,
        .seccomp = (p >> FACT_SECCOMP_SHIFT) & 3,
        .capabilities = p >> FACT_CAPABILITIES_SHIFT,
    };
}
