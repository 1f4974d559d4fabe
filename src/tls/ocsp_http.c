/* ocsp_http.c - writes a POST, reads one strict answer.
 *
 * Sources: RFC 6960 A.1 (OCSP over HTTP), RFC 1945 (HTTP/1.0), RFC 9112 6.3 (length of a body). */
// SPDX-License-Identifier: Apache-2.0
#include "tls/ocsp_http.h"
#include "base/num.h"

/* ---- URL ---- */

static bool is_visible(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.at[i] <= 0x20 || (uint8_t)s.at[i] >= 0x7f)
            return false;
    return true;
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == ':';
}

static bool split_port(struct slice *host, uint16_t *port)
{
    struct slice rest = *host;
    uint64_t n = 80;
    if (rest.len > 0 && rest.at[0] == '[') {
        size_t close = slice_find(rest, ']');
        if (close == rest.len)
            return false;
        *host = (struct slice){rest.at + 1, close - 1};
        rest = slice_from(rest, close + 1);
    } else {
        *host = slice_head(rest, slice_find(rest, ':'));
        rest = slice_from(rest, host->len);
    }
    if (rest.len > 0 &&
        (rest.at[0] != ':' || num_parse_u64(slice_from(rest, 1), &n) || n == 0 || n > 65535))
        return false;
    *port = (uint16_t)n;
    return true;
}

bool ocsp_url_parse(struct slice url, struct ocsp_url *out)
{
    struct ocsp_url u;
    if (url.len > OCSP_URL_BYTES_MAX || !is_visible(url) || !slice_starts(url, SLICE("http://")))
        return false;
    struct slice rest = slice_from(url, 7);
    u.authority = slice_head(rest, slice_find(rest, '/'));
    u.path = slice_from(rest, u.authority.len);
    u.host = u.authority;
    if (!split_port(&u.host, &u.port) || u.host.len == 0)
        return false;
    for (size_t i = 0; i < u.host.len; i++)
        if (!is_host_byte(u.host.at[i]))
            return false;
    *out = u;
    return true;
}

/* ---- request ---- */

void ocsp_http_write(const struct ocsp_url *url, struct slice request_der, struct text *to)
{
    struct slice path = url->path.len ? url->path : SLICE("/");
    text_addf(to,
              "POST %.*s HTTP/1.0\r\nHost: %.*s\r\nContent-Type: application/ocsp-request\r\n"
              "Accept: application/ocsp-response\r\nContent-Length: %zu\r\n\r\n",
              SLICE_ARG(path), SLICE_ARG(url->authority), request_der.len);
    text_add(to, request_der);
}

/* ---- answer ---- */

struct head {
    uint64_t length;
    bool has_length, is_ocsp;
};

static enum ocsp_http refuse(struct text *why, const char *words)
{
    text_add(why, slice_of(words));
    return OCSP_HTTP_BAD;
}

/* The head with its empty line, or an empty slice when that has not come yet. */
static struct slice find_head(struct slice bytes)
{
    const char *end = bytes.len ? memmem(bytes.at, bytes.len, "\r\n\r\n", 4) : NULL;
    return end ? slice_head(bytes, (size_t)(end - bytes.at) + 4) : SLICE_NONE;
}

static bool read_status(struct slice line, struct text *why)
{
    if (!slice_starts(line, SLICE("HTTP/1.")) || line.len < 12 || line.at[8] != ' ') {
        text_add(why, SLICE("the responder does not speak HTTP"));
        return false;
    }
    if (slice_eq(slice_head(slice_from(line, 9), 3), SLICE("200")) &&
        (line.len == 12 || line.at[12] == ' '))
        return true;
    text_addf(why, "the responder answered with status %.3s", line.at + 9);
    return false;
}

static bool read_field(struct slice line, struct head *h, struct text *why)
{
    struct slice name, value = line;
    slice_cut(&value, ':', &name);
    if (name.len == line.len || name.len == 0) {
        text_add(why, SLICE("a field of the responder's answer is malformed"));
        return false;
    }
    value = slice_trim(value);
    if (slice_eq_nocase(name, SLICE("Transfer-Encoding"))) {
        text_add(why, SLICE("the responder sent its answer in a transfer coding"));
        return false;
    }
    if (slice_eq_nocase(name, SLICE("Content-Type")))
        h->is_ocsp = slice_eq_nocase(slice_trim(slice_head(value, slice_find(value, ';'))),
                                     SLICE("application/ocsp-response"));
    if (!slice_eq_nocase(name, SLICE("Content-Length")))
        return true;
    if (h->has_length || num_parse_u64(value, &h->length) != ERR_OK) {
        text_add(why, SLICE("the responder's Content-Length is malformed or repeated"));
        return false;
    }
    h->has_length = true;
    return true;
}

static struct slice cut_line(struct slice *rest)
{
    struct slice line;
    slice_cut(rest, '\n', &line);
    return slice_head(line, line.len ? line.len - 1 : 0); /* its CR; a bare LF costs a byte */
}

static bool read_head(struct slice text, struct head *h, struct text *why)
{
    struct slice rest = slice_head(text, text.len - 2);
    if (!read_status(cut_line(&rest), why))
        return false;
    while (rest.len > 0)
        if (!read_field(cut_line(&rest), h, why))
            return false;
    if (!h->is_ocsp)
        text_add(why, SLICE("the responder's answer is no application/ocsp-response"));
    return h->is_ocsp;
}

enum ocsp_http ocsp_http_read(struct slice bytes, enum ocsp_http_end end, struct slice *body,
                              struct text *why)
{
    struct head h = {0};
    struct slice head = find_head(bytes);
    if (head.len > OCSP_HEAD_BYTES_MAX || (head.len == 0 && bytes.len >= OCSP_HEAD_BYTES_MAX))
        return refuse(why, "the head of the responder's answer is too long");
    if (head.len == 0)
        return end == OCSP_HTTP_OPEN ? OCSP_HTTP_MORE
                                     : refuse(why, "the responder closed without an answer");
    if (!read_head(head, &h, why))
        return OCSP_HTTP_BAD;
    struct slice got = slice_from(bytes, head.len);
    if (got.len > OCSP_BODY_BYTES_MAX || h.length > OCSP_BODY_BYTES_MAX)
        return refuse(why, "the responder's answer is too long");
    bool whole = h.has_length ? got.len >= h.length : end == OCSP_HTTP_ENDED;
    if (!whole)
        return end == OCSP_HTTP_OPEN ? OCSP_HTTP_MORE
                                     : refuse(why, "the responder's answer ends too early");
    *body = h.has_length ? slice_head(got, h.length) : got;
    return OCSP_HTTP_DONE;
}
