/* basic.c - see basic.h. A name has no colon, a password may have some: the first one counts. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/basic.h"
#include "auth/password.h"
#include "base/base64.h"

static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

static enum basic_verdict pair_read(struct slice bytes, struct basic_pair *out)
{
    size_t colon = slice_find(bytes, ':');
    if (colon == 0 || colon == bytes.len || colon > BASIC_USER_MAX || has_controls(bytes))
        return BASIC_BAD;
    struct basic_pair p = {slice_head(bytes, colon), slice_from(bytes, colon + 1)};
    if (p.password.len > PASSWORD_MAX)
        return BASIC_BAD;
    *out = p;
    return BASIC_READ;
}

enum basic_verdict basic_read(struct slice value, char to[BASIC_BYTES], struct basic_pair *out)
{
    size_t blank = slice_find(value, ' '), len;
    struct slice token = slice_from(value, blank);
    if (!slice_eq_nocase(slice_head(value, blank), SLICE("basic")))
        return BASIC_NONE;
    while (token.len > 0 && token.at[0] == ' ')
        token = slice_from(token, 1);
    if (token.len > BASIC_CHARS_MAX || !base64_read((uint8_t *)to, &len, token, BASE64))
        return BASIC_BAD;
    return pair_read((struct slice){to, len}, out);
}
