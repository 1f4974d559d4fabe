/* coding.c - chooses a content coding by Accept-Encoding, and matches media types.
 *
 * The list is read once, into a weight for each coding that weir knows; "*" stands for those that
 * are not named. A quality value that is none counts as 1, as it does for Accept: clients that
 * write nonsense mean that they take it. */
// SPDX-License-Identifier: Apache-2.0
#include "http/coding.h"
#include "http/field.h"

static const struct slice names[CODING_COUNT] = {
    [CODING_IDENTITY] = SLICE_INIT("identity"),
    [CODING_GZIP] = SLICE_INIT("gzip"),
    [CODING_ZSTD] = SLICE_INIT("zstd"),
    [CODING_BR] = SLICE_INIT("br"),
};

struct slice coding_name(enum coding c)
{
    return names[c];
}

enum coding coding_find(struct slice name)
{
    for (unsigned c = 0; c < CODING_COUNT; c++)
        if (slice_eq_nocase(name, names[c]))
            return (enum coding)c;
    return slice_eq_nocase(name, SLICE("x-gzip")) ? CODING_GZIP : CODING_COUNT;
}

/* One member: what it names, and how much that weighs. */
static int16_t member_read(struct slice member, struct slice *name)
{
    size_t semicolon = slice_find(member, ';');
    struct slice params = slice_from(member, semicolon), param, value;
    *name = slice_trim(slice_head(member, semicolon));
    while (field_param_next(&params, &param, &value))
        if (slice_eq_nocase(param, SLICE("q")))
            return (int16_t)field_qvalue(value);
    return 1000;
}

void coding_weights_parse(struct slice accept, struct coding_weights *out)
{
    struct slice member, name;
    int16_t others = CODING_UNNAMED;
    for (unsigned c = 0; c < CODING_COUNT; c++)
        out->of[c] = CODING_UNNAMED;
    while (field_list_next(&accept, &member)) {
        int16_t weight = member_read(member, &name);
        enum coding c = coding_find(name);
        if (c < CODING_COUNT && out->of[c] == CODING_UNNAMED)
            out->of[c] = weight;
        else if (slice_eq(name, SLICE("*")) && others == CODING_UNNAMED)
            others = weight;
    }
    for (unsigned c = 0; c < CODING_COUNT; c++)
        if (out->of[c] == CODING_UNNAMED)
            out->of[c] = others;
}

enum coding coding_choose(const struct coding_weights *w, const uint8_t *offered, size_t count)
{
    enum coding best = CODING_IDENTITY;
    int weight = 0;
    for (size_t i = 0; i < count; i++) {
        if (w->of[offered[i]] > weight) {
            best = offered[i];
            weight = w->of[best];
        }
    }
    return w->of[CODING_IDENTITY] > weight ? CODING_IDENTITY : best;
}

bool media_type_matches(struct slice pattern, struct slice type)
{
    struct slice name = slice_trim(slice_head(type, slice_find(type, ';')));
    if (pattern.len == 0 || name.len == 0)
        return false;
    if (pattern.at[0] == '*') {
        struct slice suffix = slice_from(pattern, 1);
        return name.len > suffix.len &&
               slice_eq_nocase(slice_from(name, name.len - suffix.len), suffix);
    }
    if (pattern.at[pattern.len - 1] == '*') {
        struct slice prefix = slice_head(pattern, pattern.len - 1);
        return name.len > prefix.len && slice_eq_nocase(slice_head(name, prefix.len), prefix);
    }
    return slice_eq_nocase(name, pattern);
}
