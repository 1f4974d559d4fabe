/* request.c - the filter behind `request set|add|del|default`: header fields on their way to the
 * origin. Runs last on the request side, over the fields that weir itself adds. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/header_edit.h"

static void request_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    header_edits_apply(b, scope, n);
}

static enum verdict request_run(struct exchange *x, const void *conf, void *state)
{
    (void)state;
    x->err = header_edits_run(conf, x, &x->req.headers);
    return x->err == ERR_OK ? PASS : FAILED;
}

static void request_explain(const void *conf, struct explain *e)
{
    header_edits_explain(conf, "request", e);
}

static const struct directive request_rows[] = {
    {.name = "request",
     .where = IN_POLICY,
     .repeat = true,
     .args_min = 2,
     .args_max = 3,
     .key_args = 2,
     .apply = request_apply,
     .usage = "set|add|default NAME VALUE, del NAME",
     .text = "Edits a header field of the request before it goes to the origin. `set` replaces "
             "every field of that name, `add` adds one more, `default` adds it only when there is "
             "none, `del` removes it. VALUE may hold variables. Edits happen in the order in which "
             "they are written, those of the site before those of its routes. (`request buffer on` "
             "is another directive: see buffer.)",
     .example = "request set X-Tenant acme"},
    {0},
};

const struct filter_type filter_request = {
    .name = "request",
    .stage = STAGE_SHAPE,
    .directives = request_rows,
    .conf_bytes = sizeof(struct header_edits),
    .on_request = request_run,
    .explain = request_explain,
};
