/* ocsp_responder_priv.h - a scripted OCSP responder in a thread of the test, and a loop. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "io/loop.h"
#include "net/dns.h"
#include "tests/unit.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum responder_mood { RESPONDER_ANSWERS, RESPONDER_CLOSES, RESPONDER_DROPS, RESPONDER_RESETS };

/* What it does with the next question. */
struct script {
    enum responder_mood mood;
    size_t piece;       /* bytes per send; 0: all at once */
    struct text answer; /* whole, head included */
};

static struct responder {
    int fd, port;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    struct script script;
    struct text question; /* the last one */
    int count;            /* questions that were dealt with */
} responder;

static struct counters_shared counters;
static struct loop loop;
static struct dns *dns;

static inline void responder_read(int fd, struct text *to)
{
    char bytes[4096];
    size_t due = 0;
    while (due == 0 || to->len < due) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0)
            return;
        text_add(to, (struct slice){bytes, (size_t)n});
        const char *length = strstr(to->at, "Content-Length: "), *end = strstr(to->at, "\r\n\r\n");
        if (end && length)
            due = (size_t)(end - to->at) + 4 + strtoul(length + 16, NULL, 10);
    }
}

static inline void responder_write(int fd, const struct script *s)
{
    size_t piece = s->piece ? s->piece : s->answer.len;
    for (size_t at = 0; at < s->answer.len; at += piece) {
        size_t n = s->answer.len - at < piece ? s->answer.len - at : piece;
        if (send(fd, s->answer.at + at, n, MSG_NOSIGNAL) < 0)
            return;
        if (s->piece)
            usleep(1000);
    }
}

/* Keeps the question, and tells what to do with it. */
static inline struct script responder_exchange(struct responder *r, const struct text *question)
{
    pthread_mutex_lock(&r->lock);
    struct script s = {r->script.mood, r->script.piece, {0}};
    text_add(&s.answer, text_slice(&r->script.answer));
    text_clear(&r->question);
    text_add(&r->question, text_slice(question));
    r->count++;
    pthread_mutex_unlock(&r->lock);
    return s;
}

static inline void responder_serve(struct responder *r, int fd)
{
    struct linger reset = {1, 0};
    struct text question = {0};
    char byte;
    responder_read(fd, &question);
    struct script s = responder_exchange(r, &question);
    if (s.mood == RESPONDER_ANSWERS)
        responder_write(fd, &s);
    while (s.mood == RESPONDER_DROPS && read(fd, &byte, 1) > 0)
        ; /* says nothing until the asker goes */
    if (s.mood == RESPONDER_RESETS)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    text_release(&s.answer);
    text_release(&question);
}

static inline void *responder_run(void *ctx)
{
    struct responder *r = ctx;
    for (int fd; (fd = accept(r->fd, NULL, NULL)) >= 0; close(fd))
        responder_serve(r, fd);
    return NULL;
}

static inline int responder_set_up(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    (void)state;
    memset(&responder, 0, sizeof responder);
    memset(&counters, 0, sizeof counters);
    pthread_mutex_init(&responder.lock, NULL);
    responder.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(responder.fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(responder.fd, 16), 0);
    assert_int_equal(getsockname(responder.fd, (struct sockaddr *)&at, &len), 0);
    responder.port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&responder.thread, NULL, responder_run, &responder), 0);
    assert_true(loop_init(&loop, &io_backend_epoll, NULL, &counters, 8 << 20));
    dns = dns_new(&loop, "127.0.0.1:9");
    assert_non_null(dns);
    return 0;
}

static inline int responder_tear_down(void **state)
{
    (void)state;
    dns_free(dns);
    loop_release(&loop);
    shutdown(responder.fd, SHUT_RDWR);
    pthread_join(responder.thread, NULL);
    close(responder.fd);
    pthread_mutex_destroy(&responder.lock);
    text_release(&responder.script.answer);
    text_release(&responder.question);
    return 0;
}

static inline void responder_is(enum responder_mood mood, size_t piece)
{
    pthread_mutex_lock(&responder.lock);
    responder.script.mood = mood;
    responder.script.piece = piece;
    pthread_mutex_unlock(&responder.lock);
}

static inline void responder_says_whole(struct slice answer)
{
    pthread_mutex_lock(&responder.lock);
    text_clear(&responder.script.answer);
    text_add(&responder.script.answer, answer);
    pthread_mutex_unlock(&responder.lock);
}

/* With a head before it. */
static inline void responder_says(struct slice body)
{
    struct text answer = {0};
    text_addf(&answer,
              "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n"
              "Content-Length: %zu\r\n\r\n",
              body.len);
    text_add(&answer, body);
    responder_says_whole(text_slice(&answer));
    text_release(&answer);
}

/* Appends the last question; how many there were. */
static inline int responder_heard(struct text *question)
{
    pthread_mutex_lock(&responder.lock);
    text_add(question, text_slice(&responder.question));
    int count = responder.count;
    pthread_mutex_unlock(&responder.lock);
    return count;
}

static inline void loop_turn(void)
{
    loop.stopping = true; /* a tick that does not wait */
    loop_tick(&loop);
    loop.stopping = false;
    usleep(200);
}

#define LOOP_UNTIL(cond)                              \
    do {                                              \
        for (int i_ = 0; i_ < 20000 && !(cond); i_++) \
            loop_turn();                              \
        assert_true(cond);                            \
    } while (0)
