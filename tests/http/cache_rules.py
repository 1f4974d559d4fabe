# SPDX-License-Identifier: Apache-2.0
"""The rules of the cache one by one: what is parsed how, what may be stored, for how long it is fresh, and which
stored answer a request selects (RFC 9111 3, 4.1, 4.2, 5; RFC 9213). A case is a list of steps (cache_case.py). What
is done with stored answers stands in cache_rules_use.py."""
from cache_case import DEAD, asks, checks, either, head, hit, ok, same, say, under

CACHEABLE = "Cache-Control: max-age=3600"
TAG = 'ETag: "a"'
NO_AGE = {"Age": None}

CASES = {}


def fresh(*headers, policy="plain", **kw):
    """The answer with these fields serves the next request, too."""
    return under(policy, asks(ok(*headers, **kw)), hit())


def unstored(*headers, policy="plain", **kw):
    """The answer with these fields is for one request only."""
    return under(policy, asks(ok(*headers, **kw)), asks(ok()))


def validated(*headers, status=200, policy="plain", saw=None, **kw):
    """It is stored, but the server is asked before it is used again."""
    return under(policy, asks(say(status, *headers, **kw)), checks(same(), saw=saw or {}))


def each(text, make, values):
    """One case for each value: `{}` in the name and in the field is where it goes."""
    return {text.format(v): make(v) for v in values}


# ---------------------------------------------------------------- 1 parsing: Cache-Control

CASES |= each("1 Cache-Control, {!r} is fresh", lambda v: fresh(f"Cache-Control: {v}"), [
    "max-age=3600", "MAX-AGE=3600", "Max-Age=3600", 'max-age="3600"', "max-age=003600", " , max-age=3600",
    ",,max-age=3600,,", "max-age=3600,", "public,max-age=3600", "public ,\tmax-age=3600", "foo, max-age=3600",
    "foo=bar, max-age=3600", 'foo="bar, no-store", max-age=3600', 'foo="a\\", no-store, \\"b", max-age=3600',
    "max-age=3600, foo=1=2", "max-age=2147483647", "max-age=2147483648", "max-age=99999999999999999999999",
    "max-age=3600, max-age=0", "s-maxage=3600, max-age=0", "max-age=0, s-maxage=3600", "s-maxage=3600",
    "S-MaxAge=3600", 's-maxage="3600"', "max-age=3600, must-revalidate", "max-age=3600, proxy-revalidate",
    "max-age=3600, immutable", "max-age=3600, no-transform", "max-age=3600, nostore", "max-age=3600, no-storex",
    "max-age=3600, xprivate", "max-age=3600, no_cache", "max-age=3600, only-if-cached",
    "max-age=3600, community=\"private\"", "max-age=3600, no store", "max-age=3600, stale-if-error=x",
])
CASES |= each("1 Cache-Control, {!r} is not stored", lambda v: unstored(f"Cache-Control: {v}"), [
    "max-age=0", "max-age=-1", "max-age=-3600", "max-age=3600.0", "max-age='3600'", "max-age=a3600", "max-age=3600a",
    "max-age=0x10", "max-age=1e3", 'max-age="-1"', 'max-age=""', "max-age=0, max-age=3600", "s-maxage=0, max-age=3600",
    "max-age=3600, s-maxage=0", "s-maxage=-1, max-age=3600", "s-maxage=3600.0, max-age=3600", "max-age=3600, no-store",
    "no-store, max-age=3600", "max-age=3600, No-Store", "max-age=3600,NO-STORE", "max-age=3600, no-store, public",
    "max-age=3600, private", "max-age=3600, Private", "private, s-maxage=3600", "private, public, max-age=3600",
    'foo="max-age=3600"', 'foo=" ,max-age=3600, "', "public", "must-revalidate", "immutable", "max-age=3600 no-store, no-store",
    "s-maxage = 3600", "foo", "",
])
CASES |= each("1 a value that is no number is stale, not absent: {}", lambda v: validated(
    f"Cache-Control: {v}", "Expires: @3600@", TAG), ["max-age=3600.0", "max-age='3600'", "max-age=x", "s-maxage=-1, max-age=9"])
CASES |= {
    "1 Cache-Control, no space around =": unstored("Cache-Control: max-age =3600"),
    "1 Cache-Control, no space behind =": unstored("Cache-Control: max-age= 3600"),
    "1 Cache-Control of two lines": unstored("Cache-Control: max-age=3600", "Cache-Control: no-store"),
    "1 Cache-Control of two lines, the lifetime in the second": fresh("Cache-Control: public", "Cache-Control: max-age=3600"),
    "1 Cache-Control, the first line empty": fresh("Cache-Control: ", "Cache-Control: max-age=3600"),
    "1 Cache-Control, the first line empty, then no-store": unstored("Cache-Control:", "Cache-Control: max-age=3600, no-store"),
    "1 Cache-Control, the first line of a name wins": fresh("Cache-Control: max-age=3600", "Cache-Control: max-age=0"),
    "1 the name of the field in other case": fresh("cache-control: max-age=3600"),
    "1 Pragma in an answer says nothing": fresh(CACHEABLE, "Pragma: no-cache"),
    "1 Pragma in a request says nothing": [asks(ok(CACHEABLE)), hit("Pragma: no-cache")],
    "1 unknown directives in a request say nothing": [asks(ok(CACHEABLE)), hit("Cache-Control: foo, bar=baz")],
}

# ---------------------------------------------------------------- 1 targeted fields (RFC 9213)

