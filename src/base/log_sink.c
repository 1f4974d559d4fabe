/* log_sink.c - where lines end up: stderr, stdout, files, syslog.
 *
 * The table has a fixed size. Only the main thread moves an entry from FREE to OPEN to DROPPED;
 * only who writes moves it on to CLOSING and FREE, after a full pass over the rings, so that no
 * line is left that names it. Lines are gathered and written in large pieces. A sink that refuses
 * (disk full, reader gone or asleep) loses its lines, counted, and never holds up the others for
 * longer than PATIENCE_MS, once. Syslog gets one datagram per line (RFC 3164). */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/log_priv.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 100, PIPE_PIECE_BYTES = 4096, DATAGRAM_MAX = 8192 };
enum sink_state { SINK_FREE, SINK_OPEN, SINK_DROPPED, SINK_CLOSING };

struct sink_shared {
    /* main thread only; constant while open */
    unsigned refs;
    enum log_target target;
    char *path;
    /* below: whoever writes */
    int fd;
    bool regular;  /* a file on disk: write(2) needs no poll(2) */
    bool stuck;    /* the last write failed: no patience until one succeeds */
    bool torn;     /* the last write ended inside a line */
    int error;     /* errno of the loss that is not reported yet */
    uint64_t lost; /* lines, likewise */
    char *batch;
    size_t batch_len;
};

static struct sink_shared sinks[LOG_SINKS_MAX] = {
    {.refs = 1, .target = LOG_TO_STDERR, .fd = STDERR_FILENO}};
/* Apart from the sinks, because both sides look at any time: atomic, enum sink_state. */
static int states[LOG_SINKS_MAX] = {SINK_OPEN};
static bool reopen_wanted; /* atomic */

static int state_get(int sink)
{
    return __atomic_load_n(&states[sink], __ATOMIC_ACQUIRE);
}

static void state_set(int sink, enum sink_state state)
{
    __atomic_store_n(&states[sink], (int)state, __ATOMIC_RELEASE);
}

/* ---- opening and closing ---- */

