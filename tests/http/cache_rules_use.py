# SPDX-License-Identifier: Apache-2.0
"""The rules of the cache, continued: what a stored answer is used for, fresh and stale, whole and in parts, and what
drops it (RFC 9111 4.2.4, 4.3, 4.4, 5.2.1; RFC 9110 13, 14; RFC 5861; RFC 9211)."""
import re

from cache_case import DEAD, OTHER, asks, behind, checks, either, head, hit, ok, same, say, under

CACHEABLE = "Cache-Control: max-age=3600"
TAG = 'ETag: "a"'
MODIFIED = "Last-Modified: @-86400@"
OLD = "Age: 3600"  # CACHEABLE with it is stale
NOW = "Age: 0"
MATCH = 'If-None-Match: "a"'
ASKED = {"If-None-Match": '"a"'}

CASES = {}


def each(text, make, values):
    """One case for each value: `{}` in the name and in the field is where it goes."""
    return {text.format(v): make(v) for v in values}


# ---------------------------------------------------------------- 5 fresh answers

CASES |= {
    "5 it is sent as it came": [
        asks(ok(CACHEABLE, TAG, "Date: @-5@", "Expires: @100@", "X-A: b")),
        hit(has={"Date": "@-5@", "Expires": "@100@", "ETag": '"a"', "X-A": "b", "Cache-Control": "max-age=3600"})],
    "5 its age in the place of the server's": [asks(ok(CACHEABLE, "Age: 100"), has={"Age": "100"}), hit(age=100)],
    "5 one line of Age in the place of several": [asks(ok(CACHEABLE, "Age: 100", "Age: 0"), has={"Age": ["100", "0"]}), hit(age=100)],
    "5 a broken Age is replaced": [asks(ok(CACHEABLE, "Age: abc"), has={"Age": "abc"}), hit(age=0)],
    "5 no Age of what comes from the server": [asks(ok(CACHEABLE), has={"Age": None})],
    "5 the reason is not lost": [asks(say(299, CACHEABLE)), hit(status=299)],
    "5 must-revalidate does not matter": [asks(ok(CACHEABLE + ", must-revalidate", TAG)), hit()],
    "5 proxy-revalidate does not matter": [asks(ok(CACHEABLE + ", proxy-revalidate", TAG)), hit()],
    "5 immutable does not matter": [asks(ok(CACHEABLE + ", immutable", TAG)), hit()],
    "5 no-cache is asked for every time": [
        asks(ok(CACHEABLE + ", no-cache", TAG)), checks(same(), saw=ASKED), checks(same(), saw=ASKED)],
    "5 No-Cache in another case": [asks(ok(CACHEABLE + ", No-Cache", TAG)), checks(same(), saw=ASKED)],
    "5 no-cache with s-maxage": [asks(ok("Cache-Control: s-maxage=3600, no-cache", TAG)), checks(same(), saw=ASKED)],
    "5 fields that no-cache names are left out": [
        asks(ok(CACHEABLE + ', no-cache="X-A, x-b"', "X-A: 1", "X-B: 2", "X-C: 3"), has={"X-A": "1", "X-B": "2"}),
        hit(has={"X-A": None, "X-B": None, "X-C": "3"})],
    "5 a field that no-cache names without quotes": [
        asks(ok(CACHEABLE + ", no-cache=X-A", "X-A: 1")), either(ok(CACHEABLE), has={"X-A": None})],
    "5 such fields are there when it was just validated": [
        asks(ok(CACHEABLE + ', no-cache="X-A"', TAG, OLD, "X-A: 1")), checks(same("X-A: 2"), has={"X-A": "2"}), hit(of=1, has={"X-A": None})],
    "5 no-cache=\"\" names none": [asks(ok(CACHEABLE + ', no-cache=""', TAG)), either(same(), status=200)],
    "5 Set-Cookie that no-cache names": under(
        "keep", asks(ok(CACHEABLE + ', no-cache="Set-Cookie"', "Set-Cookie: a=b"), has={"Set-Cookie": "a=b"}), hit(has={"Set-Cookie": None})),
    "5 both forms of no-cache": [asks(ok(CACHEABLE + ', no-cache="X-A", no-cache', TAG, "X-A: 1")), either(same(), status=200)],
}

# ---------------------------------------------------------------- 5 conditions of clients

FULL = (CACHEABLE, TAG, MODIFIED)


def condition(status, *lines, stored=FULL, code=200, **kw):
    return [asks(say(code, *stored)), hit(*lines, status=status, **kw)]


CASES |= each("5 {} is met", lambda v: condition(304, f"If-None-Match: {v}"), [
    '"a"', 'W/"a"', "*", '"x", "a"', '"a", "x"', '"x","a","y"', ' "x" ,\t"a"', '"x", W/"a"', ', "a"'])
CASES |= each("5 {} is not met", lambda v: condition(200, f"If-None-Match: {v}"), [
    '"b"', 'W/"b"', "a", '"A"', '"a', 'a"', '""', '"x", "y"', '"ab"', "'a'", '"x, \\"a\\""'])
