/* object.c - a stored response in one allocation, and its head as a message again.
 *
 * After the struct lie, for a part or where Accept-Language matters, a struct object_part; then
 * key, names of Vary, tags, reason, and the header fields as records. A name in its usual
 * spelling, or in lower case (HTTP/2), is not kept: its id says it. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/object.h"
#include "base/assert.h"
#include "base/hash.h"
#include "cache/store_priv.h"
#include "http/http_date.h"
#include <stdlib.h>

struct object_part {
    uint64_t first, last, total;
    uint64_t variant_without_language;
};

/* In front of an object of a store with a disk. */
struct object_front {
    struct list link;
    _Atomic(uint64_t) file;
};

/* A header field; name and value follow. Not aligned. */
struct record {
    uint16_t id;
    uint16_t name_len; /* or one of these */
    uint32_t value_len;
};
enum { NAME_USUAL = 0xffff, NAME_LOWER = 0xfffe, NAME_MAX_BYTES = 0xfff0, TEXT_MAX = 0xffff };

/* ---- keys ---- */

void cache_key_init(struct cache_key *k, struct slice text)
{
    k->text = text;
    k->hash = hash_secret(text);
}

struct slice cache_key_url(const struct cache_key *k)
{
    return slice_head(k->text, slice_find(k->text, '\n'));
}

/* ---- making ---- */

static bool is_kept(const struct object_draft *d, const struct header *h)
{
    if (h->dead || h->hop)
        return false;
    return h->id != FIELD_SET_COOKIE || !(d->freshness.flags & FRESH_STRIP_COOKIES);
}

static uint16_t name_form(const struct header *h)
{
    if (h->id == FIELD_OTHER)
        return (uint16_t)h->name.len;
    const struct field_row *row = field_row((enum field_id)h->id);
    if (slice_eq(h->name, row->usual))
        return NAME_USUAL;
    return slice_eq(h->name, row->lower) ? NAME_LOWER : (uint16_t)h->name.len;
}

static size_t name_bytes(uint16_t form)
{
    return form == NAME_USUAL || form == NAME_LOWER ? 0 : form;
}

/* Bytes of all records; false: too long to be kept. */
static bool records_measure(const struct object_draft *d, size_t *bytes, uint32_t *count)
{
    *bytes = *count = 0;
    HEADER_EACH (h, d->headers) {
        if (!is_kept(d, h))
            continue;
        if (h->name.len > NAME_MAX_BYTES || h->value.len > UINT32_MAX)
            return false;
        *bytes += sizeof(struct record) + name_bytes(name_form(h)) + h->value.len;
        (*count)++;
    }
    return *bytes <= UINT32_MAX && *count <= UINT16_MAX;
}

static char *put(char *at, struct slice s)
{
    if (s.len > 0)
        memcpy(at, s.at, s.len);
    return at + s.len;
}

static void records_put(char *at, const struct object_draft *d)
{
    HEADER_EACH (h, d->headers) {
        if (!is_kept(d, h))
            continue;
        struct record r = {h->id, name_form(h), (uint32_t)h->value.len};
        memcpy(at, &r, sizeof r);
        at = put(at + sizeof r, slice_head(h->name, name_bytes(r.name_len)));
        at = put(at, h->value);
    }
}

static bool needs_part(const struct object_draft *d)
{
    return d->kind == OBJECT_PART || d->variant_without_language != 0;
}

static void texts_put(struct object_shared *o, const struct object_draft *d)
{
    char *at = o->bytes;
    if (needs_part(d)) {
        struct object_part part = {d->first, d->last, d->total, d->variant_without_language};
        memcpy(at, &part, sizeof part);
        o->extras |= EXTRA_PART;
        at += sizeof part;
    }
    at = put(at, d->key.text);
    at = put(at, d->vary);
    at = put(at, d->tags);
    at = put(at, d->reason);
    records_put(at, d);
}

