# SPDX-License-Identifier: Apache-2.0
"""Raw requests and what has to become of them, one row each. test_raw_requests.py runs every row
twice: in one piece, and byte by byte.

    ok(name, raw, ...)      is answered 200 and reaches the origin, as the keywords say
    local(name, raw, status) is answered by weir itself; the origin sees nothing; the connection stays
    bad(name, raw, status)  is refused, the connection is closed, the origin sees nothing
    broken(name, raw, status) is refused in its body: the origin may have seen the head, never a whole request
    many(name, raw, statuses, targets) pipelined requests; `closed` when the last one ends the connection

To add a case, add a line. CONFIG is the configuration they all run against."""
import dataclasses

CONFIG = """
site a.test b.test *.wild.test 127.0.0.1 {
    proxy @origin@
    route /local { respond 200 "here" }
    route /small/ { body max=1k }
    route /guarded/ { respond 403 }
}
"""


@dataclasses.dataclass(frozen=True)
class Got:
    """What the origin received: compared with a whole parsed request."""
    method: str = "GET"
    target: str = "/"
    body: bytes = b""
    has: dict = dataclasses.field(default_factory=dict)   # name -> value, lines joined by ", "
    lacks: tuple = ()
    trailers: tuple = ()


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    raw: bytes
    statuses: tuple
    closed: bool
    got: tuple = ()
    incomplete: bool = False  # a request that did not come whole may be seen by the origin
    methods: tuple = ("GET",)
    interim: tuple = ()       # statuses of the 1xx before the first answer


CASES = []


def ok(name, raw, closed=False, status=200, method="GET", interim=(), **got):
    CASES.append(Case(name, raw, (status,), closed, (Got(method=method, **got),),
                      methods=(method,), interim=interim))


def local(name, raw, status, closed=False, method="GET"):
    CASES.append(Case(name, raw, (status,), closed, methods=(method,)))


def bad(name, raw, status=400):
    CASES.append(Case(name, raw, (status,), True))


def broken(name, raw, status=400):
    CASES.append(Case(name, raw, (status,), True, incomplete=True))


def many(name, raw, statuses, targets, closed=False, incomplete=False):
    got = tuple(t if isinstance(t, Got) else Got(target=t) for t in targets)
    CASES.append(Case(name, raw, tuple(statuses), closed, got, incomplete,
                      methods=("GET",) * len(statuses)))


def req(*fields, line="GET / HTTP/1.1", host="a.test", body=b""):
    """A request out of its line, Host and further field lines."""
    lines = [line] + ([f"Host: {host}"] if host is not None else []) + list(fields)
    raw = [x if isinstance(x, bytes) else x.encode("latin-1") for x in lines]
    return b"\r\n".join(raw) + b"\r\n\r\n" + body


def post(*fields, body=b"", line="POST / HTTP/1.1"):
    return req(*fields, line=line, body=body)


def chunks(body, *fields, line="POST / HTTP/1.1"):
    """A chunked request with these raw body bytes."""
    return req("Transfer-Encoding: chunked", *fields, line=line, body=body)


def path(target):
    return req(line=f"GET {target} HTTP/1.1")


# --------------------------------------------------------------------- plain requests
ok("get", req())
ok("get with query", path("/a?b=c&d"), target="/a?b=c&d")
ok("get with empty query", path("/a?"), target="/a?")
ok("head", req(line="HEAD /h HTTP/1.1"), method="HEAD", target="/h")
ok("options on a path", req(line="OPTIONS /o HTTP/1.1"), method="OPTIONS", target="/o")
ok("delete without a body", req(line="DELETE /d HTTP/1.1"), method="DELETE", target="/d")
ok("put with a body", req("Content-Length: 3", line="PUT /p HTTP/1.1", body=b"abc"),
   method="PUT", target="/p", body=b"abc")
ok("patch", req("Content-Length: 1", line="PATCH /p HTTP/1.1", body=b"x"),
   method="PATCH", target="/p", body=b"x")
ok("an own method", req(line="PURGE /x HTTP/1.1"), method="PURGE", target="/x")
ok("method names have case", req(line="get / HTTP/1.1"), method="get")
ok("method of every token character", req(line="A!#$%&'*+-.^_`|~9 / HTTP/1.1"),
   method="A!#$%&'*+-.^_`|~9")
