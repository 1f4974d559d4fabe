/* rows_verify.h - the test that every row has to pass, whatever module it comes from. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

/* Adds a line to `problems` for everything that is wrong with the rows: a text or usage that is
 * missing, a default, limit or example that is refused, junk that is accepted or refused without
 * its place, a value past a limit that is accepted, two rows of one name in one place. */
void conf_rows_verify(const struct conf_schema *s, struct text *problems);