static int open_syslog(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int open_target(enum log_target target, const char *path)
{
    switch (target) {
    case LOG_TO_STDERR: return STDERR_FILENO;
    case LOG_TO_STDOUT: return STDOUT_FILENO;
    case LOG_TO_SYSLOG: return open_syslog(path);
    case LOG_TO_FILE: break;
    }
    /* O_NONBLOCK: opening a named pipe without a reader fails instead of hanging. */
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

static bool is_regular(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool has_fd_of_its_own(const struct sink_shared *k)
{
    return k->target == LOG_TO_FILE || k->target == LOG_TO_SYSLOG;
}

static int find_open(enum log_target target, const char *path)
{
    for (int i = 0; i < LOG_SINKS_MAX; i++) {
        if (state_get(i) == SINK_OPEN && sinks[i].target == target &&
            (!path || strcmp(sinks[i].path, path) == 0))
            return i;
    }
    return -1;
}

static int find_free(void)
{
    for (int i = 0; i < LOG_SINKS_MAX; i++) {
        if (state_get(i) == SINK_FREE)
            return i;
    }
    errno = EMFILE;
    return -1;
}

static const char *path_of(enum log_target target, const char *path)
{
    if (target == LOG_TO_SYSLOG)
        return path && *path ? path : "/dev/log";
    return target == LOG_TO_FILE ? path : NULL;
}

int log_sink_open(enum log_target target, const char *path)
{
    path = path_of(target, path);
    int id = find_open(target, path);
    if (id >= 0) {
        sinks[id].refs++;
        return id;
    }
    id = find_free();
    int fd = id >= 0 ? open_target(target, path) : -1;
    if (fd < 0)
        return -1;
    sinks[id] =
        (struct sink_shared){.refs = 1, .target = target, .fd = fd, .regular = is_regular(fd)};
    sinks[id].path = path ? mem_dup(path, strlen(path)) : NULL;
    state_set(id, SINK_OPEN);
    return id;
}

void log_sink_drop(int sink)
{
    struct sink_shared *k = &sinks[sink];
    ASSERT(k->refs > 0);
    if (--k->refs > 0)
        return;
    state_set(sink, SINK_DROPPED);
    log_writer_poke();
}

void log_sinks_reopen(void)
{
    __atomic_store_n(&reopen_wanted, true, __ATOMIC_SEQ_CST);
    log_writer_poke();
}

void log_sinks_give(unsigned uid, unsigned gid)
{
    for (int i = 0; i < LOG_SINKS_MAX; i++)
        if (state_get(i) == SINK_OPEN && sinks[i].target == LOG_TO_FILE && sinks[i].regular)
            (void)!fchown(sinks[i].fd, uid, gid);
}

bool log_sink_is_syslog(int sink)
{
    return sinks[sink].target == LOG_TO_SYSLOG;
}

/* Opens first, so that a failure (reported, the old file stays) loses nothing. */
static void sink_reopen(struct sink_shared *k)
{
    int fd = open_target(k->target, k->path);
    if (fd < 0) {
        log_write_in_pass(LOG_ERROR_, "cannot reopen log \"%s\": %s", k->path, strerror(errno));
        return;
    }
    close(k->fd);
    k->fd = fd;
    k->regular = is_regular(fd);
    k->torn = false;
}

static void sink_close(int sink)
{
    struct sink_shared *k = &sinks[sink];
    if (has_fd_of_its_own(k))
        close(k->fd);
    free(k->batch);
    free(k->path);
    *k = (struct sink_shared){0};
    state_set(sink, SINK_FREE);
}

/* ---- writing ---- */

static void lose(struct sink_shared *k, uint64_t lines, int error)
{
    k->lost += lines;
    k->error = error;
    log_dropped_add(lines);
}

static bool wait_writable(struct sink_shared *k)
{
    struct pollfd p = {.fd = k->fd, .events = POLLOUT};
    int got = poll(&p, 1, k->stuck ? 0 : PATIENCE_MS);
    if (got == 0)
        errno = EAGAIN;
    return got > 0;
}

/* One write(2) that cannot block on a pipe or terminal: it takes a page once poll(2) says so. */
static ssize_t write_piece(struct sink_shared *k, struct slice s)
{
    if (k->regular)
        return write(k->fd, s.at, s.len);
    if (!wait_writable(k))
        return -1;
    return write(k->fd, s.at, s.len < PIPE_PIECE_BYTES ? s.len : PIPE_PIECE_BYTES);
}

static uint64_t count_lines(struct slice s)
{
    uint64_t lines = 0;
    for (struct slice part; s.len > 0 && slice_cut(&s, '\n', &part);)
        lines++;
    return lines;
}

static void write_all(struct sink_shared *k, struct slice s)
{
    size_t done = 0;
    while (done < s.len) {
        ssize_t got = write_piece(k, slice_from(s, done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    k->stuck = done < s.len;
    if (done > 0)
        k->torn = s.at[done - 1] != '\n';
    if (done < s.len)
        lose(k, count_lines(slice_from(s, done)), errno);
}

static void sink_flush(struct sink_shared *k)
{
    if (k->batch_len == 0)
        return;
    write_all(k, (struct slice){k->batch, k->batch_len});
    k->batch_len = 0;
}

static void batch_add(struct sink_shared *k, struct slice s)
{
    memcpy(k->batch + k->batch_len, s.at, s.len);
    k->batch_len += s.len;
}

static void emit_batched(struct sink_shared *k, struct slice line)
{
    if (!k->batch) {
        k->batch = mem_new(LOG_BATCH_BYTES);
        k->regular = is_regular(k->fd);
    }
    if (k->batch_len + line.len + 1 > LOG_BATCH_BYTES)
        sink_flush(k);
    if (k->batch_len == 0 && k->torn) /* what is left of the torn line ends here */
        batch_add(k, SLICE("\n"));
    if (k->batch_len + line.len > LOG_BATCH_BYTES) {
        sink_flush(k);
        write_all(k, line);
        return;
    }
    batch_add(k, line);
}

static size_t syslog_prefix(char *to, size_t cap, enum log_level level)
{
    static const uint8_t severities[] = {7, 6, 5, 4, 3}; /* by enum log_level; RFC 3164 4.1.1 */
    enum { FACILITY_DAEMON = 3 };
    char when[32];
    struct tm tm;
    time_t now = time(NULL);
    strftime(when, sizeof(when), "%b %e %H:%M:%S", localtime_r(&now, &tm));
    return (size_t)snprintf(to, cap, "<%d>%s weir[%d]: ", FACILITY_DAEMON * 8 + severities[level],
                            when, (int)getpid());
}

static bool syslog_send(struct sink_shared *k, struct slice datagram)
{
    ssize_t got = send(k->fd, datagram.at, datagram.len, MSG_NOSIGNAL);
    if (got < 0 && errno == EAGAIN && wait_writable(k))
        got = send(k->fd, datagram.at, datagram.len, MSG_NOSIGNAL);
    return got >= 0;
}

/* The daemon was restarted: its socket is a new one. */
static bool syslog_reconnect(struct sink_shared *k)
{
    if (errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET)
        return false;
    int fd = open_syslog(k->path);
    if (fd < 0)
        return false;
    close(k->fd);
    k->fd = fd;
    return true;
}

static void emit_syslog(struct sink_shared *k, enum log_level level, struct slice line)
{
    char datagram[DATAGRAM_MAX];
    size_t len = syslog_prefix(datagram, sizeof(datagram), level);
    struct slice text = slice_head(line, line.len - 1); /* a datagram needs no newline */
    text = slice_head(text, sizeof(datagram) - len);
    memcpy(datagram + len, text.at, text.len);
    struct slice whole = {datagram, len + text.len};
    bool sent = syslog_send(k, whole) || (syslog_reconnect(k) && syslog_send(k, whole));
    k->stuck = !sent;
    if (!sent)
        lose(k, 1, errno);
}

void log_sink_emit(int sink, enum log_level level, struct slice line)
{
    ASSERT(sink >= 0 && sink < LOG_SINKS_MAX);
    struct sink_shared *k = &sinks[sink];
    if (state_get(sink) == SINK_FREE)
        log_dropped_add(1);
    else if (k->target == LOG_TO_SYSLOG)
        emit_syslog(k, level, line);
    else
        emit_batched(k, line);
}

/* ---- a pass ---- */

bool log_sinks_pending(void)
{
    bool pending = __atomic_load_n(&reopen_wanted, __ATOMIC_SEQ_CST);
    for (int i = 0; i < LOG_SINKS_MAX; i++)
        pending |= state_get(i) == SINK_DROPPED;
    return pending;
}

void log_sinks_pass_begin(void)
{
    bool reopen = __atomic_exchange_n(&reopen_wanted, false, __ATOMIC_SEQ_CST);
    for (int i = 0; i < LOG_SINKS_MAX; i++) {
        int state = state_get(i);
        if (state == SINK_DROPPED)
            state_set(i, SINK_CLOSING);
        else if (state == SINK_OPEN && reopen && has_fd_of_its_own(&sinks[i]))
            sink_reopen(&sinks[i]);
    }
}

static void flush_all(void)
{
    for (int i = 0; i < LOG_SINKS_MAX; i++) {
        if (state_get(i) != SINK_FREE)
            sink_flush(&sinks[i]);
    }
}

static const char *sink_name(const struct sink_shared *k)
{
    if (k->path)
        return k->path;
    return k->target == LOG_TO_STDERR ? "stderr" : "stdout";
}

/* Once a sink takes lines again, the error log tells what was lost. */
static void report_lost(struct sink_shared *k)
{
    uint64_t lost = k->lost;
    k->lost = 0;
    log_write_in_pass(LOG_ERROR_, "log \"%s\" lost %llu lines: %s", sink_name(k),
                      (unsigned long long)lost, strerror(k->error));
}

void log_sinks_flush(void)
{
    flush_all();
    for (int i = 0; i < LOG_SINKS_MAX; i++) {
        if (state_get(i) != SINK_FREE && sinks[i].lost > 0 && !sinks[i].stuck)
            report_lost(&sinks[i]);
    }
    flush_all();
}

void log_sinks_pass_end(void)
{
    log_sinks_flush();
    for (int i = 0; i < LOG_SINKS_MAX; i++) {
        if (state_get(i) == SINK_CLOSING)
            sink_close(i);
    }
}
