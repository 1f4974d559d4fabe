/* check.h - active checks: what a `check` line says, and the state machine of a checked server.
 *
 * A server that is new counts as up until its first check, which decides at once. After that `fall`
 * checks that fail in a row take it out, and `rise` that succeed bring it back. Pure: results, time
 * and randomness are arguments. What the words of a check mean is known to the probe (probe.h). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rand.h"
#include "conf/directive.h"

struct tls_origin;
struct upstream;

enum check_kind { CHECK_HTTP, CHECK_TCP, CHECK_TLS, CHECK_GRPC };

enum { CHECK_STATUSES_MAX = 16, CHECK_HEADERS_MAX = 32, CHECK_EXPECT_MAX_BYTES = 4096 };

struct check_header {
    struct slice name, value;
};

/* In the snapshot's arena. */
struct check_conf {
    uint8_t kind;                          /* enum check_kind */
    int64_t every_ms, fast_ms, timeout_ms; /* fast: while down or failing */
    int64_t rise, fall;                    /* in a row */
    int64_t port;                          /* 0: the server's */
    struct slice target;                   /* path, or the service of gRPC */
    struct slice host, method;             /* host empty: the server's name */
    struct check_header headers[CHECK_HEADERS_MAX];
    uint32_t header_count;
    struct {
        uint16_t from, to;
    } statuses[CHECK_STATUSES_MAX];
    uint32_t status_count;
    struct slice body;         /* the answer must contain it; empty: any */
    struct slice send, expect; /* TCP and TLS: what is said, and what the answer must contain */
    struct tls_origin *tls;    /* of a check by TLS of an upstream without it; else NULL */
    struct conf_pos pos;
};

bool check_status_good(const struct check_conf *c, uint16_t status);

/* Rows for `check` in an upstream and for the lines of its block. Once the whole upstream was read
 * check_finish() looks at what goes together. */
extern const struct directive check_rows[];
void check_finish(struct conf_build *b, struct upstream *up);

/* ---- the state machine ---- */

struct check_state {
    bool known; /* a check has ended */
    bool down;
    uint32_t oks, fails; /* in a row; one of them is 0 */
};

enum check_change { CHECK_SAME, CHECK_WENT_DOWN, CHECK_CAME_UP };
enum check_result { CHECK_FAILED, CHECK_OK };

enum check_change check_state_add(struct check_state *s, const struct check_conf *c,
                                  enum check_result r);
/* From the start of a check to the start of the next, with a jitter of a tenth either way, so that
 * the checks of many servers, and of many weirs, do not fall together. */
int64_t check_wait_ms(const struct check_state *s, const struct check_conf *c, struct rand *r);
/* The first check of server `index` of `count`: soon, but not all at the same moment. */
int64_t check_first_wait_ms(const struct check_conf *c, uint32_t index, uint32_t count);
