/* unit.h - how a foo_test.c beside foo.c registers its cases with the one test binary.
 *
 *     static void parses_zero(void **state) { ... assert_int_equal(...); }
 *     UNIT_SUITE(base_num, cmocka_unit_test(parses_zero));
 *
 * The suite's name is FOLDER_FILE; the Makefile generates the list of suites from file names.
 * `build/V/unit [PATTERN]` runs the suites and cases whose name matches (shell pattern). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct unit_suite {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
};

#define UNIT_SUITE(id, ...)                                       \
    static const struct CMUnitTest unit_tests_[] = {__VA_ARGS__}; \
    const struct unit_suite suite_##id = {#id, unit_tests_,       \
                                          sizeof unit_tests_ / sizeof *unit_tests_}
