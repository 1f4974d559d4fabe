/* status.c - /status: what weir does now, for people and their scripts, as JSON.
 *
 * Servers are those of the configuration in force; their state comes from what all workers and all
 * configurations share. `reason` says why a server is not up. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "base/date.h"
#include "base/log.h"
#include "conf/snapshot.h"
#include "limit/addr_key.h"
#include "limit/conns.h"
#include "proxy/route.h"
#include "proxy/tls_build.h"
#include "upstream/balancer.h"
#include "upstream/changes.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static json_t *text_json(struct slice s)
{
    json_t *j = json_stringn(s.at ? s.at : "", s.len);
    return j ? j : json_string("(not UTF-8)");
}

static json_t *time_json(int64_t unix_ms)
{
    char at[DATE_ISO_BYTES];
    date_write_iso(at, unix_ms);
    return json_stringn(at, sizeof at);
}

static json_t *addr_json(const struct addr *a)
{
    char text[ADDR_TEXT_BYTES];
    return text_json((struct slice){text, addr_write(text, a)});
}

static void set_int(json_t *o, const char *key, int64_t v)
{
    json_object_set_new(o, key, json_integer(v));
}

static int64_t load(const int64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* ---- listeners, numbers ---- */

static json_t *listeners_json(const struct admin_page *p)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < p->conf->proxy->listen_count; i++) {
        const struct listen_conf *l = p->conf->proxy->listens[i];
        bool is_control = p->source->control && addr_eq(&l->addr, p->source->control);
        if (is_control || !p->source->listening(p->source->ctx, l->key))
            continue;
        json_t *o = json_object();
        json_object_set_new(o, "address", addr_json(&l->addr));
        json_object_set_new(o, "tls", json_boolean(l->tls));
        json_object_set_new(o, "admin", json_boolean(l->internal));
        json_array_append_new(all, o);
    }
    return all;
}

/* The addresses that have the most. */
static json_t *top_json(void)
{
    enum { TOP = 10 };
    char who[ADDR_TEXT_BYTES];
    struct conns_row rows[TOP];
    json_t *all = json_array();
    uint32_t count = conns_top(rows, TOP);
    for (uint32_t i = 0; i < count; i++) {
        json_t *o = json_object();
        size_t len = addr_prefix_write(who, &rows[i].who.prefix);
        json_object_set_new(o, "address", text_json((struct slice){who, len}));
        set_int(o, "connections", rows[i].count);
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *connections_json(const struct admin_source *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "most_by", top_json());
    set_int(o, "addresses", conns_addresses());
    set_int(o, "refused_address", admin_metric(s, METRIC_CONNECTIONS_OVERRUN));
    set_int(o, "refused_sum", admin_metric(s, METRIC_CONNECTIONS_FULL));
    set_int(o, "evicted",
            admin_metric(s, METRIC_EVICTED_SUM) + admin_metric(s, METRIC_EVICTED_FDS) +
                admin_metric(s, METRIC_EVICTED_BUFFERS));
    set_int(o, "open", admin_metric(s, METRIC_CONNECTIONS_OPEN));
    set_int(o, "idle", admin_metric(s, METRIC_CONNECTIONS_IDLE));
    set_int(o, "accepted", admin_metric(s, METRIC_CONNECTIONS_ACCEPTED));
    set_int(o, "tunnels", admin_metric(s, METRIC_TUNNELS_OPEN));
    set_int(o, "to_servers", admin_metric(s, METRIC_ORIGIN_OPEN));
    set_int(o, "to_servers_idle", admin_metric(s, METRIC_ORIGIN_IDLE));
    return o;
}

static json_t *requests_json(const struct admin_source *s)
{
    json_t *o = json_object();
    set_int(o, "total", admin_metric(s, METRIC_REQUESTS));
    set_int(o, "active", admin_metric(s, METRIC_REQUESTS_ACTIVE));
    set_int(o, "2xx", admin_metric(s, METRIC_RESPONSES_2XX));
    set_int(o, "3xx", admin_metric(s, METRIC_RESPONSES_3XX));
    set_int(o, "4xx", admin_metric(s, METRIC_RESPONSES_4XX));
    set_int(o, "5xx", admin_metric(s, METRIC_RESPONSES_5XX));
    set_int(o, "retries", admin_metric(s, METRIC_RETRIES));
    return o;
}

static json_t *shedding_json(const struct admin_source *s)
{
    json_t *o = json_object();
    set_int(o, "workers", admin_metric(s, METRIC_SHEDDING)); /* that do now */
    set_int(o, "requests", admin_metric(s, METRIC_SHED_REQUESTS));
    set_int(o, "connections", admin_metric(s, METRIC_SHED_CONNECTIONS));
    return o;
}

static json_t *errors_json(const struct admin_source *s)
{
    json_t *o = json_object();
    for (int e = ERR_OK + 1; e < ERR_COUNT; e++) {
        int64_t count = admin_error_count(s, e);
        if (count > 0)
            set_int(o, err_name(e), count);
    }
    return o;
}

/* ---- servers ---- */

static json_t *addresses_json(struct server_shared *s)
{
    json_t *all = json_array();
    pthread_mutex_lock(&s->addrs_lock);
    for (uint32_t i = 0; i < s->addr_count; i++)
        json_array_append_new(all, addr_json(&s->addrs[i]));
    pthread_mutex_unlock(&s->addrs_lock);
    return all;
}

static json_t *resolve_error_json(struct server_shared *s)
{
    char why[sizeof s->resolve_error];
    pthread_mutex_lock(&s->addrs_lock);
    memcpy(why, s->resolve_error, sizeof why);
    pthread_mutex_unlock(&s->addrs_lock);
    why[sizeof why - 1] = '\0';
    return json_string(*why ? why : "not resolved yet");
}

static json_t *last_error_json(const struct server_shared *s)
{
    int64_t e = load(&s->last_error);
    if (e <= ERR_OK || e >= ERR_COUNT)
        return json_null();
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(err_name((enum err)e)));
    json_object_set_new(o, "text", json_string(err_row((enum err)e)->text));
    json_object_set_new(o, "at", time_json(load(&s->last_error_unix_ms)));
    return o;
}

