/* coded.c - see coded.h. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/coded.h"
#include "base/assert.h"
#include "proxy/exchange_priv.h"

/* Of a body that nobody has changed since. */
static struct coded_shelf *shelf_of(const struct exchange *x)
{
    return x->coded && x->coded->last == x->res_transform ? x->coded : NULL;
}

bool coded_find(struct exchange *x, enum coding c)
{
    struct coded_shelf *s = shelf_of(x);
    return s && s->ops->find(s, x, c);
}

bool coded_claim(struct exchange *x, enum coding c)
{
    struct coded_shelf *s = shelf_of(x);
    return s && s->ops->claim(s, x, c);
}

void coded_keep(struct exchange *x)
{
    x->coded->ops->keep(x->coded, x);
}

unsigned coded_uses(const struct exchange *x)
{
    struct coded_shelf *s = shelf_of(x);
    return s ? s->uses_count : 0;
}

void coded_body_begin(struct exchange *x, uint64_t bytes)
{
    ASSERT(!x->res_transform);
    body_reset(x, &x->res_body);
    headers_del_id(&x->res.headers, FIELD_CONTENT_LENGTH);
    x->res.length = LENGTH_KNOWN;
    x->res.content_length = bytes;
}
