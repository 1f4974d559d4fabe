/* mirror.h - `mirror`: a share of the requests goes to a shadow upstream as well, whose answers
 * nobody sees.
 *
 * A mirrored request is a struct of its own: it copies head and body while the request passes, and
 * is asked (ask.h) once it has all of it. From then on the two know nothing of each other, so that
 * whatever becomes of the shadow neither delays the client nor fails its request. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "proxy/target.h"

struct worker;

/* Owner: the snapshot. */
struct mirror_conf {
    struct target target; /* TARGET_UPSTREAM */
    int64_t share;        /* hundredths of a percent */
    int64_t max_count;    /* at once in a worker */
    int64_t body_bytes;   /* requests with larger bodies are not mirrored */
    int64_t timeout_ms;   /* from the whole request to the end of the answer */
};

extern const struct directive mirror_options[];
conf_apply_fn mirror_apply; /* the scope is a struct settings */

/* With x->settings->mirror: the request is about to be sent. Decides, once, whether it is mirrored,
 * and copies its head. */
void mirror_begin(struct exchange *x);
/* Copies what has come of the body, before it is sent on; with its end the mirroring begins. */
void mirror_feed(struct exchange *x);
/* The exchange ends: what has no whole request is not mirrored. */
void mirror_leave(struct exchange *x);
