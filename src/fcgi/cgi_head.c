/* cgi_head.c - a CGI head to a message.
 *
 * Status is taken out of the fields, where it would mean nothing; the rest stays. The body needs no
 * framing here, as records say where it ends: Content-Length is what the client is told. */
// SPDX-License-Identifier: Apache-2.0
#include "fcgi/cgi_head.h"
#include "base/num.h"

enum err cgi_head_find(struct cgi_scan *s, struct slice in, const struct stream_limits *l,
                       size_t *len)
{
    while (s->at < in.len) {
        size_t lf = s->at + slice_find(slice_from(in, s->at), '\n');
        s->at = lf < in.len ? lf + 1 : in.len;
        if (s->at > l->head_bytes)
            return ERR_ORIGIN_HEAD_TOO_LARGE;
        if (lf == in.len)
            break;
        size_t line = lf - s->line_start;
        if (line == 0 || (line == 1 && in.at[s->line_start] == '\r')) {
            *len = s->at;
            return ERR_OK;
        }
        s->line_start = s->at;
    }
    return ERR_HOLD;
}

/* What the fields say beside themselves. */
struct facts {
    struct slice status, length;
    unsigned statuses, lengths;
    bool location, coding;
};

static void note(struct facts *f, struct message *m, struct slice name, struct slice value)
{
    struct header *last = &m->headers.at[m->headers.count - 1];
    switch (last->id) {
    case FIELD_CONTENT_LENGTH:
        f->length = value;
        f->lengths++;
        break;
    case FIELD_TRANSFER_ENCODING: f->coding = true; break;
    case FIELD_LOCATION: f->location = true; break;
    case FIELD_OTHER:
        if (!slice_eq_nocase(name, SLICE("status")))
            break;
        f->status = value;
        f->statuses++;
        last->dead = true;
        break;
    default: break;
    }
}

static enum err parse_line(struct slice line, struct arena *a, struct message *m, struct facts *f)
{
    size_t colon = slice_find(line, ':');
    struct slice name = slice_head(line, colon), value = slice_trim(slice_from(line, colon + 1));
    if (colon == line.len)
        return ERR_ORIGIN_BAD_HEAD;
    enum err e = headers_add(&m->headers, a, name, value);
    if (e == ERR_OK)
        note(f, m, name, value);
    return e == ERR_BAD_HEADER ? ERR_ORIGIN_BAD_HEAD : e;
}

static enum err parse_lines(struct slice head, struct arena *a, const struct stream_limits *l,
                            struct message *m, struct facts *f)
{
    struct slice line;
    while (slice_cut(&head, '\n', &line)) {
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            break;
        if (m->headers.count == l->header_count)
            return ERR_ORIGIN_HEAD_TOO_LARGE;
        TRY(parse_line(line, a, m, f));
    }
    return m->headers.count > 0 ? ERR_OK : ERR_ORIGIN_BAD_HEAD;
}

/* "404 Not Found", "404". Interim answers and upgrades do not exist in CGI. */
static enum err parse_status(struct slice s, struct message *m)
{
    uint64_t number;
    bool apart = s.len == 3 || (s.len > 3 && s.at[3] == ' ');
    if (!apart || num_parse_u64(slice_head(s, 3), &number) != ERR_OK || number < 200 ||
        number > 599)
        return ERR_ORIGIN_BAD_HEAD;
    m->status = (uint16_t)number;
    m->reason = slice_trim(slice_from(s, 3));
    return ERR_OK;
}

static enum err apply_status(const struct facts *f, struct message *m)
{
    if (f->statuses > 1)
        return ERR_ORIGIN_BAD_HEAD;
    if (f->statuses == 1)
        return parse_status(f->status, m);
    m->status = f->location ? 302 : 200;
    return ERR_OK;
}

static enum err apply_length(const struct facts *f, enum method method, struct message *m)
{
    if (f->lengths > 1 || f->coding)
        return ERR_ORIGIN_BAD_FRAMING;
    if (f->lengths == 1 &&
        (num_parse_u64(f->length, &m->content_length) != ERR_OK || m->content_length > INT64_MAX))
        return ERR_ORIGIN_BAD_FRAMING;
    if (method == METHOD_HEAD || !status_has_body(m->status))
        m->length = LENGTH_NONE;
    else
        m->length = f->lengths == 1 ? LENGTH_KNOWN : LENGTH_UNKNOWN;
    return ERR_OK;
}

enum err cgi_head_parse(struct slice head, enum method method, struct arena *a,
                        const struct stream_limits *l, struct message *out)
{
    struct facts f = {0};
    message_init(out);
    out->version_major = out->version_minor = 1;
    out->keep_alive = true;
    TRY(parse_lines(head, a, l, out, &f));
    TRY(apply_status(&f, out));
    return apply_length(&f, method, out);
}