CASES |= {
    "5 If-None-Match of two lines": condition(304, 'If-None-Match: "x"', MATCH),
    "5 a weak tag that is stored, weakly asked": condition(304, 'If-None-Match: W/"a"', stored=(CACHEABLE, 'ETag: W/"a"')),
    "5 a weak tag that is stored, strongly asked": condition(304, MATCH, stored=(CACHEABLE, 'ETag: W/"a"')),
    "5 a tag with a comma": condition(304, 'If-None-Match: "x,y"', stored=(CACHEABLE, 'ETag: "x,y"')),
    "5 a tag with a space": condition(304, 'If-None-Match: "x y"', stored=(CACHEABLE, 'ETag: "x y"')),
    "5 a tag with bytes above ASCII": condition(304, 'If-None-Match: "\xe4"', stored=(CACHEABLE, 'ETag: "\xe4"')),
    "5 a tag with a backslash": condition(304, 'If-None-Match: "a\\b"', stored=(CACHEABLE, 'ETag: "a\\b"')),
    "5 an empty tag": condition(304, 'If-None-Match: ""', stored=(CACHEABLE, 'ETag: ""')),
    "5 a long list": condition(304, "If-None-Match: " + ", ".join(f'"{i}"' for i in range(300)) + ', "a"'),
    "5 If-None-Match without a stored tag": condition(200, MATCH, stored=(CACHEABLE, MODIFIED)),
    "5 If-None-Match: * without a stored tag": condition(304, "If-None-Match: *", stored=(CACHEABLE,)),
    "5 If-None-Match that is met counts, not If-Modified-Since": condition(304, MATCH, "If-Modified-Since: @-99999@"),
    "5 If-None-Match that is not met counts, not If-Modified-Since": condition(200, 'If-None-Match: "b"', "If-Modified-Since: @0@"),
    "5 If-Modified-Since, the same time": condition(304, "If-Modified-Since: @-86400@"),
    "5 If-Modified-Since, later": condition(304, "If-Modified-Since: @-86000@"),
    "5 If-Modified-Since, earlier": condition(200, "If-Modified-Since: @-86401@"),
    "5 If-Modified-Since in the form of RFC 850": condition(304, "If-Modified-Since: @-86400 rfc850@"),
    "5 If-Modified-Since in the form of asctime": condition(304, "If-Modified-Since: @-86400 asctime@"),
    "5 If-Modified-Since that is no date": condition(200, "If-Modified-Since: @-86400 dashes@"),
    "5 If-Modified-Since and no Last-Modified: Date": condition(
        304, "If-Modified-Since: @-100@", stored=(CACHEABLE, "Date: @-100@")),
    "5 If-Modified-Since and no Last-Modified: before Date": condition(
        200, "If-Modified-Since: @-101@", stored=(CACHEABLE, "Date: @-100@")),
    "5 conditions count for 200 only: 404": condition(404, MATCH, code=404),
    "5 conditions count for 200 only: 301 and a date": condition(301, "If-Modified-Since: @0@", code=301),
    "5 conditions count for 200 only: *": condition(404, "If-None-Match: *", code=404),
    "5 HEAD and a condition": [asks(ok(*FULL)), head(hit(MATCH, status=304))],
    "5 what 304 carries": [
        asks(ok(CACHEABLE, TAG, "Date: @-5@", "Expires: @100@", "Vary: Foo", "Content-Length: 5", body=b"hello")),
        hit(MATCH, status=304, age=5, has={"ETag": '"a"', "Date": "@-5@", "Expires": "@100@", "Vary": "Foo", "Cache-Control": "max-age=3600",
                                           "Content-Length": None, "Transfer-Encoding": None})],
    "5 304 carries Content-Location": condition(304, MATCH, stored=(CACHEABLE, TAG, "Content-Location: /x"), has={"Content-Location": "/x"}),
    "5 a condition without anything stored": [asks(say(304, TAG, stamp=False), MATCH, status=304), asks(ok(CACHEABLE))],
    "5 a condition without anything stored, and the whole comes": [asks(ok(*FULL), MATCH, status=(200, 304)), hit()],
    "5 another condition without anything stored": [asks(ok(*FULL), 'If-None-Match: "b"'), hit()],
}

# ---------------------------------------------------------------- 5 HEAD

CASES |= {
    "5 HEAD from what GET stored": [
        asks(ok(CACHEABLE, TAG, body=b"hello")), head(hit(has={"Content-Length": "5", "ETag": '"a"'}))],
    "5 HEAD from what came chunked": [asks(ok(CACHEABLE, framing="chunked", body=b"hello")), head(hit(has={"Transfer-Encoding": None}))],
    "5 HEAD of a stored 404": [asks(say(404, CACHEABLE)), head(hit())],
    "5 HEAD, then GET": [head(asks(ok(CACHEABLE))), asks(ok(CACHEABLE)), hit(), head(hit())],
    "5 HEAD and Range": [asks(ok(CACHEABLE, body=b"0123456789")), head(hit("Range: bytes=2-4", status=200, has={"Content-Length": "10"}))],
}

# ---------------------------------------------------------------- 5 directives of clients

BASIC = [asks(ok(CACHEABLE, TAG, "Age: 100"))]
CASES |= each("5 {!r} of a client is not looked at", lambda v: [*BASIC, hit("Cache-Control: " + v)], [
    "no-cache", "max-age=0", "max-age=50", "min-fresh=9999", "max-age=0, must-revalidate"])
CASES |= each("5 {!r} of a client is obeyed when wanted", lambda v: under(
    "full", *BASIC, checks(same(), "Cache-Control: " + v, saw=ASKED), hit()), [
        "no-cache", "No-Cache", "max-age=0", "max-age=50", "max-age=99", 'max-age="50"', "max-age=x", "min-fresh=3600", "min-fresh=9999", "a, max-age=0"])
CASES |= each("5 {!r} of a client is satisfied", lambda v: under("full", *BASIC, hit("Cache-Control: " + v)), [
    "max-age=3600", "max-age=110", "min-fresh=10", "max-stale", "only-if-cached", "max-age=110, min-fresh=10", "no-transform", "foo"])
CASES |= {
    "5 only-if-cached, and it is": [asks(ok(CACHEABLE)), hit("Cache-Control: only-if-cached")],
    "5 only-if-cached, and it is not": [hit("Cache-Control: only-if-cached", status=504)],
    "5 Only-If-Cached, and it is not": [hit("Cache-Control: Only-If-Cached", status=504)],
    "5 only-if-cached, and it is stale": [asks(ok(CACHEABLE, TAG, OLD)), hit("Cache-Control: only-if-cached", status=504)],
    "5 only-if-cached, and another is": [
        asks(ok(CACHEABLE, "Vary: Foo"), "Foo: 1"), hit("Foo: 2", "Cache-Control: only-if-cached", status=504)],
    "5 only-if-cached, and nobody looks at it": under("ignore", asks(ok(CACHEABLE), "Cache-Control: only-if-cached")),
    "5 only-if-cached and HEAD": [hit("Cache-Control: only-if-cached", method="HEAD", status=504)],
    "5 max-stale allows it": under("full", asks(ok(CACHEABLE, TAG, "Age: 3700")), hit("Cache-Control: max-stale=200", age=3700)),
    "5 max-stale without a number allows it": under("full", asks(ok(CACHEABLE, TAG, "Age: 7000")), hit("Cache-Control: max-stale")),
    "5 max-stale is too short": under("full", asks(ok(CACHEABLE, TAG, "Age: 3700")), checks(same(NOW), "Cache-Control: max-stale=50")),
    "5 max-stale is not looked at": [asks(ok(CACHEABLE, TAG, "Age: 3700")), checks(same(NOW), "Cache-Control: max-stale=200")],
    "5 no-store of a client is not answered from what is stored, or is": under("full", *BASIC, either(OTHER, "Cache-Control: no-store"), hit(of=1)),
    "5 Pragma of a client is not looked at, even when all is": under("full", *BASIC, hit("Pragma: no-cache")),
}
CASES |= each("5 max-stale against {}", lambda v: under(
    "full", asks(ok("Cache-Control: max-age=3600, " + v, TAG, "Age: 3700")), checks(same(NOW), "Cache-Control: max-stale=200")), [
        "must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=3600"])