static void set_state(json_t *o, const char *state, json_t *reason)
{
    json_object_set_new(o, "state", json_string(state));
    if (reason)
        json_object_set_new(o, "reason", reason);
}

static json_t *ejected_reason(struct server_shared *s)
{
    char why[SERVER_OUTLIER_BYTES];
    if (load(&s->eject_why) == SERVER_EJECT_OUTLIER) {
        server_outlier_get(s, why);
        return json_string(why);
    }
    int64_t e = load(&s->last_error);
    const char *text = e > ERR_OK && e < ERR_COUNT ? err_row((enum err)e)->text : "failures";
    return json_sprintf("%lld failures in a row, the last: %s", (long long)load(&s->fails_in_a_row),
                        text);
}

static json_t *by_whom(const struct server *sv)
{
    return json_string(sv->changed & SERVER_CHANGED_USE ? "at run time" : "by configuration");
}

/* What of it was changed at run time. */
static json_t *changed_json(const struct server *sv)
{
    static const struct {
        uint8_t bit;
        const char *word;
    } words[] = {{SERVER_CHANGED_ADDED, "added"},
                 {SERVER_CHANGED_USE, "use"},
                 {SERVER_CHANGED_WEIGHT, "weight"},
                 {SERVER_CHANGED_MAX_CONNS, "max_conns"}};
    json_t *all = json_array();
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (sv->changed & words[i].bit)
            json_array_append_new(all, json_string(words[i].word));
    return all;
}

static json_t *check_error_json(struct server_shared *s, const char *before)
{
    char why[SERVER_CHECK_ERROR_BYTES], text[SERVER_CHECK_ERROR_BYTES + 16];
    server_check_error_get(s, why);
    int len = snprintf(text, sizeof text, "%s%s", before, why);
    return text_json((struct slice){text, (size_t)len});
}

/* NULL: it is not checked. */
static json_t *check_json(struct server_shared *s)
{
    static const char *const names[] = {"", "unknown", "up", "down"};
    int64_t state = load(&s->check_state), failed = load(&s->check_failed_unix_ms);
    if (state == SERVER_UNCHECKED)
        return json_null();
    json_t *o = json_object();
    json_object_set_new(o, "state", json_string(names[state]));
    json_object_set_new(o, "since", time_json(load(&s->check_since_unix_ms)));
    set_int(o, "total", load(&s->checks_total));
    set_int(o, "failed", load(&s->checks_failed_total));
    if (failed > 0) {
        json_object_set_new(o, "last_failure", check_error_json(s, ""));
        json_object_set_new(o, "last_failure_at", time_json(failed));
    }
    return o;
}

static void add_state(const struct admin_page *p, json_t *o, const struct server *sv)
{
    struct server_shared *s = sv->shared;
    int64_t until = load(&s->ejected_until_ms);
    if (sv->disabled) {
        set_state(o, "disabled", by_whom(sv));
    } else if (sv->draining) {
        set_state(o, "draining", by_whom(sv));
    } else if (__atomic_load_n(&s->addr_count, __ATOMIC_RELAXED) == 0) {
        set_state(o, "unresolved", resolve_error_json(s));
    } else if (load(&s->check_state) == SERVER_CHECK_DOWN) {
        set_state(o, "down", check_error_json(s, "check failed: "));
    } else if (until > p->now_ms) {
        set_state(o, "ejected", ejected_reason(s));
        json_object_set_new(o, "until", time_json(p->unix_ms + until - p->now_ms));
    } else if (until != 0 && load(&s->eject_why) == SERVER_EJECT_FAILURES) {
        set_state(o, "on trial", ejected_reason(s));
    } else {
        set_state(o, "up", NULL);
    }
}

