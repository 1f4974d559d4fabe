/* snapshots.c - a worker that drops the last count on a snapshot must not free it: cleanups touch
 * what belongs to the main thread. It posts the snapshot home instead. */
// SPDX-License-Identifier: Apache-2.0
#include "main/snapshots.h"
#include "base/assert.h"
#include "base/mem.h"
#include "io/mailbox.h"

static struct mailbox_shared *home; /* set before threads start, cleared after they ended */
static uint32_t alive;              /* main thread */

/* In the snapshot's own arena: the end of a snapshot needs no memory. */
struct coffin {
    struct mail mail;
    struct conf *conf;
};

static void bury(struct mail *m, struct loop *l)
{
    struct coffin *c = CONTAINER_OF(m, struct coffin, mail);
    (void)l;
    conf_free(c->conf);
}

static void on_unused(struct conf *conf)
{
    if (!home) {
        conf_free(conf);
        return;
    }
    struct coffin *c = conf->unused_ctx;
    mailbox_post(home, &c->mail);
}

static void on_free(void *ctx)
{
    (void)ctx;
    alive--;
}

void snapshots_begin(struct mailbox_shared *main)
{
    home = main;
}

void snapshots_adopt(struct conf *c)
{
    struct coffin *coffin = mem_must(arena_alloc(&c->arena, sizeof *coffin), sizeof *coffin);
    *coffin = (struct coffin){.mail.run = bury, .conf = c};
    alive++;
    c->unused = on_unused;
    c->unused_ctx = coffin;
    conf_on_free(c, on_free, NULL);
}

uint32_t snapshots_alive(void)
{
    return alive;
}

void snapshots_end(void)
{
    home = NULL;
}
