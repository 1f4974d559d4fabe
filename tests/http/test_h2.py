# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 towards clients: real clients, and hostile ones that say frame by frame what they should not."""
import json
import re
import ssl
import struct
import threading
import time

import pytest

from kit import ROOT, Hold, Origin, Pki, TlsClient, Weir, answer, chunked, client_context, memory, wait_until
from kit import h2raw
from kit.h2raw import H2Raw, frame
from kit.tools import need, run
from peers import NodeApp

HI = 'site * {\n respond 200 "$method $proto $host $path"\n}\n'
TLS = """workers 1
listen @listen@
listen @tls@ tls
admin @admin@
log access json to=@dir@/access.log
site a.test {
    tls cert=@crt@ key=@key@
    respond 200 "$proto $host $scheme"
}
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def cert(pki):
    return pki.cert("a.test")


@pytest.fixture(scope="module")
def hi():
    with Weir(HI) as w:
        yield w


# ---------------------------------------------------------------- clients

def test_prior_knowledge(hi):
    with H2Raw(hi.port) as c:
        assert c.get("/x") == (200, b"GET HTTP/2.0 a.test /x", None)
        assert c.get("/y", 3) == (200, b"GET HTTP/2.0 a.test /y", None)
    assert hi.get("/z").text == "GET HTTP/1.1 a.test /z"  # on the same address


def test_preface_in_pieces(hi):
    with H2Raw(hi.port, settings=None) as c:
        for byte in h2raw.PREFACE + frame(h2raw.SETTINGS):
            c.send(bytes([byte]))
            time.sleep(0.002)
        assert c.get()[0] == 200


def test_curl(hi):
    curl = need("curl")
    r = run(curl, "-s", "--http2-prior-knowledge", "-w", " %{http_version}", hi.url("/c"))
    assert re.fullmatch(r"GET HTTP/2.0 127.0.0.1 /c 2", r.stdout)


def test_nghttp(hi):
    r = run(need("nghttp"), "-v", hi.url("/1"), hi.url("/2"))
    assert r.stdout.count(":status: 200") == 2 and "GET HTTP/2.0 127.0.0.1 /2" in r.stdout


def test_h2load(hi):
    r = run(need("h2load"), "-n", "3000", "-c", "4", "-m", "32", hi.url("/"))
    assert "3000 succeeded, 0 failed" in r.stdout


def test_alpn_prefers_h2(pki, cert):
    with Weir(TLS, crt=cert.crt, key=cert.key) as w:
        ctx = client_context(pki.ca.crt)
        ctx.set_alpn_protocols(["http/1.1", "h2"])
        with TlsClient(w.tls_port, ctx) as c:
            assert c.sock.selected_alpn_protocol() == "h2"
        with H2Raw(w.tls_port, context=client_context(pki.ca.crt)) as c:
            assert c.get(scheme="https") == (200, b"HTTP/2.0 a.test https", None)
        assert w.last_access(1)["proto"] == "HTTP/2.0"
        r = run(need("h2load"), "-n", "2000", "-c", "2", "-m", "32", "--connect-to", f"127.0.0.1:{w.tls_port}",
                f"https://a.test:{w.tls_port}/")
        assert "2000 succeeded, 0 failed" in r.stdout, r.stdout


def test_h2_can_be_left_out(pki, cert):
    text = TLS.replace("@tls@ tls", "@tls@ tls h1").replace("listen @listen@", "listen @listen@ h1")
    with Weir(text, crt=cert.crt, key=cert.key) as w:
        ctx = client_context(pki.ca.crt)
        ctx.set_alpn_protocols(["h2", "http/1.1"])
        with TlsClient(w.tls_port, ctx) as c:
            assert c.sock.selected_alpn_protocol() == "http/1.1"
        with H2Raw(w.port) as c:
            c.read(2)
            assert c.pending.startswith(b"HTTP/1.1 505")


@pytest.mark.parametrize("cipher, offered, expected", [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", ["h2", "http/1.1"], "h2"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", ["h2"], "h2"),
    ("ECDHE-ECDSA-AES128-SHA256", ["h2", "http/1.1"], "http/1.1"),
    ("ECDHE-ECDSA-AES128-SHA256", ["h2"], None)])
def test_ciphers_that_http2_may_not_have(pki, cert, cipher, offered, expected):
    """RFC 9113 9.2.2: with one of them HTTP/2 is not agreed on; a list of the user's own may have some."""
    text = TLS.replace("key=@key@", f'key=@key@ ciphers="{cipher}:ECDHE-ECDSA-AES256-GCM-SHA384"')
    with Weir(text, crt=cert.crt, key=cert.key) as w:
        ctx = client_context(pki.ca.crt, tls12=True)
        ctx.set_ciphers(cipher)
        ctx.set_alpn_protocols(offered)
        if expected is None:
            with pytest.raises(ssl.SSLError):
                TlsClient(w.tls_port, ctx)
            return
        with TlsClient(w.tls_port, ctx) as c:
            assert (c.sock.cipher()[0], c.sock.selected_alpn_protocol()) == (cipher, expected)


