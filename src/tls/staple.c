/* staple.c - one OCSP answer, counted, and its place in a certificate. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/staple.h"
#include "base/assert.h"
#include "base/mem.h"
#include <stdlib.h>

struct tls_staple *tls_staple_new(struct slice der, int64_t this_update, int64_t next_update)
{
    ASSERT(der.len > 0 && der.len <= TLS_STAPLE_BYTES_MAX);
    struct tls_staple *s = mem_new(sizeof *s + der.len);
    s->refs = 1;
    s->len = (uint32_t)der.len;
    s->this_update = this_update;
    s->next_update = next_update;
    memcpy(s->der, der.at, der.len);
    return s;
}

void tls_staple_drop(struct tls_staple *s)
{
    if (s && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(s);
}

void tls_cert_set_staple(struct tls_cert *c, struct tls_staple *s)
{
    pthread_mutex_lock(&c->staple_lock);
    struct tls_staple *old = c->staple;
    c->staple = s;
    pthread_mutex_unlock(&c->staple_lock);
    tls_staple_drop(old);
}

struct tls_staple *tls_cert_take_staple(struct tls_cert *c, int64_t now_unix_s)
{
    pthread_mutex_lock(&c->staple_lock);
    struct tls_staple *s = c->staple;
    if (s && s->next_update <= now_unix_s)
        s = NULL;
    if (s)
        __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&c->staple_lock);
    return s;
}
