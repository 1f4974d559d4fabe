/* variable.c - the table of variables: what is known of an exchange, by name.
 *
 * A variable either borrows bytes that the exchange holds anyway, or writes a short text (numbers,
 * addresses, times) into memory of the caller: neither allocates, so an access log line costs no
 * memory; facts about TLS are the exception. Values come from clients: who prints them escapes
 * them. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/variable.h"
#include "base/date.h"
#include "base/num.h"
#include "base/text.h"
#include "net/conn.h"
#include "proxy/client_geo.h"
#include "proxy/exchange.h"
#include "proxy/identity.h"
#include "proxy/outbound.h"
#include "proxy/own_cookie.h"
#include "tls/tls.h"

_Static_assert((int)VARIABLE_WRITE_BYTES >= (int)ADDR_TEXT_BYTES, "addresses must fit");

/* The request */

static struct slice get_host(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->host;
}

static struct slice get_path(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->path;
}

static struct slice get_query(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->uri.has_query ? x->uri.query : SLICE_NONE;
}

static struct slice get_uri(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->raw_target.at ? x->raw_target : x->req.target; /* none when the head was refused */
}

static struct slice get_method(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->req.method_text;
}

static struct slice get_scheme(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->client_scheme;
}

static struct slice get_proto(struct exchange *x, struct slice arg)
{
    (void)arg;
    return message_proto(&x->req);
}

static struct slice get_request_id(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->id[0] ? slice_of(x->id) : SLICE_NONE;
}

static struct slice get_header(struct exchange *x, struct slice arg)
{
    const struct header *h = headers_find_name(&x->req.headers, arg);
    return h ? h->value : SLICE_NONE;
}

static struct slice get_user_agent(struct exchange *x, struct slice arg)
{
    (void)arg;
    return headers_get(&x->req.headers, FIELD_USER_AGENT);
}

static struct slice get_referer(struct exchange *x, struct slice arg)
{
    (void)arg;
    return headers_get(&x->req.headers, FIELD_REFERER);
}

static struct slice get_cookie(struct exchange *x, struct slice arg)
{
    return own_cookie_get(x, arg);
}

static struct slice get_query_arg(struct exchange *x, struct slice arg)
{
    return x->uri.has_query ? uri_query_get(x->uri.query, arg) : SLICE_NONE;
}

static struct slice get_country(struct exchange *x, struct slice arg)
{
    (void)arg;
    return client_geo(x)->country;
}

static struct slice get_city(struct exchange *x, struct slice arg)
{
    (void)arg;
    return client_geo(x)->city;
}

static struct slice get_as_org(struct exchange *x, struct slice arg)
{
    (void)arg;
    return client_geo(x)->as_org;
}

static size_t write_asn(struct exchange *x, char *to)
{
    uint32_t asn = client_geo(x)->asn;
    return asn > 0 ? num_write_u64(to, asn) : 0;
}

static struct slice get_user(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->identity && x->identity->user.len > 0 ? x->identity->user : SLICE_NONE;
}

static struct slice get_auth(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->identity ? slice_of(x->identity->method) : SLICE_NONE;
}

static struct slice get_claim(struct exchange *x, struct slice arg)
{
    return identity_claim(x, arg);
}

/* Addresses */

static struct conn *conn_of(const struct exchange *x)
{
    return x->client ? x->client->conn : NULL;
}

static struct addr remote_of(struct exchange *x)
{
    struct addr a = x->client_addr;
    if (conn_of(x))
        conn_remote(conn_of(x), &a);
    return a;
}

static struct addr local_of(struct exchange *x)
{
    struct addr a = {0};
    if (conn_of(x))
        conn_local(conn_of(x), &a);
    else if (x->listen)
        a = x->listen->addr;
    return a;
}

static size_t write_ip(char *to, const struct addr *a)
{
    return a->len > 0 ? addr_write_ip(to, a) : 0;
}

static size_t write_port(char *to, const struct addr *a)
{
    return a->len > 0 && a->sa.sa_family != AF_UNIX ? num_write_u64(to, addr_port(a)) : 0;
}

