/* forwarded.c - who the client is, and what the origin is told about it.
 *
 * X-Forwarded-* and Forwarded (RFC 7239) from a peer in `trust` are believed and extended; from
 * anybody else they are replaced, so that an origin can rely on them. Via is extended always
 * (RFC 9110 7.6.3). */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "proxy/exchange_priv.h"

static const struct slice SCHEME_HTTP = SLICE_INIT("http"), SCHEME_HTTPS = SLICE_INIT("https");

static bool is_trusted(const struct trust_conf *t, const struct addr *a)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (addr_prefix_match(&t->prefixes[i], a))
            return true;
    return false;
}

/* "1.2.3.4", "1.2.3.4:80", "[::1]:80", "::1" */
static bool hop_addr(struct slice text, struct addr *out)
{
    struct addr_spec spec;
    if (addr_parse_ip(text, out) == ERR_OK)
        return true;
    return addr_spec_parse(text, &spec) == ERR_OK && spec.is_literal &&
           addr_from_spec(&spec, out) == ERR_OK;
}

/* The value of a `for=` pair of one Forwarded element; .at NULL when there is none. */
static struct slice forwarded_for(struct slice element)
{
    struct slice name, value, rest = element, first;
    if (slice_cut(&rest, ';', &first)) {
        size_t eq = slice_find(first, '=');
        if (slice_eq_nocase(slice_trim(slice_head(first, eq)), SLICE("for")))
            return slice_trim(slice_from(first, eq + 1));
        rest = slice_from(element, first.len);
    }
    while (field_param_next(&rest, &name, &value))
        if (slice_eq_nocase(name, SLICE("for")))
            return value;
    return SLICE_NONE;
}

static struct slice unquote(struct slice s)
{
    if (s.len >= 2 && s.at[0] == '"' && s.at[s.len - 1] == '"')
        return (struct slice){s.at + 1, s.len - 2};
    return s;
}

/* The last member of a list, cut off its end; members have no quoted commas that matter here. */
static bool list_last(struct slice *rest, struct slice *member)
{
    while (rest->len > 0) {
        size_t at = rest->len;
        while (at > 0 && rest->at[at - 1] != ',')
            at--;
        *member = slice_trim(slice_from(*rest, at));
        rest->len = at ? at - 1 : 0;
        if (member->len > 0)
            return true;
    }
    return false;
}

/* Walks from the nearest hop outwards as long as the hops are trusted; the first that is not is
 * the client. A member that is no address ends the walk: what lies beyond it is hearsay. */
static void client_from_list(struct exchange *x, struct slice list, bool is_forwarded)
{
    const struct trust_conf *t = &x->view->conf->proxy->trust;
    struct slice member;
    while (list_last(&list, &member)) {
        struct addr hop;
        struct slice text = is_forwarded ? unquote(forwarded_for(member)) : member;
        if (!hop_addr(text, &hop))
            return;
        x->client_addr = hop;
        if (!is_trusted(t, &hop))
            return;
    }
}

static void scheme_believe(struct exchange *x, struct slice proto)
{
    if (slice_eq_nocase(proto, SCHEME_HTTPS))
        x->client_scheme = SCHEME_HTTPS;
    else if (slice_eq_nocase(proto, SCHEME_HTTP))
        x->client_scheme = SCHEME_HTTP;
}

static struct slice first_member(struct slice value)
{
    struct slice member;
    return value.at && field_list_next(&value, &member) ? member : SLICE_NONE;
}

static void believe(struct exchange *x)
{
    const struct headers *h = &x->req.headers;
    struct slice list = headers_join(h, &x->arena, FIELD_X_FORWARDED_FOR);
    bool is_forwarded = !list.at;
    if (is_forwarded)
        list = headers_join(h, &x->arena, FIELD_FORWARDED);
    if (list.at)
        client_from_list(x, list, is_forwarded);
    scheme_believe(x, first_member(headers_get(h, FIELD_X_FORWARDED_PROTO)));
    struct slice host = first_member(headers_get(h, FIELD_X_FORWARDED_HOST));
    struct slice checked;
    uint16_t port = 0;
    if (host.at && uri_host_parse(&x->arena, host, &checked, &port) == ERR_OK)
        x->forwarded_host = host;
    uint64_t number;
    if (num_parse_u64(first_member(headers_get(h, FIELD_X_FORWARDED_PORT)), &number) == ERR_OK &&
        number <= UINT16_MAX)
        x->forwarded_port = (uint16_t)number;
}

