/* password.h - passwords and their hashes, as crypt(5) has them: bcrypt, yescrypt, SHA-256-crypt
 * and SHA-512-crypt. All that is made to be slow: verifying one takes from milliseconds to seconds.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>

enum {
    PASSWORD_MAX = 511,      /* bytes; what crypt takes */
    PASSWORD_HASH_MAX = 383, /* bytes of a hash */
};

/* NULL: a hash that passwords are verified with here. Else what is wrong with it, for people, and
 * in *hint (which may become NULL) what to do. */
const char *password_hash_refused(struct slice hash, const char **hint);

/* `hash` is NUL-terminated and was not refused. Takes the same time whether it fits or not. Any
 * thread; its stack must have room for 40 KB. */
bool password_verify(struct slice password, const char *hash);

enum password_kind { PASSWORD_YESCRYPT, PASSWORD_BCRYPT, PASSWORD_SHA512 };

/* A hash of it with new salt, NUL-terminated. False: the system's library can not (not every build
 * has every kind), or the password is empty, too long for the kind, or has a NUL. */
bool password_hash_make(enum password_kind kind, struct slice password,
                        char to[PASSWORD_HASH_MAX + 1]);
