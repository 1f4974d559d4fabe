/* schema.h - every directive there is, as one schema. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

/* Made at the first call, on the main thread; lives until the process ends. */
const struct conf_schema *schema_all(void);
/* Is `row` one of the rows of this table? */
bool schema_row_in(const struct directive *rows, const struct directive *row);
