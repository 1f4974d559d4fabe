/* handover.h - the messages between the supervisor and its worker process, and between a supervisor
 * and the one that takes over from it, with descriptors beside them.
 *
 * A message is one packet on a SOCK_SEQPACKET pair: a kind, a few numbers, an address, a text. The
 * layout is the same for every version of weir that has the same HANDOVER_MAGIC, because an upgrade
 * connects two versions. Whoever receives a message that makes no sense gives the other end up.
 *
 *   supervisor to worker
 *     HELLO      once, first: what the worker cannot know (hello_number), address of the control
 *                socket, reason of the last death
 *     CONFIG     a configuration: the bundle's descriptor, then as many LISTENERs as the number
 *                says. After HELLO, and as the answer to PREPARE. Without descriptor it is a
 *                refusal with its reason
 *     LISTENER   an address with sockets that the worker has not got yet, or why there are none
 *     ORDER      stop, reload, ... (enum handover_order)
 *     NEWS       how an upgrade went wrong
 *     TICKETS    keys of TLS session tickets that the last worker had, as bytes in the text
 *     CHANGES    what was changed about servers at run time, as text (upstream/changes.h)
 *     BANS       everybody who is banned: a descriptor of a text (limit/bans_text.h)
 *   worker to supervisor
 *     PREPARE    read the configuration anew, bind what it wants
 *     IN_FORCE   every thread has the configuration: what it does not want is closed
 *     REFUSED    the one prepared is not wanted: the old one stays
 *     REPLACE    it is good, but only a new process reaches what it names: LEAVE or STAY follows
 *     REPORT     what is wrong with it, for people
 *     STOP, UPGRADE  somebody asked the worker for it
 *     TICKETS, CHANGES  what the next worker is to have
 *     BANS       those that are new, were changed or lifted, as text
 *   old supervisor to new: HELLO with those keys as text, CHANGES, BANS, LISTENERs, later
 *   ORDER_STOP; new to old: REPORT, IN_FORCE */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include "net/addr.h"
#include <stdint.h>

enum handover_kind {
    HANDOVER_HELLO = 1,
    HANDOVER_CONFIG,
    HANDOVER_LISTENER,
    HANDOVER_ORDER,
    HANDOVER_NEWS,
    HANDOVER_PREPARE,
    HANDOVER_IN_FORCE,
    HANDOVER_REFUSED,
    HANDOVER_REPORT,
    HANDOVER_STOP,
    HANDOVER_UPGRADE,
    HANDOVER_TICKETS,
    HANDOVER_CHANGES,
    HANDOVER_BANS,
    HANDOVER_REPLACE,
    HANDOVER_KIND_END,
};

enum handover_order {
    ORDER_STOP = 1, /* gracefully */
    ORDER_LEAVE,    /* the same, for a successor that serves already: nothing is kept open */
    ORDER_END_NOW,
    ORDER_RELOAD,
    ORDER_REOPEN, /* log files */
    ORDER_STAY,   /* the process that was asked for by REPLACE does not come */
    ORDER_END,
};

/* What the numbers mean, by kind. */
enum hello_number {
    HELLO_PID,        /* the supervisor's */
    HELLO_STARTED_MS, /* unix time, as the next */
    HELLO_RESTARTS,
    HELLO_RESTARTED_MS,
    HELLO_LISTENERS, /* to a new supervisor: messages that follow */
    HELLO_SANDBOX,   /* what holds for the supervisor (sandbox_facts_pack()) */
};
enum config_number { CONFIG_LISTENERS, CONFIG_GENERATION };
enum listener_number { LISTENER_INTERNAL, LISTENER_ERR, LISTENER_ERRNO };
enum { ORDER_NUMBER, IN_FORCE_GENERATION = 0 };

enum {
    HANDOVER_NUMBERS = 6,
    HANDOVER_FDS_MAX = 200,       /* the kernel takes 253 */
    HANDOVER_TEXT_MAX = 32 << 10, /* longer ones are cut */
    HANDOVER_BYTES_MAX = HANDOVER_TEXT_MAX + 256,
    HANDOVER_CHANNEL = 3, /* the descriptor of a started process that leads to its starter */
};

struct handover {
    uint32_t kind;
    int64_t numbers[HANDOVER_NUMBERS];
    struct addr addr;  /* len 0: none */
    struct slice text; /* of a received one: inside bytes */
    uint32_t fd_count;
    int fds[HANDOVER_FDS_MAX]; /* of a received one: the receiver's to close */
    char bytes[HANDOVER_BYTES_MAX];
};

/* Writes the packet and returns its length; text that is too long is cut. */
size_t handover_encode(const struct handover *m, char to[HANDOVER_BYTES_MAX]);
/* False: not a message. out->text points into `packet`; descriptors are not touched. */
bool handover_decode(struct slice packet, struct handover *out);

/* Two ends of a channel; a send waits for HANDOVER_SEND_MS at most. False: errno. */
enum { HANDOVER_SEND_MS = 5000 };
bool handover_pair(int fds[2]);
/* False: the other end is gone or does not take it (errno). */
bool handover_send(int channel, const struct handover *m);
bool handover_say(int channel, uint32_t kind, int64_t number, struct slice text);

enum handover_got {
    HANDOVER_GOT,
    HANDOVER_NOTHING, /* in time */
    HANDOVER_GONE,    /* the other end is closed, or sent what is no message */
};
/* Waits for at most `timeout_ms` (-1: as long as it takes). */
enum handover_got handover_receive(int channel, struct handover *out, int timeout_ms);
void handover_close_fds(struct handover *m);
