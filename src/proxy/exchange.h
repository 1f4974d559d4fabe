/* exchange.h - one request and its response, whatever protocol carried them.
 *
 * Owner: the worker; freed by the reaper after the step "finish". Only exchange_run() moves it;
 * everybody else records what happened and wakes its task. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "http/message.h"
#include "http/stream.h"
#include "http/uri.h"
#include "io/loop.h"
#include "proxy/route.h"
#include "proxy/sticky.h"
#include "proxy/worker.h"
#include "upstream/lease.h"

struct coded_shelf;
struct fastcgi_use;
struct file_body;
struct mirror;
struct outbound;
struct hedge;
struct identity;
struct split;
struct spool;
struct target;
struct transform;

enum exchange_step {
    STEP_START,
    STEP_ROUTE,
    STEP_REQUEST_FILTERS,
    STEP_BUFFER,
    STEP_PICK,
    STEP_FORWARD,
    STEP_AWAIT,
    STEP_RESPONSE_FILTERS,
    STEP_RELAY,
    STEP_FINISH,
    STEP_DONE
};

/* What limits did to it; the worse ones come last. */
enum limit_status {
    LIMIT_NONE, /* there is none */
    LIMIT_PASSED,
    LIMIT_WOULD_DELAY, /* dry run */
    LIMIT_WOULD_REFUSE,
    LIMIT_DELAYED,
    LIMIT_REFUSED,
};

/* What a challenge did to it. */
enum challenge_status {
    CHALLENGE_NONE,    /* there is none */
    CHALLENGE_OFF,     /* the upstream is not under pressure */
    CHALLENGE_CRAWLER, /* a crawler, which was verified */
    CHALLENGE_PASSED,  /* its client has solved one before */
    CHALLENGE_SOLVED,  /* its client just did */
    CHALLENGE_SHOWN,   /* it got the page of one */
    CHALLENGE_REFUSED, /* it loads no page */
};

/* Moments of an exchange, loop time in us since it began; 0: did not happen. */
struct exchange_times {
    int64_t began_us; /* absolute: first byte of the head */
    int64_t head_us, picked_us, connected_us, first_byte_us, response_us, done_us;
};

/* In which a rate is measured; at_ms 0: not now. */
struct rate_window {
    int64_t at_ms;
    uint64_t seen;
};

struct exchange {
    struct task task;
    struct worker *worker;
    struct stream *client, *origin; /* NULL: none (any more) */
    uint8_t step;                   /* enum exchange_step */
    uint8_t tries;                  /* servers tried */
    uint8_t interim_count;          /* 1xx that the server sent */
    uint8_t limit_status;           /* enum limit_status */
    uint8_t challenge_status;       /* enum challenge_status */
    uint8_t challenge_bits;         /* the difficulty of the challenge that its client has solved */
    uint32_t challenge_at_s;        /* when that was given, Unix time */
    bool dry;                       /* `test` and `explain`: nothing is sent, no server is chosen */
    bool local;                     /* the response was made here */
    bool replied;                   /* the final head went to the client */
    bool tunnel;                    /* after 101: raw bytes both ways */
    bool timed_out;                 /* step_timer fired with deadline_err */
    bool over_time;                 /* total_timer fired */
    bool hedged;                    /* a second server was asked */
    bool deadline_asked;            /* answer_by_ms is the client's own */
    bool client_left;   /* the client ended its side; total_timer ends the wait for a response */
    bool continue_sent; /* a 100 went to the client */
    bool failing;       /* the response is the error page of x->err */
    bool res_seen;      /* a filter may look at the bytes of the response */
    bool origin_failed; /* the error was the server's: it counts against it */
    bool background;    /* nobody asked for it: it has no client and no line in the log */
    uint32_t at;        /* position in the filter chain of the current step */
    enum err err;       /* why it failed; row gives status, log word and metric */
    uint8_t err_step;   /* where */
    struct slice why;   /* what its row cannot tell; empty: nothing */
    enum err deadline_err;
    int64_t answer_by_ms; /* loop time at which nobody wants the answer any more; 0: none */
    const struct listen_conf *listen;
    const struct site *site;
    const struct route *route;
    const struct settings *settings; /* the route's, or a copy with `when` settings in the arena */
    struct conf_view *view;          /* held */
    uint64_t whens;                  /* bit per `when` block of the route that holds */
    char *filter_states;
    enum site_match site_match;

    struct uri uri;
    struct slice raw_target;   /* path and query as the client sent them */
    struct slice host;         /* checked, lower case, no port */
    uint16_t host_port;        /* as the client gave it; 0: none */
    struct slice path;         /* normalised: what routes, conditions and $path see */
    struct slice spelled_path; /* the same with empty segments; for origins, see origin_path() */
    struct slice forward_path; /* what strip and rewrite made of path */
    struct slice forward_query;
    bool forward_has_query;
    struct slice peer_ip;        /* of the connection, as text */
    bool client_trusted;         /* the peer is in `trust` */
    const struct geo_facts *geo; /* of client_addr; NULL: nobody asked (client_geo()) */
    struct slice client_scheme;  /* "http", "https": the believed one */
    struct slice forwarded_host; /* believed X-Forwarded-Host; empty: none */
    uint16_t forwarded_port;

