/* rows.c - the directives of listeners, sites, routes and their scalar policies.
 *
 * Policies that have an apply() here set fields of a struct settings; what a block leaves unset
 * comes from the blocks around it (policy.c). Defaults stand in the rows: settings_defaults() reads
 * them from here. Blocks (site, route, when, test) are walked, not applied. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/access_log.h"
#include "proxy/apply_priv.h"
#include "proxy/build_priv.h"
#include "proxy/deadline.h"
#include "proxy/fastcgi.h"
#include "proxy/files.h"
#include "proxy/mirror.h"
#include "proxy/outbound.h"
#include "proxy/respond.h"
#include "proxy/split.h"
#include "proxy/sticky.h"
#include "proxy/tls_terms_priv.h"
#include "upstream/lease.h"

#define SETTING(field) offsetof(struct settings, field)
#define YEAR_MS        (365LL * 24 * 3600 * 1000)

static const struct conf_choice merge_choices[] = {
    {"routes", MERGE_IN_ROUTES,
     "for routes, conditions, `strip` and `rewrite`; a path that these leave alone reaches "
     "the server as the client spelled it"},
    {"on", MERGE_EVERYWHERE, "for servers, too"},
    {0}};
static const struct conf_choice on_only[] = {{"on", 1, "yes"}, {0}};

#define CONNS(field) offsetof(struct conns_bounds, field)

static const struct directive connections_options[] = {
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .off_ok = true,
     .offset = CONNS(max),
     .min = 1,
     .max = INT32_MAX,
     .usage = "COUNT|off",
     .text = "Of all clients together. Without it seven eighths of the descriptors that weir may "
             "have: the rest is for servers, files and logs. When there are so many, a newcomer "
             "gets the place of a connection of the address that has the most: first of one that "
             "idles, then of the slowest. It is refused only when it is its own address that has "
             "the most, and nothing of that idles."},
    {.name = "per_ip",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .off_ok = true,
     .offset = CONNS(per_address),
     .min = 1,
     .max = INT32_MAX,
     .usage = "COUNT|off",
     .text = "Of one address of IPv4, or of one /64 of IPv6; more are closed as soon as they are "
             "accepted. Without it a tenth of `max`, and no less than 1000. Proxies in `trust` "
             "have no such bound; no header field has an influence on it."},
    {0}};

static const struct directive timeout_options[] = {
    {.name = "client_header",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = SETTING(client_header_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "10s",
     .usage = "TIME",
     .text =
         "From the first byte of a request to the end of its header fields. The site is not known "
         "yet then: the longest one of a listener's sites counts."},
    {.name = "client_body",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(client_body_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "30s",
     .usage = "TIME|off",
     .text = "Between two pieces of a request body."},
    {.name = "client_send",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(client_send_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "30s",
     .usage = "TIME|off",
     .text = "How long a client may take nothing of its response."},
    {.name = "keepalive",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = SETTING(keepalive_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "75s",
     .usage = "TIME",
     .text = "How long a client's connection stays open between two requests. The longest one of a "
             "listener's sites counts."},
    {.name = "client_age",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(client_age_ms),
     .min = 1000,
     .max = YEAR_MS,
     .def = "1h",
     .usage = "TIME|off",
     .text =
         "How long a client's connection takes requests. The first one after it is its last: the "
         "answer says so (HTTP/1), or GOAWAY does (HTTP/2). The longest one of a listener's "
         "sites counts."},
    {.name = "connect",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(connect_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "5s",
     .usage = "TIME|off",
     .text = "To connect to a server. The upstream's own timeouts win over those of routes."},
    {.name = "first_byte",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(first_byte_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "60s",
     .usage = "TIME|off",
     .text = "From the request sent to the head of the server's response."},
    {.name = "read",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(read_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "60s",
     .usage = "TIME|off",
     .text =
         "Between two pieces of the server's response. Event streams that may be silent for long "
         "need more, or `off`."},
    {.name = "send",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(send_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "60s",
     .usage = "TIME|off",
     .text = "How long the server may take nothing of the request."},
    {.name = "request",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(request_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "off",
     .usage = "TIME|off",
     .text = "The whole request, from its head to the last byte of the response."},
    {.name = "tunnel",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(tunnel_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "1h",
     .usage = "TIME|off",
     .text = "How long a tunnel (WebSocket) may be silent in both directions."},
    {.name = "half_close",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = SETTING(half_close_ms),
     .min = 1,
     .max = YEAR_MS,
     .def = "1s",
     .usage = "TIME|off",
     .text =
         "How long a request is still worked on after its client ended its side of the "
         "connection without having got any response. Nearly always such a client is gone, and "
         "the server would work for nobody; one that only half-closed (`nc -N`) gets its answer "
         "within this time. `off`: until it is answered. A request that still waits for a "
         "server at its connection limit is given up at once."},
    {0},
};

static const struct directive body_options[] = {
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .off_ok = true,
     .offset = SETTING(body_max_bytes),
     .min = 0,
     .max = INT64_MAX,
     .def = "100M",
     .usage = "SIZE|off",
     .text = "Largest request body; a larger one is answered with 413."},
    {.name = "rate",
     .where = IN_OPTIONS,
     .type = CONF_RATE,
     .off_ok = true,
     .offset = SETTING(body_rate),
     .min = 1000,
     .max = 1000LL << 30,
     .def = "100B/s",
     .usage = "RATE|off",
     .text =
         "Slowest rate at which a request body may come, after the first 10 seconds; below it the "
         "request ends with 408."},
    {.name = "take_rate",
     .where = IN_OPTIONS,
     .type = CONF_RATE,
     .off_ok = true,
     .offset = SETTING(client_take_rate),
     .min = 1000,
     .max = 1000LL << 30,
     .def = "100B/s",
     .usage = "RATE|off",
     .text =
         "Slowest rate at which a client may take a response that waits for it, over a minute; "
         "below it the connection is closed. `timeout client_send` is for those that take nothing, "
         "and when that is off, so is this."},
    {.name = "queue",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .offset = SETTING(body_queue_bytes),
     .min = 16384,
     .max = 64 << 20,
     .def = "256k",
     .usage = "SIZE",
     .text = "How much of a body weir holds, in each direction, when the other side is slower. It "
             "bounds the memory that a slow client costs."},
    {0},
};

static const struct directive buffer_options[] = {
    {.name = "memory",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .offset = SETTING(buffer_memory_bytes),
     .min = 0,
     .max = 1 << 30,
     .def = "1M",
     .usage = "SIZE",
     .text = "A larger body goes to a temporary file."},
    {0},
};

static const struct directive retry_options[] = {
    {.name = "on",
     .where = IN_OPTIONS,
     .type = CONF_STRING, /* read by retry_apply() */
     .usage = "STATUS,...",
     .text = "Also when the server answers with one of these: `502`, `503`, `504`; `off`: never."},
    {0},
};

