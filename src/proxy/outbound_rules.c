/* outbound_rules.c - which targets may be relayed: URLs by the list of the directive, addresses by
 * what they are set aside for (net/special.h).
 *
 * Both must agree. The list speaks of names only: whoever controls a name that is on it still
 * reaches no private address. */
// SPDX-License-Identifier: Apache-2.0
#include "http/uri.h"
#include "net/special.h"
#include "proxy/build_priv.h"
#include "proxy/outbound_priv.h"

/* ---- reading ---- */

static void rule_wrong(struct conf_build *b, const struct conf_word *w)
{
    diag_error(b->diag, w->pos, "not a target that can be relayed: '%.*s'", SLICE_ARG(w->text));
    diag_hint(b->diag, "write [http://|https://]HOST[:PORT|:*], with *.HOST for all below a host");
}

static bool cut_front(struct slice *s, struct slice prefix)
{
    if (!slice_starts(*s, prefix))
        return false;
    *s = slice_from(*s, prefix.len);
    return true;
}

static bool cut_end(struct slice *s, struct slice suffix)
{
    if (!slice_ends(*s, suffix))
        return false;
    s->len -= suffix.len;
    return true;
}

/* The host must be one that a URL can have, in the form in which URLs are compared. */
static bool host_read(struct conf_build *b, struct slice text, struct outbound_rule *r)
{
    struct url u;
    struct slice whole = ARENA_CONCAT(b->arena, SLICE("http://"), text), ignored;
    uint16_t port = 0;
    if (slice_find(text, '/') < text.len || slice_find(text, '?') < text.len ||
        slice_find(text, '#') < text.len)
        return false;
    if (!whole.at || url_parse(b->arena, whole, &u) != ERR_OK || (r->below && u.is_ip))
        return false;
    if (uri_host_parse(b->arena, text, &ignored, &port) != ERR_OK)
        return false;
    r->host = arena_dup(b->arena, u.host);
    if (port > 0)
        r->port = port;
    return r->host.at != NULL;
}

bool outbound_rule_read(struct conf_build *b, const struct conf_word *w, struct outbound_rule *r)
{
    struct slice text = w->text;
    *r = (struct outbound_rule){.port = OUTBOUND_USUAL_PORT, .http = true, .https = true};
    if (slice_eq(text, SLICE("any"))) {
        r->anything = true;
        return true;
    }
    if (cut_front(&text, SLICE("https://")))
        r->http = false;
    else if (cut_front(&text, SLICE("http://")))
        r->https = false;
    r->below = cut_front(&text, SLICE("*."));
    if (cut_end(&text, SLICE(":*")))
        r->port = OUTBOUND_ANY_PORT;
    int32_t any = r->port;
    if (host_read(b, text, r) && (any == OUTBOUND_USUAL_PORT || r->port == any))
        return true;
    rule_wrong(b, w);
    return false;
}

/* ---- URLs ---- */

static bool is_usual_port(const struct outbound_conf *c, const struct url *u)
{
    if (u->port == (u->tls ? 443 : 80))
        return true;
    for (uint32_t i = 0; i < c->port_count; i++)
        if (c->ports[i] == u->port)
            return true;
    return false;
}

static bool port_taken(const struct outbound_conf *c, const struct outbound_rule *r,
                       const struct url *u)
{
    if (r->port == OUTBOUND_USUAL_PORT)
        return is_usual_port(c, u);
    return r->port == OUTBOUND_ANY_PORT || r->port == u->port;
}

/* A name without a dot means something to this machine or its network, not to the Internet. */
static bool is_public_host(const struct url *u)
{
    return u->is_ip || slice_find(u->host, '.') < u->host.len;
}

static bool host_taken(const struct outbound_rule *r, const struct url *u)
{
    if (r->anything)
        return is_public_host(u);
    if (!r->below)
        return slice_eq(r->host, u->host);
    size_t more = u->host.len - r->host.len;
    return !u->is_ip && u->host.len > r->host.len + 1 && slice_ends(u->host, r->host) &&
           u->host.at[more - 1] == '.';
}

bool outbound_rules_take(const struct outbound_conf *c, const struct url *u)
{
    for (uint32_t i = 0; i < c->rule_count; i++) {
        const struct outbound_rule *r = &c->rules[i];
        if ((u->tls ? r->https : r->http) && host_taken(r, u) && port_taken(c, r, u))
            return true;
    }
    return false;
}

/* ---- addresses ---- */

/* In one that is no wider than so many bits (of an IPv6 address). */
static bool is_among(const struct outbound_prefixes *p, const struct addr *a, uint8_t bits_min)
{
    struct addr v4;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->at[i].bits >= bits_min && addr_prefix_match(&p->at[i], a))
            return true;
    return special_nat64(a, &v4) && is_among(p, &v4, bits_min);
}

/* A network that was let in has this machine in it, with all that listens on it for others inside:
 * only loopback, and an address that stands there by itself, are meant. */
static bool is_meant(const struct outbound_conf *c, const struct addr *a)
{
    return is_among(&c->private, a, addr_is_loopback(a) ? 0 : 128);
}

const char *outbound_refuses(const struct outbound_conf *c, const struct addr *a)
{
    if (is_among(&c->denied, a, 0))
        return "denied by the configuration";
    const char *what = is_among(&c->private, a, 0) ? NULL : special_find(a);
    if (what)
        return what;
    return !is_meant(c, a) && special_is_own(a) ? "this machine" : NULL;
}