# ---------------------------------------------------------------- 6 validation


def stale(*headers, **kw):
    return asks(ok(CACHEABLE, OLD, *headers, **kw))


VALIDATED = same(CACHEABLE, NOW)
CASES |= {
    "6 both validators are told": [
        stale(TAG, MODIFIED), checks(VALIDATED, saw={"If-None-Match": '"a"', "If-Modified-Since": "@-86400@"})],
    "6 a weak tag as it came": [stale('ETag: W/"a"'), checks(VALIDATED, saw={"If-None-Match": 'W/"a"'})],
    "6 a tag of odd bytes as it came": [stale('ETag: "\xe4\\"'), checks(VALIDATED, saw={"If-None-Match": '"\xe4\\"'})],
    "6 a tag without quotes as it came": [stale("ETag: abc"), either(VALIDATED, saw={"If-None-Match": "abc"})],
    "6 a tag alone": [stale(TAG), checks(VALIDATED, saw={"If-None-Match": '"a"', "If-Modified-Since": None})],
    "6 Last-Modified alone": [stale(MODIFIED), checks(VALIDATED, saw={"If-None-Match": None, "If-Modified-Since": "@-86400@"})],
    "6 Last-Modified as it came": [
        stale("Last-Modified: @-86400 rfc850@"), checks(VALIDATED, saw={"If-Modified-Since": re.compile("GMT$")})],
    "6 neither: a plain request": [stale(), asks(ok(CACHEABLE), saw={"If-None-Match": None, "If-Modified-Since": None}), hit()],
    "6 not the client's tag": [stale(TAG), checks(VALIDATED, 'If-None-Match: "b"', saw=ASKED)],
    "6 not the client's date": [
        stale(TAG, MODIFIED), checks(VALIDATED, "If-Modified-Since: @-99999@", saw={"If-Modified-Since": "@-86400@"})],
    "6 not the client's Range": [
        stale(TAG, body=b"0123456789"),
        checks(VALIDATED, "Range: bytes=2-4", status=206, text=b"234", saw={"Range": None, "If-None-Match": '"a"'})],
    "6 not the client's If-Range": [
        stale(TAG, body=b"0123456789"),
        checks(VALIDATED, "Range: bytes=2-4", 'If-Range: "a"', status=206, text=b"234", saw={"Range": None, "If-Range": None})],
    "6 other fields of the client are told": [stale(TAG, "Vary: Foo"), checks(VALIDATED, "Bar: x", saw={"Foo": None, "Bar": "x"})],
    "6 the fields that select are told": [
        asks(ok(CACHEABLE, OLD, TAG, "Vary: Foo"), "Foo: 1"), checks(VALIDATED, "Foo: 1", saw={"Foo": "1", "If-None-Match": '"a"'})],
    "6 other methods are not made conditional": [stale(TAG), asks(say(400), method="POST", saw={"If-None-Match": None})],
}

# ---------------------------------------------------------------- 6 what 304 changes

CASES |= {
    "6 304 extends the life": [stale(TAG), checks(VALIDATED, saw=ASKED), hit(of=1)],
    "6 304 without a lifetime leaves the old one": [stale(TAG), checks(same(), saw=ASKED), hit(of=1, age=0)],
    "6 304 with a longer lifetime": [
        asks(ok("Cache-Control: max-age=10", TAG, "Age: 20")), checks(same(CACHEABLE, "Age: 100")), hit(of=1, age=100)],
    "6 304 with a shorter lifetime": [stale(TAG), checks(same("Cache-Control: max-age=10", "Age: 20")), checks(same(), saw=ASKED)],
    "6 304 with no-cache": [stale(TAG), checks(same(CACHEABLE + ", no-cache", NOW)), checks(same(), saw=ASKED)],
    "6 304 without no-cache": [asks(ok("Cache-Control: no-cache", TAG)), checks(VALIDATED), hit(of=1)],
    "6 304 with no-store": [stale(TAG), checks(same("Cache-Control: no-store")), either(ok(), status=200)],
    "6 304 with Expires": [
        asks(ok("Expires: @-10@", "Date: @-20@", TAG)), checks(same("Expires: @3600@")), hit(of=1, has={"Expires": "@3600@"})],
    "6 304 with an Age of its own": [stale(TAG), checks(same("Age: 3600"), saw=ASKED), checks(same(NOW), saw=ASKED), hit(of=1)],
    "6 304 replaces fields": [
        stale(TAG, "X-A: 1", "X-B: 1", "X-A: 2"), checks(same(NOW, "X-A: 3", "X-C: 4"), has={"X-A": "3", "X-B": "1", "X-C": "4"}),
        hit(of=1, has={"X-A": "3", "X-B": "1", "X-C": "4"})],
    "6 304 replaces Date": [
        asks(ok(CACHEABLE, TAG, "Date: @-4000@")), checks(same("Date: @-1@"), has={"Date": "@-1@"}), hit(of=1, has={"Date": "@-1@"})],
    "6 304 without Date": [
        asks(ok(CACHEABLE, TAG, "Date: @-4000@")), checks(same(date=False)), hit(of=1)],
    "6 304 replaces Content-Type and Vary": [
        stale(TAG, "Content-Type: a/b"), checks(same(NOW, "Content-Type: c/d", "Vary: Foo"), has={"Content-Type": "c/d"}),
        hit(of=1, has={"Content-Type": "c/d", "Vary": "Foo"}), asks(ok(), "Foo: 1")],
    "6 304 does not replace Content-Length": [
        stale(TAG, body=b"hello"), checks(same(NOW, "Content-Length: 10"), text=b"hello", has={"Content-Length": "5"}), hit(of=1)],
    "6 304 does not replace Content-Length: 0": [stale(TAG, body=b"hello"), checks(same(NOW, "Content-Length: 0")), hit(of=1)],
    "6 304 with Transfer-Encoding has no body": [
        stale(TAG, body=b"hello"), checks(same(NOW, "X-A: 1"), has={"X-A": "1", "Transfer-Encoding": None})],
    "6 304 with fields of one hop": [
        stale(TAG, "X-Hop: 1"), checks(same(NOW, "Connection: x-hop", "X-Hop: 2", "Keep-Alive: timeout=9")), hit(of=1, has={"Keep-Alive": None})],
    "6 304 and the client's condition is met": [stale(TAG), checks(VALIDATED, MATCH, status=304, saw=ASKED), hit(of=1)],
    "6 304 and the client's condition is not met": [stale(TAG), checks(VALIDATED, 'If-None-Match: "b"', status=200), hit(of=1)],
    "6 304 and the client's date is met": [stale(TAG, MODIFIED), checks(VALIDATED, "If-Modified-Since: @0@", status=304)],
    "6 304 again and again": [stale(TAG), *(checks(same(OLD), saw=ASKED, of=1) for _ in range(5)), checks(VALIDATED), hit(of=1)],
    "6 304 of one of several answers": [
        asks(ok(CACHEABLE, OLD, "Vary: Foo", 'ETag: "1"'), "Foo: 1"), asks(ok(CACHEABLE, "Vary: Foo", 'ETag: "2"'), "Foo: 2"),
        checks(VALIDATED, "Foo: 1", of=1), hit("Foo: 1", of=1), hit("Foo: 2", of=2)],
    "6 304 for a stored 404": [asks(say(404, CACHEABLE, OLD, TAG)), checks(VALIDATED, saw=ASKED, status=404), hit(of=1)],
    "6 it works a day later": [asks(ok(CACHEABLE, TAG, "Age: 90000")), checks(VALIDATED, saw=ASKED), hit(of=1)],
    "6 just validated is age 0": [asks(ok(CACHEABLE, TAG, OLD)), checks(same(), age=0)],
}

