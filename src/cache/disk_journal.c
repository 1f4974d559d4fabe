/* disk_journal.c - records of purges in a file, and in memory by what they concern.
 *
 * A record is checksummed; reading stops at the first that is not whole, which is the one that a
 * crash tore. In memory there is a table for each kind and way, by text, with the latest purge of
 * that text: asking about a file costs a lookup for its URL and one for each tag, however many
 * purges there were; only prefixes are walked. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "cache/disk_journal_priv.h"
#include <endian.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_MAGIC "weirjnl1"
#define RECORD_SEED   0x6a6f75726e616c31ull

enum {
    MAGIC_BYTES = 8,
    KINDS = PURGE_ALL + 1,
    WAYS = PURGE_SOFT + 1,
    KIND_BOUND = 255,
    FILE_MAX_BYTES = 512 << 20,
};

/* As it lies in the file; little endian; the text follows. */
struct record {
    uint64_t sum; /* of what follows */
    uint64_t value;
    uint32_t text_len;
    uint8_t kind, how;
    uint16_t zero;
};

struct entry {
    uint64_t born_before, noted;
    size_t len;
    char text[];
};

struct disk_journal_shared {
    pthread_mutex_t lock;
    int dir;
    int fd;       /* -1: not ours, or it could not be written */
    uint64_t end; /* of the good records in it */
    uint64_t bound;
    uint64_t noted; /* counts entries */
    struct hash_map maps[KINDS][WAYS];
    bool ours;
    bool unwritten; /* something is in memory alone */
    bool unsynced;
};

/* --- in memory -------------------------------------------------------------------------------- */

static uint32_t count_of(const struct disk_journal_shared *j)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < KINDS * WAYS; i++)
        n += j->maps[i / WAYS][i % WAYS].count;
    return n;
}

static void map_clear(struct hash_map *m)
{
    struct hash_slot *s;
    for (uint32_t at = 0; (s = hash_map_next(m, &at));)
        free(s->value);
    hash_map_release(m);
    hash_map_init(m);
}

static void entry_put(struct disk_journal_shared *j, unsigned kind, unsigned how, uint64_t before,
                      struct slice text)
{
    struct hash_map *m = &j->maps[kind][how];
    if (kind == PURGE_ALL)
        text = SLICE("");
    struct entry *e = hash_map_find(m, text);
    if (!e) {
        e = mem_new(sizeof *e + text.len);
        e->len = text.len;
        if (text.len > 0)
            memcpy(e->text, text.at, text.len);
        hash_map_put(m, (struct slice){e->text, e->len}, e);
    }
    if (before > e->born_before)
        e->born_before = before;
    e->noted = ++j->noted;
}

/* After a crash nothing that is older than the latest purge will be there. */
static void collapse(struct disk_journal_shared *j)
{
    uint64_t latest = 0;
    for (unsigned i = 0; i < KINDS * WAYS; i++) {
        struct hash_map *m = &j->maps[i / WAYS][i % WAYS];
        struct hash_slot *s;
        for (uint32_t at = 0; (s = hash_map_next(m, &at));) {
            const struct entry *e = s->value;
            latest = e->born_before > latest ? e->born_before : latest;
        }
        map_clear(m);
    }
    entry_put(j, PURGE_ALL, PURGE_HARD, latest, SLICE(""));
}

static bool map_concerns(const struct hash_map *m, struct slice text, uint64_t born)
{
    const struct entry *e = hash_map_find(m, text);
    return e && born < e->born_before;
}

static bool any_tag(const struct hash_map *m, struct slice tags, uint64_t born)
{
    struct slice tag;
    while (m->count > 0 && slice_cut(&tags, ' ', &tag))
        if (tag.len > 0 && map_concerns(m, tag, born))
            return true;
    return false;
}

static bool any_prefix(const struct hash_map *m, struct slice url, uint64_t born)
{
    struct hash_slot *s;
    for (uint32_t at = 0; (s = hash_map_next(m, &at));)
        if (born < ((const struct entry *)s->value)->born_before && slice_starts(url, s->key))
            return true;
    return false;
}

static bool concerns(const struct disk_journal_shared *j, enum purge_how how,
                     const struct disk_subject *s)
{
    return map_concerns(&j->maps[PURGE_ALL][how], SLICE(""), s->born) ||
           map_concerns(&j->maps[PURGE_URL][how], s->url, s->born) ||
           any_tag(&j->maps[PURGE_TAG][how], s->tags, s->born) ||
           any_prefix(&j->maps[PURGE_PREFIX][how], s->url, s->born);
}

/* --- records ---------------------------------------------------------------------------------- */

