/* settings.h - the scalar policies of a route, and how nearer blocks override them.
 *
 * Every field is eight bytes and SETTING_UNSET until a directive sets it; inheritance (top, site,
 * route) and `when` blocks are one loop over the words: what is set in the nearer one wins. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTING_UNSET INT64_MIN

struct access_log;
struct deadline_conf;
struct mirror_conf;
struct target;

struct settings {
    /* timeouts, ms; CONF_OFF: none */
    int64_t client_header_ms; /* first byte to whole head */
    int64_t client_body_ms;   /* between two pieces of the request body */
    int64_t client_send_ms;   /* between two takes of the response */
    int64_t keepalive_ms;     /* idle client connection */
    int64_t client_age_ms;    /* of a client connection, at its last request */
    int64_t connect_ms;
    int64_t first_byte_ms; /* request sent to response head */
    int64_t read_ms;       /* between two pieces of the response */
    int64_t send_ms;       /* between two takes of the request by the server */
    int64_t request_ms;    /* the whole request */
    int64_t tunnel_ms;     /* idle tunnel, both ways */
    int64_t half_close_ms; /* client ended its side to response head */
    /* bodies */
    int64_t body_max_bytes;   /* CONF_OFF: no limit */
    int64_t body_rate;        /* minimum bytes/s of a request body after a grace of 10 s */
    int64_t client_take_rate; /* minimum bytes/s at which a client takes what waits for it */
    int64_t body_queue_bytes; /* of each struct body: what a slow peer may cost */
    int64_t buffer_request; /* 1 (else CONF_OFF): whole request body before the server is chosen */
    int64_t buffer_memory_bytes; /* then spills to a temporary file */
    /* retries; unset: the upstream's */
    int64_t retry_tries;
    int64_t retry_statuses; /* bits: enum retry_status */
    int64_t merge_slashes;  /* enum merge_slashes, or CONF_OFF */
    int64_t priority;       /* 0..PRIORITY_MAX: of requests that wait for a server */
    /* pointers; the field is never NULL when set */
    const struct access_log *log; /* &access_log_off: none */
    const struct target *target;
    const struct mirror_conf *mirror;     /* NULL: none */
    const struct deadline_conf *deadline; /* &deadline_off, NULL: none */
};

enum merge_slashes { MERGE_EVERYWHERE = 1, MERGE_IN_ROUTES };
enum retry_status { RETRY_ON_502 = 1, RETRY_ON_503 = 2, RETRY_ON_504 = 4 };

void settings_unset(struct settings *s);
/* Where `nearer` sets a field it wins. */
void settings_merge(struct settings *s, const struct settings *nearer);
bool settings_is_set(int64_t v);
bool settings_pointer_is_set(const void *p);
bool settings_empty(const struct settings *s); /* nothing is set */

/* Neighbouring fields, by the offsets of the first and the last: what one directive sets. */
struct settings_span {
    size_t first, last;
};
void settings_copy_span(struct settings *to, const struct settings *from,
                        struct settings_span span);
