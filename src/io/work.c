/* work.c - see work.h. One list under a lock, in the order in which jobs are to run.
 *
 * Fair queueing by turns (Nagle 1987, Demers et al. 1989, with jobs that count the same): a job's
 * turn is one after that of the last job of its share that waits, or else the turn that is being
 * served. So a newcomer waits for one job of each other share, not for all of them. */
// SPDX-License-Identifier: Apache-2.0
#include "io/work.h"
#include "base/arena.h"
#include "base/mem.h"
#include "io/loop.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct work_pool_shared {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct list queue; /* struct work.link, by turn, then by age */
    uint64_t turn;     /* that is being served */
    uint32_t queued;   /* in the queue */
    uint32_t idle;     /* threads that wait for a job */
    uint32_t started;  /* threads there are */
    uint32_t threads_max;
    bool stopping;
    pthread_t threads[WORK_THREADS_MAX];
};

struct work_pool_shared *work_pool_new(uint32_t threads)
{
    ASSERT(threads > 0 && threads <= WORK_THREADS_MAX);
    struct work_pool_shared *p = MEM_NEW(struct work_pool_shared);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wanted, NULL);
    list_init(&p->queue);
    p->threads_max = threads;
    return p;
}

/* --- running ---------------------------------------------------------------------------------- */

static void mail_run(struct mail *m, struct loop *l)
{
    struct work *w = CONTAINER_OF(m, struct work, mail);
    w->done(w, l);
}

/* Without done() the owner may be gone after run(). */
static void work_run(struct work *w)
{
    struct mailbox_shared *to = w->done ? w->to : NULL;
    w->run(w);
    if (to)
        mailbox_post(to, &w->mail);
}

static struct work *next_wait(struct work_pool_shared *p)
{
    struct work *w = NULL;
    pthread_mutex_lock(&p->lock);
    p->idle++;
    while (!p->stopping && list_empty(&p->queue))
        pthread_cond_wait(&p->wanted, &p->lock);
    p->idle--;
    if (!p->stopping) {
        w = LIST_ENTRY(list_pop(&p->queue), struct work, link);
        p->turn = w->turn;
        p->queued--;
    }
    pthread_mutex_unlock(&p->lock);
    return w;
}

static void *thread_main(void *arg)
{
    struct work_pool_shared *p = arg;
    struct work *w;
    while ((w = next_wait(p)))
        work_run(w);
    arena_cache_release();
    return NULL;
}

/* Takes no signals: they are the main thread's. */
static bool thread_start(struct work_pool_shared *p)
{
    sigset_t all, before;
    char name[16];
    pthread_t *t = &p->threads[p->started];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(t, NULL, thread_main, p) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!ok)
        return false;
    snprintf(name, sizeof name, "weir-work-%u", p->started);
    pthread_setname_np(*t, name);
    p->started++;
    return true;
}

/* --- posting ---------------------------------------------------------------------------------- */

/* How many of the share wait; *turn is the one after theirs. */
static uint32_t share_look(const struct work_pool_shared *p, uint64_t share, uint64_t *turn)
{
    uint32_t count = 0;
    *turn = p->turn;
    LIST_EACH (l, &p->queue) {
        const struct work *w = LIST_ENTRY(l, struct work, link);
        if (w->share != share)
            continue;
        count++;
        *turn = w->turn + 1;
    }
    return count;
}

static void queue_put(struct work_pool_shared *p, struct work *w)
{
    struct list *after = p->queue.prev;
    while (after != &p->queue && LIST_ENTRY(after, struct work, link)->turn > w->turn)
        after = after->prev;
    list_add_before(after->next, &w->link);
    p->queued++;
}

/* A thread that is idle, or a new one, or one that is there and will come to it. */
static bool thread_find(struct work_pool_shared *p)
{
    if (p->idle > p->queued)
        return true;
    if (p->started < p->threads_max && thread_start(p))
        return true;
    return p->started > 0;
}

bool work_post(struct work_pool_shared *p, struct work *w, struct loop *l)
{
    w->canceled = false;
    w->mail.run = mail_run;
    w->to = l ? l->mailbox : NULL;
    list_init(&w->link);
    pthread_mutex_lock(&p->lock);
    bool ok = !p->stopping && p->queued < WORK_QUEUE_MAX &&
              share_look(p, w->share, &w->turn) < WORK_SHARE_MAX && thread_find(p);
    if (ok) {
        queue_put(p, w);
        pthread_cond_signal(&p->wanted);
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void threads_join(struct work_pool_shared *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->wanted);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->started; i++)
        pthread_join(p->threads[i], NULL);
}

void work_pool_free(struct work_pool_shared *p)
{
    struct list *l;
    threads_join(p);
    while ((l = list_pop(&p->queue))) {
        struct work *w = LIST_ENTRY(l, struct work, link);
        w->canceled = true;
        work_run(w);
    }
    pthread_cond_destroy(&p->wanted);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
