/* h2_fields.c - a decoded request becomes a message.
 *
 * HTTP/2 carries any bytes in names and values; what could mean something else once it is written
 * as HTTP/1 (line ends, spaces, upper case, fields of the connection) ends here. Where a request
 * goes and how long it is, is settled here, too, as h1_request.c does for HTTP/1. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_fields.h"
#include "base/num.h"
#include "http/uri.h"

/* ---- one field ---- */

static enum err take_pseudo(struct h2_fields *f, struct slice name, struct slice value)
{
    const struct {
        struct slice name, *to;
    } all[] = {{SLICE_INIT(":method"), &f->method},
               {SLICE_INIT(":path"), &f->path},
               {SLICE_INIT(":scheme"), &f->scheme},
               {SLICE_INIT(":authority"), &f->authority},
               {SLICE_INIT(":protocol"), &f->protocol}};
    if (f->regular || f->trailers)
        return ERR_BAD_HEADER;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!slice_eq(name, all[i].name))
            continue;
        if (all[i].to->at)
            return ERR_BAD_HEADER;
        *all[i].to = value.len ? value : SLICE("");
        return ERR_OK;
    }
    return ERR_BAD_HEADER;
}

static bool is_lower_token(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!field_is_tchar((unsigned char)name.at[i]) || (name.at[i] >= 'A' && name.at[i] <= 'Z'))
            return false;
    return name.len > 0;
}

/* RFC 9113 8.2.1: not even trimmed, so that nobody after us has to. */
static bool is_plain_value(struct slice v)
{
    return v.len == 0 ||
           (field_value_valid(v) && !slice_is_blank(v.at[0]) && !slice_is_blank(v.at[v.len - 1]));
}

/* RFC 9113 8.2.2 */
static bool is_of_connection(enum field_id id, struct slice value)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_PROXY_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE: return true;
    case FIELD_TE: return !slice_eq_nocase(value, SLICE("trailers"));
    default: return false;
    }
}

static void note(struct h2_fields *f, enum field_id id, struct slice name, struct slice value)
{
    switch (id) {
    case FIELD_HOST:
        f->host_lines++;
        f->host = value;
        break;
    case FIELD_CONTENT_LENGTH:
        f->length_lines++;
        f->length = value;
        break;
    case FIELD_EXPECT:
        f->expect_lines++;
        f->expect = value;
        break;
    case FIELD_COOKIE: f->cookie_lines++; break;
    case FIELD_OTHER:
        if (slice_eq(name, SLICE("priority")))
            f->priority = value;
        break;
    default: break;
    }
}

/* RFC 9110 6.5.1: these are dropped, as h1_parse_trailers() does. */
static bool no_trailer(enum field_id id)
{
    return field_row(id)->traits & (FIELD_HOP | FIELD_FRAMING | FIELD_NOTRAILER);
}

enum err h2_fields_take(void *user, const struct hpack_header *h)
{
    struct h2_fields *f = user;
    struct slice name = h->name, value = h->value;
    enum field_id id = (enum field_id)h->id;
    if (!is_plain_value(value))
        return ERR_BAD_HEADER;
    if (name.len && name.at[0] == ':')
        return take_pseudo(f, name, value);
    if (!is_lower_token(name))
        return ERR_BAD_HEADER;
    if (is_of_connection(id, value))
        return ERR_BAD_HEADER;
    f->regular = true;
    if (++f->count > f->limits->header_count)
        return ERR_TOO_MANY_HEADERS;
    if (f->trailers && no_trailer(id))
        return ERR_OK;
    note(f, id, name, value);
    return headers_append(f->headers, f->arena, id, name, value.len ? value : SLICE(""));
}

/* ---- the whole request ---- */

/* RFC 9113 8.2.3: crumbs of one Cookie field, which HTTP/1 wants whole. */
static enum err join_cookies(struct h2_fields *f)
{
    struct header *first = headers_find(f->headers, FIELD_COOKIE), *it = first;
    size_t len = 0;
    if (f->cookie_lines < 2)
        return ERR_OK;
    for (; it; it = headers_next(f->headers, it))
        len += it->value.len + 2;
    char *at = arena_alloc(f->arena, len), *to = at;
    if (!at)
        return ERR_OVER_BUDGET;
    for (it = first; it; it = headers_next(f->headers, it)) {
        if (it != first)
            to = (char *)memcpy(to, "; ", 2) + 2;
        to = (char *)memcpy(to, it->value.at, it->value.len) + it->value.len;
        it->dead = it != first;
    }
    first->dead = false;
    first->value = (struct slice){at, (size_t)(to - at)};
    return ERR_OK;
}

static enum err apply_scheme(const struct h2_fields *f, uint16_t *standard_port)
{
    if (slice_eq_nocase(f->scheme, SLICE("http")))
        *standard_port = 80;
    else if (slice_eq_nocase(f->scheme, SLICE("https")))
        *standard_port = 443;
    else
        return ERR_BAD_TARGET;
    return ERR_OK;
}

/* RFC 9113 8.3.1. Two different hosts in one request are refused; Host is first in what goes on,
 * and has the one form of it. */
