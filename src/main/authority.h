/* authority.h - certificates of the local CA, as configuration sources give them. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/source.h"

/* Where the local CA is kept: WEIR_CA_DIR, else the folder that a service
 * manager gives (STATE_DIRECTORY), else the account's place (local_ca_default_dir()). False
 * with *why. */
bool authority_dir(struct text *dir, struct text *why);

/* conf_source.issue: from the CA that is kept, which is made when there is none. */
const char *authority_issue(const struct conf_source *s, const struct slice *names, uint32_t count,
                            struct text *cert, struct text *key);
/* The same for `check` and `explain`, which leave nothing behind: some certificate, for nobody. */
const char *authority_pretend(const struct conf_source *s, const struct slice *names,
                              uint32_t count, struct text *cert, struct text *key);

/* conf_source.secret: the one that is kept beside the CA. */
const char *authority_secret(const struct conf_source *s, uint8_t out[CONF_SECRET_BYTES]);
/* Some secret, which nothing is left of. */
const char *authority_pretend_secret(const struct conf_source *s, uint8_t out[CONF_SECRET_BYTES]);
