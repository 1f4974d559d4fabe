/* cert_priv.h - the parts of a certificate's loading: its names, its checks, words about it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tls/cert.h"

/* cert_names.c: fills c->names from the leaf's subject alternative names. */
void cert_names_read(struct tls_cert *c);
void cert_names_release(struct tls_cert *c);

/* cert_known.c: certificates by the texts they come from. */
void cert_text_id(struct slice cert_pem, struct slice key_pem, uint8_t id[CERT_TEXT_ID_BYTES]);
struct tls_cert *cert_known_take(const uint8_t id[CERT_TEXT_ID_BYTES]); /* NULL: none */
void cert_known_add(struct tls_cert *c);
/* One count less. True: it was the last, and nobody finds it any more. */
bool cert_known_drop(struct tls_cert *c);

/* cert_check.c: what is wrong at `now_unix_s`. False with *why. Needs leaf, chain, key; sets kind.
 */
bool cert_check(struct tls_cert *c, int64_t now_unix_s, struct text *why);
enum tls_key_kind tls_key_kind_of(const EVP_PKEY *key);
bool cert_check_times(struct tls_cert *c, int64_t now_unix_s, struct text *why); /* only those */

/* Words for messages: certificate 1 ("CN=example.com"), 2026-01-02. */
void cert_say(struct text *to, int number, X509 *x);
void cert_say_day(struct text *to, int64_t unix_s);

int64_t cert_unix_s(const ASN1_TIME *t); /* 0 when it is none */