static size_t write_client_ip(struct exchange *x, char *to)
{
    if (x->client_trusted || !x->peer_ip.at)
        return write_ip(to, &x->client_addr);
    memcpy(to, x->peer_ip.at, x->peer_ip.len); /* the same, written once */
    return x->peer_ip.len;
}

static size_t write_remote_addr(struct exchange *x, char *to)
{
    struct addr a = remote_of(x);
    return write_ip(to, &a);
}

static size_t write_remote_port(struct exchange *x, char *to)
{
    struct addr a = remote_of(x);
    return write_port(to, &a);
}

static size_t write_server_addr(struct exchange *x, char *to)
{
    struct addr a = local_of(x);
    return write_ip(to, &a);
}

static size_t write_server_port(struct exchange *x, char *to)
{
    struct addr a = local_of(x);
    return write_port(to, &a);
}

/* TLS: what the connection knows is written anew, into the arena because subjects may be long. */

static struct slice tls_fact(struct exchange *x, enum tls_fact which)
{
    struct text *t = &x->worker->scratch;
    if (!x->listen || !x->listen->tls || !conn_of(x))
        return SLICE_NONE;
    text_clear(t);
    tls_fact_write(conn_of(x), which, t);
    return t->len > 0 ? arena_dup(&x->arena, text_slice(t)) : SLICE_NONE;
}

static struct slice get_tls_version(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_VERSION);
}

static struct slice get_tls_cipher(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_CIPHER);
}

static struct slice get_tls_sni(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_SNI);
}

static struct slice get_tls_alpn(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_ALPN);
}

static struct slice get_tls_resumed(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_RESUMED);
}

static struct slice get_ja4(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_JA4);
}

static struct slice get_client_cert_subject(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_CLIENT_SUBJECT);
}

static struct slice get_client_cert_san(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_CLIENT_SAN);
}

static struct slice get_client_cert_serial(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_CLIENT_SERIAL);
}

static struct slice get_client_cert_fingerprint(struct exchange *x, struct slice arg)
{
    (void)arg;
    return tls_fact(x, TLS_FACT_CLIENT_FINGERPRINT);
}

/* The decision */

static struct slice get_site(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->site && x->site->name_count > 0 ? x->site->names[0].text : SLICE_NONE;
}

static struct slice get_route(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->route && x->route->kind != ROUTE_SITE ? x->route->pattern : SLICE_NONE;
}

static struct slice get_cache_status(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->cache_word ? slice_of(x->cache_word) : SLICE_NONE;
}

static struct slice get_cors_status(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->cors_word ? slice_of(x->cors_word) : SLICE_NONE;
}

static struct slice get_csrf_status(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->csrf_word ? slice_of(x->csrf_word) : SLICE_NONE;
}

static struct slice get_auth_refusal(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->auth_word ? slice_of(x->auth_word) : SLICE_NONE;
}

static struct slice get_limit_status(struct exchange *x, struct slice arg)
{
    static const struct slice words[] = {
        [LIMIT_PASSED] = SLICE_INIT("passed"),
        [LIMIT_WOULD_DELAY] = SLICE_INIT("would_delay"),
        [LIMIT_WOULD_REFUSE] = SLICE_INIT("would_refuse"),
        [LIMIT_DELAYED] = SLICE_INIT("delayed"),
        [LIMIT_REFUSED] = SLICE_INIT("refused"),
    };
    (void)arg;
    return x->limit_status != LIMIT_NONE ? words[x->limit_status] : SLICE_NONE;
}

static struct slice get_challenge(struct exchange *x, struct slice arg)
{
    static const struct slice words[] = {
        [CHALLENGE_OFF] = SLICE_INIT("off"),       [CHALLENGE_CRAWLER] = SLICE_INIT("crawler"),
        [CHALLENGE_PASSED] = SLICE_INIT("passed"), [CHALLENGE_SOLVED] = SLICE_INIT("solved"),
        [CHALLENGE_SHOWN] = SLICE_INIT("shown"),   [CHALLENGE_REFUSED] = SLICE_INIT("refused"),
    };
    (void)arg;
    return x->challenge_status != CHALLENGE_NONE ? words[x->challenge_status] : SLICE_NONE;
}

