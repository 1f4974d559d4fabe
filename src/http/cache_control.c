/* cache_control.c - Cache-Control and the targeted fields, read into one struct by one table.
 *
 * Both are lists of names with an optional value; what differs is what a value may be. A directive
 * that forbids something counts however it is written, and of what can not be told apart the
 * stricter reading counts: no-cache stated twice with names is one without names. */
// SPDX-License-Identifier: Apache-2.0
#include "http/cache_control.h"
#include "base/assert.h"
#include "http/structured.h"

enum directive_kind {
    KIND_FLAG,
    KIND_NAMES, /* a flag, or with a value a list of field names */
    KIND_SECONDS,
    KIND_SECONDS_OR_ANY, /* without a value: any number */
};

/* `at`: offset of the seconds or of the names in struct cache_control. */
static const struct directive_row {
    struct slice name;
    enum directive_kind kind;
    uint32_t flag;
    size_t at;
} directives[] = {
    {SLICE_INIT("no-store"), KIND_FLAG, CC_NO_STORE, 0},
    {SLICE_INIT("no-cache"), KIND_NAMES, CC_NO_CACHE,
     offsetof(struct cache_control, no_cache_fields)},
    {SLICE_INIT("private"), KIND_NAMES, CC_PRIVATE, offsetof(struct cache_control, private_fields)},
    {SLICE_INIT("public"), KIND_FLAG, CC_PUBLIC, 0},
    {SLICE_INIT("must-revalidate"), KIND_FLAG, CC_MUST_REVALIDATE, 0},
    {SLICE_INIT("proxy-revalidate"), KIND_FLAG, CC_PROXY_REVALIDATE, 0},
    {SLICE_INIT("must-understand"), KIND_FLAG, CC_MUST_UNDERSTAND, 0},
    {SLICE_INIT("no-transform"), KIND_FLAG, CC_NO_TRANSFORM, 0},
    {SLICE_INIT("immutable"), KIND_FLAG, CC_IMMUTABLE, 0},
    {SLICE_INIT("only-if-cached"), KIND_FLAG, CC_ONLY_IF_CACHED, 0},
    {SLICE_INIT("max-age"), KIND_SECONDS, 0, offsetof(struct cache_control, max_age)},
    {SLICE_INIT("s-maxage"), KIND_SECONDS, 0, offsetof(struct cache_control, s_maxage)},
    {SLICE_INIT("min-fresh"), KIND_SECONDS, 0, offsetof(struct cache_control, min_fresh)},
    {SLICE_INIT("max-stale"), KIND_SECONDS_OR_ANY, 0, offsetof(struct cache_control, max_stale)},
    {SLICE_INIT("stale-while-revalidate"), KIND_SECONDS, 0,
     offsetof(struct cache_control, stale_while_revalidate)},
    {SLICE_INIT("stale-if-error"), KIND_SECONDS, 0, offsetof(struct cache_control, stale_if_error)},
};

static void control_init(struct cache_control *c)
{
    *c = (struct cache_control){0};
    c->max_age = c->s_maxage = c->min_fresh = c->max_stale = -1;
    c->stale_while_revalidate = c->stale_if_error = -1;
}

static const struct directive_row *directive_find(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(directives); i++)
        if (slice_eq_nocase(name, directives[i].name))
            return &directives[i];
    return NULL;
}

static int64_t *seconds_of(const struct directive_row *row, struct cache_control *c)
{
    return (int64_t *)(void *)((char *)c + row->at);
}

static struct slice *names_of(const struct directive_row *row, struct cache_control *c)
{
    return (struct slice *)(void *)((char *)c + row->at);
}

/* What has escapes, or no name at all, can not be told from the directive alone. */
static bool names_plain(struct slice names)
{
    struct slice rest = names, member;
    return field_list_next(&rest, &member) && slice_find(names, '\\') == names.len;
}

static void names_add(const struct directive_row *row, struct slice names, struct cache_control *c)
{
    struct slice *at = names_of(row, c);
    if (names.at && !at->at && names_plain(names))
        *at = names;
    else
        c->directives |= row->flag;
}

/* --- lists ------------------------------------------------------------------------------------ */

/* delta-seconds (RFC 9111 1.2.2); what is none counts as 0, that is stale. */
static int64_t delta_read(struct slice s)
{
    int64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return 0;
        v = v * 10 + (s.at[i] - '0');
        if (v > DELTA_MAX_S)
            v = DELTA_MAX_S;
    }
    return v;
}

