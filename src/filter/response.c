/* response.c - the filter behind `response set|add|del|default`: header fields on their way to the
 * client, of every response: the origin's, weir's own answers and error pages. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/header_edit.h"

static void response_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    header_edits_apply(b, scope, n);
}

static enum verdict response_run(struct exchange *x, const void *conf, void *state)
{
    (void)state;
    enum err e = header_edits_run(conf, x, &x->res.headers);
    if (e == ERR_OK)
        return PASS;
    x->err = e;
    return FAILED;
}

static void response_explain(const void *conf, struct explain *e)
{
    header_edits_explain(conf, "response", e);
}

static const struct directive response_rows[] = {
    {.name = "response",
     .where = IN_POLICY,
     .repeat = true,
     .args_min = 2,
     .args_max = 3,
     .key_args = 2,
     .apply = response_apply,
     .usage = "set|add|default NAME VALUE, del NAME",
     .text = "Edits a header field of the response before it goes to the client, whoever made the "
             "response. The words mean what they mean for `request`.",
     .example = "response del X-Powered-By"},
    {0},
};

const struct filter_type filter_response = {
    .name = "response",
    .stage = STAGE_EARLY, /* the response side runs in reverse: the last word is ours */
    .directives = response_rows,
    .conf_bytes = sizeof(struct header_edits),
    .on_response = response_run,
    .explain = response_explain,
};
