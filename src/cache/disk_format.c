/* disk_format.c - encodes and decodes the files of the disk tier (disk_format.h).
 *
 * A slot: checksum, length, then fields in a fixed order, then strings with their lengths before
 * them. Decoding believes nothing: lengths are checked against what is there, values against what
 * an object may hold, field names are looked up again, because their ids change with versions. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_format.h"
#include "base/hash.h"
#include <endian.h>

#define PREFACE_MAGIC "weirobj1"
#define SLOT_SEED     0x736c6f7473756d31ull
#define PREFACE_SEED  0x7072656661636531ull
#define TIME_MAX_MS   ((int64_t)1 << 53)

enum { SLOT_SUMMED_AT = 8, FLAG_EXPIRED = 1, FLAGS_ALL = FLAG_EXPIRED };

/* --- numbers and strings, into a buffer of a known size --------------------------------------- */

struct writer {
    char *at;
    size_t left;
    bool over; /* it did not fit */
};

static void put(struct writer *w, const void *bytes, size_t len)
{
    if (len > w->left) {
        w->over = true;
        return;
    }
    if (len > 0)
        memcpy(w->at, bytes, len);
    w->at += len;
    w->left -= len;
}

static void put16(struct writer *w, uint16_t v)
{
    v = htole16(v);
    put(w, &v, sizeof v);
}

static void put32(struct writer *w, uint32_t v)
{
    v = htole32(v);
    put(w, &v, sizeof v);
}

static void put64(struct writer *w, uint64_t v)
{
    v = htole64(v);
    put(w, &v, sizeof v);
}

static void put_string(struct writer *w, struct slice s)
{
    put32(w, (uint32_t)s.len);
    put(w, s.at, s.len);
}

struct reader {
    struct slice rest;
    bool bad; /* there was less than was asked for */
};

static struct slice get(struct reader *r, size_t len)
{
    if (len > r->rest.len) {
        r->bad = true;
        return SLICE("");
    }
    struct slice s = slice_head(r->rest, len);
    r->rest = slice_from(r->rest, len);
    return s;
}

static uint16_t get16(struct reader *r)
{
    uint16_t v = 0;
    struct slice s = get(r, sizeof v);
    memcpy(&v, s.at, s.len);
    return le16toh(v);
}

static uint32_t get32(struct reader *r)
{
    uint32_t v = 0;
    struct slice s = get(r, sizeof v);
    memcpy(&v, s.at, s.len);
    return le32toh(v);
}

static uint64_t get64(struct reader *r)
{
    uint64_t v = 0;
    struct slice s = get(r, sizeof v);
    memcpy(&v, s.at, s.len);
    return le64toh(v);
}

static struct slice get_string(struct reader *r)
{
    return get(r, get32(r));
}

/* --- where things are ------------------------------------------------------------------------- */

uint64_t disk_slot_at(const struct disk_layout *l, unsigned slot)
{
    return DISK_PREFACE_BYTES + (uint64_t)l->slot_bytes * slot;
}

uint64_t disk_body_at(const struct disk_layout *l)
{
    return disk_slot_at(l, 2);
}

uint64_t disk_block_at(const struct disk_layout *l, uint64_t block)
{
    return disk_body_at(l) + block * (DISK_BLOCK_BYTES + DISK_SUM_BYTES);
}

size_t disk_block_len(uint64_t body_bytes, uint64_t block)
{
    uint64_t from = block * DISK_BLOCK_BYTES;
    if (from >= body_bytes)
        return 0;
    uint64_t left = body_bytes - from;
    return left < DISK_BLOCK_BYTES ? (size_t)left : DISK_BLOCK_BYTES;
}

