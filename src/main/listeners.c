/* listeners.c - opens addresses before anything else changes, so that a reload which can not have
 * its sockets is refused whole.
 *
 * SO_REUSEPORT has a trap: a second weir of the same user would silently share our port. At the
 * start each address is therefore bound once without it, which fails when anybody listens there. */
// SPDX-License-Identifier: Apache-2.0
#include "main/listeners.h"
#include "base/mem.h"
#include "main/main_conf.h"
#include "net/listener.h"
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

uint32_t listen_slot_sockets(const struct listeners *l, const struct listen_slot *s)
{
    return s->internal ? 1 : l->worker_count;
}

static void slot_close_fds(struct listeners *l, struct listen_slot *s)
{
    if (!s->fds)
        return;
    for (uint32_t i = 0; i < listen_slot_sockets(l, s); i++)
        if (s->fds[i] >= 0)
            close(s->fds[i]);
    free(s->fds);
    s->fds = NULL;
    s->open = false;
}

static bool is_unix(const struct listen_slot *s)
{
    return s->addr.sa.sa_family == AF_UNIX;
}

static enum err probe(const struct addr *a)
{
    int fd;
    TRY(listener_bind(a, &(struct listen_options){0}, &fd));
    close(fd);
    return ERR_OK;
}

/* The workers of a unix socket share one: there is no SO_REUSEPORT for paths. */
static enum err bind_unix(struct listeners *l, struct listen_slot *s)
{
    struct listen_options o = {.unix_mode = s->internal ? 0600 : 0};
    TRY(listener_bind(&s->addr, &o, &s->fds[0]));
    for (uint32_t i = 1; i < listen_slot_sockets(l, s); i++)
        if ((s->fds[i] = fcntl(s->fds[0], F_DUPFD_CLOEXEC, 0)) < 0)
            return ERR_NO_DESCRIPTORS;
    return ERR_OK;
}

static enum err bind_ip(struct listeners *l, struct listen_slot *s, unsigned flags)
{
    struct listen_options o = {.reuseport = !s->internal};
    if (flags & LISTENERS_FIRST)
        TRY(probe(&s->addr));
    for (uint32_t i = 0; i < listen_slot_sockets(l, s); i++)
        TRY(listener_bind(&s->addr, &o, &s->fds[i]));
    return ERR_OK;
}

static enum err slot_bind(struct listeners *l, struct listen_slot *s, unsigned flags)
{
    uint32_t count = listen_slot_sockets(l, s);
    s->fds = mem_new(count * sizeof *s->fds);
    for (uint32_t i = 0; i < count; i++)
        s->fds[i] = -1;
    enum err e = is_unix(s) ? bind_unix(l, s) : bind_ip(l, s, flags);
    s->open = e == ERR_OK;
    if (e != ERR_OK) {
        int error = errno;
        slot_close_fds(l, s);
        errno = error;
    }
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
        diag_hint(d, "ports below 1024 take root or CAP_NET_BIND_SERVICE, which weir gives up "
                     "after its start: restart it");
    if (e == ERR_ADDRESS_IN_USE && addr_port(&c->addr) > 0)
        diag_hint(d, "'ss -ltnp sport = :%d' shows who listens there", addr_port(&c->addr));
}

/* The default admin address is a courtesy: weir also starts without it. */
static bool is_optional(const struct listeners *l, const struct conf *c,
                        const struct listen_conf *lc)
{
    return lc->internal && !c->main->admin_explicit &&
           !(l->control && addr_eq(l->control, &lc->addr));
}

static bool open_one(struct listeners *l, const struct conf *c, const struct listen_conf *lc,
                     unsigned flags, struct diag *d)
{
    struct listen_slot *s = slot_get(l, lc);
    s->wanted = true;
    if (s->open)
        return true;
    enum err e = slot_bind(l, s, flags);
    if (e == ERR_OK)
        return true;
    if (!is_optional(l, c, lc)) {
        say_failed(d, lc, e, errno);
        return false;
    }
    s->wanted = false;
    diag_warn(d, lc->pos, "no admin listener: %s is not free (%s)", ADMIN_ADDRESS_DEFAULT,
              err_row(e)->text);
    diag_hint(d, "give it another with 'admin ADDRESS', or say 'admin off'");
    return true;
}

bool listeners_open(struct listeners *l, const struct conf *c, unsigned flags, struct diag *d)
{
    bool ok = true;
    for (struct listen_slot *s = l->slots; s; s = s->next)
        s->wanted = false;
    for (uint32_t i = 0; i < c->proxy->listen_count; i++)
        ok = open_one(l, c, c->proxy->listens[i], flags, d) && ok;
    if (!ok)
        for (struct listen_slot *s = l->slots; s; s = s->next)
            slot_close_fds(l, s);
    return ok;
}

static void remove_file(const struct listen_slot *s)
{
    if (is_unix(s))
        unlink(s->addr.un.sun_path);
}

void listeners_settle(struct listeners *l)
{
    for (struct listen_slot *s = l->slots; s; s = s->next) {
        free(s->fds);
        s->fds = NULL;
        if (s->open && !s->wanted)
            remove_file(s);
        s->open = s->open && s->wanted;
    }
}

void listeners_release(struct listeners *l)
{
    for (struct listen_slot *s = l->slots, *next; s; s = next) {
        next = s->next;
        if (s->open)
            remove_file(s);
        slot_close_fds(l, s);
        free((char *)s->key.at);
        free(s);
    }
    l->slots = NULL;
}