static enum err apply_authority(struct h2_fields *f, struct message *m, uint16_t standard)
{
    struct slice host, other, spare;
    uint16_t port, other_port;
    if (f->host_lines > 1 || (!f->authority.at && f->host_lines == 0))
        return ERR_BAD_HOST;
    struct slice text = f->authority.at ? f->authority : f->host;
    TRY(uri_authority_parse(f->arena, text, &host, &port, &m->authority));
    if (f->host_lines == 0)
        return headers_add_id(&m->headers, f->arena, FIELD_HOST, m->authority);
    TRY(uri_authority_parse(f->arena, f->host, &other, &other_port, &spare));
    unsigned a = port ? port : standard, b = other_port ? other_port : standard;
    if (!slice_eq(host, other) || a != b)
        return ERR_HOST_MISMATCH;
    headers_find(&m->headers, FIELD_HOST)->value = m->authority;
    return ERR_OK;
}

static enum err apply_path(const struct h2_fields *f, struct message *m)
{
    struct uri u;
    if (!f->path.at || f->path.len == 0)
        return ERR_BAD_TARGET;
    if (f->path.len > f->limits->line_bytes)
        return ERR_URI_TOO_LONG;
    m->target = f->path;
    TRY(uri_parse(f->path, &u));
    if (u.form == URI_ASTERISK)
        return m->method == METHOD_OPTIONS ? ERR_OK : ERR_BAD_TARGET;
    return u.form == URI_ORIGIN ? ERR_OK : ERR_BAD_TARGET;
}

static enum err apply_length(const struct h2_fields *f, struct message *m, unsigned end)
{
    uint64_t v;
    m->length = end ? LENGTH_NONE : LENGTH_UNKNOWN;
    if (f->length_lines == 0)
        return ERR_OK;
    if (f->length_lines > 1 || num_parse_u64(f->length, &v) || v > INT64_MAX || (end && v > 0))
        return ERR_BAD_CONTENT_LENGTH;
    m->length = LENGTH_KNOWN;
    m->content_length = v;
    return ERR_OK;
}

static enum err apply_expect(const struct h2_fields *f, struct message *m, unsigned end)
{
    if (!f->expect_lines)
        return ERR_OK;
    if (f->expect_lines > 1 || !slice_eq_nocase(f->expect, SLICE("100-continue")))
        return ERR_BAD_EXPECT;
    m->expect_continue = !end;
    if (end)
        headers_del_id(&m->headers, FIELD_EXPECT);
    return ERR_OK;
}

/* Sixteen bytes in base 64 (RFC 6455 4.1), which an HTTP/1 server wants to see. That it answers
 * them is not looked at: its 101 is on a connection that is ours. */
static struct slice make_key(struct arena *a, uint64_t random)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *at = arena_alloc(a, 24);
    if (!at)
        return SLICE_NONE;
    for (int i = 0; i < 21; i++, random = random >> 3 | random << 61)
        at[i] = digits[random & 63];
    memcpy(at + 21, "w==", 3);
    at[21] = "AQgw"[random & 3]; /* the last digit of 16 bytes has two bits */
    return (struct slice){at, 24};
}

/* RFC 8441 4 and 5 */
static enum err apply_connect(struct h2_fields *f, struct message *m, uint64_t random)
{
    if (!f->protocol.at || !slice_eq_nocase(f->protocol, SLICE("websocket")))
        return ERR_METHOD_UNSUPPORTED;
    if (f->length_lines)
        return ERR_BAD_CONTENT_LENGTH;
    m->method = METHOD_GET;
    m->method_text = SLICE("GET");
    m->length = LENGTH_NONE;
    m->upgrade = true;
    m->upgrade_to = SLICE("websocket");
    headers_del_id(&m->headers, FIELD_SEC_WEBSOCKET_KEY);
    struct slice key = make_key(f->arena, random);
    return key.at ? headers_add_id(&m->headers, f->arena, FIELD_SEC_WEBSOCKET_KEY, key)
                  : ERR_OVER_BUDGET;
}

/* A plain CONNECT has an authority and neither scheme nor path (8.5); it is not served. */
static enum err check_method(const struct h2_fields *f, struct message *m)
{
    if (!f->method.at || !field_is_token(f->method))
        return ERR_BAD_METHOD;
    m->method_text = f->method;
    m->method = (uint8_t)method_find(f->method);
    if (m->method == METHOD_CONNECT && !f->protocol.at)
        return f->scheme.at || f->path.at || !f->authority.len ? ERR_BAD_TARGET
                                                               : ERR_METHOD_UNSUPPORTED;
    return m->method != METHOD_CONNECT && f->protocol.at ? ERR_BAD_HEADER : ERR_OK;
}

enum err h2_request_finish(struct h2_fields *f, struct message *m, unsigned end, uint64_t random)
{
    uint16_t standard;
    m->version_major = 2;
    m->version_minor = 1;
    TRY(check_method(f, m));
    TRY(apply_scheme(f, &standard));
    TRY(apply_path(f, m));
    TRY(apply_authority(f, m, standard));
    TRY(join_cookies(f));
    if (m->method == METHOD_CONNECT)
        return apply_connect(f, m, random);
    TRY(apply_length(f, m, end));
    return apply_expect(f, m, end);
}
