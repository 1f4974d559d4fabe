/* selection.c - which stored response a request selects: the names in Vary, and one hash over the
 * normal forms of what a request says to them.
 *
 * Two requests that mean the same have the same normal form: blanks around commas never count, and
 * in Accept-Language and Accept-Encoding neither do letter case, order and how a weight is written.
 * A field that is not well-formed stays as it is.
 *
 * Nobody may be able to make up a value that falls together with another client's, and hashes are
 * kept on disk: so it is a cryptographic one without a key, of which 64 bits are enough. Collisions
 * of two values that both are made up (2^32 tries) harm only who sends them. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/selection.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/sha1.h"

enum { DIGEST_BLOCK_BYTES = 512, WEIGHTED_MAX = 32, MEMOS_COUNT = 64 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static int name_cmp(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return (unsigned char)lower(a.at[i]) - (unsigned char)lower(b.at[i]);
    return (a.len > b.len) - (a.len < b.len);
}

/* --- the names -------------------------------------------------------------------------------- */

bool vary_any(const struct headers *res)
{
    for (const struct header *it = headers_find(res, FIELD_VARY); it; it = headers_next(res, it))
        if (field_list_has(it->value, SLICE("*")))
            return true;
    return false;
}

struct names {
    struct slice at[SELECTION_FIELDS_MAX]; /* sorted */
    size_t count;
    size_t bytes; /* of all */
};

static bool names_add(struct names *n, struct slice name)
{
    size_t i = n->count;
    while (i > 0 && name_cmp(name, n->at[i - 1]) < 0)
        i--;
    if (i > 0 && name_cmp(name, n->at[i - 1]) == 0)
        return true;
    if (n->count == SELECTION_FIELDS_MAX)
        return false;
    memmove(&n->at[i + 1], &n->at[i], (n->count - i) * sizeof *n->at);
    n->at[i] = name;
    n->count++;
    n->bytes += name.len;
    return true;
}

static struct slice names_join(const struct names *n, struct arena *a)
{
    if (n->count == 0)
        return SLICE("");
    size_t len = n->bytes + n->count - 1;
    char *text = arena_alloc(a, len), *to = text;
    for (size_t i = 0; text && i < n->count; i++) {
        if (i > 0)
            *to++ = ',';
        for (size_t k = 0; k < n->at[i].len; k++)
            *to++ = lower(n->at[i].at[k]);
    }
    return text ? (struct slice){text, len} : SLICE_NONE;
}

struct slice vary_names(const struct headers *res, struct arena *a)
{
    struct names n = {.count = 0};
    struct slice member;
    for (const struct header *it = headers_find(res, FIELD_VARY); it; it = headers_next(res, it)) {
        struct slice rest = it->value;
        while (field_list_next(&rest, &member))
            if (!names_add(&n, member))
                return SLICE_NONE;
    }
    return names_join(&n, a);
}

/* --- the hash --------------------------------------------------------------------------------- */

/* SHA-1 of what is added; what is longer than a block is replaced by its hash, again and again. */
struct digest {
    char block[DIGEST_BLOCK_BYTES];
    size_t len;
};

static void digest_fold(struct digest *d)
{
    uint8_t hash[SHA1_BYTES];
    sha1_of((struct slice){d->block, d->len}, hash);
    memcpy(d->block, hash, sizeof hash);
    d->len = sizeof hash;
}

static void digest_add_byte(struct digest *d, char c)
{
    if (d->len == DIGEST_BLOCK_BYTES)
        digest_fold(d);
    d->block[d->len++] = c;
}

static void digest_add(struct digest *d, struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        digest_add_byte(d, s.at[i]);
}

static void digest_add_lower(struct digest *d, struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        digest_add_byte(d, lower(s.at[i]));
}

static uint64_t digest_end(struct digest *d)
{
    uint64_t hash;
    digest_fold(d);
    memcpy(&hash, d->block, sizeof hash);
    return hash ? hash : 1;
}

/* --- weighted lists --------------------------------------------------------------------------- */

struct weighted {
    struct slice name;
    int weight; /* thousandths */
};

struct weighted_list {
    struct weighted at[WEIGHTED_MAX]; /* heaviest first, then by name */
    size_t count;
};

/* qvalue (RFC 9110 12.4.2) to the letter: "0", "1", and up to three digits after a point. */
static bool qvalue_valid(struct slice s)
{
    if (s.len == 0 || s.len > 5 || (s.at[0] != '0' && s.at[0] != '1'))
        return false;
    for (size_t i = 1; i < s.len; i++) {
        char most = s.at[0] == '0' ? '9' : '0';
        if (i == 1 ? s.at[i] != '.' : s.at[i] < '0' || s.at[i] > most)
            return false;
    }
    return true;
}

/* "name", or "name;q=0.5" with blanks around the semicolon. */
static bool weighted_read(struct slice member, struct weighted *out)
{
    size_t semicolon = slice_find(member, ';');
    struct slice q = slice_trim(slice_from(member, semicolon + 1));
    *out = (struct weighted){slice_trim(slice_head(member, semicolon)), 1000};
    if (!field_is_token(out->name))
        return false;
    if (semicolon == member.len)
        return true;
    if (q.len < 2 || lower(q.at[0]) != 'q' || q.at[1] != '=' || !qvalue_valid(slice_from(q, 2)))
        return false;
    out->weight = field_qvalue(slice_from(q, 2));
    return true;
}

static bool weighted_before(const struct weighted *a, const struct weighted *b)
{
    return a->weight != b->weight ? a->weight > b->weight : name_cmp(a->name, b->name) < 0;
}