def test_h1_can_be_left_out(pki, cert):
    text = TLS.replace("@tls@ tls", "@tls@ tls h2").replace("listen @listen@", "listen @listen@ h2")
    with Weir(text.replace("respond", "tls redirect=off\n respond"), crt=cert.crt, key=cert.key, wait=False) as w:
        w.wait_ready()
        with pytest.raises(ssl.SSLError):
            TlsClient(w.tls_port, client_context(pki.ca.crt))
        with H2Raw(w.port, settings=None) as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            assert c.goaway() == h2raw.PROTOCOL_ERROR


def test_host_of_another_certificate_is_misdirected(pki, cert):
    """One connection, several hosts: each request is judged by its own."""
    text = TLS + "site b.test {\n tls cert=@crt@ key=@key@ profile=modern\n respond 200 b\n}\n"
    with Weir(text, crt=cert.crt, key=cert.key) as w:
        with H2Raw(w.tls_port, context=client_context(pki.ca.crt)) as c:
            assert c.get(scheme="https")[0] == 200
            assert c.get(stream=3, scheme="https", authority="b.test")[0] == 421
            assert c.get(stream=5, scheme="https", authority="unknown.test")[0] == 421
            assert c.get(stream=7, scheme="https")[0] == 200


@pytest.mark.seconds(120)
def test_chromium_loads_a_page_and_a_websocket(cert):
    """A page with twenty images, a POST, server-sent events, and a WebSocket by extended CONNECT."""
    need("/usr/bin/chromium")
    if not (ROOT / "tests/node/node_modules/playwright-core").exists():
        pytest.skip("npm package playwright-core is not installed (tools/setup test)")
    text = TLS.replace("    respond", "    proxy @n@\n    route /shut/ { proxy 127.0.0.1:9 }\n    #")
    node = NodeApp()
    try:
        with Weir(text.replace("site a.test", "site *"), crt=cert.crt, key=cert.key, n=node) as w:
            done = run("node", ROOT / "tests/node/browser.js", f"https://127.0.0.1:{w.tls_port}/page", seconds=100)
            assert done.returncode == 0, done.stderr
            got = json.loads(done.stdout)
            assert got["protocol"] == "h2" and got["images"] == 20 and got["fetched"] == "posted: 5"
            assert got["socket"] == "echo: hi" and got["events"] == ["0", "1", "2", "3", "4"]
            assert got["error_page"].startswith("502")
            sockets = [a for a in w.access() if a["path"] == "/ws"]
            assert [(a["proto"], a["status"]) for a in sockets] == [("HTTP/2.0", 101)]
    finally:
        node.close()


# ---------------------------------------------------------------- messages

def test_request_and_response_bodies():
    with Origin(lambda r: answer(r.body)) as o, Weir("site * { proxy @o@ }\n", o=o) as w:
        with H2Raw(w.port) as c:
            c.request(end=False, method="POST", extra=[("content-length", "6")])
            c.say(h2raw.DATA, 0, 1, b"abc")
            c.say(h2raw.DATA, h2raw.PADDED | h2raw.END_STREAM, 1, b"\x02def\0\0")
            assert c.response() == (200, b"abcdef", None)
            c.request(3, end=False, method="POST")
            c.say(h2raw.DATA, h2raw.END_STREAM, 3, b"unknown")
            assert c.response(3) == (200, b"unknown", None)
        assert o.requests[0].get("Content-Length") == "6" and o.requests[0].get("Via") == "2.0 weir"
        assert o.requests[1].get("Transfer-Encoding") == "chunked"


