/* logs.c - the error log's sink hangs on the snapshot, like those of the access logs: a reload
 * that names the same file keeps it open, one that does not closes it with the old snapshot. */
// SPDX-License-Identifier: Apache-2.0
#include "main/logs.h"
#include "base/log.h"
#include "main/main_conf.h"
#include "proxy/access_log.h"
#include "proxy/route.h"
#include <errno.h>

enum { STDERR_SINK = 0 };

static void error_log_drop(void *ctx)
{
    log_sink_drop(((struct main_conf *)ctx)->error_sink);
}

static bool error_log_open(struct conf *c, struct diag *d)
{
    const struct error_log_conf *e = &c->proxy->error_log;
    c->main->error_sink = log_sink_open(e->target, e->path.at);
    if (c->main->error_sink < 0) {
        diag_error(d, (struct conf_pos){0}, "cannot open the error log '%s': %s",
                   e->path.at ? e->path.at : "", strerror(errno));
        return false;
    }
    conf_on_free(c, error_log_drop, c->main);
    return true;
}

bool logs_open(struct conf *c, struct diag *d)
{
    return access_logs_open(c, d) && error_log_open(c, d);
}

void logs_install(const struct conf *c)
{
    log_error_set(c->main->error_sink, c->proxy->error_log.level);
}

void logs_to_stderr(void)
{
    log_error_set(STDERR_SINK, LOG_NOTICE_);
}
