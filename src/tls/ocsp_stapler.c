/* ocsp_stapler.c - whose answer is due, and what came of asking.
 *
 * A list of certificates with the time of the next question each; one timer for the earliest, one
 * fetch at a time. Times are of the wall clock, because answers are; the timer looks at least once
 * an hour, so that a clock that was set is noticed. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/ocsp_stapler.h"
#include "base/mem.h"
#include "tls/cert_priv.h"
#include "tls/ocsp.h"
#include "tls/ocsp_fetch.h"
#include <stdlib.h>

enum { LOOK_MAX_S = 3600 };

struct entry {
    struct tls_cert *cert; /* counted */
    int64_t due_s;         /* INT64_MAX: it names no responder */
    uint32_t failures;     /* in a row */
};

struct ocsp_stapler {
    struct loop *loop;
    struct dns *dns;
    void (*failed)(void *ctx, const char *line);
    void *ctx;
    struct timer timer;
    struct entry *entries;
    size_t count;
    size_t missing;            /* as published */
    struct ocsp_fetch *fetch;  /* NULL: none runs */
    struct tls_cert *asked_of; /* counted; while one runs */
};

static int64_t now_s(const struct ocsp_stapler *s)
{
    return s->loop->unix_ms / 1000;
}

static uint32_t random_of(struct ocsp_stapler *s)
{
    return (uint32_t)(rand_next(&s->loop->rand) >> 32);
}

static bool has_staple(const struct ocsp_stapler *s, struct tls_cert *c)
{
    struct tls_staple *staple = tls_cert_take_staple(c, now_s(s));
    tls_staple_drop(staple);
    return staple != NULL;
}

/* ---- entries ---- */

static struct entry *find(struct ocsp_stapler *s, const struct tls_cert *c)
{
    for (size_t i = 0; i < s->count; i++)
        if (memcmp(s->entries[i].cert->fingerprint, c->fingerprint, TLS_FINGERPRINT_BYTES) == 0)
            return &s->entries[i];
    return NULL;
}

static struct entry *earliest(struct ocsp_stapler *s)
{
    struct entry *first = NULL;
    for (size_t i = 0; i < s->count; i++)
        if (!first || s->entries[i].due_s < first->due_s)
            first = &s->entries[i];
    return first;
}

static void set_timer(struct ocsp_stapler *s)
{
    struct entry *e = earliest(s);
    timer_stop(&s->loop->timers, &s->timer);
    if (!e || s->fetch)
        return;
    int64_t wait_s = e->due_s - now_s(s);
    wait_s = wait_s < 0 ? 0 : wait_s < LOOK_MAX_S ? wait_s : LOOK_MAX_S;
    timer_set(&s->loop->timers, &s->timer, s->loop->now_ms + wait_s * 1000);
}

static void publish(struct ocsp_stapler *s)
{
    size_t missing = ocsp_stapler_missing(s);
    counter_add(s->loop->counters, METRIC_OCSP_MISSING, (int64_t)missing - (int64_t)s->missing);
    s->missing = missing;
}

/* ---- what came of it ---- */

static void tell(struct ocsp_stapler *s, struct tls_cert *c, const char *why)
{
    struct text line;
    if (!s->failed)
        return;
    text_init(&line);
    cert_say(&line, 1, c->leaf);
    text_addf(&line, ": no OCSP answer%s%.*s: %s", c->ocsp_url.len ? " from " : "",
              SLICE_ARG(c->ocsp_url), why);
    if (has_staple(s, c))
        text_add(&line, SLICE("; the last one is still shown"));
    else if (c->must_staple)
        text_add(&line, SLICE("; the certificate demands one (must-staple), so clients will "
                              "refuse it"));
    s->failed(s->ctx, line.at);
    text_release(&line);
}

static void on_failed(struct ocsp_stapler *s, struct tls_cert *c, const char *why)
{
    struct entry *e = find(s, c);
    counter_add(s->loop->counters, METRIC_OCSP_ERRORS, 1);
    if (e) {
        e->failures++;
        e->due_s = ocsp_retry_s(now_s(s), e->failures, random_of(s));
    }
    tell(s, c, why);
}

static void on_answer(struct ocsp_stapler *s, struct tls_cert *c, struct slice body)
{
    struct tls_staple *staple;
    struct text why;
    struct entry *e = find(s, c);
    text_init(&why);
    if (ocsp_check(c, body, now_s(s), &staple, &why) != ERR_OK)
        on_failed(s, c, why.at);
    else {
        if (e) /* else a reload has taken it away meanwhile */
            *e = (struct entry){e->cert, ocsp_refresh_s(staple, now_s(s), random_of(s)), 0};
        tls_cert_set_staple(e ? e->cert : c, staple);
    }
    text_release(&why);
}

