/* limits.c - what a check of a limit costs, with a million keys at work.
 *
 * `make bench-limits` builds and runs it. Each check hashes an address and asks for a rate, as a
 * request does. Keys are drawn at random from all (no cache holds them), or with a few hot ones.
 * What drawing costs is measured without a check and taken off.
 *
 * "ahead": the key was known while the check before it was made, as when several limits apply to a
 * request. "key": hashing the address alone. "access": one access to as much memory, where each has
 * to wait for the one before; a check that finds nothing in the caches takes that long at least. */
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"
#include "limit/addr_key.h"
#include "limit/meters.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { KEYS = 1000000, CHECKS = 4000000, REPEATS = 3, HOT = 1000, THREADS_MOST = 2 };

static struct meters_shared *meters;
static const struct rate RATE = {.step_ns = 1000000, .burst = 20};

enum what { DRAW, KEY, CHECK, CHECK_AHEAD, ACCESS };

enum { LINE_BYTES = 64, LINES = KEYS / 2 };

static struct line {
    uint32_t value;
} __attribute__((aligned(LINE_BYTES))) * lines;

struct run {
    uint32_t range; /* of keys */
    enum what what;
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

static uint64_t key_of(uint32_t n)
{
    struct addr_prefix p = prefix(n);
    return addr_prefix_key(&p);
}

/* The value is 0, but only the memory knows. */
static uint32_t access_line(uint32_t n)
{
    return __atomic_load_n(&lines[n % LINES].value, __ATOMIC_RELAXED);
}

static uint64_t check(uint64_t key, int64_t i)
{
    return (uint64_t)meters_rate(meters, key, &RATE, i * 100).left;
}

static uint64_t check_ahead(uint64_t *key, uint32_t n, int64_t i)
{
    uint64_t next = key_of(n);
    meters_prefetch(meters, next);
    uint64_t left = check(*key, i);
    *key = next;
    return left;
}

static void *rounds(void *ctx)
{
    struct run *r = ctx;
    struct rand rnd;
    rand_init(&rnd, r->seed);
    uint64_t key = key_of(0);
    uint32_t value = 0;
    int64_t began = now_ns();
    for (int64_t i = 0; i < CHECKS; i++) {
        uint32_t n = rand_below(&rnd, r->range);
        switch (r->what) {
        case DRAW: r->sum += n; break;
        case KEY: r->sum += key_of(n); break;
        case CHECK: r->sum += check(key_of(n), i); break;
        case CHECK_AHEAD: r->sum += check_ahead(&key, n, i); break;
        case ACCESS: value = access_line(n + value); break;
        }
    }
    r->ns = (double)(now_ns() - began) / CHECKS;
    r->sum += value;
    return NULL;
}

static double together(unsigned threads, uint32_t range, enum what what)
{
    pthread_t ids[THREADS_MOST];
    struct run runs[THREADS_MOST];
    double sum = 0;
    for (unsigned i = 0; i < threads; i++) {
        runs[i] = (struct run){.range = range, .what = what, .seed = i + 1};
        pthread_create(&ids[i], NULL, rounds, &runs[i]);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum += runs[i].ns;
    }
    return sum / threads;
}

static double cost(unsigned threads, uint32_t range, enum what what)
{
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double ns = together(threads, range, what) - together(threads, range, DRAW);
        best = ns < best ? ns : best;
    }
    return best;
}

static void lines_make(void)
{
    size_t bytes = sizeof *lines * LINES, huge = 2 << 20;
    lines = aligned_alloc(huge, (bytes + huge - 1) / huge * huge);
    if (!lines)
        abort();
    (void)madvise(lines, bytes, MADV_HUGEPAGE);
    memset(lines, 0, bytes);
}

static void row(unsigned threads, const char *what, double ns)
{
    printf("%u thread%s, %-24s %8.1f\n", threads, threads > 1 ? "s" : " ", what, ns);
}

int main(void)
{
    meters = meters_take(SLICE("bench"), KEYS);
    lines_make();
    for (uint32_t i = 0; i < KEYS; i++)
        meters_rate(meters, key_of(i), &RATE, 1);
    printf("%llu keys of %d have a place\n%s\n", (unsigned long long)meters_used(meters), KEYS,
           "ns a check");
    for (unsigned threads = 1; threads <= THREADS_MOST; threads++) {
        row(threads, "key", cost(threads, KEYS, KEY));
        row(threads, "one of 1000", cost(threads, HOT, CHECK));
        row(threads, "any of 1000000", cost(threads, KEYS, CHECK));
        row(threads, "any of 1000000, ahead", cost(threads, KEYS, CHECK_AHEAD));
        row(threads, "access", cost(threads, KEYS, ACCESS));
    }
    meters_drop(meters);
    free(lines);
    return 0;
}
