/* password_checks.c - see password_checks.h.
 *
 * A check is an entry of a table under one lock, which is held for a look into a short chain. While
 * it is pending a job of the pool (io/work.h) belongs to it and has the password; the job settles
 * it, and sends every waiter its mail. A waiter is a small thing of its own, because mail can not
 * be called back: who leaves only forgets it. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/password_checks.h"
#include "auth/basic.h"
#include "auth/password.h"
#include "base/mem.h"
#include "base/rand.h"
#include "io/loop.h"
#include "io/work.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

enum { BUCKETS = 4096, TAG_BYTES = 32, SECRET_BYTES = 32, PENDING = PASSWORD_BEGUN };

struct password_wait {
    struct mail mail;
    struct password_wait *next; /* of the check's */
    struct mailbox_shared *to;
    password_told_fn *told; /* NULL: who asked has left */
    void *ctx;
    enum password_state state;
};

struct check {
    struct check *next; /* in its bucket */
    struct list age;    /* once it is settled */
    uint8_t tag[TAG_BYTES];
    uint8_t state; /* enum password_state: good, bad or PENDING */
    int64_t until_ms;
    struct password_wait *waits;
    uint32_t wait_count;
};

struct password_checks_shared {
    pthread_mutex_t lock;
    struct work_pool_shared *pool;
    uint8_t secret[SECRET_BYTES];
    struct list by_age[2]; /* PASSWORD_GOOD, PASSWORD_BAD: the oldest first */
    uint32_t counts[2];
    struct check *buckets[BUCKETS];
};

struct job {
    struct work work;
    struct password_checks_shared *checks;
    struct check *check;
    int64_t asked_ms;
    bool decoy;
    uint16_t len;
    char password[PASSWORD_MAX];
    char hash[PASSWORD_HASH_MAX + 1];
};

struct password_checks_shared *password_checks_new(struct work_pool_shared *pool)
{
    struct password_checks_shared *c = MEM_NEW(struct password_checks_shared);
    pthread_mutex_init(&c->lock, NULL);
    c->pool = pool;
    rand_secret(c->secret, sizeof c->secret);
    list_init(&c->by_age[PASSWORD_GOOD]);
    list_init(&c->by_age[PASSWORD_BAD]);
    return c;
}

/* --- the table ---------------------------------------------------------------------------------
 */

struct tag_text {
    uint8_t bytes[2 + 1 + BASIC_USER_MAX + 2 + PASSWORD_MAX + PASSWORD_HASH_MAX];
    size_t len;
};

static void tag_add(struct tag_text *t, struct slice s)
{
    t->bytes[t->len++] = (uint8_t)(s.len >> 8);
    t->bytes[t->len++] = (uint8_t)s.len;
    memcpy(t->bytes + t->len, s.at, s.len);
    t->len += s.len;
}

/* False: OpenSSL has no memory. */
static bool tag_make(const struct password_checks_shared *c, const struct password_question *q,
                     uint8_t tag[TAG_BYTES])
{
    struct tag_text t = {.len = 1};
    size_t hash_len = strlen(q->hash);
    t.bytes[0] = q->decoy;
    tag_add(&t, q->user);
    tag_add(&t, q->password);
    memcpy(t.bytes + t.len, q->hash, hash_len);
    bool made = HMAC(EVP_sha256(), c->secret, SECRET_BYTES, t.bytes, t.len + hash_len, tag, NULL);
    OPENSSL_cleanse(&t, sizeof t);
    return made;
}

static struct check **place_of(struct password_checks_shared *c, const uint8_t tag[TAG_BYTES])
{
    unsigned at = (unsigned)(tag[0] << 8 | tag[1]) % BUCKETS;
    struct check **place = &c->buckets[at];
    while (*place && CRYPTO_memcmp((*place)->tag, tag, TAG_BYTES) != 0)
        place = &(*place)->next;
    return place;
}

static void check_unlink(struct password_checks_shared *c, struct check *k)
{
    *place_of(c, k->tag) = k->next;
    if (k->state == PENDING)
        return;
    list_remove(&k->age);
    c->counts[k->state]--;
}

static void check_remove(struct password_checks_shared *c, struct check *k)
{
    check_unlink(c, k);
    free(k);
}

/* The one that is there, or NULL; what is out of date goes. */
static struct check *check_find(struct password_checks_shared *c, const uint8_t tag[TAG_BYTES],
                                int64_t now_ms)
{
    struct check *k = *place_of(c, tag);
    if (!k || k->state == PENDING || k->until_ms > now_ms)
        return k;
    check_remove(c, k);
    return NULL;
}

static struct check *check_add(struct password_checks_shared *c, const uint8_t tag[TAG_BYTES])
{
    struct check *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    memcpy(k->tag, tag, TAG_BYTES);
    k->state = PENDING;
    list_init(&k->age);
    *place_of(c, tag) = k;
    return k;
}

static void check_keep(struct password_checks_shared *c, struct check *k, enum password_state s,
                       int64_t asked_ms)
{
    static const uint32_t most[] = {
        [PASSWORD_GOOD] = PASSWORD_GOOD_MAX, [PASSWORD_BAD] = PASSWORD_BAD_MAX};
    static const int64_t ms[] = {
        [PASSWORD_GOOD] = PASSWORD_GOOD_MS, [PASSWORD_BAD] = PASSWORD_BAD_MS};
    if (c->counts[s] == most[s])
        check_remove(c, LIST_ENTRY(c->by_age[s].next, struct check, age));
    k->state = (uint8_t)s;
    k->until_ms = asked_ms + ms[s];
    k->waits = NULL;
    list_push(&c->by_age[s], &k->age);
    c->counts[s]++;
}

