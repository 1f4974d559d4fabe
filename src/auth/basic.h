/* basic.h - user and password of an Authorization field (RFC 7617). Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"

enum { BASIC_CHARS_MAX = 1024, BASIC_USER_MAX = 255, BASIC_BYTES = BASIC_CHARS_MAX / 4 * 3 + 2 };

enum basic_verdict {
    BASIC_NONE, /* another scheme */
    BASIC_BAD,  /* it can not be read in one way alone */
    BASIC_READ,
};

struct basic_pair {
    struct slice user, password; /* in the buffer */
};

/* Bytes are taken as they are: who stores UTF-8 compares UTF-8. A user without a name, or with one
 * of more than BASIC_USER_MAX bytes, passwords that are longer than any hash takes, controls,
 * base64 that is not written in the one right way: all BASIC_BAD. `to` has had a password in it
 * afterwards: the caller wipes it. */
enum basic_verdict basic_read(struct slice value, char to[BASIC_BYTES], struct basic_pair *out);
