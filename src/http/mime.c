/* mime.c - the media types that web sites are made of, found by binary search.
 *
 * A table of weir's own, so that the same site has the same types on every machine. A configuration
 * may bring another one (`files ... types=`); what neither knows is application/octet-stream. */
// SPDX-License-Identifier: Apache-2.0
#include "http/mime.h"

enum { EXTENSION_MAX_BYTES = 16 };

static const struct mime_row {
    struct slice extension, type;
} ROWS[] = {
#define MIME(extension, type) {SLICE_INIT(extension), SLICE_INIT(type)},
#include "http/mime.def"
#undef MIME
};

struct slice mime_extension(struct slice path)
{
    for (size_t i = path.len; i > 0 && path.at[i - 1] != '/'; i--)
        if (path.at[i - 1] == '.')
            return slice_from(path, i);
    return SLICE("");
}

struct slice mime_find(struct slice extension)
{
    char lower[EXTENSION_MAX_BYTES];
    if (extension.len > sizeof lower)
        return SLICE_NONE;
    for (size_t i = 0; i < extension.len; i++) {
        char c = extension.at[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    struct slice key = {lower, extension.len};
    size_t low = 0, high = sizeof ROWS / sizeof ROWS[0];
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = slice_cmp(ROWS[mid].extension, key);
        if (order == 0)
            return ROWS[mid].type;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return SLICE_NONE;
}
