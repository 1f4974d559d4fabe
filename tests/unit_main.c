/* unit_main.c - runs every suite of the generated list; an argument is a pattern of names. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include <stdio.h>

extern const struct unit_suite *const unit_suites[];

int main(int argc, char **argv)
{
    int failed = 0;
    size_t count = 0;
    setvbuf(stdout, NULL, _IOLBF, 0); /* a crash is to leave the lines before it in a pipe, too */
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    for (const struct unit_suite *const *s = unit_suites; *s; s++) {
        failed += _cmocka_run_group_tests((*s)->name, (*s)->tests, (*s)->count, NULL, NULL);
        count += (*s)->count;
    }
    printf("%zu passed, %d failed\n", count - (size_t)failed, failed);
    fflush(stdout); /* a leak that is found at exit ends the process at once */
    return failed != 0;
}