CDN = "CDN-Cache-Control: "
CASES |= each("1 CDN-Cache-Control {!r} beats no-store", lambda v: fresh(CDN + v, "Cache-Control: no-store"), [
    "max-age=3600", "max-age=3600, foo", "max-age=3600;bar=1", "foo=(1 2 3), max-age=3600", 'foo="x", max-age=3600',
    "max-age=0, max-age=3600", "max-age=3600, foo=?1", "max-age=3600, foo=1.5", "max-age=3600, foo=:aGVsbG8=:",
    "max-age=3600  ,   foo", "a.b-c_d*e=1, max-age=3600", "s-maxage=3600",
])
CASES |= each("1 CDN-Cache-Control {!r} beats max-age", lambda v: unstored(CDN + v, CACHEABLE), [
    "max-age=0", "no-store", "private", "private, max-age=3600", "no-store, max-age=3600", "max-age=3600, max-age=0",
    'max-age="3600"', "max-age=3600.5", "max-age", "max-age=(3600)", "foo", "no-store=?1, max-age=3600",
])
CASES |= each("1 CDN-Cache-Control {!r} is no dictionary", lambda v: unstored(CDN + v, "Cache-Control: no-store"), [
    "max-age =3600", "max-age= 3600", "max-age = 3600", "Max-Age=3600", "MAX-AGE=3600", "max-age=3600,", "max-age=3600,,foo",
    ",max-age=3600", "max-age=3600, &", "max-age=3600;", "max-age=3600 foo", "max-age=3600, Foo", 'max-age=3600, foo="bar',
    "max-age=3600, foo='bar'", "max-age=3600, foo=(1", "max-age=3600, 1foo", "max-age=99999999999999999999", "",
])
CASES |= {
    "1 no dictionary, so that Cache-Control governs": fresh(CDN + "max-age=0, Foo", CACHEABLE),
    "1 an empty targeted field, so that Cache-Control governs": fresh(CDN, CACHEABLE),
    "1 a targeted field governs over Expires": unstored(CDN + "max-age=0", "Expires: @3600@"),
    "1 a targeted field without a lifetime governs over Expires": unstored(CDN + "foo", "Expires: @3600@"),
    "1 a targeted field in two lines": fresh(CDN + "foo", CDN + "max-age=3600", "Cache-Control: no-store"),
    "1 an error in the second line": unstored(CDN + "max-age=3600", CDN + "!", "Cache-Control: no-store"),
    "1 no-cache in a targeted field": validated(CDN + "no-cache", CACHEABLE, TAG),
    "1 no-cache in Cache-Control below a targeted field": fresh(CDN + "max-age=3600", "Cache-Control: no-cache", TAG),
    "1 private in Cache-Control below a targeted field": fresh(CDN + "max-age=3600", "Cache-Control: private"),
    "1 a targeted field reaches the client": [
        asks(ok(CDN + "max-age=3600"), has={"CDN-Cache-Control": "max-age=3600"}),
        hit(has={"CDN-Cache-Control": "max-age=3600"})],
    "1 Surrogate-Control governs": fresh("Surrogate-Control: max-age=3600", "Cache-Control: no-store"),
    "1 Surrogate-Control: no-store": unstored("Surrogate-Control: no-store", CACHEABLE),
    "1 Surrogate-Control is for weir alone": [
        asks(ok("Surrogate-Control: max-age=3600"), has={"Surrogate-Control": None}),
        hit(has={"Surrogate-Control": None})],
    "1 CDN-Cache-Control comes before Surrogate-Control": unstored("Surrogate-Control: max-age=3600", CDN + "no-store"),
    "1 Surrogate-Control when CDN-Cache-Control is broken": fresh("Surrogate-Control: max-age=3600", CDN + "No-Store"),
    "1 targeted fields of other caches say nothing": unstored("Other-CDN-Cache-Control: max-age=3600"),
    "1 targeted fields by configuration": fresh("My-Cache-Control: max-age=3600", "Cache-Control: no-store", policy="targeted"),
    "1 targeted fields by configuration are all of them": unstored(CDN + "max-age=3600", policy="targeted"),
}

# ---------------------------------------------------------------- 1 dates

CASES |= each("1 Expires in the form {}", lambda v: fresh(f"Expires: @3600 {v}@"),
              ["imf", "rfc850", "asctime", "lower", "upper", "lower850"])
CASES |= each("1 Expires not in the form {}", lambda v: unstored(f"Expires: @90000 {v}@"), [
    "no-zone", "utc", "aest", "+0000", "short-year", "no-comma", "two-spaces", "two-spaces-time", "dashes", "dots",
    "short-hour", "iso", "seconds", "no-weekday", "no-seconds", "short-weekday-850"])
CASES |= each("1 Expires: {!r}", lambda v: unstored(f"Expires: {v}"), [
    "0", "-1", "", "never", "Thu, 32 Dec 2099 00:00:00 GMT", "Thu, 31 Foo 2099 00:00:00 GMT", "Thu, 31 Dec 2099 24:00:00 GMT",
    "Thu, 31 Dec 2099 00:60:00 GMT", "Thu, 31 Dec 2099 00:00:00 GMT foo", "Thu, 31 Dec 1970 00:00:00 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT", "Monday, 01-Jan-90 00:00:00 GMT"])
CASES |= {
    "1 Expires after 2038": fresh("Expires: Tue, 19 Jan 2038 03:14:09 GMT"),
    "1 Expires after 2106": fresh("Expires: Sun, 07 Feb 2106 06:28:17 GMT"),
    "1 Expires in 2286": fresh("Expires: Sat, 20 Nov 2286 17:46:41 GMT"),
    "1 Expires in 9999": fresh("Expires: Fri, 31 Dec 9999 23:59:59 GMT"),
    "1 Date in the form of RFC 850": fresh("Expires: @3600@", "Date: @0 rfc850@"),
    "1 Date in the form of asctime counts": unstored("Expires: @-10@", "Date: @-10 asctime@"),
    "1 Last-Modified in the form of RFC 850": fresh("Last-Modified: @-864000 rfc850@"),
    "1 Last-Modified in the form of asctime": fresh("Last-Modified: @-864000 asctime@"),
    "1 Last-Modified that is none": [asks(ok("Last-Modified: @-864000 dashes@")), either(ok()), either(ok())],
}

# ---------------------------------------------------------------- 1 Age

CASES |= each("1 Age: {} makes old", lambda v: unstored(CACHEABLE, f"Age: {v}"), [
    "3600", "7200", "7200, 0", "2147483647", "2147483648", "99999999999999999999999999", "0007200"])
CASES |= each("1 Age: {} is none", lambda v: fresh(CACHEABLE, f"Age: {v}"), [
    "7200.0", "-1", "-7200", "abc", "7200a", '"7200"', "0, 7200", "+7200", "7200;a=b"])
