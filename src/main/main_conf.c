/* main_conf.c - the rows about the process: workers, user, resolver, limits.
 *
 * Most of them take effect when weir starts; a reload that changes such a row says so
 * (reload.c). What a request can see stands in proxy/ and the filters, not here. */
// SPDX-License-Identifier: Apache-2.0
#include "main/main_conf.h"
#include "main/ban_export.h"
#include <sched.h>
#include <stddef.h>

static void apply_workers(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct main_conf *m = scope;
    int64_t count;
    if (slice_eq(n->args[0].text, SLICE("auto"))) {
        m->workers = 0;
        return;
    }
    if (!conf_parse_value(b->diag, CONF_COUNT, &n->args[0], &count))
        return;
    if (count < 1 || count > WORKERS_MAX)
        diag_error(b->diag, n->args[0].pos, "workers takes 1 to %d, or auto", WORKERS_MAX);
    else
        m->workers = count;
}

static void apply_user(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct main_conf *m = scope;
    (void)b;
    m->user = n->args[0].text;
    m->group = n->arg_count > 1 ? n->args[1].text : SLICE_NONE;
}

static void apply_pid_file(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct main_conf *m = scope;
    m->pid_file = arena_dup(b->arena, n->args[0].text); /* NUL-terminated, unlike words */
}

/* Appends one server to the list; false when the word is not an address. */
static bool resolver_add(struct conf_build *b, struct main_conf *m, const struct conf_word *w)
{
    struct addr_spec spec;
    if (addr_spec_parse(w->text, &spec) != ERR_OK || !spec.is_literal)
        return false;
    bool v6 = slice_find(spec.host, ':') < spec.host.len;
    m->resolvers = arena_printf(b->arena, "%.*s%s%s%.*s%s:%d", SLICE_ARG(m->resolvers),
                                m->resolvers.len > 0 ? "," : "", v6 ? "[" : "",
                                SLICE_ARG(spec.host), v6 ? "]" : "", spec.port ? spec.port : 53);
    return true;
}

static void apply_resolver(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct main_conf *m = scope;
    m->resolvers = SLICE("");
    if (n->arg_count > RESOLVERS_MAX)
        diag_error(b->diag, n->args[RESOLVERS_MAX].pos, "at most %d resolvers", RESOLVERS_MAX);
    for (uint32_t i = 0; i < n->arg_count && i < RESOLVERS_MAX; i++)
        if (!resolver_add(b, m, &n->args[i]))
            diag_error(b->diag, n->args[i].pos,
                       "expected the IP address of a DNS server, such as 10.0.0.53 or [::1]:5353");
}

#define FIELD(name) offsetof(struct main_conf, name)

const struct directive main_rows[] = {
    {.name = "workers",
     .where = IN_TOP,
     .type = CONF_NONE,
     .args_min = 1,
     .args_max = 1,
     .def = "auto",
     .apply = apply_workers,
     .usage = "COUNT|auto",
     .text = "How many threads serve requests. `auto` is one per processor core that weir may "
             "use. Changing it takes a restart.",
     .example = "workers 2"},
    {.name = "user",
     .where = IN_TOP,
     .type = CONF_NONE,
     .args_min = 1,
     .args_max = 2,
     .apply = apply_user,
     .usage = "NAME [GROUP]",
     .text = "The account that weir runs as once its sockets and log files are open, when it was "
             "started by root. Without GROUP it is the account's own group. Log files become "
             "that account's, so that they can be opened anew after a rotation.",
     .example = "user www-data"},
    {.name = "resolver",
     .where = IN_TOP,
     .type = CONF_NONE,
     .args_min = 1,
     .args_max = 255,
     .apply = apply_resolver,
     .usage = "ADDRESS...",
     .text = "DNS servers that resolve the names of upstream servers, instead of those in "
             "`/etc/resolv.conf`.",
     .example = "resolver 10.0.0.53 [2001:db8::53]:5353"},
    {.name = "buffers",
     .where = IN_TOP,
     .type = CONF_SIZE,
     .offset = FIELD(buffers_bytes),
     .min = 1 << 20,
     .max = (int64_t)1 << 40,
     .def = "256M",
     .usage = "SIZE",
     .text = "The most memory that each worker uses for bytes on their way. When it is spent, "
             "weir stops reading from connections until some is free again.",
     .example = "buffers 64M"},
    {.name = "stop_timeout",
     .where = IN_TOP,
     .type = CONF_TIME,
     .offset = FIELD(stop_ms),
     .min = 0,
     .max = 24 * 3600 * 1000,
     .def = "30s",
     .usage = "TIME",
     .text = "How long a graceful stop waits for requests in flight before it cuts them off.",
     .example = "stop_timeout 2m"},
    {.name = "core_dumps",
     .where = IN_TOP,
     .type = CONF_FLAG,
     .offset = FIELD(core_dumps),
     .def = "off",
     .usage = "on|off",
     .text = "Whether a worker process that crashes may leave a core file, and whether its user's "
             "tools may look into it. Its memory holds what clients and servers said. Changing it "
             "takes a restart.",
     .example = "core_dumps on"},
    {.name = "ban_export",
     .where = IN_TOP,
     .type = CONF_NONE,
     .args_min = 5,
     .args_max = 5,
     .apply = ban_export_apply,
     .usage = "nftables FAMILY TABLE SET4 SET6",
     .text =
         "Puts banned addresses into two sets of nftables, each until its ban is over, so that "
         "rules of yours can drop their packets in the kernel. The table and its sets are not "
         "made by weir: SET4 is of type `ipv4_addr`, SET6 of type `ipv6_addr` and gets the first "
         "address of each banned /64; both have `flags timeout`. The supervisor needs "
         "CAP_NET_ADMIN. Addresses in `trust` are left out. See [bans](../limits.md).",
     .example = "ban_export nftables inet filter weir4 weir6"},
    {.name = "pid_file",
     .where = IN_TOP,
     .type = CONF_NONE,
     .args_min = 1,
     .args_max = 1,
     .apply = apply_pid_file,
     .usage = "PATH",
     .text = "A file for the process id of the supervisor, for tools that want one. `weir reload`, "
             "`stop` and "
             "`status` do not need it.",
     .example = "pid_file /run/weir.pid"},
    {0},
};

void main_conf_init(struct main_conf *m)
{
    *m = (struct main_conf){0};
    conf_defaults(main_rows, IN_TOP, m);
}

uint32_t main_conf_workers(const struct main_conf *m)
{
    cpu_set_t cpus;
    if (m->workers > 0)
        return (uint32_t)m->workers;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 1;
    int count = CPU_COUNT(&cpus);
    return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : (uint32_t)count;
}
