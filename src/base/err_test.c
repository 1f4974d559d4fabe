/* err_test.c - what every row of err.def must keep, and TRY(). */
// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"
#include "base/slice.h"
#include "tests/unit.h"

static void is_snake_case(const char *name)
{
    assert_non_null(name);
    assert_true(name[0] >= 'a' && name[0] <= 'z');
    assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
    assert_null(strstr(name, "__"));
    assert_true(name[strlen(name) - 1] != '_');
}

static void rows_are_complete(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        const struct err_row *row = err_row((enum err)e);
        is_snake_case(row->name);
        assert_true(strlen(row->text) > 0 && strlen(row->text) < 100);
        assert_true(row->text[strlen(row->text) - 1] != '.');
        assert_true(row->level <= LOG_ERROR_);
        assert_true(row->status == 0 || (row->status >= 400 && row->status <= 599));
    }
}

static void names_are_unique(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        for (int other = 0; other < e; other++)
            assert_string_not_equal(err_name((enum err)e), err_name((enum err)other));
    }
}

static void ok_is_zero(void **state)
{
    (void)state;
    assert_int_equal(ERR_OK, 0);
    assert_string_equal(err_name(ERR_OK), "ok");
    assert_int_equal(err_row(ERR_HEAD_TOO_LARGE)->status, 431);
}

static enum err tries(enum err first, int *reached)
{
    TRY(first);
    ++*reached;
    return ERR_OK;
}

static void try_leaves_with_error(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(tries(ERR_IO, &reached), ERR_IO);
    assert_int_equal(reached, 0);
    assert_int_equal(tries(ERR_OK, &reached), ERR_OK);
    assert_int_equal(reached, 1);
}

UNIT_SUITE(base_err, cmocka_unit_test(rows_are_complete), cmocka_unit_test(names_are_unique),
           cmocka_unit_test(ok_is_zero), cmocka_unit_test(try_leaves_with_error));