CASES |= {
    "1 the first line of Age": fresh(CACHEABLE, "Age: 0", "Age: 7200"),
    "1 the first line of Age, when it is the larger": unstored(CACHEABLE, "Age: 7200", "Age: 0"),
}

# ---------------------------------------------------------------- 2 may it be stored: statuses

STATUSES = (200, 201, 202, 203, 204, 226, 299, 300, 301, 302, 303, 307, 308, 400, 402, 403, 404, 405, 406, 408, 409, 410, 411,
            414, 415, 418, 421, 422, 423, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 599)
CASES |= each("2 {} with a lifetime", lambda s: [asks(say(s, CACHEABLE)), hit()], STATUSES)
CASES |= each("2 {} without one", lambda s: [asks(say(s)), asks(ok())],
              (200, 204, 299, 301, 302, 400, 404, 410, 500, 503, 599))
CASES |= {
    "2 304 is not stored": [asks(say(304, CACHEABLE, TAG, stamp=False), 'If-None-Match: "a"'), asks(ok(CACHEABLE))],
    "2 206 does not answer for the whole": [
        asks(say(206, CACHEABLE, "Content-Range: bytes 0-3/10", body=b"0123"), "Range: bytes=0-3"), asks(ok(CACHEABLE)), hit()],
    "2 206 that nobody asked for": [
        asks(say(206, CACHEABLE, "Content-Range: bytes 0-3/10", body=b"0123")), asks(ok())],
    "2 416 answers for its range only": [
        asks(say(416, CACHEABLE, "Content-Range: bytes */10"), "Range: bytes=50-"), asks(ok(CACHEABLE)), hit()],
    "2 412 answers for its condition only": [
        asks(say(412, CACHEABLE), 'If-Match: "x"'), asks(ok(CACHEABLE)), hit()],
    "2 412 of If-Unmodified-Since": [
        asks(say(412, CACHEABLE), "If-Unmodified-Since: @-9999@"), asks(ok(CACHEABLE)), hit()],
    "2 an empty body": [asks(ok(CACHEABLE, body=b"")), hit()],
    "2 a chunked body": [asks(ok(CACHEABLE, framing="chunked")), hit()],
    "2 a body that ends with the connection": [asks(ok(CACHEABLE, framing="close")), hit()],
    "2 a body of 300 KB": [asks(ok(CACHEABLE, body=b"0123456789" * 30_000)), hit()],
    "2 a chunked body of 300 KB": [asks(ok(CACHEABLE, body=b"0123456789" * 30_000, framing="chunked")), hit()],
    "2 half a body of known length": [asks(ok(CACHEABLE, end="cut"), complete=False), asks(ok(CACHEABLE)), hit()],
    "2 half a chunked body": [asks(ok(CACHEABLE, end="cut", framing="chunked"), complete=False), asks(ok(CACHEABLE)), hit()],
    "2 no answer at all": [asks(DEAD, status=502), asks(ok(CACHEABLE)), hit()],
    "2 no answer at all, by reset": [asks(ok(CACHEABLE, end="reset"), status=502), asks(ok(CACHEABLE)), hit()],
}

# ---------------------------------------------------------------- 2 methods and requests

