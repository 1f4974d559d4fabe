/* headless.h - requests that go on, or begin, without a client: what others wait for does not end
 * with who asked first, and what is stale is fetched again behind the answer.
 *
 * Such a request takes the path of every other; its client is a stream that takes everything and
 * keeps nothing. Filters of stages before the cache's, which are the client's, see no answer. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/exchange.h"

enum { HEADLESS_MAX = 1024 /* per worker */ };

/* A copy of x's request, as it is now, whose request filters go on with the one that `state` is the
 * state of. *copy is that filter's state in the new one, zeroed: to be filled in before the next
 * turn. NULL: no memory, or too many. */
struct exchange *headless_begin(struct exchange *x, const void *state, void **copy);
bool headless_is(const struct exchange *x);

/* Its client is gone. True: somebody else wants the answer (x->wanted), so it goes on. */
bool headless_go_on(struct exchange *x);
void headless_finish(struct exchange *x); /* the last that is said of it is its client's again */
/* What nobody waits for; with HEADLESS_ALL everything. */
enum headless_end { HEADLESS_UNWANTED, HEADLESS_ALL };
void headless_end(struct worker *w, enum headless_end which);
