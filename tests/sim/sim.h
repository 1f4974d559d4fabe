/* sim.h - a whole worker on the simulated network: what the parts of the test share.
 *
 * One seed makes one scenario: a configuration, faults of the network, clients with their requests
 * and origins with their moods. A request is named by its id; what belongs to it (method, sizes,
 * bytes) follows from the id and the seed alone, so each side can check what it gets. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rand.h"
#include "io/sim.h"
#include "net/conn.h"
#include "net/listener.h"
#include <stdint.h>

enum { SIM_REQUESTS_MAX = 64, SIM_CLIENTS_MAX = 12, SIM_ORIGINS_MAX = 3 };

enum sim_method { SIM_GET, SIM_HEAD, SIM_PUT, SIM_POST, SIM_METHODS };

/* How a response to a request came to the client. */
enum sim_end { SIM_OPEN, SIM_WHOLE, SIM_REFUSED /* an error status */, SIM_ABORTED };

struct sim_request {
    enum sim_method method;
    bool chunked_request, chunked_response, close_response;
    uint32_t request_bytes, response_bytes;
    uint32_t times_seen;  /* by origins: head was whole */
    uint32_t times_whole; /* its body too */
    enum sim_end end;
    uint16_t status;
};

struct sim_world {
    uint64_t seed;
    struct rand rand;
    struct sim_net *net;
    struct loop peers; /* clients and origins */
    struct counters_shared peer_counters;
    struct sim_request requests[SIM_REQUESTS_MAX];
    uint32_t request_count;
    struct sim_origin *origins[SIM_ORIGINS_MAX];
    uint32_t origin_count;
    struct sim_client *clients[SIM_CLIENTS_MAX];
    uint32_t client_count;
    bool calm;     /* no faults and no moods: everything must succeed */
    bool stopping; /* origins close what idles */
};

/* Ends the process with the seed in its last line: a broken promise. */
__attribute__((noreturn, format(printf, 2, 3))) void sim_broken(const struct sim_world *w,
                                                                const char *fmt, ...);

bool world_chance(struct sim_world *w, uint32_t per_mille);
char sim_byte(uint32_t id, uint64_t at, bool response); /* what a body must hold */

/* wire.c: enough HTTP/1.1 to judge: reads heads and bodies of one direction. */
enum wire_state { WIRE_HEAD, WIRE_BODY, WIRE_CHUNK_SIZE, WIRE_CHUNK_DATA, WIRE_CHUNK_END,
                  WIRE_TRAILER, WIRE_UNTIL_CLOSE };

struct wire {
    enum wire_state state;
    char head[8192];
    size_t head_len;
    uint64_t left, at; /* of the body or chunk; bytes of body so far */
    bool response, expects_no_body, chunked;
    char line[64];
    size_t line_len;
    void *ctx;
    void (*on_head)(struct wire *w, const char *head);          /* NUL-terminated */
    void (*on_body)(struct wire *w, const char *at, size_t len); /* at wire.at */
    void (*on_end)(struct wire *w);
    const char *broken; /* not NULL: why this is no HTTP */
};

void wire_init(struct wire *w, bool response, void *ctx);
void wire_feed(struct wire *w, const char *at, size_t len); /* calls back; stops when broken */
bool wire_between(const struct wire *w);                     /* no message is half received */
long wire_number(const char *head, const char *name);        /* value of a field, or -1 */
bool wire_has(const char *head, const char *text);           /* case-insensitive */

struct sim_origin *sim_origin_new(struct sim_world *w, uint32_t index);
void sim_origin_close(struct sim_origin *o);
void sim_origin_free(struct sim_origin *o);

struct sim_client *sim_client_new(struct sim_world *w, uint32_t first_id, uint32_t count);
void sim_client_free(struct sim_client *c);

void sim_addr_origin(uint32_t index, struct addr *out); /* 10.0.1.INDEX+1:80 */
void sim_addr_weir(struct addr *out);                   /* 10.0.0.1:80 */
/* Queues a copy of the bytes; broken promise when there is no room. */
void sim_write(struct sim_world *w, struct conn *c, const char *at, size_t len);
/* The body of a request or response from byte `at` on, as much as fits; returns bytes queued. */
size_t sim_write_body(struct sim_world *w, struct conn *c, uint32_t id, uint64_t at, size_t len,
                      bool response, bool chunked);