static void fields_set(struct object_shared *o, const struct object_draft *d)
{
    atomic_init(&o->refs, 1);
    o->kind = d->kind;
    o->status = d->status;
    o->vary_len = (uint16_t)d->vary.len;
    o->tags_len = (uint16_t)d->tags.len;
    o->reason_len = (uint16_t)d->reason.len;
    o->key_len = (uint32_t)d->key.text.len;
    o->hash = d->key.hash;
    o->variant = d->variant;
    o->freshness = d->freshness;
    atomic_init(&o->length, d->content ? content_length(d->content) : d->length);
    list_init(&o->link);
}

static bool texts_fit(const struct object_draft *d)
{
    return d->key.text.len <= UINT32_MAX && d->vary.len <= TEXT_MAX && d->tags.len <= TEXT_MAX &&
           d->reason.len <= TEXT_MAX;
}

/* Room in front for the disk's link when the store has a disk. */
static struct object_shared *object_alloc(struct cache_shared *c, size_t bytes)
{
    size_t front = cache_disk_get(c) ? sizeof(struct object_front) : 0;
    if (!cache_charge(c, front + bytes))
        return NULL;
    char *at = calloc(1, front + bytes);
    if (!at) {
        cache_uncharge(c, front + bytes);
        return NULL;
    }
    struct object_shared *o = (struct object_shared *)(void *)(at + front);
    o->extras = front ? EXTRA_DISK_LINK : 0;
    o->cache = c;
    if (front)
        list_init(object_disk_link(o));
    return o;
}

/* While there are such keys a purge of a URL has to look for them. Sequentially consistent: before
 * `seq` is looked at when it is linked, see is_exact() in purge.c. */
static void count_suffix(struct object_shared *o)
{
    struct cache_key key = {object_key(o), o->hash};
    if (cache_key_url(&key).len == key.text.len)
        return;
    o->extras |= EXTRA_SUFFIX;
    atomic_fetch_add_explicit(&o->cache->suffixed, 1, memory_order_seq_cst);
}

struct object_shared *object_new(struct cache_shared *c, const struct object_draft *d)
{
    size_t records;
    uint32_t count;
    if (!texts_fit(d) || !records_measure(d, &records, &count))
        return NULL;
    size_t texts = d->key.text.len + d->vary.len + d->tags.len + d->reason.len;
    size_t part = needs_part(d) ? sizeof(struct object_part) : 0;
    struct object_shared *o =
        object_alloc(c, offsetof(struct object_shared, bytes) + part + texts + records);
    if (!o)
        return NULL;
    fields_set(o, d);
    o->head_len = (uint32_t)records;
    o->header_count = (uint16_t)count;
    texts_put(o, d);
    o->content = d->content ? content_take(d->content) : NULL;
    count_suffix(o);
    return o;
}

/* ---- counting ---- */

