/* probe.h - how servers are checked: HTTP and gRPC by a fetch, TCP and TLS by a bare connection.
 *
 * Implements upstream/probe.h; embedded in the process. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/fetch.h"
#include "upstream/probe.h"

struct probes {
    struct prober prober;
    struct fetch_client client;
};

void probes_init(struct probes *p, const struct fetch_client *client);
