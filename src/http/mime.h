/* mime.h - media types by the extension of a file's name. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"

/* What follows the last dot of the path's last segment; empty: none. */
struct slice mime_extension(struct slice path);
/* A Content-Type for the extension, in any letter case; .at NULL when it is not known. */
struct slice mime_find(struct slice extension);
