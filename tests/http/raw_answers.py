# SPDX-License-Identifier: Apache-2.0
"""Raw answers of an origin and what the client has to get, one row each (test_raw_answers.py).

    passes(name, steps, ...)  the client gets this status and exactly this body, whole
    refused(name, steps, ...) the client gets weir's 502 (or `status`), never a guess
    cut(name, steps, ...)     the head passes, then the answer breaks: the client must see that

`steps` is an origin script: bytes, pauses, CLOSE, RESET (kit/origin.py). `reused` tells whether the
origin connection serves the next request; `closed` whether the client's connection ends."""
import dataclasses

from kit import CLOSE, RESET

CONFIG = """
site * {
    proxy @origin@
    timeout first_byte=2s read=2s
}
"""


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    steps: object
    status: int
    body: bytes = b""
    complete: bool = True
    closed: bool = False
    reused: bool = True
    method: str = "GET"
    fields: tuple = ()       # further request fields
    request_body: bytes = b""
    has: dict = dataclasses.field(default_factory=dict)
    lacks: tuple = ()
    interim: tuple = ()
    trailers: tuple = ()
    error: str = ""          # the error's name in the access log
    early: bool = False      # the origin answers before it has read the body
    version: str = "HTTP/1.1"
    pause: float = 0         # before the next request


CASES = []


def passes(name, steps, body=b"", status=200, **kw):
    CASES.append(Case(name, steps, status, body, **kw))


def refused(name, steps, error="origin_bad_framing", status=502, **kw):
    CASES.append(Case(name, steps, status, None, reused=False, error=error, **kw))


def cut(name, steps, body=b"", status=200, error="origin_closed", **kw):
    CASES.append(Case(name, steps, status, body, complete=False, closed=True, reused=False,
                      error=error, **kw))


