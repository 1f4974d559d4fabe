/* mailbox_test.c - mail between threads (run under TSan, too): order, wake-ups, nothing lost. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "tests/unit.h"
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SENDERS = 2, MAILS = 5000 };

struct numbered {
    struct mail mail;
    int sender, number;
};

static struct counters_shared counters;
static int next_of[SENDERS], received;

static void take(struct mail *m, struct loop *l)
{
    struct numbered *n = CONTAINER_OF(m, struct numbered, mail);
    assert_int_equal(n->number, next_of[n->sender]);
    next_of[n->sender]++;
    if (++received == SENDERS * MAILS)
        loop_stop(l);
    free(n);
}

struct sender {
    pthread_t thread;
    int id;
    struct mailbox_shared *to;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < MAILS; i++) {
        struct numbered *n = calloc(1, sizeof(*n));
        if (!n)
            abort();
        n->mail.run = take;
        n->sender = s->id;
        n->number = i;
        mailbox_post(s->to, &n->mail);
    }
    return NULL;
}

static void wakes_a_waiting_loop(void **state)
{
    struct loop l;
    struct sender senders[SENDERS];
    (void)state;
    received = 0;
    memset(next_of, 0, sizeof(next_of));
    assert_true(loop_init(&l, &io_backend_epoll, NULL, &counters, 1 << 20));
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.id = i, .to = l.mailbox};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    loop_run(&l);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    assert_int_equal(received, SENDERS * MAILS);
    assert_true(mailbox_empty(l.mailbox));
    loop_release(&l);
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static int ran;

static void count(struct mail *m, struct loop *l)
{
    (void)m;
    (void)l;
    ran++;
}

static void descriptor_tells_of_mail(void **state)
{
    struct mailbox_shared *m = mailbox_new();
    struct mail a = {.run = count}, b = {.run = count};
    (void)state;
    ran = 0;
    assert_true(mailbox_empty(m));
    assert_false(is_readable(mailbox_fd(m)));
    mailbox_post(m, &a);
    mailbox_post(m, &b);
    assert_true(is_readable(mailbox_fd(m)));
    mailbox_run(m, NULL);
    assert_int_equal(ran, 2);
    assert_true(mailbox_empty(m));
    assert_false(is_readable(mailbox_fd(m)));
    mailbox_run(m, NULL);
    assert_int_equal(ran, 2);
    mailbox_free(m);
}

UNIT_SUITE(io_mailbox, cmocka_unit_test(wakes_a_waiting_loop),
           cmocka_unit_test(descriptor_tells_of_mail));
