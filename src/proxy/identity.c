/* identity.c - see identity.h. Applications that read fields as variables (CGI, WSGI) take '_' for
 * '-', so that names are compared with both as one, and without regard to case. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity.h"
#include "base/text.h"
#include "proxy/build_priv.h"
#include "proxy/exchange.h"

/* --- who it is ---------------------------------------------------------------------------------
 */

/* An older identity may still be gone back to: its list stays as it is, behind the new one. */
enum err identity_add(struct exchange *x, const char *method, struct slice user,
                      const struct claim *claims)
{
    const struct identity *before = x->identity;
    struct identity *i = ARENA_NEW(&x->arena, struct identity);
    struct claim_list list = {0};
    if (!i)
        return ERR_OVER_BUDGET;
    for (; claims; claims = claims->next)
        if (!claim_add(&list, &x->arena, claims->name, claims->value))
            return ERR_OVER_BUDGET;
    *i = (struct identity){.user = user, .method = method, .claims = list.first};
    if (before && before->user.len > 0)
        i->user = before->user;
    if (before)
        i->method = before->method;
    if (before && list.last)
        list.last->next = before->claims;
    else if (before)
        i->claims = before->claims;
    x->identity = i;
    return ERR_OK;
}

struct slice identity_claim(struct exchange *x, struct slice name)
{
    struct slice value = SLICE_NONE;
    const struct claim *c = x->identity ? claim_find(x->identity->claims, name) : NULL;
    for (; c; c = claim_next(c))
        value = value.at ? ARENA_CONCAT(&x->arena, value, SLICE(","), c->value) : c->value;
    return value;
}

/* --- fields ------------------------------------------------------------------------------------
 */

static const char *const usual[] = {
    "Remote-User",
    "Remote-Name",
    "Remote-Email",
    "Remote-Groups",
    "X-Remote-User",
    "X-Remote-Email",
    "X-Remote-Groups",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Preferred-Username",
    "X-Auth-Request-Access-Token",
    "X-WebAuth-User",
    "X-Authenticated-User",
};

static char folded(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + 'a' - 'A');
    return c == '_' ? '-' : c;
}

static bool same_name(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (folded(a.at[i]) != folded(b.at[i]))
            return false;
    return true;
}

static bool is_reserved(const struct identity_fields *f, struct slice name)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (same_name(f->names[i], name))
            return true;
    return false;
}

static struct identity_fields *fields_of(struct conf_build *b)
{
    struct conf *c = b->app;
    return &c->proxy->identity_fields;
}

static void name_add(struct conf_build *b, struct slice name)
{
    struct identity_fields *f = fields_of(b);
    if (is_reserved(f, name))
        return;
    if (f->count == f->cap) {
        uint32_t cap = f->cap ? 2 * f->cap : 32;
        struct slice *grown = BUILD_ARRAY(b, struct slice, cap);
        if (f->count > 0)
            memcpy(grown, f->names, f->count * sizeof *grown);
        f->names = grown;
        f->cap = cap;
    }
    ((struct slice *)f->names)[f->count++] = name;
}

void identity_reserve(struct conf_build *b)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        name_add(b, slice_of(usual[i]));
}

void identity_reserve_name(struct conf_build *b, struct slice name)
{
    identity_reserve(b);
    name_add(b, name);
}

void identity_strip(const struct exchange *x, struct headers *from)
{
    const struct identity_fields *f = &x->view->conf->proxy->identity_fields;
    if (f->count == 0)
        return;
    HEADER_EACH (h, from)
        if (is_reserved(f, h->name))
            h->dead = true;
}
