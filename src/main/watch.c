/* watch.c - see watch.h. Looking costs one stat() a file: there is no descriptor to keep for each,
 * and files that are exchanged by links, or are on a network, are no exception. A pair is often
 * written in two steps, so a change counts only when nothing has moved for a moment. */
// SPDX-License-Identifier: Apache-2.0
#include "main/watch.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct watch_mark watch_mark_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return (struct watch_mark){0};
    return (struct watch_mark){
        .device = st.st_dev,
        .inode = st.st_ino,
        .changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .size = st.st_size,
    };
}

static void file_add(struct watch *w, const struct bundle_entry *e)
{
    struct watch_mark mark;
    if (e->body.len != sizeof mark)
        return;
    memcpy(&mark, e->body.at, sizeof mark);
    w->files = mem_grow(w->files, (w->count + 1) * sizeof *w->files);
    w->files[w->count++] = (struct watch_file){mem_dup(e->name.at, e->name.len), mark};
}

static void set_next(struct watch *w, int64_t now_ms, int wait_ms)
{
    w->at_ms = w->count > 0 ? now_ms + wait_ms : 0;
    if (w->reissue_ms && (w->at_ms == 0 || w->reissue_ms < w->at_ms))
        w->at_ms = w->reissue_ms;
}

void watch_set(struct watch *w, const struct bundle *b, int64_t now_ms)
{
    struct bundle_entry e;
    watch_release(w);
    for (size_t at = 0; bundle_next(b, &at, &e);) {
        if (e.kind == BUNDLE_WATCH)
            file_add(w, &e);
        if (e.kind == BUNDLE_ISSUED)
            w->reissue_ms = now_ms + WATCH_REISSUE_MS;
    }
    set_next(w, now_ms, WATCH_MS);
}

/* Takes over what it finds, so that every change is seen once. */
static bool look(struct watch *w)
{
    bool changed = false;
    for (uint32_t i = 0; i < w->count; i++) {
        struct watch_mark now = watch_mark_of(w->files[i].path);
        changed |= memcmp(&now, &w->files[i].mark, sizeof now) != 0;
        w->files[i].mark = now;
    }
    return changed;
}

enum watch_news watch_run(struct watch *w, int64_t now_ms)
{
    if (w->at_ms == 0 || now_ms < w->at_ms)
        return WATCH_NOTHING;
    bool moved = look(w), rests = w->changing && !moved;
    bool due = w->reissue_ms && now_ms >= w->reissue_ms;
    w->changing = moved;
    if (due) /* again later, should the reload be refused */
        w->reissue_ms = now_ms + WATCH_REISSUE_MS;
    set_next(w, now_ms, moved ? WATCH_SETTLE_MS : WATCH_MS);
    return rests ? WATCH_CHANGED : due ? WATCH_REISSUE : WATCH_NOTHING;
}

void watch_release(struct watch *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        free(w->files[i].path);
    free(w->files);
    *w = (struct watch){0};
}