def head(*fields, line="HTTP/1.1 200 OK"):
    lines = [x if isinstance(x, bytes) else x.encode("latin-1") for x in (line, *fields)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def length(body, *fields, line="HTTP/1.1 200 OK"):
    return head(f"Content-Length: {len(body)}", *fields, line=line) + body


def chunks(raw, *fields, line="HTTP/1.1 200 OK"):
    return head("Transfer-Encoding: chunked", *fields, line=line) + raw


C5 = b"5\r\nhello\r\n0\r\n\r\n"
BAD_HEAD = "origin_bad_head"

# --------------------------------------------------------------------- plain answers
passes("length", length(b"hello"), b"hello", has={"Content-Length": "5"})
passes("length 0", length(b""), b"", has={"Content-Length": "0"})
passes("head and body in two pieces", [head("Content-Length: 5"), 0.05, b"hello"], b"hello")
passes("byte by byte", [bytes([b]) for b in length(b"hello")], b"hello")
passes("chunked", chunks(C5), b"hello", has={"Transfer-Encoding": "chunked"})
passes("chunked without data", chunks(b"0\r\n\r\n"), b"")
passes("chunk extensions are dropped", chunks(b'5;a="b;c"\r\nhello\r\n0;z\r\n\r\n'), b"hello")
passes("chunks byte by byte", [bytes([b]) for b in chunks(C5)], b"hello")
passes("chunk size in capitals", chunks(b"0A\r\n0123456789\r\n0\r\n\r\n"), b"0123456789")
passes("a trailer passes", chunks(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), b"hello",
       trailers=(("X-Sum", "1"),))
passes("a forbidden trailer is dropped",
       chunks(b"5\r\nhello\r\n0\r\nContent-Length: 1\r\nX-Sum: 1\r\n\r\n"), b"hello",
       trailers=(("X-Sum", "1"),))
passes("until close", [head() + b"hello", CLOSE], b"hello", reused=False)
passes("until close without a body", [head(), CLOSE], b"", reused=False)
passes("until close in pieces", [head() + b"he", 0.05, b"llo", CLOSE], b"hello", reused=False)
passes("until close, to an HTTP/1.0 client", [head() + b"hello", CLOSE], b"hello", reused=False,
       closed=True, version="HTTP/1.0")
passes("chunked, to an HTTP/1.0 client", chunks(C5), b"hello", closed=True, version="HTTP/1.0",
       lacks=("Transfer-Encoding",))
passes("HTTP/1.0 answer with a length", [length(b"hello", line="HTTP/1.0 200 OK"), CLOSE],
       b"hello", reused=False)
passes("HTTP/1.0 answer with keep-alive",
       length(b"hello", "Connection: keep-alive", line="HTTP/1.0 200 OK"), b"hello")
passes("HTTP/1.0 answer until close", [head(line="HTTP/1.0 200 OK") + b"hello", CLOSE], b"hello",
       reused=False)
passes("Connection: close of the origin is its own", length(b"hello", "Connection: close"),
       b"hello", reused=False, lacks=("Connection",))
passes("empty reason", length(b"x", line="HTTP/1.1 200 "), b"x")
passes("no reason and no space", length(b"x", line="HTTP/1.1 200"), b"x")
passes("an unknown status", length(b"x", line="HTTP/1.1 299 Odd"), b"x", status=299)
passes("404", length(b"no", line="HTTP/1.1 404 Not Found"), b"no", status=404)
passes("500 of the origin passes untouched", length(b"oops", line="HTTP/1.1 500 X"), b"oops",
       status=500)
passes("repeated fields keep their lines", length(b"", "Set-Cookie: a=1", "Set-Cookie: b=2"), b"",
       has={"Set-Cookie": "a=1, b=2"})
passes("hop-by-hop fields stay here",
       length(b"", "Connection: X-Secret", "X-Secret: 1", "Keep-Alive: timeout=1",
              "Proxy-Authenticate: Basic", "X-Stays: 1"), b"", has={"X-Stays": "1"},
       lacks=("X-Secret", "Keep-Alive", "Proxy-Authenticate"))
passes("value above 127", length(b"", b"X-A: \xe4"), b"", has={"X-A": "\xe4"})
passes("length with leading zeros", head("Content-Length: 005") + b"hello", b"hello",
       has={"Content-Length": "5"})

# --------------------------------------------------------------------- no body by method or status
passes("HEAD with a length", head("Content-Length: 5"), b"", method="HEAD",
       has={"Content-Length": "5"})
passes("HEAD with chunked", head("Transfer-Encoding: chunked"), b"", method="HEAD")
passes("HEAD without framing", head("X-A: 1"), b"", method="HEAD")
passes("204", head(line="HTTP/1.1 204 No Content"), b"", status=204,
       lacks=("Content-Length", "Transfer-Encoding"))
passes("304 with the length of the whole", head("Content-Length: 5", 'ETag: "a"',
                                               line="HTTP/1.1 304 Not Modified"), b"", status=304,
       has={"ETag": '"a"'})
passes("304 with chunked", head("Transfer-Encoding: chunked", line="HTTP/1.1 304 Not Modified"),
       b"", status=304)
passes("garbage after HEAD's answer is not an answer",
       [length(b"hello")], b"", method="HEAD", reused=False)
passes("garbage after 204 is not an answer", [head(line="HTTP/1.1 204 No Content") + b"hello"],
       b"", status=204, reused=False)
passes("garbage after 304 is not an answer", [head(line="HTTP/1.1 304 Not Modified") + b"hello"],
       b"", status=304, reused=False)
passes("garbage after a length is not an answer", [length(b"hello") + b"HTTP/1.1 200 OK\r\n\r\n"],
       b"hello", reused=False)
passes("a second answer unasked is not an answer", [length(b"hello") + length(b"evil")],
       b"hello", reused=False)
passes("garbage after the last chunk is not an answer", [chunks(C5) + b"xx"], b"hello",
       reused=False)
passes("garbage that comes later is not an answer", [length(b"hello"), 0.1, length(b"evil")],
       b"hello", reused=False, pause=0.3)

# --------------------------------------------------------------------- interim answers
EARLY_HINTS = head("Link: </a.css>; rel=preload", line="HTTP/1.1 103 Early Hints")
passes("103 passes", [EARLY_HINTS, 0.05, length(b"x")], b"x", interim=(103,))
passes("102 passes", [head(line="HTTP/1.1 102 Processing"), length(b"x")], b"x", interim=(102,))
passes("several interim answers pass",
       [EARLY_HINTS + head(line="HTTP/1.1 102 Processing") + EARLY_HINTS + length(b"x")], b"x",
       interim=(103, 102, 103))
passes("100 passes when asked", [head(line="HTTP/1.1 100 Continue") + length(b"x")], b"x",
       method="POST", fields=("Expect: 100-continue",), request_body=b"hello", interim=(100,))
passes("no interim answers to an HTTP/1.0 client", [EARLY_HINTS + length(b"x")], b"x",
       version="HTTP/1.0", closed=True)
refused("101 unasked", head("Upgrade: websocket", "Connection: Upgrade",
                            line="HTTP/1.1 101 Switching Protocols"), "origin_bad_upgrade")
refused("101 to something else than asked",
        head("Upgrade: h2c", "Connection: Upgrade", line="HTTP/1.1 101 Switching Protocols"),
        "origin_bad_upgrade", fields=("Connection: Upgrade", "Upgrade: websocket"))
refused("interim answer without an end", [EARLY_HINTS, CLOSE], "origin_closed", interim=(103,))
refused("interim answers without end", [EARLY_HINTS * 2000, 3, CLOSE],
        "origin_too_many_interims", interim=(103,) * 32)

# --------------------------------------------------------------------- bad heads
refused("not HTTP", [b"hello\r\n\r\n", CLOSE], BAD_HEAD)
refused("HTTP/0.9 answer", [b"<html>hello</html>", CLOSE], None)
refused("SSH", [b"SSH-2.0-OpenSSH_9.2\r\n", CLOSE], None)
refused("another protocol's version", length(b"x", line="ICY 200 OK"), BAD_HEAD)
refused("version in lower case", length(b"x", line="http/1.1 200 OK"), BAD_HEAD)
refused("HTTP/2.0", length(b"x", line="HTTP/2.0 200 OK"), BAD_HEAD)
refused("status of two digits", length(b"x", line="HTTP/1.1 20 OK"), BAD_HEAD)
refused("status of four digits", length(b"x", line="HTTP/1.1 2000 OK"), BAD_HEAD)
refused("status of letters", length(b"x", line="HTTP/1.1 abc OK"), BAD_HEAD)
refused("status below 100", length(b"x", line="HTTP/1.1 099 OK"), BAD_HEAD)
refused("status above 599", length(b"x", line="HTTP/1.1 799 Odd"), BAD_HEAD)
refused("status 000", length(b"x", line="HTTP/1.1 000 OK"), BAD_HEAD)
refused("two spaces before the status", length(b"x", line="HTTP/1.1  200 OK"), BAD_HEAD)
refused("bare LF ends the line", b"HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\nx", BAD_HEAD)
refused("bare LF everywhere", b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", BAD_HEAD)
refused("bare CR in a value", length(b"x", "X-A: a\rb"), BAD_HEAD)
refused("NUL in a value", length(b"x", "X-A: a\0b"), BAD_HEAD)
refused("obs-fold", length(b"x", "X-A: a", " b"), BAD_HEAD)
refused("space before the colon", length(b"x", "X-A : a"), BAD_HEAD)
refused("space before the colon of Content-Length", head("Content-Length : 1") + b"x", BAD_HEAD)
refused("field without a colon", length(b"x", "X-A"), BAD_HEAD)
refused("field without a name", length(b"x", ": a"), BAD_HEAD)
refused("control character in a value", length(b"x", "X-A: \x01"), BAD_HEAD)
refused("CR in the reason", length(b"x", line="HTTP/1.1 200 O\rK"), BAD_HEAD)
refused("head past its limit", length(b"x", *[f"X-{i}: " + "a" * 4000 for i in range(20)]),
        "origin_head_too_large")
refused("one endless field", [b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100000, CLOSE],
        "origin_head_too_large")
refused("too many fields", length(b"x", *[f"X-{i}: a" for i in range(2000)]),
        "origin_head_too_large")
refused("closed at once", [CLOSE], "origin_closed")
refused("reset at once", [RESET], "origin_reset")
refused("closed in the status line", [b"HTTP/1.1 20", CLOSE], "origin_closed")
refused("closed in the head", [b"HTTP/1.1 200 OK\r\nContent-Le", CLOSE], "origin_closed")
refused("silence", [3], "origin_first_byte_timeout", status=504)
refused("silence in the head", [b"HTTP/1.1 200 OK\r\n", 3], "origin_first_byte_timeout",
        status=504)

# --------------------------------------------------------------------- bad framing
refused("length and chunked", chunks(C5, "Content-Length: 5"))
refused("two different lengths", head("Content-Length: 5", "Content-Length: 6") + b"hello")
refused("two equal lengths", head("Content-Length: 5", "Content-Length: 5") + b"hello")
refused("a list of lengths", head("Content-Length: 5, 5") + b"hello")
refused("negative length", head("Content-Length: -5") + b"hello")
refused("length with a plus", head("Content-Length: +5") + b"hello")
refused("length in hex", head("Content-Length: 0x5") + b"hello")
refused("empty length", head("Content-Length:") + b"hello")
refused("length past 64 bits", head("Content-Length: 18446744073709551621") + b"hello")
refused("gzip, chunked", head("Transfer-Encoding: gzip, chunked") + C5)
refused("gzip until close", [head("Transfer-Encoding: gzip") + b"x", CLOSE])
refused("identity", head("Transfer-Encoding: identity") + b"x")
refused("chunked twice", head("Transfer-Encoding: chunked, chunked") + C5)
refused("chunked and junk", head("Transfer-Encoding: chunked", "Transfer-Encoding: x") + C5)
refused("chunked in HTTP/1.0", chunks(C5, line="HTTP/1.0 200 OK"))

# --------------------------------------------------------------------- breaking in the body
cut("closed in a length", [head("Content-Length: 5") + b"hel", CLOSE], b"hel")
cut("closed before any of the length", [head("Content-Length: 5"), 0.05, CLOSE], b"")
cut("reset in a length", [head("Content-Length: 5") + b"hel", 0.05, RESET], b"hel",
    error="origin_reset")
cut("closed in a chunk", [chunks(b"5\r\nhel"), CLOSE], b"hel")
cut("closed between chunks", [chunks(b"5\r\nhello\r\n"), CLOSE], b"hello")
cut("closed before the last empty line", [chunks(b"5\r\nhello\r\n0\r\n"), CLOSE], b"hello")
cut("closed in a trailer", [chunks(b"5\r\nhello\r\n0\r\nX-Su"), CLOSE], b"hello")
cut("a chunk without a size", [chunks(b"5\r\nhello\r\n"), 0.05, b"x\r\n"], b"hello",
    error="origin_bad_framing")
cut("a chunk size that overflows", [chunks(b"5\r\nhello\r\n"), 0.05, b"10000000000000005\r\n"],
    b"hello", error="origin_bad_framing")
cut("a chunk longer than its size", [chunks(b"4\r\nhello\r\n0\r\n\r\n")], b"hell",
    error="origin_bad_framing")
cut("a chunk line with bare LF", [chunks(b"5\r\nhello\r\n"), 0.05, b"5\nhello\r\n"], b"hello",
    error="origin_bad_framing")
cut("a chunk extension past its limit", [chunks(b"5\r\nhello\r\n"), 0.05,
                                         b"5;" + b"a" * 1100 + b"\r\nhello\r\n"], b"hello",
    error="origin_bad_framing")
cut("silence in the body", [head("Content-Length: 5") + b"hel", 3], b"hel",
    error="origin_read_timeout")
cut("reset of an answer until close", [head() + b"hel", 0.05, RESET], b"hel",
    error="origin_reset")
cut("closed in a length, to an HTTP/1.0 client", [head("Content-Length: 5") + b"hel", CLOSE],
    b"hel", version="HTTP/1.0")

# --------------------------------------------------------------------- answers before the request is whole
BIG = b"a" * 3_000_000
passes("an early answer, then close", [length(b"no", "Connection: close",
                                              line="HTTP/1.1 413 Too Large"), 0.1, CLOSE], b"no",
       status=413, method="POST", request_body=BIG, early=True, reused=False, closed=None)
passes("an early answer, and the body is read", [length(b"ok")], b"ok", method="POST",
       request_body=BIG, early=True, reused=None, closed=None)
passes("an early answer to a small body", [length(b"ok")], b"ok", method="POST",
       request_body=b"hello", early=True, reused=None, closed=None)
