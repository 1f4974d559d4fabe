/* settings.c - inheritance of scalar policies as one loop over eight-byte words.
 *
 * A pointer that is not set has the same bit pattern as a number that is not, so a field needs no
 * code of its own: adding one to struct settings is all it takes to have it inherited. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/settings.h"
#include <string.h>

enum { WORDS = sizeof(struct settings) / sizeof(int64_t) };
_Static_assert(sizeof(struct settings) % sizeof(int64_t) == 0, "every field is eight bytes");
_Static_assert(sizeof(void *) == sizeof(int64_t), "pointers are fields like the others");

/* Words are copied, not aliased: some of them are pointers. */
static int64_t word_get(const struct settings *s, size_t i)
{
    int64_t v;
    memcpy(&v, (const char *)s + i * sizeof(v), sizeof(v));
    return v;
}

static void word_set(struct settings *s, size_t i, int64_t v)
{
    memcpy((char *)s + i * sizeof(v), &v, sizeof(v));
}

bool settings_is_set(int64_t v)
{
    return v != SETTING_UNSET;
}

bool settings_pointer_is_set(const void *p)
{
    return (int64_t)(intptr_t)p != SETTING_UNSET;
}

void settings_unset(struct settings *s)
{
    for (size_t i = 0; i < WORDS; i++)
        word_set(s, i, SETTING_UNSET);
}

bool settings_empty(const struct settings *s)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (settings_is_set(word_get(s, i)))
            return false;
    }
    return true;
}

void settings_merge(struct settings *s, const struct settings *nearer)
{
    for (size_t i = 0; i < WORDS; i++) {
        int64_t v = word_get(nearer, i);
        if (settings_is_set(v))
            word_set(s, i, v);
    }
}

void settings_copy_span(struct settings *to, const struct settings *from, struct settings_span span)
{
    size_t len = span.last - span.first + sizeof(int64_t);
    memcpy((char *)to + span.first, (const char *)from + span.first, len);
}