struct object_shared *object_take(struct object_shared *o)
{
    /* relaxed: who takes has one already, or the shard's lock. */
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

static size_t front_bytes(const struct object_shared *o)
{
    return o->extras & EXTRA_DISK_LINK ? sizeof(struct object_front) : 0;
}

static size_t part_bytes(const struct object_shared *o)
{
    return o->extras & EXTRA_PART ? sizeof(struct object_part) : 0;
}

static size_t object_bytes(const struct object_shared *o)
{
    return front_bytes(o) + offsetof(struct object_shared, bytes) + part_bytes(o) + o->key_len +
           o->vary_len + o->tags_len + o->reason_len + o->head_len;
}

void object_drop(struct object_shared *o)
{
    /* acq_rel: all that others did with it comes before the free. */
    if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    ASSERT(!o->linked);
    if (o->content)
        content_drop(o->content);
    if (o->coded)
        coded_free(o->cache, o->coded);
    if (o->extras & EXTRA_SUFFIX) /* relaxed: one too many does no harm */
        atomic_fetch_sub_explicit(&o->cache->suffixed, 1, memory_order_relaxed);
    cache_uncharge(o->cache, object_bytes(o));
    free((char *)o - front_bytes(o));
}

static struct object_front *front_of(const struct object_shared *o)
{
    return front_bytes(o) ? (struct object_front *)(uintptr_t)o - 1 : NULL;
}

struct list *object_disk_link(struct object_shared *o)
{
    struct object_front *f = front_of(o);
    return f ? &f->link : NULL;
}

struct object_shared *object_of_disk_link(struct list *l)
{
    return (struct object_shared *)(void *)(CONTAINER_OF(l, struct object_front, link) + 1);
}

uint64_t object_file(const struct object_shared *o)
{
    struct object_front *f = front_of(o);
    return f ? atomic_load_explicit(&f->file, memory_order_relaxed) : 0;
}

void object_file_set(struct object_shared *o, uint64_t number)
{
    struct object_front *f = front_of(o);
    ASSERT(f);
    atomic_store_explicit(&f->file, number, memory_order_relaxed);
}

size_t object_head_bytes(const struct object_shared *o)
{
    return object_bytes(o) + CACHE_MALLOC_BYTES;
}

/* ---- reading ---- */

static const char *texts(const struct object_shared *o)
{
    return o->bytes + part_bytes(o);
}

struct slice object_key(const struct object_shared *o)
{
    return (struct slice){texts(o), o->key_len};
}

struct slice object_vary(const struct object_shared *o)
{
    return (struct slice){texts(o) + o->key_len, o->vary_len};
}

struct slice object_tags(const struct object_shared *o)
{
    return (struct slice){texts(o) + o->key_len + o->vary_len, o->tags_len};
}

static struct object_part part_get(const struct object_shared *o)
{
    struct object_part part = {0};
    memcpy(&part, o->bytes, part_bytes(o));
    return part;
}

uint64_t object_variant_without_language(const struct object_shared *o)
{
    return part_get(o).variant_without_language;
}

bool object_range(const struct object_shared *o, uint64_t *first, uint64_t *last, uint64_t *total)
{
    if (o->kind != OBJECT_PART)
        return false;
    struct object_part part = part_get(o);
    *first = part.first;
    *last = part.last;
    *total = part.total;
    return true;
}

static struct slice object_reason(const struct object_shared *o)
{
    return (struct slice){texts(o) + o->key_len + o->vary_len + o->tags_len, o->reason_len};
}

/* Reads the record at *at and moves on. */
static inline void record_next(const char **at, enum field_id *id, struct slice *name,
                               struct slice *value)
{
    struct record r;
    memcpy(&r, *at, sizeof r);
    *at += sizeof r;
    *id = (enum field_id)r.id;
    if (r.name_len == NAME_USUAL)
        *name = field_row(*id)->usual;
    else if (r.name_len == NAME_LOWER)
        *name = field_row(*id)->lower;
    else
        *name = (struct slice){*at, r.name_len};
    *at += name_bytes(r.name_len);
    *value = (struct slice){*at, r.value_len};
    *at += r.value_len;
}

static const char *records(const struct object_shared *o)
{
    struct slice reason = object_reason(o);
    return reason.at + reason.len;
}

enum err object_head_get(const struct object_shared *o, struct arena *a, struct message *m)
{
    struct headers h = {0};
    TRY(headers_reserve(&h, a, o->header_count + OBJECT_HEADERS_SPARE));
    const char *at = records(o);
    for (uint32_t i = 0; i < o->header_count; i++) {
        struct header *to = &h.at[i];
        enum field_id id;
        record_next(&at, &id, &to->name, &to->value);
        to->id = (uint16_t)id;
        to->hop = to->dead = false; /* hop-by-hop ones are not kept */
        h.known |= (uint64_t)1 << id;
    }
    h.count = o->header_count;
    m->headers = h;
    m->status = o->status;
    m->reason = object_reason(o);
    return ERR_OK;
}

struct slice object_field(const struct object_shared *o, enum field_id id)
{
    ASSERT(id != FIELD_OTHER);
    const char *at = records(o);
    for (uint32_t i = 0; i < o->header_count; i++) {
        enum field_id it;
        struct slice name, value;
        record_next(&at, &it, &name, &value);
        if (it == id)
            return value;
    }
    return SLICE_NONE;
}

void object_validators(const struct object_shared *o, struct validators *v, int64_t now_s)
{
    v->etag = object_field(o, FIELD_ETAG);
    if (!http_date_parse(object_field(o, FIELD_LAST_MODIFIED), now_s, &v->modified_s))
        v->modified_s = MODIFIED_UNKNOWN;
}
