/* h1_head.c - finds heads in a growing buffer and reads their field lines.
 *
 * Two passes over the bytes, both wide: memchr() finds line ends as they come; once the head is
 * whole each line is cut at its colon, the name looked up (a known name needs no check of its
 * letters), and the value checked eight bytes at a time for anything below a space. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "h1/h1_fields_priv.h"
#include "http/nocase.h"
#include <endian.h>

enum { LEADING_BLANKS_BYTES = 4 }; /* two CRLFs before a request line */

/* Moves past the next line; *len is its length without CRLF. */
static enum err next_line(struct h1_scan *s, struct slice in, size_t *len)
{
    struct slice rest = slice_from(in, s->at);
    const char *lf = rest.len ? memchr(rest.at, '\n', rest.len) : NULL;
    if (!lf) {
        s->at = (uint32_t)in.len;
        return ERR_HOLD;
    }
    size_t end = (size_t)(lf - in.at);
    if (end == s->line_start || lf[-1] != '\r')
        return ERR_BARE_LF;
    *len = end - s->line_start - 1;
    s->at = s->line_start = (uint32_t)end + 1;
    return ERR_OK;
}

/* A first byte that starts no message at all, such as a TLS handshake's 0x16. */
static bool starts_no_message(char c)
{
    unsigned char byte = (unsigned char)c;
    return (byte < 0x20 && byte != '\r' && byte != '\n') || byte >= 0x7f;
}

static enum err head_hold(const struct h1_scan *s, struct slice in, const struct stream_limits *l)
{
    if (s->lines == 0 && in.len - s->line_start > (size_t)l->line_bytes + 1)
        return ERR_URI_TOO_LONG;
    return in.len > l->head_bytes ? ERR_HEAD_TOO_LARGE : ERR_HOLD;
}

enum err h1_head_find(struct h1_scan *s, struct slice in, const struct stream_limits *l,
                      size_t *head_len)
{
    size_t len;
    if (s->at == 0 && in.len > 0 && starts_no_message(in.at[0]))
        return ERR_NOT_HTTP;
    for (;;) {
        enum err e = next_line(s, in, &len);
        if (e == ERR_HOLD)
            return head_hold(s, in, l);
        if (e)
            return e;
        if (len == 0 && s->lines > 0)
            break;
        if (len == 0 && s->at > LEADING_BLANKS_BYTES)
            return ERR_BAD_REQUEST_LINE;
        if (len > 0 && s->lines++ == 0 && len > l->line_bytes)
            return ERR_URI_TOO_LONG;
        if (s->lines > l->header_count + 1)
            return ERR_TOO_MANY_HEADERS;
    }
    if (s->at > l->head_bytes)
        return ERR_HEAD_TOO_LARGE;
    *head_len = s->at;
    return ERR_OK;
}

enum err h1_trailer_find(struct h1_scan *s, struct slice in, const struct stream_limits *l,
                         size_t *len)
{
    size_t line_len = 1;
    while (line_len > 0) {
        enum err e = next_line(s, in, &line_len);
        if ((!e || e == ERR_HOLD) && s->at > l->trailer_bytes + 2)
            return ERR_HEAD_TOO_LARGE;
        if (e)
            return e;
        if (line_len > 0 && ++s->lines > l->header_count)
            return ERR_TOO_MANY_HEADERS;
    }
    *len = s->at;
    return ERR_OK;
}

/* The first byte that may be a control (below a space, or DEL), or `end`. Bit tricks: a byte below
 * 0x20 borrows, 0x7f plus one sets the top bit; a 0xff before it can make that a false alarm, so
 * callers look at the byte. */
static const char *find_control(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u;
    for (; end - at >= 8; at += 8) {
        uint64_t w;
        memcpy(&w, at, sizeof w);
        w = le64toh(w);
        uint64_t hit = ((w - ones * 0x20) | (w + ones)) & ~w & (ones * 0x80);
        if (hit)
            return at + __builtin_ctzll(hit) / 8;
    }
    while (at < end && (unsigned char)*at >= 0x20 && *at != 0x7f)
        at++;
    return at;
}

/* Position of the first colon, or rest.len. Names are short: cheaper than a call of memchr(). */
static inline size_t find_colon(struct slice rest)
{
    const uint64_t ones = 0x0101010101010101u;
    size_t i = 0;
    for (; i + 8 <= rest.len; i += 8) {
        uint64_t w;
        memcpy(&w, rest.at + i, sizeof w);
        w = le64toh(w) ^ (ones * ':');
        uint64_t hit = (w - ones) & ~w & (ones * 0x80);
        if (hit)
            return i + (size_t)__builtin_ctzll(hit) / 8;
    }
    while (i < rest.len && rest.at[i] != ':')
        i++;
    return i;
}