void forwarded_read(struct exchange *x)
{
    const struct trust_conf *t = &x->view->conf->proxy->trust;
    char text[ADDR_TEXT_BYTES];
    x->peer_ip = arena_dup(&x->arena, (struct slice){text, addr_write_ip(text, &x->client_addr)});
    x->client_scheme = x->listen->tls ? SCHEME_HTTPS : SCHEME_HTTP;
    if (t->count == 0 || !is_trusted(t, &x->client_addr))
        return;
    x->client_trusted = true;
    believe(x);
}

/* --- what the origin is told ------------------------------------------------------------------ */

enum { OWN_FIELDS = 6 };

/* A field of weir's own, with a value that needs no check, instead of those that are there. */
static void own_put(struct exchange *x, enum field_id id, struct slice value)
{
    struct headers *h = &x->req.headers;
    if (headers_may_have(h, id))
        headers_del_id(h, id);
    headers_push(h, id, field_row(id)->usual, value);
}

/* Our own value, or from a trusted peer the list that came, extended by it. */
static enum err list_extend(struct exchange *x, enum field_id id, struct slice own)
{
    struct headers *h = &x->req.headers;
    struct slice old =
        x->client_trusted || id == FIELD_VIA ? headers_join(h, &x->arena, id) : SLICE_NONE;
    if (old.at && old.len > 0)
        own = ARENA_CONCAT(&x->arena, old, SLICE(", "), own);
    if (!own.at)
        return ERR_OVER_BUDGET;
    own_put(x, id, own);
    return ERR_OK;
}

/* One value: a trusted peer's stays, else ours replaces whatever came. */
static void value_write(struct exchange *x, enum field_id id, struct slice own)
{
    if (x->client_trusted && headers_find(&x->req.headers, id))
        return;
    if (own.len)
        own_put(x, id, own);
    else
        headers_del_id(&x->req.headers, id);
}

/* The port at the end of an address or authority in its canonical form. */
static struct slice port_of(struct slice text)
{
    size_t at = text.len;
    while (at > 0 && text.at[at - 1] >= '0' && text.at[at - 1] <= '9')
        at--;
    return slice_from(text, at);
}

static struct slice port_text(const struct exchange *x)
{
    static const struct slice none = SLICE_INIT("0"); /* a unix socket's */
    if (x->host_port)
        return port_of(x->req.authority);
    return addr_port(&x->listen->addr) ? port_of(x->listen->key) : none;
}

/* Forwarded is written only where one came: origins that want it come behind proxies that send it;
 * X-Forwarded-* is what the others read. */
static enum err forwarded_extend(struct exchange *x, struct slice peer)
{
    if (!headers_find(&x->req.headers, FIELD_FORWARDED))
        return ERR_OK;
    bool v6 = slice_find(peer, ':') < peer.len;
    struct slice own = arena_printf(
        &x->arena,
        v6 ? "for=\"[%.*s]\";host=\"%.*s\";proto=%.*s" : "for=%.*s;host=\"%.*s\";proto=%.*s",
        SLICE_ARG(peer), SLICE_ARG(x->req.authority), SLICE_ARG(x->client_scheme));
    return own.at ? list_extend(x, FIELD_FORWARDED, own) : ERR_OVER_BUDGET;
}

/* X-Forwarded-Prefix, -User, -Ssl and whatever else frameworks believe: weir has no value of its
 * own for them, so a stranger's are dropped. */
static void others_drop(struct headers *h)
{
    static const struct slice prefix = SLICE_INIT("x-forwarded-");
    HEADER_EACH (it, h)
        if (it->id == FIELD_OTHER && slice_eq_nocase(slice_head(it->name, prefix.len), prefix))
            it->dead = true;
}

static struct slice via_of(const struct message *m)
{
    if (m->version_major == 2)
        return SLICE("2.0 weir");
    return m->version_minor ? SLICE("1.1 weir") : SLICE("1.0 weir");
}

enum err forwarded_write(struct exchange *x)
{
    struct slice peer = x->peer_ip;
    if (!peer.at)
        return ERR_OVER_BUDGET;
    if (!x->client_trusted)
        others_drop(&x->req.headers);
    TRY(headers_reserve(&x->req.headers, &x->arena, OWN_FIELDS));
    TRY(list_extend(x, FIELD_VIA, via_of(&x->req)));
    TRY(list_extend(x, FIELD_X_FORWARDED_FOR, peer));
    value_write(x, FIELD_X_FORWARDED_PROTO, x->client_scheme);
    value_write(x, FIELD_X_FORWARDED_HOST, x->req.authority);
    value_write(x, FIELD_X_FORWARDED_PORT, port_text(x));
    if (!x->client_trusted && headers_find(&x->req.headers, FIELD_X_REAL_IP))
        TRY(headers_set(&x->req.headers, &x->arena, field_row(FIELD_X_REAL_IP)->usual, peer));
    return forwarded_extend(x, peer);
}
