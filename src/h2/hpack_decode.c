/* hpack_decode.c - takes header blocks apart (RFC 7541 6).
 *
 * A field goes to the callback until something forbids it: the first error that concerns the
 * request alone. From then on the block is dead but still taken through the table, with texts in
 * an arena of their own, so that one refused request does not cost the connection. Broken
 * compression ends it at once. Names of the static table are never copied. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/hpack.h"
#include "h2/hpack_priv.h"

enum {
    INDEXED = 0x80,     /* 6.1 */
    INCREMENTAL = 0x40, /* 6.2.1 */
    SIZE_UPDATE = 0x20, /* 6.3 */
    NEVER = 0x10,       /* 6.2.3 */
    HUFFMAN = 0x80,     /* 5.2 */
    SKIP_ARENA_BYTES = 256 * 1024,
    BOMB_BYTES = 128 * 1024, /* a list of this size, and of BOMB_TIMES the limit, is no mistake */
    BOMB_TIMES = 4,
    INT_SHIFT_MAX = 28, /* five bytes after the prefix; 5.1 leaves the limit to us */
};

struct decoding {
    struct hpack_decoder *d;
    const uint8_t *at, *end;
    uint32_t list_left;  /* of list_bytes */
    uint64_t bomb_left;  /* until it is a bomb */
    struct arena *arena; /* the caller's, or &spare once dead */
    struct arena spare;
    hpack_field *field;
    void *user;
    enum err dead; /* what the request is refused with */
};

void hpack_decoder_init(struct hpack_decoder *d, uint32_t max_bytes)
{
    ASSERT(max_bytes <= HPACK_TABLE_MAX_BYTES);
    hpack_huffman_init();
    hpack_static_init();
    *d = (struct hpack_decoder){
        .max_bytes = max_bytes < HPACK_TABLE_BYTES ? HPACK_TABLE_BYTES : max_bytes,
        .size_bytes = HPACK_TABLE_BYTES,
    };
}

void hpack_decoder_release(struct hpack_decoder *d)
{
    hpack_table_free(d->table);
    d->table = NULL;
}

void hpack_decoder_limit(struct hpack_decoder *d, uint32_t max_bytes)
{
    ASSERT(max_bytes <= HPACK_TABLE_MAX_BYTES);
    d->max_bytes = max_bytes;
}

static void die(struct decoding *g, enum err why)
{
    if (g->dead != ERR_OK)
        return;
    g->dead = why;
    arena_init(&g->spare, SIZE_MAX);
    g->arena = &g->spare;
}

