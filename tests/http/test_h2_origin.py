# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 towards servers: shared connections, what servers do wrong, what may be sent again."""
import hashlib
import subprocess
import threading
import time

import pytest

from h2.settings import SettingCodes
from h2_origin import DATA, END_HEADERS, END_STREAM, HEADERS, H2Origin
from kit import Closed, Origin, Pki, Weir, free_port, h2raw, server_context, wait_until
from kit.h2raw import H2Raw
from kit.tools import need, run
from peers import Nginx, Peer

CANCEL, REFUSED, INTERNAL = 8, 7, 2


def proxied(o, block="", **kw):
    return Weir("log error info\nsite * {\n proxy @o@ {\n proto h2c\n eject off\n" + block + "\n }\n}", o=o, **kw)


def post(w, body):
    with w.client() as c:
        return c.post("/", body)


def is_cut_off(w, path):
    """Does the client see that the answer is not whole?"""
    try:
        return not w.get(path).complete
    except (Closed, OSError):
        return True


def at_once(w, n, path="/", **kw):
    """n requests, each on a connection of its own."""
    results = [None] * n

    def one(i):
        try:
            results[i] = w.get(f"{path}{i}", **kw)
        except (OSError, Closed) as e:
            results[i] = e
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


# ------------------------------------------------------------------ good servers

