/* unit_main.c - runs every suite of the generated list; an argument is a pattern of names: of
 * suites (FOLDER_FILE), which run whole, or of cases. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>

extern const struct unit_suite *const unit_suites[];

static bool matches(const char *pattern, const char *name)
{
    return !pattern || fnmatch(pattern, name, 0) == 0;
}

/* How many cases of it are wanted; *pattern becomes NULL when it is the suite's. */
static size_t wanted(const struct unit_suite *s, const char **pattern)
{
    size_t count = 0;
    if (matches(*pattern, s->name))
        *pattern = NULL;
    for (size_t i = 0; i < s->count; i++)
        count += matches(*pattern, s->tests[i].name);
    return count;
}

int main(int argc, char **argv)
{
    int failed = 0;
    size_t count = 0;
    setvbuf(stdout, NULL, _IOLBF, 0); /* a crash is to leave the lines before it in a pipe, too */
    for (const struct unit_suite *const *s = unit_suites; *s; s++) {
        const char *pattern = argc > 1 ? argv[1] : NULL;
        size_t here = wanted(*s, &pattern);
        if (here == 0)
            continue;
        cmocka_set_test_filter(pattern);
        failed += _cmocka_run_group_tests((*s)->name, (*s)->tests, (*s)->count, NULL, NULL);
        count += here;
    }
    if (count == 0)
        fprintf(stderr, "no suite and no case is called '%s'\n", argc > 1 ? argv[1] : "");
    printf("%zu passed, %d failed\n", count - (size_t)failed, failed);
    fflush(stdout); /* a leak that is found at exit ends the process at once */
    return failed != 0 || count == 0;
}
