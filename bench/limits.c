/* limits.c - what a check of a limit costs, with a million keys at work.
 *
 * `make bench-limits` builds and runs it. Each check hashes an address and asks for a rate, as a
 * request does. Keys are drawn at random from all (no cache holds them), or with a few hot ones.
 * What drawing costs is measured without a check and taken off. */
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"
#include "limit/addr_key.h"
#include "limit/meters.h"
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { KEYS = 1000000, CHECKS = 4000000, REPEATS = 3, HOT = 1000, THREADS_MOST = 2 };

static struct meters_shared *meters;
static const struct rate RATE = {.step_ns = 1000000, .burst = 20};

struct run {
    uint32_t range; /* of keys */
    bool checks;
    double ns;
    uint64_t seed, sum;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct addr_prefix prefix(uint32_t n)
{
    struct addr a = {.len = sizeof a.in, .in.sin_family = AF_INET};
    a.in.sin_addr.s_addr = n;
    return addr_prefix_of(&a, (struct addr_bits){ADDR_BITS_V4, ADDR_BITS_V6});
}

static void *rounds(void *ctx)
{
    struct run *r = ctx;
    struct rand rnd;
    rand_init(&rnd, r->seed);
    int64_t began = now_ns();
    for (int64_t i = 0; i < CHECKS; i++) {
        uint32_t n = rand_below(&rnd, r->range);
        if (r->checks) {
            struct addr_prefix p = prefix(n);
            r->sum += (uint64_t)meters_rate(meters, addr_prefix_key(&p), &RATE, i * 100).left;
        } else {
            r->sum += n;
        }
    }
    r->ns = (double)(now_ns() - began) / CHECKS;
    return NULL;
}

static double together(unsigned threads, uint32_t range, bool checks)
{
    pthread_t ids[THREADS_MOST];
    struct run runs[THREADS_MOST];
    double sum = 0;
    for (unsigned i = 0; i < threads; i++) {
        runs[i] = (struct run){.range = range, .checks = checks, .seed = i + 1};
        pthread_create(&ids[i], NULL, rounds, &runs[i]);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum += runs[i].ns;
    }
    return sum / threads;
}

static double cost(unsigned threads, uint32_t range)
{
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double ns = together(threads, range, true) - together(threads, range, false);
        best = ns < best ? ns : best;
    }
    return best;
}

int main(void)
{
    meters = meters_take(SLICE("bench"), KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct addr_prefix p = prefix(i);
        meters_rate(meters, addr_prefix_key(&p), &RATE, 1);
    }
    printf("%llu keys of %d have a place\n", (unsigned long long)meters_used(meters), KEYS);
    printf("%-28s %8s\n", "ns a check", "");
    for (unsigned threads = 1; threads <= THREADS_MOST; threads++) {
        printf("%u thread%s, any of %-10d %8.1f\n", threads, threads > 1 ? "s" : " ", KEYS,
               cost(threads, KEYS));
        printf("%u thread%s, one of %-10d %8.1f\n", threads, threads > 1 ? "s" : " ", HOT,
               cost(threads, HOT));
    }
    meters_drop(meters);
    return 0;
}
