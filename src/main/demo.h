/* demo.h - `weir demo` and `weir proxy`: configurations that are made on the spot. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

enum { DEMO_PORTS = 4 };

/* The demo's configuration: its site on `listen`, three servers and one dead one on `ports`. */
void demo_config(struct text *out, const char *listen, const uint16_t ports[DEMO_PORTS]);
/* Four things to try. */
void demo_banner(struct text *out, const char *listen);
/* Free loopback ports. False: errno. */
bool demo_ports(uint16_t ports[DEMO_PORTS]);

/* The configuration of `weir proxy`. */
void proxy_config(struct text *out, const char *listen, const char *const *targets, uint32_t count);