static uint64_t record_sum(const struct record *r, struct slice text)
{
    uint64_t seed = hash_fast(text, RECORD_SEED);
    return hash_fast((struct slice){(const char *)r + sizeof r->sum, sizeof *r - sizeof r->sum},
                     seed);
}

static void record_add(struct text *to, unsigned kind, unsigned how, uint64_t value,
                       struct slice text)
{
    struct record r = {.value = htole64(value),
                       .text_len = htole32((uint32_t)text.len),
                       .kind = (uint8_t)kind,
                       .how = (uint8_t)how};
    r.sum = htole64(record_sum(&r, text));
    text_add(to, (struct slice){(const char *)&r, sizeof r});
    text_add(to, text);
}

/* False: this is not a whole record. */
static bool record_take(struct disk_journal_shared *j, struct slice *rest)
{
    struct record r;
    if (rest->len < sizeof r)
        return false;
    memcpy(&r, rest->at, sizeof r);
    uint32_t len = le32toh(r.text_len);
    struct slice text = slice_head(slice_from(*rest, sizeof r), len);
    if (len > PURGE_TEXT_MAX || text.len != len || le64toh(r.sum) != record_sum(&r, text))
        return false;
    if (r.kind == KIND_BOUND)
        j->bound = le64toh(r.value) > j->bound ? le64toh(r.value) : j->bound;
    else if (r.kind < KINDS && r.how < WAYS)
        entry_put(j, r.kind, r.how, le64toh(r.value), text);
    else
        return false;
    if (count_of(j) > JOURNAL_TEXTS_MAX)
        collapse(j);
    *rest = slice_from(*rest, sizeof r + len);
    return true;
}

static size_t parse(struct disk_journal_shared *j, struct slice bytes)
{
    if (!slice_starts(bytes, SLICE(JOURNAL_MAGIC)))
        return 0;
    struct slice rest = slice_from(bytes, MAGIC_BYTES);
    while (record_take(j, &rest)) {
    }
    return bytes.len - rest.len;
}

static void write_down(const struct disk_journal_shared *j, struct text *to)
{
    text_add(to, SLICE(JOURNAL_MAGIC));
    record_add(to, KIND_BOUND, 0, j->bound, SLICE(""));
    for (unsigned i = 0; i < KINDS * WAYS; i++) {
        struct hash_slot *s;
        for (uint32_t at = 0; (s = hash_map_next(&j->maps[i / WAYS][i % WAYS], &at));) {
            const struct entry *e = s->value;
            record_add(to, i / WAYS, i % WAYS, e->born_before, s->key);
        }
    }
}

/* --- the file --------------------------------------------------------------------------------- */

static bool write_at(int fd, struct slice bytes, uint64_t at)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.at, bytes.len, (off_t)at);
        if (n <= 0)
            return false;
        bytes = slice_from(bytes, (size_t)n);
        at += (uint64_t)n;
    }
    return true;
}

