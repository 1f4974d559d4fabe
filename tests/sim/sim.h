/* sim.h - a whole worker on the simulated network: what the parts of the test share.
 *
 * One seed makes one world: the weather of the network, a configuration (and the ones that replace
 * it), clients with their requests, origins. Each request has a plan: how its client behaves (way),
 * how the origin does (mood), and by which route it goes (place). What must come of it follows from
 * the plan (verdict.c), and every byte from its id (sim_byte()), so each side can judge alone what
 * it gets. In fine weather verdicts are exact; in a storm only the promises hold that always must.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rand.h"
#include "io/sim.h"
#include "net/conn.h"
#include "net/listener.h"
#include <stdint.h>

struct conf;
struct text;

enum {
    SIM_REQUESTS_MAX = 64,
    SIM_CLIENTS_MAX = 12,
    SIM_ORIGINS_MAX = 4,
    SIM_ENTRANCES = 2, /* listeners of weir: 10.0.0.1:80 and :81 */
    SIM_CONFS_MAX = 4,
    SIM_HOUR_MS = 3600 * 1000,
};

/* CALM: segments arrive as they were sent. ROUGH: split, late by milliseconds, short writes,
 * spent buffers; nothing that may change an outcome. STORM: also resets, refused connects, delays
 * of seconds. */
enum sim_weather { SIM_CALM, SIM_ROUGH, SIM_STORM };

/* How clients speak to weir. */
enum sim_tls_version { SIM_TLS_NONE, SIM_TLS_1_2, SIM_TLS_1_3 };

enum sim_method { SIM_GET, SIM_HEAD, SIM_PUT, SIM_POST, SIM_METHODS };

/* Routes of the configuration, see config.c. */
enum sim_place {
    PLACE_MAIN,     /* several servers, retries */
    PLACE_ONCE,     /* the same without retries */
    PLACE_BUFFERED, /* buffer on */
    PLACE_NARROW,   /* max_conns and a queue */
    PLACE_HOLE,     /* a server that never answers a connect */
    PLACE_BACKUP,   /* a server that refuses, and a backup */
    PLACE_SMALL,    /* body max=SIM_SMALL_BYTES */
    PLACE_LOCAL,    /* respond */
    PLACE_TOTAL,    /* timeout request= */
    PLACES
};

enum sim_way {
    WAY_PLAIN,
    WAY_EXPECT,       /* Expect: 100-continue; sends the body after the 100 */
    WAY_CLOSE,        /* Connection: close, and more requests behind it */
    WAY_OLD,          /* HTTP/1.0 */
    WAY_OLD_KEEP,     /* HTTP/1.0, keep-alive */
    WAY_HALF_CLOSE,   /* ends its side after the request */
    WAY_FULL_HEAD,    /* a head just below the limit */
    WAY_BAD,          /* not HTTP, see bad.c */
    WAY_BAD_CHUNK,    /* a body that breaks in the middle */
    WAY_WRONG_HOST,   /* no site has it */
    WAY_SLOW_HEAD,    /* stops in the middle of its head */
    WAY_STALLED_BODY, /* stops in the middle of its body */
    WAY_DRIP,         /* a body below the minimum rate */
    WAY_DEAF,         /* does not read a large answer */
    WAY_IDLE,         /* stays silent after its answer until weir closes */
    WAY_UPGRADE,      /* wants a tunnel */
    WAY_CANCEL,       /* HTTP/2: takes it back after a while */
    WAYS
};

enum sim_mood {
    MOOD_FINE,
    MOOD_INTERIM,   /* 103s before the answer */
    MOOD_SLOW,      /* answers late, but in time */
    MOOD_EXTRA,     /* sends a second answer that nobody asked for */
    MOOD_EARLY,     /* answers before it has read the body, which it then reads */
    MOOD_EARLY_413, /* refuses the body while it comes, and drops the rest of it */
    MOOD_SILENT,    /* never answers */
    MOOD_BREAK,     /* closes instead of an answer */
    MOOD_RESET,     /* the same by a reset */
    MOOD_BREAK_MID, /* closes in the middle of its answer */
    MOOD_RESET_MID,
    MOOD_STALL_MID, /* stops there, and stays */
    MOOD_NONSENSE,  /* no HTTP */
    MOOD_HUGE_HEAD,
    MOOD_CHATTY,  /* interim answers without end */
    MOOD_STATUS,  /* 502, 503 or 504 */
    MOOD_BAD_101, /* switches protocols unasked */
    MOOD_DEAF,    /* does not read a large request */
    MOOD_REFUSE,  /* HTTP/2: REFUSED_STREAM, having done nothing */
    MOOD_GOAWAY,  /* HTTP/2: goes away and disowns it */
    MOODS
};

