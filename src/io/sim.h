/* sim.h - a seeded network inside the process, with a fake clock, as an I/O backend.
 *
 * Time stands still while anything is runnable and jumps to the next event otherwise. By its seed
 * the network splits and joins segments, delays them, reorders completions between sockets, stalls
 * a peer, resets connections and refuses buffers. One sim_net can serve several loops of the same
 * thread (worker, clients and origins of a test); the same seed gives the same run. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rand.h"
#include "io/loop.h"

struct sim_net;

/* Chances are per thousand. */
struct sim_faults {
    uint16_t split;       /* deliver a segment in parts */
    uint16_t delay;       /* hold a segment for 1..delay_max_ms */
    uint16_t reset;       /* reset the connection at a segment */
    uint16_t short_write; /* take only a part of a send */
    uint16_t refuse;      /* refuse a connect */
    uint16_t no_buffer;   /* a recv that finds the pool spent */
    uint32_t delay_max_ms;
    uint32_t window_bytes; /* per direction, before sends block */
};

struct sim_net *sim_net_new(uint64_t seed, const struct sim_faults *faults);
void sim_net_free(struct sim_net *n); /* asserts that every socket was closed */
/* Give as backend_arg to loop_init(l, &io_backend_sim, net, ...). */

int sim_listen(struct sim_net *n, const struct sockaddr *addr, socklen_t len); /* a "descriptor" */
/* Connects to this address (one per net) are never answered. */
void sim_hole(struct sim_net *n, const struct sockaddr *addr, socklen_t len);
int64_t sim_now_ms(const struct sim_net *n);
size_t sim_open_count(const struct sim_net *n); /* sockets not closed yet: leak check */
/* Is the other end of this connection still open? What it sent last may still be on its way. */
bool sim_peer_open(const struct sim_net *n, int fd);
/* Runs every loop of the net until nothing can happen any more or `until_ms` has come; the number
 * of events that were delivered. */
uint64_t sim_run(struct sim_net *n, int64_t until_ms);
void sim_trace(struct sim_net *n, bool on); /* each event as a line on stderr */
/* Of everything that happened so far: equal for equal runs. */
uint64_t sim_hash(const struct sim_net *n);