POSTED = (CACHEABLE, "Content-Location: ")
CASES |= each("2 {} is not answered from the store", lambda m: [
    asks(ok(CACHEABLE)), asks(say(400), method=m), hit(of=1)], ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FOO"])
CASES |= each("2 what {} gets is not stored", lambda m: [
    asks(ok(CACHEABLE), method=m), asks(ok()), asks(ok())], ["PUT", "DELETE", "PATCH", "OPTIONS", "FOO", "HEAD", "POST"])
CASES |= {
    "2 HEAD stores nothing for HEAD": [asks(ok(CACHEABLE), method="HEAD"), asks(ok(CACHEABLE), method="HEAD")],
    "2 POST with its Content-Location": [
        asks(ok(CACHEABLE, "Content-Location: @path@"), method="POST", body=b"x"), hit()],
    "2 POST with a whole Content-Location": [
        asks(ok(CACHEABLE, "Content-Location: http://plain.test@path@"), method="POST", body=b"x"), hit()],
    "2 POST with a relative Content-Location": [
        asks(ok(CACHEABLE, "Content-Location: .@path@"), method="POST", body=b"x"), hit()],
    "2 POST with its query": [
        asks(ok(CACHEABLE, "Content-Location: @path@?a=1"), method="POST", at="?a=1", body=b"x"), hit(at="?a=1")],
    "2 POST with another Content-Location": [
        asks(ok(CACHEABLE, "Content-Location: @path@/x"), method="POST", body=b"x"), asks(ok()),
                asks(ok(), at="/x")],
    "2 POST with the Content-Location of another host": [
        asks(ok(CACHEABLE, "Content-Location: http://ten.test@path@"), method="POST", body=b"x"), asks(ok())],
    "2 POST without a lifetime": [
        asks(ok("Content-Location: @path@", TAG), method="POST", body=b"x"), asks(ok())],
    "2 POST without Content-Location": [asks(ok(CACHEABLE), method="POST", body=b"x"), asks(ok())],
    "2 POST with 201 and its Content-Location": [
        asks(say(201, CACHEABLE, "Content-Location: @path@"), method="POST", body=b"x"), asks(ok())],
    "2 POST with no-store": [
        asks(ok(CACHEABLE + ", no-store", "Content-Location: @path@"), method="POST", body=b"x"), asks(ok())],
    "2 POST in the place of what is stored": [
        asks(ok(CACHEABLE)), asks(ok(CACHEABLE, "Content-Location: @path@"), method="POST", body=b"x"), hit(of=2)],
    "2 POST is never answered by what POST stored": [
        asks(ok(CACHEABLE, "Content-Location: @path@"), method="POST", body=b"x"),
                asks(ok(CACHEABLE), method="POST", body=b"x")],
    "2 no-store in a request": [asks(ok(CACHEABLE), "Cache-Control: no-store"), asks(ok(CACHEABLE)), hit()],
    "2 no-store in a request, other case": [asks(ok(CACHEABLE), "Cache-Control: No-Store"), asks(ok(CACHEABLE)), hit()],
    "2 no-store in a request among others": [asks(ok(CACHEABLE), "Cache-Control: a, no-store, b"), asks(ok(CACHEABLE)), hit()],
    "2 no-store in a request leaves what is stored": [asks(ok(CACHEABLE)), either(ok(CACHEABLE), "Cache-Control: no-store"), hit(of=1)],
    "2 no-store in a request that nobody looks at": under("ignore", asks(ok(CACHEABLE), "Cache-Control: no-store"), hit()),
    "2 cookies in a request do not matter": [asks(ok(CACHEABLE), "Cookie: a=b"), hit(), hit("Cookie: c=d")],
}

# ---------------------------------------------------------------- 2 Authorization

AUTH = "Authorization: Basic YTpi"
CASES |= each("2 Authorization, and {!r} allows it", lambda v: [asks(ok("Cache-Control: " + v), AUTH), hit()], [
    "max-age=3600, public", "max-age=3600, must-revalidate", "s-maxage=3600", "max-age=3600, s-maxage=10", "Public, max-age=3600"])
CASES |= each("2 Authorization, and {!r} does not allow it", lambda v: [
    asks(ok("Cache-Control: " + v), AUTH), asks(ok("Cache-Control: " + v), AUTH), asks(ok())], [
        "max-age=3600", "max-age=3600, proxy-revalidate", "max-age=3600, immutable", 'max-age=3600, foo="public"',
        "max-age=3600, no-transform", "public, no-store, max-age=3600", "private, must-revalidate, max-age=3600"])
CASES |= {
    "2 Authorization and Expires": [asks(ok("Expires: @3600@"), AUTH), asks(ok())],
    "2 Authorization and a heuristic lifetime": [asks(ok("Last-Modified: @-864000@"), AUTH), asks(ok(), saw={"If-Modified-Since": None})],
    "2 Authorization, public and a heuristic lifetime": [asks(ok("Last-Modified: @-864000@", "Cache-Control: public"), AUTH), hit()],
    "2 Authorization and a targeted field": [asks(ok(CDN + "max-age=3600", "Cache-Control: public"), AUTH), asks(ok())],
    "2 Authorization and public in a targeted field": [asks(ok(CDN + "max-age=3600, public"), AUTH), hit()],
    "2 Authorization and a lifetime by configuration": under("ten", asks(ok(), AUTH), asks(ok())),
    "2 another scheme of Authorization": [asks(ok(CACHEABLE), "Authorization: Bearer x"), asks(ok())],
    "2 an empty Authorization": [asks(ok(CACHEABLE), "Authorization:"), asks(ok())],
}

# ---------------------------------------------------------------- 2 must-understand, Vary: *, validators

CASES |= {
    "2 must-understand with a known status": fresh("Cache-Control: max-age=3600, no-store, must-understand"),
    "2 must-understand before no-store": fresh("Cache-Control: must-understand, no-store, max-age=3600"),
    "2 must-understand with an unknown status": [
        asks(say(299, "Cache-Control: max-age=3600, must-understand")), asks(ok())],
    "2 must-understand, no-store and an unknown status": [
        asks(say(499, "Cache-Control: max-age=3600, no-store, must-understand")), asks(ok())],
    "2 must-understand does not allow private": unstored("Cache-Control: max-age=3600, private, must-understand"),
    "2 must-understand in a targeted field": fresh(CDN + "max-age=3600, no-store, must-understand"),
    "2 must-understand below a targeted field says nothing": unstored(CDN + "max-age=3600, no-store", "Cache-Control: must-understand"),
}
CASES |= each("2 Vary: {!r} is never stored", lambda v: unstored(CACHEABLE, f"Vary: {v}"), [
    "*", "*, Foo", "Foo, *", ", *", "* ,", "Foo,*,Bar", " * "])
CASES |= {
    "2 Vary: * in the second line": unstored(CACHEABLE, "Vary: Foo", "Vary: *"),
    "2 Vary: * behind an empty line": unstored(CACHEABLE, "Vary:", "Vary: *"),
    "2 Vary: * with a validator": [asks(ok(CACHEABLE, "Vary: *", TAG)), asks(ok(), saw={"If-None-Match": None})],
    "2 an empty Vary": fresh(CACHEABLE, "Vary:"),
    "2 no-cache with an entity tag is kept": validated("Cache-Control: no-cache", TAG, saw={"If-None-Match": '"a"'}),
    "2 no-cache with Last-Modified is kept": validated(
        "Cache-Control: no-cache", "Last-Modified: @-100@", saw={"If-Modified-Since": "@-100@"}),
    "2 max-age=0 with an entity tag is kept": validated("Cache-Control: max-age=0", TAG, saw={"If-None-Match": '"a"'}),
    "2 nothing but an entity tag is kept": validated(TAG, saw={"If-None-Match": '"a"'}),
    "2 neither lifetime nor validator": unstored(),
    "2 no-store with an entity tag is not kept": [asks(ok("Cache-Control: no-store", TAG)), asks(ok(), saw={"If-None-Match": None})],
    "2 private with an entity tag is not kept": [asks(ok("Cache-Control: private", TAG)), asks(ok(), saw={"If-None-Match": None})],
    "2 private fields do not reach others": [
        asks(ok(CACHEABLE + ', private="X-Mine"', "X-Mine: secret"), has={"X-Mine": "secret"}), either(ok(), has={"X-Mine": None})],
}

# ---------------------------------------------------------------- 2 Set-Cookie

COOKIE = "Set-Cookie: id=secret"
CASES |= {
    "2 Set-Cookie with a stated lifetime": [
        asks(ok(CACHEABLE, COOKIE), has={"Set-Cookie": "id=secret"}), hit(has={"Set-Cookie": None})],
    "2 several Set-Cookie with a stated lifetime": [
        asks(ok(CACHEABLE, COOKIE, "Set-Cookie: b=c"), has={"Set-Cookie": ["id=secret", "b=c"]}), hit(has={"Set-Cookie": None})],
    "2 Set-Cookie and Expires": [asks(ok("Expires: @3600@", COOKIE)), hit(has={"Set-Cookie": None})],
    "2 Set-Cookie that may be kept": under(
        "keep", asks(ok(CACHEABLE, COOKIE)), hit(has={"Set-Cookie": "id=secret"})),
    "2 Set-Cookie and a heuristic lifetime": [
        asks(ok("Last-Modified: @-864000@", COOKIE)), either(ok(), has={"Set-Cookie": None})],
    "2 Set-Cookie that may be kept and a heuristic lifetime": under(
        "keep", asks(ok("Last-Modified: @-864000@", COOKIE)), either(ok(), has={"Set-Cookie": None})),
    "2 Set-Cookie and a lifetime by configuration": under(
        "ten", asks(ok(COOKIE)), either(ok(), has={"Set-Cookie": None})),
    "2 Set-Cookie and an entity tag": [asks(ok(TAG, COOKIE)), either(same(), has={"Set-Cookie": None}, status=(200, 304))],
    "2 Set-Cookie of a 304 is for its client": [
        asks(ok(CACHEABLE, TAG, "Age: 3600")), checks(same(CACHEABLE, COOKIE)), hit(of=1, has={"Set-Cookie": None})],
}

# ---------------------------------------------------------------- 2 fields

HOPS = ("Connection: X-Hop, close", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Connection: x", "Proxy-Authenticate: Basic",
        "Proxy-Authentication-Info: x", "TE: trailers", "Trailer: X-T", "Upgrade: foo")
GONE = dict.fromkeys(["X-Hop", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info", "TE",
                      "Trailer", "Upgrade", "Transfer-Encoding"])
CASES |= {
    "2 fields of one hop are not stored": [
        asks(ok(CACHEABLE, *HOPS, framing="close"), has=dict.fromkeys(["X-Hop", "Keep-Alive", "Proxy-Connection"])), hit(has=GONE)],
    "2 a chunked answer has its length when it is stored": [
        asks(ok(CACHEABLE, framing="chunked", body=b"hello")), hit(has={"Transfer-Encoding": None, "Content-Length": "5"})],
    "2 Connection in two lines": [
        asks(ok(CACHEABLE, "Connection: x-a", "Connection: X-B", "X-A: 1", "X-B: 2", "X-C: 3")),
        hit(has={"X-A": None, "X-B": None, "X-C": "3"})],
    "2 all else is kept in order": [
        asks(ok(CACHEABLE, "X-A: 1", "X-B: 2", "x-a: 3", "X-Empty:", "X-Spaces: a  b\tc", "X-A: 1", "X-High: \xe4\xff")),
        hit(has={"X-A": ["1", "3", "1"], "X-B": "2", "X-Empty": [""], "X-Spaces": "a  b\tc", "X-High": "\xe4\xff"})],
}
CASES |= each("2 {} is kept", lambda f: [asks(ok(CACHEABLE, f)), hit(has={f.split(": ")[0]: f.split(": ")[1]})], [
    "Content-Range: bytes 0-3/10", "Content-Encoding: foo", "Content-MD5: x", "Content-Language: de", "Location: /x",
    "Content-Disposition: attachment", "Server: Foo/1.0", "Expires: 0", "Pragma: no-cache", "Warning: 110 - x",
    "Accept-Ranges: bytes", "Content-Type: text/plain; charset=utf-8", "Strict-Transport-Security: max-age=1",
    "Set-Cookie2: x", "Link: </a>; rel=preload", "Public-Key-Pins: x", "WWW-Authenticate: Basic realm=x", "Retry-After: 5",
    "Access-Control-Allow-Origin: *", "Test-Header: x", "ETag: \"a\"", "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"])

# ---------------------------------------------------------------- 2 interim answers

HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Hint: 1"
CASES |= {
    "2 103 goes through, and is not stored": [
        asks(ok(CACHEABLE, interim=(HINTS,)), interim=(103,), has={"X-Hint": None, "Link": None}),
        hit(has={"X-Hint": None, "Link": None})],
    "2 102 goes through, and is not stored": [
        asks(ok(CACHEABLE, interim=("HTTP/1.1 102 Processing\r\nX-Hint: 1",)), interim=(102,)), hit(has={"X-Hint": None})],
    "2 several of them": [asks(ok(CACHEABLE, interim=(HINTS, HINTS)), interim=(103, 103)), hit()],
    "2 a lifetime in 103 says nothing": [
        asks(ok(interim=("HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=3600",)), interim=(103,)), asks(ok())],
    "2 no-store in 103 says nothing": [
        asks(ok(CACHEABLE, interim=("HTTP/1.1 103 Early Hints\r\nCache-Control: no-store",)), interim=(103,)), hit()],
    "2 103 before 304": [
        asks(ok(CACHEABLE, TAG, "Age: 3600")), checks(same(CACHEABLE, interim=(HINTS,)), interim=(103,)), hit(of=1, has={"X-Hint": None})],
}

# ---------------------------------------------------------------- 3 lifetime

LONG_AGO = "Last-Modified: @-864000@"
CASES |= {
    "3 s-maxage before max-age": unstored("Cache-Control: max-age=3600, s-maxage=0"),
    "3 max-age before Expires, when it is 0": unstored("Cache-Control: max-age=0", "Expires: @3600@"),
    "3 max-age before Expires, when that is over": fresh(CACHEABLE, "Expires: @-3600@"),
    "3 Expires is not looked at behind s-maxage": fresh("Cache-Control: s-maxage=3600", "Expires: 0"),
    "3 Expires": fresh("Expires: @3600@"),
    "3 Expires equal to Date": unstored("Expires: @0@", "Date: @0@"),
    "3 Expires before Date": unstored("Expires: @3600@", "Date: @3601@"),
    "3 Expires behind a Date in the future": fresh("Expires: @7200@", "Date: @3600@"),
    "3 Expires without Date": fresh("Expires: @3600@", date=False),
    "3 Expires in the past without Date": unstored("Expires: @-5@", date=False),
    "3 Expires with a broken Date": fresh("Expires: @3600@", "Date: foo"),
    "3 Expires in the past with a broken Date": unstored("Expires: @-5@", "Date: 0"),
    "3 Expires twice": unstored("Expires: @3600@", "Expires: @7200@"),
    "3 Expires twice, the first over": unstored("Expires: @-10@", "Expires: @7200@"),
    "3 Expires is 0, so that nothing is guessed": validated("Expires: 0", LONG_AGO),
    "3 max-age is 0, so that nothing is guessed": validated("Cache-Control: max-age=0", LONG_AGO),
    "3 age by Date": unstored(CACHEABLE, "Date: @-3600@"),
    "3 age just below the lifetime by Date": fresh(CACHEABLE, "Date: @-3500@"),
    "3 Date and Expires of yesterday": unstored("Date: @-86400@", "Expires: @-82800@"),
    "3 Date of yesterday, Expires tomorrow": fresh("Date: @-86400@", "Expires: @86400@"),
    "3 a Date in the future makes nothing younger": unstored(CACHEABLE, "Date: @86400@", "Age: 7200"),
    "3 a Date in the future is age 0": [asks(ok(CACHEABLE, "Date: @86400@")), hit(age=0)],
    "3 the larger of Age and Date, Age": [asks(ok(CACHEABLE, "Date: @-100@", "Age: 200")), hit(age=200)],
    "3 the larger of Age and Date, Date": [asks(ok(CACHEABLE, "Date: @-300@", "Age: 200")), hit(age=300)],
    "3 Age 3599 of 3600": [asks(ok("Cache-Control: max-age=3605", "Age: 3600")), hit(age=3600)],
    "3 without Date": [asks(ok(CACHEABLE, date=False)), hit(age=0)],
    "3 without Date, with Age": [asks(ok(CACHEABLE, "Age: 50", date=False)), hit(age=50)],
    "3 the time that the answer took is age": [asks(ok("Cache-Control: max-age=1", date=False, delay=1.3)), asks(ok())],
    "3 it takes its time": [asks(ok(CACHEABLE, "Age: 10", date=False, delay=1.2)), hit(age=11)],
    "3 it ends": [asks(ok("Cache-Control: max-age=2", date=False)), hit(), hit(pause=1), asks(ok(), pause=1.3)],
    "3 it ends, by s-maxage": [asks(ok("Cache-Control: s-maxage=1", date=False)), hit(), asks(ok(), pause=1.2)],
    "3 it ends, by Expires": [asks(ok("Expires: @3@")), hit(), asks(ok(), pause=3.2)],
    "3 age grows": [asks(ok(CACHEABLE, "Age: 10", date=False)), hit(age=10), hit(age=12, pause=2.0)],
    "3 age is not rounded up": [asks(ok(CACHEABLE, date=False)), hit(age=0, pause=0.6, has={"Age": "0"})],
}

# ---------------------------------------------------------------- 3 heuristics

CASES |= each("3 {} is fresh by heuristics", lambda s: [asks(say(s, LONG_AGO)), hit()],
              (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501))
CASES |= each("3 {} is not fresh by heuristics", lambda s: validated(LONG_AGO, status=s, saw={"If-Modified-Since": "@-864000@"}),
              (201, 202, 302, 303, 307, 400, 403, 502, 503, 504, 299, 499, 599))
CASES |= each("3 {} with public is", lambda s: [asks(say(s, LONG_AGO, "Cache-Control: public")), hit()],
              (201, 202, 302, 403, 503, 299, 599))
CASES |= {
    "3 a tenth of the time since Last-Modified": fresh("Last-Modified: @-1000@", "Age: 90"),
    "3 no more than a tenth": validated("Last-Modified: @-1000@", "Age: 101"),
    "3 a tenth up to Date, not up to now": validated("Last-Modified: @-1000@", "Date: @-95@"),
    "3 Last-Modified in the future": validated("Last-Modified: @1000@"),
    "3 Last-Modified now": validated("Last-Modified: @0@", "Date: @0@"),
    "3 never guessed longer than a day": validated("Last-Modified: @-31536000@", "Age: 86500"),
    "3 guessed up to a day": fresh("Last-Modified: @-31536000@", "Age: 86300"),
    "3 nothing is guessed with no-cache": validated(LONG_AGO, "Cache-Control: no-cache"),
    "3 nothing is guessed when it is switched off": under("unguessed", asks(ok(LONG_AGO)), checks(same())),
    "3 half of the time by configuration": under("half", asks(ok("Last-Modified: @-1000@", "Age: 450")), hit()),
    "3 no more than half": under("half", asks(ok("Last-Modified: @-1000@", "Age: 501")), checks(same())),
    "3 a query is no hindrance": [asks(ok(LONG_AGO), at="?a"), hit(at="?a")],
    "3 an entity tag is no hindrance": fresh(LONG_AGO, TAG),
    "3 other directives are no hindrance": fresh(LONG_AGO, "Cache-Control: must-revalidate"),
}

# ---------------------------------------------------------------- 3 by configuration

CASES |= {
    "3 a lifetime by configuration": under("ten", asks(ok()), hit()),
    "3 a lifetime by configuration, age counts": under("ten", asks(ok("Age: 601")), asks(ok())),
    "3 max-age before it": under("ten", asks(ok("Cache-Control: max-age=0")), asks(ok())),
    "3 Expires before it": under("ten", asks(ok("Expires: 0")), asks(ok())),
    "3 no-store before it": under("ten", asks(ok("Cache-Control: no-store")), asks(ok())),
    "3 private before it": under("ten", asks(ok("Cache-Control: private")), asks(ok())),
    "3 no-cache before it": under("ten", asks(ok("Cache-Control: no-cache", TAG)), checks(same())),
    "3 a longer max-age before it": under("ten", asks(ok("Cache-Control: max-age=7200", "Age: 3600")), hit()),
    "3 500 is not what it is for": under("ten", asks(say(500)), asks(ok())),
    "3 a lifetime of a status": under("statuses", asks(say(404)), hit()),
    "3 a lifetime of the second status of a row": under("statuses", asks(say(502)), hit()),
    "3 a lifetime of 500": under("statuses", asks(say(500)), hit()),
    "3 not that of another status": under("statuses", asks(say(403)), asks(ok())),
    "3 a row before the lifetime of all": under("statuses", asks(say(301)), asks(ok(), pause=1.3)),
    "3 what the answer states before the row": under("statuses", asks(say(404, "Cache-Control: no-store")), asks(ok())),
    "3 not before it has been asked for often": under("uses", asks(ok(CACHEABLE)), asks(ok(CACHEABLE)), asks(ok(CACHEABLE)), hit()),
    "3 what is too large": under("small", asks(ok(CACHEABLE, body=b"x" * 1025)), asks(ok(CACHEABLE, body=b"x" * 1024)), hit()),
    "3 what is too large, chunked": under(
        "small", asks(ok(CACHEABLE, body=b"x" * 1025, framing="chunked")), asks(ok(CACHEABLE, body=b"x" * 1024, framing="chunked")), hit()),
    "3 bypass": under("bypass", asks(ok(CACHEABLE)), hit(), asks(ok(CACHEABLE), "X-Bypass: 1"), hit(of=1)),
    "3 bypass stores nothing": under("bypass", asks(ok(CACHEABLE), "X-Bypass: 1"), asks(ok(CACHEABLE))),
    "3 without a cache": under("off", asks(ok(CACHEABLE)), asks(ok(CACHEABLE))),
}

# ---------------------------------------------------------------- 4 key


def two_keys(first, second, policy="plain", **kw):
    return under(policy, asks(ok(CACHEABLE), **first, **kw), asks(ok(CACHEABLE), **second, **kw), hit(of=1, **first), hit(of=2, **second))


CASES |= {
    "4 another path": two_keys({"at": "/a"}, {"at": "/b"}),
    "4 another case of the path": two_keys({"at": "/a"}, {"at": "/A"}),
    "4 a slash at the end": two_keys({"at": "/a"}, {"at": "/a/"}),
    "4 another query": two_keys({"at": "?a=1"}, {"at": "?a=2"}),
    "4 a query and none": two_keys({"at": ""}, {"at": "?a"}),
    "4 an empty query": two_keys({"at": ""}, {"at": "?"}),
    "4 the order of a query": two_keys({"at": "?a=1&b=2"}, {"at": "?b=2&a=1"}),
    "4 another case of the query": two_keys({"at": "?a"}, {"at": "?A"}),
    "4 another spelling of the query": two_keys({"at": "?a=%41"}, {"at": "?a=A"}),
    "4 another host": two_keys({"host": "x."}, {"host": "y."}, policy="plain"),
    "4 the host in another case": [asks(ok(CACHEABLE), host="x."), hit(host="X.")],
    "4 a part of the key by configuration": under(
        "keyed", asks(ok(CACHEABLE), "X-Key: a"), hit("X-Key: a"), asks(ok(CACHEABLE), "X-Key: b"), hit("X-Key: a", of=1),
        asks(ok(CACHEABLE)), hit("X-Key: b", of=2)),
    "4 a site that is spelled out": [asks(ok(CACHEABLE)), hit(host="")],
}

# ---------------------------------------------------------------- 4 Vary


def vary(field, stored, asked, make, names=None):
    """`stored` and `asked` are lists of lines of that field in the two requests."""
    lines = lambda values: [f"{field}: {v}" for v in values]  # noqa: E731
    answer = ok(CACHEABLE, f"Vary: {names or field}")
    second = hit(*lines(asked)) if make is hit else asks(ok(CACHEABLE, f"Vary: {field}"), *lines(asked))
    return [asks(answer, *lines(stored)), second]


VARY_SAME = {
    "the same": ("Foo", ["1"], ["1"]), "absent in both": ("Foo", [], []), "space in a list": ("Foo", ["1,2"], [" 1, 2 "]),
    "more space in a list": ("Foo", ["1,2"], ["1 ,\t2"]), "lines joined": ("Foo", ["1, 2"], ["1", "2"]),
    "empty in both": ("Foo", [""], [""]),
    "the same language": ("Accept-Language", ["de"], ["de"]), "case of a language": ("Accept-Language", ["de-CH"], ["DE-ch"]),
    "order of languages by q": ("Accept-Language", ["de;q=0.5, en"], ["en, de;q=0.5"]),
    "order of languages of the same q": ("Accept-Language", ["de, en"], ["en, de"]),
    "spelling of q": ("Accept-Language", ["de;q=0.5"], ["de ; q=0.50"]), "q of 1": ("Accept-Language", ["de, en;q=0.1"], ["de;q=1.0, en;q=0.1"]),
    "order of codings": ("Accept-Encoding", ["gzip, br"], ["br, gzip"]), "case of a coding": ("Accept-Encoding", ["gzip"], ["GZIP"]),
    "space among codings": ("Accept-Encoding", ["gzip,br"], ["gzip ,  br"]),
}
VARY_OTHER = {
    "another value": ("Foo", ["1"], ["2"]), "absent then": ("Foo", [], ["1"]), "absent now": ("Foo", ["1"], []), "case": ("Foo", ["a"], ["A"]),
    "order": ("Foo", ["1, 2"], ["2, 1"]), "a part of it": ("Foo", ["1, 2"], ["1"]), "empty and absent": ("Foo", [""], []),
    "space inside": ("Foo", ["1 2"], ["12"]), "another language": ("Accept-Language", ["de"], ["fr"]),
    "another q": ("Accept-Language", ["de;q=0.5, en;q=0.8"], ["de;q=0.8, en;q=0.5"]), "a language less": ("Accept-Language", ["de, en"], ["de"]),
    "another coding": ("Accept-Encoding", ["gzip"], ["br"]), "no coding": ("Accept-Encoding", ["gzip"], []),
}
CASES |= {f"4 Vary, {k}: the same answer": vary(*v, hit) for k, v in VARY_SAME.items()}
CASES |= {f"4 Vary, {k}: another answer": vary(*v, asks) for k, v in VARY_OTHER.items()}
VARY_FOO = (CACHEABLE, "Vary: Foo")
VARY_TWO = (CACHEABLE, "Vary: Foo, Bar")
CASES |= {
    "4 Vary in another case": vary("Foo", ["1"], ["1"], hit, "fOO"),
    "4 Vary in another case, another value": vary("Foo", ["1"], ["2"], asks, "fOO"),
    "4 Vary with empty members": vary("Foo", ["1"], ["2"], asks, ",, Foo ,"),
    "4 fields that are not in Vary": [asks(ok(*VARY_FOO), "Foo: 1", "Bar: 1"), hit("Foo: 1", "Bar: 2", "Accept: x", "User-Agent: y")],
    "4 Vary of two fields, both the same": [asks(ok(*VARY_TWO), "Foo: 1", "Bar: a"), hit("Bar: a", "Foo: 1")],
    "4 Vary of two fields, the second differs": [asks(ok(*VARY_TWO), "Foo: 1", "Bar: a"), asks(ok(*VARY_TWO), "Foo: 1", "Bar: b")],
    "4 Vary of two fields, one is absent": [asks(ok(*VARY_TWO), "Foo: 1", "Bar: a"), asks(ok(*VARY_TWO), "Foo: 1")],
    "4 Vary of two fields, values change places": [asks(ok(*VARY_TWO), "Foo: 1", "Bar: 2"), asks(ok(*VARY_TWO), "Foo: 2", "Bar: 1")],
    "4 Vary in two lines": [
        asks(ok(CACHEABLE, "Vary: Foo", "Vary: Bar"), "Foo: 1", "Bar: a"), asks(ok(CACHEABLE), "Foo: 1", "Bar: b")],
    "4 Vary of twenty fields": [
        asks(ok(CACHEABLE, "Vary: " + ",".join(f"V{i}" for i in range(20))), *(f"V{i}: x" for i in range(20))),
        hit(*(f"V{i}: x" for i in range(19, -1, -1))), asks(ok(CACHEABLE), *(f"V{i}: x" for i in range(19)))],
    "4 many answers of one key": [
        *(asks(ok(*VARY_FOO), f"Foo: {i}") for i in range(20)), *(hit(f"Foo: {i}", of=i + 1) for i in range(20))],
    "4 a new answer takes the place of its like": [
        asks(ok(*VARY_FOO, "Age: 3600", TAG), "Foo: 1"), asks(ok(*VARY_FOO), "Foo: 2"), asks(ok(*VARY_FOO), "Foo: 1"),
        hit("Foo: 1", of=3), hit("Foo: 2", of=2)],
    "4 the newest that fits": [asks(ok(*VARY_FOO), "Foo: 1"), asks(ok(CACHEABLE), "Foo: 2"), hit("Foo: 1", of=2), hit("Foo: 3", of=2)],
    "4 the newest that fits, by other fields": [
        asks(ok(*VARY_FOO), "Foo: 1", "Bar: 1"), asks(ok(CACHEABLE, "Vary: Bar"), "Foo: 2", "Bar: 2"), hit("Foo: 1", "Bar: 2", of=2),
        hit("Foo: 1", "Bar: 1", of=1)],
    "4 Vary of Cookie": [asks(ok(CACHEABLE, "Vary: Cookie"), "Cookie: a=1"), asks(ok(CACHEABLE, "Vary: Cookie"), "Cookie: a=2"), hit("Cookie: a=1", of=1)],
    "4 Vary of Host": [asks(ok(CACHEABLE, "Vary: Host")), hit()],
    "4 Vary of Accept-Encoding, without one": [asks(ok(CACHEABLE, "Vary: Accept-Encoding")), hit()],
    "4 the best language is that of the answer": [
        asks(ok(CACHEABLE, "Vary: Accept-Language", "Content-Language: de"), "Accept-Language: de"),
        hit("Accept-Language: de, en;q=0.5"), hit("Accept-Language: fr;q=0.2, de;q=0.9")],
    "4 the best language is not that of the answer": [
        asks(ok(CACHEABLE, "Vary: Accept-Language", "Content-Language: de"), "Accept-Language: de"),
        asks(ok(CACHEABLE), "Accept-Language: en, de;q=0.5")],
    "4 two languages are the best": [
        asks(ok(CACHEABLE, "Vary: Accept-Language", "Content-Language: de"), "Accept-Language: de"),
        asks(ok(CACHEABLE), "Accept-Language: de, en")],
    "4 the best language, and another field differs": [
        asks(ok(CACHEABLE, "Vary: Accept-Language, Foo", "Content-Language: de"), "Accept-Language: de", "Foo: 1"),
        asks(ok(CACHEABLE), "Accept-Language: de, en;q=0.5", "Foo: 2")],
    "4 the best language, and the answer has none": [
        asks(ok(CACHEABLE, "Vary: Accept-Language"), "Accept-Language: de"), asks(ok(CACHEABLE), "Accept-Language: de, en;q=0.5")],
    "4 the tags of the others are told": [
        asks(ok(*VARY_FOO, 'ETag: "1"'), "Foo: 1"), asks(ok(*VARY_FOO, 'ETag: "2"'), "Foo: 2"),
        asks(ok(*VARY_FOO, 'ETag: "3"'), "Foo: 3",
             saw={"If-None-Match": lambda got: sorted(t.strip() for t in ",".join(got).split(",")) == ['"1"', '"2"'], "Foo": "3"})],
    "4 a 304 tells which of the others it is": [
        asks(ok(*VARY_FOO, 'ETag: "1"'), "Foo: 1"), asks(ok(*VARY_FOO, 'ETag: "2"'), "Foo: 2"),
        checks(same('ETag: "1"', *VARY_FOO), "Foo: 3", of=1), hit("Foo: 3", of=1), hit("Foo: 2", of=2)],
    "4 without tags nobody is told": [asks(ok(*VARY_FOO), "Foo: 1"), asks(ok(*VARY_FOO), "Foo: 2", saw={"If-None-Match": None})],
    "4 HEAD selects, too": [asks(ok(*VARY_FOO), "Foo: 1"), head(hit("Foo: 1")), head(asks(ok(*VARY_FOO), "Foo: 2"))],
}