# ---------------------------------------------------------------- 6 other answers to it

CASES |= each("6 {} takes its place", lambda s: [
    stale(TAG, body=b"old"), asks(say(s, CACHEABLE, 'ETag: "b"'), saw=ASKED), hit(of=2)], (200, 203, 301, 400, 403, 404, 410, 429))
CASES |= each("6 {} that can not be stored takes its place, too", lambda s: [
    stale(TAG), asks(say(s, "Cache-Control: no-store"), saw=ASKED), asks(DEAD, status=(502, 504))], (200, 404, 410))
CASES |= each("6 {} is told without stale-if-error", lambda s: [
    stale(TAG), asks(say(s), saw=ASKED), checks(VALIDATED, saw=ASKED, of=1), hit(of=1)], (500, 502, 503, 504))
CASES |= {
    "6 200 to a client whose condition is the old one": [
        stale(TAG), asks(ok(CACHEABLE, 'ETag: "b"'), MATCH, status=200), hit(of=2)],
    "6 200 to a client whose condition is the new one": [
        stale(TAG), asks(ok(CACHEABLE, 'ETag: "b"'), 'If-None-Match: "b"', status=(200, 304)), hit(of=2)],
    "6 200 to a client that wants a range": [
        stale(TAG, body=b"0123456789"), asks(ok(CACHEABLE, 'ETag: "b"', body=b"abcdefghij"), "Range: bytes=2-4", status=(200, 206)), hit(of=2)],
    "6 half of a new answer leaves nobody worse": [
        stale(TAG), asks(ok(CACHEABLE, 'ETag: "b"', end="cut"), complete=False), either(ok(CACHEABLE), status=200)],
}

# ---------------------------------------------------------------- 6 stale-if-error

SIE = "Cache-Control: max-age=3600, stale-if-error=100"
LATE = "Age: 3650"
CASES |= each("6 stale-if-error and {}", lambda s: [
    asks(ok(SIE, LATE, TAG)), checks(say(s), saw=ASKED, status=200), checks(VALIDATED, saw=ASKED), hit(of=1)], (500, 502, 503, 504))
CASES |= each("6 stale-if-error does not hide {}", lambda s: [
    asks(ok(SIE, LATE, TAG)), asks(say(s), saw=ASKED)], (400, 403, 404, 410, 501, 505))
CASES |= each("6 stale-if-error against {}", lambda v: [
    asks(ok(f"{SIE}, {v}", LATE, TAG)), asks(say(503), saw=ASKED)], ["must-revalidate", "proxy-revalidate", "no-cache"])
CASES |= {
    "6 stale-if-error is over": [asks(ok(SIE, "Age: 3701", TAG)), asks(say(503), saw=ASKED)],
    "6 stale-if-error of 0": [asks(ok("Cache-Control: max-age=3600, stale-if-error=0", LATE, TAG)), asks(say(503))],
    "6 stale-if-error that is no number": [asks(ok("Cache-Control: max-age=3600, stale-if-error=x", LATE, TAG)), asks(say(503))],
    "6 stale-if-error without a validator": [asks(ok(SIE, LATE)), checks(say(503), status=200)],
    "6 stale-if-error with s-maxage": [
        asks(ok("Cache-Control: s-maxage=3600, stale-if-error=100", LATE, TAG)), checks(say(503), status=200)],
    "6 stale-if-error with s-maxage, read strictly": under(
        "strict", asks(ok("Cache-Control: s-maxage=3600, stale-if-error=100", LATE, TAG)), asks(say(503))),
    "6 stale-if-error by configuration": under("lenient", asks(ok(CACHEABLE, LATE, TAG)), checks(say(503), status=200)),
    "6 stale-if-error by configuration against must-revalidate": under(
        "lenient", asks(ok(CACHEABLE + ", must-revalidate", LATE, TAG)), asks(say(503))),
    "6 stale-if-error in a targeted field": [
        asks(ok("CDN-Cache-Control: max-age=3600, stale-if-error=100", LATE, TAG)), checks(say(503), status=200)],
    "6 stale-if-error, and the age tells": [asks(ok(SIE, LATE, TAG)), checks(say(503), status=200, age=3650)],
    "6 stale-if-error and a server that is dead": [asks(ok(SIE, LATE, TAG)), checks(DEAD, status=200)],
    "6 stale-if-error when nothing is stored": [asks(say(503, SIE)), either(ok(CACHEABLE), status=(200, 503))],
}

# ---------------------------------------------------------------- 6 the server is dead

