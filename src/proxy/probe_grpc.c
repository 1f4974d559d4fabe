/* probe_grpc.c - the messages of grpc.health.v1.Health/Check, by hand: one field each way.
 *
 * Source: the gRPC health checking protocol, and "gRPC over HTTP2" for prefix and trailers. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/probe_priv.h"
#include <stdio.h>

enum {
    PREFIX_BYTES = 5,    /* compressed or not, length of the message */
    TAG_SERVICE = 0x0a,  /* field 1, a string */
    SERVICE_MAX = 16383, /* two bytes of length are enough */
    SERVING = 1,
};

static void put(struct text *to, unsigned byte)
{
    char c = (char)byte;
    text_add(to, (struct slice){&c, 1});
}

void probe_grpc_write(struct text *to, struct slice service)
{
    service = slice_head(service, SERVICE_MAX);
    size_t head = service.len == 0 ? 0 : service.len < 128 ? 2 : 3;
    size_t len = head + service.len;
    put(to, 0);
    for (int shift = 24; shift >= 0; shift -= 8)
        put(to, (unsigned)(len >> shift) & 0xff);
    if (service.len == 0)
        return;
    put(to, TAG_SERVICE);
    if (service.len >= 128)
        put(to, 0x80 | (service.len & 0x7f));
    put(to, (unsigned)(service.len >= 128 ? service.len >> 7 : service.len));
    text_add(to, service);
}

static bool varint_take(struct slice *s, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; s->len > 0 && shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)s->at[0];
        *s = slice_from(*s, 1);
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* Skips a field that is not known here, as protobuf demands. */
static bool field_skip(struct slice *s, unsigned wire)
{
    uint64_t len = wire == 1 ? 8 : 4;
    if (wire == 0)
        return varint_take(s, &len);
    if (wire == 2 && !varint_take(s, &len))
        return false;
    if ((wire != 1 && wire != 2 && wire != 5) || len > s->len)
        return false;
    *s = slice_from(*s, (size_t)len);
    return true;
}

/* The status of a HealthCheckResponse: 0 when it has none. */
static bool status_read(struct slice s, uint64_t *status)
{
    uint64_t tag;
    *status = 0;
    while (s.len > 0) {
        if (!varint_take(&s, &tag))
            return false;
        bool ok = tag == 0x08 ? varint_take(&s, status) : field_skip(&s, tag & 7);
        if (!ok)
            return false;
    }
    return true;
}

static struct slice grpc_field(const struct fetch_answer *a, const char *name)
{
    struct slice s = slice_of(name);
    const struct header *h = a->trailers ? headers_find_name(a->trailers, s) : NULL;
    if (!h)
        h = headers_find_name(a->headers, s);
    return h ? h->value : SLICE("");
}

static void judge_message(struct slice body, struct text *why)
{
    static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    uint64_t status;
    if (body.len < PREFIX_BYTES || body.at[0] != 0 ||
        !status_read(slice_from(body, PREFIX_BYTES), &status))
        text_add(why, SLICE("the answer is no HealthCheckResponse"));
    else if (status < sizeof names / sizeof *names && status != SERVING)
        text_add(why, slice_of(names[status]));
    else if (status != SERVING)
        text_addf(why, "health status %llu", (unsigned long long)status);
}

void probe_grpc_judge(const struct fetch_answer *a, struct text *why)
{
    struct slice status = grpc_field(a, "grpc-status"), message = grpc_field(a, "grpc-message");
    if (a->status != 200)
        text_addf(why, "status %u", a->status);
    else if (status.len == 0)
        text_add(why, SLICE("the answer is not gRPC: no grpc-status"));
    else if (!slice_eq(status, SLICE("0")))
        text_addf(why, "grpc-status %.*s%s%.*s", SLICE_ARG(status), message.len ? ": " : "",
                  SLICE_ARG(message));
    else
        judge_message(a->body, why);
}
