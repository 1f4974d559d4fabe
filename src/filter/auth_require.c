/* auth_require.c - `require`: a condition that has to hold, now that it is known who asks. Beside a
 * method it says who of those recognised may come; within `any` it lets others in without. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/auth_priv.h"
#include "proxy/condition.h"

struct require_conf {
    const struct condition *condition;
    struct slice text;
};

static void require_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    struct require_conf *c = conf;
    c->condition = condition_compile_known(b, n->args, n->arg_count);
    c->text = SLICE("");
    for (uint32_t i = 0; i < n->arg_count && c->text.at; i++)
        c->text = ARENA_CONCAT(b->arena, c->text, SLICE(" "), n->args[i].text);
}

static enum auth_verdict require_check(struct exchange *x, const void *conf, void *state)
{
    const struct require_conf *c = conf;
    (void)state;
    return condition_eval(c->condition, x) ? AUTH_GRANTED : AUTH_FORBIDDEN;
}

static void require_explain(const void *conf, struct text *t)
{
    const struct require_conf *c = conf;
    text_add(t, c->text);
}

const struct directive auth_require_rows[] = {
    {.name = "require",
     .where = IN_AUTH,
     .repeat = true,
     .apply = auth_method_apply,
     .args_min = 1,
     .args_max = 255,
     .usage = "CONDITION",
     .text = "Demands that the condition holds; else 403. It is written as in `when`, and knows "
             "two things more: `user` and `claim.NAME`, of which it is enough that one value fits. "
             "Several lines have to hold all.",
     .example = "require claim.groups in admin ops and not user == guest"},
    {0},
};

const struct auth_method auth_require = {
    .word = "require",
    .conf_bytes = sizeof(struct require_conf),
    .apply = require_apply,
    .check = require_check,
    .explain = require_explain,
};