CASES |= {
    "6 disconnected": [stale(TAG), checks(DEAD, status=200, age=3600), checks(VALIDATED), hit(of=1)],
    "6 disconnected, without a validator": [stale(), checks(DEAD, status=200)],
    "6 disconnected by a reset": [stale(TAG), checks(ok(end="reset"), status=200)],
    "6 disconnected, and nothing is stored": [asks(DEAD, status=(502, 504)), asks(ok(CACHEABLE)), hit()],
    "6 disconnected, another answer is stored": [asks(ok(CACHEABLE, "Vary: Foo"), "Foo: 1"), asks(DEAD, "Foo: 2", status=(502, 504))],
    "6 disconnected for longer than it may be": [asks(ok(CACHEABLE, TAG, "Age: 7300")), asks(DEAD, status=(502, 504))],
    "6 disconnected, and nothing stale is allowed": under("unstale", stale(TAG), asks(DEAD, status=(502, 504))),
    "6 disconnected, and the client's condition": [stale(TAG), checks(DEAD, MATCH, status=304)],
    "6 disconnected, and the client wants a range": [
        stale(TAG, body=b"0123456789"), checks(DEAD, "Range: bytes=2-4", status=206, text=b"234")],
    "6 disconnected by heuristics": [asks(ok("Last-Modified: @-1000@", "Age: 200")), checks(DEAD, status=200)],
    "6 disconnected, POST": [stale(TAG), asks(DEAD, method="POST", status=(502, 504))],
    "6 disconnected and an error that was stored": [asks(say(404, CACHEABLE, OLD)), checks(DEAD, status=404)],
}
CASES |= each("6 disconnected against {}", lambda v: [
    asks(ok(f"Cache-Control: {v}", OLD, TAG)), asks(DEAD, status=(502, 504), has={"Stamp": None})], [
        "max-age=3600, must-revalidate", "max-age=3600, proxy-revalidate", "s-maxage=3600", "max-age=3600, no-cache", "no-cache",
        "max-age=3600, Must-Revalidate"])

# ---------------------------------------------------------------- 6 stale-while-revalidate

SWR = "Cache-Control: max-age=3600, stale-while-revalidate=100"
SLOW = {"delay": 0.4}
CASES |= {
    "6 stale-while-revalidate": [
        asks(ok(SWR, LATE, TAG)), behind(same(CACHEABLE, NOW, **SLOW), within=0.3, age=3650, saw=ASKED), hit(of=1, age=0)],
    "6 stale-while-revalidate, a new answer": [asks(ok(SWR, LATE, TAG)), behind(ok(CACHEABLE, **SLOW), within=0.3), hit(of=2)],
    "6 stale-while-revalidate without a validator": [asks(ok(SWR, LATE)), behind(ok(CACHEABLE, **SLOW), within=0.3), hit(of=2)],
    "6 stale-while-revalidate is over": [asks(ok(SWR, "Age: 3701", TAG)), checks(VALIDATED), hit(of=1)],
    "6 stale-while-revalidate of 0": [asks(ok("Cache-Control: max-age=3600, stale-while-revalidate=0", LATE, TAG)), checks(VALIDATED)],
    "6 stale-while-revalidate that is no number": [asks(ok("Cache-Control: max-age=3600, stale-while-revalidate=x", LATE, TAG)), checks(VALIDATED)],
    "6 stale-while-revalidate, while it is fresh": [asks(ok(SWR, TAG)), hit()],
    "6 stale-while-revalidate, again and again": [
        asks(ok(SWR, LATE, TAG)), behind(same(LATE)), behind(same(LATE), of=1), behind(ok(CACHEABLE), of=1), hit(of=4)],
    "6 stale-while-revalidate, and the server fails": [
        asks(ok(SWR, LATE, TAG)), behind(say(503)), behind(ok(CACHEABLE), of=1), hit(of=3)],
    "6 stale-while-revalidate, and the server is dead": [
        asks(ok(SWR, LATE, TAG)), behind(DEAD), behind(ok(CACHEABLE), of=1), hit(of=3)],
    "6 stale-while-revalidate, and it is gone": [asks(ok(SWR, LATE, TAG)), behind(say(404, CACHEABLE)), hit(of=2, status=404)],
    "6 stale-while-revalidate, and what comes is not stored": [asks(ok(SWR, LATE, TAG)), behind(ok("Cache-Control: no-store")), asks(ok())],
    "6 stale-while-revalidate, and no-cache comes": [
        asks(ok(SWR, LATE, TAG)), behind(ok("Cache-Control: no-cache", 'ETag: "b"')), checks(same(), saw={"If-None-Match": '"b"'}, of=2)],
    "6 stale-while-revalidate, half of an answer": [
        asks(ok(SWR, LATE, TAG)), behind(ok(CACHEABLE, end="cut")), either(ok(CACHEABLE), status=200)],
    "6 stale-while-revalidate for HEAD": [asks(ok(SWR, LATE, TAG)), either(ok(SWR, LATE, TAG), method="HEAD", status=200)],
    "6 stale-while-revalidate, and the client wants a range": [
        asks(ok(SWR, LATE, TAG, body=b"0123456789")),
        behind(same(CACHEABLE, NOW), "Range: bytes=2-4", status=206, text=b"234", saw={"Range": None}), hit(of=1)],
    "6 stale-while-revalidate, and the client's condition": [
        asks(ok(SWR, LATE, TAG)), behind(VALIDATED, MATCH, status=304, saw=ASKED), hit(of=1)],
    "6 stale-while-revalidate with s-maxage": [
        asks(ok("Cache-Control: s-maxage=3600, stale-while-revalidate=100", LATE, TAG)), behind(same(NOW))],
    "6 stale-while-revalidate with s-maxage, read strictly": under(
        "strict", asks(ok("Cache-Control: s-maxage=3600, stale-while-revalidate=100", LATE, TAG)), checks(same(NOW))),
    "6 stale-while-revalidate by configuration": under("early", asks(ok(CACHEABLE, LATE, TAG)), behind(same(NOW, **SLOW), within=0.3), hit(of=1)),
    "6 stale-while-revalidate in a targeted field": [
        asks(ok("CDN-Cache-Control: max-age=3600, stale-while-revalidate=100", LATE, TAG)), behind(same(NOW))],
    "6 stale-while-revalidate and fields that select": [
        asks(ok(SWR, LATE, TAG, "Vary: Foo"), "Foo: 1"), behind(ok(CACHEABLE, "Vary: Foo"), "Foo: 1", saw={"Foo": "1"}), hit("Foo: 1", of=2)],
    "6 stale-while-revalidate after real time": [
        asks(ok("Cache-Control: max-age=2, stale-while-revalidate=60", TAG, date=False)), hit(), behind(same(**SLOW), pause=2.2, within=0.3), hit(of=1)],
    "6 stale-while-revalidate ends in real time": [
        asks(ok("Cache-Control: max-age=1, stale-while-revalidate=1", TAG, date=False)), checks(same(), pause=2.2)],
}
CASES |= each("6 stale-while-revalidate against {}", lambda v: [
    asks(ok(f"{SWR}, {v}", LATE, TAG)), checks(same(NOW), saw=ASKED)], ["must-revalidate", "proxy-revalidate", "no-cache"])

# ---------------------------------------------------------------- 6 HEAD for what is stale

