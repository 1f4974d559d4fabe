/* cert_test_priv.h - for tests of this folder: a source whose local CA gives everybody one and the
 * same certificate, made once for nobody, with a key that everybody knows. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/source.h"

static const char test_cert_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBizCCATGgAwIBAgIUfAuBq1Ma2ZGDPP6xRfk7lk27cFMwCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjUxOTM3NTVaGA8yMTI2MTEwMTE5Mzc1\n"
    "NVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHPg\n"
    "77P3Ve2+8+qW2MwTC6FCPZoRG8BhzVAloIl6Yjn7cN/5JpaGlv9QavHR1TAzDyKS\n"
    "ARSALbbxndqg6CNs5OWjaTBnMB0GA1UdDgQWBBQxLxwyCrHPpNPeu6UOISrNv7Ur\n"
    "nzAfBgNVHSMEGDAWgBQxLxwyCrHPpNPeu6UOISrNv7UrnzAPBgNVHRMBAf8EBTAD\n"
    "AQH/MBQGA1UdEQQNMAuCBioudGVzdIIBYTAKBggqhkjOPQQDAgNIADBFAiAa+3/s\n"
    "onVXDet8iEq9ITgp4c0VYAMSB6S5a4yB5aKjEAIhAIY1M8MJbp+1t2u4L9aUZRGN\n"
    "dNxym10ZJJQoxlgB3kD5\n"
    "-----END CERTIFICATE-----\n";
static const char test_key_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+nnUndoq68EALAkH\n"
    "mGPejkm+vL2EwuQHd0pPnFOwvwihRANCAARz4O+z91XtvvPqltjMEwuhQj2aERvA\n"
    "Yc1QJaCJemI5+3Df+SaWhpb/UGrx0dUwMw8ikgEUgC228Z3aoOgjbOTl\n"
    "-----END PRIVATE KEY-----\n";

static inline const char *test_issue(const struct conf_source *s, const struct slice *names,
                                     uint32_t count, struct text *cert, struct text *key)
{
    (void)s, (void)names, (void)count;
    text_add(cert, slice_of(test_cert_pem));
    text_add(key, slice_of(test_key_pem));
    return NULL;
}

static inline const char *test_secret(const struct conf_source *s, uint8_t out[CONF_SECRET_BYTES])
{
    (void)s;
    memset(out, 7, CONF_SECRET_BYTES);
    return NULL;
}

static inline struct conf_source test_source(void)
{
    struct conf_source s = conf_source_system;
    s.issue = test_issue;
    s.secret = test_secret;
    return s;
}
