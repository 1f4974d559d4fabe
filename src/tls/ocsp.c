/* ocsp.c - OCSP requests, and what makes an answer fit to be stapled.
 *
 * The responder's certificate is trusted when the issuer from the chain signed it (or is it):
 * the store for that check holds the issuer alone, as a trusted partial chain. No nonce is sent;
 * responders of any size answer with prepared texts (RFC 5019 4). */
// SPDX-License-Identifier: Apache-2.0
#include "tls/ocsp.h"
#include "tls/cert_priv.h"
#include <openssl/err.h>
#include <openssl/ocsp.h>

struct window {
    int64_t from, to;
};

static X509 *issuer_of(const struct tls_cert *c)
{
    return sk_X509_num(c->chain) > 0 ? sk_X509_value(c->chain, 0) : NULL;
}

/* ---- request ---- */

static OCSP_REQUEST *new_request(const struct tls_cert *c)
{
    OCSP_REQUEST *r = OCSP_REQUEST_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, c->leaf, issuer_of(c)); /* SHA-1: RFC 5019 2.1.1 */
    if (r && id && OCSP_request_add0_id(r, id))
        return r;
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(r);
    return NULL;
}

bool ocsp_request(const struct tls_cert *c, struct text *der, struct text *why)
{
    unsigned char *bytes = NULL;
    if (!issuer_of(c)) {
        text_add(why, SLICE("the chain has no issuer to ask about it"));
        return false;
    }
    OCSP_REQUEST *r = new_request(c);
    int len = r ? i2d_OCSP_REQUEST(r, &bytes) : -1;
    if (len > 0)
        text_add(der, (struct slice){(char *)bytes, (size_t)len});
    else
        text_add(why, SLICE("OpenSSL could not make a request"));
    OPENSSL_free(bytes);
    OCSP_REQUEST_free(r);
    ERR_clear_error();
    return len > 0;
}

/* ---- answer ---- */

static OCSP_RESPONSE *read_response(struct slice der, struct text *why)
{
    const unsigned char *at = (const unsigned char *)der.at;
    if (der.len == 0 || der.len > TLS_STAPLE_BYTES_MAX) {
        text_addf(why, "the answer has %zu bytes, not 1 to %d", der.len, TLS_STAPLE_BYTES_MAX);
        return NULL;
    }
    OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
    if (r && at == (const unsigned char *)der.at + der.len)
        return r;
    text_add(why, SLICE("the answer is no OCSP response"));
    OCSP_RESPONSE_free(r);
    return NULL;
}

static bool is_signed(const struct tls_cert *c, OCSP_BASICRESP *basic, int64_t now,
                      struct text *why)
{
    X509_STORE *store = X509_STORE_new();
    X509_VERIFY_PARAM *param = store ? X509_STORE_get0_param(store) : NULL;
    bool ok = param && X509_STORE_add_cert(store, issuer_of(c)) &&
              X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    if (ok)
        X509_VERIFY_PARAM_set_time(param, now);
    ok = ok && OCSP_basic_verify(basic, c->chain, store, 0) == 1;
    if (!ok) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        text_addf(why, "the answer's signature is not the issuer's: %s",
                  reason ? reason : "unknown");
    }
    X509_STORE_free(store);
    return ok;
}

static bool check_status(int status, int reason, struct text *why)
{
    if (status == V_OCSP_CERTSTATUS_GOOD)
        return true;
    text_addf(why, "the certificate is %s", OCSP_cert_status_str(status));
    if (status == V_OCSP_CERTSTATUS_REVOKED && reason >= 0)
        text_addf(why, " (%s)", OCSP_crl_reason_str(reason));
    return false;
}

static int64_t generalized_s(const ASN1_GENERALIZEDTIME *t)
{
    return cert_unix_s((const ASN1_TIME *)t);
}

static bool check_window(struct window w, int64_t now, struct text *why)
{
    if (w.from == 0 || w.from > now + OCSP_SKEW_S)
        text_add(why, SLICE("the answer is of the future; is this machine's clock right?"));
    else if (w.to <= now) {
        text_add(why, SLICE("the answer ran out on "));
        cert_say_day(why, w.to);
    } else
        return true;
    return false;
}

static bool find_status(const struct tls_cert *c, OCSP_BASICRESP *basic, int64_t now,
                        struct window *w, struct text *why)
{
    ASN1_GENERALIZEDTIME *from = NULL, *to = NULL;
    int status, reason;
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, c->leaf, issuer_of(c));
    bool found = id && OCSP_resp_find_status(basic, id, &status, &reason, NULL, &from, &to);
    OCSP_CERTID_free(id);
    if (!found) {
        text_add(why, SLICE("the answer is about other certificates"));
        return false;
    }
    if (!check_status(status, reason, why))
        return false;
    *w = (struct window){generalized_s(from), to ? generalized_s(to) : now + OCSP_NO_NEXT_S};
    return check_window(*w, now, why);
}

static bool check_response(const struct tls_cert *c, OCSP_RESPONSE *r, int64_t now,
                           struct window *w, struct text *why)
{
    int status = OCSP_response_status(r);
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        text_addf(why, "the responder says: %s", OCSP_response_status_str(status));
        return false;
    }
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(r);
    if (!basic)
        text_add(why, SLICE("the answer is no basic OCSP response"));
    bool ok = basic && is_signed(c, basic, now, why) && find_status(c, basic, now, w, why);
    OCSP_BASICRESP_free(basic);
    return ok;
}

enum err ocsp_check(const struct tls_cert *c, struct slice der, int64_t now_unix_s,
                    struct tls_staple **out, struct text *why)
{
    struct window w = {0};
    if (!issuer_of(c)) {
        text_add(why, SLICE("the chain has no issuer"));
        return ERR_BAD_CONFIG;
    }
    OCSP_RESPONSE *r = read_response(der, why);
    bool ok = r && check_response(c, r, now_unix_s, &w, why);
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
    if (!ok)
        return ERR_BAD_CONFIG;
    *out = tls_staple_new(der, w.from, w.to);
    return ERR_OK;
}

/* ---- when next ---- */

static int64_t spread(int64_t wait_s, uint32_t random) /* up to an eighth longer */
{
    return wait_s + (int64_t)((uint64_t)(wait_s / 8) * random >> 32);
}

int64_t ocsp_half_s(const struct tls_staple *s)
{
    return s->this_update + (s->next_update - s->this_update) / 2;
}

int64_t ocsp_refresh_s(const struct tls_staple *s, int64_t now_unix_s, uint32_t random)
{
    int64_t half = ocsp_half_s(s) - now_unix_s;
    int64_t wait = half > OCSP_REFRESH_MIN_S ? half : OCSP_REFRESH_MIN_S;
    return now_unix_s + spread(wait, random);
}

int64_t ocsp_retry_s(int64_t now_unix_s, uint32_t failures, uint32_t random)
{
    int64_t wait = OCSP_RETRY_FIRST_S;
    for (uint32_t i = 1; i < failures && wait < OCSP_RETRY_MAX_S; i++)
        wait *= 2;
    return now_unix_s + spread(wait < OCSP_RETRY_MAX_S ? wait : OCSP_RETRY_MAX_S, random);
}