static bool weighted_add(struct weighted_list *l, const struct weighted *w)
{
    size_t i = l->count;
    if (i == WEIGHTED_MAX)
        return false;
    for (; i > 0 && weighted_before(w, &l->at[i - 1]); i--)
        l->at[i] = l->at[i - 1];
    l->at[i] = *w;
    l->count++;
    return true;
}

/* All lines from `first` on. False: not well-formed, or too long. */
static bool weighted_list_read(const struct headers *h, const struct header *first,
                               struct weighted_list *l)
{
    struct slice member;
    struct weighted w;
    l->count = 0;
    for (const struct header *it = first; it; it = headers_next(h, it)) {
        struct slice rest = it->value;
        while (field_list_next(&rest, &member))
            if (!weighted_read(member, &w) || !weighted_add(l, &w))
                return false;
    }
    return true;
}

static void weight_digest(int weight, struct digest *d)
{
    char text[NUM_U64_MAX_BYTES];
    size_t len = num_write_u64(text, (uint64_t)weight);
    digest_add_byte(d, ';');
    digest_add(d, (struct slice){text, len});
}

static void weighted_list_digest(const struct weighted_list *l, struct digest *d)
{
    for (size_t i = 0; i < l->count; i++) {
        digest_add_lower(d, l->at[i].name);
        if (l->at[i].weight != 1000)
            weight_digest(l->at[i].weight, d);
        digest_add_byte(d, ',');
    }
}

/* --- normal forms ----------------------------------------------------------------------------- */

static void line_digest(struct slice line, struct digest *d)
{
    for (;;) {
        size_t comma = field_find_unquoted(line, ',');
        digest_add(d, slice_trim(slice_head(line, comma)));
        if (comma == line.len)
            return;
        digest_add_byte(d, ',');
        line = slice_from(line, comma + 1);
    }
}

static void lines_digest(const struct headers *h, const struct header *first, struct digest *d)
{
    for (const struct header *it = first; it; it = headers_next(h, it)) {
        if (it != first)
            digest_add_byte(d, ',');
        line_digest(it->value, d);
    }
}

static bool is_language(struct slice name)
{
    return slice_eq(name, SLICE("accept-language"));
}

/* A NUL stands in no field: it tells a field that is there from one that is not, and the two kinds
 * of normal forms from each other. */
static void field_digest(struct slice name, const struct headers *req, struct digest *d)
{
    struct weighted_list list;
    const struct header *first = headers_find_name(req, name);
    bool weighted = is_language(name) || slice_eq(name, SLICE("accept-encoding"));
    digest_add(d, name);
    digest_add_byte(d, '\n');
    if (!first)
        return;
    digest_add_byte(d, '\0');
    if (weighted && weighted_list_read(req, first, &list)) {
        digest_add_byte(d, '\0');
        weighted_list_digest(&list, d);
    } else {
        lines_digest(req, first, d);
    }
    digest_add_byte(d, '\n');
}

/* --- what was asked lately -------------------------------------------------------------------- */

/* Clients send few different values: a thread remembers the hashes of some, by a keyed hash of what
 * came. That makes 70 ns of 640 for Accept-Encoding, and a hit asks under a lock. */
static _Thread_local struct memo {
    uint64_t key, hash;
} memos[MEMOS_COUNT];

static bool raw_add(struct digest *d, struct slice s, char mark)
{
    if (s.len >= DIGEST_BLOCK_BYTES - d->len)
        return false;
    d->block[d->len++] = mark;
    if (s.len)
        memcpy(d->block + d->len, s.at, s.len);
    d->len += s.len;
    return true;
}

/* Of the names and their lines as they came; 0: too long to be remembered. */
static uint64_t memo_key(struct slice names, const struct headers *req)
{
    struct digest d;
    struct slice rest = names, name;
    d.len = 0;
    if (!raw_add(&d, names, '\n'))
        return 0;
    while (slice_cut(&rest, ',', &name)) {
        const struct header *it = headers_find_name(req, name);
        if (!raw_add(&d, SLICE(""), '\n'))
            return 0;
        for (; it; it = headers_next(req, it))
            if (!raw_add(&d, it->value, '\0'))
                return 0;
    }
    return hash_secret((struct slice){d.block, d.len});
}

static uint64_t names_hash(struct slice names, const struct headers *req)
{
    struct digest d;
    struct slice name;
    d.len = 0;
    while (slice_cut(&names, ',', &name))
        field_digest(name, req, &d);
    return digest_end(&d);
}

uint64_t selection_hash(struct slice names, const struct headers *req)
{
    if (names.len == 0)
        return 0;
    uint64_t key = memo_key(names, req);
    struct memo *m = &memos[key % MEMOS_COUNT];
    if (key == 0)
        return names_hash(names, req);
    if (m->key != key)
        *m = (struct memo){key, names_hash(names, req)};
    return m->hash;
}

uint64_t selection_hash_without_language(struct slice names, const struct headers *req)
{
    struct digest d;
    struct slice name;
    bool has_language = false;
    d.len = 0;
    while (slice_cut(&names, ',', &name)) {
        if (is_language(name))
            has_language = true;
        else
            field_digest(name, req, &d);
    }
    return has_language ? digest_end(&d) : 0;
}

bool language_matches(const struct headers *req, struct slice content_language)
{
    struct weighted_list l;
    const struct header *first = headers_find(req, FIELD_ACCEPT_LANGUAGE);
    if (!first || !weighted_list_read(req, first, &l) || l.count == 0 || l.at[0].weight == 0)
        return false;
    bool single = l.count == 1 || l.at[1].weight < l.at[0].weight;
    return single && slice_eq_nocase(l.at[0].name, slice_trim(content_language));
}
