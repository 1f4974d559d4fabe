/* assert.h - assertions for our own bugs, on in release too; never for input.
 *
 * A failed ASSERT prints the condition and place to stderr with write(2) and calls abort(). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>

__attribute__((noreturn, cold)) void assert_failed(const char *cond, const char *file, int line);

#define ASSERT(cond) ((cond) ? (void)0 : assert_failed(#cond, __FILE__, __LINE__))
#define COUNT_OF(a)  (sizeof(a) / sizeof(*(a)))

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
