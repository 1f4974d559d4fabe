/* err.c - the rows of err.def as a table.
 *
 * An enum value out of range is one of our bugs and asserts. */
// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"
#include "base/assert.h"
#include <string.h>

static const struct err_row err_rows[ERR_COUNT] = {
#define ERR(id, name, status, level, text) [ERR_##id] = {name, status, level, text},
#include "base/err.def"
#undef ERR
};

const struct err_row *err_row(enum err e)
{
    ASSERT((unsigned)e < ERR_COUNT);
    return &err_rows[e];
}

bool err_is_tls(enum err e)
{
    return strncmp(err_row(e)->name, "tls_", 4) == 0;
}

const char *err_name(enum err e)
{
    return err_row(e)->name;
}