def test_trailers_both_ways():
    def script(r):
        return chunked(b"x", trailers=b"X-Sum: " + str(dict(r.trailers).get("x-check")).encode() + b"\r\n")
    with Origin(script) as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        c.request(end=False, method="POST", extra=[("te", "trailers")])
        c.say(h2raw.DATA, 0, 1, b"abc")
        c.fields(1, [("x-check", "42")])
        status, body, trailers = c.response()
        assert (status, body) == (200, b"x")
        assert trailers == [("x-sum", "42")]


def test_interim_responses():
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    with Origin([early, 0.1, answer("done")]) as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        assert c.get() == (200, b"done", None)
        heads = [f for f in c.frames if f.type == h2raw.HEADERS]
        assert heads[0].get(":status") == "103" and heads[0].get("link") == "</a.css>; rel=preload"


def test_cookies_are_joined():
    with Origin() as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        c.get(extra=[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")])
        assert o.requests[0].all("Cookie") == ["a=1; b=2"]


def test_head_and_statuses_without_body():
    def script(r):
        return answer(b"", status="304 Not Modified", headers=["Content-Length: 7"], length=False) \
            if r.target == "/304" else answer(b"" if r.method == "HEAD" else b"1234567",
                                              headers=["Content-Length: 7"], length=False)
    with Origin(script) as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        assert c.get(method="HEAD") == (200, b"", None)
        assert c.frames[-1].get("content-length") == "7"
        assert c.get("/304", 3) == (304, b"", None)


def test_large_upload_and_download():
    """Both windows open as bytes are taken, far beyond what they begin with."""
    curl = need("curl")
    blob = bytes(range(256)) * 40_000
    with Origin(lambda r: answer(r.body)) as o, Weir("site * {\n body max=20M\n proxy @o@\n}\n", o=o) as w:
        path = w.dir / "blob"
        path.write_bytes(blob)
        r = run(curl, "-s", "--http2-prior-knowledge", "--data-binary", f"@{path}", "-o", w.dir / "back", w.url())
        assert r.returncode == 0
        assert (w.dir / "back").read_bytes() == blob


def test_many_small_frames_while_the_origin_waits():
    """A body of 5,000 tiny frames that nobody takes yet is kept, within the window."""
    hold = Hold()
    with Origin([hold, answer("ok")], early=True) as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        c.request(end=False, method="POST", extra=[("content-length", "50000")])
        c.send(b"".join(frame(h2raw.DATA, 0, 1, b"0123456789") for _ in range(5000)))
        assert c.ping()
        hold.release()
        status, body, _ = c.response()
        assert (status, body) == (200, b"ok")


def test_upload_that_stalls_is_timed_out():
    """More than half a window is here and taken: it is the client that is waited for."""
    text = "site * {\n timeout client_body=500ms\n proxy @o@\n}\n"
    with Origin(lambda r: answer("ok")) as o, Weir(text, o=o) as w, H2Raw(w.port) as c:
        c.request(end=False, method="POST", extra=[("content-length", "100000")])
        for _ in range(4):
            c.say(h2raw.DATA, 0, 1, b"x" * 12000)
        assert c.of(h2raw.HEADERS, seconds=3).get(":status") == "408"
        wait_until(lambda: [a.get("error") for a in w.access()] == ["client_body_timeout"])
        assert c.ping()


def test_upload_is_buffered_first():
    text = "site * {\n request buffer on\n body max=10M\n proxy @o@\n}\n"
    with Origin(lambda r: answer(str(len(r.body)))) as o, Weir(text, o=o) as w:
        path = w.dir / "blob"
        path.write_bytes(b"x" * 3_000_000)
        r = run(need("curl"), "-s", "--http2-prior-knowledge", "--data-binary", f"@{path}", w.url())
        assert r.stdout == "3000000"
        assert o.requests[0].get("Content-Length") == "3000000"


def test_streams_share_the_connection():
    """A small answer does not wait behind a large one whose window is shut."""
    big = answer(b"x" * 1_000_000)
    with Origin(lambda r: big if r.target == "/big" else answer("small")) as o, \
            Weir("site * { proxy @o@ }\n", o=o) as w, \
            H2Raw(w.port, settings=struct.pack(">HI", 4, 1000)) as c:
        c.request(1, path="/big")
        c.wait(lambda f: f.type == h2raw.DATA)
        assert c.get("/small", 3) == (200, b"small", None)
        assert sum(len(f.payload) for f in c.frames if f.type == h2raw.DATA and f.stream == 1) == 1000


def test_windows_of_the_client_are_kept():
    with Origin(lambda r: answer(b"x" * 100_000)) as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        c.request()
        c.wait(lambda f: False, 0.5)
        assert sum(len(f.payload) for f in c.frames if f.type == h2raw.DATA) == 65535
        c.say(h2raw.WINDOW_UPDATE, 0, 1, struct.pack(">I", 100_000))
        c.wait(lambda f: False, 0.2)
        assert sum(len(f.payload) for f in c.frames if f.type == h2raw.DATA) == 65535
        c.say(h2raw.WINDOW_UPDATE, 0, 0, struct.pack(">I", 100_000))
        assert c.response()[0] == 200


def test_client_that_opens_no_window_is_timed_out():
    """A stream that waits for its window ends in time, however busy its connection is."""
    text = "timeout client_send=1s\nsite * { proxy @o@ }\n"
    with Origin(lambda r: answer(b"x" * 100_000)) as o, Weir(text, o=o) as w, \
            H2Raw(w.port, settings=struct.pack(">HI", 4, 10)) as c:
        c.request(1)
        for i in range(20):
            c.request(3 + 2 * i)
            c.say(h2raw.WINDOW_UPDATE, 0, 3 + 2 * i, struct.pack(">I", 100_000))
            c.say(h2raw.WINDOW_UPDATE, 0, 0, struct.pack(">I", 100_000))
            if c.wait(lambda f: f.type == h2raw.RST_STREAM and f.stream == 1, 0.15):
                break
        assert c.reset(1) is not None
        wait_until(lambda: [a["error"] for a in w.access() if a.get("error")] == ["client_send_timeout"])


def test_cancelled_request_reaches_the_origin():
    hold = Hold()
    with Origin([hold, answer()]) as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        c.request()
        wait_until(lambda: o.open == 1)
        c.say(h2raw.RST_STREAM, 0, 1, struct.pack(">I", h2raw.CANCEL))
        wait_until(lambda: w.status() and w.access(1))
        assert w.access(1)[0]["error"] == "client_reset"
        hold.release()
        assert c.ping()


def test_broken_answer_does_not_look_whole():
    from kit import CLOSE
    with Origin([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 0.1, CLOSE]) as o, \
            Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        c.request()
        assert c.response() == (None, b"half", None)
        assert c.reset(1) == h2raw.INTERNAL_ERROR
        assert c.ping()


def test_early_answer_to_an_upload():
    with Weir('site * {\n body max=10B\n proxy 127.0.0.1:1\n}\n') as w, H2Raw(w.port) as c:
        c.request(end=False, method="POST", extra=[("content-length", "100")])
        c.say(h2raw.DATA, 0, 1, b"x" * 50)
        assert c.wait(lambda f: f.type == h2raw.HEADERS).get(":status") == "413"
        assert c.reset(1) == h2raw.NO_ERROR
        assert c.ping()


def test_rest_of_an_answered_request(hi):
    """A little may still come, and is judged; more than that is stopped, without an error."""
    with H2Raw(hi.port) as c:
        def answered(stream):
            c.request(stream, end=False, method="POST")
            assert c.wait(lambda f: f.stream == stream and f.flags & h2raw.END_STREAM)
        answered(1)
        c.say(h2raw.DATA, 0, 1, b"x" * 1000)
        c.fields(1, [("x-check", "1")])
        answered(3)
        c.fields(3, [(":path", "/late")])
        assert c.reset(3) == h2raw.PROTOCOL_ERROR
        answered(5)
        c.fields(5, [("x-check", "1")], end=False)
        assert c.reset(5) == h2raw.PROTOCOL_ERROR
        answered(7)
        for _ in range(5):
            c.say(h2raw.DATA, 0, 7, b"x" * 15000)
            c.ping()
        assert c.reset(7) == h2raw.NO_ERROR
        assert not c.reset(1, 0.1) and c.goaway(0.1) is None
        assert c.get("/", 9)[0] == 200


# ---------------------------------------------------------------- websocket (RFC 8441)

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"


def connect(c, stream=1, protocol="websocket"):
    c.fields(stream, [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":path", "/ws"),
                      (":authority", "a.test"), ("sec-websocket-version", "13")], end=False)


def test_extended_connect_to_an_h1_origin():
    def echo(s):
        while data := s.recv(4096):
            s.sendall(data.upper())
    with Origin([SWITCH, echo]) as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        connect(c)
        assert c.of(h2raw.HEADERS).get(":status") == "200"
        assert c.of(h2raw.HEADERS).get("sec-websocket-accept") is None
        c.say(h2raw.DATA, 0, 1, b"hello")
        assert c.of(h2raw.DATA).payload == b"HELLO"
        c.say(h2raw.DATA, h2raw.END_STREAM, 1, b"bye")
        assert c.wait(lambda f: f.type == h2raw.DATA and f.flags & h2raw.END_STREAM)
        r = o.requests[0]
        assert (r.method, r.target, r.get("Upgrade"), r.get("Connection")) == ("GET", "/ws", "websocket", "Upgrade")
        assert len(r.get("Sec-WebSocket-Key")) == 24


def test_extended_connect_that_is_not_switched():
    with Origin() as o, Weir("site * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        connect(c)
        assert c.of(h2raw.HEADERS).get(":status") == "502"
        connect(c, 3, "other")
        assert c.wait(lambda f: f.type == h2raw.HEADERS and f.stream == 3).get(":status") == "501"


def test_plain_connect_is_refused(hi):
    with H2Raw(hi.port) as c:
        c.fields(1, [(":method", "CONNECT"), (":authority", "a.test:80")])
        assert c.response(1)[0] == 501
        assert c.ping()


# ---------------------------------------------------------------- what is malformed

GOOD = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")]


def without(name):
    return [f for f in GOOD if f[0] != name]


def changed(name, value):
    return [(n, value if n == name else v) for n, v in GOOD]


MALFORMED = {
    "no method": without(":method"), "no scheme": without(":scheme"), "no path": without(":path"),
    "no host": without(":authority"), "empty path": changed(":path", ""), "path without slash": changed(":path", "x"),
    "absolute path": changed(":path", "http://a.test/"), "asterisk": changed(":path", "*"),
    "space in path": changed(":path", "/a b"), "fragment": changed(":path", "/a#b"),
    "line end in path": changed(":path", "/a\r\nX: y"), "other scheme": changed(":scheme", "ftp"),
    "method with space": changed(":method", "GET /"), "user in authority": changed(":authority", "u@a.test"),
    "bad authority": changed(":authority", "a test"), "two methods": GOOD + [(":method", "GET")],
    "two paths": [*GOOD, (":path", "/x")], "unknown pseudo": [*GOOD, (":x", "y")],
    "status in a request": [*GOOD, (":status", "200")], "late pseudo": [*without(":path"), ("a", "b"), (":path", "/")],
    "upper case": [*GOOD, ("X-Upper", "y")], "empty name": [*GOOD, ("", "y")], "space in name": [*GOOD, ("a b", "c")],
    "colon in name": [*GOOD, ("a:b", "c")], "line end in name": [*GOOD, ("a\r\nb", "c")],
    "CR in value": [*GOOD, ("a", "b\rc")], "LF in value": [*GOOD, ("a", "b\nc")], "NUL in value": [*GOOD, ("a", "b\0c")],
    "space before value": [*GOOD, ("a", " b")], "tab behind value": [*GOOD, ("a", "b\t")],
    "connection": [*GOOD, ("connection", "close")], "keep-alive": [*GOOD, ("keep-alive", "5")],
    "proxy-connection": [*GOOD, ("proxy-connection", "x")], "transfer-encoding": [*GOOD, ("transfer-encoding", "chunked")],
    "upgrade": [*GOOD, ("upgrade", "websocket")], "te": [*GOOD, ("te", "gzip")],
    "other host": [*GOOD, ("host", "b.test")], "two hosts": [*GOOD, ("host", "a.test"), ("host", "a.test")],
    "length without body": [*GOOD, ("content-length", "5")], "length no number": [*GOOD, ("content-length", "x")],
    "two lengths": [*GOOD, ("content-length", "0"), ("content-length", "0")],
    "protocol of a GET": [*GOOD, (":protocol", "websocket")],
    "connect with a path": changed(":method", "CONNECT"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request(hi, name):
    """RFC 9113 8.1.1: an error of the stream; nothing reaches an origin; the connection goes on."""
    with H2Raw(hi.port) as c:
        raw = hpack_raw(MALFORMED[name])
        c.fields(1, raw)
        assert c.reset(1) == h2raw.PROTOCOL_ERROR
        assert c.get("/next", 3)[0] == 200


def hpack_raw(fields):
    """Literals without index, so that no encoder has a say in what is written."""
    out = b""
    for n, v in fields:
        n, v = n.encode("latin-1"), v.encode("latin-1")
        out += b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v
    return out


def test_host_that_agrees_passes(hi):
    with H2Raw(hi.port) as c:
        c.fields(1, [*GOOD, ("host", "A.test:80")])
        assert c.response(1)[1] == b"GET HTTP/2.0 a.test /"
        c.fields(3, [*without(":authority"), ("host", "only.test")])
        assert c.response(3)[1] == b"GET HTTP/2.0 only.test /"
        c.fields(5, [*GOOD, ("te", "trailers")])
        assert c.response(5)[0] == 200


def test_body_of_another_length(hi):
    with H2Raw(hi.port) as c:
        for stream, data in ((1, b"abcd"), (3, b"abcdef")):
            c.fields(stream, [*changed(":method", "POST"), ("content-length", "5")], end=False)
            c.say(h2raw.DATA, h2raw.END_STREAM, stream, data)
            assert c.reset(stream) == h2raw.PROTOCOL_ERROR
        assert c.ping()


def test_large_heads_are_refused(hi):
    with H2Raw(hi.port) as c:
        c.fields(1, [*GOOD, ("x", "y" * 12000), ("z", "w" * 3000)])
        assert c.response(1)[0] == 200
        block = c.encoder.encode([*GOOD] + [(f"x{i}", "y" * 400) for i in range(90)])
        c.say(h2raw.HEADERS, h2raw.END_STREAM, 3, block[:16000])
        for at in range(16000, len(block), 16000):
            last = h2raw.END_HEADERS if at + 16000 >= len(block) else 0
            c.say(h2raw.CONTINUATION, last, 3, block[at:at + 16000])
        assert c.response(3)[0] == 431
        c.fields(5, [*GOOD] + [(f"x{i}", "y") for i in range(101)])
        assert c.response(5)[0] == 431
        assert c.get("/", 7)[0] == 200


# ---------------------------------------------------------------- floods

def flood(c, data, rounds=40):
    for _ in range(rounds):
        if not c.send(data) or c.of(h2raw.GOAWAY, seconds=0.001):
            break


def rapid_reset(c):
    for i in range(2000):
        block = c.block(path="/hold")
        data = frame(h2raw.HEADERS, 5, 2 * i + 1, block) + frame(h2raw.RST_STREAM, 0, 2 * i + 1, b"\0\0\0\x08")
        if not c.send(data):
            break


def made_you_reset(c):
    for i in range(2000):
        data = frame(h2raw.HEADERS, 5, 2 * i + 1, c.block(path="/hold")) + frame(h2raw.WINDOW_UPDATE, 0, 2 * i + 1, bytes(4))
        if not c.send(data):
            break


def hpack_bomb(c):
    """One large field in the table, and blocks that name it again and again."""
    c.fields(1, hpack_raw(GOOD) + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000)
    for i in range(1, 200):
        if not c.fields(2 * i + 1, hpack_raw(GOOD) + b"\xbe" * 4000):
            break


def large_heads(c):
    """Lists that are only over the limit: so many are a flood, too."""
    c.fields(1, hpack_raw(GOOD) + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000)
    for i in range(1, 200):
        if not c.fields(2 * i + 1, hpack_raw(GOOD) + b"\xbe" * 10):
            break


def continuations(c):
    c.say(h2raw.HEADERS, 1, 1, b"")
    flood(c, frame(h2raw.CONTINUATION, 0, 1, b"") * 100)


def on_open_stream(data):
    def attack(c):
        c.request(end=False, method="POST")
        flood(c, data * 100)
    return attack


ATTACKS = {
    "h2_resets": rapid_reset,
    "h2_made_resets": made_you_reset,
    "h2_heads": hpack_bomb,
    "h2_continuations": continuations,
    "h2_settings": lambda c: flood(c, frame(h2raw.SETTINGS, 0, 0, struct.pack(">HI", 4, 70000)) * 50),
    "h2_pings": lambda c: flood(c, frame(h2raw.PING, 0, 0, b"12345678") * 100),
    "h2_priorities": lambda c: flood(c, frame(h2raw.PRIORITY, 0, 5, b"\0\0\0\3\1") * 100),
    "h2_empty": on_open_stream(frame(h2raw.DATA, 0, 1)),
    "h2_windows": on_open_stream(frame(h2raw.WINDOW_UPDATE, 0, 1, b"\0\0\0\1")),
}


@pytest.mark.parametrize("error,attack", [*ATTACKS.items(), ("h2_heads", large_heads)])
def test_flood(error, attack):
    """Ends by ENHANCE_YOUR_CALM, is counted, is logged with its reason; others do not notice."""
    text = "log error info to=@dir@/error.log\n" + HI.replace("respond", "route /hold { proxy @o@ }\n respond")
    hold = Hold()
    with Origin([hold, answer()], early=True) as o, Weir(text, o=o) as w:
        with H2Raw(w.port) as c, H2Raw(w.port) as good:
            assert good.get()[0] == 200
            attack(c)
            assert c.goaway() == h2raw.ENHANCE_YOUR_CALM
            wait_until(lambda: c.closed or not c.read(0.2) and c.closed, 6, "the end of the connection")
            assert good.get("/", 3)[0] == 200
        name = "weir_h2_floods_" + error[3:] + "_total"
        assert w.metric(name) == 1
        wait_until(lambda: any(error in line for line in w.log_lines("error.log")), 3, "a line in the error log")
        wait_until(lambda: any(a.get("error") == error for a in w.access()), 3, "a line in the access log")
        hold.release()


STALLS = "log error info to=@dir@/error.log\ntimeout client_send=1s\nsite * { proxy @o@ }\n"


def ended_by(w, error):
    """Is counted and logged."""
    wait_until(lambda: any(a.get("error") == error for a in w.access()), 5, "a line in the access log")
    wait_until(lambda: any(error in line for line in w.log_lines("error.log")), 3, "a line in the error log")
    return w.metric("weir_h2_floods_" + error[3:] + "_total") == 1


@pytest.mark.parametrize("count", [10, 11])
def test_windows_that_stay_shut(count):
    """Ten answers are given up, each by CANCEL; one more at once, and the connection is."""
    streams = range(3, 3 + 2 * count, 2)
    with Origin(answer("x" * 100)) as o, Weir(STALLS, o=o) as w, \
            H2Raw(w.port, settings=struct.pack(">HI", 4, 0)) as c:
        c.send(b"".join(frame(h2raw.HEADERS, 5, n, c.block()) for n in streams))
        if count == 10:
            assert [c.reset(n) for n in streams] == [h2raw.CANCEL] * count
            assert c.ping() and c.get(method="HEAD", stream=101)[0] == 200
            assert w.metric("weir_h2_floods_stalls_total") == 0
            return
        assert c.goaway() == h2raw.ENHANCE_YOUR_CALM
        assert sum(f.type == h2raw.RST_STREAM and f.code == h2raw.CANCEL for f in c.frames) >= 10
        assert ended_by(w, "h2_stalls")


def open_wide(c, streams):
    """Answers for which every window is open."""
    c.send(frame(h2raw.WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 65536)) +
           b"".join(frame(h2raw.HEADERS, 5, n, c.block()) for n in streams))


def test_answers_that_nobody_reads():
    """All windows are open and the connection takes nothing: it ends with the first of them."""
    with Origin(answer(bytes(20 << 20))) as o, Weir(STALLS, o=o) as w, \
            H2Raw(w.port, settings=struct.pack(">HI", 4, (1 << 31) - 1)) as c, H2Raw(w.port) as good:
        open_wide(c, (1, 3))
        assert ended_by(w, "h2_unread")
        assert good.get(method="HEAD")[0] == 200


def test_connection_window_that_opens_slowly():
    """Each stream waits for longer than a client may, but something moves: nobody stalls."""
    with Origin(answer("x" * 30_000)) as o, Weir(STALLS, o=o) as w, \
            H2Raw(w.port, settings=struct.pack(">HI", 4, 1 << 20)) as c:
        streams = range(1, 31, 2)
        c.send(b"".join(frame(h2raw.HEADERS, 5, n, c.block()) for n in streams))
        while not c.wait(lambda f: len([g for g in c.frames if g.type == h2raw.DATA and g.flags & 1]) == 15, 0.3):
            assert not c.closed and not c.of(h2raw.RST_STREAM, seconds=0.01)
            c.say(h2raw.WINDOW_UPDATE, 0, 0, struct.pack(">I", 30_000))
        assert {c.response(n)[0] for n in streams} == {200}
        assert len(w.access(15)) == 15 and not any(a.get("error") for a in w.access())


def test_answers_that_are_read_slowly():
    with Origin(answer(bytes(20 << 20))) as o, Weir(STALLS, o=o) as w, \
            H2Raw(w.port, settings=struct.pack(">HI", 4, (1 << 31) - 1)) as c:
        open_wide(c, (1,))
        for _ in range(8):
            time.sleep(0.4)
            for _ in range(20):
                c.read(1)
        assert w.metric("weir_h2_floods_unread_total") == 0
        assert c.response(1)[0] == 200


def test_client_that_never_reads(hi):
    """Its PINGs are not read either, once what it was sent lies around."""
    with H2Raw(hi.port) as c:
        c.request()
        before = hi.rss_kb()
        c.sock.settimeout(1)
        try:
            for i in range(3000):
                c.sock.sendall(frame(h2raw.HEADERS, 5, 2 * i + 3, c.block(path="/" + "x" * 3000)))
        except OSError:
            pass
        assert hi.rss_kb() - before < memory(20_000)
        assert hi.get().status == 200


# ---------------------------------------------------------------- the end

def test_stop_drains_without_losing_a_request():
    hold = Hold()
    with Origin(lambda r: [hold, answer("late")] if r.target == "/late" else answer("ok")) as o:
        w = Weir("site * { proxy @o@ }\n", o=o)
        with H2Raw(w.port) as c:
            c.request(1, path="/late")
            assert hold.reached.wait(5)
            stopper = threading.Thread(target=w.stop)
            stopper.start()
            f = c.of(h2raw.GOAWAY)
            assert f.payload[:4] == b"\x7f\xff\xff\xff" and f.code == h2raw.NO_ERROR
            assert c.get("/", 3) == (200, b"ok", None)  # was on its way
            ping = c.of(h2raw.PING)
            c.say(h2raw.PING, h2raw.ACK, 0, ping.payload)
            last = c.wait(lambda f: f.type == h2raw.GOAWAY and f.payload[:4] != b"\x7f\xff\xff\xff")
            assert last.payload[:4] == b"\0\0\0\3"
            hold.release()
            assert c.response(1) == (200, b"late", None)
            c.wait(lambda f: False, 3)
            assert c.closed
            c.sock.close()
            stopper.join(10)
            assert not stopper.is_alive()


def test_idle_connection_is_told():
    with Weir("timeout keepalive=300ms\n" + HI) as w, H2Raw(w.port) as c:
        assert c.get()[0] == 200
        assert c.goaway() == h2raw.NO_ERROR
        assert c.get("/", 3)[0] == 200  # crossed the GOAWAY
        c.wait(lambda f: False, 3)
        assert c.closed


def test_connections_are_counted(hi):
    before = hi.metric("weir_h2_connections_total")
    with H2Raw(hi.port) as c:
        c.get()
        assert hi.metric("weir_h2_connections_total") == before + 1
        wait_until(lambda: hi.metric("weir_connections_idle") >= 1)
