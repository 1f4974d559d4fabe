/* bans.c - bans outlive the worker process: it tells the supervisor of those that are new or
 * lifted, once a second, and begins with those that the supervisor has kept (main/ban_keeper.h). */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "limit/bans_text.h"
#include "main/process_priv.h"

enum {
    TELL_MS = 1000,
    LINES_MAX = HANDOVER_TEXT_MAX / BAN_LINE_BYTES, /* of one message */
    MESSAGES_MAX = 16,                              /* at once; the rest in a second */
};

struct lines {
    struct text text;
    struct ban_clocks clocks;
};

static void line_add(void *ctx, const struct ban *b)
{
    struct lines *l = ctx;
    ban_line_write(&l->text, b, l->clocks);
}

static struct ban_clocks clocks(struct process *p)
{
    return (struct ban_clocks){process_loop(p)->now_ms, process_loop(p)->unix_ms};
}

static void tell(struct process *p, int messages_max)
{
    struct lines l = {.clocks = clocks(p)};
    text_init(&l.text);
    while (messages_max-- > 0 && bans_take_changes(LINES_MAX, line_add, &l) > 0) {
        supervised_give_bans(&p->supervised, text_slice(&l.text));
        text_clear(&l.text);
    }
    text_release(&l.text);
}

static void on_tell(struct timer *t)
{
    struct process *p = CONTAINER_OF(t, struct process, bans_tell);
    tell(p, MESSAGES_MAX);
    timer_set(&process_loop(p)->timers, t, process_loop(p)->now_ms + TELL_MS);
}

static void put(void *ctx, const struct ban *b)
{
    (void)bans_put(b, process_loop(ctx)->now_ms);
}

void process_bans_begin(struct process *p)
{
    struct text *kept = &p->supervised.bans;
    if (!ban_lines_read(text_slice(kept), clocks(p), put, p))
        log_write(LOG_ERROR_, "not all bans that were kept are understood");
    text_release(kept);
    bans_record();
    timer_init(&p->bans_tell, on_tell);
    on_tell(&p->bans_tell);
}

void process_bans_end(struct process *p)
{
    timer_stop(&process_loop(p)->timers, &p->bans_tell);
    tell(p, BANS_MAX / LINES_MAX + 1);
}
