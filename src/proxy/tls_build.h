/* tls_build.h - what a site shows on listeners that speak TLS: certificates, versions, whom it lets
 * in. Built once with the snapshot, then read-only.
 *
 * Owner: the snapshot. It holds one count on every certificate; identities borrow them. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/diag.h"
#include "tls/tls.h"

/* A certificate of the configuration. */
struct proxy_cert {
    struct proxy_cert *next;
    struct tls_cert *cert; /* counted */
    struct slice label;    /* its file; "local CA" for one that weir made */
    struct conf_pos pos;
};

/* A folder that certificates are read from. */
struct proxy_folder {
    struct proxy_folder *next;
    const char *path;
};

struct conf;
struct conf_build;
struct listen_conf;
struct site;

/* What a site has to do with TLS. */
struct site_tls {
    struct tls_policy policy; /* sealed */
    struct proxy_cert **certs;
    uint32_t cert_count;
    bool local; /* the certificate is from the local CA */
};

/* A listener that is none of the configuration's sites': it speaks TLS as the `tls` lines in the
 * block s->node say, whatever name a client asks for. Errors go to b->diag. */
void listen_tls_alone(struct conf_build *b, struct conf *c, struct listen_conf *l, struct site *s);
