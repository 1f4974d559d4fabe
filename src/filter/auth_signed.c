/* auth_signed.c - what signed URLs (auth_signed_url.c) and signed requests (auth_signed_request.c)
 * share. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/snapshot.h"
#include "filter/auth_signed_priv.h"

static void keys_let_go(void *keys)
{
    jwk_set_drop(keys);
}

struct jwk_set *signed_keys_read(struct conf_build *b, const struct conf_node *n)
{
    struct slice words[SIGNED_KEYS_MAX];
    struct text why = {0};
    for (uint32_t i = 0; i < n->arg_count && i < SIGNED_KEYS_MAX; i++)
        words[i] = n->args[i].text;
    struct jwk_set *keys = signed_keys(words, n->arg_count, &why);
    if (keys)
        conf_on_free(b->app, keys_let_go, keys);
    else
        diag_error(b->diag, n->pos, "%s", why.at);
    text_release(&why);
    return keys;
}

enum auth_verdict signed_refuse(struct exchange *x, enum signed_verdict v)
{
    x->auth_word = signed_verdict_row(v)->name;
    if (!x->dry)
        counter_add(x->worker->counters,
                    v == SIGNED_REPLAYED ? METRIC_SIGNED_REPLAYED : METRIC_SIGNED_REFUSED, 1);
    return AUTH_REFUSED;
}

enum auth_verdict signed_grant(struct exchange *x, const char *method, const struct jwk *key)
{
    /* The key goes with the snapshot, which the exchange holds. */
    struct slice user = key->kid.at ? key->kid : SLICE("");
    enum err e = identity_add(x, method, user, NULL);
    if (e == ERR_OK)
        return AUTH_GRANTED;
    x->err = e;
    return AUTH_FAILED;
}
