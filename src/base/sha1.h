/* sha1.h - SHA-1 (FIPS 180-4) of short texts. Broken as a signature; protocols still ask for it
 * where it proves nothing (RFC 6455 4.2.2). Nothing that has to be safe may use it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum { SHA1_BYTES = 20 };

void sha1_of(struct slice s, uint8_t to[SHA1_BYTES]);
