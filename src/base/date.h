/* date.h - HTTP dates (RFC 9110 5.6.7) and log times, from seconds since 1970 (64 bits). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum { DATE_HTTP_BYTES = 29, DATE_ISO_BYTES = 24, DATE_CLF_BYTES = 26 };

void date_write_http(char to[DATE_HTTP_BYTES], int64_t unix_s); /* IMF-fixdate */
void date_write_iso(char to[DATE_ISO_BYTES], int64_t unix_ms);  /* 2026-01-02T03:04:05.678Z */
void date_write_clf(char to[DATE_CLF_BYTES], int64_t unix_s);   /* 02/Jan/2026:03:04:05 +0000 */
