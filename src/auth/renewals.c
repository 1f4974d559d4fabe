/* renewals.c - see renewals.h. Two sessions that fall on one place take it from each other, which
 * costs a renewal too many and nothing else. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/renewals.h"
#include <pthread.h>
#include <stdbool.h>

struct renewal_place {
    uint64_t session; /* 0: free */
    int64_t since_ms;
    bool done;
    struct text result;
};

static struct renewals_shared {
    pthread_mutex_t lock;
    struct renewal_place places[RENEWALS_MAX];
} renewals_shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct renewal_place *place_of(uint64_t session)
{
    return &renewals_shared.places[session % RENEWALS_MAX];
}

static void place_clear(struct renewal_place *p)
{
    if (p->result.at)
        explicit_bzero(p->result.at, p->result.len);
    text_release(&p->result);
    *p = (struct renewal_place){0};
}

enum renewal renewal_begin(uint64_t session, int64_t now_ms, struct text *result)
{
    enum renewal r = RENEWAL_MINE;
    pthread_mutex_lock(&renewals_shared.lock);
    struct renewal_place *p = place_of(session);
    int64_t age_ms = now_ms - p->since_ms;
    if (p->session == session && p->done && age_ms < RENEWAL_KNOWN_MS) {
        text_add(result, text_slice(&p->result));
        r = RENEWAL_DONE;
    } else if (p->session == session && !p->done && age_ms < RENEWAL_MOST_MS) {
        r = RENEWAL_OTHERS;
    } else {
        place_clear(p);
        *p = (struct renewal_place){.session = session, .since_ms = now_ms};
        text_init(&p->result);
    }
    pthread_mutex_unlock(&renewals_shared.lock);
    return r;
}

void renewal_end(uint64_t session, int64_t now_ms, struct slice result)
{
    pthread_mutex_lock(&renewals_shared.lock);
    struct renewal_place *p = place_of(session);
    if (p->session == session && !result.at) {
        place_clear(p);
    } else if (p->session == session) {
        p->since_ms = now_ms;
        p->done = true;
        text_add(&p->result, result);
    }
    pthread_mutex_unlock(&renewals_shared.lock);
}
