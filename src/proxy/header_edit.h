/* header_edit.h - `set add del default` on header fields: what the filters for requests and
 * responses share. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "http/message.h"

struct exchange;
struct explain;
struct header_edit;

/* In the order in which they are applied. Zeroed: none. */
struct header_edits {
    struct header_edit *first, *last;
};

/* From the words `OP NAME [VALUE]` of a directive. Fields that carry framing or belong to one hop
 * can not be edited: that is an error with the reason. */
void header_edits_apply(struct conf_build *b, struct header_edits *e, const struct conf_node *n);
/* Values that turn out not to be valid field values are left out. ERR_OVER_BUDGET. */
enum err header_edits_run(const struct header_edits *e, struct exchange *x,
                          struct headers *h) MUST_CHECK;
void header_edits_explain(const struct header_edits *e, const char *label, struct explain *out);
