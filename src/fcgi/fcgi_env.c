/* fcgi_env.c - a message to the variables of CGI.
 *
 * The order is: what the head says, its fields, then the parameters of the configuration. No name
 * comes twice, so it does not matter which of two an application would take. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/num.h"
#include "fcgi/fcgi_env_priv.h"
#include "http/cgi.h"

enum { NAME_MAX_BYTES = 256, LINES_MAX = 64 /* of one field; more are left out */ };

struct env {
    const struct message *m;
    fcgi_env_put *put;
    void *ctx;
};

static enum err put_one(const struct env *v, struct slice name, struct slice value)
{
    return v->put(v->ctx, name, &value, 1);
}

/* ---- fields ---- */

/* "HTTP_ACCEPT_LANGUAGE"; empty when the field is to have no variable. */
static struct slice name_of(const struct header *h, char to[NAME_MAX_BYTES])
{
    static const struct slice prefix = SLICE_INIT("HTTP_");
    if (prefix.len + h->name.len > NAME_MAX_BYTES)
        return SLICE_NONE;
    memcpy(to, prefix.at, prefix.len);
    for (size_t i = 0; i < h->name.len; i++) {
        char c = h->name.at[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        else if (c == '-')
            c = '_';
        else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
            return SLICE_NONE;
        to[prefix.len + i] = c;
    }
    return (struct slice){to, prefix.len + h->name.len};
}

static bool has_variable(const struct header *h)
{
    switch (h->id) {
    case FIELD_CONTENT_LENGTH:
    case FIELD_CONTENT_TYPE:
    case FIELD_EXPECT: return false;
    case FIELD_OTHER: return !slice_eq_nocase(h->name, SLICE("proxy"));
    default: return true;
    }
}

static bool same_field(const struct header *a, const struct header *b)
{
    return a->id == b->id && (a->id != FIELD_OTHER || slice_eq_nocase(a->name, b->name));
}

static bool is_first(const struct headers *h, const struct header *it)
{
    HEADER_EACH (before, h) {
        if (before == it)
            return true;
        if (same_field(before, it))
            return false;
    }
    return true;
}

/* Cookie lines are one list with semicolons (RFC 9113 8.2.3). */
static enum err put_lines(const struct env *v, const struct header *first, struct slice name)
{
    struct slice parts[2 * LINES_MAX - 1];
    struct slice between = first->id == FIELD_COOKIE ? SLICE("; ") : SLICE(", ");
    size_t count = 0;
    HEADER_EACH (it, &v->m->headers) {
        if (it < first || !same_field(it, first) || count + 2 > COUNT_OF(parts))
            continue;
        if (count > 0)
            parts[count++] = between;
        parts[count++] = it->value;
    }
    return v->put(v->ctx, name, parts, count);
}

static bool is_named(const struct cgi_params *p, struct slice name)
{
    if (!p || !p->names_fields)
        return false;
    for (uint32_t i = 0; i < p->count; i++)
        if (slice_eq(p->at[i].name, name))
            return true;
    return false;
}

static enum err put_fields(const struct env *v)
{
    const struct headers *h = &v->m->headers;
    char text[NAME_MAX_BYTES];
    HEADER_EACH (it, h) {
        struct slice name = it->hop || !has_variable(it) ? SLICE_NONE : name_of(it, text);
        if (name.len > 0 && is_first(h, it) && !is_named(v->m->cgi, name))
            TRY(put_lines(v, it, name));
    }
    return ERR_OK;
}

/* ---- the rest of the head ---- */

/* An application reads as many bytes as this says, or none without it. */
static enum err put_body(const struct env *v)
{
    char digits[NUM_U64_MAX_BYTES];
    struct slice type = headers_get(&v->m->headers, FIELD_CONTENT_TYPE);
    if (type.at)
        TRY(put_one(v, SLICE("CONTENT_TYPE"), type));
    if (v->m->length != LENGTH_KNOWN)
        return ERR_OK;
    size_t len = num_write_u64(digits, v->m->content_length);
    return put_one(v, SLICE("CONTENT_LENGTH"), (struct slice){digits, len});
}

static enum err put_params(const struct env *v)
{
    const struct cgi_params *p = v->m->cgi;
    for (uint32_t i = 0; p && i < p->count; i++)
        TRY(put_one(v, p->at[i].name, p->at[i].value));
    return ERR_OK;
}

enum err fcgi_env_each(const struct message *m, fcgi_env_put *put, void *ctx)
{
    struct env v = {m, put, ctx};
    TRY(put_one(&v, SLICE("GATEWAY_INTERFACE"), SLICE("CGI/1.1")));
    TRY(put_one(&v, SLICE("REQUEST_METHOD"), m->method_text));
    TRY(put_body(&v));
    TRY(put_fields(&v));
    return put_params(&v);
}
