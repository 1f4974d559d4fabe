/* sockets.c - see sockets.h: binding, keeping, sending.
 *
 * SO_REUSEPORT has a trap: a second weir of the same user would silently share our port. At the
 * start each address is therefore bound once without it, which fails when anybody listens there. */
// SPDX-License-Identifier: Apache-2.0
#include "main/sockets.h"
#include "base/mem.h"
#include "net/listener.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct socket_slot *sockets_find(const struct sockets *s, const struct addr *a, bool internal)
{
    for (struct socket_slot *slot = s->slots; slot; slot = slot->next)
        if (slot->internal == internal && addr_eq(&slot->addr, a))
            return slot;
    return NULL;
}

/* NULL: no memory. */
static struct socket_slot *slot_get(struct sockets *s, const struct addr *a, bool internal)
{
    struct socket_slot *slot = sockets_find(s, a, internal);
    if (slot)
        return slot;
    slot = calloc(1, sizeof *slot);
    if (!slot)
        return NULL;
    slot->addr = *a;
    slot->internal = internal;
    slot->rights = slot->wish =
        (struct socket_rights){.mode = SOCKET_MODE, .group = SOCKET_GROUP_OWN};
    struct socket_slot **tail = &s->slots;
    while (*tail)
        tail = &(*tail)->next;
    return *tail = slot;
}

static bool is_unix(const struct socket_slot *slot)
{
    return slot->addr.sa.sa_family == AF_UNIX;
}

static void slot_close(struct socket_slot *slot)
{
    for (uint32_t i = 0; i < slot->count; i++)
        close(slot->fds[i]);
    free(slot->fds);
    slot->fds = NULL;
    slot->count = 0;
}

static bool slot_add_fd(struct socket_slot *slot, int fd)
{
    int *fds = realloc(slot->fds, (slot->count + 1) * sizeof *fds);
    if (!fds)
        return false;
    slot->fds = fds;
    slot->fds[slot->count++] = fd;
    return true;
}

static void slot_remove_file(const struct socket_slot *slot)
{
    if (is_unix(slot) && slot->count && !slot->inherited)
        unlink(slot->addr.un.sun_path);
}

/* ---- binding ---- */

/* Without listening: a connection that came meanwhile would be reset by the close. */
static enum err probe(const struct addr *a)
{
    int fd;
    TRY(listener_bind(a, &(struct listen_options){.bind_only = true}, &fd));
    close(fd);
    return ERR_OK;
}

/* The group first: the mode may let it in. */
static enum err rights_set(const char *path, const struct socket_rights *r)
{
    if (r->group == SOCKET_GROUP_UNKNOWN) {
        errno = ENOENT;
        return ERR_IO;
    }
    if (r->group != SOCKET_GROUP_OWN && chown(path, (uid_t)-1, r->group) != 0)
        return ERR_IO;
    return chmod(path, r->mode) == 0 ? ERR_OK : ERR_IO;
}

/* Of what is open and internal. What can not be set stays as it was. */
static enum err slot_rights(struct socket_slot *slot)
{
    bool same = slot->rights.mode == slot->wish.mode && slot->rights.group == slot->wish.group;
    if (same || slot->wish.mode == SOCKET_MODE_UNKNOWN)
        return ERR_OK;
    if (!slot->internal || !is_unix(slot) || slot->count == 0)
        return ERR_OK;
    TRY(rights_set(slot->addr.un.sun_path, &slot->wish));
    slot->rights = slot->wish;
    return ERR_OK;
}

bool sockets_wish(struct sockets *s, const struct addr *a, struct socket_rights rights)
{
    struct socket_slot *slot = slot_get(s, a, true);
    if (slot)
        slot->wish = rights;
    return slot != NULL;
}

static enum err slot_bind(struct socket_slot *slot, uint32_t count, bool alone)
{
    struct listen_options o = {.unix_mode = slot->internal ? SOCKET_MODE : 0};
    if (slot->internal || is_unix(slot))
        count = 1;
    o.reuseport = !slot->internal && !is_unix(slot);
    if (alone && o.reuseport)
        TRY(probe(&slot->addr));
    for (uint32_t i = 0; i < count; i++) {
        int fd;
        TRY(listener_bind(&slot->addr, &o, &fd));
        if (!slot_add_fd(slot, fd)) {
            close(fd);
            errno = ENOMEM;
            return ERR_NO_MEMORY;
        }
    }
    return slot_rights(slot);
}

bool sockets_want(struct sockets *s, const struct addr *a, bool internal, uint32_t count,
                  bool alone)
{
    struct socket_slot *slot = slot_get(s, a, internal);
    if (!slot)
        return false;
    slot->wanted = true;
    if (slot->count)
        return true;
    slot->fresh = true;
    slot->err = slot_bind(slot, count, alone);
    slot->error = slot->err == ERR_OK ? 0 : errno;
    if (slot->err != ERR_OK)
        slot_close(slot);
    return true;
}

/* ---- keeping ---- */

static void slots_drop(struct sockets *s, bool (*unwanted)(const struct socket_slot *slot))
{
    struct socket_slot **at = &s->slots;
    while (*at) {
        struct socket_slot *slot = *at;
        if (!unwanted(slot)) {
            at = &slot->next;
            continue;
        }
        *at = slot->next;
        slot_remove_file(slot);
        slot_close(slot);
        free(slot);
    }
}