/* A token, or a quoted string, whose quotes are taken off. */
static bool value_read(struct slice s, struct slice *value)
{
    *value = s;
    if (field_is_token(s))
        return true;
    if (s.len < 2 || s.at[0] != '"')
        return false;
    for (size_t i = 1; i < s.len; i++) {
        if (s.at[i] == '\\')
            i++;
        else if (s.at[i] == '"') {
            *value = (struct slice){s.at + 1, i - 1};
            return i == s.len - 1;
        }
    }
    return false;
}

/* name[=value] without blanks; .at of *value NULL: none. */
static bool member_split(struct slice member, struct slice *name, struct slice *value)
{
    size_t eq = slice_find(member, '=');
    *name = slice_head(member, eq);
    *value = SLICE_NONE;
    return field_is_token(*name) &&
           (eq == member.len || value_read(slice_from(member, eq + 1), value));
}

static void member_add(struct slice member, struct cache_control *c)
{
    struct slice name, value;
    if (!member_split(member, &name, &value))
        return;
    const struct directive_row *row = directive_find(name);
    if (!row)
        return;
    if (row->kind == KIND_FLAG)
        c->directives |= row->flag;
    else if (row->kind == KIND_NAMES)
        names_add(row, value, c);
    else if (*seconds_of(row, c) < 0) /* the first one counts */
        *seconds_of(row, c) =
            row->kind == KIND_SECONDS_OR_ANY && !value.at ? INT64_MAX : delta_read(value);
}

void cache_control_read(const struct headers *h, struct cache_control *out)
{
    struct slice member;
    control_init(out);
    for (const struct header *it = headers_find(h, FIELD_CACHE_CONTROL); it;
         it = headers_next(h, it)) {
        struct slice rest = it->value;
        while (field_list_next(&rest, &member))
            member_add(member, out);
    }
}

/* --- dictionaries ----------------------------------------------------------------------------- */

static int64_t delta_clamp(int64_t v)
{
    if (v < 0)
        return 0;
    return v > DELTA_MAX_S ? DELTA_MAX_S : v;
}

static void entry_add_seconds(const struct directive_row *row, const struct structured_value *v,
                              struct cache_control *c)
{
    if (v->type == STRUCTURED_INTEGER)
        *seconds_of(row, c) = delta_clamp(v->number);
    else if (row->kind == KIND_SECONDS_OR_ANY && v->type == STRUCTURED_BOOLEAN)
        *seconds_of(row, c) = v->number ? INT64_MAX : -1;
}

/* In a dictionary the last of several counts; keys whose value has the wrong type are ignored (RFC
 * 9213 2.1). */
static void entry_add(const struct structured_member *m, struct cache_control *c)
{
    const struct directive_row *row = directive_find(m->key);
    const struct structured_value *v = &m->value;
    if (!row)
        return;
    if (row->kind == KIND_SECONDS || row->kind == KIND_SECONDS_OR_ANY) {
        entry_add_seconds(row, v, c);
        return;
    }
    bool names = v->type == STRUCTURED_STRING || v->type == STRUCTURED_TOKEN;
    if (v->type != STRUCTURED_BOOLEAN && !(names && row->kind == KIND_NAMES))
        return;
    c->directives &= ~row->flag;
    if (row->kind == KIND_NAMES)
        *names_of(row, c) = SLICE_NONE;
    if (names)
        names_add(row, v->text, c);
    else if (v->number)
        c->directives |= row->flag;
}

/* False: a syntax error. *some: it has members. */
static bool line_read(struct slice rest, struct cache_control *c, bool *some)
{
    struct structured_member m;
    enum structured_next next;
    while ((next = structured_dictionary_next(&rest, &m)) == STRUCTURED_MEMBER) {
        entry_add(&m, c);
        *some = true;
    }
    return next == STRUCTURED_END;
}

/* Lines are joined by commas (RFC 9651 4.2), so that one of several that is empty is an error. */
bool targeted_control_read(const struct headers *h, struct slice name, struct cache_control *out)
{
    struct cache_control c;
    const struct header *first = headers_find_name(h, name);
    bool all = true;
    control_init(&c);
    for (const struct header *it = first; it && all; it = headers_next(h, it)) {
        bool some = false;
        all = line_read(slice_trim(it->value), &c, &some) && some;
    }
    if (first && all)
        *out = c;
    return first && all;
}

/* --- Age -------------------------------------------------------------------------------------- */

int64_t age_read(const struct headers *h)
{
    struct slice rest = headers_get(h, FIELD_AGE), member;
    return field_list_next(&rest, &member) ? delta_read(member) : 0;
}