CASES |= {
    "6 HEAD goes to the server as HEAD": [stale(TAG), head(asks(ok(CACHEABLE, TAG)))],
    "6 HEAD with the same tag and length": [
        stale(TAG, "X-A: 1", body=b"hello"), head(asks(ok(CACHEABLE, TAG, "X-A: 2", "Content-Length: 5", stamp=False), status=200)),
        hit(of=1, has={"X-A": "2"}, text=b"hello")],
    "6 HEAD with another tag": [
        stale(TAG, body=b"hello"), head(asks(ok(CACHEABLE, 'ETag: "b"', "Content-Length: 5"))), asks(ok(CACHEABLE))],
    "6 HEAD with another length": [
        stale(TAG, body=b"hello"), head(asks(ok(CACHEABLE, TAG, "Content-Length: 6"))), asks(ok(CACHEABLE))],
    "6 HEAD without validators and of the same length": [
        stale(body=b"hello"), head(asks(ok(CACHEABLE, "Content-Length: 5", stamp=False), status=200)), hit(of=1)],
    "6 HEAD with another Last-Modified": [
        stale(MODIFIED, body=b"hello"), head(asks(ok(CACHEABLE, "Last-Modified: @-5@", "Content-Length: 5"))), asks(ok(CACHEABLE))],
    "6 HEAD with 404 changes nothing": [stale(TAG), head(asks(say(404))), checks(VALIDATED, of=1, saw=ASKED), hit(of=1)],
    "6 HEAD with 500 changes nothing": [stale(TAG), head(asks(say(500))), checks(VALIDATED, of=1, saw=ASKED), hit(of=1)],
    "6 HEAD with 304 to the client's condition": [
        stale(TAG), either(same(CACHEABLE, NOW), MATCH, method="HEAD", status=304)],
}

# ---------------------------------------------------------------- 7 ranges of what is stored

DIGITS = {"body": b"0123456789"}


def ranged(text, fields=(), status=206, stored=(TAG, MODIFIED), code=200, **kw):
    """`text`: "first-last:body" of a 206, None of another status."""
    step = {"status": status, "text": b"0123456789" if status == 200 else None, **kw}
    if status == 206:
        place, _, part = text.partition(":")
        step |= {"text": part.encode(), "has": {"Content-Range": f"bytes {place}/10", "Content-Length": str(len(part)), "Stamp": "1", "ETag": '"a"'}}
    elif status == 416:
        step |= {"has": {"Content-Range": "bytes */10"}}
    return [asks(say(code, CACHEABLE, *stored, **DIGITS)), hit(*fields, **step)]


PARTS = {
    "bytes=2-4": "2-4:234", "bytes=0-0": "0-0:0", "bytes=0-9": "0-9:0123456789", "bytes=5-": "5-9:56789", "bytes=9-": "9-9:9",
    "bytes=-3": "7-9:789", "bytes=-1": "9-9:9", "bytes=-20": "0-9:0123456789", "bytes=8-20": "8-9:89", "bytes=0-": "0-9:0123456789",
    "bytes=-10": "0-9:0123456789", "Bytes=2-4": "2-4:234", "bytes=002-04": "2-4:234", "bytes=8-99999999999999999999999": "8-9:89",
}
WHOLE = ["bytes=4-2", "bytes=a-b", "bytes=", "bytes", "items=0-1", "bytes=-", "bytes=1", "bytes=0-1,3-4", "bytes=2-4, 6-7", "bytes=--1", "bytes=0x1-2",
         "bytes=1-2-3", "bytes=+1-2", "lines=0-1"]
CASES |= {f"7 {k}": ranged(v, (f"Range: {k}",)) for k, v in PARTS.items()}
CASES |= each("7 {!r}: all of it", lambda v: ranged(None, (f"Range: {v}",), 200), WHOLE)
CASES |= each("7 {!r} can not be satisfied", lambda v: ranged(None, (f"Range: {v}",), 416), [
    "bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"])
CASES |= {
    "7 If-Range, the same tag": ranged("2-4:234", ("Range: bytes=2-4", 'If-Range: "a"')),
    "7 If-Range, another tag": ranged(None, ("Range: bytes=2-4", 'If-Range: "b"'), 200),
    "7 If-Range, a weak tag": ranged(None, ("Range: bytes=2-4", 'If-Range: W/"a"'), 200),
    "7 If-Range, a weak tag is stored": [
        asks(ok(CACHEABLE, 'ETag: W/"a"', **DIGITS)), hit("Range: bytes=2-4", 'If-Range: W/"a"', status=200)],
    "7 If-Range, the same date": ranged("2-4:234", ("Range: bytes=2-4", "If-Range: @-86400@")),
    "7 If-Range, a later date": ranged(None, ("Range: bytes=2-4", "If-Range: @-86399@"), 200),
    "7 If-Range, an earlier date": ranged(None, ("Range: bytes=2-4", "If-Range: @-86401@"), 200),
    "7 If-Range, a date, and nothing is stored of it": ranged(None, ("Range: bytes=2-4", "If-Range: @-86400@"), 200, stored=(TAG,)),
    "7 If-Range that is neither": ranged(None, ("Range: bytes=2-4", "If-Range: a"), 200),
    "7 If-Range without Range": ranged(None, ('If-Range: "b"',), 200),
    "7 If-Range fails, and the range can not be satisfied": ranged(None, ("Range: bytes=50-", 'If-Range: "b"'), 200),
    "7 a range of a stored 404": ranged(None, ("Range: bytes=2-4",), 404, code=404),
    "7 a range of nothing": [asks(ok(CACHEABLE, body=b"")), hit("Range: bytes=0-1", status=(416, 200))],
    "7 a condition that is met comes first": ranged(None, ("Range: bytes=2-4", MATCH), 304),
    "7 a condition that is not met": ranged("2-4:234", ("Range: bytes=2-4", 'If-None-Match: "b"')),
    "7 the fields of a part": [
        asks(ok(CACHEABLE, TAG, "Content-Type: a/b", "X-A: 1", "Date: @-5@", **DIGITS)),
        hit("Range: bytes=2-4", status=206, text=b"234", age=5, has={"Content-Type": "a/b", "X-A": "1", "Date": "@-5@"})],
    "7 a part of what came chunked": [
        asks(ok(CACHEABLE, framing="chunked", **DIGITS)), hit("Range: bytes=2-4", status=206, text=b"234", has={"Content-Range": "bytes 2-4/10"})],
    "7 a part far behind": [
        asks(ok(CACHEABLE, body=bytes(200_000) + b"here" + bytes(100_000))), hit("Range: bytes=200000-200003", status=206, text=b"here")],
    "7 a long part": [
        asks(ok(CACHEABLE, body=b"0123456789" * 30_000)), hit("Range: bytes=65530-165540", status=206, text=(b"0123456789" * 30_000)[65530:165541])],
    "7 parts of another method": [asks(ok(CACHEABLE, **DIGITS)), asks(say(400), "Range: bytes=2-4", method="POST", saw={"Range": "bytes=2-4"})],
}

