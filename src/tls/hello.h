/* hello.h - a ClientHello read without a TLS library, and its JA4 fingerprint.
 *
 * Pure: bytes in, facts out. OpenSSL's own view of a ClientHello leaves out the extensions that it
 * does not know, which a fingerprint needs; its message callback (SSL_set_msg_callback()) hands out
 * the whole message before the certificate is chosen, which is what hello_parse_message() takes.
 *
 * Sources: RFC 8446 4.1.2 and 5.1, RFC 6066 3 (SNI), RFC 7301 (ALPN), RFC 8701 (GREASE); the JA4
 * specification by FoxIO (the TLS client fingerprint of it, which is BSD licensed). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum hello_result {
    HELLO_OK,
    HELLO_MORE,    /* so far it may become one: call again with more bytes */
    HELLO_NOT_TLS, /* the first bytes are none of a TLS handshake */
    HELLO_BAD      /* TLS, but no well-formed ClientHello, or one past the limits */
};

enum {
    HELLO_BYTES_MAX = 16384,    /* of the message, its 4 bytes of header included */
    HELLO_EXTENSIONS_MAX = 128, /* clients send about 20 */
    HELLO_JA4_ITEMS_MAX = 512,  /* of a list; a fingerprint looks at no more */
    HELLO_JA4_BYTES = 36
};

/* Slices point into the bytes that were parsed. Lists are as on the wire, GREASE included. */
struct hello {
    uint16_t version;      /* legacy_version: at most 0x0303 */
    bool has_sni;          /* the extension is there */
    struct slice sni;      /* host name as sent; empty: none */
    struct slice ciphers;  /* two bytes each */
    struct slice versions; /* supported_versions, two bytes each; empty: none */
    struct slice sigalgs;  /* signature_algorithms, two bytes each */
    struct slice alpn;     /* names, each after its length byte */
    uint16_t extensions[HELLO_EXTENSIONS_MAX];
    uint32_t extension_count;
};

/* `bytes`: what came from the client since the beginning, one or more TLS records; what follows
 * the message is not looked at. `scratch` gets the message when it is spread over records. */
enum hello_result hello_parse(struct slice bytes, char scratch[HELLO_BYTES_MAX], struct hello *out);
/* The handshake message alone, from its type byte on: HELLO_OK or HELLO_BAD. */
enum hello_result hello_parse_message(struct slice message, struct hello *out);

/* Iterates over h->alpn: start with *rest = h->alpn; false at the end. */
bool hello_next_alpn(struct slice *rest, struct slice *name);

/* "t13d1516h2_8daaf6152771_e5627efa2ab1", NUL-terminated. */
void hello_ja4(const struct hello *h, char to[HELLO_JA4_BYTES + 1]);
