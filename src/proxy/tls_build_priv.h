/* tls_build_priv.h - from `tls` lines to what listeners show. Private to src/proxy.
 *
 * tls_rows.c has the options, tls_build.c makes certificates and identities of them. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/build_priv.h"
#include "proxy/tls_build.h"

void tls_terms_defaults(struct tls_terms *t);
/* Reads the `tls` lines of `block`; certificates of the block replace inherited ones. */
void tls_terms_read(struct builder *bu, const struct conf_node *block, struct tls_terms *t);
/* The word of an option; NULL: not given. */
const struct conf_word *tls_option(const struct conf_node *n, const char *name);

/* The site stands on a listener with TLS: makes its certificates and policy at the first call. */
void site_tls_need(struct builder *bu, struct site *s);
/* Once the site has its places. Warns of `tls` lines that nobody reads; a site that requires client
 * certificates may not be served over plain HTTP. */
enum site_plain { SITE_NOT_PLAIN, SITE_PLAIN };
void site_plain_check(struct builder *bu, const struct site *s, enum site_plain plain);
/* One name of the site on that listener. */
void listen_tls_name(struct builder *bu, struct listen_conf *l, struct site *s, struct slice name);
/* After all sites: who answers to an unknown name, and what is agreed on. */
void listen_tls_finish(struct listen_conf *l);
/* The site of plain listeners that sends clients to `s` on `secure`. */
struct site *redirect_twin(struct builder *bu, struct site *s, const struct listen_conf *secure);
void proxy_tls_release(struct proxy_conf *p);
