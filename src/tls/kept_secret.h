/* kept_secret.h - random bytes that an installation makes once and keeps, beside its local CA; and
 * the directory for what else it keeps. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include <stdint.h>

enum { KEPT_SECRET_BYTES = 32 };

/* The secret in the file `name` of the directory, which is made (as its parents are) when there is
 * none. Two processes that ask at once get the same. False with *why: the directory can not be
 * written or is open to others, or the file is. Control plane. */
bool kept_secret(const char *dir, const char *name, uint8_t out[KEPT_SECRET_BYTES],
                 struct text *why);

/* That directory, made when there is none; nobody else may write to it. -1 with *why. */
int kept_dir_open(const char *dir, struct text *why);
