/* h1_request.c - a whole request head to a message (RFC 9112 3, RFC 9110 7).
 *
 * Everything that decides where a request goes or how long it is, is settled here, once: target
 * form, Host, framing, Expect, Upgrade. Later stages only read the message. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1_fields_priv.h"
#include "http/uri.h"

struct host_port {
    struct slice host;
    uint16_t port; /* 0: not given */
};

/* Cuts the part before the next space off the front; false when there is none. */
static bool cut_word(struct slice *rest, struct slice *word)
{
    size_t len = slice_find(*rest, ' ');
    if (len == rest->len)
        return false;
    *word = slice_head(*rest, len);
    *rest = slice_from(*rest, len + 1);
    return true;
}

/* Control bytes have names of their own; they come before "malformed". */
static enum err line_error(struct slice line, enum err otherwise)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.at[i] == 0)
            return ERR_NUL_BYTE;
        if (line.at[i] == '\r')
            return ERR_BARE_CR;
    }
    return otherwise;
}

static enum err parse_line(struct slice line, struct message *m)
{
    struct slice version = line;
    if (!cut_word(&version, &m->method_text) || !cut_word(&version, &m->target))
        return line_error(line, ERR_BAD_REQUEST_LINE);
    if (!field_is_token(m->method_text))
        return line_error(line, m->method_text.len ? ERR_BAD_METHOD : ERR_BAD_REQUEST_LINE);
    if (m->target.len == 0 || slice_find(version, ' ') < version.len)
        return line_error(line, ERR_BAD_REQUEST_LINE);
    enum err e = h1_version_parse(version, &m->version_minor);
    if (e)
        return line_error(line, e);
    m->method = (uint8_t)method_find(m->method_text);
    return ERR_OK;
}

/* Takes the request line off the front of the head, with blank lines before it. */
static enum err cut_line(struct slice *head, struct slice *line)
{
    while (slice_starts(*head, SLICE("\r\n")))
        *head = slice_from(*head, 2);
    size_t lf = slice_find(*head, '\n');
    if (lf == head->len)
        return ERR_BAD_REQUEST_LINE;
    if (lf == 0 || head->at[lf - 1] != '\r')
        return ERR_BARE_LF;
    *line = slice_head(*head, lf - 1);
    *head = slice_from(*head, lf + 1);
    return ERR_OK;
}

static enum err apply_authority(struct arena *a, struct slice text, struct message *m,
                                struct host_port *hp)
{
    return uri_authority_parse(a, text, &hp->host, &hp->port, &m->authority);
}

static enum err apply_host(const struct h1_fields *f, struct arena *a, struct message *m,
                           struct host_port *hp)
{
    if (f->host_lines > 1 || (f->host_lines == 0 && m->version_minor > 0))
        return ERR_BAD_HOST;
    return f->host_lines ? apply_authority(a, f->host, m, hp) : ERR_OK;
}

static enum err apply_scheme(struct slice scheme, struct message *m, uint16_t *default_port)
{
    if (slice_eq_nocase(scheme, SLICE("http"))) {
        m->scheme = SLICE("http");
        *default_port = 80;
    } else if (slice_eq_nocase(scheme, SLICE("https"))) {
        m->scheme = SLICE("https");
        *default_port = 443;
    } else {
        return ERR_BAD_TARGET;
    }
    return ERR_OK;
}

/* RFC 9112 3.2.2 lets a proxy prefer the target to Host; two different hosts in one request are a
 * way to be read differently by two servers, so they are refused. */
static enum err apply_absolute(const struct uri *u, const struct h1_fields *f, struct arena *a,
                               struct message *m, const struct host_port *host)
{
    uint16_t standard;
    struct host_port target;
    TRY(apply_scheme(u->scheme, m, &standard));
    enum err e = apply_authority(a, u->authority, m, &target);
    if (e)
        return e == ERR_BAD_HOST ? ERR_BAD_TARGET : e;
    if (f->host_lines == 0)
        return ERR_OK;
    unsigned host_port = host->port ? host->port : standard;
    unsigned target_port = target.port ? target.port : standard;
    return slice_eq(host->host, target.host) && host_port == target_port ? ERR_OK
                                                                         : ERR_HOST_MISMATCH;
}

static enum err apply_target(const struct h1_fields *f, struct arena *a, struct message *m,
                             const struct host_port *host)
{
    struct uri u;
    enum err e = uri_parse(m->target, &u);
    if (e)
        return line_error(m->target, e);
    switch (u.form) {
    case URI_ORIGIN: return ERR_OK;
    case URI_ABSOLUTE: return apply_absolute(&u, f, a, m, host);
    case URI_ASTERISK: return m->method == METHOD_OPTIONS ? ERR_OK : ERR_BAD_TARGET;
    default: return ERR_BAD_TARGET;
    }
}

/* RFC 9110 10.1.1. Without a body, or from HTTP/1.0, there is nothing to wait for: the field goes
 * no further. */
static enum err apply_expect(const struct h1_fields *f, struct message *m)
{
    if (!f->expect_lines)
        return ERR_OK;
    if (f->expect_lines > 1 ||
        !slice_eq_nocase(headers_get(&m->headers, FIELD_EXPECT), SLICE("100-continue")))
        return ERR_BAD_EXPECT;
    m->expect_continue = m->version_minor > 0 && m->length != LENGTH_NONE;
    if (!m->expect_continue)
        headers_del_id(&m->headers, FIELD_EXPECT);
    return ERR_OK;
}

static void apply_upgrade(const struct h1_fields *f, struct arena *a, struct message *m)
{
    struct slice rest = headers_join(&m->headers, a, FIELD_UPGRADE), protocol;
    if (!f->upgrade || !rest.at || m->version_minor == 0 || m->length != LENGTH_NONE)
        return;
    m->upgrade_to = rest;
    while (field_list_next(&rest, &protocol))
        if (slice_eq_nocase(slice_head(protocol, 3), SLICE("h2c")))
            return;
    m->upgrade = m->upgrade_to.len > 0;
}

static enum err apply_fields(const struct h1_fields *f, struct arena *a, struct message *m)
{
    struct host_port host = {SLICE_NONE, 0};
    if (m->method == METHOD_CONNECT)
        return ERR_METHOD_UNSUPPORTED;
    TRY(h1_framing(f, m));
    TRY(apply_host(f, a, m, &host));
    TRY(apply_target(f, a, m, &host));
    TRY(apply_expect(f, m));
    m->keep_alive = h1_keep_alive(f, m);
    if (f->upgrade)
        apply_upgrade(f, a, m);
    if (f->host_lines)
        headers_find(&m->headers, FIELD_HOST)->value = m->authority;
    return ERR_OK;
}

enum err h1_parse_request(struct slice head, struct arena *a, const struct stream_limits *l,
                          struct message *out)
{
    struct h1_fields f = {.headers = &out->headers};
    struct slice line;
    message_init(out);
    TRY(cut_line(&head, &line));
    TRY(parse_line(line, out));
    TRY(h1_fields_parse(head, a, l, &f));
    return apply_fields(&f, a, out);
}
