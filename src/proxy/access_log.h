/* access_log.h - one line per exchange, in JSON, common, combined or an own format. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

struct access_log;
struct exchange;

extern const struct access_log access_log_off;

/* `log access off | json | common | combined | "format with $variables" [to=stdout|syslog|PATH]` */
const struct access_log *access_log_build(struct conf_build *b, const struct conf_node *n);
const struct access_log *access_log_default(struct conf_build *b); /* JSON to stdout */
void access_log_write(const struct access_log *l, struct exchange *x);