/* Written whole under another name, then put in its place. */
static bool rewrite(struct disk_journal_shared *j)
{
    struct text all;
    text_init(&all);
    write_down(j, &all);
    int fd = openat(j->dir, "journal.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool done = fd >= 0 && write_at(fd, text_slice(&all), 0) && fdatasync(fd) == 0 &&
                renameat(j->dir, "journal.new", j->dir, "journal") == 0;
    if (done) {
        if (j->fd >= 0)
            close(j->fd);
        j->fd = fd;
        j->end = all.len;
    } else if (fd >= 0) {
        close(fd);
    }
    j->unwritten = !done;
    text_release(&all);
    return done;
}

/* Behind the last good record: what a failed write left there is written over. */
static bool append(struct disk_journal_shared *j, unsigned kind, unsigned how, uint64_t value,
                   struct slice text)
{
    if (!j->ours)
        return false;
    if (j->unwritten || j->fd < 0)
        return rewrite(j);
    struct text one;
    text_init(&one);
    record_add(&one, kind, how, value, text);
    bool done = write_at(j->fd, text_slice(&one), j->end);
    if (done)
        j->end += one.len;
    j->unwritten = !done;
    j->unsynced = done;
    text_release(&one);
    return done;
}

static void read_file(struct disk_journal_shared *j)
{
    struct stat st;
    int fd = openat(j->dir, "journal", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= FILE_MAX_BYTES) {
        char *bytes = mem_new((size_t)st.st_size);
        ssize_t n = pread(fd, bytes, (size_t)st.st_size, 0);
        if (n > 0)
            parse(j, (struct slice){bytes, (size_t)n});
        free(bytes);
    }
    close(fd);
}

/* --- for others ------------------------------------------------------------------------------- */

struct disk_journal_shared *disk_journal_new(int dir)
{
    struct disk_journal_shared *j = MEM_NEW(struct disk_journal_shared);
    pthread_mutex_init(&j->lock, NULL);
    j->dir = dir;
    j->fd = -1;
    for (unsigned i = 0; i < KINDS * WAYS; i++)
        hash_map_init(&j->maps[i / WAYS][i % WAYS]);
    read_file(j);
    return j;
}

void disk_journal_free(struct disk_journal_shared *j)
{
    for (unsigned i = 0; i < KINDS * WAYS; i++)
        map_clear(&j->maps[i / WAYS][i % WAYS]);
    if (j->fd >= 0)
        close(j->fd);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

void disk_journal_read(struct disk_journal_shared *j)
{
    pthread_mutex_lock(&j->lock);
    read_file(j);
    pthread_mutex_unlock(&j->lock);
}

bool disk_journal_own(struct disk_journal_shared *j)
{
    pthread_mutex_lock(&j->lock);
    j->ours = true;
    bool done = rewrite(j);
    pthread_mutex_unlock(&j->lock);
    return done;
}

bool disk_journal_note(struct disk_journal_shared *j, const struct purge_order *p,
                       uint64_t born_before)
{
    pthread_mutex_lock(&j->lock);
    entry_put(j, p->kind, p->how, born_before, p->text);
    bool done;
    if (count_of(j) > JOURNAL_TEXTS_MAX) {
        collapse(j);
        done = j->ours && rewrite(j);
    } else {
        done = append(j, p->kind, p->how, born_before, p->text);
    }
    pthread_mutex_unlock(&j->lock);
    return done;
}

void disk_journal_flush(struct disk_journal_shared *j)
{
    pthread_mutex_lock(&j->lock);
    int fd = -1;
    if (j->ours && j->unwritten)
        rewrite(j);
    if (j->unsynced && j->fd >= 0)
        fd = dup(j->fd); /* it may be replaced while this one is waited for */
    j->unsynced = false;
    pthread_mutex_unlock(&j->lock);
    if (fd < 0)
        return;
    fdatasync(fd);
    close(fd);
}

enum disk_verdict disk_journal_judge_begin(struct disk_journal_shared *j,
                                           const struct disk_subject *s)
{
    pthread_mutex_lock(&j->lock);
    if (concerns(j, PURGE_HARD, s))
        return VERDICT_DROP;
    return concerns(j, PURGE_SOFT, s) ? VERDICT_EXPIRE : VERDICT_KEEP;
}

void disk_journal_judge_end(struct disk_journal_shared *j)
{
    pthread_mutex_unlock(&j->lock);
}

uint64_t disk_journal_bound(struct disk_journal_shared *j)
{
    pthread_mutex_lock(&j->lock);
    uint64_t bound = j->bound;
    pthread_mutex_unlock(&j->lock);
    return bound;
}

bool disk_journal_reserve(struct disk_journal_shared *j, uint64_t born)
{
    pthread_mutex_lock(&j->lock);
    bool done = born < j->bound;
    if (!done) {
        uint64_t was = j->bound;
        j->bound = born + JOURNAL_RESERVE;
        done = append(j, KIND_BOUND, 0, j->bound, SLICE(""));
        if (!done)
            j->bound = was;
    }
    pthread_mutex_unlock(&j->lock);
    return done;
}

uint64_t disk_journal_mark(struct disk_journal_shared *j)
{
    pthread_mutex_lock(&j->lock);
    uint64_t mark = j->noted;
    pthread_mutex_unlock(&j->lock);
    return mark;
}

static void map_drop(struct hash_map *m, uint64_t mark)
{
    struct hash_map kept;
    struct hash_slot *s;
    hash_map_init(&kept);
    for (uint32_t at = 0; (s = hash_map_next(m, &at));) {
        if (((struct entry *)s->value)->noted > mark)
            hash_map_put(&kept, s->key, s->value);
        else
            free(s->value);
    }
    hash_map_release(m);
    *m = kept;
}

void disk_journal_drop(struct disk_journal_shared *j, uint64_t mark)
{
    pthread_mutex_lock(&j->lock);
    for (unsigned i = 0; i < KINDS * WAYS; i++)
        map_drop(&j->maps[i / WAYS][i % WAYS], mark);
    if (j->ours)
        rewrite(j);
    pthread_mutex_unlock(&j->lock);
}

uint32_t disk_journal_count(struct disk_journal_shared *j)
{
    pthread_mutex_lock(&j->lock);
    uint32_t n = count_of(j);
    pthread_mutex_unlock(&j->lock);
    return n;
}

size_t disk_journal_parse(struct disk_journal_shared *j, struct slice bytes)
{
    pthread_mutex_lock(&j->lock);
    size_t good = parse(j, bytes);
    pthread_mutex_unlock(&j->lock);
    return good;
}
