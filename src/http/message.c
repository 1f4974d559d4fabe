/* message.c - methods, status codes and the header array of a message.
 *
 * Headers are an array in the order in which they came. Deleting only marks; a bit per known field
 * makes the common question "is there a ..." one test. */
// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"
#include "base/assert.h"

enum { HEADERS_FIRST_CAP = 24 };

void message_init(struct message *m)
{
    memset(m, 0, sizeof *m);
    m->version_major = m->version_minor = 1;
    m->keep_alive = true;
}

struct slice message_proto(const struct message *m)
{
    if (m->version_major == 2)
        return SLICE("HTTP/2.0");
    return m->version_minor == 0 ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1");
}

static const struct slice method_names[METHOD_COUNT] = {
    [METHOD_OTHER] = SLICE_INIT(""),          [METHOD_GET] = SLICE_INIT("GET"),
    [METHOD_HEAD] = SLICE_INIT("HEAD"),       [METHOD_POST] = SLICE_INIT("POST"),
    [METHOD_PUT] = SLICE_INIT("PUT"),         [METHOD_DELETE] = SLICE_INIT("DELETE"),
    [METHOD_PATCH] = SLICE_INIT("PATCH"),     [METHOD_OPTIONS] = SLICE_INIT("OPTIONS"),
    [METHOD_CONNECT] = SLICE_INIT("CONNECT"), [METHOD_TRACE] = SLICE_INIT("TRACE"),
};

enum method method_find(struct slice text)
{
    for (unsigned m = METHOD_GET; m < METHOD_COUNT; m++)
        if (slice_eq(text, method_names[m]))
            return (enum method)m;
    return METHOD_OTHER;
}

bool method_safe(enum method m)
{
    return m == METHOD_GET || m == METHOD_HEAD || m == METHOD_OPTIONS || m == METHOD_TRACE;
}

bool method_idempotent(enum method m)
{
    return method_safe(m) || m == METHOD_PUT || m == METHOD_DELETE;
}

/* Reasons of the IANA registry, by code. */
static const struct status_text {
    uint16_t status;
    struct slice reason;
} reasons[] = {
    {100, SLICE_INIT("Continue")},
    {101, SLICE_INIT("Switching Protocols")},
    {102, SLICE_INIT("Processing")},
    {103, SLICE_INIT("Early Hints")},
    {200, SLICE_INIT("OK")},
    {201, SLICE_INIT("Created")},
    {202, SLICE_INIT("Accepted")},
    {203, SLICE_INIT("Non-Authoritative Information")},
    {204, SLICE_INIT("No Content")},
    {205, SLICE_INIT("Reset Content")},
    {206, SLICE_INIT("Partial Content")},
    {207, SLICE_INIT("Multi-Status")},
    {208, SLICE_INIT("Already Reported")},
    {226, SLICE_INIT("IM Used")},
    {300, SLICE_INIT("Multiple Choices")},
    {301, SLICE_INIT("Moved Permanently")},
    {302, SLICE_INIT("Found")},
    {303, SLICE_INIT("See Other")},
    {304, SLICE_INIT("Not Modified")},
    {305, SLICE_INIT("Use Proxy")},
    {307, SLICE_INIT("Temporary Redirect")},
    {308, SLICE_INIT("Permanent Redirect")},
    {400, SLICE_INIT("Bad Request")},
    {401, SLICE_INIT("Unauthorized")},
    {402, SLICE_INIT("Payment Required")},
    {403, SLICE_INIT("Forbidden")},
    {404, SLICE_INIT("Not Found")},
    {405, SLICE_INIT("Method Not Allowed")},
    {406, SLICE_INIT("Not Acceptable")},
    {407, SLICE_INIT("Proxy Authentication Required")},
    {408, SLICE_INIT("Request Timeout")},
    {409, SLICE_INIT("Conflict")},
    {410, SLICE_INIT("Gone")},
    {411, SLICE_INIT("Length Required")},
    {412, SLICE_INIT("Precondition Failed")},
    {413, SLICE_INIT("Content Too Large")},
    {414, SLICE_INIT("URI Too Long")},
    {415, SLICE_INIT("Unsupported Media Type")},
    {416, SLICE_INIT("Range Not Satisfiable")},
    {417, SLICE_INIT("Expectation Failed")},
    {421, SLICE_INIT("Misdirected Request")},
    {422, SLICE_INIT("Unprocessable Content")},
    {423, SLICE_INIT("Locked")},
    {424, SLICE_INIT("Failed Dependency")},
    {425, SLICE_INIT("Too Early")},
    {426, SLICE_INIT("Upgrade Required")},
    {428, SLICE_INIT("Precondition Required")},
    {429, SLICE_INIT("Too Many Requests")},
    {431, SLICE_INIT("Request Header Fields Too Large")},
    {451, SLICE_INIT("Unavailable For Legal Reasons")},
    {499, SLICE_INIT("Client Closed Request")},
    {500, SLICE_INIT("Internal Server Error")},
    {501, SLICE_INIT("Not Implemented")},
    {502, SLICE_INIT("Bad Gateway")},
    {503, SLICE_INIT("Service Unavailable")},
    {504, SLICE_INIT("Gateway Timeout")},
    {505, SLICE_INIT("HTTP Version Not Supported")},
    {506, SLICE_INIT("Variant Also Negotiates")},
    {507, SLICE_INIT("Insufficient Storage")},
    {508, SLICE_INIT("Loop Detected")},
    {510, SLICE_INIT("Not Extended")},
    {511, SLICE_INIT("Network Authentication Required")},
};