enum { SIM_SMALL_BYTES = 5000, MOOD_FOR_EVER = 99 };

/* What came of a request, as its client sees it. */
enum sim_outcome { END_OPEN, END_WHOLE, END_ABORTED, END_UNSENT };

struct sim_request {
    /* the plan */
    enum sim_method method;
    enum sim_place place;
    enum sim_way way;
    enum sim_mood mood;
    uint32_t mood_tries; /* attempts with that mood; then fine */
    uint16_t fine_status, mood_status;
    uint32_t variant; /* of the way or mood, a random number */
    bool chunked_request, chunked_response, close_response, trailers, sends_100;
    bool h2;        /* its client speaks HTTP/2 */
    bool websocket; /* what it wants a tunnel for: HTTP/2 knows no other */
    uint32_t request_bytes, response_bytes;
    uint32_t up_bytes, down_bytes; /* through a tunnel */
    /* what origins saw */
    uint32_t seen, seen_whole;
    uint32_t disowned;         /* times that a server said that it did nothing of it */
    uint32_t hit;              /* times that somebody else ended the connection that it shared */
    uint64_t body_seen;        /* bytes of body that any origin got */
    uint32_t gen;              /* of the configuration, as the last origin was told */
    int64_t seen_ms, asked_ms; /* when the last one had its head, and all of it */
    int64_t answered_ms;       /* and gave away the last byte of its answer; 0: did not */
    int64_t moved_ms;          /* when an end of the tunnel last heard something */
    bool up_done;              /* the tunnel's bytes are all there, and its end */
    /* what the client saw */
    enum sim_outcome end;
    uint16_t status;
    bool by_origin; /* the answer has the origin's mark */
    bool down_done;
    uint32_t min_gen; /* of the configuration in force when it was sent */
    uint32_t entrance;
    bool loose; /* sent behind one that was answered early: weir may end the connection first */
    bool talked_over; /* it closes, or stands before one that does, and more was sent behind */
    bool alone;       /* nothing else was under way on its connection */
    bool slow;        /* its client reads slowly */
    bool held;        /* the connection took nothing more of its body, whatever its stream did */
    bool dropped;     /* its client ended the connection on which it was under way */
    int64_t began_ms, sent_ms, ended_ms;
};

struct sim_times { /* timeouts of the configuration, ms */
    uint32_t client_header, client_body, client_send, keepalive, connect, first_byte, read, send,
        request, tunnel, half_close, queue;
};

/* What differs between the configurations of a world. */
struct sim_conf {
    uint32_t servers; /* of place MAIN: bit per origin */
    bool second_entrance;
    uint32_t balance, keepalive;
};

struct sim_world {
    uint64_t seed;
    struct rand rand;
    enum sim_weather weather;
    bool tight;        /* few buffers: refusals may change outcomes */
    bool stale;        /* origins close idle connections whenever they like */
    bool patient;      /* the narrow place's queue is as long as it takes */
    bool crowded;      /* most requests go to the narrow place, at once */
    bool queue_at_top; /* the size of queues is set for all sites, not in the site */
    bool budget;       /* retries have a budget */
    enum sim_tls_version tls;
    bool h2_origins;
    uint32_t h2_clients_per_mille;
    uint32_t origin_streams; /* of a connection, as the configuration has it */
    int64_t drain_at_ms;     /* 0: only at the end */
    uint32_t window_bytes;
    struct sim_times times;
    uint32_t body_queue_bytes, narrow_conns, narrow_servers, narrow_queue;
    struct sim_net *net;
    struct loop peers; /* clients and origins */
    struct counters_shared peer_counters;
    struct sim_tls *peer_tls; /* NULL: clients speak plain HTTP */
    struct sim_request requests[SIM_REQUESTS_MAX];
    uint32_t request_count;
    struct sim_origin *origins[SIM_ORIGINS_MAX];
    uint32_t origin_count;
    struct sim_client *clients[SIM_CLIENTS_MAX]; /* each is one of the two */
    struct sim_h2_client *h2_clients[SIM_CLIENTS_MAX];
    uint32_t client_count, client_requests[SIM_CLIENTS_MAX];
    struct sim_weir *weir;
    struct sim_conf confs[SIM_CONFS_MAX]; /* by generation - 1 */
    uint32_t conf_count;
    bool cached;                       /* the site has a cache */
    uint32_t servers_min, servers_max; /* of place MAIN, over all configurations */
    bool draining, stopping;
    int64_t killed_ms; /* an h2 origin ended a connection with requests on it */
};