uint64_t disk_file_bytes(const struct disk_layout *l, uint64_t body_bytes)
{
    uint64_t blocks = (body_bytes + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES;
    return disk_body_at(l) + body_bytes + blocks * DISK_SUM_BYTES;
}

/* --- preface ---------------------------------------------------------------------------------- */

void disk_preface_encode(const struct disk_layout *l, char to[DISK_PREFACE_BYTES])
{
    struct writer w = {to, DISK_PREFACE_BYTES, false};
    put(&w, PREFACE_MAGIC, 8);
    put64(&w, l->number);
    put32(&w, l->slot_bytes);
    put32(&w, 0);
    put64(&w, hash_fast((struct slice){to, DISK_PREFACE_BYTES - DISK_SUM_BYTES}, PREFACE_SEED));
    ASSERT(!w.over && w.left == 0);
}

static bool slot_bytes_valid(uint32_t bytes)
{
    return bytes > 0 && bytes <= DISK_SLOT_MAX_BYTES && bytes % DISK_SLOT_STEP_BYTES == 0;
}

enum err disk_preface_decode(struct slice bytes, struct disk_layout *out)
{
    struct reader r = {slice_head(bytes, DISK_PREFACE_BYTES), false};
    struct slice summed = slice_head(r.rest, DISK_PREFACE_BYTES - DISK_SUM_BYTES);
    struct slice magic = get(&r, 8);
    struct disk_layout l = {.number = get64(&r), .slot_bytes = get32(&r)};
    uint32_t zero = get32(&r);
    uint64_t sum = get64(&r);
    if (r.bad || !slice_eq(magic, slice_of(PREFACE_MAGIC)) || zero != 0 ||
        sum != hash_fast(summed, PREFACE_SEED) || !slot_bytes_valid(l.slot_bytes))
        return ERR_IO;
    *out = l;
    return ERR_OK;
}

/* --- a slot ----------------------------------------------------------------------------------- */

static void put_freshness(struct writer *w, const struct freshness *f)
{
    put64(w, (uint64_t)f->received_ms);
    put64(w, (uint64_t)f->age_ms);
    put64(w, (uint64_t)f->lifetime_ms);
    put32(w, (uint32_t)f->swr_s);
    put32(w, (uint32_t)f->sie_s);
    put32(w, f->flags);
}

static void put_headers(struct writer *w, const struct headers *h)
{
    uint32_t count = 0;
    HEADER_EACH (it, h)
        count++;
    put32(w, count);
    HEADER_EACH (it, h) {
        put_string(w, it->name);
        put_string(w, it->value);
    }
}

static void put_head(struct writer *w, const struct disk_head *h)
{
    const struct object_draft *d = &h->draft;
    put64(w, h->sequence);
    put64(w, h->born);
    put64(w, h->body_bytes);
    put16(w, d->status);
    put16(w, d->kind);
    put32(w, h->expired ? FLAG_EXPIRED : 0);
    put64(w, d->variant);
    put64(w, d->variant_without_language);
    put64(w, d->first);
    put64(w, d->last);
    put64(w, d->total);
    put_freshness(w, &d->freshness);
    put_string(w, d->key.text);
    put_string(w, d->reason);
    put_string(w, d->vary);
    put_string(w, d->tags);
    put_string(w, d->site);
    put_headers(w, d->headers);
}

static uint64_t slot_sum(const struct disk_layout *l, struct slice used)
{
    return hash_fast(slice_from(used, SLOT_SUMMED_AT), SLOT_SEED ^ l->number);
}

bool disk_slot_encode(const struct disk_layout *l, const struct disk_head *h, char *to)
{
    struct writer w = {to + SLOT_SUMMED_AT + 4, l->slot_bytes - SLOT_SUMMED_AT - 4, false};
    put_head(&w, h);
    if (w.over)
        return false;
    uint32_t used = (uint32_t)(w.at - to);
    memset(w.at, 0, w.left);
    struct writer first = {to, SLOT_SUMMED_AT + 4, false};
    put64(&first, 0);
    put32(&first, used);
    disk_sum_encode(slot_sum(l, (struct slice){to, used}), to);
    return true;
}

/* What put_head() writes beside strings: it grows with nothing but them. */
static size_t head_bytes(const struct disk_head *h)
{
    const struct object_draft *d = &h->draft;
    size_t bytes = SLOT_SUMMED_AT + 4 + 3 * 8 + 8 + 5 * 8 + 3 * 8 + 3 * 4 + 6 * 4;
    bytes += d->key.text.len + d->reason.len + d->vary.len + d->tags.len + d->site.len;
    HEADER_EACH (it, d->headers)
        bytes += 8 + it->name.len + it->value.len;
    return bytes;
}

uint32_t disk_slot_room(const struct disk_head *h)
{
    size_t bytes = head_bytes(h);
    if (bytes > DISK_SLOT_MAX_BYTES)
        return 0;
    bytes += bytes / 8 + 64;
    bytes = (bytes + DISK_SLOT_STEP_BYTES - 1) / DISK_SLOT_STEP_BYTES * DISK_SLOT_STEP_BYTES;
    return bytes < DISK_SLOT_MAX_BYTES ? (uint32_t)bytes : DISK_SLOT_MAX_BYTES;
}

static bool time_valid(int64_t ms)
{
    return ms >= -TIME_MAX_MS && ms <= TIME_MAX_MS;
}

static void get_freshness(struct reader *r, struct freshness *f)
{
    f->received_ms = (int64_t)get64(r);
    f->age_ms = (int64_t)get64(r);
    f->lifetime_ms = (int64_t)get64(r);
    f->swr_s = (int32_t)get32(r);
    f->sie_s = (int32_t)get32(r);
    f->flags = get32(r);
    if (!time_valid(f->received_ms) || !time_valid(f->age_ms) || !time_valid(f->lifetime_ms))
        r->bad = true;
}

static enum err get_headers(struct reader *r, struct arena *a, struct headers *h)
{
    uint32_t count = get32(r);
    if (r->bad || count > DISK_HEADERS_MAX)
        return ERR_IO;
    TRY(headers_reserve(h, a, count));
    for (uint32_t i = 0; i < count; i++) {
        struct slice name = get_string(r), value = get_string(r);
        if (r->bad)
            return ERR_IO;
        enum err e = headers_add(h, a, name, value);
        if (e != ERR_OK)
            return e == ERR_OVER_BUDGET ? e : ERR_IO;
    }
    return ERR_OK;
}

static void get_numbers(struct reader *r, struct disk_head *h)
{
    struct object_draft *d = &h->draft;
    h->sequence = get64(r);
    h->born = get64(r);
    h->body_bytes = get64(r);
    d->status = get16(r);
    uint16_t kind = get16(r);
    uint32_t flags = get32(r);
    d->kind = (uint8_t)kind;
    h->expired = flags & FLAG_EXPIRED;
    d->variant = get64(r);
    d->variant_without_language = get64(r);
    d->first = get64(r);
    d->last = get64(r);
    d->total = get64(r);
    if (h->sequence == 0 || h->body_bytes > DISK_BODY_MAX_BYTES || kind > OBJECT_PART ||
        flags & ~(uint32_t)FLAGS_ALL || d->status < 200 || d->status > 999)
        r->bad = true;
    if (kind == OBJECT_PART && (d->first > d->last || d->last >= d->total))
        r->bad = true;
}

static void get_strings(struct reader *r, struct object_draft *d)
{
    d->key = (struct cache_key){.text = get_string(r)};
    d->reason = get_string(r);
    d->vary = get_string(r);
    d->tags = get_string(r);
    d->site = get_string(r);
    if (d->key.text.len == 0 || d->reason.len > UINT16_MAX || d->vary.len > UINT16_MAX ||
        d->tags.len > UINT16_MAX)
        r->bad = true;
}

/* The part that is summed and used, or nothing. */
static struct slice slot_used(const struct disk_layout *l, struct slice bytes)
{
    struct reader r = {bytes, false};
    uint64_t sum = get64(&r);
    uint32_t used = get32(&r);
    if (r.bad || used < SLOT_SUMMED_AT + 4 || used > bytes.len)
        return SLICE_NONE;
    struct slice whole = slice_head(bytes, used);
    return sum == slot_sum(l, whole) ? whole : SLICE_NONE;
}

enum err disk_slot_decode(const struct disk_layout *l, struct slice bytes, struct arena *a,
                          struct disk_head *out)
{
    struct slice used = slot_used(l, slice_head(bytes, l->slot_bytes));
    if (used.at == NULL)
        return ERR_IO;
    struct reader r = {slice_from(used, SLOT_SUMMED_AT + 4), false};
    struct headers *headers = ARENA_NEW(a, struct headers);
    if (headers == NULL)
        return ERR_OVER_BUDGET;
    struct disk_head h = {.draft.headers = headers};
    get_numbers(&r, &h);
    get_freshness(&r, &h.draft.freshness);
    get_strings(&r, &h.draft);
    if (r.bad)
        return ERR_IO;
    TRY(get_headers(&r, a, headers));
    if (r.rest.len != 0)
        return ERR_IO;
    *out = h;
    return ERR_OK;
}

enum err disk_slots_decode(const struct disk_layout *l, const struct slice slots[2],
                           struct arena *a, struct disk_head *out, unsigned *which)
{
    struct disk_head heads[2];
    enum err errs[2];
    for (unsigned i = 0; i < 2; i++)
        errs[i] = disk_slot_decode(l, slots[i], a, &heads[i]);
    if (errs[0] != ERR_OK && errs[1] != ERR_OK)
        return errs[0] == ERR_OVER_BUDGET || errs[1] == ERR_OVER_BUDGET ? ERR_OVER_BUDGET : ERR_IO;
    *which = errs[0] != ERR_OK || (errs[1] == ERR_OK && heads[1].sequence > heads[0].sequence);
    *out = heads[*which];
    return ERR_OK;
}

/* --- blocks ----------------------------------------------------------------------------------- */

uint64_t disk_block_sum(const struct disk_layout *l, uint64_t block, struct slice bytes)
{
    return hash_fast(bytes, l->number + block * 0x9e3779b97f4a7c15ull);
}

void disk_sum_encode(uint64_t sum, char to[DISK_SUM_BYTES])
{
    sum = htole64(sum);
    memcpy(to, &sum, sizeof sum);
}

bool disk_block_holds(const struct disk_layout *l, uint64_t block, struct slice bytes)
{
    if (bytes.len < DISK_SUM_BYTES)
        return false;
    struct slice body = slice_head(bytes, bytes.len - DISK_SUM_BYTES);
    char sum[DISK_SUM_BYTES];
    disk_sum_encode(disk_block_sum(l, block, body), sum);
    return memcmp(sum, bytes.at + body.len, sizeof sum) == 0;
}
