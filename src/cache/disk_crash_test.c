/* disk_crash_test.c - a process that saves, replaces, validates and purges is killed at any moment;
 * what the next one finds is whole, and what was purged stays away. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_rig_test.h"
#include <signal.h>
#include <sys/wait.h>

enum { ROUNDS = 16, KEYS = 40, PURGED_FROM = 1000, LIFE_MAX_US = 60000, SECONDS_MAX = 60 };
#define OPEN UINT32_MAX /* what the child says first */

/* --- the one that dies ------------------------------------------------------------------------ */

static void must(bool good)
{
    if (!good)
        _exit(1);
}

static void child_put(struct disk_rig *r, unsigned n, uint64_t bytes)
{
    rig_put(r->c, n, bytes);
    struct object_shared *o = disk_rig_find(r, n);
    must(o != NULL);
    cache_save(r->c, o);
    object_drop(o);
}

/* A 304: its head changes while it may still be on its way to the disk. */
static void child_validate(struct disk_rig *r, unsigned n)
{
    char text[RIG_KEY_BYTES];
    struct object_shared *old = disk_rig_find(r, n);
    struct content_shared *k = old ? cache_content_get(r->c, old) : NULL;
    if (k) {
        struct cache_key key = rig_key(text, n);
        struct object_shared *o = rig_object_with(r->c, &key, k, &(struct rig_object){0});
        cache_insert(r->c, o, cache_now(r->c));
        object_drop(o);
    }
    if (old)
        object_drop(old);
}

/* Tells the parent what it must not find. */
static void child_purge(struct disk_rig *r, unsigned n, int to)
{
    uint64_t id, count;
    char text[RIG_KEY_BYTES];
    struct purge_order p = {PURGE_URL, PURGE_HARD, rig_key(text, n).text};
    must(purge_add(r->c, &p, &id) == ERR_OK);
    while (!purge_result(r->c, id, &count))
        disk_rig_pause();
    must(write(to, &n, sizeof n) == sizeof n);
}

static void child(struct disk_rig *r, uint64_t seed, int to)
{
    struct rand rand;
    rand_init(&rand, seed);
    disk_rig_open(r);
    unsigned open = OPEN;
    must(write(to, &open, sizeof open) == sizeof open);
    for (unsigned turn = 0;; turn++) {
        unsigned n = rand_below(&rand, KEYS);
        child_put(r, n, rand_below(&rand, turn % 8 ? 20000 : 300000));
        child_validate(r, rand_below(&rand, KEYS));
        child_put(r, PURGED_FROM + turn, 1000);
        if (turn % 4 == 0)
            child_purge(r, PURGED_FROM + turn, to);
    }
}

/* --- the one that looks ----------------------------------------------------------------------- */

static unsigned check_found(struct disk_rig *r)
{
    unsigned found = 0;
    for (unsigned n = 0; n < KEYS; n++) {
        struct object_shared *o = disk_rig_find(r, n);
        if (!o)
            continue;
        found++;
        assert_true(disk_rig_body_is(r, o, 0, object_length(o)));
        object_drop(o);
    }
    assert_int_equal(rig_stats(r->c).disk_errors, 0);
    assert_int_equal(disk_rig_files_in(r, "new"), 0);
    return found;
}

static unsigned check_purged(struct disk_rig *r, int from)
{
    unsigned n, count = 0;
    while (read(from, &n, sizeof n) == sizeof n) {
        if (n == OPEN)
            continue;
        assert_false(disk_rig_has(r, n));
        count++;
    }
    return count;
}

/* In one round of four it may die before the tier is open. */
static void wait_open(unsigned round, int from)
{
    unsigned n;
    if (round % 4 != 3)
        assert_int_equal(read(from, &n, sizeof n), sizeof n);
}

static void kill_child(struct disk_rig *r, unsigned round, uint64_t seed, const int fds[2],
                       unsigned life_us)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child(r, seed, fds[1]);
        _exit(1);
    }
    wait_open(round, fds[0]);
    nanosleep(&(struct timespec){.tv_nsec = (long)life_us * 1000}, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void a_killed_process_leaves_whole_objects(void **state)
{
    (void)state;
    struct disk_rig r;
    struct rand rand;
    char text[RIG_KEY_BYTES];
    unsigned found = 0, purged = 0;
    time_t end = time(NULL) + SECONDS_MAX;
    rig_key(text, 0); /* the secret of hashes is drawn: bodies are made of it */
    rand_init_system(&rand);
    uint64_t seed = rand_next(&rand);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_init(&rand, seed);
    disk_rig_folder(&r);
    for (unsigned round = 0; round < ROUNDS && time(NULL) < end; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        uint64_t next = rand_next(&rand);
        kill_child(&r, round, next, fds, 1 + rand_below(&rand, LIFE_MAX_US));
        close(fds[1]);
        disk_rig_open(&r);
        found += check_found(&r);
        purged += check_purged(&r, fds[0]);
        disk_rig_close(&r);
        close(fds[0]);
    }
    print_message("%u objects found, %u purges kept\n", found, purged);
    assert_true(found > 0 && purged > 0);
    disk_rig_remove(&r);
}

UNIT_SUITE(cache_disk_crash, cmocka_unit_test(a_killed_process_leaves_whole_objects));
