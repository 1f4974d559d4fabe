/* access_log.h - one line per exchange, in JSON, common, combined or an own format. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "conf/snapshot.h"

struct access_log;
struct exchange;

extern const struct access_log access_log_off;

/* From a directive `log access ...`; NULL after an error.
 * `log access off | json | common | combined | "format with $variables" [to=stdout|syslog|PATH]` */
const struct access_log *access_log_build(struct conf_build *b, const struct conf_node *n);
const struct access_log *access_log_default(struct conf_build *b); /* JSON to stdout */
/* "json to stdout", for explain. Returns where it was configured; no file: it is the default. */
struct conf_pos access_log_describe(const struct access_log *l, struct text *out);
/* Opens the files of every log in the snapshot (they are closed with it): when it is put in force,
 * so that `check` and `explain` touch none. Lines of a log that is not open are dropped. False with
 * the errors in `d`. Main thread only. */
bool access_logs_open(struct conf *c, struct diag *d);
void access_log_write(const struct access_log *l, struct exchange *x);
