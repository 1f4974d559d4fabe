/* tickets.c - the keys of TLS session tickets outlive the worker process: the supervisor keeps a
 * copy, in memory, which the next worker begins with. They rotate, so the copy is renewed now and
 * then. */
// SPDX-License-Identifier: Apache-2.0
#include "main/process_priv.h"
#include "tls/tls.h"
#include <string.h>
#include <time.h>

enum { RENEW_MS = 60 * 1000 };

static void give(struct process *p)
{
    uint8_t bytes[TLS_TICKETS_BYTES];
    tls_tickets_rotate(p->tickets, time(NULL));
    tls_tickets_export(p->tickets, bytes);
    supervised_give_tickets(&p->supervised, (struct slice){(const char *)bytes, sizeof bytes});
    explicit_bzero(bytes, sizeof bytes);
}

static void on_renew(struct timer *t)
{
    struct process *p = CONTAINER_OF(t, struct process, tickets_renew);
    give(p);
    timer_set(&process_loop(p)->timers, t, process_loop(p)->now_ms + RENEW_MS);
}

bool process_tickets_init(struct process *p)
{
    struct text *kept = &p->supervised.tickets;
    p->tickets = tls_tickets_new();
    if (!p->tickets)
        return false;
    if (kept->len > 0) {
        (void)tls_tickets_import(p->tickets, (const uint8_t *)kept->at, kept->len);
        explicit_bzero(kept->at, kept->cap);
        text_clear(kept);
    }
    return true;
}

void process_tickets_begin(struct process *p)
{
    timer_init(&p->tickets_renew, on_renew);
    on_renew(&p->tickets_renew);
}

void process_tickets_end(struct process *p)
{
    timer_stop(&process_loop(p)->timers, &p->tickets_renew);
}
