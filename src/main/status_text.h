/* status_text.h - the JSON of /status as a table for people. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

bool status_installing(struct slice json); /* is a reload still on its way? */
/* False when `json` is not a status. */
bool status_text_write(struct slice json, struct text *out);

bool servers_text_write(struct slice json, struct text *out); /* upstreams and servers only */

/* Who answers, and how the last upgrade went. */
struct status_upgrade {
    int64_t supervisor_pid;
    bool failed;
};
/* False: not an answer of /status. The reason of a failure is added to *why. */
bool status_upgrade_read(struct slice json, struct status_upgrade *out, struct text *why);
