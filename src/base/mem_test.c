/* mem_test.c - control-plane allocation, and its end of the process. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "tests/unit.h"
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void zeroes_and_copies(void **state)
{
    (void)state;
    char *at = mem_new(3);
    assert_memory_equal(at, "\0\0\0", 3);
    memcpy(at, "abc", 3);
    at = mem_grow(at, 1000);
    assert_memory_equal(at, "abc", 3);
    char *copy = mem_dup(at, 3);
    assert_string_equal(copy, "abc");
    free(copy);
    free(at);
    copy = mem_dup(NULL, 0);
    assert_string_equal(copy, "");
    free(copy);
    free(mem_new(0));
}

static void out_of_memory_exits(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        volatile size_t too_much = (size_t)1 << 60;
        free(mem_grow(NULL, too_much));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 0);
}

UNIT_SUITE(base_mem, cmocka_unit_test(zeroes_and_copies), cmocka_unit_test(out_of_memory_exits));
