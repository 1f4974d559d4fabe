# SPDX-License-Identifier: Apache-2.0
"""The cache under every protocol: the same stored answer for clients of HTTP/1.1 and HTTP/2, another one for https; what
clients do on one connection; what it costs the log and the metrics."""
import itertools
import socket

import pytest

from h2_origin import H2Origin
from kit import Client, Pki, TlsClient, Weir, answer, chunked, client_context, wait_until
from kit.h2raw import H2Raw

CACHEABLE = "Cache-Control: max-age=3600"
CONF = """workers 1
listen @listen@
listen @tls@ tls
admin @admin@
log access json to=@dir@/access.log
cache_store memory size=16M
site http://a.test https://a.test {
    tls cert=@crt@ key=@key@
    cache
    proxy @o@
}
"""
PLAIN = "cache_store memory size=16M\nsite * { cache; proxy @o@ }\n"


def h2_context(pki):
    ctx = client_context(pki.ca.crt)
    ctx.set_alpn_protocols(["h2"])
    return ctx


@pytest.fixture
def server(origin):
    """Tells how often it was asked, and by what scheme."""
    count = itertools.count(1)
    return origin(lambda r: answer(f"{next(count)} {r.get('X-Forwarded-Proto')}", headers=[CACHEABLE, 'ETag: "a"', "X-A: b"]))


def test_the_scheme_is_a_part_of_the_key(weir, server, tmp_path):
    pki = Pki(tmp_path)
    cert = pki.cert("a.test")
    w = weir(CONF, o=server, crt=cert.crt, key=cert.key)
    with TlsClient(w.tls_port, client_context(pki.ca.crt)) as tls, w.client() as plain:
        assert [tls.get().text, plain.get().text, tls.get().text, plain.get().text] == ["1 https", "2 http"] * 2
    with H2Raw(w.tls_port, context=h2_context(pki)) as h2:
        assert h2.get(scheme="https", authority="a.test")[1] == b"1 https"


def test_http2_shares_with_http1(weir, server):
    w = weir(PLAIN, o=server)
    assert w.get("/").text == "1 http"
    with H2Raw(w.port, host="a.test") as c:
        assert c.get("/", 1) == (200, b"1 http", None)
        assert c.get("/x", 3) == (200, b"2 http", None)
        assert c.get("/", 5, method="HEAD")[:2] == (200, b"")
        assert c.get("/", 7, extra=[("if-none-match", '"a"')])[:2] == (304, b"")
        assert c.get("/", 9, extra=[("range", "bytes=2-5")])[:2] == (206, b"http")
        assert c.get("/", 11, extra=[("cache-control", "only-if-cached")])[0] == 200
        assert c.get("/y", 13, extra=[("cache-control", "only-if-cached")])[0] == 504
    assert w.get("/x").text == "2 http"
    assert len(server.requests) == 2


def test_many_streams_of_hits(weir, origin):
    o = origin(lambda r: answer(r.target.encode() * 300, headers=[CACHEABLE]))
    w = weir(PLAIN, o=o)
    with H2Raw(w.port, host="a.test") as c:
        for i in range(100):
            c.request(2 * i + 1, path=f"/{i % 5}")
        for i in range(100):
            status, body, _ = c.response(2 * i + 1)
            assert (status, body) == (200, f"/{i % 5}".encode() * 300)
    assert len(o.requests) == 5


def test_what_came_over_http2_is_stored(weir):
    count = itertools.count(1)

    def script(link, request):
        link.answer(request, b"%d" % next(count), headers=[("cache-control", "max-age=3600")])
    with H2Origin(script) as o:
        w = weir("site * { cache; proxy @o@ { proto h2c } }\n", o=o)
        assert [w.get().text, w.get().text] == ["1", "1"]


