/* respond.h - the local origins behind `respond` and `redirect`. The scope of both is a
 * struct settings; they set its target. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "proxy/target.h"

conf_apply_fn respond_apply, redirect_apply;
extern const struct directive respond_options[]; /* type= */
extern const struct local_origin respond_origin, redirect_origin;
