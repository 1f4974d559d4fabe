/* h1_head.c - finds heads in a growing buffer and reads their field lines.
 *
 * Two passes over the bytes, both wide (scan.h): the first finds line ends as they come; once the
 * head is whole each line is cut at its colon, the name looked up (a known name needs no check of
 * its letters), and the value checked for anything below a space. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "base/scan.h"
#include "h1/h1_fields_priv.h"
#include "http/nocase.h"

enum { LEADING_BLANKS_BYTES = 4 }; /* two CRLFs before a request line */

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

/* Judges an empty line, which ends the head when another was before it, and the first one. */
static enum err special_line(const struct h1_scan *s, size_t len, const struct stream_limits *l)
{
    if (len == 0 && s->lines > 0)
        return s->at > l->head_bytes ? ERR_HEAD_TOO_LARGE : ERR_OK;
    if (len == 0)
        return s->at > LEADING_BLANKS_BYTES ? ERR_BAD_REQUEST_LINE : ERR_HOLD;
    return len > l->line_bytes ? ERR_URI_TOO_LONG : ERR_HOLD;
}

/* Goes through the lines whose LFs are in `ends`, a bit per byte from `at` on. */
static inline enum err take_lines(struct h1_scan *s, struct slice in, size_t at, unsigned ends,
                                  const struct stream_limits *l)
{
    for (; ends; ends &= ends - 1) {
        size_t end = at + (unsigned)__builtin_ctz(ends), len = end - s->line_start - 1;
        if (end == s->line_start || in.at[end - 1] != '\r')
            return ERR_BARE_LF;
        s->at = s->line_start = (uint32_t)end + 1;
        if (len == 0 || s->lines == 0) {
            enum err e = special_line(s, len, l);
            if (e != ERR_HOLD)
                return e;
        }
        s->lines += len > 0;
    }
    return ERR_HOLD;
}

/* The LFs among the last bytes, less than 32. */
static __attribute__((noinline)) unsigned last_ends(struct slice rest)
{
    char block[2 * SCAN_BYTES] = {0};
    memcpy(block, rest.at, rest.len);
    return scan_eq32(block, '\n');
}

/* Looks for line ends in what is new. ERR_OK: s->at is behind the empty line. */
static enum err head_scan(struct h1_scan *scan, struct slice in, const struct stream_limits *l)
{
    struct h1_scan s = *scan; /* in registers: half the cost */
    enum err e = ERR_HOLD;
    size_t at = s.at;
    for (; e == ERR_HOLD && in.len - at >= 2 * SCAN_BYTES; at += 2 * SCAN_BYTES)
        e = take_lines(&s, in, at, scan_eq32(in.at + at, '\n'), l);
    if (e == ERR_HOLD && at < in.len)
        e = take_lines(&s, in, at, last_ends(slice_from(in, at)), l);
    if (s.lines > l->header_count + 1)
        return ERR_TOO_MANY_HEADERS;
    *scan = s;
    return e;
}

enum err h1_head_find(struct h1_scan *s, struct slice in, const struct stream_limits *l,
                      size_t *head_len)
{
    if (s->at == 0 && in.len > 0 && starts_no_message(in.at[0]))
        return ERR_NOT_HTTP;
    enum err e = head_scan(s, in, l);
    if (e == ERR_OK)
        *head_len = s->at;
    if (e != ERR_HOLD)
        return e;
    s->at = (uint32_t)in.len;
    return head_hold(s, in, l);
}

/* Moves past the next line; *len is its length without CRLF. */
static enum err next_line(struct h1_scan *s, struct slice in, size_t *len)
{
    size_t end = s->at + slice_find(slice_from(in, s->at), '\n');
    if (end == in.len) {
        s->at = (uint32_t)in.len;
        return ERR_HOLD;
    }
    if (end == s->line_start || in.at[end - 1] != '\r')
        return ERR_BARE_LF;
    *len = end - s->line_start - 1;
    s->at = s->line_start = (uint32_t)end + 1;
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

/* What stands at `at` instead of a CRLF. */
static enum err value_error(const char *at, const char *end)
{
    switch (at < end ? *at : ' ') {
    case '\r': return ERR_BARE_CR;
    case '\n': return ERR_BARE_LF;
    case '\0': return ERR_NUL_BYTE;
    default: return ERR_BAD_HEADER;
    }
}

/* Why read_field() does not like what is at `at`. */
static enum err field_error(const char *at, const char *end)
{
    const char *colon = scan_find(at, end, ':');
    if (colon == end || !field_is_token((struct slice){at, (size_t)(colon - at)}))
        return name_error((struct slice){at, (size_t)(end - at)});
    return value_error(scan_find_bad(colon + 1, end), end);
}

/* Nearly always one space before and none behind. A value has no control but the tab. */
static inline struct slice trim_value(const char *at, const char *end)
{
    while (at < end && (unsigned char)*at <= ' ')
        at++;
    while (at < end && (unsigned char)end[-1] <= ' ')
        end--;
    return (struct slice){at, (size_t)(end - at)};
}

/* Reads one "name: value CRLF". Returns what follows, or NULL when it is none. */
static inline const char *read_field(const char *at, const char *end, struct header *to)
{
    const char *colon = scan_find(at, end, ':');
    struct slice name = {at, (size_t)(colon - at)};
    enum field_id id = field_find(name);
    if (id == FIELD_OTHER && (colon == end || !field_is_token(name)))
        return NULL;
    const char *crlf = scan_find_bad(colon + 1, end);
    if (end - crlf < 2 || memcmp(crlf, "\r\n", 2) != 0)
        return NULL;
    *to = (struct header){name, trim_value(colon + 1, crlf), (uint16_t)id, field_is_hop(id), false};
    return crlf + 2;
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

/* Appends without headers_append(): half of a line's cost would be its. */
enum err h1_fields_parse(struct slice lines, struct arena *a, const struct stream_limits *l,
                         struct h1_fields *f)
{
    struct headers *h = f->headers;
    const char *at = lines.at, *end = at + lines.len;
    while (end - at != 2 || memcmp(at, "\r\n", 2) != 0) {
        if (at == end)
            return ERR_BAD_HEADER;
        if (h->count >= l->header_count)
            return ERR_TOO_MANY_HEADERS;
        if (h->count == h->cap)
            TRY(headers_reserve(h, a, 1));
        struct header *to = &h->at[h->count];
        const char *next = read_field(at, end, to);
        if (!next)
            return field_error(at, end);
        at = next;
        h->count++;
        h->known |= (uint64_t)1 << to->id;
        note_field(f, (enum field_id)to->id, to->value);
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
