/* control.c - where the control socket is, and a small blocking HTTP client for it. */
// SPDX-License-Identifier: Apache-2.0
#include "main/control.h"
#include "base/hash.h"
#include "base/num.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_MAX_BYTES = 256 << 20, WAIT_S = 120 };

/* ---- where ---- */

void control_folder(char *to, size_t cap)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (geteuid() == 0)
        snprintf(to, cap, "/run/weir");
    else if (runtime && runtime[0] == '/')
        snprintf(to, cap, "%s/weir", runtime);
    else
        snprintf(to, cap, "/tmp/weir-%u", (unsigned)geteuid());
}

/* /tmp is open to all: what stands at our path must be a folder of ours that nobody else enters. */
static bool folder_make(const char *folder, struct text *why)
{
    struct stat st;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        text_addf(why, "%s: %s", folder, strerror(errno));
        return false;
    }
    if (lstat(folder, &st) != 0) {
        text_addf(why, "%s: %s", folder, strerror(errno));
        return false;
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0077)) {
        text_addf(why, "%s must be a folder of this user with mode 0700", folder);
        return false;
    }
    return true;
}

/* The same file has the same path whatever the working folder and links; one that does not exist
 * (yet) is named as it was given. */
static uint64_t path_hash(const char *path)
{
    char full[PATH_MAX];
    return hash_fast(slice_of(realpath(path, full) ? full : path), 0);
}

bool control_address(const char *config_path, struct addr *out, struct text *why)
{
    char folder[CONTROL_FOLDER_BYTES], path[PATH_MAX];
    control_folder(folder, sizeof folder);
    if (!folder_make(folder, why))
        return false;
    int len = snprintf(path, sizeof path, "%s/%016llx.sock", folder,
                       (unsigned long long)path_hash(config_path));
    struct addr_spec spec = {.host = {path, (size_t)len}, .is_unix = true};
    if (addr_from_spec(&spec, out) == ERR_OK)
        return true;
    text_addf(why, "%s: path is too long for a socket", path);
    return false;
}

/* ---- client ---- */

static enum err open_socket(const struct addr *a, int *out)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_IO;
    struct timeval wait = {.tv_sec = WAIT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd, &a->sa, a->len) == 0) {
        *out = fd;
        return ERR_OK;
    }
    int error = errno;
    close(fd);
    errno = error;
    return error == ECONNREFUSED || error == ENOENT ? ERR_CONNECT_REFUSED : ERR_IO;
}

bool control_alive(const struct addr *a)
{
    int fd;
    if (open_socket(a, &fd) != ERR_OK)
        return false;
    close(fd);
    return true;
}

static bool send_request(int fd, const char *method, const char *path)
{
    struct text t;
    text_init(&t);
    text_addf(&t,
              "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
              method, path);
    bool ok = send(fd, t.at, t.len, MSG_NOSIGNAL) == (ssize_t)t.len;
    text_release(&t);
    return ok;
}

static bool receive_all(int fd, struct text *out)
{
    char part[16384];
    ssize_t n = 0;
    while (out->len < ANSWER_MAX_BYTES && (n = recv(fd, part, sizeof part, 0)) > 0)
        text_add(out, (struct slice){part, (size_t)n});
    return n == 0;
}

/* "HTTP/1.1 200 OK" CRLF fields CRLF CRLF body: we asked for a closed connection, and a local
 * origin's answer has a known length, so the body is the rest. */
static bool parse_answer(struct slice all, struct control_answer *out)
{
    static const char gap[] = "\r\n\r\n";
    uint64_t status;
    const char *end = all.len ? memmem(all.at, all.len, gap, 4) : NULL;
    if (!end || all.len < 12 || !slice_starts(all, SLICE("HTTP/1.")) ||
        num_parse_u64((struct slice){all.at + 9, 3}, &status) != ERR_OK)
        return false;
    out->status = (int)status;
    text_init(&out->body);
    text_add(&out->body, slice_from(all, (size_t)(end + 4 - all.at)));
    return true;
}

static enum err exchange_over(int fd, const char *method, const char *path,
                              struct control_answer *out)
{
    struct text all;
    text_init(&all);
    errno = 0;
    bool ok = send_request(fd, method, path) && receive_all(fd, &all) &&
              parse_answer(text_slice(&all), out);
    int error = errno ? errno : EPROTO;
    text_release(&all);
    errno = error;
    return ok ? ERR_OK : ERR_IO;
}

enum err control_request(const struct addr *a, const char *method, const char *path,
                         struct control_answer *out)
{
    int fd;
    TRY(open_socket(a, &fd));
    enum err e = exchange_over(fd, method, path, out);
    int error = errno;
    close(fd);
    errno = error;
    return e;
}
