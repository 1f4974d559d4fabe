/* h2_core_priv.h - what the files of the core share. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_core.h"

enum h2_phase { H2_PHASE_PREFACE, H2_PHASE_SETTINGS, H2_PHASE_OPEN, H2_PHASE_FAILED };

enum h2_part {
    H2_PART_HEAD,
    H2_PART_WHOLE, /* a payload that is needed in one piece */
    H2_PART_PAD,   /* DATA: the length of its padding */
    H2_PART_DATA,
    H2_PART_SKIP,
};

/* True: *ev is set and goes to the session. */
typedef bool h2_handler(struct h2_core *c, struct slice payload, struct h2_event *ev);

/* ---- h2_core.c ---- */

enum h2_gone { H2_GONE_UNUSED, H2_GONE_ENDED, H2_GONE_RESET_HERE, H2_GONE_RESET_THERE };

bool h2_is_idle(const struct h2_core *c, uint32_t id);
/* How a stream that is not listed and not idle went. */
enum h2_gone h2_gone(const struct h2_core *c, uint32_t id);
void h2_unlist(struct h2_core *c, struct h2_stream *s, enum h2_gone how);
/* Both return true: an event. */
bool h2_fail_event(struct h2_core *c, enum err e, enum h2_code code, struct h2_event *ev);
bool h2_limit_event(struct h2_core *c, enum h2_limit kind, struct h2_event *ev);
/* Something for a stream that is over, which brings nothing. A client gives up as many streams as
 * those whom it serves do: what a server had sent of them by then is no fault of its. */
bool h2_late_event(struct h2_core *c, struct h2_event *ev);
/* An error of a stream, which may be gone (NULL). An event unless there is nobody to be told. */
bool h2_stream_error(struct h2_core *c, uint32_t id, struct h2_stream *s, enum h2_code code,
                     struct h2_event *ev);
void h2_write_reset(struct h2_core *c, uint32_t id, enum h2_code code);
void h2_stash_drop(struct h2_core *c);
bool h2_stash_grow(struct h2_core *c, uint32_t cap); /* false: no memory */

/* ---- h2_core_frames.c: whole payloads ---- */

bool h2_frame_handle(struct h2_core *c, struct slice payload, struct h2_event *ev);

/* ---- h2_core_data.c: DATA and windows ---- */

bool h2_data_begin(struct h2_core *c, struct h2_event *ev);
bool h2_data_pad(struct h2_core *c, uint8_t pad, struct h2_event *ev);
bool h2_data_piece(struct h2_core *c, struct slice *in, struct h2_event *ev);
/* `n` received bytes of the connection's window are free again. */
void h2_conn_consumed(struct h2_core *c, uint32_t n);
bool h2_window_update(struct h2_core *c, struct slice payload, struct h2_event *ev);
/* The peer's SETTINGS_INITIAL_WINDOW_SIZE, over all streams (6.9.2). False: one overflows. */
bool h2_windows_shift(struct h2_core *c, uint32_t bytes);
