/* auth_forward_priv.h - `auth forward` in parts: the directive, what the service is told, what
 * becomes of its answer. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "filter/auth_priv.h"
#include "proxy/ask.h"

enum { FORWARD_COPIES_MAX = 32, FORWARD_BODY_MAX_BYTES = 64 << 10 };

/* A field of the service's answer that the server gets. */
struct forward_copy {
    struct slice name, claim; /* claim: the name in lower case */
};

struct forward_conf {
    struct ask_url url;
    struct slice user_header; /* .at NULL: the usual ones */
    int64_t timeout_ms;
    struct forward_copy copies[FORWARD_COPIES_MAX];
    uint32_t copy_count;
    struct slice word; /* the service, as written */
};

struct forward_state {
    struct exchange *x;
    struct ask *ask; /* under way */
    bool told, granted;
    enum err err;
    uint16_t status;
    struct headers headers; /* in the exchange's arena */
    char *body;             /* on the heap, until the end */
    size_t body_len;
};

void forward_apply(struct conf_build *b, void *conf, const struct conf_node *n);
/* Begins to ask; told() comes with the answer. */
enum err forward_ask(struct exchange *x, const struct forward_conf *c, struct forward_state *s,
                     void (*told)(void *ctx, const struct ask_answer *a)) MUST_CHECK;