/* --- who waits ---------------------------------------------------------------------------------
 */

static void wait_end(struct mail *m, struct loop *l)
{
    struct password_wait *w = CONTAINER_OF(m, struct password_wait, mail);
    (void)l;
    if (w->told)
        w->told(w->ctx, w->state);
    free(w);
}

static struct password_wait *wait_new(struct loop *l, password_told_fn *told, void *ctx)
{
    struct password_wait *w = calloc(1, sizeof *w);
    if (w)
        *w = (struct password_wait){
            .mail.run = wait_end, .to = l->mailbox, .told = told, .ctx = ctx};
    return w;
}

void password_leave(struct password_wait *w)
{
    w->told = NULL;
}

static void waits_tell(struct password_wait *w, enum password_state s)
{
    while (w) {
        struct password_wait *next = w->next; /* it is the receiver's once it is posted */
        w->state = s;
        mailbox_post(w->to, &w->mail);
        w = next;
    }
}

/* --- jobs --------------------------------------------------------------------------------------
 */

static void settle(struct password_checks_shared *c, struct check *k, enum password_state s,
                   int64_t asked_ms)
{
    pthread_mutex_lock(&c->lock);
    struct password_wait *waits = k->waits;
    if (s == PASSWORD_BUSY)
        check_remove(c, k);
    else
        check_keep(c, k, s, asked_ms);
    pthread_mutex_unlock(&c->lock);
    waits_tell(waits, s);
}

static void job_free(struct job *j)
{
    OPENSSL_cleanse(j, sizeof *j);
    free(j);
}

static enum password_state job_verdict(const struct job *j)
{
    bool fits = password_verify((struct slice){j->password, j->len}, j->hash);
    return fits && !j->decoy ? PASSWORD_GOOD : PASSWORD_BAD;
}

static void job_run(struct work *w)
{
    struct job *j = CONTAINER_OF(w, struct job, work);
    settle(j->checks, j->check, w->canceled ? PASSWORD_BUSY : job_verdict(j), j->asked_ms);
    job_free(j);
}

static struct job *job_new(struct password_checks_shared *c, const struct password_question *q,
                           struct loop *l)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->work = (struct work){.run = job_run, .share = q->share};
    j->checks = c;
    j->asked_ms = l->now_ms;
    j->decoy = q->decoy;
    j->len = (uint16_t)q->password.len;
    memcpy(j->password, q->password.at, q->password.len);
    memcpy(j->hash, q->hash, strlen(q->hash) + 1);
    return j;
}

/* --- asking ------------------------------------------------------------------------------------
 */

/* Under the lock. BEGUN: j has a check now. */
static enum password_state look(struct password_checks_shared *c, const uint8_t tag[TAG_BYTES],
                                int64_t now_ms, struct job *j, struct password_wait *w)
{
    struct check *k = check_find(c, tag, now_ms);
    bool there = k != NULL;
    if (there && k->state != PENDING)
        return k->state;
    if (!there && !(k = check_add(c, tag)))
        return PASSWORD_BUSY;
    if (k->wait_count == PASSWORD_WAITS_MAX)
        return PASSWORD_BUSY;
    w->next = k->waits;
    k->waits = w;
    k->wait_count++;
    if (there)
        return PASSWORD_JOINED;
    j->check = k;
    return PASSWORD_BEGUN;
}

/* Is it remembered? That costs no memory. */
static bool is_settled(struct password_checks_shared *c, const uint8_t tag[TAG_BYTES],
                       int64_t now_ms, enum password_state *out)
{
    pthread_mutex_lock(&c->lock);
    struct check *k = check_find(c, tag, now_ms);
    bool settled = k && k->state != PENDING;
    if (settled)
        *out = k->state;
    pthread_mutex_unlock(&c->lock);
    return settled;
}

/* The job settles it, also when it can not be begun. */
static void begin(struct password_checks_shared *c, struct job *j)
{
    if (work_post(c->pool, &j->work, NULL))
        return;
    settle(c, j->check, PASSWORD_BUSY, j->asked_ms);
    job_free(j);
}

static enum password_state ask(struct password_checks_shared *c, const uint8_t tag[TAG_BYTES],
                               int64_t now_ms, struct job *j, struct password_wait *w)
{
    enum password_state s = PASSWORD_BUSY;
    if (j && w) {
        pthread_mutex_lock(&c->lock);
        s = look(c, tag, now_ms, j, w);
        pthread_mutex_unlock(&c->lock);
    }
    if (s == PASSWORD_BEGUN)
        begin(c, j);
    else if (j)
        job_free(j);
    if (s != PASSWORD_BEGUN && s != PASSWORD_JOINED)
        free(w);
    return s;
}

enum password_state password_ask(struct password_checks_shared *c,
                                 const struct password_question *q, struct loop *l,
                                 password_told_fn *told, void *ctx, struct password_wait **wait)
{
    uint8_t tag[TAG_BYTES];
    enum password_state s;
    if (!tag_make(c, q, tag))
        return PASSWORD_BUSY;
    if (is_settled(c, tag, l->now_ms, &s))
        return s;
    *wait = wait_new(l, told, ctx);
    return ask(c, tag, l->now_ms, job_new(c, q, l), *wait);
}

void password_checks_free(struct password_checks_shared *c)
{
    for (int i = 0; i < BUCKETS; i++)
        while (c->buckets[i])
            check_remove(c, c->buckets[i]);
    pthread_mutex_destroy(&c->lock);
    OPENSSL_cleanse(c->secret, sizeof c->secret);
    free(c);
}
