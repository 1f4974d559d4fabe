/* log.c - lines into rings, the writer thread that empties them, and the error log.
 *
 * Who holds `writing` may consume rings and write to sinks: the writer thread while there is one,
 * else any thread for its own line. The writer sleeps on a futex word that also says how deep:
 * IDLE, any line wakes it; GATHERING, it lets GATHER_MS of lines pile up so that a busy server
 * pays for few wake-ups and large writes, and only a half full ring wakes it. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/assert.h"
#include "base/date.h"
#include "base/log_priv.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { GATHER_MS = 10 };
enum writer_state { WRITER_AWAKE, WRITER_IDLE, WRITER_GATHERING };

static struct log_shared {
    uint32_t writer;               /* atomic, enum writer_state; the futex */
    bool running;                  /* atomic: there is a writer thread */
    bool stopping;                 /* atomic */
    int error_sink;                /* atomic */
    int error_level;               /* atomic */
    uint64_t dropped;              /* atomic */
    struct log_ring_shared *rings; /* under rings_lock */
    pthread_mutex_t rings_lock;
    pthread_mutex_t writing;
    pthread_t thread;
} shared = {.error_level = LOG_NOTICE_,
            .rings_lock = PTHREAD_MUTEX_INITIALIZER,
            .writing = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct {
    struct log_ring_shared *ring;
    char *direct; /* the reserved line when it does not go through a ring */
    int sink;
    enum log_level level;
    size_t cap;
} self;

void log_dropped_add(uint64_t lines)
{
    __atomic_fetch_add(&shared.dropped, lines, __ATOMIC_RELAXED);
}

uint64_t log_dropped_count(void)
{
    return __atomic_load_n(&shared.dropped, __ATOMIC_RELAXED);
}

static bool is_running(void)
{
    return __atomic_load_n(&shared.running, __ATOMIC_ACQUIRE);
}

/* ---- the writer's side ---- */

static struct log_ring_shared *first_ring(void)
{
    pthread_mutex_lock(&shared.rings_lock);
    struct log_ring_shared *r = shared.rings;
    pthread_mutex_unlock(&shared.rings_lock);
    return r; /* rings are added in front and only we unlink: the rest of the list is ours */
}

static void unlink_ring(struct log_ring_shared *r)
{
    pthread_mutex_lock(&shared.rings_lock);
    struct log_ring_shared **link = &shared.rings;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    pthread_mutex_unlock(&shared.rings_lock);
    log_ring_free(r);
}

static void report_dropped(struct log_ring_shared *r)
{
    uint64_t dropped = __atomic_load_n(&r->dropped, __ATOMIC_RELAXED);
    uint64_t fresh = dropped - r->dropped_reported;
    if (fresh == 0)
        return;
    r->dropped_reported = dropped;
    log_write_in_pass(LOG_WARN_, "log ring of %s was full: %llu lines dropped", r->name,
                      (unsigned long long)fresh);
}

static void drain_ring(struct log_ring_shared *r)
{
    /* Before the lines: what was committed before the end must not be missed. */
    bool ended = __atomic_load_n(&r->ended, __ATOMIC_ACQUIRE);
    struct log_head head;
    struct slice line;
    while (log_ring_peek(r, &head, &line)) {
        log_sink_emit(head.sink, head.level, line);
        log_ring_consume(r, &head);
    }
    report_dropped(r);
    if (ended)
        unlink_ring(r);
}

static void pass(void)
{
    pthread_mutex_lock(&shared.writing);
    log_sinks_pass_begin();
    for (struct log_ring_shared *r = first_ring(), *next; r; r = next) {
        next = r->next;
        drain_ring(r);
    }
    log_sinks_pass_end();
    pthread_mutex_unlock(&shared.writing);
}

static bool is_stopping(void)
{
    return __atomic_load_n(&shared.stopping, __ATOMIC_SEQ_CST);
}

static bool work_waits(void)
{
    if (is_stopping() || log_sinks_pending())
        return true;
    for (struct log_ring_shared *r = first_ring(); r; r = r->next) {
        if (!log_ring_empty(r) || __atomic_load_n(&r->ended, __ATOMIC_SEQ_CST))
            return true;
    }
    return false;
}

/* Says that it sleeps, then looks once more whether `reason` holds, then sleeps: a thread that
 * publishes does the reverse (publish, then look at the state), so one of the two sees the other.
 */
static void writer_sleep(enum writer_state as, const struct timespec *timeout, bool (*reason)(void))
{
    __atomic_store_n(&shared.writer, as, __ATOMIC_SEQ_CST);
    if (!reason())
        syscall(SYS_futex, &shared.writer, FUTEX_WAIT_PRIVATE, as, timeout, NULL, 0);
    __atomic_store_n(&shared.writer, WRITER_AWAKE, __ATOMIC_SEQ_CST);
}

static void writer_wake(void)
{
    if (__atomic_exchange_n(&shared.writer, WRITER_AWAKE, __ATOMIC_SEQ_CST) != WRITER_AWAKE)
        syscall(SYS_futex, &shared.writer, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *writer_main(void *arg)
{
    const struct timespec gather = {.tv_nsec = GATHER_MS * 1000000L};
    pthread_setname_np(pthread_self(), "weir-log");
    while (!is_stopping()) {
        pass();
        writer_sleep(WRITER_IDLE, NULL, work_waits);
        writer_sleep(WRITER_GATHERING, &gather, is_stopping);
    }
    pass(); /* what was queued before log_stop() */
    return arg;
}

bool log_start(void)
{
    ASSERT(!is_running());
    sigset_t all, old;
    sigfillset(&all);
    /* The writer gets no signals: they are for the main thread, and SIGPIPE is for nobody. */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    errno = pthread_create(&shared.thread, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    __atomic_store_n(&shared.running, errno == 0, __ATOMIC_RELEASE);
    return errno == 0;
}

void log_stop(void)
{
    ASSERT(is_running());
    __atomic_store_n(&shared.stopping, true, __ATOMIC_SEQ_CST);
    writer_wake();
    pthread_join(shared.thread, NULL);
    __atomic_store_n(&shared.running, false, __ATOMIC_RELEASE);
    __atomic_store_n(&shared.stopping, false, __ATOMIC_SEQ_CST);
    if (work_waits()) /* a thread was quicker than this one */
        pass();
}

void log_writer_poke(void)
{
    if (is_running())
        writer_wake();
    else
        pass();
}

/* ---- a thread's side ---- */

static char *direct_begin(size_t cap)
{
    self.direct = malloc(cap + 1);
    if (!self.direct)
        log_dropped_add(1);
    return self.direct;
}

static void direct_end(void)
{
    free(self.direct);
    self.direct = NULL;
}

void log_thread_begin(const char *name, size_t ring_bytes)
{
    ASSERT(!self.ring);
    struct log_ring_shared *r = log_ring_new(name, ring_bytes);
    pthread_mutex_lock(&shared.rings_lock);
    r->next = shared.rings;
    shared.rings = r;
    pthread_mutex_unlock(&shared.rings_lock);
    self.ring = r;
}

void log_thread_end(void)
{
    struct log_ring_shared *r = self.ring;
    ASSERT(r);
    self.ring = NULL;
    direct_end();
    __atomic_store_n(&r->ended, true, __ATOMIC_SEQ_CST); /* from here on it is the writer's */
    log_writer_poke();
}

static void direct_commit(size_t len)
{
    self.direct[len] = '\n';
    pthread_mutex_lock(&shared.writing);
    log_sink_emit(self.sink, self.level, (struct slice){self.direct, len + 1});
    log_sinks_flush();
    pthread_mutex_unlock(&shared.writing);
    direct_end();
}

static char *line_begin(int sink, enum log_level level, size_t cap)
{
    direct_end(); /* of a line that was begun and not committed */
    self.sink = sink;
    self.level = level;
    self.cap = cap;
    if (!self.ring || !is_running())
        return direct_begin(cap);
    return log_ring_reserve(self.ring, cap);
}

char *log_line_begin(int sink, size_t cap)
{
    return line_begin(sink, LOG_INFO_, cap);
}

static bool writer_wants_waking(void)
{
    uint32_t state = __atomic_load_n(&shared.writer, __ATOMIC_SEQ_CST);
    return state == WRITER_IDLE || (state == WRITER_GATHERING && log_ring_half_full(self.ring));
}

void log_line_commit(size_t len)
{
    ASSERT(len <= self.cap);
    if (self.direct) {
        direct_commit(len);
        return;
    }
    log_ring_publish(self.ring, self.sink, self.level, len);
    if (writer_wants_waking())
        writer_wake();
}

bool log_line(int sink, struct slice line)
{
    char *to = log_line_begin(sink, line.len);
    if (!to)
        return false;
    if (line.len)
        memcpy(to, line.at, line.len);
    log_line_commit(line.len);
    return true;
}

/* ---- the error log ---- */

static const char *const level_names[] = {"debug", "info", "notice", "warn", "error"};

const char *log_level_name(enum log_level level)
{
    ASSERT((unsigned)level < COUNT_OF(level_names));
    return level_names[level];
}

enum err log_level_parse(struct slice word, enum log_level *out)
{
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (slice_eq(word, slice_of(level_names[i]))) {
            *out = (enum log_level)i;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

void log_error_set(int sink, enum log_level min_level)
{
    __atomic_store_n(&shared.error_sink, sink, __ATOMIC_RELAXED);
    __atomic_store_n(&shared.error_level, min_level, __ATOMIC_RELAXED);
}

enum log_level log_error_level(void)
{
    return (enum log_level)__atomic_load_n(&shared.error_level, __ATOMIC_RELAXED);
}

static int error_sink(void)
{
    return __atomic_load_n(&shared.error_sink, __ATOMIC_RELAXED);
}

static size_t write_prefix(char *to, enum log_level level)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    date_write_iso(to, now.tv_sec * 1000 + now.tv_nsec / 1000000);
    return DATE_ISO_BYTES + (size_t)sprintf(to + DATE_ISO_BYTES, " %s ", level_names[level]);
}

/* A text may quote what a client sent: nothing in it may start a line or drive a terminal. */
static void blank_controls(char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
            at[i] = '?';
    }
}

/* Formats one line into to[LOG_TEXT_MAX] and returns its length, cut when it is too long. A
 * syslog datagram brings its own time and level. */
__attribute__((format(printf, 4, 0))) static size_t format_line(char *to, int sink,
                                                                enum log_level level,
                                                                const char *fmt, va_list args)
{
    size_t prefix = log_sink_is_syslog(sink) ? 0 : write_prefix(to, level);
    size_t room = LOG_TEXT_MAX - prefix;
    int len = vsnprintf(to + prefix, room, fmt, args);
    size_t kept = len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
    blank_controls(to + prefix, kept);
    return prefix + kept;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (level < log_error_level())
        return;
    int sink = error_sink();
    char *to = line_begin(sink, level, LOG_TEXT_MAX);
    if (!to)
        return;
    va_list args;
    va_start(args, fmt);
    size_t len = format_line(to, sink, level, fmt, args);
    va_end(args);
    log_line_commit(len);
}

void log_write_in_pass(enum log_level level, const char *fmt, ...)
{
    char line[LOG_TEXT_MAX + 1];
    int sink = error_sink();
    va_list args;
    va_start(args, fmt);
    size_t len = format_line(line, sink, level, fmt, args);
    va_end(args);
    line[len] = '\n';
    log_sink_emit(sink, level, (struct slice){line, len + 1});
}