ok("get with a body", req("Content-Length: 2", body=b"hi"), body=b"hi")
ok("post with length 0", post("Content-Length: 0"), method="POST", has={"Content-Length": "0"})
ok("post without framing has no body", post(), method="POST")
ok("one empty line before the request", b"\r\n" + req())
ok("two empty lines before the request", b"\r\n\r\n" + req())
ok("field without a space after the colon", req("X-A:b"), has={"X-A": "b"})
ok("field with spaces and tabs around the value", req("X-A: \t b \t "), has={"X-A": "b"})
ok("empty value", req("X-A:"), has={"X-A": ""})
ok("value with inner tab", req("X-A: a\tb"), has={"X-A": "a\tb"})
ok("value with bytes above 127", req(b"X-A: \xe4\xff"), has={"X-A": "\xe4\xff"})
ok("value with quotes, commas, colons", req('X-A: "a, b": c'), has={"X-A": '"a, b": c'})
ok("name of every token character", req("!#$%&'*+-.^_`|~9z: v"), has={"!#$%&'*+-.^_`|~9z": "v"})
ok("repeated field keeps its lines in order", req("X-A: 1", "X-B: 2", "X-A: 3"),
   has={"X-A": "1, 3"})
ok("field names in any case", req("x-LOWER: v", "CONTENT-LENGTH: 1", line="POST / HTTP/1.1",
                                  body=b"z"), method="POST", body=b"z")
ok("cookies stay in their lines", req("Cookie: a=1", "Cookie: b=2"), has={"Cookie": "a=1, b=2"})

