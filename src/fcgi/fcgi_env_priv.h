/* fcgi_env_priv.h - the names and values that a request is to an application (RFC 3875 4.1). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

/* One of them; the value in parts. */
typedef enum err fcgi_env_put(void *ctx, struct slice name, const struct slice *value,
                              size_t parts);

/* What the head says (method, body, fields), then what m->cgi says. Fields come as HTTP_NAME, lines
 * of one field joined. Left out are: hop-by-hop fields; those of the body, which have names of
 * their own; Proxy, since HTTP_PROXY is where many libraries look for a proxy; names with other
 * characters than letters, digits and '-', as "a_b" would pass for "a-b"; and those that m->cgi
 * names. */
enum err fcgi_env_each(const struct message *m, fcgi_env_put *put, void *ctx) MUST_CHECK;
