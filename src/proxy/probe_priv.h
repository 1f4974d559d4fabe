/* probe_priv.h - a probe under way. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "proxy/probe.h"

struct probe {
    struct probes *all;
    struct probe_ask ask;
    const struct check_conf *check;
    struct fetch *fetch; /* HTTP and gRPC; NULL: over */
    struct fetch_header headers[CHECK_HEADERS_MAX + 4];
    struct text grpc; /* the question */
    /* TCP and TLS (probe_tcp.c) */
    struct dial dial;
    struct conn *conn; /* open; NULL: not yet */
    struct task task;
    struct timer deadline;
    struct text answer;
    enum err err;
    bool timed_out, ended;
    struct dead dead;
};

/* Tells the result and frees the probe, whose parts have ended. NULL: well. */
void probe_finish(struct probe *p, const char *why);

void probe_tcp_start(struct probe *p);
void probe_tcp_cancel(struct probe *p);

/* Protobuf of grpc.health.v1.HealthCheckRequest, with the prefix of a gRPC message. */
void probe_grpc_write(struct text *to, struct slice service);
/* What is wrong with an answer, into *why; nothing: SERVING. */
void probe_grpc_judge(const struct fetch_answer *a, struct text *why);
