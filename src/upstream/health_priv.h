/* health_priv.h - passive health of a server: failures in a row take it out for a while. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/upstream.h"

void health_tell(const struct server_shared *s, enum server_event e, int64_t ms); /* the observer */
bool health_ejected(const struct server_shared *s, int64_t now_ms);
/* Ejected, or its checks fail. */
bool health_out(const struct server_shared *s, int64_t now_ms);
/* Half-open: the ejection is over, and nothing is known about the server yet. */
bool health_on_trial(const struct server_shared *s, int64_t now_ms);
/* Of all workers one request is let through then. False: another one is under way. *mine: this is
 * it, to be ended by health_trial_end(). */
bool health_trial_take(struct server_shared *s, int64_t now_ms, bool *mine) MUST_CHECK;
void health_trial_end(struct server_shared *s);
/* fail_ms doubled once per earlier ejection in a row, up to fail_max_ms. */
int64_t health_ejection_ms(const struct upstream *up, int64_t earlier);
/* The server served a request. */
void health_ok(struct server_shared *s, int64_t now_ms);
/* The server failed; ejects it when it is the upstream's fail_count-th time in a row. */
void health_failed(struct server_shared *s, const struct upstream *up, enum err why,
                   const struct loop *l);