# ---------------------------------------------------------------- 7 parts that the server sent


def part(first, last, *headers, total="10", body=None, **kw):
    body = b"0123456789"[first:last + 1] if body is None else body
    return say(206, f"Content-Range: bytes {first}-{last}/{total}", *headers, body=body, **kw)


WANT = "Range: bytes=2-6"
PART = part(2, 6, CACHEABLE, TAG)
CASES |= {
    "7 Range goes to the server as it is": [asks(PART, WANT, saw={"Range": "bytes=2-6"})],
    "7 Range and If-Range go to the server as they are": [asks(PART, WANT, 'If-Range: "a"', saw={"Range": "bytes=2-6", "If-Range": '"a"'})],
    "7 the same part again": [asks(PART, WANT), hit(WANT, has={"Content-Range": "bytes 2-6/10"})],
    "7 the same part again, total unknown": [asks(part(2, 6, CACHEABLE, TAG, total="*"), WANT), hit(WANT, has={"Content-Range": "bytes 2-6/*"})],
    "7 a part of the part": [asks(PART, WANT), hit("Range: bytes=3-4", status=206, text=b"34", has={"Content-Range": "bytes 3-4/10", "Content-Length": "2"})],
    "7 a part of a part whose length is not what it says": [
        asks(part(2, 6, CACHEABLE, TAG, body=b"234"), WANT), either(part(3, 4, CACHEABLE), "Range: bytes=3-4", status=206, text=b"34")],
    "7 another part": [asks(PART, WANT), asks(part(7, 9, CACHEABLE, TAG), "Range: bytes=7-9"), hit("Range: bytes=7-9", of=2)],
    "7 both parts are kept": [
        asks(PART, WANT), asks(part(7, 9, CACHEABLE, TAG), "Range: bytes=7-9"), hit(WANT, of=1, text=b"23456"), hit("Range: bytes=7-9", of=2, text=b"789")],
    "7 a part that reaches over": [asks(PART, WANT), either(part(5, 8, CACHEABLE, TAG), "Range: bytes=5-8", status=206, text=b"5678")],
    "7 parts of different versions are never put together": [
        asks(part(0, 4, CACHEABLE, TAG), "Range: bytes=0-4"),
        asks(say(206, CACHEABLE, 'ETag: "b"', "Content-Range: bytes 5-9/10", body=b"fghij"), "Range: bytes=5-9"),
        asks(ok(CACHEABLE, 'ETag: "b"', body=b"abcdefghij")), hit(of=3)],
    "7 parts without a tag are never put together": [
        asks(part(0, 4, CACHEABLE), "Range: bytes=0-4"), asks(part(5, 9, CACHEABLE), "Range: bytes=5-9"), asks(ok(CACHEABLE, body=b"abcdefghij"))],
    "7 parts with weak tags are never put together": [
        asks(part(0, 4, CACHEABLE, 'ETag: W/"a"'), "Range: bytes=0-4"), asks(part(5, 9, CACHEABLE, 'ETag: W/"a"'), "Range: bytes=5-9"),
        asks(ok(CACHEABLE, body=b"abcdefghij"))],
    "7 parts of one version may be put together": [
        asks(part(0, 4, CACHEABLE, TAG), "Range: bytes=0-4"), asks(part(5, 9, CACHEABLE, TAG), "Range: bytes=5-9"),
        either(ok(CACHEABLE, TAG, **DIGITS), status=200, text=b"0123456789")],
    "7 a part does not answer for the whole": [asks(PART, WANT), either(ok(CACHEABLE, TAG, **DIGITS), status=200, text=b"0123456789"), hit(text=b"0123456789")],
    "7 a part without a lifetime": [asks(part(2, 6, TAG, date=False), WANT), either(PART, WANT, status=206)],
    "7 a part and a lifetime by heuristics": [asks(part(2, 6, "Last-Modified: @-864000@"), WANT), asks(PART, WANT)],
    "7 a part and no-store": [asks(part(2, 6, "Cache-Control: max-age=3600, no-store"), WANT), asks(PART, WANT)],
    "7 a part and private": [asks(part(2, 6, "Cache-Control: max-age=3600, private"), WANT), asks(PART, WANT)],
    "7 a part and Authorization": [asks(PART, WANT, "Authorization: Basic YTpi"), asks(PART, WANT)],
    "7 a part with Vary": [
        asks(part(2, 6, CACHEABLE, "Vary: Foo"), WANT, "Foo: 1"), hit(WANT, "Foo: 1"), asks(PART, WANT, "Foo: 2")],
    "7 half of a part": [asks(part(2, 6, CACHEABLE, TAG, end="cut"), WANT, complete=False), asks(PART, WANT)],
    "7 a part that is stale": [asks(part(2, 6, CACHEABLE, TAG, OLD), WANT), either(PART, WANT, status=206, text=b"23456")],
    "7 several ranges": [
        asks(say(206, CACHEABLE, "Content-Type: multipart/byteranges; boundary=x", body=b"--x--"), "Range: bytes=0-1,3-4"),
        asks(part(0, 1, CACHEABLE), "Range: bytes=0-1"), asks(ok(CACHEABLE, **DIGITS))],
    "7 the server sends the whole": [
        asks(ok(CACHEABLE, TAG, **DIGITS), WANT, status=(200, 206)), hit("Range: bytes=1-3", status=206, text=b"123"), hit()],
    "7 a whole answer is better than a part": [
        asks(PART, WANT), asks(ok(CACHEABLE, TAG, **DIGITS)), hit(WANT, status=206, text=b"23456"), hit("Range: bytes=0-1", status=206, text=b"01")],
    "7 the server refuses a range": [asks(say(416, "Content-Range: bytes */10"), "Range: bytes=50-"), asks(ok(CACHEABLE, **DIGITS)), hit()],
    "7 HEAD with a range stores nothing": [asks(PART, WANT, method="HEAD"), asks(PART, WANT)],
}

# ---------------------------------------------------------------- 8 invalidation


def dropped(answer, method="POST", **kw):
    return [asks(ok(CACHEABLE)), hit(), asks(answer, method=method, **kw), asks(ok(CACHEABLE))]


