/* mailbox.c - mail from other threads: a list under a mutex, and an eventfd that wakes the loop.
 *
 * The receiver looks at the head without the lock, so a tick without mail costs one load. The
 * eventfd is written only by the post that finds the list empty, and read when mail is taken. */
// SPDX-License-Identifier: Apache-2.0
#include "io/mailbox.h"
#include "base/assert.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox_shared {
    pthread_mutex_t lock; /* guards the list */
    struct mail *head, **tail;
    int fd;
};

struct mailbox_shared *mailbox_new(void)
{
    struct mailbox_shared *m = MEM_NEW(struct mailbox_shared);
    pthread_mutex_init(&m->lock, NULL);
    m->tail = &m->head;
    m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (m->fd >= 0)
        return m;
    pthread_mutex_destroy(&m->lock);
    free(m);
    return NULL;
}

void mailbox_free(struct mailbox_shared *m)
{
    close(m->fd);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void mailbox_post(struct mailbox_shared *m, struct mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&m->lock);
    bool was_empty = m->head == NULL;
    if (was_empty)
        __atomic_store_n(&m->head, mail, __ATOMIC_RELEASE);
    else
        *m->tail = mail;
    m->tail = &mail->next;
    /* Written under the lock, so that the receiver cannot free the box in between. It can only
     * fail with EAGAIN at 2^64-1 posts unread. */
    if (was_empty)
        (void)!write(m->fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_mutex_unlock(&m->lock);
}

static struct mail *take_all(struct mailbox_shared *m)
{
    uint64_t count;
    pthread_mutex_lock(&m->lock);
    struct mail *all = m->head;
    __atomic_store_n(&m->head, NULL, __ATOMIC_RELAXED);
    m->tail = &m->head;
    (void)!read(m->fd, &count, sizeof(count));
    pthread_mutex_unlock(&m->lock);
    return all;
}

void mailbox_run(struct mailbox_shared *m, struct loop *l)
{
    if (mailbox_empty(m))
        return;
    struct mail *mail = take_all(m);
    while (mail) {
        struct mail *next = mail->next; /* run() may free it */
        mail->run(mail, l);
        mail = next;
    }
}

int mailbox_fd(const struct mailbox_shared *m)
{
    return m->fd;
}

bool mailbox_empty(struct mailbox_shared *m)
{
    return __atomic_load_n(&m->head, __ATOMIC_ACQUIRE) == NULL;
}