static struct slice get_crawler(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->crawler ? slice_of(x->crawler) : SLICE_NONE;
}

static struct slice get_upstream(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->upstream_name.len > 0 ? x->upstream_name : SLICE_NONE;
}

static struct slice get_server(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->server_name.len > 0 ? x->server_name : SLICE_NONE;
}

static struct slice get_relay_url(struct exchange *x, struct slice arg)
{
    (void)arg;
    return outbound_url(x);
}

static size_t write_tries(struct exchange *x, char *to)
{
    return x->tries > 0 ? num_write_u64(to, x->tries) : 0;
}

static size_t write_hedged(struct exchange *x, char *to)
{
    return x->hedged ? num_write_u64(to, 1) : 0;
}

static struct slice get_error(struct exchange *x, struct slice arg)
{
    (void)arg;
    return x->err != ERR_OK ? slice_of(err_name(x->err)) : SLICE_NONE;
}

static struct slice get_step(struct exchange *x, struct slice arg)
{
    (void)arg;
    return slice_of(x->err != ERR_OK ? step_name(x->err_step) : exchange_step_name(x));
}

/* The response */

static size_t write_status(struct exchange *x, char *to)
{
    return x->res.status > 0 ? num_write_u64(to, x->res.status) : 0;
}

/* In the trailers, or in the head of a response that has nothing else. */
static size_t write_grpc_status(struct exchange *x, char *to)
{
    const struct headers *t = x->res_body.trailers;
    struct slice value = t ? headers_get(t, FIELD_GRPC_STATUS) : SLICE_NONE;
    uint64_t status;
    if (!value.at)
        value = headers_get(&x->res.headers, FIELD_GRPC_STATUS);
    return value.at && num_parse_u64(value, &status) == ERR_OK ? num_write_u64(to, status) : 0;
}

static struct slice get_response(struct exchange *x, struct slice arg)
{
    const struct header *h = headers_find_name(&x->res.headers, arg);
    return h ? h->value : SLICE_NONE;
}

static size_t write_body_bytes_in(struct exchange *x, char *to)
{
    return num_write_u64(to, x->request_bytes);
}

static size_t write_body_bytes_out(struct exchange *x, char *to)
{
    return num_write_u64(to, x->response_bytes);
}

static size_t write_bytes_in(struct exchange *x, char *to)
{
    return num_write_u64(to, x->client ? x->client->received_bytes : x->request_bytes);
}

static size_t write_bytes_out(struct exchange *x, char *to)
{
    return num_write_u64(to, x->client ? x->client->sent_bytes : x->response_bytes);
}

/* Times */

static size_t write_ms(char *to, int64_t us)
{
    uint64_t v = us > 0 ? (uint64_t)us : 0;
    size_t len = num_write_u64(to, v / 1000);
    unsigned rest = (unsigned)(v % 1000);
    to[len++] = '.';
    to[len++] = (char)('0' + rest / 100);
    to[len++] = (char)('0' + rest / 10 % 10);
    to[len++] = (char)('0' + rest % 10);
    return len;
}

/* Moments are in us since the exchange began; 0: did not happen. */
static size_t write_between(char *to, int64_t from_us, int64_t until_us)
{
    return until_us > 0 ? write_ms(to, until_us - from_us) : 0;
}

static int64_t end_us(struct exchange *x)
{
    return x->times.done_us > 0 ? x->times.done_us : exchange_now_us(x) - x->times.began_us;
}

static size_t write_duration(struct exchange *x, char *to)
{
    return write_ms(to, end_us(x));
}

static size_t write_head_ms(struct exchange *x, char *to)
{
    return write_between(to, 0, x->times.head_us);
}

static size_t write_pick_ms(struct exchange *x, char *to)
{
    return write_between(to, x->times.head_us, x->times.picked_us);
}

static size_t write_connect_ms(struct exchange *x, char *to)
{
    return write_between(to, x->times.picked_us, x->times.connected_us);
}

static size_t write_first_byte_ms(struct exchange *x, char *to)
{
    return write_between(to, x->times.connected_us, x->times.first_byte_us);
}

