/* rand.h - seeded pseudo-random numbers (xoshiro256**, Blackman & Vigna 2018); not for secrets. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>

struct rand {
    uint64_t s[4];
};

void rand_init(struct rand *r, uint64_t seed); /* the same seed gives the same sequence */
void rand_init_system(struct rand *r);         /* seeded from getrandom(2) */
uint64_t rand_next(struct rand *r);
uint32_t rand_below(struct rand *r, uint32_t n); /* uniform in 0..n-1; n > 0 */
void rand_secret(void *to, size_t len);          /* getrandom(2), for keys */
