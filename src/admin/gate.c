/* gate.c - who may do what at the admin API.
 *
 * On the control socket everything: only its user gets there. On a unix socket root and weir's own
 * user everything, whom the kernel names; others that the file's mode lets in may look. Over TCP
 * the token decides, or the client certificate; where neither is asked for, whoever gets there may
 * look. Who sends wrong tokens too often is not heard for a while, right ones included: else
 * guessing would go on. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "base/log.h"
#include "limit/addr_key.h"
#include "limit/meters.h"
#include "net/conn.h"
#include "proxy/exchange.h"
#include <stdio.h>
#include <sys/socket.h>

static const int64_t SECOND_NS = 1000000000;

/* At once, and one more each so often. */
static const struct rate FAILURES = {.step_ns = 6 * 1000000000LL, .burst = 20};

static bool is_unix(const struct admin_listen *line)
{
    return line->addr.sa.sa_family == AF_UNIX;
}

/* Who made the connection, as the kernel knows: the admin API is served over real sockets only. */
static bool peer_uid(const struct exchange *x, uid_t *uid)
{
    int fd = x->client->conn->sock.fd, domain = 0;
    struct ucred peer;
    socklen_t len = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 || domain != AF_UNIX)
        return false;
    len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof peer)
        return false;
    *uid = peer.uid;
    return true;
}

static bool is_owner(const struct exchange *x, const struct admin_conf *c)
{
    uid_t uid;
    return peer_uid(x, &uid) && (uid == 0 || uid == c->source->owner_uid);
}

/* Two Authorization fields are none. */
static enum admin_role role_of_token(const struct exchange *x, const struct admin_listen *line)
{
    const struct headers *h = &x->req.headers;
    struct header *given = headers_find(h, FIELD_AUTHORIZATION);
    if (!given || headers_next(h, given))
        return ADMIN_NOBODY;
    struct slice token = admin_token_of(given->value);
    return token.at ? admin_token_role(line->tokens, token) : ADMIN_NOBODY;
}

/* The connection's own address: X-Forwarded-For would be anybody's word here. */
static uint64_t address_key(const struct exchange *x)
{
    struct addr a = {0};
    conn_remote(x->client->conn, &a);
    struct addr_prefix p = addr_prefix_of(&a, (struct addr_bits){ADDR_BITS_V4, ADDR_BITS_V6});
    return addr_prefix_key(&p);
}

static bool brings_token(const struct exchange *x)
{
    return headers_find(&x->req.headers, FIELD_AUTHORIZATION) != NULL;
}

/* Every token takes a place among the failures, and a good one gives it back. Without a token
 * nothing is guessed. */
static enum admin_role role_by_token(struct exchange *x, const struct admin_conf *c,
                                     int64_t *retry_s)
{
    if (!brings_token(x))
        return ADMIN_NOBODY;
    uint64_t key = address_key(x);
    struct rate_answer a = meters_rate(c->failures, key, &FAILURES, x->worker->loop.now_ns);
    if (a.verdict == RATE_REFUSE) {
        *retry_s = (a.wait_ns + SECOND_NS - 1) / SECOND_NS;
        return ADMIN_NOBODY;
    }
    enum admin_role role = role_of_token(x, c->line);
    if (role != ADMIN_NOBODY)
        meters_rate_undo(c->failures, key, &FAILURES);
    return role;
}

enum admin_role gate_role(struct exchange *x, const struct admin_conf *c, int64_t *retry_s)
{
    const struct admin_listen *line = c->line;
    *retry_s = 0;
    if (!line || (is_unix(line) && is_owner(x, c)))
        return ADMIN_FULL;
    if (line->tokens)
        return is_unix(line) ? role_of_token(x, line) : role_by_token(x, c, retry_s);
    return line->cert_role != ADMIN_NOBODY ? (enum admin_role)line->cert_role : ADMIN_READ;
}

/* --- what is told of it ----------------------------------------------------------------------- */

static int client_write(const struct exchange *x, char to[ADDR_TEXT_BYTES])
{
    struct addr a = {0};
    uid_t uid;
    if (peer_uid(x, &uid))
        return snprintf(to, ADDR_TEXT_BYTES, "user id %u", (unsigned)uid);
    conn_remote(x->client->conn, &a);
    return (int)addr_write_ip(to, &a);
}

void gate_refused(const struct exchange *x, enum metric m, const char *why)
{
    char who[ADDR_TEXT_BYTES];
    counter_add(x->worker->counters, m, 1);
    int len = client_write(x, who);
    bool guessed = m == METRIC_ADMIN_UNAUTHENTICATED && brings_token(x); /* few: they are limited */
    if (m != METRIC_ADMIN_LIMITED)
        log_write(guessed ? LOG_WARN_ : LOG_INFO_, "admin: refused %.*s: %s", len, who, why);
}

void gate_changed(const struct exchange *x)
{
    char who[ADDR_TEXT_BYTES];
    int len = client_write(x, who);
    log_write(LOG_NOTICE_, "admin: POST %.*s by %.*s", SLICE_ARG(x->path), len, who);
}