static const struct directive log_options[] = {
    {.name = "to",
     .where = IN_OPTIONS,
     .type = CONF_STRING, /* read by log_apply() */
     .usage = "stdout|stderr|syslog|FILE",
     .text = "Where the lines go. A file is opened again on SIGUSR1. Access logs go to `stdout`, "
             "the error log to `stderr` unless told otherwise."},
    {0},
};

static const struct directive listen_options[] = {
    {.name = "tls",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .usage = "",
     .text = "Clients have to speak TLS."},
    {.name = "h1",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .usage = "",
     .text = "HTTP/1.1 is spoken there. Without `h1` and `h2` both are: with TLS the client "
             "chooses by ALPN, without it a client of HTTP/2 begins with it (prior knowledge)."},
    {.name = "h2",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .usage = "",
     .text = "HTTP/2 is spoken there."},
    {0},
};

static const struct directive route_options[] = {
    {.name = "strip",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .usage = "",
     .text = "Cuts the route's prefix off the path before the request goes on."},
    {0},
};

static const struct directive test_request_options[] = {
    {.name = "from",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .def = "127.0.0.1",
     .usage = "IP",
     .text = "Address that the request comes from."},
    {0},
};

/* Listeners, blocks and what stands in tests: build.c, policy.c and tests_run.c walk them. */
static void walked(struct conf_build *b, void *scope, const struct conf_node *n)
{
    (void)b;
    (void)scope;
    (void)n;
}

