/* assert_test.c - a failed assertion says where it was and aborts; one that holds is silent. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "tests/unit.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs ASSERT(2 == `sum`) in a child; returns its wait status, its stderr in to[cap]. */
static int status_of_assert(int sum, char *to, size_t cap)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        ASSERT(2 == sum);
        _exit(0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], to, cap - 1);
    to[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void aborts_with_place(void **state)
{
    (void)state;
    char text[512];
    int status = status_of_assert(3, text, sizeof(text));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "2 == sum"));
    assert_non_null(strstr(text, "assert_test.c:"));
}

static void holds_silently(void **state)
{
    (void)state;
    char text[512];
    assert_int_equal(status_of_assert(2, text, sizeof(text)), 0);
    assert_string_equal(text, "");
}

struct outer {
    int before, member;
};

static void finds_container(void **state)
{
    (void)state;
    struct outer o;
    assert_ptr_equal(CONTAINER_OF(&o.member, struct outer, member), &o);
}

UNIT_SUITE(base_assert, cmocka_unit_test(aborts_with_place), cmocka_unit_test(holds_silently),
           cmocka_unit_test(finds_container));
