/* client_cert.c - see client_cert.h. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/client_cert.h"
#include "proxy/exchange.h"
#include "tls/tls.h"

_Static_assert((int)CERT_CN == TLS_CLIENT_CN && (int)CERT_EMAIL == TLS_CLIENT_EMAIL &&
                   (int)CERT_DNS == TLS_CLIENT_DNS && (int)CERT_URI == TLS_CLIENT_URI,
               "the kinds of names are those of tls");

static const struct conn *conn_of(const struct exchange *x)
{
    return x->listen && x->listen->tls && x->client ? x->client->conn : NULL;
}

struct teller {
    cert_name_fn *found;
    void *ctx;
};

static void tell(void *ctx, enum tls_client_name kind, struct slice name)
{
    const struct teller *t = ctx;
    t->found(t->ctx, (enum cert_name)kind, name);
}

bool client_cert_names(const struct exchange *x, cert_name_fn *found, void *ctx)
{
    struct teller t = {found, ctx};
    return conn_of(x) && tls_client_names(conn_of(x), tell, &t);
}

struct slice client_cert_fact(struct exchange *x, enum cert_fact which)
{
    static const enum tls_fact facts[] = {[CERT_SUBJECT] = TLS_FACT_CLIENT_SUBJECT,
                                          [CERT_FINGERPRINT] = TLS_FACT_CLIENT_FINGERPRINT,
                                          [CERT_SERIAL] = TLS_FACT_CLIENT_SERIAL};
    struct text *t = &x->worker->scratch;
    if (!conn_of(x))
        return SLICE_NONE;
    text_clear(t);
    tls_fact_write(conn_of(x), facts[which], t);
    return t->len > 0 ? arena_dup(&x->arena, text_slice(t)) : SLICE_NONE;
}
