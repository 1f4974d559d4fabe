/* tls_terms_priv.h - what `tls` lines say, before files are read. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

extern const struct directive tls_options[];

enum { TLS_LINES_MAX = 64 }; /* `tls` lines with a certificate, of one block */

/* What the `tls` lines of a block say, on top of those around it. */
struct tls_terms {
    const struct conf_node *lines[TLS_LINES_MAX]; /* with cert= or dir= */
    uint32_t line_count;
    const struct conf_node *last; /* where an error about the whole is told; NULL: no line */
    int64_t profile, version_min, version_max;
    int64_t client, depth;
    int64_t redirect;
    struct slice ciphers, ciphersuites, groups;
    struct conf_word ca, crl;
};