struct slice status_reason(uint16_t status)
{
    if (status == 200)
        return SLICE("OK");
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return SLICE("");
}

bool status_has_body(uint16_t status)
{
    return status >= 200 && status != 204 && status != 304;
}

static inline uint64_t id_bit(unsigned id)
{
    return (uint64_t)1 << id;
}

static bool header_is(const struct header *h, enum field_id id, struct slice name)
{
    if (h->dead || h->id != id)
        return false;
    return id != FIELD_OTHER || slice_eq_nocase(h->name, name);
}

static struct header *find_from(const struct headers *h, uint32_t from, enum field_id id,
                                struct slice name)
{
    for (uint32_t i = from; i < h->count; i++)
        if (header_is(&h->at[i], id, name))
            return &h->at[i];
    return NULL;
}

struct header *headers_find(const struct headers *h, enum field_id id)
{
    if (!(h->known & id_bit(id)) || id == FIELD_OTHER)
        return NULL;
    return find_from(h, 0, id, SLICE_NONE);
}

struct header *headers_find_name(const struct headers *h, struct slice name)
{
    enum field_id id = field_find(name);
    return h->known & id_bit(id) ? find_from(h, 0, id, name) : NULL;
}

struct header *headers_next(const struct headers *h, const struct header *after)
{
    uint32_t from = (uint32_t)(after - h->at) + 1;
    return find_from(h, from, (enum field_id)after->id, after->name);
}

struct slice headers_get(const struct headers *h, enum field_id id)
{
    const struct header *found = headers_find(h, id);
    return found ? found->value : SLICE_NONE;
}

enum err headers_reserve(struct headers *h, struct arena *a, uint32_t more)
{
    uint32_t cap = h->cap ? h->cap : HEADERS_FIRST_CAP;
    if (h->cap - h->count >= more)
        return ERR_OK;
    while (cap - h->count < more)
        cap *= 2;
    struct header *at =
        arena_grow(a, h->at, h->cap * sizeof(struct header), cap * sizeof(struct header));
    if (!at)
        return ERR_OVER_BUDGET;
    h->at = at;
    h->cap = cap;
    return ERR_OK;
}

enum err headers_append(struct headers *h, struct arena *a, enum field_id id, struct slice name,
                        struct slice value)
{
    TRY(headers_reserve(h, a, 1));
    headers_push(h, id, name, value);
    return ERR_OK;
}

enum err headers_add(struct headers *h, struct arena *a, struct slice name, struct slice value)
{
    if (!field_is_token(name) || !field_value_valid(value))
        return ERR_BAD_HEADER;
    return headers_append(h, a, field_find(name), name, value);
}

enum err headers_add_id(struct headers *h, struct arena *a, enum field_id id, struct slice value)
{
    ASSERT(id != FIELD_OTHER);
    if (!field_value_valid(value))
        return ERR_BAD_HEADER;
    return headers_append(h, a, id, field_row(id)->usual, value);
}

enum err headers_set(struct headers *h, struct arena *a, struct slice name, struct slice value)
{
    struct header *first = headers_find_name(h, name);
    if (!first)
        return headers_add(h, a, name, value);
    if (!field_value_valid(value))
        return ERR_BAD_HEADER;
    for (struct header *more; (more = headers_next(h, first)) != NULL;)
        more->dead = true;
    first->value = value;
    return ERR_OK;
}

static void kill_each(struct headers *h, enum field_id id, struct slice name)
{
    if (!(h->known & id_bit(id)))
        return;
    for (uint32_t i = 0; i < h->count; i++)
        if (header_is(&h->at[i], id, name))
            h->at[i].dead = true;
    if (id != FIELD_OTHER)
        h->known &= ~id_bit(id);
}

void headers_del(struct headers *h, struct slice name)
{
    kill_each(h, field_find(name), name);
}

void headers_del_id(struct headers *h, enum field_id id)
{
    ASSERT(id != FIELD_OTHER);
    kill_each(h, id, SLICE_NONE);
}

static size_t joined_len(const struct headers *h, enum field_id id, unsigned *lines)
{
    size_t len = 0;
    *lines = 0;
    HEADER_EACH (it, h)
        if (it->id == id) {
            len += it->value.len + (*lines ? 2 : 0);
            ++*lines;
        }
    return len;
}

static char *put(char *to, struct slice s)
{
    if (s.len)
        memcpy(to, s.at, s.len);
    return to + s.len;
}

struct slice headers_join(const struct headers *h, struct arena *a, enum field_id id)
{
    unsigned lines;
    if (!headers_may_have(h, id))
        return SLICE_NONE;
    size_t len = joined_len(h, id, &lines);
    if (lines <= 1)
        return headers_get(h, id);
    char *text = arena_alloc(a, len), *to = text;
    if (!text)
        return SLICE_NONE;
    HEADER_EACH (it, h)
        if (it->id == id) {
            to = put(to, it->value);
            if (--lines)
                to = put(to, SLICE(", "));
        }
    return (struct slice){text, len};
}

enum err headers_copy(struct headers *to, struct arena *a, const struct headers *from)
{
    struct headers copy = {0};
    HEADER_EACH (it, from) {
        struct slice name = arena_dup(a, it->name), value = arena_dup(a, it->value);
        if (!name.at || !value.at)
            return ERR_OVER_BUDGET;
        TRY(headers_append(&copy, a, (enum field_id)it->id, name, value));
        copy.at[copy.count - 1].hop = it->hop;
    }
    copy.hops_named = from->hops_named;
    *to = copy;
    return ERR_OK;
}
