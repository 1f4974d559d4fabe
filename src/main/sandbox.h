/* sandbox.h - confines a process for good: files by Landlock, system calls by seccomp.
 *
 * sandbox_files.c and sandbox_calls.c do one each; what may be opened comes from the places of the
 * configuration (conf/places.h). Nothing here can be undone or widened, so a later configuration
 * that needs more is found out by sandbox_reaches(). Why it is like this: docs/decisions/012. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "conf/places.h"
#include "main/sandbox_rows.h"
#include <sys/types.h>

/* A folder or file that was let in. */
struct sandbox_place {
    char *path; /* real: without links */
    dev_t device;
    ino_t inode;
    uint8_t access; /* enum conf_access */
};

struct sandbox {
    uint8_t mode;       /* enum sandbox_mode */
    int landlock;       /* version of it that holds; 0: none */
    int landlock_error; /* why none; 0: the mode does not want it */
    int seccomp_error;  /* why no filter; 0: there is one, or none is wanted */
    struct sandbox_place *places;
    uint32_t count;
};

/* For a worker process: before it has threads, after its capabilities and its user are gone and
 * no_new_privs is set. What the kernel does not offer is left out, which `s` tells. */
void sandbox_enter(struct sandbox *s, enum sandbox_mode mode, const struct conf_place *places);
/* May this process open what the place names? */
bool sandbox_reaches(const struct sandbox *s, const struct conf_place *place);
/* A warning at each place that is out of reach, unless `d` is NULL. False: there is one. */
bool sandbox_suffices(const struct sandbox *s, const struct conf_place *places, struct diag *d);
void sandbox_release(struct sandbox *s);

/* For the supervisor: what nothing that it starts will ever need, whatever its version. False:
 * errno. */
bool sandbox_enter_supervisor(enum sandbox_mode mode);

/* ---- what holds for a process, for `weir status` ---- */

struct sandbox_facts {
    bool known, no_new_privs, dumpable;
    uint8_t seccomp; /* as prctl(2) has it: 0 off, 2 filter */
    uint64_t capabilities, bounding;
};

void sandbox_facts_read(struct sandbox_facts *f); /* of this process */
/* As one number for a message, and back. */
int64_t sandbox_facts_pack(const struct sandbox_facts *f);
void sandbox_facts_unpack(struct sandbox_facts *f, int64_t packed);