def test_a_request_and_its_answer():
    def script(link, r):
        link.answer(r, b"hello", headers=[("x-a", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")])
    with H2Origin(script) as o, proxied(o) as w:
        r = w.get("/p?q=1", "a.test", ["X-Mine: yes", "Connection: X-Gone", "X-Gone: 1"])
        assert (r.status, r.body, r.get("x-a")) == (200, b"hello", "1")
        assert r.all("set-cookie") == ["a=1", "b=2"]
        got = o.requests[0]
        assert [got.get(n) for n in (":method", ":scheme", ":authority", ":path")] == \
            ["GET", "http", "a.test", "/p?q=1"]
        assert got.get("x-mine") == "yes" and got.get("x-gone") is None
        assert got.get("host") is None and got.get("connection") is None
        assert all(n == n.lower() for n, _ in got.headers)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 3_000_000])
def test_bodies_of_both_directions(size):
    body = bytes(i * 7 % 251 for i in range(min(size, 4096))) * (size // 4096 + 1)
    body = body[:size]
    with H2Origin(lambda link, r: link.answer(r, r.body)) as o, proxied(o) as w, w.client() as c:
        r = c.post("/", body)
        assert r.status == 200 and r.body == body
        assert o.requests[0].get("content-length") == str(size)


def test_many_share_one_connection():
    gate = threading.Barrier(20)

    def script(link, r):
        def later():
            gate.wait(10)
            with link.lock:
                link.answer(r, r.get(":path").encode())
                link.flush()
        threading.Thread(target=later, daemon=True).start()
    with H2Origin(script) as o, proxied(o) as w:
        results = at_once(w, 20)
        assert [r.text for r in results] == [f"/{i}" for i in range(20)]
        assert len(o.links) == 1


def test_the_servers_limit_makes_more_connections():
    gate = threading.Barrier(12)

    def script(link, r):
        def later():
            gate.wait(10)
            with link.lock:
                link.answer(r)
                link.flush()
        threading.Thread(target=later, daemon=True).start()
    with H2Origin(script, settings={3: 4}) as o, proxied(o) as w:
        assert all(r.status == 200 for r in at_once(w, 12))
        assert len(o.links) == 3
        assert not o.resets


def test_trailers_both_ways():
    def script(link, r):
        link.answer(r, b"body", headers=[("trailer", "x-sum")], trailers=[("x-sum", "42")])
    with H2Origin(script) as o, proxied(o) as w, w.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTrailer: x-up\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Up: 7\r\n\r\n")
        raw = b""
        while b"x-sum: 42\r\n\r\n" not in raw.lower():
            piece = c.sock.recv(65536)
            assert piece, raw
            raw += piece
        assert o.requests[0].body == b"abc"
        assert o.requests[0].trailers == [("x-up", "7")]
        assert o.requests[0].get("te") == "trailers"


def test_interim_answers_pass():
    def script(link, r):
        link.head(r, 103, [("link", "</a.css>; rel=preload")])
        link.answer(r, b"done")
    with H2Origin(script) as o, proxied(o) as w, w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        raw = b""
        while b"done" not in raw:
            raw += c.sock.recv(65536)
        assert raw.startswith(b"HTTP/1.1 103 ") and b"</a.css>" in raw
        assert b"HTTP/1.1 200 " in raw


def test_head_and_statuses_without_body():
    def script(link, r):
        if r.get(":method") == "HEAD":
            link.head(r, 200, [("content-length", "1234")], end=True)
        else:
            link.head(r, int(r.get(":path")[1:]), end=True)
    with H2Origin(script) as o, proxied(o) as w, w.client() as c:
        assert c.get("/", method="HEAD").get("content-length") == "1234"
        for status in (204, 304, 404):
            assert c.get(f"/{status}").status == status


# ------------------------------------------------------------------ servers that go away

def test_goaway_lets_requests_end_and_sends_the_rest_again():
    """The first connection serves its first stream and disowns the others."""
    held = []

    def script(link, r):
        if link is not o.links[0]:
            link.answer(r, b"again")
            return
        held.append(r)
        if len(held) == 3:
            link.goaway(held[0].stream)
            link.answer(held[0], b"first")
    with H2Origin(script) as o, proxied(o, "retry off") as w:
        results = at_once(w, 3)
        assert sorted(r.text for r in results) == ["again", "again", "first"]
        assert len(o.links) == 2


def test_what_was_not_processed_is_sent_again_whatever_its_method():
    def script(link, r):
        if r.order == 1:
            link.goaway(0)
        else:
            link.answer(r, b"second")
    with H2Origin(script) as o, proxied(o, "retry off") as w, w.client() as c:
        assert c.get("/", method="DELETE").text == "second"
        assert c.get("/", method="POST").text == "second"


def test_refused_streams_are_sent_again_once():
    def script(link, r):
        if r.order in (1, 3, 4):
            link.reset(r, REFUSED)
        else:
            link.answer(r, b"fine")
    with H2Origin(script) as o, proxied(o, "retry off") as w:
        assert w.get("/", method="POST").text == "fine"
        assert w.get("/").status == 503
        assert w.last_access(2)["error"] == "origin_unprocessed"


def test_a_connection_that_died_idle():
    with H2Origin() as o, proxied(o) as w:
        assert w.get("/").text == "ok"
        o.links[0].close()
        time.sleep(0.2)
        assert w.get("/").text == "ok"
        assert len(o.links) == 2


def test_death_in_the_middle_is_visible():
    def script(link, r):
        link.head(r, 200)
        link.h2.send_data(r.stream, b"half")
        link.flush()
        time.sleep(0.1)
        link.close(rst=r.get(":path") == "/rst")
    with H2Origin(script) as o, proxied(o) as w:
        for path in ("/fin", "/rst"):
            assert is_cut_off(w, path)


@pytest.mark.parametrize("code,error", [(INTERNAL, "origin_reset"), (CANCEL, "origin_reset")])
def test_a_reset_before_the_head_is_an_error(code, error):
    with H2Origin(lambda link, r: link.reset(r, code)) as o, proxied(o) as w:
        assert w.get("/").status == 502
        assert w.last_access()["error"] == error
        assert len(o.links) == 1  # the connection goes on
        assert w.get("/", method="POST").status == 502
        assert len(o.links) == 1


def test_a_reset_in_the_body_is_visible():
    def script(link, r):
        link.head(r, 200)
        link.h2.send_data(r.stream, b"half")
        link.reset(r, INTERNAL)
    with H2Origin(script) as o, proxied(o) as w:
        assert is_cut_off(w, "/")


def test_a_client_that_leaves_cancels_its_stream_only():
    def script(link, r):
        if r.get(":path") != "/slow":
            link.answer(r)
    with H2Origin(script) as o, proxied(o) as w:
        c = w.client()
        c.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wait_until(lambda: o.requests, 3, "the request")
        c.close()
        wait_until(lambda: o.resets == [(1, CANCEL)], 3, "the reset")
        assert w.get("/").text == "ok"
        assert len(o.links) == 1


# ------------------------------------------------------------------ servers that stall

def test_a_server_that_takes_no_body_stalls_only_its_stream():
    with H2Origin(takes=False) as o, proxied(o, "timeout send=1s") as w:
        results = []
        t = threading.Thread(target=lambda: results.append(post(w, b"x" * 300_000)))
        t.start()
        time.sleep(0.3)
        assert w.get("/other").text == "ok"
        t.join()
        assert results[0].status in (502, 504)


def test_an_answer_that_stalls_is_timed_out():
    """More than half a window is here and taken: it is the server that is waited for."""
    def script(link, r):
        link.head(r, 200)
        for _ in range(3):
            link.h2.send_data(r.stream, b"x" * 16_000)
        link.flush()
    with H2Origin(script) as o, proxied(o, "timeout read=500ms") as w:
        assert is_cut_off(w, "/")
        assert w.last_access()["error"] == "origin_read_timeout"


def test_clients_that_do_not_read_hold_up_nobody_else():
    """Forty answers, larger than what kernels hold, of which nothing is taken, on one connection."""
    big = bytes(12_000_000)

    def script(link, r):
        link.answer(r, big if r.get(":path") == "/big" else b"small")
    with H2Origin(script) as o, proxied(o) as w:
        assert w.get("/").text == "small"
        stuck = [w.client(rcvbuf=4096) for _ in range(40)]
        for c in stuck:
            c.send(b"GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wait_until(lambda: o.seen == 41, 5, "the requests")
        time.sleep(0.5)
        for _ in range(5):
            assert w.get("/").text == "small"
        for c in stuck[:3]:
            assert len(c.response().body) == len(big)
        for c in stuck:
            c.close()
        assert len(o.links) == 1


def test_silence_is_looked_into_by_a_ping():
    quiet = []

    def script(link, r):
        if link is o.links[0]:
            quiet.append(r)
        else:
            link.answer(r, b"alive")
    with H2Origin(script) as o, proxied(o, "timeout first_byte=300ms\nretry off") as w:
        assert w.get("/").status == 504
        wait_until(lambda: o.resets, 2, "cancelled")
        # it answers the PING, so that it is used again
        assert w.get("/").status == 504
        assert len(o.links) == 1


# ------------------------------------------------------------------ servers that break rules

def bad_head(*fields, end=True):
    def script(link, r):
        link.frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), r.stream, link.block(*fields))
    return script


def with_data(fields, *pieces):
    def script(link, r):
        link.frame(HEADERS, END_HEADERS, r.stream, link.block(*fields))
        for i, piece in enumerate(pieces):
            link.frame(DATA, END_STREAM if i == len(pieces) - 1 else 0, r.stream, piece)
    return script


OK = (":status", "200")


@pytest.mark.parametrize("script", [
    bad_head(("x", "1")),
    bad_head(OK, OK),
    bad_head(("x", "1"), OK),
    bad_head((":status", "99")),
    bad_head((":status", "2000")),
    bad_head((":status", "abc")),
    bad_head((":status", "101")),
    bad_head((":status", "100")),  # and END_STREAM
    bad_head(OK, (":path", "/")),
    bad_head(OK, ("Upper", "1")),
    bad_head(OK, ("connection", "close")),
    bad_head(OK, ("transfer-encoding", "chunked")),
    bad_head(OK, ("keep-alive", "1")),
    bad_head(OK, ("upgrade", "x")),
    bad_head(OK, ("x", "a\r\nSet-Cookie: b=1")),
    bad_head(OK, ("x", "a\0b")),
    bad_head(OK, ("x y", "1")),
    bad_head(OK, ("content-length", "1"), ("content-length", "2")),
    bad_head(OK, ("content-length", "-1")),
    bad_head(OK, ("content-length", "5")),  # and END_STREAM
    lambda link, r: link.frame(DATA, END_STREAM, r.stream, b"no head"),
], ids=range(21))
def test_a_malformed_answer_is_an_error_of_its_stream(script):
    with H2Origin(lambda link, r: script(link, r) if r.get(":path") == "/bad" else link.answer(r)) as o, \
            proxied(o) as w:
        assert w.get("/bad").status == 502
        assert w.last_access()["error"] in ("origin_bad_head", "origin_bad_framing")
        assert w.get("/").text == "ok"
        assert len(o.links) == 1
        assert o.resets == [] or o.resets[0][1] == 1


@pytest.mark.parametrize("pieces", [(b"abcdef",), (b"abc", b"def"), (b"abc",), (b"abc", b"")])
def test_a_wrong_content_length_is_never_a_whole_answer(pieces):
    with H2Origin(with_data([OK, ("content-length", "5")], *pieces)) as o, proxied(o) as w:
        assert is_cut_off(w, "/") or w.last_access()["status"] == 502


@pytest.mark.parametrize("frame", [
    (HEADERS, END_HEADERS, 2, b"\x88"),  # a stream of its own
    (HEADERS, END_HEADERS, 99, b"\x88"),  # one that was never opened
    (HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),  # HPACK
    (DATA, 0, 0, b"x"),
    (4, 0, 0, b"x"),  # SETTINGS of a wrong length
    (5, END_HEADERS, 1, b"\0\0\0\2\x88"),  # PUSH_PROMISE
    (8, 0, 0, b"\0\0\0\0"),  # WINDOW_UPDATE of nothing
])
def test_an_error_of_the_connection_ends_it(frame):
    def script(link, r):
        if link is o.links[0]:
            link.frame(*frame)
        else:
            link.answer(r)
    with H2Origin(script) as o, proxied(o, "retry off") as w:
        assert w.get("/").status == 502
        assert w.last_access()["error"] == "origin_h2"
        assert w.get("/").text == "ok"
        assert len(o.links) == 2


def test_a_server_that_speaks_http1():
    with Origin() as o, proxied(o, "retry off") as w:
        assert w.get("/").status in (502, 504)


# ------------------------------------------------------------------ TLS

@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.local = p.cert("local", "127.0.0.1", "localhost")
    return p


def context(pki, *alpn):
    c = server_context(pki.local)
    if alpn:
        c.set_alpn_protocols(list(alpn))
    return c


def secure(o, pki, proto):
    return Weir("log error info\nsite * {\n proxy https://@o@ {\n eject off\n retry off\n tls ca=@pki@/ca.crt\n proto " +
                proto + "\n }\n}", o=o, pki=pki.folder)


@pytest.mark.parametrize("proto", ["h2", "auto"])
def test_alpn_agrees_on_h2(pki, proto):
    with H2Origin(tls=context(pki, "h2", "http/1.1")) as o, secure(o, pki, proto) as w:
        for _ in range(3):
            assert w.get("/").text == "ok"
        assert len(o.links) == 1
        assert o.requests[0].get(":scheme") == "https"


def test_auto_takes_http1_where_that_is_all(pki):
    with Origin(tls=context(pki, "http/1.1")) as o, secure(o, pki, "auto") as w:
        assert all(r.text == "ok" for r in at_once(w, 4))
        assert w.get("/").text == "ok"


def test_h2_insists(pki):
    with Origin(tls=context(pki, "http/1.1")) as o, secure(o, pki, "h2") as w:
        assert w.get("/").status == 502
        assert not o.requests


# ------------------------------------------------------------------ real servers

def test_nginx_and_h2load():
    n = Nginx(http2=True)
    try:
        (n.www / "big").write_bytes(bytes(range(256)) * 40_000)
        with Weir("site * { proxy @n@ { proto h2c } }", n=n) as w:
            with w.client() as c:
                assert c.get("/").text == "nginx\n"
                assert c.get("/gone").status == 410
                assert c.get("/big").body == bytes(range(256)) * 40_000
            out = run(need("h2load"), "--h1", "-n2000", "-c50", "-t1", w.url("/"), seconds=50).stdout
            assert "2000 succeeded, 0 failed, 0 errored" in out, out
            assert "2000 2xx" in out, out
    finally:
        n.close()


class NodeH2(Peer):
    SCRIPT = """
    const http2 = require('http2'); const crypto = require('crypto');
    const server = http2.createServer({settings: {enableConnectProtocol: true}}, (req, res) => {
      if (req.url === '/echo') { req.pipe(res); return; }
      if (req.url === '/hash') {
        const h = crypto.createHash('sha256'); req.on('data', d => h.update(d));
        req.on('end', () => res.end(h.digest('hex'))); return; }
      res.setHeader('x-version', req.httpVersion); res.end('node ' + req.url);
    });
    server.on('connect', (req, res) => {
      if (req.headers[':protocol'] !== 'websocket' || req.url !== '/ws') {
        res.stream.respond({':status': 403}, {endStream: true}); return; }
      res.stream.respond({':status': 200, 'sec-websocket-protocol': 'chat'});
      res.stream.pipe(res.stream);
    });
    server.listen(PORT, '127.0.0.1');
    """

    def __init__(self):
        port = free_port()
        super().__init__([need("node"), "-e", self.SCRIPT.replace("PORT", str(port))], port)


def test_node():
    n = NodeH2()
    try:
        with Weir("site * { proxy @n@ { proto h2c } }", n=n) as w, w.client() as c:
            r = c.get("/x")
            assert (r.text, r.get("x-version")) == ("node /x", "2.0")
            body = bytes(range(256)) * 8000
            out = subprocess.run(["curl", "-s", "--data-binary", "@-", w.url("/echo")], input=body,
                                 stdout=subprocess.PIPE, timeout=20).stdout
            assert out == body
            out = subprocess.run(["curl", "-s", "-T", "-", w.url("/hash")], input=body,
                                 stdout=subprocess.PIPE, timeout=20).stdout
            assert out.decode() == hashlib.sha256(body).hexdigest()
    finally:
        n.close()


def switch(c, path="/ws"):
    c.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    return c.response(body=False)


def test_websocket_of_http1_to_http2():
    n = NodeH2()
    try:
        with Weir("site * { proxy @n@ { proto h2c } }", n=n) as w:
            for _ in range(2):  # the first on a connection that is not open yet
                with w.client() as c:
                    r = switch(c)
                    assert r.status == 101
                    assert r.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
                    assert r.get("Sec-WebSocket-Protocol") == "chat"
                    assert r.get("Upgrade") == "websocket"
                    for size in (1, 70_000, 1_000_000):
                        data = bytes(i % 251 for i in range(size))
                        t = threading.Thread(target=c.send, args=(data,))
                        t.start()
                        assert c.take(size) == data
                        t.join()
            with w.client() as c:
                assert switch(c, "/other").status == 403
            with w.client() as c:  # others are served meanwhile
                assert switch(c).status == 101
                assert w.get("/x").text == "node /x"
    finally:
        n.close()


def test_websocket_of_http2_to_http2():
    """By hand over python's h2: an extended CONNECT through weir."""
    import h2.connection
    import h2.events
    n = NodeH2()
    try:
        with Weir("site * { proxy @n@ { proto h2c } }", n=n) as w, w.client() as c:
            conn = h2.connection.H2Connection()
            conn.initiate_connection()
            conn.send_headers(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                                  (":path", "/ws"), (":authority", "a.test"),
                                  ("sec-websocket-version", "13")])
            c.send(conn.data_to_send())
            got, status = b"", None
            while len(got) < 30_000:
                assert (data := c.sock.recv(65536))
                for e in conn.receive_data(data):
                    if isinstance(e, h2.events.ResponseReceived):
                        status = dict(e.headers)[b":status"]
                        conn.send_data(1, b"x" * 10_000)
                    elif isinstance(e, h2.events.DataReceived):
                        got += e.data
                        conn.acknowledge_received_data(e.flow_controlled_length, 1)
                        if len(got) in (10_000, 20_000):
                            conn.send_data(1, b"y" * 10_000)
                c.send(conn.data_to_send())
            assert status == b"200"
            assert got == b"x" * 10_000 + b"y" * 20_000
    finally:
        n.close()


