/* auth_jwt_keys.c - whose signatures are good: keys of files and secrets, read with the
 * configuration, and those that an issuer publishes at a URL (proxy/document.h). A file that
 * changes is read again by an ordinary reload. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/snapshot.h"
#include "conf/source.h"
#include "filter/auth_jwt_priv.h"

static void set_let_go(void *set)
{
    jwk_set_drop(set);
}

static void source_set(struct conf_build *b, struct jwt_source *out, struct jwk_set *set)
{
    out->set = set;
    conf_on_free(b->app, set_let_go, set);
}

static void file_read(struct conf_build *b, const struct conf_word *w, struct jwt_source *out)
{
    struct text bytes = {0}, why = {0};
    struct jwk_set *set = NULL;
    const char *path = conf_file_path(b, w->pos, w->text);
    bool read = conf_need_file(b, w->pos, path, JWK_DOCUMENT_MAX_BYTES, &bytes);
    bool skims = b->source && b->source->skims;
    if (read && !skims && !(set = jwk_set_load(text_slice(&bytes), &why)))
        diag_error(b->diag, w->pos, "%s has no keys that can be used: %s", path, why.at);
    if (set)
        source_set(b, out, set);
    text_release(&bytes);
    text_release(&why);
}

/* --- issuers ------------------------------------------------------------------------------------
 */

static void *published_read(struct slice text, struct text *why)
{
    return jwk_set_parse(text, JWK_PUBLISHED, why);
}

static void *published_take(void *set)
{
    return jwk_set_take(set);
}

static void published_drop(void *set)
{
    jwk_set_drop(set);
}

static const struct document_kind published = {published_read, published_take, published_drop};

static void document_let_go(void *document)
{
    document_drop(document);
}

static void url_read(struct conf_build *b, const struct conf_word *w, struct jwt_source *out)
{
    struct ask_url url;
    if (!ask_url_read(b, w, &url))
        return;
    out->remote = (struct document_source){document_take(w->text, &published), url.upstream,
                                           url.host, url.path};
    conf_on_free(b->app, document_let_go, out->remote.document);
}

void jwt_source_read(struct conf_build *b, const struct conf_word *w, struct jwt_source *out)
{
    bool is_url =
        slice_starts(w->text, SLICE("https://")) || slice_starts(w->text, SLICE("http://"));
    if (is_url)
        url_read(b, w, out);
    else
        file_read(b, w, out);
}

enum err jwt_source_get(const struct jwt_source *s, enum document_want want,
                        struct document_wait *w, struct exchange *x, struct jwk_set **set)
{
    void *made = NULL;
    if (!s->set)
        TRY(document_get(&s->remote, want, w, x, &made));
    *set = s->set ? jwk_set_take(s->set) : made;
    return ERR_OK;
}

/* --- secrets ------------------------------------------------------------------------------------
 */

void jwt_source_secret(struct conf_build *b, const struct conf_node *n, struct slice secret,
                       struct jwt_source *out)
{
    struct text why = {0};
    struct jwk_set *set = jwk_set_of_secret(secret, &why);
    if (set)
        source_set(b, out, set);
    else
        diag_error(b->diag, n->pos, "%s", why.at);
    text_release(&why);
}
