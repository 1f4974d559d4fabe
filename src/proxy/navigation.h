/* navigation.h - whether a request opens a page in a browser: only then is another page, such as a
 * login or a challenge, of any use as its answer. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>

struct exchange;

bool request_opens_page(const struct exchange *x);