static void on_fetched(void *ctx, struct slice body, const char *why)
{
    struct ocsp_stapler *s = ctx;
    struct tls_cert *c = s->asked_of;
    s->fetch = NULL;
    s->asked_of = NULL;
    if (body.len)
        on_answer(s, c, body);
    else
        on_failed(s, c, why);
    tls_cert_drop(c);
    publish(s);
    set_timer(s);
}

static void ask(struct ocsp_stapler *s, struct entry *e)
{
    struct text der, why;
    text_init(&der);
    text_init(&why);
    counter_add(s->loop->counters, METRIC_OCSP_FETCHES, 1);
    if (ocsp_request(e->cert, &der, &why)) {
        s->fetch =
            ocsp_fetch_start(s->loop, s->dns, e->cert->ocsp_url, text_slice(&der), on_fetched, s);
        if (s->fetch)
            s->asked_of = tls_cert_take(e->cert);
        else
            text_add(&why, SLICE("this is no address that can be asked"));
    }
    if (!s->fetch)
        on_failed(s, e->cert, why.at);
    text_release(&der);
    text_release(&why);
}

static void on_timer(struct timer *t)
{
    struct ocsp_stapler *s = CONTAINER_OF(t, struct ocsp_stapler, timer);
    struct entry *e = earliest(s);
    if (e && e->due_s <= now_s(s))
        ask(s, e);
    publish(s);
    set_timer(s);
}

/* ---- the set ---- */

/* A certificate that has an answer already (another stapler got it) waits for its half, too. */
static int64_t first_due_s(struct ocsp_stapler *s, struct tls_cert *c)
{
    if (c->ocsp_url.len == 0)
        return INT64_MAX;
    struct tls_staple *staple = tls_cert_take_staple(c, now_s(s));
    int64_t due = staple ? ocsp_half_s(staple) : 0;
    tls_staple_drop(staple);
    return due;
}

static void take_over(struct entry *to, struct entry *old)
{
    to->due_s = old->due_s;
    to->failures = old->failures;
    if (to->cert == old->cert)
        return;
    struct tls_staple *staple = tls_cert_take_staple(old->cert, 0);
    if (staple)
        tls_cert_set_staple(to->cert, staple);
}

static void drop_entries(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tls_cert_drop(entries[i].cert);
    free(entries);
}

static bool is_known(const struct entry *entries, size_t count, const struct tls_cert *c)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].cert == c)
            return true;
    return false;
}

void ocsp_stapler_set(struct ocsp_stapler *s, struct tls_cert *const *certs, size_t count)
{
    struct entry *fresh = mem_new(sizeof *fresh * (count ? count : 1));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool asks = certs[i]->ocsp_url.len > 0;
        if ((!asks && !certs[i]->must_staple) || is_known(fresh, n, certs[i]))
            continue;
        if (!asks)
            tell(s, certs[i], "it names no responder");
        struct entry *e = &fresh[n++], *old = find(s, certs[i]);
        *e = (struct entry){tls_cert_take(certs[i]), first_due_s(s, certs[i]), 0};
        if (old)
            take_over(e, old);
    }
    drop_entries(s->entries, s->count);
    s->entries = fresh;
    s->count = n;
    publish(s);
    set_timer(s);
}

size_t ocsp_stapler_missing(const struct ocsp_stapler *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->entries[i].cert->must_staple && !has_staple(s, s->entries[i].cert);
    return n;
}

struct ocsp_stapler *ocsp_stapler_new(struct loop *l, struct dns *dns,
                                      void (*failed)(void *ctx, const char *line), void *ctx)
{
    struct ocsp_stapler *s = MEM_NEW(struct ocsp_stapler);
    s->loop = l;
    s->dns = dns;
    s->failed = failed;
    s->ctx = ctx;
    timer_init(&s->timer, on_timer);
    return s;
}

void ocsp_stapler_free(struct ocsp_stapler *s)
{
    if (!s)
        return;
    ocsp_fetch_cancel(s->fetch);
    tls_cert_drop(s->asked_of);
    timer_stop(&s->loop->timers, &s->timer);
    counter_add(s->loop->counters, METRIC_OCSP_MISSING, -(int64_t)s->missing);
    drop_entries(s->entries, s->count);
    free(s);
}
