/* asan.h - tells the address sanitizer about memory that our own pools manage.
 *
 * ASAN_ON is 1 in builds with it (gcc or clang), else 0; TSAN_ON the same of the thread sanitizer.
 * ASAN_CLOSE() makes every access to a region an error until ASAN_OPEN(); both are nothing without
 * it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define ASAN_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) /* clang */
#define ASAN_ON 1
#endif
#endif

#ifdef __SANITIZE_THREAD__ /* gcc */
#define TSAN_ON 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) /* clang */
#define TSAN_ON 1
#endif
#endif
#ifndef TSAN_ON
#define TSAN_ON 0
#endif

#ifdef ASAN_ON
#include <stddef.h>
/* From the sanitizer's interface, but without its const, for which gcc sees uninitialised reads. */
void __asan_poison_memory_region(void volatile *at, size_t len);
void __asan_unpoison_memory_region(void volatile *at, size_t len);
#define ASAN_CLOSE(at, len) __asan_poison_memory_region((at), (len))
#define ASAN_OPEN(at, len)  __asan_unpoison_memory_region((at), (len))
#else
#define ASAN_ON             0
#define ASAN_CLOSE(at, len) ((void)(at), (void)(len))
#define ASAN_OPEN(at, len)  ((void)(at), (void)(len))
#endif
