/* files.h - the local origin behind `files`: static files of a folder. Its scope is a struct
 * settings; it sets the target. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "proxy/target.h"

conf_apply_fn files_apply;
extern const struct directive files_options[];
extern const struct local_origin files_origin;
