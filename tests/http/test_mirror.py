# SPDX-License-Identifier: Apache-2.0
"""Requests that also go to a shadow upstream: what it gets, and that nothing it does reaches the client."""
import math
import os
import time

import pytest

from kit import CLOSE, RESET, Hold, answer, chunked, free_port, wait_until
from kit.tools import run

MIRROR = """
workers 1
listen @listen@
admin @admin@
log access json to=@dir@/access.log
upstream app {{ server @o@ }}
upstream shadow {{ server @s@; {shadow} }}
site * {{
    proxy app
    mirror shadow {mirror}
    {more}
}}
"""


def both(weir, origin, mirror="", shadow="", more="", script=None, **kw):
    o, s = origin(answer("real")), origin(script or answer("shadow", "500 No"))
    return weir(MIRROR.format(mirror=mirror, shadow=shadow, more=more), o=o, s=s, **kw), o, s


def counted(w, mirrored=None, failed=None, dropped=None):
    """Waits until so many were counted; and none is under way then."""
    want = {"weir_mirrored_total": mirrored, "weir_mirror_failed_total": failed,
            "weir_mirror_dropped_total": dropped}
    wait_until(lambda: all(v is None or w.metric(k) == v for k, v in want.items()), 5,
               f"{want}, got { {k: w.metric(k) for k in want} }")


def got(s, count):
    wait_until(lambda: len(s.requests) >= count, 5, f"{count} mirrored requests")
    return s.requests


# --------------------------------------------------------------------- what the shadow gets

def test_the_shadow_gets_the_same_request(weir, origin):
    w, o, s = both(weir, origin, more="request set X-Tenant acme")
    with w.client() as c:
        assert c.post("/a?b=c", b"hello", headers=["X-Mine: 1", "Cookie: a=b"]).text == "real"
    copy, real = got(s, 1)[0], o.requests[0]
    assert (copy.method, copy.target, copy.body) == ("POST", "/a?b=c", b"hello")
    hop = {"x-mirror", "connection", "content-length", "transfer-encoding"}
    assert [h for h in copy.headers if h[0].lower() not in hop] == \
        [h for h in real.headers if h[0].lower() not in hop]
    assert copy.get("X-Mirror") == w.last_access()["id"] and not real.get("X-Mirror")
    assert copy.get("X-Tenant") == "acme" and copy.get("Host") == "a.test"
    counted(w, mirrored=1, failed=0, dropped=0)
    assert w.metric("weir_mirrors_active") == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT"])
def test_methods(weir, origin, method):
    w, o, s = both(weir, origin, script=answer("", "204 No Content", length=False))
    assert w.get(method=method).status == 200
    assert got(s, 1)[0].method == method
    counted(w, mirrored=1)


def test_chunked_bodies_arrive_whole(weir, origin):
    w, o, s = both(weir, origin)
    with w.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
               0.1, b"6\r\n world\r\n", 0.1, b"0\r\n\r\n")
        assert c.response().text == "real"
    assert got(s, 1)[0].body == b"hello world"


def test_large_body(weir, origin):
    w, o, s = both(weir, origin, "body=16M")
    body = os.urandom(10 << 20)
    with w.client(timeout=20) as c:
        assert c.post("/", body).text == "real"
    assert got(s, 1)[0].body == body
    counted(w, mirrored=1)


def test_buffered_bodies_and_retries(weir, origin):
    """The copy is of the body as it was first sent, whichever server takes it in the end."""
    dead, o, s = free_port(), origin(answer("real")), origin()
    w = weir("upstream app { server 127.0.0.1:%d; server @o@; balance round_robin; eject off }\n"
             "site * { proxy app\n mirror @s@\n buffer on memory=1k }\n" % dead, o=o, s=s)
    with w.client() as c:
        for i in range(4):
            assert c.post("/", b"%d" % i * 5000).text == "real"
    assert sorted(r.body for r in got(s, 4)) == [b"%d" % i * 5000 for i in range(4)]
    counted(w, mirrored=4)


def test_expect_continue(weir, origin):
    w, o, s = both(weir, origin)
    with w.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
               0.1, b"ok")
        r = c.response()
        assert (r if r.status != 100 else c.response()).status == 200
    assert got(s, 1)[0].body == b"ok" and not s.requests[0].get("Expect")


@pytest.mark.parametrize("percent", [0, 20, 100])
def test_share(weir, origin, percent):
    w, o, s = both(weir, origin, f"{percent}%")
    with w.client() as c:
        for _ in range(500):
            c.get()
    p = percent / 100
    wait_until(lambda: w.metric("weir_mirrors_active") == 0, 5, "all to end")
    assert abs(w.metric("weir_mirrored_total") - 500 * p) <= 5 * math.sqrt(500 * p * (1 - p))


