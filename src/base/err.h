/* err.h - every way in which something can fail, as one table (err.def).
 *
 * A function that can fail returns `enum err` and writes its outputs only on success. The row
 * of an error gives its name (logs, metrics), a text for people, the HTTP status that a client
 * gets when a request ends with it, and the level of its log line. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum err {
#define ERR(id, name, status, level, text) ERR_##id,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_NOTICE_, LOG_WARN_, LOG_ERROR_ };

struct err_row {
    const char *name; /* snake_case word, stable: logs and metrics print it */
    uint16_t status;  /* HTTP status for a request that ends so; 0: none can be sent */
    uint8_t level;    /* enum log_level */
    const char *text; /* one sentence part for people */
};

const struct err_row *err_row(enum err e);
bool err_is_tls(enum err e); /* of a handshake or a TLS connection */
const char *err_name(enum err e);

#define MUST_CHECK __attribute__((warn_unused_result))

/* The only macro with hidden control flow: leaves the function with the error. */
#define TRY(call)                   \
    do {                            \
        enum err try_err_ = (call); \
        if (try_err_ != ERR_OK)     \
            return try_err_;        \
    } while (0)
