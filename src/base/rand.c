/* rand.c - xoshiro256** (Blackman & Vigna, "Scrambled Linear Pseudorandom Number Generators",
 * 2018), its state filled by splitmix64 (Steele, Lea & Flood 2014) as its authors advise, so that
 * no seed gives the all-zero state. Ranges after Lemire, "Fast Random Integer Generation in an
 * Interval" (2019). */
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"
#include "base/assert.h"
#include <errno.h>
#include <sys/random.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void rand_init(struct rand *r, uint64_t seed)
{
    for (size_t i = 0; i < COUNT_OF(r->s); i++)
        r->s[i] = splitmix64(&seed);
}

void rand_init_system(struct rand *r)
{
    uint64_t seed;
    rand_secret(&seed, sizeof(seed));
    rand_init(r, seed);
}

static uint64_t rotate_left(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

uint64_t rand_next(struct rand *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint32_t rand_below(struct rand *r, uint32_t n)
{
    ASSERT(n > 0);
    uint64_t wide = (rand_next(r) >> 32) * n;
    uint32_t refused_below = -n % n; /* 2^32 mod n: without it small results come too often */
    while ((uint32_t)wide < refused_below)
        wide = (rand_next(r) >> 32) * n;
    return (uint32_t)(wide >> 32);
}

void rand_secret(void *to, size_t len)
{
    char *at = to;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            ASSERT(errno == EINTR); /* Linux before 3.17 is not supported */
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}
