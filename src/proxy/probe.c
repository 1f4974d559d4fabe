/* probe.c - checks by HTTP and gRPC: a request, and the judgement of its answer. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/probe.h"
#include "base/mem.h"
#include "proxy/probe_priv.h"
#include <stdlib.h>

enum { BODY_MAX_BYTES = 64 * 1024 };

static void probe_free(struct dead *d)
{
    struct probe *p = CONTAINER_OF(d, struct probe, dead);
    text_release(&p->grpc);
    text_release(&p->answer);
    free(p);
}

/* By the reaper: what was said may still be on its way out. */
static void probe_end(struct probe *p)
{
    p->dead = (struct dead){.free = probe_free};
    dead_add(p->all->client.loop, &p->dead);
}

void probe_finish(struct probe *p, const char *why)
{
    p->ask.done(p->ask.ctx, why);
    probe_end(p);
}

/* ---- the judgement ---- */

static bool contains(struct slice text, struct slice part)
{
    return part.len == 0 || (text.len && memmem(text.at, text.len, part.at, part.len));
}

static void judge(const struct probe *p, const struct fetch_answer *a, struct text *why)
{
    const struct check_conf *c = p->check;
    if (a->err != ERR_OK)
        text_add(why, slice_of(a->why));
    else if (c->kind == CHECK_GRPC)
        probe_grpc_judge(a, why);
    else if (!check_status_good(c, a->status))
        text_addf(why, "status %u", a->status);
    else if (!contains(a->body, c->body))
        text_addf(why, "the body does not contain \"%.*s\"", SLICE_ARG(c->body));
}

static void on_fetched(void *ctx, const struct fetch_answer *a)
{
    struct probe *p = ctx;
    struct text why;
    text_init(&why);
    p->fetch = NULL;
    judge(p, a, &why);
    probe_finish(p, why.len ? why.at : NULL);
    text_release(&why);
}

/* ---- the request ---- */

static struct slice host_of(const struct probe *p)
{
    const struct server *s = p->ask.server;
    if (p->check->host.len)
        return p->check->host;
    return s->spec.is_unix ? SLICE("localhost") : s->name;
}

static uint32_t headers_fill(struct probe *p)
{
    uint32_t n = 0;
    p->headers[n++] = (struct fetch_header){SLICE("User-Agent"), SLICE("weir/" WEIR_VERSION)};
    if (p->check->kind == CHECK_GRPC) {
        p->headers[n++] = (struct fetch_header){SLICE("Content-Type"), SLICE("application/grpc")};
        p->headers[n++] = (struct fetch_header){SLICE("TE"), SLICE("trailers")};
    }
    for (uint32_t i = 0; i < p->check->header_count; i++)
        p->headers[n++] =
            (struct fetch_header){p->check->headers[i].name, p->check->headers[i].value};
    return n;
}

static enum fetch_proto proto_of(const struct upstream *up)
{
    static const uint8_t ways[] = {
        [UPSTREAM_ALONE] = FETCH_H1, [UPSTREAM_SHARES] = FETCH_H2, [UPSTREAM_ASKS] = FETCH_ALPN};
    return (enum fetch_proto)ways[up->proto];
}

static void http_start(struct probe *p)
{
    const struct check_conf *c = p->check;
    struct fetch_ask ask = {.addrs = p->ask.addrs,
                            .addr_count = p->ask.addr_count,
                            .tls = p->ask.up->tls,
                            .tls_host = p->ask.server->spec.host,
                            .proto = proto_of(p->ask.up),
                            .method = c->method.len ? c->method : SLICE("GET"),
                            .target = c->target,
                            .host = host_of(p),
                            .headers = p->headers,
                            .header_count = headers_fill(p),
                            .body_max_bytes = BODY_MAX_BYTES,
                            .timeout_ms = c->timeout_ms,
                            .done = on_fetched,
                            .ctx = p};
    if (c->kind == CHECK_GRPC) {
        probe_grpc_write(&p->grpc, c->target);
        ask.proto = FETCH_H2;
        ask.method = SLICE("POST");
        ask.target = SLICE("/grpc.health.v1.Health/Check");
        ask.body = text_slice(&p->grpc);
    }
    p->fetch = fetch_start(&p->all->client, &ask);
}

/* ---- the interface ---- */

static struct probe *probe_start(struct prober *all, const struct probe_ask *ask)
{
    struct probe *p = MEM_NEW(struct probe);
    p->all = CONTAINER_OF(all, struct probes, prober);
    p->ask = *ask;
    p->check = ask->up->check;
    if (p->check->kind == CHECK_TCP || p->check->kind == CHECK_TLS)
        probe_tcp_start(p);
    else
        http_start(p);
    return p;
}

static void probe_cancel(struct probe *p)
{
    if (p->fetch)
        fetch_cancel(p->fetch);
    else
        probe_tcp_cancel(p);
    probe_end(p);
}

void probes_init(struct probes *p, const struct fetch_client *client)
{
    *p = (struct probes){.prober = {probe_start, probe_cancel}, .client = *client};
}
