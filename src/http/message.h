/* message.h - a request or a response head, whatever protocol carried it.
 *
 * Owner: the exchange; every slice lives in its arena or in buffers that it holds. Engines (h1, h2)
 * fill it in when they receive and serialise it when they send; framing (Content-Length,
 * Transfer-Encoding, Connection) is theirs: it is in `length`, never in the headers of a message
 * that is on its way out. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "http/field.h"

enum method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_PATCH,
    METHOD_OPTIONS,
    METHOD_CONNECT,
    METHOD_TRACE,
    METHOD_COUNT
};

struct header {
    struct slice name, value; /* name as it came; value trimmed */
    uint16_t id;              /* enum field_id */
    bool hop;                 /* hop-by-hop: by its row or named by Connection */
    bool dead;                /* deleted: skipped by every reader */
};

struct headers {
    struct header *at;
    uint32_t count, cap; /* count includes dead ones */
    uint64_t known;      /* bit (id) set when a header with that id may be there (id < 64) */
    bool hops_named;     /* Connection named some that are not hop-by-hop by themselves */
};

enum length_kind {
    LENGTH_NONE,    /* no body at all */
    LENGTH_KNOWN,   /* content_length bytes */
    LENGTH_UNKNOWN, /* until the end mark: chunked, or until close */
};

struct cgi_params; /* http/cgi.h */

struct message {
    /* request */
    struct slice method_text, target; /* as they came; target in origin-form once start has run */
    struct slice scheme, authority;   /* authority: Host or the target's, in lower case, checked */
    const struct cgi_params *cgi;     /* for a server that speaks CGI; NULL: none */
    /* response */
    struct slice reason;
    uint16_t status;
    /* both */
    uint8_t method;        /* enum method */
    uint8_t version_major; /* as received: 1 or 2; for logs and Via */
    uint8_t version_minor; /* HTTP/1.x as received; 1 for h2 and local ones */
    uint8_t length;        /* enum length_kind */
    bool keep_alive;       /* the sender lets the connection persist */
    bool expect_continue;
    bool upgrade;            /* request: asks for upgrade_to; response: 101 */
    struct slice upgrade_to; /* value of Upgrade */
    uint64_t content_length;
    struct headers headers;
};

void message_init(struct message *m);
struct slice message_proto(const struct message *m); /* "HTTP/1.1" */
enum method method_find(struct slice text);
bool method_idempotent(enum method m); /* RFC 9110 9.2.2 */
bool method_safe(enum method m);
struct slice status_reason(uint16_t status); /* "Not Found"; empty when unknown */
bool status_has_body(uint16_t status);       /* not 1xx, 204, 304 */

/* False: certainly not there. */
static inline bool headers_may_have(const struct headers *h, enum field_id id)
{
    return h->known >> id & 1;
}

/* Borrow or NULL; the first that is not dead. By id costs one bit test when it is absent. */
struct header *headers_find(const struct headers *h, enum field_id id);
struct header *headers_find_name(const struct headers *h, struct slice name);
/* The next one with the same id or name after `after`. */
struct header *headers_next(const struct headers *h, const struct header *after);
/* Value of the first, or a slice with .at NULL. */
struct slice headers_get(const struct headers *h, enum field_id id);

/* Adds at the end; slices are borrowed. ERR_OVER_BUDGET; ERR_BAD_HEADER when the name is no token
 * or the value has a CR, LF or another control: nothing that was put together can split a head. */
enum err headers_add(struct headers *h, struct arena *a, struct slice name,
                     struct slice value) MUST_CHECK;
/* Room for `more` headers without another allocation. ERR_OVER_BUDGET. */
enum err headers_reserve(struct headers *h, struct arena *a, uint32_t more) MUST_CHECK;
/* As headers_add() for a name that was looked up, a value that was checked, and room that was
 * reserved. */
static inline void headers_push(struct headers *h, enum field_id id, struct slice name,
                                struct slice value)
{
    h->at[h->count++] =
        (struct header){.name = name, .value = value, .id = (uint16_t)id, .hop = field_is_hop(id)};
    h->known |= (uint64_t)1 << id;
}
/* The same without room. */
enum err headers_append(struct headers *h, struct arena *a, enum field_id id, struct slice name,
                        struct slice value) MUST_CHECK;
enum err headers_add_id(struct headers *h, struct arena *a, enum field_id id,
                        struct slice value) MUST_CHECK;
/* Replaces every header of that name by one. Errors as headers_add(). */
enum err headers_set(struct headers *h, struct arena *a, struct slice name,
                     struct slice value) MUST_CHECK;
void headers_del(struct headers *h, struct slice name);
void headers_del_id(struct headers *h, enum field_id id);
/* All lines of a field joined by ", " (RFC 9110 5.3); .at NULL when absent or out of budget. */
struct slice headers_join(const struct headers *h, struct arena *a, enum field_id id);
/* Deep copy into another arena (retries, caches). */
enum err headers_copy(struct headers *to, struct arena *a, const struct headers *from) MUST_CHECK;

#define HEADER_EACH(it, h)                                                           \
    for (struct header *it = (h)->at; it != NULL && it < (h)->at + (h)->count; it++) \
        if (!it->dead)