/* Why a line has no field name at its front. `line` reaches to the end of the head. */
static enum err name_error(struct slice line)
{
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return ERR_OBS_FOLD;
    for (size_t i = 0; i < line.len && line.at[i] != ':'; i++) {
        if (line.at[i] == 0)
            return ERR_NUL_BYTE;
        if (line.at[i] == '\r')
            return i + 1 < line.len && line.at[i + 1] == '\n' ? ERR_BAD_HEADER : ERR_BARE_CR;
    }
    return ERR_BAD_HEADER;
}

/* Length of the value at the front of `rest`, up to its CRLF. */
static enum err value_len(struct slice rest, size_t *len)
{
    const char *at = rest.at, *end = rest.at + rest.len;
    for (;; at++) {
        at = find_control(at, end);
        if (at == end)
            return ERR_BAD_HEADER;
        if (*at == '\r')
            break;
        if (*at == 0)
            return ERR_NUL_BYTE;
        if (*at == 0x7f || ((unsigned char)*at < 0x20 && *at != '\t'))
            return *at == '\n' ? ERR_BARE_LF : ERR_BAD_HEADER;
    }
    if (end - at < 2 || at[1] != '\n')
        return ERR_BARE_CR;
    *len = (size_t)(at - rest.at);
    return ERR_OK;
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Nearly always one space before and none behind. */
static inline struct slice trim_value(const char *at, size_t len)
{
    const char *end = at + len;
    while (at < end && is_blank(*at))
        at++;
    while (at < end && is_blank(end[-1]))
        end--;
    return (struct slice){at, (size_t)(end - at)};
}

/* Cuts one "name: value CRLF" off the front of *rest. */
static enum err cut_field(struct slice *rest, enum field_id *id, struct slice *name,
                          struct slice *value)
{
    size_t len;
    *name = (struct slice){rest->at, find_colon(*rest)};
    *id = field_find(*name);
    if (*id == FIELD_OTHER && (name->len == rest->len || !field_is_token(*name)))
        return name_error(*rest);
    struct slice after = slice_from(*rest, name->len + 1);
    TRY(value_len(after, &len));
    *value = trim_value(after.at, len);
    *rest = slice_from(after, len + 2);
    return ERR_OK;
}

/* headers_append() without the call: half of a line's cost would be its. */
static inline void store(struct headers *h, enum field_id id, struct slice name, struct slice value)
{
    struct header *to = &h->at[h->count++];
    to->name = name;
    to->value = value;
    to->id = (uint16_t)id;
    to->hop = field_row(id)->traits & FIELD_HOP;
    to->dead = false;
    h->known |= (uint64_t)1 << id;
}

static void note_field(struct h1_fields *f, enum field_id id, struct slice value)
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
    case FIELD_TRANSFER_ENCODING:
        f->coding_lines++;
        f->coding = value;
        break;
    case FIELD_CONNECTION: f->connection_lines++; break;
    case FIELD_EXPECT: f->expect_lines++; break;
    default: break;
    }
}

/* Fields that weir knows and that are not hop-by-hop can not be stripped by naming them. */
static void apply_named(struct headers *h, struct slice name)
{
    if (field_find(name) != FIELD_OTHER)
        return;
    for (struct header *it = headers_find_name(h, name); it; it = headers_next(h, it))
        it->hop = h->hops_named = true;
}

/* The two whole values that nearly every message has, without taking a list apart. */
static bool apply_usual(struct h1_fields *f, struct slice value)
{
    bool keep_alive = NOCASE_IS(value, "keep-alive"), close = NOCASE_IS(value, "close");
    f->keep_alive |= keep_alive;
    f->close |= close;
    return keep_alive || close;
}

static enum err apply_option(struct h1_fields *f, struct slice option)
{
    if (NOCASE_IS(option, "keep-alive"))
        f->keep_alive = true;
    else if (NOCASE_IS(option, "close"))
        f->close = true;
    else if (NOCASE_IS(option, "upgrade"))
        f->upgrade = true;
    else if (!field_is_token(option))
        return ERR_BAD_HEADER;
    else
        apply_named(f->headers, option);
    return ERR_OK;
}

