/* sandbox_rows.h - the directive `sandbox`: how a worker process is confined. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

enum sandbox_mode {
    SANDBOX_ON,
    SANDBOX_LOG, /* system calls that would be refused are logged by the kernel; files are free */
    SANDBOX_OFF,
};

extern const struct directive sandbox_rows[]; /* scope: struct main_conf */
