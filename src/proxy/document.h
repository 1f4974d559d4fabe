/* document.h - a text of another server that many requests depend on: the keys of a token's issuer,
 * what a login service says of itself. Fetched when it is first needed, read into something that
 * never changes, kept for all workers and over reloads, and fetched anew in time, behind the
 * requests that use the old one meanwhile.
 *
 * Owner: counted; a snapshot holds one count for each that its directives use. It is found again by
 * its identity. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/list.h"
#include "proxy/ask.h"

struct document_shared;

/* What is made of the text: read-only and counted by itself. All may be called by any thread. */
struct document_kind {
    void *(*read)(struct slice text, struct text *why); /* one count; NULL: why not */
    void *(*take)(void *made);
    void (*drop)(void *made);
};

/* Finds or makes it. `name` is its URL, or what stands for it. Control plane. */
struct document_shared *document_take(struct slice name, const struct document_kind *kind);
void document_drop(struct document_shared *d);

/* How an exchange waits for one: embedded in its filter's state, zeroed. */
struct document_wait {
    struct list link; /* of a fetch that is under way in this worker */
    struct exchange *x;
    bool waits;
};

/* Fetches; a worker has one fetch of a document under way at a time. */
struct document_source {
    struct document_shared *document;
    const struct upstream *upstream;
    struct slice host, path;
};

enum document_want {
    DOCUMENT_ANY,  /* what is there will do, unless it is older than a day past its time */
    DOCUMENT_NEWER /* what is there lacks something: fetched anew, but not more often than every 10
                      s */
};

/* *made gets a count, the caller's. ERR_HOLD: `w` waits, x is woken, ask again with DOCUMENT_ANY;
 * whoever asks too early, because something else woke x, waits on.
 * ERR_AUTH_UNAVAILABLE: it can not be had now; with DOCUMENT_NEWER also: not yet again. */
enum err document_get(const struct document_source *s, enum document_want want,
                      struct document_wait *w, struct exchange *x, void **made) MUST_CHECK;
/* The exchange ends, or does not want it any more. */
void document_wait_end(struct document_wait *w);
