/* challenge.c - what it costs to ask, to check an answer, and to check a pass.
 *
 * `make bench-challenge` builds and runs it. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/challenge_priv.h"
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 200000, REPEATS = 5, NOW_S = 1790000000, BITS = 8 };

static const challenge_key key = "bench";
static struct challenge_client client = {
    .site = SLICE_INIT("shop.example.com"),
    .agent = SLICE_INIT("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                        "Chrome/130.0.0.0 Safari/537.36"),
};
static const struct challenge_proof proof = {BITS, NOW_S};
static char ask[CHALLENGE_ASK_CHARS], pass[CHALLENGE_PASS_CHARS];
static char answer[CHALLENGE_ASK_CHARS + 1 + CHALLENGE_DIGITS_MAX + 1];

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static bool one_ask(void)
{
    static const uint8_t random_bytes[CHALLENGE_RANDOM_BYTES];
    challenge_ask_write(key, &client, &proof, random_bytes, ask);
    return true;
}

static bool one_answer(void)
{
    struct challenge_proof p;
    return challenge_answer_read(key, &client, slice_of(answer), NOW_S, BITS, &p) == CHALLENGE_GOOD;
}

static bool one_pass(void)
{
    struct challenge_proof p;
    return challenge_pass_read(key, &client, (struct slice){pass, sizeof pass}, NOW_S, 3600, BITS,
                               &p) == CHALLENGE_GOOD;
}

static void measure(const char *what, bool (*one)(void))
{
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        int64_t began = now_ns();
        for (int i = 0; i < ROUNDS; i++)
            if (!one())
                return;
        double ns = (double)(now_ns() - began) / ROUNDS;
        best = ns < best ? ns : best;
    }
    printf("%-18s %7.0f ns\n", what, best);
}

int main(void)
{
    one_ask();
    challenge_pass_write(key, &client, &proof, pass);
    for (unsigned n = 0; !one_answer(); n++)
        snprintf(answer, sizeof answer, "%.*s.%u", CHALLENGE_ASK_CHARS, ask, n);
    measure("make a question", one_ask);
    measure("check an answer", one_answer);
    measure("check a pass", one_pass);
    return 0;
}