# --------------------------------------------------------------------- the request line
bad("empty method", b" / HTTP/1.1\r\nHost: a.test\r\n\r\n")
bad("two spaces after the method", req(line="GET  / HTTP/1.1"))
bad("two spaces before the version", req(line="GET /  HTTP/1.1"))
bad("tab after the method", req(line="GET\t/ HTTP/1.1"))
bad("tab before the version", req(line="GET /\tHTTP/1.1"))
bad("vertical tab as a separator", req(line="GET /\x0bHTTP/1.1"))
bad("space after the version", req(line="GET / HTTP/1.1 "))
bad("space before the method", req(line=" GET / HTTP/1.1"))
bad("method with a separator in it", req(line="GE(T / HTTP/1.1"))
bad("method with a byte above 127", req(line="G\xe9T / HTTP/1.1"))
bad("method with a colon", req(line="GET: / HTTP/1.1"))
bad("no target", req(line="GET HTTP/1.1"))
bad("target with a space", req(line="GET /a b HTTP/1.1"))
bad("no version (HTTP/0.9)", b"GET /\r\n\r\n")
bad("no version with Host", req(line="GET /"))
bad("version in lower case", req(line="GET / http/1.1"))
bad("version without a dot", req(line="GET / HTTP/1"))
bad("version with two digits", req(line="GET / HTTP/1.10"))
bad("version with a leading zero", req(line="GET / HTTP/01.1"))
bad("version with a plus", req(line="GET / HTTP/+1.1"))
bad("version of another protocol", req(line="GET / HTCPCP/1.1"))
bad("version HTTP/0.9 spelled out", req(line="GET / HTTP/0.9"), 505)
bad("version HTTP/2.0", req(line="GET / HTTP/2.0"), 505)
bad("version HTTP/3.0", req(line="GET / HTTP/3.0"), 505)
ok("a later minor version is 1.1", req(line="GET / HTTP/1.2"))
bad("three empty lines before the request", b"\r\n\r\n\r\n" + req())
bad("bare LF before the request", b"\n" + req())
bad("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60)
bad("an SSH hello", b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
bad("a word and no more", b"hello\r\n\r\n")

# --------------------------------------------------------------------- line ends and bytes
bad("bare LF ends the request line", b"GET / HTTP/1.1\nHost: a.test\r\n\r\n")
bad("bare LF ends a field", b"GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n")
bad("bare LF ends the head", b"GET / HTTP/1.1\r\nHost: a.test\r\n\n")
bad("LF everywhere", b"GET / HTTP/1.1\nHost: a.test\n\n")
bad("bare CR in the request line", b"GET /\rx HTTP/1.1\r\nHost: a.test\r\n\r\n")
bad("bare CR in a value", req("X-A: a\rb"))
bad("bare CR in a name", req("X\rA: b"))
bad("CR CR LF", b"GET / HTTP/1.1\r\r\nHost: a.test\r\n\r\n")
bad("CR before a smuggled field", req("X-A: a\rTransfer-Encoding: chunked"))
bad("NUL in the target", req(line="GET /\0 HTTP/1.1"))
bad("NUL in a value", req("X-A: a\0b"))
bad("NUL in a name", req("X\0A: b"))
bad("NUL in the method", req(line="GE\0T / HTTP/1.1"))
bad("control character in a value", req("X-A: a\x01b"))
bad("DEL in a value", req("X-A: a\x7fb"))
bad("escape character in a value", req("X-A: \x1b[31m"))
bad("space before the colon", req("X-A : b"))
bad("tab before the colon", req("X-A\t: b"))
bad("space before the colon of Content-Length", post("Content-Length : 5", body=b"hello"))
bad("space before the colon of Transfer-Encoding",
    post("Transfer-Encoding : chunked", body=b"0\r\n\r\n"))
bad("space before the colon of Host", req("Host : a.test", host=None))
bad("space in a name", req("X A: b"))
bad("field without a colon", req("X-A"))
bad("field without a name", req(": b"))
bad("name with a byte above 127", req(b"X-\xe4: b"))
bad("name with a slash", req("X/A: b"))
bad("name in quotes", req('"X": b'))
bad("obs-fold by a space", req("X-A: a", " b"))
bad("obs-fold by a tab", req("X-A: a", "\tb"))
bad("obs-fold of Content-Length", post("Content-Length:", " 5", body=b"hello"))
bad("obs-fold of Transfer-Encoding", post("Transfer-Encoding:", " chunked", body=b"0\r\n\r\n"))
bad("obs-fold of the first field", b"GET / HTTP/1.1\r\n Host: a.test\r\n\r\n")
bad("a line of only a space", b"GET / HTTP/1.1\r\nHost: a.test\r\n \r\n\r\n")

# --------------------------------------------------------------------- Host
bad("no Host in 1.1", req(host=None))
bad("empty Host", req(host=""))
bad("two Hosts", req("Host: a.test"))
bad("two different Hosts", req("Host: b.test"))
bad("Host with a space", req(host="a .test"))
bad("Host with a comma", req(host="a.test, b.test"))
bad("Host with a path", req(host="a.test/x"))
bad("Host with userinfo", req(host="u@a.test"))
bad("Host with a query", req(host="a.test?x"))
bad("Host with a scheme", req(host="http://a.test"))
bad("Host with an escape", req(host="a%2etest"))
bad("Host with a star", req(host="*.test"))
bad("Host with a port of letters", req(host="a.test:http"))
bad("Host with a port that overflows", req(host="a.test:65536"))
bad("Host with a huge port", req(host="a.test:99999999999999999999"))
bad("Host with a negative port", req(host="a.test:-1"))
bad("Host with two ports", req(host="a.test:80:80"))
bad("Host that is only a port", req(host=":80"))
bad("Host with an empty label", req(host="a..test"))
bad("Host that begins with a dot", req(host=".a.test"))
bad("Host of two dots at the end", req(host="a.test.."))
bad("Host with a backslash", req(host="a.test\\x"))
bad("Host with a broken IPv6 literal", req(host="[::1"))
bad("Host with junk in an IPv6 literal", req(host="[::g]"))
bad("Host with junk after an IPv6 literal", req(host="[::1]x"))
bad("Host with bytes above 127", req(host="\xe4.test"))
bad("Host with angle brackets", req(host="<script>"))
ok("Host in upper case", req(host="A.TEST"))
ok("Host with a port", req(host="a.test:8080"), has={"Host": "a.test:8080"})
ok("Host with an empty port", req(host="a.test:"))
ok("Host with a trailing dot", req(host="a.test."))
ok("Host by wildcard", req(host="x.y.wild.test"))
ok("Host as an IPv4 address", req(host="127.0.0.1"))
local("unknown Host", req(host="other.test"), 421)
local("the wildcard's own name is not below it", req(host="wild.test"), 421)
local("a valid IPv6 Host that no site has", req(host="[::1]:8080"), 421)
local("a Host that only begins like a site", req(host="a.test.evil.test"), 421)

# --------------------------------------------------------------------- forms of the target
ok("absolute-form", req(line="GET http://a.test/x?y HTTP/1.1"), target="/x?y",
   has={"Host": "a.test"})
ok("absolute-form without a path", req(line="GET http://a.test HTTP/1.1"), target="/")
ok("absolute-form with only a query", req(line="GET http://a.test?q HTTP/1.1"), target="/?q")
ok("absolute-form in capitals", req(line="GET HTTP://A.TEST/x HTTP/1.1"), target="/x")
ok("absolute-form with the port in both", req(line="GET http://a.test:81/x HTTP/1.1",
                                             host="a.test:81"), target="/x")
bad("absolute-form against another Host", req(line="GET http://b.test/ HTTP/1.1"))
bad("absolute-form against Host with another port",
    req(line="GET http://a.test:81/ HTTP/1.1", host="a.test:82"))
bad("absolute-form without Host in 1.1", req(line="GET http://a.test/ HTTP/1.1", host=None))
bad("absolute-form with userinfo", req(line="GET http://u:p@a.test/ HTTP/1.1"))
bad("absolute-form without a host", req(line="GET http:/// HTTP/1.1"))
bad("absolute-form of another scheme", req(line="GET ftp://a.test/ HTTP/1.1"))
bad("absolute-form of file", req(line="GET file:///etc/passwd HTTP/1.1"))
bad("a scheme and no more", req(line="GET http: HTTP/1.1"))
bad("a relative target", req(line="GET x HTTP/1.1"))
bad("an empty path with a query", req(line="GET ?x HTTP/1.1"))
bad("authority-form with GET", req(line="GET a.test:80 HTTP/1.1"))
bad("CONNECT", req(line="CONNECT a.test:80 HTTP/1.1", host="a.test:80"), 501)
bad("CONNECT with a path", req(line="CONNECT /x HTTP/1.1"), 501)
bad("asterisk-form with GET", req(line="GET * HTTP/1.1"))
bad("a star with more", req(line="OPTIONS *x HTTP/1.1"))
bad("target with a fragment", path("/a#b"))
bad("target with a fragment in the query", path("/a?b#c"))
bad("backslash in the path", path("/a\\b"))
bad("quote in the path", path('/a"b'))
bad("angle brackets in the path", path("/<x>"))
bad("bytes above 127 in the path", path("/\xe4"))
bad("bytes above 127 in the query", path("/?\xe4"))
bad("DEL in the path", path("/\x7f"))
ok("double slash stays", path("//x//y"), target="//x//y")
ok("brackets in the path are escaped", path("/a[1]|"), target="/a%5B1%5D%7C")
ok("braces in the query pass", path("/?{a}^`"), target="/?{a}^`")

# --------------------------------------------------------------------- normalising
ok("unreserved escapes are decoded", path("/%61%2D%7e%5f%39"), target="/a-~_9")
ok("hex digits of escapes become upper case", path("/%c3%a4"), target="/%C3%A4")
ok("reserved escapes stay", path("/a%3Fb%23c%25"), target="/a%3Fb%23c%25")
ok("an encoded slash stays encoded", path("/a%2fb"), target="/a%2Fb")
ok("a single dot segment goes", path("/a/./b"), target="/a/b")
ok("a double dot segment goes", path("/a/b/../c"), target="/a/c")
ok("dot segment at the end", path("/a/b/.."), target="/a/")
ok("single dot at the end", path("/a/."), target="/a/")
ok("encoded dots are dots", path("/a/%2e%2E/c"), target="/c")
ok("half encoded dots are dots", path("/a/.%2e/c"), target="/c")
ok("three dots are a name", path("/a/.../b"), target="/a/.../b")
ok("dots in a name stay", path("/a..b/.c/d."), target="/a..b/.c/d.")
ok("the query is not normalised", path("/a?x=/../%2e%61"), target="/a?x=/../%2e%61")
ok("parameters stay", path("/a;p=1/b"), target="/a;p=1/b")
bad("above the root", path("/../x"))
bad("above the root later", path("/a/../../x"))
bad("above the root by escapes", path("/%2e%2e/x"))
bad("encoded NUL", path("/a%00"))
bad("encoded NUL at the start", path("/%00/x"))
bad("a percent at the end", path("/a%"))
bad("a percent with one digit", path("/a%4"))
bad("a percent with junk", path("/a%zz"))
bad("a percent with a half digit", path("/a%4g"))
bad("an unicode escape", path("/a%u0041"))
bad("dots beside an encoded slash", path("/a/..%2fx"))
bad("dots beside an encoded backslash", path("/a/..%5cx"))
bad("dots before a parameter", path("/a/..;/x"))
local("a guarded path", path("/guarded/x"), 403)
local("a guarded path by an escape", path("/guard%65d/x"), 403)
local("a guarded path by dot segments", path("/a/../guarded/x"), 403)
local("a guarded path by encoded dot segments", path("/a/%2e%2e/guarded/x"), 403)
local("a guarded path in absolute-form", req(line="GET http://a.test/guarded/x HTTP/1.1"), 403)
ok("an encoded slash does not open a guarded path", path("/guarded%2fx"), target="/guarded%2Fx")

# --------------------------------------------------------------------- Content-Length
bad("two equal lengths in two lines", post("Content-Length: 5", "Content-Length: 5",
                                          body=b"hello"))
bad("two different lengths", post("Content-Length: 5", "Content-Length: 6", body=b"hello!"))
bad("a list of equal lengths", post("Content-Length: 5, 5", body=b"hello"))
bad("a list of lengths", post("Content-Length: 5, 6", body=b"hello!"))
bad("length with a plus", post("Content-Length: +5", body=b"hello"))
bad("negative length", post("Content-Length: -1"))
bad("length in hex", post("Content-Length: 0x5", body=b"hello"))
bad("length with a decimal point", post("Content-Length: 5.0", body=b"hello"))
bad("length with a space inside", post("Content-Length: 1 1", body=b"hello world"))
bad("length with junk after it", post("Content-Length: 5x", body=b"hello"))
bad("empty length", post("Content-Length:"))
bad("length in quotes", post('Content-Length: "5"', body=b"hello"))
bad("length past 64 bits", post("Content-Length: 18446744073709551616"))
bad("length past 64 bits by far", post("Content-Length: " + "9" * 40))
bad("length past 63 bits", post("Content-Length: 9223372036854775808"))
bad("length with an exponent", post("Content-Length: 1e3"))
bad("length with an underscore", post("Content-Length: 1_0", body=b"helloworld"))
bad("length of other digits", post("Content-Length: \xb2"))
ok("length with leading zeros", post("Content-Length: 005", body=b"hello"), method="POST",
   body=b"hello", has={"Content-Length": "5"})
ok("length surrounded by spaces", post("Content-Length:   5  ", body=b"hello"), method="POST",
   body=b"hello")

# --------------------------------------------------------------------- Transfer-Encoding
C5 = b"5\r\nhello\r\n0\r\n\r\n"
bad("length and chunked (CL.TE)", post("Content-Length: 6", "Transfer-Encoding: chunked",
                                      body=b"0\r\n\r\nG"))
bad("chunked and length (TE.CL)", post("Transfer-Encoding: chunked", "Content-Length: 4",
                                      body=b"5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n"))
bad("length 0 and chunked", post("Content-Length: 0", "Transfer-Encoding: chunked", body=C5))
bad("chunked with a smuggled request",
    post("Content-Length: 44", "Transfer-Encoding: chunked",
         body=b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"))
bad("chunked twice in one line", post("Transfer-Encoding: chunked, chunked", body=C5))
bad("chunked twice in two lines", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked",
                                      body=C5))
bad("chunked is not last", post("Transfer-Encoding: chunked, gzip", body=C5))
bad("chunked and identity in two lines (TE.TE)",
    post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=C5))
bad("chunked and a made-up coding", post("Transfer-Encoding: chunked", "Transfer-Encoding: cow",
                                         body=C5))
bad("gzip, chunked", post("Transfer-Encoding: gzip, chunked", body=C5), 501)
# RFC 9112 6.3: the last coding is not chunked, so the length is unknown: 400
bad("gzip alone", post("Transfer-Encoding: gzip", body=C5))
bad("identity alone", post("Transfer-Encoding: identity", body=C5))
bad("a made-up coding", post("Transfer-Encoding: xchunked", body=C5))
bad("chunked with a letter less", post("Transfer-Encoding: chunke", body=C5))
bad("chunked in quotes", post('Transfer-Encoding: "chunked"', body=C5))
bad("chunked with a vertical tab", post("Transfer-Encoding: \x0bchunked", body=C5))
bad("chunked with a parameter", post("Transfer-Encoding: chunked;q=1", body=C5))
bad("empty coding", post("Transfer-Encoding:", body=C5))
bad("chunked with a semicolon", post("Transfer-Encoding: chunked;", body=C5))
bad("two words", post("Transfer-Encoding: chunked identity", body=C5))
bad("chunked in HTTP/1.0", req("Transfer-Encoding: chunked", line="POST / HTTP/1.0", body=C5))
ok("coding in any case", post("Transfer-Encoding: ChUnKeD", body=C5), method="POST",
   body=b"hello", lacks=("Content-Length",))
ok("underscored name is another field", post("Content_Length: 9", "Content-Length: 1", body=b"x"),
   method="POST", body=b"x")

# --------------------------------------------------------------------- chunks
ok("one chunk", chunks(C5), method="POST", body=b"hello", has={"Transfer-Encoding": "chunked"})
ok("no chunk", chunks(b"0\r\n\r\n"), method="POST")
ok("several chunks", chunks(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), method="POST", body=b"abc")
ok("size in capitals and with zeros", chunks(b"00000A\r\n0123456789\r\n000\r\n\r\n"),
   method="POST", body=b"0123456789")
ok("extensions are dropped", chunks(b'5;a;b=c;d="e;f"\r\nhello\r\n0;x\r\n\r\n'), method="POST",
   body=b"hello")
ok("extension of 1 KB", chunks(b"5;" + b"a" * 1000 + b"\r\nhello\r\n0\r\n\r\n"), method="POST",
   body=b"hello")
broken("extension past 1 KB", chunks(b"5;" + b"a" * 1100 + b"\r\nhello\r\n0\r\n\r\n"))
broken("extension with a bare LF", chunks(b"5;a\nhello\r\n0\r\n\r\n"))
broken("extension with a bare CR", chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"))
broken("extension with NUL", chunks(b"5;a\0\r\nhello\r\n0\r\n\r\n"))
broken("empty size", chunks(b"\r\nhello\r\n0\r\n\r\n"))
broken("size of no digits", chunks(b"x\r\nhello\r\n0\r\n\r\n"))
broken("size with a minus", chunks(b"-5\r\nhello\r\n0\r\n\r\n"))
broken("size with a plus", chunks(b"+5\r\nhello\r\n0\r\n\r\n"))
broken("size with 0x", chunks(b"0x5\r\nhello\r\n0\r\n\r\n"))
broken("size after a space", chunks(b" 5\r\nhello\r\n0\r\n\r\n"))
broken("size before a space", chunks(b"5 \r\nhello\r\n0\r\n\r\n"))
broken("size before a tab", chunks(b"5\t\r\nhello\r\n0\r\n\r\n"))
broken("size with an underscore", chunks(b"0_5\r\nhello\r\n0\r\n\r\n"))
broken("size past 64 bits", chunks(b"10000000000000000\r\nhello\r\n0\r\n\r\n"))
broken("size that wraps to 5", chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n"))
broken("size that is negative in 64 bits", chunks(b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"))
broken("size of many zeros", chunks(b"0" * 200 + b"5\r\nhello\r\n0\r\n\r\n"))
broken("size line ends in bare LF", chunks(b"5\nhello\r\n0\r\n\r\n"))
broken("size line ends in bare CR", chunks(b"5\rhello\r\n0\r\n\r\n"))
broken("data shorter than its size", chunks(b"6\r\nhello\r\n0\r\n\r\n"))
broken("data longer than its size", chunks(b"4\r\nhello\r\n0\r\n\r\n"))
broken("data without CRLF", chunks(b"5\r\nhello0\r\n\r\n"))
broken("data with bare LF after it", chunks(b"5\r\nhello\n0\r\n\r\n"))
broken("data with bare CR after it", chunks(b"5\r\nhello\r0\r\n\r\n"))
broken("last chunk with junk", chunks(b"5\r\nhello\r\n0x\r\n\r\n"))

# --------------------------------------------------------------------- trailers
ok("a trailer passes", chunks(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), method="POST",
   body=b"hello", trailers=(("X-Sum", "1"),))
broken("trailer without a colon", chunks(b"0\r\nX-Sum\r\n\r\n"))
broken("trailer with a space before the colon", chunks(b"0\r\nX-Sum : 1\r\n\r\n"))
broken("trailer folded", chunks(b"0\r\nX-Sum: 1\r\n 2\r\n\r\n"))
broken("trailer with a bare LF", chunks(b"0\r\nX-Sum: 1\n\r\n"))
broken("trailer with a bare CR", chunks(b"0\r\nX-Sum: 1\rX: 2\r\n\r\n"))
broken("trailer with NUL", chunks(b"0\r\nX-Sum: \0\r\n\r\n"))
broken("trailers past 8 KB", chunks(b"0\r\nX-Sum: " + b"a" * 8300 + b"\r\n\r\n"), 431)
ok("trailers of almost 8 KB", chunks(b"0\r\nX-Sum: " + b"a" * 8100 + b"\r\n\r\n"), method="POST",
   trailers=(("X-Sum", "a" * 8100),))
for _name in ("Content-Length: 5", "Transfer-Encoding: chunked", "Host: b.test",
              "Authorization: x", "Connection: close", "X-Forwarded-For: 1.2.3.4"):
    ok(f"trailer {_name.split(':')[0]} is dropped",
       chunks(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n" + _name.encode() + b"\r\n\r\n"), method="POST",
       body=b"hello", trailers=(("X-Sum", "1"),))

# --------------------------------------------------------------------- limits, at and one past
LINE, HEAD, FIELDS = 16384, 32768, 100


def line_of(n):
    target = "/" + "a" * (n - len("GET / HTTP/1.1"))
    return req(line=f"GET {target} HTTP/1.1"), target


def head_of(n):
    small = req("X-1: ", "X-2: ", "X-3: ")
    room = n - len(small)
    return req("X-1: " + "a" * (room // 3), "X-2: " + "b" * (room // 3),
               "X-3: " + "c" * (room - room // 3 * 2))


ok("request line at its limit", line_of(LINE)[0], target=line_of(LINE)[1])
bad("request line one past its limit", line_of(LINE + 1)[0], 414)
bad("request line without an end", b"GET /" + b"a" * 20000, 414)
ok("head at its limit", head_of(HEAD))
bad("head one past its limit", head_of(HEAD + 1), 431)
bad("head without an end", b"GET / HTTP/1.1\r\nHost: a.test\r\nX: " + b"a" * 40000, 431)
ok("fields at their limit", req(*[f"X-{i}: v" for i in range(FIELDS - 1)]))
bad("fields one past their limit", req(*[f"X-{i}: v" for i in range(FIELDS)]), 431)
ok("body at its limit", post("Content-Length: 1024", line="POST /small/x HTTP/1.1",
                             body=b"a" * 1024), method="POST", target="/small/x",
   body=b"a" * 1024)
bad("body one past its limit", post("Content-Length: 1025", line="POST /small/x HTTP/1.1",
                                    body=b"a" * 1025), 413)
bad("body far past its limit", post("Content-Length: 999999999", line="POST /small/x HTTP/1.1",
                                    body=b"a" * 100), 413)
ok("chunked body at its limit", chunks(b"400\r\n" + b"a" * 1024 + b"\r\n0\r\n\r\n",
                                      line="POST /small/x HTTP/1.1"), method="POST",
   target="/small/x", body=b"a" * 1024)
broken("chunked body one past its limit", chunks(b"401\r\n" + b"a" * 1025 + b"\r\n0\r\n\r\n",
                                                line="POST /small/x HTTP/1.1"), 413)
broken("chunked body past its limit in small chunks",
       chunks(b"100\r\n" + b"a" * 256 + b"\r\n" + (b"100\r\n" + b"a" * 256 + b"\r\n") * 4 +
              b"0\r\n\r\n", line="POST /small/x HTTP/1.1"), 413)

# --------------------------------------------------------------------- HTTP/1.0 and keeping
ok("HTTP/1.0 closes", req(line="GET / HTTP/1.0"), closed=True)
ok("HTTP/1.0 with keep-alive stays", req("Connection: keep-alive", line="GET / HTTP/1.0"))
ok("HTTP/1.0 with a body", req("Content-Length: 2", line="POST / HTTP/1.0", body=b"hi"),
   closed=True, method="POST", body=b"hi")
ok("Connection: close closes", req("Connection: close"), closed=True)
ok("Connection: Close in a list", req("Connection: x-a, Close"), closed=True)
ok("Connection: keep-alive in 1.1", req("Connection: keep-alive"))
ok("close wins over keep-alive", req("Connection: keep-alive, close"), closed=True)
ok("close in the second line", req("Connection: keep-alive", "Connection: close"), closed=True)
bad("HTTP/1.0 with two Hosts", req("Host: b.test", line="GET / HTTP/1.0"))

# --------------------------------------------------------------------- hop-by-hop
ok("hop-by-hop fields stay here",
   req("Connection: keep-alive, X-Secret", "Keep-Alive: timeout=5", "X-Secret: 1",
       "Proxy-Connection: keep-alive", "TE: trailers", "X-Stays: 1", "Proxy-Authorization: x"),
   has={"X-Stays": "1"},
   lacks=("Keep-Alive", "X-Secret", "Proxy-Connection", "TE", "Proxy-Authorization"))
ok("Connection names a field in another case", req("Connection: x-sEcReT", "X-Secret: 1"),
   lacks=("X-Secret",))
ok("Connection names what is not there", req("Connection: nothing"))
ok("Connection cannot take off Host", req("Connection: host"), has={"Host": "a.test"})
ok("Connection cannot take off Content-Length",
   post("Connection: content-length", "Content-Length: 5", body=b"hello"), method="POST",
   body=b"hello")
ok("Connection cannot take off X-Forwarded-For", req("Connection: x-forwarded-for"),
   has={"X-Forwarded-For": "127.0.0.1"})
ok("Upgrade to a protocol without Connection is no upgrade", req("Upgrade: websocket"),
   lacks=("Upgrade",))
ok("HTTP2-Settings goes no further",
   req("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"),
   lacks=("HTTP2-Settings",))
ok("a Connection of commas", req("Connection: ,, ,"))
bad("Connection that is no list of tokens", req("Connection: a b"))

# --------------------------------------------------------------------- forwarded fields
ok("X-Forwarded-* are set", req(),
   has={"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "a.test"})
ok("X-Forwarded-* of a stranger are replaced",
   req("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil",
       "X-Forwarded-Port: 1"),
   has={"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "a.test"})
ok("several lines of X-Forwarded-For are replaced",
   req("X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 5.6.7.8"),
   has={"X-Forwarded-For": "127.0.0.1"})
ok("Via is added", req(), has={"Via": "1.1 weir"})
ok("Via is appended", req("Via: 1.0 x"), has={"Via": "1.0 x, 1.1 weir"})

# --------------------------------------------------------------------- Expect
ok("expect with its body at once", post("Expect: 100-continue", "Content-Length: 5",
                                       body=b"hello"), method="POST", body=b"hello",
   interim=None)
bad("an unknown expectation", post("Expect: 200-ok", "Content-Length: 5", body=b"hello"), 417)
ok("expect without a body is ignored", req("Expect: 100-continue"), interim=None)

# --------------------------------------------------------------------- pipelining
many("two requests", path("/1") + path("/2"), (200, 200), ("/1", "/2"))
many("ten requests", b"".join(path(f"/{i}") for i in range(10)), (200,) * 10,
     [f"/{i}" for i in range(10)])
many("local and forwarded in order", path("/local") + path("/2") + path("/local"),
     (200, 200, 200), ("/2",))
many("a body, then a request", post("Content-Length: 5", body=b"hello") + path("/2"),
     (200, 200), (Got(method="POST", body=b"hello"), "/2"))
many("chunks, then a request", chunks(C5) + path("/2"), (200, 200),
     (Got(method="POST", body=b"hello"), "/2"))
many("the second is bad", path("/1") + req(host=None), (200, 400), ("/1",), closed=True)
many("nothing counts after a bad one", path("/1") + req("X : y") + path("/3"), (200, 400),
     ("/1",), closed=True)
many("nothing counts after close", req("Connection: close", line="GET /1 HTTP/1.1") + path("/2"),
     (200,), ("/1",), closed=True)
many("a length that covers a request", post("Content-Length: 33", body=path("/x")),
     (200,), (Got(method="POST", body=path("/x")),))
many("an empty line between requests", path("/1") + b"\r\n" + path("/2"), (200, 200),
     ("/1", "/2"))
many("junk after a body", post("Content-Length: 2", body=b"hixx\r\n\r\n"), (200, 400),
     (Got(method="POST", body=b"hi"),), closed=True)
many("HTTP/1.0 does not pipeline", req(line="GET /1 HTTP/1.0") + path("/2"), (200,), ("/1",),
     closed=True)

# --------------------------------------------------------------------- local answers with bodies
local("a local answer drains a small body", post("Content-Length: 5", line="POST /local HTTP/1.1",
                                                body=b"hello"), 200)
local("a local answer drains chunks", chunks(C5, line="POST /local HTTP/1.1"), 200)
local("head of a local answer", req(line="HEAD /local HTTP/1.1"), 200, method="HEAD")
