/* grpc.h - what a proxy has to know of gRPC over HTTP/2: who speaks it, statuses, deadlines. Pure.
 *
 * After PROTOCOL-HTTP2.md and http-grpc-status-mapping.md of the gRPC project. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"

/* Those that weir gives by itself. */
enum grpc_status {
    GRPC_UNKNOWN = 2,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
};

/* A Content-Type of gRPC: "application/grpc", "application/grpc+proto"; not that of gRPC-Web. */
bool grpc_is_type(struct slice content_type);

enum grpc_status grpc_status_of_http(uint16_t status);
/* What the HTTP status of the error's row can not tell: a time that was over, a size. */
enum grpc_status grpc_status_of_err(enum err e);

enum { GRPC_TIMEOUT_BYTES = 9 };
/* 1 to 8 digits and a unit of H M S m u n; *ms is rounded up. ERR_BAD_NUMBER: anything else. */
enum err grpc_timeout_parse(struct slice value, int64_t *ms) MUST_CHECK;
/* The finest unit in which it fits, rounded down, at least 1 of it. Returns the length. */
size_t grpc_timeout_write(char to[GRPC_TIMEOUT_BYTES], int64_t ms);

/* Percent-encodes what may not stand in grpc-message; at most three bytes for each. */
size_t grpc_message_write(char *to, struct slice text);