static size_t write_response_ms(struct exchange *x, char *to)
{
    return x->times.response_us > 0 ? write_between(to, x->times.response_us, end_us(x)) : 0;
}

static int64_t unix_ms(const struct exchange *x)
{
    return x->worker->loop.unix_ms;
}

static size_t write_time(struct exchange *x, char *to)
{
    date_write_clf(to, unix_ms(x) / 1000);
    return DATE_CLF_BYTES;
}

static size_t write_time_iso(struct exchange *x, char *to)
{
    date_write_iso(to, unix_ms(x));
    return DATE_ISO_BYTES;
}

static size_t write_unix_ms(struct exchange *x, char *to)
{
    return num_write_u64(to, (uint64_t)unix_ms(x));
}

const struct variable variables_all[] = {
    {"host", VARIABLE_TEXT, false, get_host, NULL,
     "Host that the client asked for: lower case, without port"},
    {"path", VARIABLE_TEXT, false, get_path, NULL,
     "Path, normalised: what routes and conditions see"},
    {"query", VARIABLE_TEXT, false, get_query, NULL, "Query without the `?`, as it came"},
    {"query.", VARIABLE_TEXT, false, get_query_arg, NULL,
     "Query parameter, as it came (percent-encoded): `$query.page`"},
    {"uri", VARIABLE_TEXT, false, get_uri, NULL, "Path and query as the client sent them"},
    {"method", VARIABLE_TEXT, false, get_method, NULL, "Request method"},
    {"scheme", VARIABLE_TEXT, false, get_scheme, NULL,
     "`http` or `https`; of a trusted proxy's client, when it says so"},
    {"proto", VARIABLE_TEXT, false, get_proto, NULL, "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`"},
    {"header.", VARIABLE_TEXT, false, get_header, NULL,
     "Request header, first line: `${header.User-Agent}`"},
    {"cookie.", VARIABLE_TEXT, false, get_cookie, NULL, "Request cookie: `$cookie.session`"},
    {"user_agent", VARIABLE_TEXT, false, get_user_agent, NULL, "Request header User-Agent"},
    {"referer", VARIABLE_TEXT, false, get_referer, NULL, "Request header Referer"},
    {"request_id", VARIABLE_TEXT, false, get_request_id, NULL,
     "Identifier of the request: 16 hexadecimal digits"},
    {"client_ip", VARIABLE_TEXT, false, NULL, write_client_ip,
     "Address of the client; behind a trusted proxy the one that it reports"},
    {"ip", VARIABLE_TEXT, false, NULL, write_client_ip,
     "The same as `$client_ip`, as in conditions"},
    {"country", VARIABLE_TEXT, false, get_country, NULL,
     "Country of the client's address: `DE`; empty where no database of `geo` knows, as the next"},
    {"city", VARIABLE_TEXT, false, get_city, NULL, "Its city, in English"},
    {"asn", VARIABLE_NUMBER, false, NULL, write_asn,
     "Number of the autonomous system that its network belongs to: `64500`"},
    {"as_org", VARIABLE_TEXT, false, get_as_org, NULL, "Whose autonomous system that is"},
    {"user", VARIABLE_TEXT, false, get_user, NULL,
     "Who asks, as `auth` found out; empty when nobody in particular"},
    {"auth", VARIABLE_TEXT, false, get_auth, NULL,
     "How that was found out: `basic`, `key`, `jwt` ..."},
    {"auth_refusal", VARIABLE_TEXT, false, get_auth_refusal, NULL,
     "What was wrong with a token or signature: `expired`, `bad_signature` ..."},
    {"claim.", VARIABLE_TEXT, false, get_claim, NULL,
     "What is said of them: `${claim.email}`, `${claim.realm_access.roles}`; several values are "
     "joined by commas"},
    {"remote_addr", VARIABLE_TEXT, false, NULL, write_remote_addr,
     "Address of the connection's peer"},
    {"remote_port", VARIABLE_NUMBER, false, NULL, write_remote_port,
     "Port of the connection's peer"},
    {"server_addr", VARIABLE_TEXT, false, NULL, write_server_addr,
     "Address that the client connected to"},
    {"server_port", VARIABLE_NUMBER, false, NULL, write_server_port,
     "Port that the client connected to"},
    {"tls_version", VARIABLE_TEXT, false, get_tls_version, NULL,
     "Version of TLS that the client speaks: `TLSv1.3`; empty without TLS, as all below"},
    {"tls_cipher", VARIABLE_TEXT, false, get_tls_cipher, NULL, "Cipher of its connection"},
    {"tls_sni", VARIABLE_TEXT, false, get_tls_sni, NULL, "Name that it asked for in its handshake"},
    {"tls_alpn", VARIABLE_TEXT, false, get_tls_alpn, NULL, "Protocol that was agreed on"},
    {"tls_resumed", VARIABLE_TEXT, false, get_tls_resumed, NULL,
     "`yes` when the handshake resumed a session, else `no`"},
    {"ja4", VARIABLE_TEXT, false, get_ja4, NULL, "JA4 fingerprint of the client's handshake"},
    {"client_cert_subject", VARIABLE_TEXT, false, get_client_cert_subject, NULL,
     "Subject of the client's certificate, as in RFC 2253"},
    {"client_cert_san", VARIABLE_TEXT, false, get_client_cert_san, NULL, "Its other names"},
    {"client_cert_serial", VARIABLE_TEXT, false, get_client_cert_serial, NULL,
     "Its serial number, hexadecimal"},
    {"client_cert_fingerprint", VARIABLE_TEXT, false, get_client_cert_fingerprint, NULL,
     "SHA-256 of it, hexadecimal"},
    {"site", VARIABLE_TEXT, false, get_site, NULL, "First name of the site"},
    {"route", VARIABLE_TEXT, false, get_route, NULL,
     "Path of the route as configured; empty when none matched"},
    {"limit_status", VARIABLE_TEXT, false, get_limit_status, NULL,
     "What limits did: `passed`, `delayed`, `refused`, and with `dry_run` `would_delay`, "
     "`would_refuse`; empty without a limit"},
    {"cors_status", VARIABLE_TEXT, false, get_cors_status, NULL,
     "What `cors` said: `preflight` (answered), `refused` (a preflight), `allowed` (the page may "
     "read the answer), `unknown` (it may not); empty without `cors` or without an Origin"},
    {"csrf_status", VARIABLE_TEXT, false, get_csrf_status, NULL,
     "What `csrf` said of a request that changes something: `passed`, `refused`, and with "
     "`dry_run` `would_refuse`; empty otherwise"},
    {"challenge", VARIABLE_TEXT, false, get_challenge, NULL,
     "What a challenge did: `passed`, `solved`, `shown` (the page), `refused` (it loads no page), "
     "`crawler` (a verified one), `off` (no pressure); empty without one"},
    {"crawler", VARIABLE_TEXT, false, get_crawler, NULL,
     "Name of the crawler, when a challenge has verified that it is one"},
    {"cache_status", VARIABLE_TEXT, false, get_cache_status, NULL,
     "What the cache did: `hit`, `stale`, `revalidated`, `miss` (stored), `pass` (not to be "
     "stored), `bypass`, `purge`; empty without a cache"},
    {"upstream", VARIABLE_TEXT, false, get_upstream, NULL, "Upstream that the request goes to"},
    {"server", VARIABLE_TEXT, false, get_server, NULL, "Server of it that was tried last"},
    {"relay_url", VARIABLE_TEXT, false, get_relay_url, NULL,
     "URL that was relayed, after redirects the last one"},
    {"tries", VARIABLE_NUMBER, false, NULL, write_tries, "Number of servers tried"},
    {"hedged", VARIABLE_NUMBER, false, NULL, write_hedged,
     "1 when a second server was asked beside the first"},
    {"error", VARIABLE_TEXT, false, get_error, NULL, "Name of the error that ended the request"},
    {"step", VARIABLE_TEXT, false, get_step, NULL, "Step in which it failed; else where it is now"},
    {"status", VARIABLE_NUMBER, false, NULL, write_status, "Status of the response"},
    {"grpc_status", VARIABLE_NUMBER, true, NULL, write_grpc_status,
     "Status of a gRPC call, `0` to `16`; empty when there was none"},
    {"response.", VARIABLE_TEXT, false, get_response, NULL,
     "Response header, first line: `${response.Content-Type}`"},
    {"bytes_in", VARIABLE_NUMBER, true, NULL, write_bytes_in,
     "Bytes received from the client for this request, head included"},
    {"bytes_out", VARIABLE_NUMBER, true, NULL, write_bytes_out,
     "Bytes sent to the client for this request, head included"},
    {"body_bytes_in", VARIABLE_NUMBER, true, NULL, write_body_bytes_in,
     "Bytes of the request body"},
    {"body_bytes_out", VARIABLE_NUMBER, true, NULL, write_body_bytes_out,
     "Bytes of the response body"},
    {"duration_ms", VARIABLE_NUMBER, true, NULL, write_duration,
     "First byte of the request to the end, in ms"},
    {"head_ms", VARIABLE_NUMBER, true, NULL, write_head_ms, "Receiving the request's head, in ms"},
    {"pick_ms", VARIABLE_NUMBER, true, NULL, write_pick_ms,
     "Request filters and choice of the server, earlier tries included, in ms"},
    {"connect_ms", VARIABLE_NUMBER, true, NULL, write_connect_ms,
     "Getting a connection to the server, in ms"},
    {"first_byte_ms", VARIABLE_NUMBER, true, NULL, write_first_byte_ms,
     "Connection there to the first byte of the server's answer, in ms"},
    {"response_ms", VARIABLE_NUMBER, true, NULL, write_response_ms,
     "Head of the response sent to the end, in ms"},
    {"time", VARIABLE_TEXT, false, NULL, write_time, "Time now: `02/Jan/2026:03:04:05 +0000`"},
    {"time_iso", VARIABLE_TEXT, false, NULL, write_time_iso,
     "Time now: `2026-01-02T03:04:05.678Z`"},
    {"unix_ms", VARIABLE_NUMBER, false, NULL, write_unix_ms, "Milliseconds since 1970"},
    {0}};