def test_hits_on_one_connection(weir, server):
    w = weir(PLAIN, o=server)
    with w.client() as c:
        assert [c.get().text for _ in range(50)] == ["1 http"] * 50
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n" * 100)
        assert [c.response().text for _ in range(100)] == ["1 http"] * 100
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        assert c.response().text == "1 http" and c.closed()


def test_http_1_0(weir, origin):
    o = origin(chunked(b"hel", b"lo", headers=[CACHEABLE]))
    w = weir(PLAIN, o=o)
    for _ in range(2):
        with w.client() as c:
            c.send(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
            raw = c.rest()
            assert raw.startswith(b"HTTP/1.1 200") and raw.endswith(b"\r\n\r\nhello")
            assert b"chunked" not in raw
    assert w.get().text == "hello"
    assert len(o.requests) == 1


def test_trailers_are_for_the_first_only(weir, origin):
    o = origin(chunked(b"hello", headers=[CACHEABLE, "Trailer: X-T"], trailers=b"X-T: 1\r\n"))
    w = weir(PLAIN, o=o)
    first, second = w.get(), w.get()
    assert first.trailers in ([("X-T", "1")], []) and second.trailers == []
    assert first.text == second.text == "hello" and len(o.requests) == 1


def test_a_hit_needs_no_server(weir, server):
    w = weir(PLAIN, o=server)
    w.get()
    server.stop()
    assert w.get().text == "1 http"
    assert w.get("/other").status == 502


def test_a_client_that_leaves_in_the_middle_of_a_hit(weir, origin):
    body = b"x" * 900_000
    o = origin(answer(body, headers=[CACHEABLE]))
    w = weir(PLAIN, o=o)
    assert w.get().body == body
    for _ in range(20):
        with Client(w.port, rcvbuf=4096) as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            c.take(5000)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.response().body == body
    assert w.get().body == body and len(o.requests) == 1


def test_other_filters_see_a_hit(weir, server):
    """Edits of requests come before it, edits of answers after it."""
    w = weir("site * { cache; response set X-B $path; response del X-A; proxy @o@ }\n", o=server)
    for _ in range(2):
        r = w.get("/p")
        assert (r.get("X-B"), r.get("X-A"), r.text) == ("/p", None, "1 http")


def test_an_upgrade_passes_the_cache_by(weir, origin):
    o = origin([b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n", lambda s: s.sendall(s.recv(10))], early=True)
    w = weir("site * { cache 10m; proxy @o@ }\n", o=o)
    for _ in range(2):
        with w.client() as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n")
            assert c.head().status == 101
            c.send(b"hi")
            assert c.take(2) == b"hi"


def test_what_is_local_is_not_cached(weir, tmp_path):
    (tmp_path / "a.txt").write_text("one")
    w = weir(f"site * {{ cache 10m; files {tmp_path} }}\n")
    assert w.get("/a.txt").text == "one"
    (tmp_path / "a.txt").write_text("three")
    assert w.get("/a.txt").text in ("one", "three")


def test_the_log_tells(weir, server):
    w = weir('workers 1\nlog access "$path $cache_status" to=@dir@/cache.log\nlisten @listen@\nadmin @admin@\nsite * { cache; proxy @o@ }\n', o=server)
    w.get("/a")
    w.get("/a")
    w.get("/a", method="POST")
    wait_until(lambda: len(w.log_lines("cache.log")) == 3, 3, "three lines")
    words = [line.split(" ", 1)[1] for line in w.log_lines("cache.log")]
    assert words[0] != words[1] and "hit" in words[1].lower() and "miss" in words[0].lower()


def test_the_metrics_tell(weir, server):
    w = weir(PLAIN, o=server)
    for _ in range(3):
        w.get("/a")
    w.get("/b")
    names = {n: v for n, v in w.metrics().items() if "cache" in n}

    def one(word):
        return sum(v for n, v in w.metrics().items() if "cache" in n and word in n)
    assert names, "there are some"
    wait_until(lambda: one("hit") >= 2 and one("miss") >= 2, 3, "hits and misses")
