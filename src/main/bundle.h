/* bundle.h - everything that a configuration was made from, in one sealed piece of memory.
 *
 * The supervisor's reader (reader.c) takes one: the files with their texts, what patterns matched,
 * and what the supervisor itself has to know (addresses, pid file). A worker process loads its
 * configuration from it, so it needs no right to open those files, and one that is started after a
 * crash gets the configuration that was in force, whatever the files hold by then. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/source.h"
#include "net/addr.h"

enum bundle_kind {
    BUNDLE_FILE = 1, /* name: path, body: its bytes */
    BUNDLE_UNREAD,   /* name: path, body: why it could not be read */
    BUNDLE_MATCH,    /* name: pattern, body: a path that it matched */
    BUNDLE_NAME,     /* name: of the whole configuration */
    BUNDLE_LISTEN,   /* number: enum bundle_listen_flags, body: struct addr */
    BUNDLE_WORKERS,  /* number: of worker threads */
    BUNDLE_PID_FILE, /* body: path */
    BUNDLE_ISSUED,   /* name: names of a certificate, body: it and its key, from the local CA */
    BUNDLE_ISSUED_KEY,
    BUNDLE_UNISSUED,  /* name: names, body: why there is none */
    BUNDLE_WATCH,     /* name: a path whose change is a reason to reload, body: struct watch_mark */
    BUNDLE_SECRET,    /* body: the secret of the installation */
    BUNDLE_NO_SECRET, /* body: why there is none */
    BUNDLE_BAN_EXPORT, /* name: struct nft_sets, body: struct addr_prefix, as many as are spared */
    BUNDLE_SANDBOX,    /* number: enum sandbox_mode */
    BUNDLE_RIGHTS,     /* number: mode of an internal unix socket, name: its group's number,
                        * body: struct addr. Before its BUNDLE_LISTEN */
};

enum bundle_listen_flags { BUNDLE_INTERNAL = 1 };

struct bundle_entry {
    uint32_t kind, number;
    struct slice name, body; /* NUL-terminated */
};

/* ---- taking one ---- */

void bundle_add(struct text *to, const struct bundle_entry *e);

/* A source that reads from the system and adds what it found to ctx, a struct text. */
extern const struct conf_source bundle_recorder;

/* A sealed memory file with the text; -1: errno. */
int bundle_seal(const struct text *t);

/* ---- using one ---- */

struct bundle {
    struct slice bytes; /* mapped */
    size_t next;        /* where the file that is asked for next is likely to stand */
};

/* Maps the file; `fd` stays the caller's. False: errno. */
bool bundle_open(struct bundle *b, int fd);
void bundle_release(struct bundle *b);

/* The next entry after byte *at, which starts as 0. False at the end, or where bytes make no entry.
 */
bool bundle_next(const struct bundle *b, size_t *at, struct bundle_entry *out);

/* A source that knows nothing but the bundle (and the environment). Borrows `b`. */
struct conf_source bundle_source(struct bundle *b);
