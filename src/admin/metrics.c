/* metrics.c - /metrics in the Prometheus text format (version 0.0.4), from the tables of metrics,
 * errors and servers: all samples of one metric stand together. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "base/log.h"
#include "conf/snapshot.h"
#include "proxy/route.h"
#include "proxy/tls_build.h"
#include "upstream/upstream.h"
#include <stddef.h>

void admin_help(struct text *out, const char *name, const char *kind, const char *text)
{
    text_addf(out, "# HELP weir_%s %s\n# TYPE weir_%s %s\n", name, text, name, kind);
}

static void add_one(struct text *out, const char *name, const char *kind, const char *text,
                    int64_t value)
{
    admin_help(out, name, kind, text);
    text_addf(out, "weir_%s %lld\n", name, (long long)value);
}

/* A label value: backslash, quote and newline are escaped. */
void admin_label(struct text *out, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '\n') {
            text_add(out, SLICE("\\n"));
            continue;
        }
        if (c == '\\' || c == '"')
            text_add(out, SLICE("\\"));
        text_add(out, (struct slice){&value.at[i], 1});
    }
}

static void add_metrics(const struct admin_page *p)
{
    for (int m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = metric_row(m);
        add_one(p->out, row->name, row->kind == METRIC_KIND_COUNTER ? "counter" : "gauge",
                row->text, admin_metric(p->source, m));
    }
}

static void add_errors(const struct admin_page *p)
{
    admin_help(p->out, "request_errors_total", "counter", "Requests that ended with an error");
    for (int e = ERR_OK + 1; e < ERR_COUNT; e++)
        if (e != ERR_HOLD)
            text_addf(p->out, "weir_request_errors_total{error=\"%s\"} %lld\n", err_name(e),
                      (long long)admin_error_count(p->source, e));
}

/* ---- servers ---- */

static int64_t load_field(const struct server_shared *s, size_t offset)
{
    return __atomic_load_n((const int64_t *)((const char *)s + offset), __ATOMIC_RELAXED);
}

#define FIELD(name) offsetof(struct server_shared, name)

static const struct server_metric {
    const char *name, *kind, *text;
    size_t offset;
} server_metrics[] = {
    {"server_requests_total", "counter", "Requests sent to the server", FIELD(requests_total)},
    {"server_failures_total", "counter", "Requests that the server failed", FIELD(failures_total)},
    {"server_connects_total", "counter", "Connections opened to the server", FIELD(connects_total)},
    {"server_requests_active", "gauge", "Requests at the server now", FIELD(in_flight)},
    {"server_connections_active", "gauge", "Connections to the server in use", FIELD(conns)},
    {"server_latency_microseconds", "gauge", "Moving average of the time to the first byte",
     FIELD(latency_ewma_us)},
    {"server_errors_total", "counter", "Answers of the server with a status of 500 or more",
     FIELD(errors_total)},
    {"server_ejections_total", "counter", "Times that the server was ejected",
     FIELD(ejections_total)},
    {"server_checks_total", "counter", "Active checks of the server", FIELD(checks_total)},
    {"server_checks_failed_total", "counter", "Active checks that failed",
     FIELD(checks_failed_total)},
};
enum { SERVER_METRICS = sizeof server_metrics / sizeof *server_metrics };

struct server_walk {
    const struct admin_page *page;
    const struct server_metric *metric; /* NULL: weir_server_up */
};

static int64_t server_up(const struct server_walk *w, const struct server_shared *s)
{
    return load_field(s, FIELD(ejected_until_ms)) <= w->page->now_ms &&
           load_field(s, FIELD(check_state)) != SERVER_CHECK_DOWN;
}

static void add_sample(struct text *out, const char *name, const struct server_shared *s,
                       int64_t value)
{
    text_addf(out, "weir_%s{upstream=\"", name);
    admin_label(out, slice_of(s->upstream_name));
    text_add(out, SLICE("\",server=\""));
    admin_label(out, slice_of(s->name));
    text_addf(out, "\"} %lld\n", (long long)value);
}

static void add_server(const struct server_shared *s, void *ctx)
{
    const struct server_walk *w = ctx;
    if (w->metric)
        add_sample(w->page->out, w->metric->name, s, load_field(s, w->metric->offset));
    else
        add_sample(w->page->out, "server_up", s, server_up(w, s));
}

/* Servers that are not checked have none. */
static void add_check(const struct server_shared *s, void *ctx)
{
    const struct server_walk *w = ctx;
    int64_t state = load_field(s, FIELD(check_state));
    if (state != SERVER_UNCHECKED)
        add_sample(w->page->out, "server_check_up", s, state != SERVER_CHECK_DOWN);
}

