/* load.h - from a configuration file to a snapshot that could be installed, or the errors.
 *
 * `weir run`, reload, check and explain all go through load_run(), so what check accepts runs. The
 * errors point into the files' texts, which the snapshot owns: print them before load_release(). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/diag.h"
#include "conf/snapshot.h"

struct admin_source;
struct conf_source;
struct server_changes;

struct load_request {
    const char *path;  /* of the file, or the name of `text` */
    struct slice text; /* .at NULL: read the file */
    uint64_t generation;
    bool run_tests;
    const struct admin_source *admin; /* adds the admin listeners; NULL: none (check, explain) */
    const struct conf_source *source; /* of the files; NULL: the system, without a local CA */
    const struct server_changes *changes; /* made at run time; NULL: none */
};

struct load {
    struct conf *conf; /* one count, the load's until load_take() */
    struct diag diag;
    uint32_t test_count;
};

/* False: not valid, see l->diag. Release it in either case. Main thread only. */
bool load_run(struct load *l, const struct load_request *r);
struct conf *load_take(struct load *l); /* the count is the caller's now */
void load_release(struct load *l);
