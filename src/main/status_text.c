/* status_text.c - the answer of /status as a few lines that fit a terminal.
 *
 * It reads the JSON by name and treats what is missing as 0 or "", so an older weir can be asked
 * by a newer command. */
// SPDX-License-Identifier: Apache-2.0
#include "main/status_text.h"
#include <jansson.h>
#include <limits.h>
#include <string.h>

static long long num(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static const char *str(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* "3d 4h", "4h 5m", "5m 6s", "6s": two units are enough. */
static void add_duration(struct text *out, long long s)
{
    if (s >= 86400)
        text_addf(out, "%lldd %lldh", s / 86400, s % 86400 / 3600);
    else if (s >= 3600)
        text_addf(out, "%lldh %lldm", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        text_addf(out, "%lldm %llds", s / 60, s % 60);
    else
        text_addf(out, "%llds", s);
}

/* The pid that people know is the supervisor's; the page itself comes from the worker process. */
static void add_worker_process(struct text *out, const json_t *j, const json_t *s)
{
    const json_t *upgrade = json_object_get(s, "upgrade");
    if (!json_is_object(s))
        return;
    text_addf(out, "worker process pid %lld for ", num(j, "pid"));
    add_duration(out, num(j, "uptime_s"));
    text_addf(out, ", %lld restart%s", num(s, "restarts"), num(s, "restarts") == 1 ? "" : "s");
    if (num(s, "restarts") > 0) {
        text_add(out, SLICE(", the last "));
        add_duration(out, num(s, "last_restart_s"));
        text_addf(out, " ago: %s", str(s, "last_reason"));
    }
    text_add(out, SLICE("\n"));
    if (strcmp(str(upgrade, "state"), "failed") == 0)
        text_addf(out, "upgrade        failed: %s\n", str(upgrade, "reason"));
}

static void add_head(struct text *out, const json_t *j)
{
    const json_t *c = json_object_get(j, "config");
    const json_t *s = json_object_get(j, "supervisor");
    const json_t *main = json_is_object(s) ? s : j;
    text_addf(out, "weir %s, pid %lld, %s for ", str(j, "version"), num(main, "pid"),
              str(j, "state"));
    add_duration(out, num(main, "uptime_s"));
    text_addf(out, ", %lld worker%s\n", num(j, "workers"), num(j, "workers") == 1 ? "" : "s");
    add_worker_process(out, j, s);
    text_addf(out, "configuration  %s, number %lld since %s", str(c, "file"), num(c, "generation"),
              str(c, "loaded"));
    if (num(c, "snapshots_alive") > 1)
        text_addf(out, ", %lld older still in use", num(c, "snapshots_alive") - 1);
    text_add(out, SLICE("\n"));
}

static void add_capabilities(struct text *out, const json_t *facts)
{
    const json_t *all = json_object_get(facts, "capabilities"), *name;
    size_t i;
    text_add(out, json_array_size(all) ? SLICE("capabilities") : SLICE("no capabilities"));
    json_array_foreach(all, i, name)
    {
        text_addf(out, " %s", json_string_value(name));
    }
}

static void add_facts(struct text *out, const json_t *facts)
{
    add_capabilities(out, facts);
    text_addf(out, ", %s new privileges, system calls %s, memory %s\n",
              json_is_true(json_object_get(facts, "no_new_privs")) ? "no" : "may gain",
              json_is_true(json_object_get(facts, "seccomp")) ? "filtered" : "not filtered",
              json_is_true(json_object_get(facts, "dumpable")) ? "open to its user" : "closed");
}

static void add_sandbox(struct text *out, const json_t *j)
{
    const json_t *s = json_object_get(j, "sandbox");
    const char *error = str(s, "landlock_error"), *calls = str(s, "seccomp_error");
    if (!json_is_object(s))
        return;
    text_addf(out, "sandbox        %s: ", str(s, "mode"));
    if (num(s, "landlock"))
        text_addf(out, "files confined (Landlock %lld), ", num(s, "landlock"));
    else
        text_addf(out, "files not confined%s%s, ", *error ? ": " : "", error);
    if (*calls)
        text_addf(out, "no filter of system calls: %s, ", calls);
    add_facts(out, json_object_get(s, "worker"));
    if (json_object_get(s, "supervisor")) {
        text_add(out, SLICE("  supervisor   "));
        add_facts(out, json_object_get(s, "supervisor"));
    }
    text_addf(out, "  private keys kept apart, %s\n",
              json_is_true(json_object_get(s, "keys_locked")) ? "locked in memory"
                                                              : "not locked: RLIMIT_MEMLOCK");
}

static void add_listeners(struct text *out, const json_t *j)
{
    const json_t *l;
    size_t i;
    text_add(out, SLICE("listens on    "));
    json_array_foreach(json_object_get(j, "listeners"), i, l)
    {
        text_addf(out, "%s %s%s%s", i ? "," : "", str(l, "address"),
                  json_is_true(json_object_get(l, "tls")) ? " (tls)" : "",
                  json_is_true(json_object_get(l, "admin")) ? " (admin)" : "");
    }
    text_add(out, SLICE("\n"));
}

enum { CERTIFICATES_SHOWN = 10 };

/* Those that expire first stand for the others when there are many. */
static void add_certificates(struct text *out, const json_t *j)
{
    const json_t *all = json_object_get(j, "certificates"), *c;
    size_t i, count = json_array_size(all);
    if (count == 0)
        return;
    if (count > CERTIFICATES_SHOWN) {
        long long least = LLONG_MAX;
        json_array_foreach(all, i, c)
        {
            least = num(c, "days_left") < least ? num(c, "days_left") : least;
        }
        text_addf(out, "certificates   %zu, the first expires in %lld days\n", count, least);
        return;
    }
    json_array_foreach(all, i, c)
    {
        const char *name = json_string_value(json_array_get(json_object_get(c, "names"), 0));
        text_addf(out, "%s%s (%s, %s) expires in %lld days\n",
                  i ? "               " : "certificates   ", name ? name : "(no name)",
                  str(c, "key"), str(c, "certificate"), num(c, "days_left"));
    }
}

static void add_traffic(struct text *out, const json_t *j)
{
    const json_t *c = json_object_get(j, "connections"), *r = json_object_get(j, "requests");
    text_addf(out, "connections    %lld open (%lld idle), %lld accepted\n", num(c, "open"),
              num(c, "idle"), num(c, "accepted"));
    text_addf(out, "requests       %lld, %lld active; 2xx %lld, 3xx %lld, 4xx %lld, 5xx %lld\n",
              num(r, "total"), num(r, "active"), num(r, "2xx"), num(r, "3xx"), num(r, "4xx"),
              num(r, "5xx"));
}

static void add_errors(struct text *out, json_t *j)
{
    const char *name;
    json_t *count;
    bool first = true;
    json_object_foreach(json_object_get(j, "errors"), name, count)
    {
        text_addf(out, "%s%s %lld", first ? "errors         " : ", ", name,
                  (long long)json_integer_value(count));
        first = false;
    }
    if (!first)
        text_add(out, SLICE("\n"));
}

static void add_changed(struct text *out, const json_t *changed)
{
    const json_t *word;
    size_t i;
    json_array_foreach(changed, i, word)
    {
        if (i == 0)
            text_addf(out, "  %-24s changed at run time:", "");
        text_addf(out, " %s", json_string_value(word));
    }
    if (json_array_size(changed) > 0)
        text_add(out, SLICE("\n"));
}

static void add_changes_idle(struct text *out, const json_t *j)
{
    const json_t *c;
    size_t i;
    json_array_foreach(json_object_get(j, "changes_without_effect"), i, c)
    {
        text_addf(out, "without effect server %s of upstream %s was changed at run time, but %s\n",
                  str(c, "server"), str(c, "upstream"), str(c, "reason"));
    }
}

static void add_check(struct text *out, const json_t *c)
{
    const char *failure = str(c, "last_failure");
    text_addf(out, "  %-24s checks: %s since %s, %lld, %lld failed", "", str(c, "state"),
              str(c, "since"), num(c, "total"), num(c, "failed"));
    if (*failure)
        text_addf(out, ", the last at %s: %s", str(c, "last_failure_at"), failure);
    text_add(out, SLICE("\n"));
}

static void add_server(struct text *out, const json_t *s)
{
    text_addf(out, "  %-24s %-10s %lld requests, %lld failed, %lld in flight, %.1f ms\n",
              str(s, "name"), str(s, "state"), num(s, "requests"), num(s, "failures"),
              num(s, "in_flight"), (double)num(s, "latency_us") / 1000);
    add_changed(out, json_object_get(s, "changed"));
    const char *reason = str(s, "reason"), *until = str(s, "until");
    const json_t *last = json_object_get(s, "last_error"), *check = json_object_get(s, "check");
    if (json_object_get(s, "last_tls_error"))
        text_addf(out, "  %-24s last handshake that failed: %s\n", "", str(s, "last_tls_error"));
    if (json_is_object(check))
        add_check(out, check);
    if (*reason)
        text_addf(out, "  %-24s %s%s%s\n", "", reason, *until ? "; until " : "", until);
    else if (json_is_object(last))
        text_addf(out, "  %-24s last failure: %s, at %s\n", "", str(last, "text"), str(last, "at"));
}

static void add_upstreams(struct text *out, const json_t *j)
{
    const json_t *u, *s;
    size_t i, k;
    json_array_foreach(json_object_get(j, "upstreams"), i, u)
    {
        text_addf(out, "upstream %s (%s)\n", str(u, "name"), str(u, "balance"));
        json_array_foreach(json_object_get(u, "servers"), k, s)
        {
            add_server(out, s);
        }
    }
}

bool status_text_write(struct slice json, struct text *out)
{
    json_t *j = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(j)) {
        json_decref(j);
        return false;
    }
    add_head(out, j);
    add_sandbox(out, j);
    add_listeners(out, j);
    add_certificates(out, j);
    add_traffic(out, j);
    add_errors(out, j);
    add_upstreams(out, j);
    add_changes_idle(out, j);
    json_decref(j);
    return true;
}

bool servers_text_write(struct slice json, struct text *out)
{
    json_t *j = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL);
    bool ok = json_is_object(j);
    if (ok) {
        add_upstreams(out, j);
        add_changes_idle(out, j);
    }
    json_decref(j);
    return ok;
}

bool status_installing(struct slice json)
{
    json_t *j = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL);
    bool yes = json_is_true(json_object_get(json_object_get(j, "config"), "installing"));
    json_decref(j);
    return yes;
}

bool status_upgrade_read(struct slice json, struct status_upgrade *out, struct text *why)
{
    json_t *j = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *s = json_object_get(j, "supervisor"), *u = json_object_get(s, "upgrade");
    bool ok = json_is_object(u);
    out->supervisor_pid = num(s, "pid");
    out->failed = ok && strcmp(str(u, "state"), "failed") == 0;
    if (out->failed)
        text_add(why, slice_of(str(u, "reason")));
    json_decref(j);
    return ok;
}
