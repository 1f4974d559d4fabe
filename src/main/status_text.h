/* status_text.h - the JSON of /status as a table for people. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include <stdbool.h>

bool status_installing(struct slice json); /* is a reload still on its way? */
/* False when `json` is not a status. */
bool status_text_write(struct slice json, struct text *out);
