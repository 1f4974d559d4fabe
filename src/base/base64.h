/* base64.h - RFC 4648: base64 with padding, and base64url without. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum base64_alphabet {
    BASE64,    /* section 4: + and /, padded to groups of four */
    BASE64_URL /* section 5: - and _, not padded */
};

#define BASE64_CHARS(bytes) (((bytes) + 2) / 3 * 4) /* room for base64_write() */
#define BASE64_BYTES(chars) ((chars) / 4 * 3 + 2)   /* room for base64_read() */

/* Returns how many characters were written; they are not terminated. */
size_t base64_write(char *to, const uint8_t *from, size_t len, enum base64_alphabet a);
int base64_value(char c, enum base64_alphabet a); /* 0..63, or -1 */
/* Reads what base64_write() would write, and no other spelling of the same bytes: no blanks,
 * padding just where the alphabet has it, no bits beyond the last byte. False: it is something
 * else; *len is untouched, `to` may have been written to. */
bool base64_read(uint8_t *to, size_t *len, struct slice from, enum base64_alphabet a);
