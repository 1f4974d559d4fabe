/* split.h - `split`: requests are shared out between upstreams by percent, such as 5 % to a canary;
 * by chance, by a key, or so that a client stays with what it got. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/choice.h"
#include "proxy/target.h"

struct split_part {
    struct target target; /* TARGET_UPSTREAM */
    int64_t share;        /* hundredths of a percent */
};

/* Owner: the snapshot. */
struct split {
    const struct split_part *parts;
    uint32_t count;
    const struct template *by; /* NULL: by chance */
    bool sticky;
    struct choice_cookie cookie;
};

enum { SPLIT_PARTS_MAX = 16 };

extern const struct directive split_options[];
conf_apply_fn split_apply; /* the scope is a struct settings */

/* The part for this request. ERR_OVER_BUDGET. */
enum err split_choose(struct exchange *x, const struct split *s, const struct target **to);
/* With x->split: the answer's head is there, and the client learns its part. */
enum err split_answered(struct exchange *x) MUST_CHECK;
