/* demo.h - `weir demo` and `weir proxy`: configurations that are made on the spot. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

enum { DEMO_PORTS = 4 };

/* The demo's configuration: its site on `listen` and, over TLS, on a loopback port (0: not at all),
 * three servers and one dead one on `ports`. */
void demo_config(struct text *out, const char *listen, uint16_t tls_port,
                 const uint16_t ports[DEMO_PORTS]);
/* Things to try. `ca`: the file of the local CA. */
void demo_banner(struct text *out, const char *listen, uint16_t tls_port,
                 const uint16_t ports[DEMO_PORTS], const char *ca);
/* 8443 when it is free, else another one; 0: none. */
uint16_t demo_tls_port(void);
/* Free loopback ports. False: errno. */
bool demo_ports(uint16_t ports[DEMO_PORTS]);

/* The configuration of `weir proxy`. */
void proxy_config(struct text *out, const char *listen, const char *const *targets, uint32_t count);