def test_only_where_it_is_set(weir, origin):
    w, o, s = both(weir, origin, more="route /off/ { no mirror }\n"
                   "when header.X-Other { mirror 127.0.0.1:9 0% }")
    w.get("/off/x")
    w.get(headers=["X-Other: 1"])
    w.get("/on")
    assert [r.target for r in got(s, 1)] == ["/on"]


def test_upgrades_are_not_mirrored(weir, origin):
    w, o, s = both(weir, origin)
    w.get(headers=["Connection: upgrade", "Upgrade: websocket"])
    assert w.metric("weir_mirrors_active") == 0 and not s.requests


def test_http2_clients(weir, origin):
    w, o, s = both(weir, origin, "body=2M")
    body = w.dir / "body"
    body.write_bytes(os.urandom(1 << 20))
    done = run("curl", "-s", "--http2-prior-knowledge", "--data-binary", f"@{body}", w.url("/x"))
    assert done.stdout == "real"
    copy = got(s, 1)[0]
    assert copy.body == body.read_bytes() and copy.get("Host") == f"127.0.0.1:{w.port}"


# --------------------------------------------------------------------- what it can not do

@pytest.mark.parametrize("script", [
    [CLOSE], [RESET], b"nonsense\r\n\r\n", answer("x" * (2 << 20), "503 Busy"),
    chunked(b"a" * 100000, b"b" * 100000), [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CLOSE],
    b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ids=["close", "reset", "nonsense", "large-error", "chunked", "cut", "interim"])
def test_its_answers_do_not_reach_the_client(weir, origin, script):
    w, o, s = both(weir, origin, script=script)
    with w.client() as c:
        for i in range(10):
            r = c.post("/", b"body")
            assert (r.status, r.text) == (200, "real")
    wait_until(lambda: w.metric("weir_mirrored_total") + w.metric("weir_mirror_failed_total") == 10,
               5, "the end of all mirrored requests")
    assert w.metric("weir_retries_total") == 0
    assert all(line["upstream"] == "app" and line["tries"] == 1 for line in w.access(10))


def test_a_dead_shadow(weir, origin):
    w, o, s = both(weir, origin)
    s.stop()
    with w.client() as c:
        assert {c.get().text for _ in range(20)} == {"real"}
    counted(w, mirrored=0, failed=20, dropped=0)


def test_a_silent_shadow_delays_nobody(weir, origin):
    hold = Hold()
    w, o, s = both(weir, origin, "max=5 timeout=500ms", script=[hold, answer("late")])
    began = time.monotonic()
    with w.client() as c:
        for i in range(50):
            assert c.post("/", b"x" * 10000).text == "real"
    assert time.monotonic() - began < 2
    assert w.metric("weir_mirrors_active") <= 5
    counted(w, mirrored=0, failed=5, dropped=45)
    hold.release()


def test_a_shadow_that_reads_nothing_delays_no_large_body(weir, origin):
    w, o, s = both(weir, origin, "body=16M timeout=1s")
    s.early, s.script = True, [Hold()]
    body = os.urandom(10 << 20)
    with w.client(timeout=20) as c:
        for _ in range(2):
            assert c.post("/", body).text == "real"
    assert o.requests[0].body == body
    counted(w, failed=2)
    assert w.metric("weir_mirrors_active") == 0


@pytest.mark.parametrize("size,dropped", [(10000, 0), (10001, 1)])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bodies_past_the_limit_are_not_mirrored(weir, origin, size, dropped, framing):
    w, o, s = both(weir, origin, "body=10000B")
    body = b"x" * size
    with w.client() as c:
        if framing == "length":
            assert c.post("/", body).text == "real"
        else:
            c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"%x\r\n%s\r\n0\r\n\r\n" % (size, body))
            assert c.response().text == "real"
    counted(w, dropped=dropped, mirrored=1 - dropped)
    assert o.requests[0].body == body


def test_a_client_that_leaves_midway_is_not_mirrored(weir, origin):
    w, o, s = both(weir, origin)
    with w.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf", 0.2)
    counted(w, dropped=1)
    assert not s.requests


def test_reload_and_stop_with_mirrors_under_way(weir, origin):
    hold = Hold()
    w, o, s = both(weir, origin, "timeout=1h", script=[hold, answer("late")])
    for _ in range(3):
        w.get()
    w.reload()
    w.get()
    wait_until(lambda: w.metric("weir_mirrors_active") == 4, 3, "four under way")
    began = time.monotonic()
    w.stop()
    assert time.monotonic() - began < 5
    hold.release()


def test_its_health_is_its_own(weir, origin):
    w, o, s = both(weir, origin, "timeout=100ms", shadow="eject after=2 for=10s",
                   script=[Hold()])
    for _ in range(3):
        w.get()
    w.wait_stderr(f"server {s.address} of upstream shadow is left out")
    assert w.get().text == "real"