SWITCHED = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


class Http1:
    """What a server says on connections of HTTP/1.1: it switches, and echoes."""

    def __init__(self, switched=SWITCHED):
        self.heads, self.switched = [], switched

    def __call__(self, sock):
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                head += (piece := sock.recv(4096))
                if not piece:
                    return
            self.heads.append(head)
            sock.sendall(self.switched)
            while data := sock.recv(65536):
                sock.sendall(data.upper())
        except OSError:
            pass
        finally:
            sock.close()


def test_websocket_goes_by_http1_where_http2_has_none(pki):
    """`proto auto`: requests share a connection of HTTP/2 that knows no extended CONNECT."""
    http1 = Http1()
    with H2Origin(tls=context(pki, "h2", "http/1.1"), http1=http1) as o, secure(o, pki, "auto") as w:
        for n in range(1, 4):  # the first one also opens the connection of HTTP/2 that says so
            with w.client() as c:
                assert switch(c, f"/ws{n}").status == 101
                c.send(b"hello")
                assert c.take(5) == b"HELLO"
                assert w.get("/x").text == "ok"
            assert len(http1.heads) == n and len(o.links) == 1
            assert http1.heads[-1].startswith(f"GET /ws{n} HTTP/1.1".encode())
        with H2Raw(w.port) as c:
            c.fields(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/ws"),
                         (":authority", "a.test"), ("sec-websocket-version", "13")], end=False)
            assert c.of(h2raw.HEADERS).get(":status") == "200"
            c.say(h2raw.DATA, 0, 1, b"over h2")
            assert c.of(h2raw.DATA).payload == b"OVER H2"
        assert [r.get(":path") for r in o.requests] == ["/x"] * 3
        assert w.metric("weir_retries_total") == 0