    const struct identity *identity; /* who asks; NULL: not known (yet) */
    const struct target *target;     /* of a split: the part; NULL until one was chosen */
    const struct fastcgi_use
        *fastcgi;              /* what a FastCGI server is asked for; NULL: not yet, or none */
    const struct split *split; /* its cookie has to be given; NULL: it has not */
    uint32_t split_part;
    bool split_stale; /* the client's cookie of the split should be given anew */
    struct sticky_use sticky;
    struct stream *left; /* the client, which is gone while its request goes on (headless.h) */
    bool (*wanted)(void *ctx); /* does anybody else wait for it? NULL: nobody */
    void *wanted_ctx;
    struct coded_shelf *coded; /* of the answer that is about to go out (coded.h); NULL: none */
    const char *crawler;       /* its name, when it was verified; NULL: none */
    const char *cache_word;    /* what the cache did for it, for the log; NULL: nothing */
    const char *cors_word;     /* what `cors` said of it, for the log; NULL: nothing */
    const char *csrf_word;     /* what `csrf` said of it */
    const char *auth_word;     /* what was wrong with credentials, for the log; NULL: nothing */
    struct mirror *mirror;     /* while it gathers this request */
    bool mirror_decided;
    struct lease lease;
    struct outbound *outbound; /* in place of the lease, with `relay`; NULL: not, or not yet */
    struct hedge *hedge;       /* a second server is, or may be asked; NULL: none */
    struct slice server_name;  /* of the last server tried, for the log */
    struct slice upstream_name;
    struct transform *req_transform, *res_transform; /* the last ones; NULL: untouched */
    struct spool *spool;                             /* whole request body, when buffered */
    struct file_body *file;  /* a static file that is being sent; NULL: none */
    struct slice local_rest; /* of the body of an answer made here: not in res_body yet */
    struct exchange_times times;
    int64_t client_rx_ms, client_tx_ms, origin_rx_ms, origin_tx_ms; /* last progress; 0: no wait */
    uint64_t client_rx_seen, client_tx_seen, origin_rx_seen, origin_tx_seen;
    int64_t grpc_deadline_ms;               /* what the client of a call allows; 0: none */
    struct rate_window rx_rate, tx_rate;    /* of the client: its body, what it takes */
    uint64_t request_bytes, response_bytes; /* bodies, as relayed */

    struct list link; /* worker's list */
    struct dead dead;
    struct exchange *next_free;

    /* Set up by functions of their own, the rest is zeroed: half of the struct need not be. */
    struct addr client_addr; /* the believed one: the peer, or from a trusted proxy's header */
    char id[24];             /* $request_id: 16 hex digits; NUL-terminated */
    struct arena arena;      /* owns heads, headers and whatever filters make */
    struct timer step_timer, total_timer;
    struct message req, res;
    struct body req_body, res_body;
};

/* For the acceptor: begins an exchange for a request that is being received. */
enum err exchange_open(struct stream_acceptor *a, struct stream *s, void *listener);
void exchange_wake(struct exchange *x);
const char *exchange_step_name(const struct exchange *x);
const char *step_name(enum exchange_step s);

/* Without a client and without network, for `test` blocks and `weir explain`: x->req, client_addr
 * and listen are set by the caller. Runs the real steps up to the choice of a server, or through
 * the response filters with a response that the caller gives (status 0: stop before). */
struct exchange *exchange_dry_new(struct worker *w, const struct listen_conf *l);
void exchange_dry_run(struct exchange *x, enum exchange_step until);
void exchange_dry_free(struct exchange *x);

/* A response made here, for filters and local origins: replaces any response so far, an origin's
 * included. `body` must live until the exchange ends. An empty content type: none. A call of gRPC
 * gets a status of gRPC instead, unless the content is gRPC's. */
enum err exchange_respond(struct exchange *x, uint16_t status, struct slice content_type,
                          struct slice body) MUST_CHECK;
/* The same for HTTP alone, with a body that the caller makes: it sets x->res_body's producer and
 * want(), and pushes. LENGTH_KNOWN: `bytes` of it. */
enum err exchange_respond_body(struct exchange *x, uint16_t status, enum length_kind length,
                               uint64_t bytes) MUST_CHECK;
/* The response for an error row: a page as the client accepts it (HTML, JSON or text). */
void exchange_respond_error(struct exchange *x, enum err e);
int64_t exchange_now_us(const struct exchange *x);
