/* main.c - runs a whole worker on the simulated network, one world per seed.
 *
 *     sim [-n SEEDS] [-s FIRST] [-j PROCESSES] [-t] [-v]
 *
 * -t prints every event on stderr, -v what happened over all seeds. Every HASH_EVERYth seed runs
 * twice and must run the same way. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/log.h"
#include "tests/sim/sim.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SEEDS = 1000,
    PROCESSES = 2,
    PROCESSES_MAX = 64,
    HASH_EVERY = 50,
    SEED_SECONDS_MAX = 120, /* under a sanitizer, on a busy machine */
};

struct options {
    uint64_t first, count;
    uint32_t processes;
    bool trace, verbose;
};

static bool tracing;
static volatile uint64_t running_seed;

/* A seed that never comes to rest is a broken promise, too. */
static void too_long(int signo)
{
    (void)signo;
    dprintf(STDERR_FILENO, "sim: seed %llu takes too long; replay with: sim -s %llu -n 1 -t\n",
            (unsigned long long)running_seed, (unsigned long long)running_seed);
    abort();
}

/* Assertions of weir itself end the process, too. */
static void crashed(int signo)
{
    dprintf(STDERR_FILENO, "sim: signal %d; replay with: sim -s %llu -n 1 -t\n", signo,
            (unsigned long long)running_seed);
    signal(signo, SIG_DFL);
    raise(signo);
}

void sim_broken(const struct sim_world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "sim: seed %llu at %lld ms: ", (unsigned long long)w->seed,
            (long long)sim_now_ms(w->net));
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    abort();
}

void sim_say(const struct sim_world *w, const char *fmt, ...)
{
    va_list ap;
    if (!tracing)
        return;
    va_start(ap, fmt);
    fprintf(stderr, "sim %lld ms  ", (long long)sim_now_ms(w->net));
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
}

bool sim_tracing(void)
{
    return tracing;
}

static bool run_one(uint64_t seed)
{
    running_seed = seed;
    alarm(SEED_SECONDS_MAX);
    uint64_t hash = sim_seed_run(seed);
    if (seed % HASH_EVERY != 0 || sim_seed_run(seed) == hash)
        return true;
    fprintf(stderr, "sim: seed %llu runs differently the second time\n", (unsigned long long)seed);
    return false;
}

/* Seeds are dealt in turn, so that each process gets its share of the heavy ones. */
static bool run_share(const struct options *o, uint32_t process)
{
    uint8_t key[16] = {0};
    hash_secret_init(key);
    signal(SIGALRM, too_long);
    signal(SIGABRT, crashed);
    signal(SIGSEGV, crashed);
    log_error_set(0, LOG_ERROR_);
    for (uint64_t i = process; i < o->count; i += o->processes)
        if (!run_one(o->first + i))
            return false;
    return true;
}

static bool run_all(const struct options *o)
{
    pid_t pids[PROCESSES_MAX];
    bool good = true;
    fflush(NULL);
    for (uint32_t i = 0; i < o->processes; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            exit(run_share(o, i) ? 0 : 1);
    }
    for (uint32_t i = 0; i < o->processes; i++) {
        int status;
        good &= waitpid(pids[i], &status, 0) == pids[i] && status == 0;
    }
    return good;
}

static bool options_read(struct options *o, int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "n:s:j:tv")) != -1;) {
        switch (c) {
        case 'n': o->count = strtoull(optarg, NULL, 10); break;
        case 's': o->first = strtoull(optarg, NULL, 10); break;
        case 'j': o->processes = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 't': o->trace = true; break;
        case 'v': o->verbose = true; break;
        default: return false;
        }
    }
    return o->processes >= 1 && o->processes <= PROCESSES_MAX && optind == argc;
}

int main(int argc, char **argv)
{
    struct options o = {.first = 1, .count = SEEDS, .processes = PROCESSES};
    if (!options_read(&o, argc, argv)) {
        fprintf(stderr, "usage: sim [-n SEEDS] [-s FIRST] [-j PROCESSES] [-t] [-v]\n");
        return 2;
    }
    tracing = o.trace;
    coverage_init();
    bool good = o.processes == 1 || o.count == 1
                    ? run_share(&(struct options){o.first, o.count, 1, 0, 0}, 0)
                    : run_all(&o);
    if (o.verbose)
        coverage_print();
    if (good && o.count >= SEEDS)
        good = coverage_complete();
    printf("sim: %llu passed, %d failed\n", (unsigned long long)(good ? o.count : 0), !good);
    return good ? 0 : 1;
}
