/* watch.h - files whose change is a reason to reload: certificates, keys, lists of authorities.
 *
 * The reader puts a mark of each into the bundle; the supervisor compares them with what is there
 * now and then. Following links, as the reader does: what a renewal exchanges is often a link.
 * Certificates of the local CA change by nobody's hand; they are a reason after some days. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "main/bundle.h"
#include <stdbool.h>
#include <stdint.h>

/* What a file looked like. All zero: it was not there. */
struct watch_mark {
    uint64_t device, inode;
    int64_t changed_ns, size;
};

struct watch_file {
    char *path;
    struct watch_mark mark;
};

struct watch {
    struct watch_file *files;
    uint32_t count;
    int64_t at_ms;      /* when to look again; 0: there is nothing to look at */
    int64_t reissue_ms; /* when the local CA is to be asked again; 0: it gave none */
    bool changing;      /* something changed at the last look: wait until it rests */
};

/* A certificate that the local CA gives out is good for LOCAL_CA_RENEW_DAYS at least. This clock
 * stands still while the machine sleeps, hence a third of them. */
enum { WATCH_MS = 2000, WATCH_SETTLE_MS = 500, WATCH_REISSUE_MS = 10 * 86400 * 1000 };

enum watch_news { WATCH_NOTHING, WATCH_CHANGED, WATCH_REISSUE };

struct watch_mark watch_mark_of(const char *path);
/* Watches what the bundle names, instead of what was watched before. */
void watch_set(struct watch *w, const struct bundle *b, int64_t now_ms);
/* Looks, when it is time. Files have changed and are at rest again, or certificates of the local CA
 * are due; told once. */
enum watch_news watch_run(struct watch *w, int64_t now_ms);
void watch_release(struct watch *w);