enum { VARIABLE_COUNT = sizeof(variables_all) / sizeof(*variables_all) - 1 };

struct slice variable_get(const struct variable *v, struct exchange *x, struct slice arg,
                          char scratch[VARIABLE_WRITE_BYTES])
{
    if (v->get)
        return v->get(x, arg);
    size_t len = v->write(x, scratch);
    return len > 0 ? (struct slice){scratch, len} : SLICE_NONE;
}

bool variable_is_late(const struct variable *v)
{
    return v->get == get_user || v->get == get_auth || v->get == get_claim;
}

bool variable_is_family(const struct variable *v)
{
    return slice_ends(slice_of(v->name), SLICE("."));
}

const struct variable *variable_find(struct slice name, struct slice *arg)
{
    size_t dot = slice_find(name, '.');
    struct slice key = dot < name.len ? slice_head(name, dot + 1) : name;
    if (dot + 1 == name.len) /* "header." asks for nothing */
        return NULL;
    for (const struct variable *v = variables_all; v->name; v++) {
        if (!slice_eq(slice_of(v->name), key))
            continue;
        *arg = slice_from(name, key.len);
        return v;
    }
    return NULL;
}

void variable_nearest(struct diag *d, struct slice name)
{
    struct slice names[VARIABLE_COUNT];
    size_t dot = slice_find(name, '.');
    for (size_t i = 0; i < VARIABLE_COUNT; i++)
        names[i] = slice_of(variables_all[i].name);
    diag_nearest(d, dot < name.len ? slice_head(name, dot + 1) : name, names, VARIABLE_COUNT);
}

void variables_write_docs(struct text *out)
{
    text_addf(out, "| variable | | meaning |\n|---|---|---|\n");
    for (const struct variable *v = variables_all; v->name; v++) {
        text_addf(out, "| `$%s%s` | %s | %s |\n", v->name, variable_is_family(v) ? "NAME" : "",
                  v->log_only ? "log only" : "", v->text);
    }
}