/* The bytes after a full prefix. ERR_H2_COMPRESSION: cut off, above 32 bits, more than five. */
static enum err int_rest(struct decoding *g, uint32_t prefix, uint32_t *out)
{
    uint64_t v = prefix;
    for (unsigned shift = 0; shift <= INT_SHIFT_MAX && g->at < g->end; shift += 7) {
        uint8_t byte = *g->at++;
        v += (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (v > UINT32_MAX)
            return ERR_H2_COMPRESSION;
        *out = (uint32_t)v;
        return ERR_OK;
    }
    return ERR_H2_COMPRESSION;
}

/* An integer whose prefix is the bits of `mask` in the next byte, which is there (5.1). */
static inline enum err int_read(struct decoding *g, uint8_t mask, uint32_t *out)
{
    uint32_t v = *g->at++ & mask;
    if (v == mask)
        return int_rest(g, v, out);
    *out = v;
    return ERR_OK;
}

/* The arena is spent: the request dies, and its spare has the room. NULL: out of memory. */
static __attribute__((noinline)) char *room_take_spare(struct decoding *g, size_t bytes)
{
    die(g, ERR_OVER_BUDGET);
    return arena_alloc(g->arena, bytes);
}

static inline char *room_take(struct decoding *g, size_t bytes)
{
    char *at = arena_alloc(g->arena, bytes);
    return at ? at : room_take_spare(g, bytes);
}

/* What is sure to be over the limit does not get room in the caller's arena. */
static void string_refuse_long(struct decoding *g, size_t least_bytes)
{
    if (least_bytes > g->list_left)
        die(g, ERR_HEAD_TOO_LARGE);
}

static enum err string_huffman(struct decoding *g, struct slice code, struct slice *out)
{
    size_t room = hpack_huffman_bound(code.len) + HPACK_HUFFMAN_SLACK, len;
    string_refuse_long(g, code.len * 8 / 30);
    char *at = room_take(g, room);
    if (!at)
        return ERR_NO_MEMORY;
    TRY(hpack_huffman_decode(at, code, &len));
    arena_shrink(g->arena, at, room, len ? len : 1);
    *out = (struct slice){at, len};
    return ERR_OK;
}

static enum err string_plain(struct decoding *g, struct slice text, struct slice *out)
{
    string_refuse_long(g, text.len);
    char *at = room_take(g, text.len ? text.len : 1);
    if (!at)
        return ERR_NO_MEMORY;
    if (text.len > 0)
        memcpy(at, text.at, text.len);
    *out = (struct slice){at, text.len};
    return ERR_OK;
}

static enum err string_read(struct decoding *g, struct slice *out)
{
    uint32_t len;
    if (g->at == g->end)
        return ERR_H2_COMPRESSION;
    bool huffman = *g->at & HUFFMAN;
    TRY(int_read(g, 0x7f, &len));
    if (len > (size_t)(g->end - g->at))
        return ERR_H2_COMPRESSION;
    struct slice s = {(const char *)g->at, len};
    g->at += len;
    return huffman ? string_huffman(g, s, out) : string_plain(g, s, out);
}

/* Takes a field off the list's limit. False: dead. */
static inline bool list_take(struct decoding *g, size_t text_bytes)
{
    size_t bytes = text_bytes + HPACK_ENTRY_BYTES;
    g->bomb_left = g->bomb_left > bytes ? g->bomb_left - bytes : 0;
    if (g->dead == ERR_OK && bytes <= g->list_left) {
        g->list_left -= (uint32_t)bytes;
        return true;
    }
    die(g, ERR_HEAD_TOO_LARGE);
    return false;
}

static inline void give(struct decoding *g, const struct hpack_header *h)
{
    enum err e = g->field(g->user, h);
    if (e != ERR_OK)
        die(g, e);
}

/* The name, where it is stored, and the value lie side by side: one copy. */
static enum err give_entry(struct decoding *g, const struct hpack_entry *e)
{
    struct slice text = hpack_table_text(g->d->table, e);
    if (!list_take(g, (size_t)e->name_len + e->value_len))
        return ERR_OK;
    char *at = room_take(g, text.len ? text.len : 1);
    if (!at)
        return ERR_NO_MEMORY;
    if (g->dead != ERR_OK)
        return ERR_OK;
    if (text.len > 0)
        memcpy(at, text.at, text.len);
    struct hpack_header h = {.id = e->id};
    h.name =
        e->name_static ? hpack_static_get(e->name_static)->name : (struct slice){at, e->name_len};
    h.value = (struct slice){at + text.len - e->value_len, e->value_len};
    give(g, &h);
    return ERR_OK;
}

static enum err indexed(struct decoding *g)
{
    uint32_t index;
    TRY(int_read(g, 0x7f, &index));
    if (index == 0)
        return ERR_H2_COMPRESSION;
    if (index > HPACK_STATIC_COUNT) {
        const struct hpack_entry *e = hpack_table_find(g->d->table, index);
        return e ? give_entry(g, e) : ERR_H2_COMPRESSION;
    }
    const struct hpack_static *row = hpack_static_get(index);
    if (list_take(g, row->name.len + row->value.len))
        give(g, &(struct hpack_header){row->name, row->value, row->id, false});
    return ERR_OK;
}

/* The name of an entry has to be copied: what it lies in may be evicted by its own field (4.4). */
static enum err name_of_entry(struct decoding *g, uint32_t index, struct hpack_key *key)
{
    const struct hpack_entry *e = hpack_table_find(g->d->table, index);
    if (!e)
        return ERR_H2_COMPRESSION;
    key->id = e->id;
    key->name_static = e->name_static;
    if (e->name_static) {
        key->name = hpack_static_get(e->name_static)->name;
        return ERR_OK;
    }
    return string_plain(g, slice_head(hpack_table_text(g->d->table, e), e->name_len), &key->name);
}

static enum err name_read(struct decoding *g, uint8_t mask, struct hpack_key *key)
{
    uint32_t index;
    TRY(int_read(g, mask, &index));
    if (index > HPACK_STATIC_COUNT)
        return name_of_entry(g, index, key);
    if (index > 0) {
        const struct hpack_static *row = hpack_static_get(index);
        key->name = row->name;
        key->id = (uint8_t)row->id;
        key->name_static = (uint8_t)index;
        return ERR_OK;
    }
    TRY(string_read(g, &key->name));
    key->id = (uint8_t)field_find(key->name);
    return ERR_OK;
}

static enum err literal(struct decoding *g, uint8_t first)
{
    struct hpack_key key = {0};
    TRY(name_read(g, first & INCREMENTAL ? 0x3f : 0x0f, &key));
    TRY(string_read(g, &key.value));
    if (first & INCREMENTAL)
        TRY(hpack_table_add(&g->d->table, g->d->size_bytes, &key));
    if (list_take(g, key.name.len + key.value.len))
        give(g, &(struct hpack_header){key.name, key.value, key.id,
                                       !(first & INCREMENTAL) && first & NEVER});
    return ERR_OK;
}

static enum err size_update(struct decoding *g)
{
    uint32_t bytes;
    TRY(int_read(g, 0x1f, &bytes));
    if (bytes > g->d->max_bytes)
        return ERR_H2_COMPRESSION;
    g->d->size_bytes = bytes;
    hpack_table_resize(&g->d->table, bytes);
    return ERR_OK;
}

/* Size updates stand at the start of a block only (4.2), and one has to when our limit fell. */
static enum err size_updates(struct decoding *g)
{
    while (g->at < g->end && (*g->at & (INDEXED | INCREMENTAL | SIZE_UPDATE)) == SIZE_UPDATE)
        TRY(size_update(g));
    bool due = g->d->size_bytes > g->d->max_bytes && g->at < g->end;
    return due ? ERR_H2_COMPRESSION : ERR_OK;
}

/* A few bytes can name a large field again and again: one such block is enough. */
static bool is_bomb(const struct decoding *g)
{
    return g->bomb_left == 0;
}

static enum err fields(struct decoding *g)
{
    while (g->at < g->end) {
        uint8_t first = *g->at;
        if (first & INDEXED)
            TRY(indexed(g));
        else if (!(first & INCREMENTAL) && first & SIZE_UPDATE)
            return ERR_H2_COMPRESSION;
        else
            TRY(literal(g, first));
        if (g->dead == ERR_OK)
            continue;
        arena_release(&g->spare);
        if (is_bomb(g))
            return ERR_H2_HEADS;
    }
    return ERR_OK;
}

static uint64_t bomb_bytes(uint32_t list_bytes)
{
    uint64_t bytes = (uint64_t)list_bytes * BOMB_TIMES;
    return bytes > BOMB_BYTES ? bytes : BOMB_BYTES;
}

enum err hpack_decode(struct hpack_decoder *d, struct slice block, uint32_t list_bytes,
                      struct arena *a, hpack_field *field, void *user)
{
    struct decoding g = {
        .d = d,
        .at = (const uint8_t *)block.at,
        .list_left = list_bytes,
        .bomb_left = bomb_bytes(list_bytes),
        .arena = a,
        .field = field,
        .user = user,
    };
    if (block.len == 0)
        return ERR_OK;
    g.end = g.at + block.len;
    enum err e = size_updates(&g);
    if (e == ERR_OK)
        e = fields(&g);
    if (g.dead != ERR_OK)
        arena_release(&g.spare);
    return e != ERR_OK ? e : g.dead;
}

static enum err take_nothing(void *user, const struct hpack_header *h)
{
    (void)user;
    (void)h;
    return ERR_OK;
}

enum err hpack_skip(struct hpack_decoder *d, struct slice block, uint32_t list_bytes)
{
    struct arena a;
    arena_init(&a, SKIP_ARENA_BYTES);
    enum err e = hpack_decode(d, block, list_bytes, &a, take_nothing, NULL);
    arena_release(&a);
    return e;
}
