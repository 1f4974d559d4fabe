/* changes.c - servers are changed while weir runs: the configuration in force is built again, from
 * the supervisor's copy of its files, so that what stands half edited in the files is left alone.
 * The supervisor keeps the changes for the next worker process, and for the next binary. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "main/handover.h"
#include "main/process_priv.h"

_Static_assert((int)SERVER_CHANGES_BYTES <= (int)HANDOVER_TEXT_MAX,
               "all changes fit into one message");

void process_changes_init(struct process *p)
{
    struct text *kept = &p->supervised.changes;
    if (!server_changes_read(&p->changes, text_slice(kept)))
        log_write(LOG_ERROR_, "not all changes of servers made at run time are understood");
    text_release(kept);
}

static void tell_supervisor(struct process *p)
{
    struct text t;
    text_init(&t);
    server_changes_write(&p->changes, &t);
    supervised_give_changes(&p->supervised, text_slice(&t));
    text_release(&t);
}

static void log_order(const struct server_order *o)
{
    struct text numbers;
    text_init(&numbers);
    if (o->weight)
        text_addf(&numbers, ", weight %lld", (long long)o->weight);
    if (o->max_conns)
        text_addf(&numbers, ", max_conns %lld", (long long)o->max_conns);
    log_write(LOG_NOTICE_, "server %.*s of upstream %.*s: %.*s%s, by command", SLICE_ARG(o->server),
              SLICE_ARG(o->upstream), SLICE_ARG(o->action), numbers.len ? numbers.at : "");
    text_release(&numbers);
}

bool process_change(struct process *p, const struct server_order *o, struct text *why)
{
    struct server_changes before = {0};
    server_changes_copy(&before, &p->changes);
    bool ok = server_changes_order(&p->changes, p->conf->upstreams, o, why);
    if (ok && !(ok = process_rebuild(p, why)))
        server_changes_swap(&p->changes, &before);
    server_changes_release(&before);
    if (!ok)
        return false;
    log_order(o);
    server_order_began(o, p->conf->upstreams, process_loop(p)->now_ms);
    tell_supervisor(p);
    return true;
}
