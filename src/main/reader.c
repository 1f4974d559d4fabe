/* reader.c - see reader.h. The child never returns into the supervisor's code: it ends by _exit(),
 * so nothing that it inherited is flushed, closed or freed twice. */
// SPDX-License-Identifier: Apache-2.0
#include "main/reader.h"
#include "admin/admin.h"
#include "main/ban_export.h"
#include "main/bundle.h"
#include "main/load.h"
#include "main/main_conf.h"
#include "main/privileges.h"
#include "main/sockets.h"
#include "main/watch.h"
#include "proxy/route.h"
#include "proxy/tls_build.h"
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Groups have names only out here: a worker may not be able to look them up. */
static void add_rights(const struct conf *c, struct text *to)
{
    char number[24];
    for (const struct admin_listen *a = c->main->admin.first; a; a = a->next) {
        struct slice addr = {(const char *)&a->addr, sizeof a->addr};
        const struct group *g = a->group.len ? getgrnam(a->group.at) : NULL;
        unsigned gid = g ? g->gr_gid : a->group.len ? SOCKET_GROUP_UNKNOWN : SOCKET_GROUP_OWN;
        uint32_t mode = a->mode ? a->mode : SOCKET_MODE;
        int len = snprintf(number, sizeof number, "%u", gid);
        if (a->addr.sa.sa_family == AF_UNIX)
            bundle_add(to,
                       &(struct bundle_entry){BUNDLE_RIGHTS, mode, {number, (size_t)len}, addr});
    }
}

static void add_listens(const struct conf *c, struct text *to)
{
    for (uint32_t i = 0; i < c->proxy->listen_count; i++) {
        const struct listen_conf *l = c->proxy->listens[i];
        struct slice addr = {(const char *)&l->addr, sizeof l->addr};
        bundle_add(to, &(struct bundle_entry){.kind = BUNDLE_LISTEN,
                                              .number = l->internal ? BUNDLE_INTERNAL : 0,
                                              .body = addr});
    }
}

static bool is_config_file(const struct conf *c, struct slice path)
{
    for (uint32_t i = 0; i < c->tree->file_count; i++)
        if (slice_eq(slice_of(c->tree->files[i]->path), path))
            return true;
    return false;
}

static void add_watch(struct text *to, const char *path)
{
    struct watch_mark mark = watch_mark_of(path);
    bundle_add(to, &(struct bundle_entry){.kind = BUNDLE_WATCH,
                                          .name = slice_of(path),
                                          .body = {(const char *)&mark, sizeof mark}});
}

/* What directives name, and folders of certificates; the configuration itself is read again when
 * somebody says so. */
static void add_watches(const struct conf *c, struct text *to)
{
    struct bundle b = {.bytes = text_slice(to)};
    struct bundle_entry e;
    struct text found; /* `to` may move while it grows */
    text_init(&found);
    for (size_t at = 0; bundle_next(&b, &at, &e);)
        if (e.kind == BUNDLE_FILE && !is_config_file(c, e.name))
            add_watch(&found, e.name.at);
    for (const struct proxy_folder *f = c->proxy->cert_folders; f; f = f->next)
        add_watch(&found, f->path);
    text_add(to, text_slice(&found));
    text_release(&found);
}

static void add_settings(const struct conf *c, struct text *to)
{
    bundle_add(
        to, &(struct bundle_entry){.kind = BUNDLE_WORKERS, .number = main_conf_workers(c->main)});
    bundle_add(
        to, &(struct bundle_entry){.kind = BUNDLE_SANDBOX, .number = (uint32_t)c->main->sandbox});
    if (c->main->pid_file.len)
        bundle_add(to, &(struct bundle_entry){.kind = BUNDLE_PID_FILE, .body = c->main->pid_file});
    ban_export_tell(c, to);
    add_rights(c, to);
    add_listens(c, to);
    add_watches(c, to);
}

static int read_all(const struct process_options *o, const struct addr *control)
{
    struct text out;
    struct load l;
    struct admin_source admin = {.control = control->len ? control : NULL};
    struct conf_source source = bundle_recorder;
    struct load_request r = {o->path, o->text, 1, false, &admin, &source};
    text_init(&out);
    source.ctx = &out;
    struct slice name = slice_of(o->path);
    bundle_add(&out, &(struct bundle_entry){.kind = BUNDLE_NAME, .name = name});
    if (o->text.at)
        bundle_add(&out, &(struct bundle_entry){BUNDLE_FILE, 0, name, o->text});
    if (load_run(&l, &r))
        add_settings(l.conf, &out);
    return bundle_seal(&out);
}

static void child_run(int channel, const struct process_options *o, const struct addr *control)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memory_hide();
    struct handover m = {.kind = HANDOVER_CONFIG, .fds = {read_all(o, control)}, .fd_count = 1};
    _exit(m.fds[0] >= 0 && handover_send(channel, &m) ? 0 : 1);
}

bool reader_start(struct reader *r, const struct process_options *o, const struct addr *control,
                  int64_t now_ms)
{
    int fds[2];
    if (!handover_pair(fds))
        return false;
    pid_t pid = fork();
    if (pid == 0)
        child_run(fds[1], o, control);
    int error = errno;
    close(fds[1]);
    if (pid < 0)
        close(fds[0]);
    else
        *r = (struct reader){pid, fds[0], now_ms + READER_MS};
    errno = error;
    return pid > 0;
}

int reader_take(struct reader *r)
{
    struct handover m;
    int fd = -1;
    if (handover_receive(r->pipe, &m, 0) == HANDOVER_GOT && m.fd_count == 1)
        fd = m.fds[0];
    close(r->pipe);
    r->pid = 0;
    return fd;
}

void reader_cancel(struct reader *r)
{
    if (!r->pid)
        return;
    kill(r->pid, SIGKILL);
    close(r->pipe);
    r->pid = 0;
}
