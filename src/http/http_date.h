/* http_date.h - reads HTTP dates (RFC 9110 5.6.7) in all three forms that a recipient must take. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

/* False when `s` is none of the forms, or no day of the calendar. `now_s` decides in which century
 * the two digits of an RFC 850 year lie: at most 50 years in the future. */
bool http_date_parse(struct slice s, int64_t now_s, int64_t *unix_s);