/* --- world.c ---------------------------------------------------------------------------------- */

uint64_t sim_seed_run(uint64_t seed); /* the hash of the run */
/* Verdicts are exact: nothing that the network does may change an outcome. */
bool sim_exact(const struct sim_world *w);
bool world_chance(struct sim_world *w, uint32_t per_mille);
/* Its client begins with it now. */
void world_begins(struct sim_world *w, struct sim_request *r, uint32_t entrance);
/* A broken promise: ends the process; the last line tells how to replay it. */
__attribute__((noreturn, format(printf, 2, 3))) void sim_broken(const struct sim_world *w,
                                                                const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void sim_say(const struct sim_world *w, const char *fmt, ...);

/* --- plan.c, verdict.c, config.c, coverage.c -------------------------------------------------- */

void plan_make(struct sim_world *w, uint32_t id, bool h2);
/* Ends the run unless what came of each request is what its plan allows. */
void verdict_all(struct sim_world *w);
bool verdict_may_abort(const struct sim_world *w, const struct sim_request *r);
bool plan_has_request_body(const struct sim_request *r);
bool plan_has_response_body(const struct sim_request *r);
const char *plan_path(enum sim_place p); /* "/once/" */
const char *way_name(enum sim_way way);
const char *mood_name(enum sim_mood mood);

void config_choose(struct sim_world *w); /* the configurations of the world */
void config_text(const struct sim_world *w, uint32_t generation, struct text *out);

/* Counts what happened over all seeds, so that a promise that is never tested gets noticed. */
void coverage_init(void);
void coverage_add(const struct sim_world *w, const struct counters_shared *c);
void coverage_print(void);
bool coverage_complete(void); /* false: says what never happened */

/* --- weir.c: the worker under test ------------------------------------------------------------ */

struct sim_weir *weir_new(struct sim_world *w, size_t buffer_cap_bytes);
void weir_install_later(struct sim_world *w, int64_t at_ms); /* another configuration */
void weir_drain_later(struct sim_world *w, int64_t at_ms);
/* Generation of the newest configuration installed that has this listener. */
uint32_t weir_gen(const struct sim_world *w, uint32_t entrance);
/* Looks whether every limit holds right now. */
void weir_watch(struct sim_world *w);
/* When the clients are done: nothing may be left of them. */
void weir_check_rest(struct sim_world *w);
void weir_close(struct sim_world *w); /* begins to end; run the net, then weir_free() */
void weir_free(struct sim_world *w);

/* --- tls.c: TLS between clients and weir ------------------------------------------------------ */

struct conf_source;
const struct conf_source *sim_tls_source(void); /* has a certificate for whoever needs one */
void sim_tls_init(struct sim_world *w);
/* Its on_open() comes again. `alpn`: "h2", or NULL. */
void sim_tls_connect(struct sim_world *w, struct conn *c, const char *alpn);
void sim_tls_stop(struct sim_world *w); /* before the peers' loop ends */
void sim_tls_free(struct sim_world *w); /* after it */

/* --- bytes ------------------------------------------------------------------------------------ */

enum sim_bytes { BYTES_REQUEST, BYTES_RESPONSE, BYTES_UP, BYTES_DOWN };

char sim_byte(uint32_t id, uint64_t at, enum sim_bytes kind); /* what must stand there */
/* Where the first wrong byte stands, or len. */
size_t sim_bytes_check(uint32_t id, uint64_t at, enum sim_bytes kind, const char *bytes,
                       size_t len);
/* Queues a copy of the bytes; a broken promise when there is no room. */
void sim_write(struct sim_world *w, struct conn *c, const char *at, size_t len);
__attribute__((format(printf, 3, 4))) void sim_writef(struct sim_world *w, struct conn *c,
                                                      const char *fmt, ...);
/* From byte `at` on as much as fits, at most `len`; bytes queued, 0 when there is no room. */
size_t sim_write_bytes(struct sim_world *w, struct conn *c, uint32_t id, uint64_t at, size_t len,
                       enum sim_bytes kind, bool chunked);

/* --- wire.c: enough HTTP/1.1 to judge ----------------------------------------------------------
 */

enum wire_state {
    WIRE_HEAD,
    WIRE_BODY,
    WIRE_CHUNK_SIZE,
    WIRE_CHUNK_DATA,
    WIRE_CHUNK_END,
    WIRE_TRAILER,
    WIRE_UNTIL_CLOSE,
    WIRE_RAW, /* set by its user: everything goes to on_raw */
};

struct wire {
    enum wire_state state;
    char head[80 * 1024];
    size_t head_len;
    uint64_t left, at; /* of the body or chunk; bytes of body so far */
    bool response, expects_no_body, chunked;
    char line[128];
    size_t line_len;
    void *ctx;
    void (*on_head)(struct wire *w, const char *head);           /* NUL-terminated */
    void (*on_body)(struct wire *w, const char *at, size_t len); /* at wire.at */
    void (*on_trailer)(struct wire *w, const char *line);
    void (*on_end)(struct wire *w);
    void (*on_raw)(struct wire *w, const char *at, size_t len);
    const char *broken; /* not NULL: why this is no HTTP */
};

void wire_init(struct wire *w, bool response, void *ctx);
void wire_feed(struct wire *w, const char *at, size_t len); /* calls back; stops when broken */
void wire_eof(struct wire *w);                              /* may end a message */
bool wire_between(const struct wire *w);                    /* no message is half received */
long wire_number(const char *head, const char *name);       /* value of a field, or -1 */
bool wire_has(const char *head, const char *text);          /* case-insensitive */

/* --- judge.c: what must hold of requests and answers; heads as HTTP/1.1 has them ----------------
 */

uint32_t judge_request_id(const struct sim_world *w, const char *head);
void judge_request_head(struct sim_world *w, uint32_t id, uint32_t origin, const char *head);
void judge_request_body(struct sim_world *w, uint32_t id, uint64_t from, const char *at,
                        size_t len);
void judge_request_trailer(const struct sim_world *w, uint32_t id, const char *line);
void judge_request_whole(struct sim_world *w, uint32_t id, uint64_t bytes, bool trailer_seen);
void judge_answer_head(struct sim_world *w, uint32_t id, const char *head); /* a final one */
void judge_answer_body(const struct sim_world *w, uint32_t id, uint64_t from, const char *at,
                       size_t len);
void judge_answer_trailer(const struct sim_world *w, uint32_t id, const char *line);
void judge_answer_whole(const struct sim_world *w, uint32_t id, uint64_t bytes, bool trailer_due,
                        bool trailer_seen);

/* --- tunnel.c: raw bytes both ways after a 101 ------------------------------------------------ */

struct sim_tunnel {
    struct sim_world *world;
    struct conn *conn; /* or something else that its user keeps, with other functions */
    void *user;
    size_t (*write)(struct sim_tunnel *t, uint64_t at, size_t len); /* 0: the user pumps later */
    void (*end)(struct sim_tunnel *t);
    uint32_t id;
    enum sim_bytes sends;
    uint64_t sent, got;
    bool polite; /* ends its side only after the other did */
    bool quiet;  /* never ends its side */
    bool shut, eof;
};

void tunnel_init(struct sim_tunnel *t, struct sim_world *w, struct conn *c, uint32_t id,
                 enum sim_bytes sends);
void tunnel_pump(struct sim_tunnel *t); /* also on room */
void tunnel_data(struct sim_tunnel *t, const char *at, size_t len);
/* True: both directions are at their ends; the caller closes the connection. */
bool tunnel_eof(struct sim_tunnel *t);
bool tunnel_over(const struct sim_tunnel *t);

/* --- origins and clients ---------------------------------------------------------------------- */

struct sim_origin *sim_origin_new(struct sim_world *w, uint32_t index);
void sim_origin_close(struct sim_origin *o);
void sim_origin_free(struct sim_origin *o);

struct sim_client *sim_client_new(struct sim_world *w, uint32_t first_id, uint32_t count);
void sim_client_free(struct sim_client *c);

struct sim_h2_client *sim_h2_client_new(struct sim_world *w, uint32_t first_id, uint32_t count);
void sim_h2_client_free(struct sim_h2_client *c);

/* bad.c: requests that must be refused. */
struct bad_request {
    uint16_t status;
    const char *text; /* %u: an id */
};
const struct bad_request *bad_request(uint32_t variant);
size_t bad_request_write(const struct bad_request *b, uint32_t id, char *to, size_t cap);
uint16_t h2_bad_status(uint32_t variant); /* h2_client_send.c */

void sim_addr_origin(uint32_t index, struct addr *out);  /* 10.0.1.INDEX+1:80 */
void sim_addr_hole(struct addr *out);                    /* 10.0.2.1:80 */
void sim_addr_weir(uint32_t entrance, struct addr *out); /* 10.0.0.1:80+ENTRANCE */
bool sim_tracing(void);
