/* ocsp_make_priv.h - OCSP answers for tests, as a responder signs them. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tls/cert_make_priv.h"
#include <openssl/ocsp.h>

struct answer_spec {
    const struct made *leaf, *issuer;
    const struct made *signer; /* NULL: the issuer */
    int status;                /* V_OCSP_CERTSTATUS_... */
    int64_t from, to;          /* to 0: no nextUpdate */
};

static inline void answer_make(const struct answer_spec *s, struct text *der)
{
    const struct made *signer = s->signer ? s->signer : s->issuer;
    unsigned char *bytes = NULL;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, s->leaf->x, s->issuer->x);
    ASN1_TIME *from = ASN1_TIME_set(NULL, s->from), *to = s->to ? ASN1_TIME_set(NULL, s->to) : NULL;
    bool revoked = s->status == V_OCSP_CERTSTATUS_REVOKED;
    assert_non_null(OCSP_basic_add1_status(basic, id, s->status,
                                           revoked ? OCSP_REVOKED_STATUS_KEYCOMPROMISE : 0,
                                           revoked ? from : NULL, from, to));
    if (signer != s->issuer)
        OCSP_basic_add1_cert(basic, signer->x);
    assert_true(OCSP_basic_sign(basic, signer->x, signer->key, EVP_sha256(), NULL, OCSP_NOCERTS));
    OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int len = i2d_OCSP_RESPONSE(r, &bytes);
    text_add(der, (struct slice){(char *)bytes, (size_t)len});
    OPENSSL_free(bytes);
    OCSP_RESPONSE_free(r);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
}
