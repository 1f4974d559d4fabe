/* exchange_priv.h - what the files that make up the exchange share: the outcome of a step, and the
 * parts that steps are made of. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/grpc.h"
#include "proxy/exchange.h"

enum outcome {
    NEXT,  /* go on with the next step */
    HOLD,  /* stop until woken */
    SKIP,  /* the response is there: go to the response filters */
    RETRY, /* back to "pick", with another server */
    FAIL,  /* x->err is set */
};

typedef enum outcome step_fn(struct exchange *x);

/* The steps that have files of their own. */
step_fn step_start, step_route;              /* admit.c */
step_fn step_buffer;                         /* spool.c */
step_fn step_pick, step_forward, step_await; /* origin.c */
step_fn step_relay;                          /* relay.c */

enum outcome exchange_fail(struct exchange *x, enum err e); /* sets x->err; returns FAIL */
/* The server's fault: also counts against it. */
enum outcome exchange_fail_origin(struct exchange *x, enum err e);

/* Wakes the exchange with `e` after `ms` (CONF_OFF: never), unless the step ends before. */
void deadline_set(struct exchange *x, int64_t ms, enum err e);
void deadline_at(struct exchange *x, int64_t at_ms, enum err e);
void deadline_stop(struct exchange *x);
void total_begin(struct exchange *x);            /* the deadline of the whole request */
int64_t total_ends_ms(const struct exchange *x); /* when that is; INT64_MAX: never */

/* admit.c: fields that Connection named were for us and go no further (RFC 9110 7.6.1). They are
 * deleted before anybody looks, so that no directive takes one for what the other side gets. */
void named_hops_drop(struct headers *h);
/* The path that goes to the origin: what strip and rewrite made, else the client's spelling. */
struct slice origin_path(const struct exchange *x);

/* Who the client is, by `trust`; and the fields that tell the origin. forwarded.c */
void forwarded_read(struct exchange *x);
enum err forwarded_write(struct exchange *x) MUST_CHECK;

/* origin.c: ends the use of the server; safe without one. */
void origin_release(struct exchange *x, enum lease_verdict v);
/* Ends its stream alone. */
void origin_detach(struct exchange *x);
struct target;
/* The engine for what was leased. */
const struct origin_engine *origin_engine_of(const struct worker *w, const struct lease *l);
/* What the upstream of the target balances this request by; 0: nothing. ERR_OVER_BUDGET. */
enum err target_key(struct exchange *x, const struct target *t, uint64_t *key) MUST_CHECK;
enum outcome connect_timed_out(struct exchange *x); /* another server, or the end */
/* The response at hand has a status that counts as the server's failure (`retry on=`). */
bool origin_status_failed(const struct exchange *x);

/* answer.c: exchange_respond() for all requests alike; only its head, for a body of `bytes` that
 * somebody makes; and a status alone, which needs no memory. */
enum err respond_plain(struct exchange *x, uint16_t status, struct slice content_type,
                       struct slice body) MUST_CHECK;
enum err respond_head(struct exchange *x, uint16_t status, struct slice content_type,
                      uint64_t bytes) MUST_CHECK;
void respond_bare(struct exchange *x, uint16_t status);

/* grpc_call.c: is it a call of gRPC, by its Content-Type? */
bool grpc_call_is(const struct exchange *x);
/* Reads its deadline, which counts from the request's head on. */
void grpc_call_begin(struct exchange *x, int64_t head_ms);
enum err grpc_call_pass_deadline(struct exchange *x) MUST_CHECK; /* to the server */
/* An answer made here; and the same in the place of one that HTTP would get. */
enum err grpc_call_answer(struct exchange *x, enum grpc_status status,
                          struct slice text) MUST_CHECK;
enum err grpc_call_respond(struct exchange *x, uint16_t status, struct slice type,
                           struct slice body) MUST_CHECK;

/* Answers 100 in the server's place. */
enum err continue_send(struct exchange *x) MUST_CHECK;

/* relay.c: moves request body to the server, as much as goes. ERR_OK also when it must wait. */
enum err relay_request(struct exchange *x) MUST_CHECK;
/* Deadlines of both directions, for "await" and "relay". ERR_OK, or which one has passed. */
enum err relay_deadline(struct exchange *x) MUST_CHECK;
bool request_sent_whole(const struct exchange *x);
bool is_origins_fault(const struct exchange *x, enum err e); /* while its stream is there */

/* transform.c: what comes out of the last transform, after what can run now has run; the source
 * itself without any. */
struct body *transform_body(struct transform *last, struct body *source);
void transforms_release(struct transform **last);

/* spool.c: the body that goes to the server: the spool's, or the client's as it comes. */
struct body *request_body(struct exchange *x);
void spool_release(struct exchange *x);
uint64_t spool_bytes(const struct exchange *x);
enum err spool_rewind(struct exchange *x) MUST_CHECK; /* for a retry */

void file_body_release(struct exchange *x); /* files_body.c; safe without one */
void file_body_begin(struct exchange *x);   /* in the step "relay" */
void file_cache_release(struct worker *w);  /* files_open.c */

void body_reset(struct exchange *x, struct body *b);                   /* empty and open again */
void exchange_steps_run(struct exchange *x, enum exchange_step until); /* stops before it */
void step_goto(struct exchange *x, enum exchange_step s);
struct exchange *exchange_alloc(struct worker *w); /* NULL: no memory */
void exchange_init(struct exchange *x, struct worker *w, const struct listen_conf *l,
                   struct conf_view *v);
void exchange_release(struct exchange *x);