def test_websocket_stays_on_http2_where_it_has_some(pki):
    http1 = Http1()

    def on_head(link, r):
        if r.get(":protocol") == "websocket":
            link.head(r, 200)
    with H2Origin(tls=context(pki, "h2", "http/1.1"), http1=http1, on_head=on_head,
                  settings={SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}) as o, secure(o, pki, "auto") as w:
        with w.client() as c:
            assert switch(c).status == 101
        assert not http1.heads and len(o.links) == 1


def test_websocket_without_a_way_is_asked_by_get():
    """`proto h2c`: there is no other protocol, so the server sees the request that it also is."""
    with H2Origin(lambda link, r: link.answer(r, b"no sockets", 426)) as o, proxied(o) as w:
        with w.client() as c:
            assert switch(c).status == 426
        assert [(r.get(":method"), r.get("upgrade")) for r in o.requests] == [("GET", None)]


def test_websocket_at_a_server_that_speaks_http2_only(pki):
    """Its lack of HTTP/1.1 is not held against it."""
    text = "site * {\n proxy https://@o@ {\n eject after=1 for=60s\n retry off\n tls ca=@pki@/ca.crt\n proto auto\n }\n}"
    with H2Origin(tls=context(pki, "h2"), http1=Http1()) as o, Weir(text, o=o, pki=pki.folder) as w:
        for _ in range(3):
            with w.client() as c:
                assert switch(c).status == 502
            assert w.get("/x").text == "ok"


def test_a_reload_leaves_requests_and_connections_alone():
    gate = threading.Event()

    def script(link, r):
        if r.get(":path") != "/0":
            link.answer(r)
            return

        def later():
            gate.wait(10)
            with link.lock:
                link.answer(r, b"late")
                link.flush()
        threading.Thread(target=later, daemon=True).start()
    with H2Origin(script) as o, proxied(o) as w:
        results = []
        t = threading.Thread(target=lambda: results.extend(at_once(w, 1)))
        t.start()
        wait_until(lambda: o.seen == 1, 3, "the request")
        w.reload()
        assert w.get("/other").text == "ok"
        gate.set()
        t.join()
        assert results[0].text == "late"
        assert len(o.links) == 1
