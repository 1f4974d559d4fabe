/* auth_forward_conf.c - the directive `forward` of auth. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/auth_forward_priv.h"

#define FIELD(name) offsetof(struct forward_conf, name)

static const struct directive forward_options[] = {
    {.name = "user_header",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(user_header),
     .usage = "NAME",
     .text = "The field of the answer that becomes `$user`. Without it the first of Remote-User, "
             "X-Auth-Request-User, X-Forwarded-User that is there."},
    {.name = "timeout",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(timeout_ms),
     .min = 10,
     .max = 60 * 1000,
     .def = "5s",
     .usage = "TIME",
     .text = "So long the service may take; then the answer is 503."},
    {0},
};

static struct slice lower(struct conf_build *b, struct slice s)
{
    struct slice copy = arena_dup(b->arena, s);
    char *at = (char *)copy.at;
    for (size_t i = 0; at && i < copy.len; i++)
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] + 'a' - 'A');
    return copy;
}

static void copy_add(struct conf_build *b, struct forward_conf *c, const struct conf_word *w)
{
    enum field_id id = field_find(w->text);
    if (!field_is_token(w->text) || field_is_hop(id) || id == FIELD_HOST ||
        id == FIELD_CONTENT_LENGTH) {
        diag_error(b->diag, w->pos, "'%.*s' is not a header that can be copied",
                   SLICE_ARG(w->text));
        return;
    }
    if (c->copy_count == FORWARD_COPIES_MAX) {
        diag_error(b->diag, w->pos, "more than %d headers to copy", FORWARD_COPIES_MAX);
        return;
    }
    c->copies[c->copy_count++] = (struct forward_copy){w->text, lower(b, w->text)};
    identity_reserve_name(b, w->text);
}

static void copy_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    for (uint32_t i = 0; i < n->arg_count; i++)
        copy_add(b, scope, &n->args[i]);
}

void forward_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    struct forward_conf *c = conf;
    conf_options(b, n, c);
    if (c->user_header.at && !field_is_token(c->user_header))
        diag_error(b->diag, n->pos, "'%.*s' is not a header's name", SLICE_ARG(c->user_header));
    c->word = n->args[0].text;
    if (ask_url_read(b, &n->args[0], &c->url))
        conf_apply_block(b, c, n);
}

const struct directive auth_forward_rows[] = {
    {.name = "forward",
     .where = IN_AUTH,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .apply = auth_method_apply,
     .opens = IN_AUTH_FORWARD,
     .options = forward_options,
     .usage = "URL|UPSTREAM[/PATH] [user_header=NAME] [timeout=TIME] [{ copy NAME... }]",
     .text =
         "A service says who may pass: Authelia, oauth2-proxy and others. It gets a GET with "
         "the request's header fields and X-Forwarded-Method, -Proto, -Host, -Uri and -For "
         "(also X-Original-URL and X-Original-Method). 2xx lets the request pass; anything "
         "else is what the client gets, such as a redirect to a page for logging in. Without an "
         "answer, and with a 5xx, it is 503.",
     .example = "forward 10.0.0.9:9091/api/authz/forward-auth {\n"
                "    copy Remote-User Remote-Groups Remote-Email Remote-Name\n}"},
    {.name = "copy",
     .where = IN_AUTH_FORWARD,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .apply = copy_apply,
     .usage = "NAME...",
     .text = "Fields of the service's answer that the server gets; each of their members is a "
             "claim, too, under the name in lower case. Clients never get through with one of "
             "these names.",
     .example = "copy Remote-User Remote-Groups"},
    {0},
};