static enum err apply_connection(struct h1_fields *f)
{
    struct header *line = headers_find(f->headers, FIELD_CONNECTION);
    for (; line; line = headers_next(f->headers, line)) {
        struct slice rest = line->value, option;
        if (apply_usual(f, rest))
            continue;
        while (field_list_next(&rest, &option))
            TRY(apply_option(f, option));
    }
    return ERR_OK;
}

enum err h1_fields_parse(struct slice lines, struct arena *a, const struct stream_limits *l,
                         struct h1_fields *f)
{
    while (lines.len > 2 || !slice_eq(lines, SLICE("\r\n"))) {
        enum field_id id;
        struct slice name, value;
        if (lines.len == 0)
            return ERR_BAD_HEADER;
        if (f->headers->count >= l->header_count)
            return ERR_TOO_MANY_HEADERS;
        TRY(cut_field(&lines, &id, &name, &value));
        if (f->headers->count == f->headers->cap)
            TRY(headers_reserve(f->headers, a, 1));
        store(f->headers, id, name, value);
        note_field(f, id, value);
    }
    return f->connection_lines ? apply_connection(f) : ERR_OK;
}

/* RFC 9112 6.1: the only coding that weir reads is one final "chunked". What else is there decides
 * the status: codings before it are not implemented, anything after or instead is malformed. */
static enum err coding_error(struct slice value)
{
    struct slice member, last = SLICE_NONE;
    unsigned chunked = 0, other = 0;
    while (field_list_next(&value, &member)) {
        last = member;
        if (slice_eq_nocase(member, SLICE("chunked")))
            chunked++;
        else
            other++;
    }
    bool is_final = chunked == 1 && slice_eq_nocase(last, SLICE("chunked"));
    return is_final && other > 0 ? ERR_CODING_UNSUPPORTED : ERR_BAD_TRANSFER_CODING;
}

static enum err apply_length(const struct h1_fields *f, struct message *m)
{
    uint64_t v;
    if (f->length_lines > 1 || num_parse_u64(f->length, &v) || v > INT64_MAX)
        return ERR_BAD_CONTENT_LENGTH;
    m->length = LENGTH_KNOWN;
    m->content_length = v;
    return ERR_OK;
}

enum err h1_framing(const struct h1_fields *f, struct message *m)
{
    if (f->length_lines && f->coding_lines)
        return ERR_LENGTH_AND_CODING;
    if (f->length_lines)
        return apply_length(f, m);
    if (!f->coding_lines) {
        m->length = LENGTH_NONE;
        return ERR_OK;
    }
    if (f->coding_lines > 1 || m->version_minor == 0)
        return ERR_BAD_TRANSFER_CODING;
    if (!NOCASE_IS(f->coding, "chunked"))
        return coding_error(f->coding);
    m->length = LENGTH_UNKNOWN;
    return ERR_OK;
}

bool h1_keep_alive(const struct h1_fields *f, const struct message *m)
{
    return !f->close && (m->version_minor > 0 || f->keep_alive);
}

enum err h1_version_parse(struct slice text, uint8_t *minor)
{
    if (text.len != 8 || memcmp(text.at, "HTTP/", 5) != 0 || text.at[6] != '.')
        return ERR_BAD_VERSION;
    unsigned char major = (unsigned char)text.at[5], low = (unsigned char)text.at[7];
    if (major < '0' || major > '9' || low < '0' || low > '9')
        return ERR_BAD_VERSION;
    if (major != '1')
        return ERR_VERSION_UNSUPPORTED;
    *minor = low > '0'; /* RFC 9110 2.5: a later minor version is read as the last one known */
    return ERR_OK;
}

enum err h1_origin_err(enum err e)
{
    switch (e) {
    case ERR_OK:
    case ERR_HOLD:
    case ERR_OVER_BUDGET:
    case ERR_NO_BUFFERS: return e;
    case ERR_URI_TOO_LONG:
    case ERR_HEAD_TOO_LARGE:
    case ERR_TOO_MANY_HEADERS: return ERR_ORIGIN_HEAD_TOO_LARGE;
    case ERR_BAD_CONTENT_LENGTH:
    case ERR_LENGTH_AND_CODING:
    case ERR_BAD_TRANSFER_CODING:
    case ERR_CODING_UNSUPPORTED:
    case ERR_BAD_CHUNK:
    case ERR_CHUNK_EXT_TOO_LONG:
    case ERR_BAD_TRAILER: return ERR_ORIGIN_BAD_FRAMING;
    default: return ERR_ORIGIN_BAD_HEAD;
    }
}