static void add_tls_error(json_t *o, struct server_shared *s)
{
    char why[SERVER_TLS_ERROR_BYTES];
    int64_t last = load(&s->last_error);
    if (last <= ERR_OK || last >= ERR_COUNT || !err_is_tls((enum err)last))
        return;
    server_tls_error_get(s, why);
    if (*why)
        json_object_set_new(o, "last_tls_error", text_json(slice_of(why)));
}

/* How it is chosen: its tier, where it stands, and how far it is in its ramp (null: in none). */
static void add_choice(const struct admin_page *p, json_t *o, const struct upstream *up,
                       const struct server *sv)
{
    static const char *const tiers[TIER_COUNT] = {"near", "far", "backup"};
    const struct pick pick = {.up = up, .now_ms = p->now_ms, .pin = PIN_NONE};
    double ramp = pick_ramp(&pick, sv->index);
    json_object_set_new(o, "tier", json_string(tiers[sv->tier]));
    json_object_set_new(o, "zone", sv->zone.len ? text_json(sv->zone) : json_null());
    json_object_set_new(o, "ramp_percent",
                        ramp < 1 ? json_integer((json_int_t)(ramp * 100)) : json_null());
}

static json_t *server_json(const struct admin_page *p, const struct upstream *up,
                           const struct server *sv)
{
    const struct server_shared *s = sv->shared;
    json_t *o = json_object();
    json_object_set_new(o, "name", text_json(sv->name));
    add_state(p, o, sv);
    json_object_set_new(o, "addresses", addresses_json(sv->shared));
    set_int(o, "weight", sv->weight);
    json_object_set_new(o, "changed", changed_json(sv));
    json_object_set_new(o, "backup", json_boolean(sv->backup));
    add_choice(p, o, up, sv);
    set_int(o, "max_conns", sv->max_conns);
    set_int(o, "in_flight", load(&s->in_flight));
    set_int(o, "connections", load(&s->conns));
    set_int(o, "requests", load(&s->requests_total));
    set_int(o, "failures", load(&s->failures_total));
    set_int(o, "errors", load(&s->errors_total));
    set_int(o, "ejections", load(&s->ejections_total));
    set_int(o, "latency_us", load(&s->latency_ewma_us));
    json_object_set_new(o, "last_error", last_error_json(s));
    add_tls_error(o, sv->shared);
    json_object_set_new(o, "check", check_json(sv->shared));
    return o;
}

static json_t *limit_json(const struct upstream *up)
{
    const struct limit_shared *s = &up->shared->limit;
    json_t *o = json_object();
    set_int(o, "limit", limit_now(s, &up->limit)); /* 0: none */
    set_int(o, "in_flight", load(&s->in_flight));
    set_int(o, "usual_us", load(&s->base_us));
    set_int(o, "now_us", load(&s->last_us));
    return o;
}

static json_t *upstreams_json(const struct admin_page *p)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < p->conf->upstreams->count; i++) {
        const struct upstream *up = p->conf->upstreams->list[i];
        json_t *o = json_object(), *servers = json_array();
        json_object_set_new(o, "name", text_json(up->name));
        json_object_set_new(o, "balance", json_string(up->balancer->name));
        json_object_set_new(o, "panic", json_boolean(load(&up->shared->panic)));
        json_object_set_new(o, "concurrency", limit_json(up));
        set_int(o, "queued", load(&up->shared->waiting));
        set_int(o, "shed", load(&up->shared->shed_total));
        set_int(o, "requests", load(&up->shared->requests_total));
        set_int(o, "retries", load(&up->shared->retries_total));
        for (uint32_t k = 0; k < up->server_count; k++)
            json_array_append_new(servers, server_json(p, up, &up->servers[k]));
        json_object_set_new(o, "servers", servers);
        json_array_append_new(all, o);
    }
    return all;
}

/* What was changed at run time and is overridden by the configuration as it is now. */
static json_t *changes_idle_json(const struct admin_page *p)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < p->source->changes->count; i++) {
        const struct server_change *c = &p->source->changes->list[i];
        const char *why = server_change_idle(c, p->conf->upstreams);
        if (!why)
            continue;
        json_t *o = json_object();
        json_object_set_new(o, "upstream", text_json(c->upstream));
        json_object_set_new(o, "server", text_json(c->server));
        json_object_set_new(o, "reason", json_string(why));
        json_array_append_new(all, o);
    }
    return all;
}

