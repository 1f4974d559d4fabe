/* h1_response.c - a whole response head to a message (RFC 9112 4 and 6.3).
 *
 * An origin is more trusted than a client, but what it sends is read with the same strictness: a
 * response whose length is a matter of opinion is never passed on. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1_fields_priv.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "404 Not Found". The space before an empty reason is often left out and nothing depends on it. */
static enum err parse_status(struct slice s, struct message *m)
{
    if (s.len < 3 || !is_digit(s.at[0]) || !is_digit(s.at[1]) || !is_digit(s.at[2]))
        return ERR_ORIGIN_BAD_HEAD;
    if (s.len > 3 && s.at[3] != ' ')
        return ERR_ORIGIN_BAD_HEAD;
    m->status = (uint16_t)((s.at[0] - '0') * 100 + (s.at[1] - '0') * 10 + (s.at[2] - '0'));
    m->reason = slice_from(s, 4);
    bool valid = m->status >= 100 && m->status <= 599 && field_value_valid(m->reason);
    return valid ? ERR_OK : ERR_ORIGIN_BAD_HEAD;
}

static enum err parse_line(struct slice *head, struct message *m)
{
    size_t lf = slice_find(*head, '\n');
    if (lf == head->len || lf < 9 || head->at[lf - 1] != '\r' || head->at[8] != ' ')
        return ERR_ORIGIN_BAD_HEAD;
    if (h1_version_parse(slice_head(*head, 8), &m->version_minor))
        return ERR_ORIGIN_BAD_HEAD;
    TRY(parse_status(slice_from(slice_head(*head, lf - 1), 9), m));
    *head = slice_from(*head, lf + 1);
    return ERR_OK;
}

/* RFC 9112 6.3, in its order. */
static enum err apply_framing(const struct h1_fields *f, enum method method, struct message *m)
{
    TRY(h1_framing(f, m));
    if (method == METHOD_HEAD || !status_has_body(m->status)) {
        m->length = LENGTH_NONE;
    } else if (m->length == LENGTH_NONE) {
        m->length = LENGTH_UNKNOWN; /* until the connection ends */
        m->keep_alive = false;
    }
    return ERR_OK;
}

static void apply_upgrade(const struct h1_fields *f, struct arena *a, struct message *m)
{
    if (m->status != 101 || !f->upgrade || m->version_minor == 0)
        return;
    m->upgrade_to = headers_join(&m->headers, a, FIELD_UPGRADE);
    m->upgrade = m->upgrade_to.len > 0;
}

static enum err parse_fields(struct slice lines, enum method method, struct arena *a,
                             const struct stream_limits *l, struct message *m)
{
    struct h1_fields f = {.headers = &m->headers};
    TRY(h1_fields_parse(lines, a, l, &f));
    m->keep_alive = h1_keep_alive(&f, m);
    apply_upgrade(&f, a, m);
    return apply_framing(&f, method, m);
}

enum err h1_parse_response(struct slice head, enum method method, struct arena *a,
                           const struct stream_limits *l, struct message *out)
{
    message_init(out);
    TRY(parse_line(&head, out));
    return h1_origin_err(parse_fields(head, method, a, l, out));
}
