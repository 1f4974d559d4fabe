/* coverage.c - what happened over all seeds: a promise that no seed puts to the test is not kept,
 * it is unknown.
 *
 * The counts are shared by the processes that run the seeds. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

struct coverage {
    int64_t errors[ERR_COUNT];
    int64_t metrics[METRIC_COUNT];
    int64_t ways[WAYS][2]; /* not whole, whole */
    int64_t moods[MOODS][2];
    int64_t places[PLACES][2];
    int64_t statuses[600];
    int64_t repeated, exact_worlds, worlds, drains, reloads;
};

static struct coverage *shared;

/* Each must end some request in a thousand seeds. */
static const enum err errors_due[] = {
    ERR_CLIENT_HEADER_TIMEOUT,
    ERR_CLIENT_BODY_TIMEOUT,
    ERR_CLIENT_BODY_RATE,
    ERR_CLIENT_SEND_TIMEOUT,
    ERR_REQUEST_TIMEOUT,
    ERR_TUNNEL_IDLE,
    ERR_CONNECT_TIMEOUT,
    ERR_CONNECT_REFUSED,
    ERR_ORIGIN_FIRST_BYTE_TIMEOUT,
    ERR_ORIGIN_READ_TIMEOUT,
    ERR_ORIGIN_SEND_TIMEOUT,
    ERR_QUEUE_TIMEOUT,
    ERR_OVER_LIMIT,
    ERR_BODY_TOO_LARGE,
    ERR_HEAD_TOO_LARGE,
    ERR_URI_TOO_LONG,
    ERR_TOO_MANY_HEADERS,
    ERR_BAD_CHUNK,
    ERR_NO_SITE,
    ERR_CLIENT_CLOSED,
    ERR_CLIENT_RESET,
    ERR_ORIGIN_CLOSED,
    ERR_ORIGIN_RESET,
    ERR_ORIGIN_STALE,
    ERR_ORIGIN_BAD_HEAD,
    ERR_ORIGIN_BAD_FRAMING,
    ERR_ORIGIN_HEAD_TOO_LARGE,
    ERR_ORIGIN_BAD_UPGRADE,
    ERR_TLS_TIMEOUT,
    ERR_ORIGIN_UNPROCESSED,
    ERR_H2_PROTOCOL,
};

static const enum metric metrics_due[] = {
    METRIC_RETRIES,        METRIC_RETRIES_REFUSED,
    METRIC_QUEUED,         METRIC_TUNNELS,
    METRIC_SPOOLED,        METRIC_BUFFERS_REFUSED,
    METRIC_ORIGIN_REUSES,  METRIC_RESPONSES_1XX,
    METRIC_BYTES_SPLICED,  METRIC_ORIGIN_CONNECT_ERRORS,
    METRIC_TLS_HANDSHAKES, METRIC_TLS_HANDSHAKES_RESUMED,
    METRIC_H2_CONNECTIONS,
};

void coverage_init(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
}

static void add(int64_t *to, int64_t n)
{
    __atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

static void add_requests(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->request_count; i++) {
        const struct sim_request *r = &w->requests[i];
        bool whole = r->end == END_WHOLE;
        add(&shared->ways[r->way][whole], 1);
        add(&shared->moods[r->mood][whole], r->seen > 0);
        add(&shared->places[r->place][whole], 1);
        add(&shared->statuses[r->status < 600 ? r->status : 0], 1);
        add(&shared->repeated, r->seen > 1);
    }
}

void coverage_add(const struct sim_world *w, const struct counters_shared *c)
{
    for (int e = 0; e < ERR_COUNT; e++)
        add(&shared->errors[e], c->errors[e]);
    for (int m = 0; m < METRIC_COUNT; m++)
        add(&shared->metrics[m], c->metrics[m]);
    add(&shared->worlds, 1);
    add(&shared->exact_worlds, sim_exact(w));
    add(&shared->drains, w->drain_at_ms != 0);
    add(&shared->reloads, w->conf_count - 1);
    add_requests(w);
}

static void print_pair(const char *what, const char *name, const int64_t pair[2])
{
    printf("  %-8s %-16s %8lld whole %8lld not\n", what, name, (long long)pair[1],
           (long long)pair[0]);
}

void coverage_print(void)
{
    printf("worlds %lld, exact %lld, drained %lld, reloads %lld, sent again %lld\n",
           (long long)shared->worlds, (long long)shared->exact_worlds, (long long)shared->drains,
           (long long)shared->reloads, (long long)shared->repeated);
    for (int i = 0; i < WAYS; i++)
        print_pair("way", way_name((enum sim_way)i), shared->ways[i]);
    for (int i = 0; i < MOODS; i++)
        print_pair("mood", mood_name((enum sim_mood)i), shared->moods[i]);
    for (int i = 0; i < PLACES; i++)
        print_pair("place", plan_path((enum sim_place)i), shared->places[i]);
    for (int i = 0; i < 600; i++)
        if (shared->statuses[i])
            printf("  status   %-16d %8lld\n", i, (long long)shared->statuses[i]);
    for (int e = 1; e < ERR_COUNT; e++)
        if (shared->errors[e])
            printf("  error    %-28s %8lld\n", err_row((enum err)e)->name,
                   (long long)shared->errors[e]);
    for (int m = 0; m < METRIC_COUNT; m++)
        printf("  metric   %-28s %8lld\n", metric_row((enum metric)m)->name,
               (long long)shared->metrics[m]);
}

static bool happened(const char *what, const char *name, int64_t count)
{
    if (count == 0)
        fprintf(stderr, "sim: %s %s never happened: nothing is known about it\n", what, name);
    return count != 0;
}

bool coverage_complete(void)
{
    bool all = true;
    for (size_t i = 0; i < COUNT_OF(errors_due); i++)
        all &= happened("error", err_row(errors_due[i])->name, shared->errors[errors_due[i]]);
    for (size_t i = 0; i < COUNT_OF(metrics_due); i++)
        all &=
            happened("metric", metric_row(metrics_due[i])->name, shared->metrics[metrics_due[i]]);
    for (int i = 0; i < WAYS; i++)
        all &= happened("way", way_name((enum sim_way)i), shared->ways[i][0] + shared->ways[i][1]);
    for (int i = 0; i < MOODS; i++)
        all &= happened("mood", mood_name((enum sim_mood)i),
                        shared->moods[i][0] + shared->moods[i][1]);
    return all;
}
