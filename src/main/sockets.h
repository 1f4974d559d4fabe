/* sockets.h - a table of listening sockets by address: the supervisor's, which keeps them open over
 * the deaths of its worker, and a worker's, of those that it was sent and has not opened yet.
 *
 * An address of the public kind has one socket per worker thread (SO_REUSEPORT), an internal one
 * (admin, control) and a unix socket have one. A slot keeps the sockets that it was bound with: a
 * socket more that nobody accepts on, or one less, would lose connections. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "main/handover.h"

/* Who may connect to an internal unix socket. */
struct socket_rights {
    uint32_t mode;  /* permission bits */
    uint32_t group; /* its number */
};

#define SOCKET_GROUP_OWN     UINT32_MAX       /* the user's own */
#define SOCKET_GROUP_UNKNOWN (UINT32_MAX - 1) /* such a socket is not bound */
#define SOCKET_MODE_UNKNOWN  UINT32_MAX       /* of one that was inherited */
enum { SOCKET_MODE = 0600 };

struct socket_slot {
    struct socket_slot *next;
    struct addr addr;
    bool internal;
    struct socket_rights rights, wish; /* internal unix sockets: now, and as it is prepared */
    bool wanted;                       /* by the configuration that is being prepared */
    bool fresh;                        /* bound for it: closed again when it is refused */
    bool given;                        /* to the worker process that runs now */
    bool
        inherited; /* from the old supervisor, which still serves: its file is not ours to remove */
    int error;     /* errno of a failed bind */
    enum err err;
    uint32_t count;
    int *fds; /* count */
};

struct sockets {
    struct socket_slot *slots;
};

struct socket_slot *sockets_find(const struct sockets *s, const struct addr *a, bool internal);

/* ---- the supervisor: a new configuration, step by step ---- */

void sockets_want_none(struct sockets *s);
/* Binds `count` sockets unless the address is open. A failure stays in the slot (err). `alone`: it
 * is one when any process listens there, even one that would share its port with us. False: no
 * memory, nothing was done. */
bool sockets_want(struct sockets *s, const struct addr *a, bool internal, uint32_t count,
                  bool alone);
/* Before an internal unix socket is wanted. One that is open already changes when the configuration
 * is accepted. False: no memory. */
bool sockets_wish(struct sockets *s, const struct addr *a, struct socket_rights rights);
void sockets_accept(struct sockets *s); /* closes what is not wanted; nothing is fresh any more */
void sockets_refuse(struct sockets *s); /* closes what is fresh */
void sockets_close_public(struct sockets *s); /* a stop: clients are refused from now on */
bool sockets_any_failed(const struct sockets *s);
void sockets_taken_back(struct sockets *s); /* a worker died: nothing is given */

/* How many messages sockets_send() will send: wanted ones that are not given, or all. */
uint32_t sockets_message_count(const struct sockets *s, bool all);
bool sockets_send(struct sockets *s, int channel, bool all);

/* ---- the receiver ---- */

/* Puts what a HANDOVER_LISTENER brought into its slot; the descriptors are the table's. */
void sockets_add(struct sockets *s, struct handover *m);

/* Closes everything. `files`: also removes those of unix sockets, unless inherited. */
enum sockets_files { SOCKETS_KEEP_FILES, SOCKETS_REMOVE_FILES };
void sockets_release(struct sockets *s, enum sockets_files files);
