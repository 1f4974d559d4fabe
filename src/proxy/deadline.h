/* deadline.h - `deadline HEADER`: until when a client waits, told by a header field in milliseconds
 * and told on to the server. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "conf/directive.h"

struct exchange;

struct deadline_conf {
    struct slice header;
    int64_t max_ms;
};

extern const struct deadline_conf deadline_off;
extern const struct directive deadline_options[];
conf_apply_fn deadline_apply; /* scope: struct settings */

/* By when the answer has to be there: x->answer_by_ms, by the route's `timeout request` and the
 * field of the request, whichever is sooner. Once the route is known; `head_ms`: when the head was
 * whole. */
void deadline_read(struct exchange *x, int64_t head_ms);
/* Before the request goes to a server: what is left of the time. ERR_DEADLINE: nothing. */
enum err deadline_write(struct exchange *x) MUST_CHECK;