static void add_servers(const struct admin_page *p)
{
    struct server_walk w = {p, NULL};
    admin_help(p->out, "server_up", "gauge", "1 unless the server is ejected, or its checks fail");
    servers_shared_each(add_server, &w);
    admin_help(p->out, "server_check_up", "gauge", "1 unless checks of the server fail");
    servers_shared_each(add_check, &w);
    for (int i = 0; i < SERVER_METRICS; i++) {
        w.metric = &server_metrics[i];
        admin_help(p->out, w.metric->name, w.metric->kind, w.metric->text);
        servers_shared_each(add_server, &w);
    }
}

/* ---- upstreams of the configuration in force ---- */

static int64_t upstream_limit(const struct upstream *up)
{
    return limit_now(&up->shared->limit, &up->limit);
}

static int64_t upstream_in_flight(const struct upstream *up)
{
    return __atomic_load_n(&up->shared->limit.in_flight, __ATOMIC_RELAXED);
}

static int64_t upstream_limits(const struct upstream *up)
{
    return __atomic_load_n(&up->shared->limit.begins_total, __ATOMIC_RELAXED);
}

static int64_t upstream_queued(const struct upstream *up)
{
    return __atomic_load_n(&up->shared->waiting, __ATOMIC_RELAXED);
}

static int64_t upstream_shed(const struct upstream *up)
{
    return __atomic_load_n(&up->shared->shed_total, __ATOMIC_RELAXED);
}

static void add_upstreams(const struct admin_page *p)
{
    static const struct {
        const char *name, *kind, *text;
        int64_t (*value)(const struct upstream *up);
    } rows[] = {
        {"upstream_limit", "gauge", "Requests that may be worked on at once; 0: any number",
         upstream_limit},
        {"upstream_in_flight", "gauge", "Requests whose answer has not begun", upstream_in_flight},
        {"upstream_limits_total", "counter", "Times that high latency made for a limit",
         upstream_limits},
        {"upstream_queued", "gauge", "Requests that wait for a server", upstream_queued},
        {"upstream_shed_total", "counter",
         "Requests that found no room in the queue, or left it without a server", upstream_shed},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        admin_help(p->out, rows[r].name, rows[r].kind, rows[r].text);
        for (uint32_t i = 0; i < p->conf->upstreams->count; i++) {
            const struct upstream *up = p->conf->upstreams->list[i];
            text_addf(p->out, "weir_%s{upstream=\"", rows[r].name);
            admin_label(p->out, up->name);
            text_addf(p->out, "\"} %lld\n", (long long)rows[r].value(up));
        }
    }
}

int64_t admin_days_left(const struct admin_page *p, const struct proxy_cert *c)
{
    return (c->cert->not_after - p->unix_ms / 1000) / 86400;
}

/* Labels are file and first name: what a local CA made has no file of its own. */
static void add_certificates(const struct admin_page *p)
{
    struct text *out = p->out;
    admin_help(out, "certificate_expires_days", "gauge", "Days until the certificate expires");
    for (const struct proxy_cert *c = p->conf->proxy->certs; c; c = c->next) {
        struct slice name = c->cert->name_count > 0 ? c->cert->names[0] : SLICE("");
        text_addf(out, "weir_certificate_expires_days{certificate=\"");
        admin_label(out, c->label);
        text_add(out, SLICE("\",name=\""));
        admin_label(out, name);
        text_addf(out, "\"} %lld\n", (long long)admin_days_left(p, c));
    }
}

static void add_process(const struct admin_page *p)
{
    admin_help(p->out, "build_info", "gauge", "Version of weir");
    text_addf(p->out, "weir_build_info{version=\"%s\"} 1\n", WEIR_VERSION);
    add_one(p->out, "start_time_seconds", "gauge", "When weir started, as Unix time",
            p->source->started_unix_ms / 1000);
    add_one(p->out, "workers", "gauge", "Worker threads", p->source->worker_count);
    add_one(p->out, "config_generation", "gauge", "Number of the configuration in force",
            (int64_t)p->conf->generation);
    add_one(p->out, "config_loaded_seconds", "gauge", "When it was installed, as Unix time",
            p->conf->loaded_unix_ms / 1000);
    add_one(p->out, "config_snapshots", "gauge", "Configurations that are still in use",
            p->source->snapshots_alive(p->source->ctx));
    add_one(p->out, "log_dropped_total", "counter", "Log lines lost because of a full ring",
            (int64_t)log_dropped_count());
}

int metrics_write(const struct admin_page *p)
{
    add_process(p);
    add_metrics(p);
    add_errors(p);
    add_servers(p);
    add_upstreams(p);
    add_certificates(p);
    admin_limit_metrics(p);
    admin_ban_metrics(p);
    admin_cache_metrics(p);
    return 200;
}