def kept(answer, method="POST", **kw):
    return [asks(ok(CACHEABLE)), hit(), asks(answer, method=method, **kw), hit(of=1)]


def dropped_at(field, method="POST", status=200, at="/x"):
    return [asks(ok(CACHEABLE), at=at), hit(at=at), asks(say(status, field), method=method), asks(ok(CACHEABLE), at=at)]


def kept_at(field, method="POST", status=200, at="/x"):
    return [asks(ok(CACHEABLE), at=at), hit(at=at), asks(say(status, field), method=method), hit(at=at, of=1)]


CASES |= each("8 {} drops", lambda m: dropped(ok(), m), ["POST", "PUT", "DELETE", "PATCH", "FOO", "MKCOL", "get"])
CASES |= each("8 {} drops nothing", lambda m: kept(ok(), m), ["OPTIONS"])
CASES |= each("8 POST with {} drops", lambda s: dropped(say(s)), (200, 201, 202, 204, 205, 299, 300, 301, 302, 303, 307, 308))
CASES |= each("8 POST with {} drops nothing", lambda s: kept(say(s)), (400, 403, 404, 409, 500, 502, 503, 504, 499, 599))
CASES |= each("8 {} drops what Location names", lambda f: dropped_at(f), [
    "Location: @path@/x", "Location: http://plain.test@path@/x", "Content-Location: @path@/x", "Content-Location: http://plain.test@path@/x",
    "Location: .@path@/x", "Location: @path@/y/../x", "Location: //plain.test@path@/x", "Location: http://PLAIN.test@path@/x",
    "Location: http://plain.test:80@path@/x", "Location: @path@/x#part"])
CASES |= each("8 {} of another host drops nothing", lambda f: kept_at(f), [
    "Location: http://ten.test@path@/x", "Content-Location: http://ten.test@path@/x", "Location: http://plain.test:81@path@/x",
    "Location: //ten.test@path@/x", "Location: @path@/y", "Location: http://x:y:z@path@/x", "Location:"])
CASES |= {
    "8 DELETE drops what Location names": dropped_at("Location: @path@/x", "DELETE"),
    "8 PUT drops what Content-Location names": dropped_at("Content-Location: @path@/x", "PUT"),
    "8 201 drops what Location names": dropped_at("Location: @path@/x", status=201),
    "8 303 drops what Location names": dropped_at("Location: @path@/x", status=303),
    "8 404 does not drop what Location names": kept_at("Location: @path@/x", status=404),
    "8 500 does not drop what Content-Location names": kept_at("Content-Location: @path@/x", status=500),
    "8 GET does not drop what Location names": kept_at("Location: @path@/x", "GET", 301),
    "8 HEAD does not drop what Location names": kept_at("Location: @path@/x", "HEAD", 301),
    "8 both fields": [
        asks(ok(CACHEABLE), at="/x"), asks(ok(CACHEABLE), at="/y"), asks(ok("Location: @path@/x", "Content-Location: @path@/y"), method="POST"),
        asks(ok(CACHEABLE), at="/x"), asks(ok(CACHEABLE), at="/y")],
    "8 all variants are dropped": [
        *(asks(ok(CACHEABLE, "Vary: Foo"), f"Foo: {i}") for i in range(4)), asks(ok(), method="POST"),
        *(asks(ok(CACHEABLE, "Vary: Foo"), f"Foo: {i}") for i in range(4))],
    "8 parts are dropped, too": [asks(PART, WANT), hit(WANT), asks(ok(), method="PUT"), asks(PART, WANT)],
    "8 another query is kept": [asks(ok(CACHEABLE), at="?a"), asks(ok(), method="POST"), hit(at="?a", of=1)],
    "8 dropped, not only stale": [asks(ok(CACHEABLE, TAG)), asks(ok(), method="POST"), either(ok(CACHEABLE), status=200), hit(of=3)],
    "8 a server that is dead drops nothing": [asks(ok(CACHEABLE)), asks(DEAD, method="POST", status=(502, 504)), hit(of=1)],
    "8 no-store in a request drops, too": dropped(ok(), "POST", body=b"x"),
    "8 what is dropped is stored anew": [asks(ok(CACHEABLE)), asks(ok(), method="POST"), asks(ok(CACHEABLE)), hit(of=3)],
    "8 where nothing is stored": [asks(ok(), method="POST"), asks(ok(CACHEABLE)), hit(of=2)],
    "8 beside a bypass": under("bypass", asks(ok(CACHEABLE)), asks(ok(), "X-Bypass: 1", method="POST"), asks(ok(CACHEABLE))),
}

# ---------------------------------------------------------------- Cache-Status (RFC 9211)


def report(*words):
    return {"Cache-Status": lambda got: len(got) == 1 and all(re.search(rf"(^|[; ]){w}($|;)", got[0]) for w in words)}


CASES |= {
    "Cache-Status of a miss": under("told", asks(ok(CACHEABLE), has=report("fwd=uri-miss", "stored"))),
    "Cache-Status of a hit": under("told", asks(ok(CACHEABLE)), hit(has=report("hit", "ttl=3(600|59[0-9])"))),
    "Cache-Status of what is not stored": under(
        "told", asks(ok("Cache-Control: no-store"), has={"Cache-Status": lambda got: "fwd=uri-miss" in got[0] and "stored" not in got[0]})),
    "Cache-Status of another variant": under(
        "told", asks(ok(CACHEABLE, "Vary: Foo"), "Foo: 1"), asks(ok(CACHEABLE), "Foo: 2", has=report("fwd=vary-miss"))),
    "Cache-Status of a validation": under("told", stale(TAG), checks(same(), has=report("fwd=stale", "fwd-status=304"))),
    "Cache-Status of a new answer": under("told", stale(TAG), asks(ok(CACHEABLE), has=report("fwd=stale", "stored"))),
    "Cache-Status of a stale answer": under("told", asks(ok(SWR, LATE, TAG)), behind(same(NOW), has=report("hit", "ttl=-5[0-9]"))),
    "Cache-Status of POST": under("told", asks(ok(), method="POST", has=report("fwd=method"))),
    "Cache-Status of a bypass": under("told", asks(ok(), "X-Bypass: 1", has=report("fwd=bypass"))),
    "Cache-Status goes behind that of others": under(
        "told", asks(ok(CACHEABLE, "Cache-Status: Near; hit"), has={"Cache-Status": lambda got: ", ".join(got).startswith("Near; hit, weir")})),
    "Cache-Status is not told unasked": [asks(ok(CACHEABLE), has={"Cache-Status": None}), hit(has={"Cache-Status": None})],
}