/* ---- certificates ---- */

static json_t *names_json(const struct tls_cert *c)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < c->name_count; i++)
        json_array_append_new(all, text_json(c->names[i]));
    return all;
}

static json_t *certificates_json(const struct admin_page *p)
{
    json_t *all = json_array();
    for (const struct proxy_cert *c = p->conf->proxy->certs; c; c = c->next) {
        json_t *o = json_object();
        json_object_set_new(o, "certificate", text_json(c->label));
        json_object_set_new(o, "names", names_json(c->cert));
        json_object_set_new(o, "key", json_string(c->cert->kind == TLS_KEY_RSA ? "RSA" : "ECDSA"));
        json_object_set_new(o, "expires", time_json(c->cert->not_after * 1000));
        set_int(o, "days_left", admin_days_left(p, c));
        json_array_append_new(all, o);
    }
    return all;
}

/* ---- the whole ---- */

static json_t *config_json(const struct admin_page *p)
{
    json_t *o = json_object();
    const struct conf_tree *tree = p->conf->tree;
    set_int(o, "generation", (int64_t)p->conf->generation);
    json_object_set_new(o, "installing", json_boolean(p->source->installing(p->source->ctx)));
    json_object_set_new(o, "loaded", time_json(p->conf->loaded_unix_ms));
    json_object_set_new(o, "file",
                        tree->file_count ? json_string(tree->files[0]->path) : json_null());
    set_int(o, "snapshots_alive", p->source->snapshots_alive(p->source->ctx));
    return o;
}

static json_t *upgrade_json(const struct admin_supervisor *s)
{
    json_t *o = json_object();
    const char *state = s->upgrading ? "running" : s->upgrade_error ? "failed" : "none";
    json_object_set_new(o, "state", json_string(state));
    if (s->upgrade_error)
        json_object_set_new(o, "reason", text_json(slice_of(s->upgrade_error)));
    return o;
}

static json_t *supervisor_json(const struct admin_page *p)
{
    const struct admin_supervisor *s = p->source->supervisor;
    if (!s)
        return json_null();
    json_t *o = json_object();
    set_int(o, "pid", s->pid);
    json_object_set_new(o, "started", time_json(s->started_unix_ms));
    set_int(o, "uptime_s", (p->unix_ms - s->started_unix_ms) / 1000);
    set_int(o, "restarts", s->restarts);
    if (s->reason) {
        json_object_set_new(o, "last_restart", time_json(s->restarted_unix_ms));
        set_int(o, "last_restart_s", (p->unix_ms - s->restarted_unix_ms) / 1000);
        json_object_set_new(o, "last_reason", json_string(s->reason));
    }
    json_object_set_new(o, "upgrade", upgrade_json(s));
    return o;
}

static json_t *status_json(const struct admin_page *p)
{
    const struct admin_source *s = p->source;
    json_t *o = json_object();
    json_object_set_new(o, "version", json_string(WEIR_VERSION));
    set_int(o, "pid", getpid());
    json_object_set_new(o, "state", json_string(s->stopping(s->ctx) ? "stopping" : "running"));
    json_object_set_new(o, "started", time_json(s->started_unix_ms));
    set_int(o, "uptime_s", (p->unix_ms - s->started_unix_ms) / 1000);
    set_int(o, "workers", s->worker_count);
    json_object_set_new(o, "supervisor", supervisor_json(p));
    if (s->sandbox)
        json_object_set_new(o, "sandbox", s->sandbox(s->ctx));
    json_object_set_new(o, "config", config_json(p));
    json_object_set_new(o, "listeners", listeners_json(p));
    json_object_set_new(o, "certificates", certificates_json(p));
    json_object_set_new(o, "connections", connections_json(s));
    json_object_set_new(o, "requests", requests_json(s));
    json_object_set_new(o, "shedding", shedding_json(s));
    json_object_set_new(o, "errors", errors_json(s));
    json_object_set_new(o, "upstreams", upstreams_json(p));
    json_object_set_new(o, "changes_without_effect", changes_idle_json(p));
    set_int(o, "log_dropped", (int64_t)log_dropped_count());
    return o;
}

/* jansson silently leaves out what it has no memory for; a page with holes would be a lie. Admin
 * pages are written on the main thread alone. */
static bool memory_ran_out;

static void *json_memory(size_t size)
{
    void *at = malloc(size);
    memory_ran_out |= !at;
    return at;
}

int status_write(const struct admin_page *p)
{
    json_set_alloc_funcs(json_memory, free);
    memory_ran_out = false;
    json_t *o = status_json(p);
    char *text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    if (memory_ran_out || !text) {
        free(text);
        return 500;
    }
    text_add(p->out, slice_of(text));
    text_add(p->out, SLICE("\n"));
    free(text);
    return 200;
}
