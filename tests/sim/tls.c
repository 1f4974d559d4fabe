/* tls.c - TLS between the clients and weir, in a share of the worlds.
 *
 * Clients use weir's own client side, so both ends run on the simulated network. OpenSSL draws its
 * random bytes from the world's seed and certificates are of Ed25519, whose signatures all have one
 * length: so records do, too, and a seed runs the same way twice. (The keys of tickets come from
 * the system; their bytes differ from run to run, lengths do not.) */
// SPDX-License-Identifier: Apache-2.0
#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_METHOD, the only way to seed every library context */
#include "tls/tls.h"
#include "conf/source.h"
#include "tests/sim/sim.h"
#include "tls/cert_make_priv.h"
#include <openssl/rand.h>
#include <stdlib.h>

/* ---- random bytes by seed ---- */

static struct rand random_bytes;

static int bytes_next(unsigned char *to, int len)
{
    for (int i = 0; i < len; i++)
        to[i] = (unsigned char)rand_next(&random_bytes);
    return 1;
}

static int always(void)
{
    return 1;
}

static void seed_openssl(uint64_t seed)
{
    static const RAND_METHOD method = {
        .bytes = bytes_next, .pseudorand = bytes_next, .status = always};
    rand_init(&random_bytes, seed);
    RAND_set_rand_method(&method);
}

/* ---- a certificate for weir ---- */

static const char *issue(const struct conf_source *s, const struct slice *names, uint32_t count,
                         struct text *cert, struct text *key)
{
    static struct made made; /* one for all worlds of the process */
    (void)s, (void)names, (void)count;
    if (!made.x)
        made = made_new(
            &(struct made_spec){.cn = "sim.test", .san = "DNS:sim.test", .kind = MADE_ED25519});
    made_cert_pem(&made, cert);
    made_key_pem(&made, NULL, key);
    return NULL;
}

const struct conf_source *sim_tls_source(void)
{
    static struct conf_source source;
    source = conf_source_nothing;
    source.issue = issue;
    return &source;
}

/* ---- the clients' side ---- */

struct sim_tls {
    struct tls_worker *worker;
    struct tls_tickets *tickets;
    struct tls_origin origin, h2;
};

void sim_tls_init(struct sim_world *w)
{
    struct text why = {0};
    if (!w->tls)
        return;
    seed_openssl(w->seed);
    struct sim_tls *t = w->peer_tls = calloc(1, sizeof *t);
    t->tickets = tls_tickets_new();
    t->worker = tls_worker_new(&w->peers, t->tickets);
    t->origin.version_max = w->tls == SIM_TLS_1_2 ? 0x0303 : 0x0304;
    if (!tls_origin_seal(&t->origin, &why))
        sim_broken(w, "the test's clients have no TLS: %s", why.at);
    t->h2 = t->origin;
    t->h2.alpn[0] = SLICE("h2");
    t->h2.alpn_count = 1;
    if (!tls_origin_seal(&t->h2, &why))
        sim_broken(w, "the test's clients have no h2: %s", why.at);
}

void sim_tls_connect(struct sim_world *w, struct conn *c, const char *alpn)
{
    struct sim_tls *t = w->peer_tls;
    if (tls_connect(t->worker, c, alpn ? &t->h2 : &t->origin, SLICE("sim.test")) != ERR_OK)
        sim_broken(w, "a client cannot begin its handshake");
}

void sim_tls_stop(struct sim_world *w)
{
    if (w->peer_tls)
        tls_worker_stop(w->peer_tls->worker);
}

void sim_tls_free(struct sim_world *w)
{
    if (!w->peer_tls)
        return;
    tls_worker_free(w->peer_tls->worker);
    tls_tickets_free(w->peer_tls->tickets);
    free(w->peer_tls);
}