#define TEST_METHOD(method)                                                                 \
    {                                                                                       \
        .name = method, .where = IN_TEST, .apply = walked, .args_min = 1, .args_max = 1,    \
        .options = test_request_options, .usage = "PATH|URL [from=IP]",                     \
        .text = "The request of the test. A path is asked of the site's first name; a URL " \
                "names another host.",                                                      \
        .example = method " /api/v1?x=1 from=10.0.0.1"                                      \
    }

const struct directive proxy_rows[] = {
    {.name = "listen",
     .where = IN_TOP | IN_SITE,
     .apply = walked,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .options = listen_options,
     .usage = "ADDRESS [tls] [h1] [h2]",
     .text = "An address to accept connections on: `:8080` (every address of the machine), "
             "`127.0.0.1:8080`, `[::1]:8080`, `unix:/run/weir.sock`. With `tls` clients have to "
             "speak TLS there. HTTP/1.1 and HTTP/2 are spoken unless `h1` or `h2` names one "
             "of them alone. Sites without a `listen` of their own answer on every top-level "
             "one; a `listen` in a site is for that site. A site that stands on addresses with "
             "and without TLS may send clients of the latter to the former (see `tls redirect`). "
             "Without any `listen`, a named site stands on `:443` with TLS and on `:80`, "
             "`site *` on `:80`.",
     .example = "listen 127.0.0.1:8443 tls"},
    {.name = "site",
     .where = IN_TOP,
     .apply = walked,
     .repeat = true,
     .block_due = true,
     .args_min = 1,
     .args_max = 255,
     .opens = IN_SITE,
     .usage = "NAME...",
     .text =
         "A virtual host: what is asked of one of these names. `*.example.com` takes every name "
         "below example.com that has no site of its own, `*` takes the rest. A host that no "
         "site takes is answered with 421. `https://NAME` stands on listeners with TLS only, "
         "`http://NAME` on plain ones only.",
     .example = "site app.example.com www.example.com {\n    proxy localhost:3000\n}"},
    {.name = "route",
     .where = IN_SITE,
     .apply = walked,
     .repeat = true,
     .block_due = true,
     .args_min = 1,
     .args_max = 2,
     .opens = IN_ROUTE,
     .options = route_options,
     .usage = "PREFIX [strip] | = PATH | ~ REGEX",
     .text = "Policies for a part of the site. An exact path (`route = /x`) beats regular "
             "expressions (`route ~ '\\.php$'`, tried in the order of the file), which beat the "
             "longest prefix; otherwise order does not matter. A prefix covers whole segments: "
             "`/a` takes `/a` and `/a/b`, not `/ab`. Inherits what the site sets.",
     .example = "route /api/ strip {\n    proxy 10.0.0.3:9000\n}"},
    {.name = "when",
     .where = IN_SITE | IN_ROUTE,
     .apply = walked,
     .repeat = true,
     .block_due = true,
     .args_min = 1,
     .args_max = 255,
     .opens = IN_WHEN,
     .usage = "CONDITION",
     .text =
         "Adds policies to requests for which the condition holds; several may. Tests are "
         "SUBJECT OPERATOR VALUE, joined by `and`, `or`, `not` and parentheses. Subjects: "
         "`method host path query query.NAME header.NAME cookie.NAME ip country asn scheme proto`. "
         "Operators: `==`, `!=`, `~` and `!~` (regular expression), `in` (one of several "
         "values; addresses and prefixes for `ip`). A header, cookie or query parameter alone "
         "tests whether it is there.",
     .example = "when method == POST and path ~ \"^/upload\" {\n    body max=1G\n}"},
    {.name = "no",
     .where = IN_SITE | IN_ROUTE,
     .apply = walked,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .usage = "DIRECTIVE...",
     .text = "Takes back what the blocks around this one set by these directives.",
     .example = "no request response"},
    {.name = "proxy",
     .where = IN_POLICY,
     .args_min = 1,
     .args_max = 255,
     .opens = IN_PROXY,
     .apply = proxy_apply,
     .usage = "UPSTREAM | [https://]ADDRESS... [{ ... }]",
     .text = "Sends requests to a named upstream, or to the servers at these addresses; over TLS "
             "when `https://` stands before them. Addresses "
             "may have a block with what an upstream's block may hold.",
     .example = "proxy 10.0.0.3:9000 10.0.0.4:9000"},
    {.name = "split",
     .where = IN_POLICY,
     .args_min = 2,
     .args_max = 255,
     .options = split_options,
     .apply = split_apply,
     .usage = "UPSTREAM SHARE UPSTREAM SHARE... [sticky] [by=KEY] [OPTION=VALUE...]",
     .text =
         "Shares requests out between upstreams, for a canary or a migration, in place of "
         "`proxy`. Shares are percentages that make 100% together; parts may also be addresses. "
         "With `sticky` a client stays with the part it got first, by a cookie that the servers "
         "do not see. A part whose share is set to 0% gets nobody any more, not even those who "
         "had it. To choose by hand, set `proxy` in a `when`: "
         "`when header.X-Canary { proxy canary }`. The variable `$upstream` tells in the log "
         "which one it was.",
     .example = "split 10.0.0.1:8080 95% 10.0.0.2:8080 5% sticky ttl=7d"},
    {.name = "mirror",
     .where = IN_POLICY,
     .args_min = 1,
     .args_max = 2,
     .options = mirror_options,
     .apply = mirror_apply,
     .usage = "UPSTREAM [SHARE] [max=N] [body=SIZE] [timeout=TIME]",
     .text =
         "Sends this share of the requests (all of them without one) to a shadow upstream, too, "
         "to try a new version with real traffic. Its answers are dropped, and whatever becomes "
         "of it neither delays nor fails the client's request. The copy is made as the request "
         "goes to its own server, with the same Host and all edits, and begins once the whole "
         "request has come. It carries the field `X-Mirror` with the request's id, and is not "
         "tried again. Upgrades such as WebSocket are not mirrored. `/metrics` counts what was "
         "mirrored, failed, and left out because of `max` or `body`.",
     .example = "mirror 10.0.0.9:8080 10% max=100 body=256k"},
    {.name = "sticky",
     .where = IN_SERVERS,
     .args_min = 1,
     .args_max = 1,
     .options = sticky_options,
     .apply = sticky_apply,
     .usage = "cookie [name=NAME] [ttl=TIME] [OPTION=VALUE...] | learn cookie=NAME|header=NAME "
              "[ttl=TIME] [size=N] | ip [ttl=TIME] [size=N]",
     .text =
         "Sends the requests of a session to the server that it began with.\n\n"
         "- `cookie`: weir gives the client a cookie, `weir_srv`. Its value is signed and tells "
         "nothing about the server. It is given when it changes only, is `HttpOnly`, and is taken "
         "out of requests before they go to a server. An answer that gives it is marked "
         "`Cache-Control: private`, so that no shared cache hands it to others. A value that is "
         "not weir's counts as none.\n"
         "- `learn`: the session's name is a cookie or header field of the application; which "
         "server it belongs to is learned from the answer that names it.\n"
         "- `ip`: by the client's address.\n\n"
         "When the session's server is gone, disabled, out of use or full, another one is chosen "
         "and the session moves there, unless it is `strict`. A server that drains keeps its "
         "sessions but gets no new ones. What `learn` and `ip` know is kept in memory, shared by "
         "all workers, for `ttl` (30m) after the last request; it outlives a reload, but not "
         "the worker process. The cookie outlives both.",
     .example = "sticky cookie ttl=1h samesite=lax"},
    {.name = "respond",
     .where = IN_POLICY,
     .args_min = 1,
     .args_max = 2,
     .options = respond_options,
     .apply = respond_apply,
     .usage = "STATUS [TEXT] [type=MEDIA-TYPE]",
     .text = "Answers without a server. TEXT may hold variables.",
     .example = "respond 200 \"hello $client_ip\""},
    {.name = "files",
     .where = IN_POLICY,
     .args_min = 1,
     .args_max = 1,
     .options = files_options,
     .apply = files_apply,
     .usage = "FOLDER [spa] [browse] [precompressed] [OPTION=VALUE...]",
     .text =
         "Answers with the files of a folder, whose name is relative to the configuration file. "
         "The path of the request, as `strip` and `rewrite` left it, is looked up below it; "
         "nothing outside can be reached. weir's user must be allowed to read it. A folder's "
         "path gets its slash by a redirect. Conditional requests and ranges are answered; other "
         "methods than GET and HEAD get 405. A file that changes while it is sent breaks the "
         "response off.",
     .example = "files /srv/www precompressed max_age=1h"},
    {.name = "fastcgi",
     .where = IN_POLICY,
     .args_min = 1,
     .args_max = 255,
     .opens = IN_PROXY | IN_FASTCGI,
     .options = fastcgi_options,
     .apply = fastcgi_apply,
     .usage = "UPSTREAM | ADDRESS... [root=FOLDER] [try=SCRIPT|off] [OPTION=VALUE...] [{ ... }]",
     .text =
         "Sends requests to a FastCGI server such as PHP-FPM. Without a port an address has 9000; "
         "an upstream needs `proto fastcgi`. A path means the script in it (`/a.php`, "
         "`/a.php/info`), or a folder's index script, or what `try` says. Beside a `files` in the "
         "same block, files that are there are sent by weir, but never one that has the ending of "
         "a script in its name: with `files /srv/blog` and `fastcgi unix:/run/php/php-fpm.sock` "
         "a site for WordPress is complete. A request body whose length is not known is received "
         "whole first, as by `buffer on`. What scripts say on STDERR goes to the error log. "
         "Addresses may have a block with what an upstream's block may hold, and with `param`.",
     .example = "fastcgi unix:/run/php/php-fpm.sock root=/srv/blog {\n"
                "    param APP_ENV production\n}"},
    {.name = "param",
     .where = IN_FASTCGI,
     .apply = walked,
     .repeat = true,
     .args_min = 2,
     .args_max = 2,
     .usage = "NAME VALUE",
     .text = "A parameter that scripts get, in place of a standard one of that name, if there is. "
             "VALUE may hold variables. The standard ones are those of CGI, with `HTTP_NAME` for "
             "each header field.",
     .example = "param APP_ENV production"},
    {.name = "relay",
     .where = IN_POLICY,
     .args_min = 1,
     .args_max = 255,
     .opens = IN_RELAY,
     .options = outbound_options,
     .apply = outbound_apply,
     .usage = "[SCHEME://]HOST[:PORT|:*]... | any [OPTION=VALUE...] [{ ... }]",
     .text =
         "Fetches what clients name, as CORS relays do: `/?url=https://api.example.com/v1`, or "
         "the URL as the path. Only the targets listed here are relayed; `*.example.com` stands "
         "for all hosts below it, `:*` for any port, a target without a scheme for http and "
         "https. `any` relays everything that is public. Whatever the list says, addresses that "
         "are not public are refused, also after a redirect, and whatever a name server answers. "
         "Credentials of this site stay here, cookies of targets do not pass, and answers get "
         "CORS fields, unless a `cors` in the same block makes them, and a sandbox, so that no "
         "page of a target runs under this site's name. See docs/relay.md.",
     .example = "relay https://api.example.com *.example.org {\n"
                "    methods GET HEAD POST\n    redirects 3\n}"},
    {.name = "redirect",
     .where = IN_POLICY,
     .args_min = 1,
     .args_max = 2,
     .apply = redirect_apply,
     .usage = "[STATUS] TO",
     .text = "Sends the client elsewhere, with 302 or the given status. TO may hold variables.",
     .example = "redirect 301 https://$host$uri"},
    {.name = "tls",
     .where = IN_TOP | IN_SITE | IN_ADMIN,
     .apply = walked,
     .repeat = true,
     .options = tls_options,
     .usage = "[cert=FILE key=FILE] [OPTION=VALUE...] | { OPTION VALUE ... }",
     .text = "What a site shows on listeners with TLS, and whom it lets in. At the top level: for "
             "all sites that do not say otherwise; certificates given there serve the sites whose "
             "names they cover. A site without a certificate gets one from the local CA that weir "
             "makes and keeps. Names of files are relative to the configuration file. Files that "
             "change are picked up; a pair that does not fit is told in the log, and the old one "
             "stays.",
     .example = "tls profile=modern client=off"},
    {.name = "timeout",
     .where = IN_TOP | IN_POLICY,
     .repeat = true,
     .options = timeout_options,
     .apply = settings_apply,
     .usage = "NAME=TIME... | { NAME TIME ... }",
     .text = "How long the parts of a request may take. At the top level: for all sites.",
     .example = "timeout read=10m connect=2s"},
    {.name = "body",
     .where = IN_TOP | IN_POLICY,
     .repeat = true,
     .options = body_options,
     .apply = body_apply,
     .usage = "[max=SIZE|off] [rate=RATE|off] [queue=SIZE]",
     .text = "Limits of bodies.",
     .example = "body max=1G"},
    {.name = "buffer",
     .where = IN_TOP | IN_POLICY,
     .type = CONF_CHOICE,
     .off_ok = true,
     .choices = on_only,
     .offset = SETTING(buffer_request),
     .def = "off",
     .options = buffer_options,
     .apply = settings_apply,
     .usage = "on|off [memory=SIZE]",
     .text = "`on`: receives the whole request body before a server is chosen, for servers that "
             "handle one request at a time. Also written `request buffer on`.",
     .example = "buffer on memory=4M"},
    {.name = "merge_slashes",
     .where = IN_TOP,
     .type = CONF_CHOICE,
     .off_ok = true,
     .choices = merge_choices,
     .offset = SETTING(merge_slashes),
     .def = "routes",
     .apply = settings_apply,
     .usage = "routes|on|off",
     .text = "Whether several slashes in a row count as one. `off` lets `//admin` past "
             "`route /admin`.",
     .example = "merge_slashes on"},
    {.name = "retry",
     .where = IN_TOP | IN_POLICY,
     .type = CONF_COUNT,
     .off_ok = true,
     .min = 0,
     .max = 10,
     .offset = SETTING(retry_tries),
     .options = retry_options,
     .apply = retry_apply,
     .usage = "COUNT|off [on=STATUS,...]",
     .text =
         "How often a request that failed is sent to another server: when it could not connect, "
         "and, for idempotent requests whose body is still at hand, when the connection broke. "
         "Overrides the upstream's `retry`; its budget counts on.",
     .example = "retry 1 on=502,503"},
    {.name = "priority",
     .where = IN_TOP | IN_POLICY,
     .type = CONF_COUNT,
     .min = 0,
     .max = PRIORITY_MAX,
     .offset = SETTING(priority),
     .def = "3",
     .apply = settings_apply,
     .usage = "N",
     .text = "How important requests are, from 0 to 7, when servers are at their limit "
             "(`max_conns`, `concurrency`): those with a higher priority leave the queue first, "
             "and when the "
             "queue is full they displace others. Without overload it changes nothing.",
     .example = "priority 6"},
    {.name = "deadline",
     .where = IN_TOP | IN_POLICY,
     .args_min = 1,
     .args_max = 1,
     .options = deadline_options,
     .apply = deadline_apply,
     .usage = "HEADER [max=TIME] | off",
     .text =
         "A header field in which clients say for how many milliseconds they wait for the answer. "
         "A request that is not answered by then ends with 504, also while it waits in a queue. "
         "Servers get what is left in the same field, on every try; that of `timeout request`, "
         "too, when the client does not say anything or more.",
     .example = "deadline X-Request-Timeout-Ms max=30s"},
    {.name = "log",
     .where = IN_TOP | IN_POLICY,
     .args_min = 1,
     .args_max = 2,
     .key_args = 1,
     .options = log_options,
     .apply = log_apply,
     .usage = "access off|json|common|combined|FORMAT [to=...], error LEVEL [to=...]",
     .text =
         "`log access`: one line per request, in JSON unless told otherwise; FORMAT is a text "
         "with variables, whose values are escaped. `log error` (top level only): messages from "
         "LEVEL on: `debug info notice warn error`. What the supervisor says (deaths of the worker "
         "process, upgrades) goes to stderr whatever is configured.",
     .example =
         "log access \"$client_ip $method $uri $status $duration_ms\" to=/var/log/weir/access"},
    {.name = "connections",
     .where = IN_TOP,
     .apply = connections_apply,
     .options = connections_options,
     .usage = "[max=COUNT] [per_ip=COUNT]",
     .text = "How many connections clients may have open, handshakes of TLS included. All workers "
             "count together; a reload changes the bounds and leaves the counts alone.",
     .example = "connections max=50000 per_ip=200"},
    {.name = "trust",
     .where = IN_TOP,
     .apply = trust_apply,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .usage = "PREFIX...",
     .text = "Proxies in front of weir whose X-Forwarded-For, -Proto, -Host and Forwarded are "
             "believed. From anybody else these fields are replaced.",
     .example = "trust 10.0.0.0/8 fd00::/8"},
    {.name = "geo",
     .where = IN_TOP,
     .apply = geo_apply,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .usage = "FILE...",
     .text = "Databases in MaxMind's format (.mmdb) that tell countries, cities and autonomous "
             "systems of addresses: `$country`, `$city`, `$asn`, `$as_org`, and `country` and "
             "`asn` in conditions. Of several the first that knows something has the word. A file "
             "that changes is read again; one that is damaged changes nothing. See "
             "[countries and networks](../limits.md#where-from-geo).",
     .example = "geo /var/lib/GeoIP/GeoLite2-Country.mmdb /var/lib/GeoIP/GeoLite2-ASN.mmdb"},
    {.name = "test",
     .where = IN_SITE | IN_ROUTE,
     .apply = walked,
     .repeat = true,
     .block_due = true,
     .args_min = 1,
     .args_max = 1,
     .opens = IN_TEST,
     .usage = "NAME",
     .text = "A request and what is to become of it. `weir check` and every reload run all tests, "
             "without touching the network; a failing one refuses the configuration.",
     .example = "test \"tagged\" {\n    GET /api/v1\n    expect request X-Tenant acme\n}"},
    TEST_METHOD("GET"),
    TEST_METHOD("HEAD"),
    TEST_METHOD("POST"),
    TEST_METHOD("PUT"),
    TEST_METHOD("DELETE"),
    TEST_METHOD("PATCH"),
    TEST_METHOD("OPTIONS"),
    {.name = "header",
     .where = IN_TEST,
     .apply = walked,
     .repeat = true,
     .args_min = 1,
     .args_max = 2,
     .usage = "NAME VALUE",
     .text = "A header field of the test's request.",
     .example = "header Accept text/html"},
    {.name = "expect",
     .where = IN_TEST,
     .apply = walked,
     .repeat = true,
     .args_min = 2,
     .args_max = 3,
     .usage = "status N | upstream NAME | path PATH | [no] request NAME [VALUE] | [no] response "
              "NAME [VALUE] | body TEXT",
     .text =
         "What is to come out: the status of the response, the upstream that is chosen, path and "
         "header fields as the server gets them, header fields of the response, a text in the "
         "body of what weir answers itself. Servers are not asked: their response counts as an "
         "empty 200.",
     .example = "expect status 200"},
    {0},
};

void settings_defaults(struct conf_build *b, struct settings *s)
{
    settings_unset(s);
    conf_defaults(proxy_rows, IN_TOP, s);
    conf_defaults(timeout_options, IN_OPTIONS, s);
    conf_defaults(body_options, IN_OPTIONS, s);
    conf_defaults(buffer_options, IN_OPTIONS, s);
    s->body_rate = body_rate_bytes(s->body_rate);
    s->client_take_rate = body_rate_bytes(s->client_take_rate);
    s->target = NULL;
    s->mirror = NULL;
    s->deadline = NULL;
    s->log = NULL; /* proxy_build() sets it once the top level is known */
    (void)b;
}

const struct directive *buffer_row(void)
{
    const struct directive *row = proxy_rows;
    while (strcmp(row->name, "buffer") != 0)
        row++;
    return row;
}
