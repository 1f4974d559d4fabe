/* filter.h - what a filter is: one file in src/filter, one struct filter_type.
 *
 * A filter's directives are rows with where = IN_POLICY bits (or a subset). For each route, and for
 * each `when` block in it, the builder makes one conf out of the directives that apply there:
 * zeroed, defaults set, then one conf_apply() per directive in order (inherited ones first, those
 * that a nearer block overrides by its key left out), then ready(). A filter without any directive
 * in force is not in the route's chain and costs nothing.
 *
 * Bodies pass filters by; one that wants to change a body asks for it (transform.h). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

struct exchange;
struct explain;

/* Order of filters is fixed by stage; within a stage by file name, then base before `when`s. */
enum filter_stage { STAGE_EARLY, STAGE_LIMIT, STAGE_AUTH, STAGE_INSPECT, STAGE_CACHE, STAGE_SHAPE };

enum verdict {
    PASS,     /* go on */
    ANSWERED, /* the filter made the response: go to the response side */
    WAIT,     /* the filter calls exchange_wake() later and is then called again */
    FAILED,   /* x->err is set: answer with that error */
};

typedef enum verdict filter_fn(struct exchange *x, const void *conf, void *state);

struct filter_type {
    const char *name;
    enum filter_stage stage;
    const struct directive *directives;
    const struct directive *const *inner; /* tables of rows for blocks that those open; NULL ends */
    size_t conf_bytes;                    /* in the snapshot's arena */
    size_t state_bytes;                   /* per exchange, zeroed, in its arena */
    void (*ready)(struct conf_build *b, void *conf); /* may be NULL, as all below */
    filter_fn *on_request;
    filter_fn *on_known;    /* again, once it is known who asks: after all of STAGE_AUTH */
    filter_fn *on_response; /* reverse order; ANSWERED is not allowed here */
    void (*on_finish)(struct exchange *x, const void *conf, void *state);
    /* Adds the lines that `weir explain` prints (explain_line()). */
    void (*explain)(const void *conf, struct explain *e);
};

extern const struct filter_type *const filters_all[]; /* generated from file names; NULL ends */

/* A filter as used by one route. */
struct filter_use {
    const struct filter_type *type;
    filter_fn *run; /* on requests: on_request or on_known */
    const void *conf;
    uint32_t slot; /* in x->filter_states */
    uint32_t state_offset;
    uint64_t when; /* bit of x->whens that must be set; 0: always */
};

enum filter_hook { HOOK_REQUEST, HOOK_RESPONSE, HOOK_FINISH, HOOK_COUNT };

/* Only the filters that implement the hook, in calling order. */
struct filter_chain {
    const struct filter_use *uses;
    uint32_t count;
};
