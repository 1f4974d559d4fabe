/* admin_priv.h - what the pages of the admin API are made from. Private to src/admin. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "admin/admin.h"
#include "base/text.h"

struct admin_conf {
    const struct admin_source *source;
    bool control; /* the control socket: may also change things */
};

/* What a page gets: what the process knows, the configuration in force and the time. */
struct admin_page {
    const struct admin_source *source;
    const struct conf *conf;
    int64_t now_ms, unix_ms;
    struct slice query;  /* of the request, raw */
    struct arena *arena; /* of the request */
    struct text *out;
};

/* Each writes its page and returns the status. */
int metrics_write(const struct admin_page *p);     /* metrics.c */
int status_write(const struct admin_page *p);      /* status.c */
int config_write(const struct admin_page *p);      /* config.c */
int server_change_run(const struct admin_page *p); /* servers.c */
int purge_run(const struct admin_page *p);         /* purge.c */
int purged_run(const struct admin_page *p);
int bans_write(const struct admin_page *p);           /* bans.c */
void admin_ban_metrics(const struct admin_page *p);   /* bans.c */
void admin_limit_metrics(const struct admin_page *p); /* limit_metrics.c */
int ban_run(const struct admin_page *p);
int unban_run(const struct admin_page *p);
/* metrics.c: the lines before the samples of a metric; a label's value. */
void admin_help(struct text *out, const char *name, const char *kind, const char *text);
void admin_label(struct text *out, struct slice value);
void admin_cache_metrics(const struct admin_page *p); /* cache_metrics.c */

struct proxy_cert;
int64_t admin_days_left(const struct admin_page *p, const struct proxy_cert *c); /* metrics.c */

/* Sums over every worker. */
int64_t admin_metric(const struct admin_source *s, enum metric m);
int64_t admin_error_count(const struct admin_source *s, enum err e);

/* Is the request meant for us (see guard.c)? `host` without port. */
bool guard_host_ok(struct slice host);
