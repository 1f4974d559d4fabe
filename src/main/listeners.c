/* listeners.c - which addresses are open, and whose sockets are new with a configuration.
 *
 * Everything is taken before anything else changes, so that a reload which can not have its sockets
 * is refused whole. */
// SPDX-License-Identifier: Apache-2.0
#include "main/listeners.h"
#include "base/mem.h"
#include "main/main_conf.h"
#include "proxy/route.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct listen_slot *slot_find(const struct listeners *l, struct slice key)
{
    for (struct listen_slot *s = l->slots; s; s = s->next)
        if (slice_eq(s->key, key))
            return s;
    return NULL;
}

static struct listen_slot *slot_get(struct listeners *l, const struct listen_conf *c)
{
    struct listen_slot *s = slot_find(l, c->key);
    if (s)
        return s;
    s = MEM_NEW(struct listen_slot);
    s->key = (struct slice){mem_dup(c->key.at, c->key.len), c->key.len};
    s->addr = c->addr;
    s->internal = c->internal;
    struct listen_slot **tail = &l->slots;
    while (*tail)
        tail = &(*tail)->next;
    return *tail = s;
}

bool listeners_has(const struct listeners *l, struct slice key)
{
    const struct listen_slot *s = slot_find(l, key);
    return s && s->open;
}

static void slot_close_fds(struct listen_slot *s)
{
    if (!s->fds)
        return;
    for (uint32_t i = 0; i < s->fd_count; i++)
        close(s->fds[i]);
    free(s->fds);
    s->fds = NULL;
    s->fd_count = 0;
    s->open = false;
}

/* Fewer sockets than threads (a unix socket has one; or `workers` has changed): some get a
 * duplicate. More sockets than threads: some get several, because none may stay without. */
static enum err slot_share_out(const struct listeners *l, struct listen_slot *s)
{
    uint32_t given = s->fd_count, threads = s->internal ? 1 : l->worker_count;
    s->fds = mem_grow(s->fds, (given + threads) * sizeof *s->fds);
    for (uint32_t i = given; i < threads; i++) {
        int fd = fcntl(s->fds[i % given], F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return ERR_NO_DESCRIPTORS;
        s->fds[s->fd_count++] = fd;
    }
    return ERR_OK;
}

static enum err slot_take(struct listeners *l, struct listen_slot *s, struct sockets *from)
{
    struct socket_slot *got = sockets_find(from, &s->addr, s->internal);
    if (!got || got->err != ERR_OK || got->count == 0) {
        errno = got ? got->error : ENOENT;
        return got && got->err != ERR_OK ? got->err : ERR_IO;
    }
    s->fds = got->fds;
    s->fd_count = got->count;
    got->fds = NULL;
    got->count = 0;
    enum err e = slot_share_out(l, s);
    s->open = e == ERR_OK;
    if (e != ERR_OK)
        slot_close_fds(s);
    return e;
}

static void say_failed(struct diag *d, const struct listen_conf *c, enum err e, int error)
{
    char text[ADDR_TEXT_BYTES];
    int len = (int)addr_write(text, &c->addr);
    if (e == ERR_IO)
        diag_error(d, c->pos, "cannot listen on %.*s: %s", len, text, strerror(error));
    else
        diag_error(d, c->pos, "cannot listen on %.*s: %s", len, text, err_row(e)->text);
    if (e == ERR_NO_PERMISSION && addr_port(&c->addr) > 0 && addr_port(&c->addr) < 1024)
        diag_hint(d, "ports below 1024 take root or CAP_NET_BIND_SERVICE");
    if (c->addr.sa.sa_family == AF_UNIX && e == ERR_IO && error == ENOENT)
        diag_hint(d, "is there such a folder, and such a group?");
    if (e == ERR_ADDRESS_IN_USE && addr_port(&c->addr) > 0)
        diag_hint(d, "'ss -ltnp sport = :%d' shows who listens there", addr_port(&c->addr));
}

/* The default admin address is a courtesy: weir also starts without it. */
static bool is_optional(const struct listeners *l, const struct conf *c,
                        const struct listen_conf *lc)
{
    const struct admin_listen *first = c->main->admin.first;
    return lc->internal && first && !first->node && !(l->control && addr_eq(l->control, &lc->addr));
}

static bool open_one(struct listeners *l, const struct conf *c, const struct listen_conf *lc,
                     struct sockets *from, struct diag *d)
{
    struct listen_slot *s = slot_get(l, lc);
    s->wanted = true;
    if (s->open)
        return true;
    enum err e = slot_take(l, s, from);
    if (e == ERR_OK)
        return true;
    if (!is_optional(l, c, lc)) {
        say_failed(d, lc, e, errno);
        return false;
    }
    s->wanted = false;
    char addr[ADDR_TEXT_BYTES];
    diag_warn(d, lc->pos, "no admin listener: %.*s is not free (%s)",
              (int)addr_write(addr, &lc->addr), addr, err_row(e)->text);
    diag_hint(d, "give it another with 'admin ADDRESS', or say 'admin off'");
    return true;
}

bool listeners_open(struct listeners *l, const struct conf *c, struct sockets *from, struct diag *d)
{
    bool ok = true;
    for (struct listen_slot *s = l->slots; s; s = s->next)
        s->wanted = false;
    for (uint32_t i = 0; i < c->proxy->listen_count; i++)
        ok = open_one(l, c, c->proxy->listens[i], from, d) && ok;
    if (!ok)
        for (struct listen_slot *s = l->slots; s; s = s->next)
            slot_close_fds(s);
    return ok;
}

void listeners_settle(struct listeners *l)
{
    for (struct listen_slot *s = l->slots; s; s = s->next) {
        free(s->fds);
        s->fds = NULL;
        s->fd_count = 0;
        s->open = s->open && s->wanted;
    }
}

void listeners_release(struct listeners *l)
{
    for (struct listen_slot *s = l->slots, *next; s; s = next) {
        next = s->next;
        slot_close_fds(s);
        free((char *)s->key.at);
        free(s);
    }
    l->slots = NULL;
}