static bool is_not_wanted(const struct socket_slot *slot)
{
    return !slot->wanted || slot->count == 0;
}

static bool is_fresh(const struct socket_slot *slot)
{
    return slot->fresh;
}

static bool is_public(const struct socket_slot *slot)
{
    return !slot->internal;
}

void sockets_want_none(struct sockets *s)
{
    for (struct socket_slot *slot = s->slots; slot; slot = slot->next)
        slot->wanted = false;
}

/* The workers go on accepting for a while. */
static void slot_stop_new(const struct socket_slot *slot)
{
    for (uint32_t i = 0; i < slot->count && !is_unix(slot); i++)
        listener_stop_new(slot->fds[i]);
}

void sockets_accept(struct sockets *s)
{
    for (struct socket_slot *slot = s->slots; slot; slot = slot->next)
        if (!slot->wanted && !slot->internal)
            slot_stop_new(slot);
    for (struct socket_slot *slot = s->slots; slot; slot = slot->next)
        slot->inherited = false;
    slots_drop(s, is_not_wanted);
    for (struct socket_slot *slot = s->slots; slot; slot = slot->next) {
        slot->fresh = false;
        (void)!slot_rights(slot);
    }
}

void sockets_refuse(struct sockets *s)
{
    slots_drop(s, is_fresh);
    for (struct socket_slot *slot = s->slots; slot; slot = slot->next) {
        slot->wanted = true;
        slot->wish = slot->rights;
    }
}

void sockets_close_public(struct sockets *s)
{
    slots_drop(s, is_public);
}

bool sockets_any_failed(const struct sockets *s)
{
    for (const struct socket_slot *slot = s->slots; slot; slot = slot->next)
        if (slot->err != ERR_OK)
            return true;
    return false;
}

void sockets_taken_back(struct sockets *s)
{
    for (struct socket_slot *slot = s->slots; slot; slot = slot->next)
        slot->given = false;
}

/* ---- sending ---- */

static bool is_due(const struct socket_slot *slot, bool all)
{
    return all || (slot->wanted && !slot->given);
}

static uint32_t parts_of(const struct socket_slot *slot)
{
    uint32_t parts = (slot->count + HANDOVER_FDS_MAX - 1) / HANDOVER_FDS_MAX;
    return parts ? parts : 1; /* of a failed one: the reason */
}

uint32_t sockets_message_count(const struct sockets *s, bool all)
{
    uint32_t count = 0;
    for (const struct socket_slot *slot = s->slots; slot; slot = slot->next)
        if (is_due(slot, all))
            count += parts_of(slot);
    return count;
}

static bool send_part(const struct socket_slot *slot, int channel, uint32_t from)
{
    struct handover m = {.kind = HANDOVER_LISTENER, .addr = slot->addr};
    m.numbers[LISTENER_INTERNAL] = slot->internal;
    m.numbers[LISTENER_ERR] = slot->err;
    m.numbers[LISTENER_ERRNO] = slot->error;
    while (m.fd_count < HANDOVER_FDS_MAX && from + m.fd_count < slot->count) {
        m.fds[m.fd_count] = slot->fds[from + m.fd_count];
        m.fd_count++;
    }
    return handover_send(channel, &m);
}

bool sockets_send(struct sockets *s, int channel, bool all)
{
    for (struct socket_slot *slot = s->slots; slot; slot = slot->next) {
        if (!is_due(slot, all))
            continue;
        for (uint32_t i = 0; i < parts_of(slot); i++)
            if (!send_part(slot, channel, i * HANDOVER_FDS_MAX))
                return false;
        slot->given = !all && slot->count > 0;
    }
    return true;
}

/* ---- receiving ---- */

/* No descriptor although there should be: this process could not take it. */
static enum err err_of(const struct handover *m)
{
    int64_t e = m->numbers[LISTENER_ERR];
    if (e == ERR_OK && m->fd_count == 0)
        return ERR_NO_DESCRIPTORS;
    return e >= ERR_OK && e < ERR_COUNT ? (enum err)e : ERR_IO;
}

void sockets_add(struct sockets *s, struct handover *m)
{
    struct socket_slot *slot =
        mem_must(slot_get(s, &m->addr, m->numbers[LISTENER_INTERNAL] != 0), sizeof *slot);
    slot->err = err_of(m);
    slot->error = (int)m->numbers[LISTENER_ERRNO];
    slot->inherited = true;
    slot->rights.mode = SOCKET_MODE_UNKNOWN;
    for (uint32_t i = 0; i < m->fd_count; i++)
        mem_must(slot_add_fd(slot, m->fds[i]) ? slot : NULL, sizeof(int));
    m->fd_count = 0;
}

void sockets_release(struct sockets *s, enum sockets_files files)
{
    for (struct socket_slot *slot = s->slots, *next; slot; slot = next) {
        next = slot->next;
        if (files == SOCKETS_REMOVE_FILES)
            slot_remove_file(slot);
        slot_close(slot);
        free(slot);
    }
    s->slots = NULL;
}
