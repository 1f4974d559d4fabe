/* num.h - numbers to and from text, without locale, sign surprises or overflow. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

/* Decimal digits only, all of `s`, at least one; ERR_BAD_NUMBER also when past 2^64-1. */
enum err num_parse_u64(struct slice s, uint64_t *out) MUST_CHECK;
enum err num_parse_hex(struct slice s, uint64_t *out) MUST_CHECK;
int num_hex_digit(char c); /* 0..15, or -1 */

enum { NUM_U64_MAX_BYTES = 20 };
/* Writes without NUL and returns the length. */
size_t num_write_u64(char *to, uint64_t v);
void num_write_hex16(char to[16], uint64_t v); /* all 16 digits */
size_t num_write_hex(char *to, uint64_t v);    /* lower case, no leading zeros, at most 16 bytes */
