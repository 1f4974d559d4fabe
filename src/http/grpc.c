/* grpc.c - the tables and small grammars of gRPC.
 *
 * A malformed grpc-timeout is no reason to refuse a request here: it counts as absent, and the
 * server, which gets the field as it came, judges it. */
// SPDX-License-Identifier: Apache-2.0
#include "http/grpc.h"
#include "base/num.h"

#define TYPE "application/grpc"

enum { DIGITS_MAX = 8 };
static const int64_t DIGITS_END = 100000000;

bool grpc_is_type(struct slice content_type)
{
    if (!slice_eq_nocase(slice_head(content_type, sizeof(TYPE) - 1), SLICE(TYPE)))
        return false;
    struct slice rest = slice_from(content_type, sizeof(TYPE) - 1);
    return rest.len == 0 || rest.at[0] == '+' || rest.at[0] == ';' || slice_is_blank(rest.at[0]);
}

enum grpc_status grpc_status_of_http(uint16_t status)
{
    switch (status) {
    case 400: return GRPC_INTERNAL;
    case 401: return GRPC_UNAUTHENTICATED;
    case 403: return GRPC_PERMISSION_DENIED;
    case 404: return GRPC_UNIMPLEMENTED;
    case 413:
    case 414:
    case 431: return GRPC_RESOURCE_EXHAUSTED;
    case 429:
    case 502:
    case 503:
    case 504: return GRPC_UNAVAILABLE;
    default: return GRPC_UNKNOWN;
    }
}

/* A time that was over before the server had anything of the call is not among them: such a call
 * may be made again at once, as UNAVAILABLE says. */
enum grpc_status grpc_status_of_err(enum err e)
{
    switch (e) {
    case ERR_GRPC_DEADLINE:
    case ERR_REQUEST_TIMEOUT:
    case ERR_CLIENT_BODY_TIMEOUT:
    case ERR_CLIENT_BODY_RATE:
    case ERR_ORIGIN_FIRST_BYTE_TIMEOUT:
    case ERR_ORIGIN_READ_TIMEOUT:
    case ERR_ORIGIN_SEND_TIMEOUT: return GRPC_DEADLINE_EXCEEDED;
    case ERR_RATE_LIMITED:
    case ERR_TOO_MANY_AT_ONCE:
    case ERR_ORIGIN_HEAD_TOO_LARGE: return GRPC_RESOURCE_EXHAUSTED;
    default: return grpc_status_of_http(err_row(e)->status);
    }
}

/* ---- grpc-timeout ---- */

static const struct unit {
    char letter;
    int64_t times, per; /* ms = value * times / per */
} UNITS[] = {{'n', 1, 1000000}, {'u', 1, 1000},  {'m', 1, 1},
             {'S', 1000, 1},    {'M', 60000, 1}, {'H', 3600000, 1}};

enum { UNIT_MS = 2, UNIT_COUNT = sizeof(UNITS) / sizeof(*UNITS) };

enum err grpc_timeout_parse(struct slice value, int64_t *ms)
{
    uint64_t v;
    if (value.len < 2 || value.len > DIGITS_MAX + 1)
        return ERR_BAD_NUMBER;
    TRY(num_parse_u64(slice_head(value, value.len - 1), &v));
    for (const struct unit *u = UNITS; u < UNITS + UNIT_COUNT; u++) {
        if (u->letter != value.at[value.len - 1])
            continue;
        *ms = ((int64_t)v * u->times + u->per - 1) / u->per;
        return ERR_OK;
    }
    return ERR_BAD_NUMBER;
}

size_t grpc_timeout_write(char to[GRPC_TIMEOUT_BYTES], int64_t ms)
{
    const struct unit *u = &UNITS[UNIT_MS];
    while (ms / u->times >= DIGITS_END && u < UNITS + UNIT_COUNT - 1)
        u++;
    int64_t v = ms / u->times;
    v = v < 1 ? 1 : v >= DIGITS_END ? DIGITS_END - 1 : v;
    size_t len = num_write_u64(to, (uint64_t)v);
    to[len] = u->letter;
    return len + 1;
}

/* ---- grpc-message ---- */

size_t grpc_message_write(char *to, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = to;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    return (size_t)(at - to);
}
