/* server_log.h - lines of the error log about servers that fail and come back. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

void server_log_begin(void); /* before there are workers */
