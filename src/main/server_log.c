/* server_log.c - tells the error log when a server is left out and when it serves again. */
// SPDX-License-Identifier: Apache-2.0
#include "main/server_log.h"
#include "base/log.h"
#include "upstream/upstream.h"

static void on_check(const struct server_shared *s, enum server_event e, int64_t ms)
{
    char why[SERVER_CHECK_ERROR_BYTES];
    if (e == SERVER_CHECKED_IN) {
        log_write(LOG_NOTICE_, "server %s of upstream %s is up again after %.1f s: checks succeed",
                  s->name, s->upstream_name, (double)ms / 1000);
        return;
    }
    server_check_error_get((struct server_shared *)s, why);
    log_write(LOG_WARN_, "server %s of upstream %s is down, %lld check%s in a row failed: %s",
              s->name, s->upstream_name, (long long)ms, ms == 1 ? "" : "s", why);
}

static void on_outlier(const struct server_shared *s, enum server_event e, int64_t ms)
{
    char why[SERVER_OUTLIER_BYTES];
    if (e == SERVER_RETURNED) {
        log_write(LOG_NOTICE_, "server %s of upstream %s is used again", s->name, s->upstream_name);
        return;
    }
    server_outlier_get((struct server_shared *)s, why);
    log_write(LOG_WARN_, "server %s of upstream %s is left out for %.1f s: %s", s->name,
              s->upstream_name, (double)ms / 1000, why);
}

static void on_event(const struct server_shared *s, enum server_event e, int64_t ms)
{
    if (e == SERVER_CHECKED_OUT || e == SERVER_CHECKED_IN) {
        on_check(s, e, ms);
        return;
    }
    if (e == SERVER_OUTLIER || e == SERVER_RETURNED) {
        on_outlier(s, e, ms);
        return;
    }
    if (e == SERVER_BACK) {
        log_write(LOG_NOTICE_, "server %s of upstream %s serves again", s->name, s->upstream_name);
        return;
    }
    enum err why = (enum err)__atomic_load_n(&s->last_error, __ATOMIC_RELAXED);
    long long fails = __atomic_load_n(&s->fails_in_a_row, __ATOMIC_RELAXED);
    log_write(LOG_WARN_, "server %s of upstream %s is left out for %.1f s after %lld failures: %s",
              s->name, s->upstream_name, (double)ms / 1000, fails, err_row(why)->text);
}

void server_log_begin(void)
{
    servers_observe(on_event);
}
