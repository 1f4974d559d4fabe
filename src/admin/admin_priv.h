/* admin_priv.h - what the pages of the admin API are made from. Private to src/admin. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "admin/admin.h"
#include "base/text.h"

struct exchange;
struct meters_shared;

struct admin_conf {
    const struct admin_source *source;
    const struct admin_listen *line; /* NULL: the control socket, in a folder of its user alone */
    struct meters_shared *failures;  /* wrong tokens, by address */
};

enum { ADMIN_DIGEST_BYTES = 32, ADMIN_TOKEN_MIN_BYTES = 16 };

/* Of a token only this is kept, to compare with. */
struct admin_token {
    const struct admin_token *next;
    uint8_t digest[ADMIN_DIGEST_BYTES]; /* SHA-256 */
    enum admin_role role;
};

/* token.c: hashes; compares with each of the list, in a time that does not tell which. */
void admin_token_hash(struct slice token, uint8_t digest[ADMIN_DIGEST_BYTES]);
enum admin_role admin_token_role(const struct admin_token *first, struct slice token);
/* The token of an Authorization field's value; .at NULL: it is none of that kind. */
struct slice admin_token_of(struct slice authorization);

/* What a page gets: what the process knows, the configuration in force and the time. */
struct admin_page {
    const struct admin_source *source;
    const struct conf *conf;
    enum admin_role role; /* of who asks */
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

/* guard.c: may a web page have made it? `host` without port. */
bool guard_host_ok(struct slice host, const struct admin_listen *line);
bool guard_page_made(const struct exchange *x, const struct admin_listen *line);

/* gate.c: what its client may do. ADMIN_NOBODY: *retry_s is 0, or how long its address is not asked
 * for a token any more. */
enum admin_role gate_role(struct exchange *x, const struct admin_conf *c, int64_t *retry_s);
/* Counts it, and says so in the log. */
void gate_refused(const struct exchange *x, enum metric m, const char *why);
void gate_changed(const struct exchange *x); /* somebody changed something */
