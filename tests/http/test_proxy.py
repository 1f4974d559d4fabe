# SPDX-License-Identifier: Apache-2.0
"""Proxying: what goes in comes out, of any size, in either direction, without waiting and without
holding more memory than the limits say."""
import hashlib
import socket
import struct
import subprocess
import threading
import time

import pytest

from kit import CLOSE, Client, Hold, Origin, answer, chunked, memory, wait_until
from kit.tools import need, rss_kb, run


PLAIN = "site * { proxy @o@ }\n"
MB = 1024 * 1024


def test_get(weir, origin):
    o = origin(answer("hello", headers=["Content-Type: text/plain", "X-A: b"]))
    r = weir(PLAIN, o=o).get("/x?y")
    assert (r.status, r.text, r.get("X-A")) == (200, "hello", "b")
    assert o.requests[0].target == "/x?y"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_body_up(weir, origin, method):
    o = origin(lambda r: answer(r.body))
    body = bytes(range(256)) * 300
    with weir(PLAIN, o=o).client() as c:
        assert c.post(body=body, method=method).body == body
    assert o.requests[0].method == method


def test_curl(weir, origin):
    need("curl")
    o = origin(lambda r: answer(f"{r.method} {r.target} {len(r.body)}"))
    w = weir(PLAIN, o=o)
    assert run("curl", "-sS", w.url("/a?b")).stdout == "GET /a?b 0"
    assert run("curl", "-sS", "-d", "x=1", w.url("/p")).stdout == "POST /p 3"
    big = w.dir / "big"
    big.write_bytes(b"z" * 5 * MB)
    assert run("curl", "-sS", "-T", big, w.url("/up")).stdout == f"PUT /up {5 * MB}"
    head = run("curl", "-sSI", w.url("/h")).stdout
    assert head.startswith("HTTP/1.1 200 OK\n")


def pour(sock, total, piece=MB):
    """Sends `total` bytes and returns their digest."""
    digest, data = hashlib.sha256(), bytes(range(256)) * (piece // 256)
    for _ in range(total // piece):
        sock.sendall(data)
        digest.update(data)
    return digest.hexdigest()


def drain(read, total):
    digest, left = hashlib.sha256(), total
    while left:
        data = read(min(left, MB))
        assert data, f"ended {left} bytes early"
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()


@pytest.mark.seconds(120)
def test_1_gb_answer_streams_in_bounded_memory(weir, origin):
    total, sums = 1024 * MB, {}

    def serve(sock):
        sums["sent"] = pour(sock, total)
    o = origin([f"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n".encode(), serve])
    w = weir(PLAIN, o=o)
    with w.client(timeout=30) as c:
        r = c.get(body=False)
        assert r.get("Content-Length") == str(total)
        first, c.buf = c.buf, b""
        rest = [first]

        def read(n):
            return rest.pop() if rest and rest[0] else c.sock.recv(n)
        sums["got"] = drain(read, total)
    assert sums["got"] == sums["sent"]
    assert w.rss_kb("VmHWM") < memory(100 * 1024)


@pytest.mark.seconds(120)
def test_large_upload_streams_in_bounded_memory(weir, origin):
    total, sums = 512 * MB, {}

    def swallow(sock):
        sums["got"] = drain(sock.recv, total)
    o = origin([swallow, answer("ok")], early=True)
    w = weir("site * { proxy @o@; body max=off }\n", o=o)
    with w.client(timeout=30) as c:
        c.send(f"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {total}\r\n\r\n".encode())
        time.sleep(0.1)  # the origin reads the head alone
        sums["sent"] = pour(c.sock, total)
        assert c.response().text == "ok"
    assert sums["got"] == sums["sent"]
    assert w.rss_kb("VmHWM") < memory(100 * 1024)


def test_slow_client_holds_the_origin_back(weir, origin):
    sent = []

    def serve(sock):
        for _ in range(200):
            sock.sendall(b"x" * MB)
            sent.append(MB)
    o = origin([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MB), serve])
    w = weir(PLAIN, o=o)
    with w.client(rcvbuf=16384) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(1)
        assert sum(sent) < 40 * MB, "the origin was read although the client takes nothing"
        assert w.rss_kb() < memory(60 * 1024)
        time.sleep(0.5)
        before = sum(sent)
        time.sleep(0.3)
        assert sum(sent) == before
        r = c.response(body=False)
        for _ in range(40):
            c.sock.recv(MB)
        assert r.status == 200


def test_slow_origin_holds_the_client_back(weir, origin):
    hold = Hold()
    o = origin([hold, answer("ok")], early=True, rcvbuf=16384)
    w = weir("site * { proxy @o@; body max=off }\n", o=o)
    with w.client(timeout=2) as c:
        c.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (200 * MB))
        sent = 0
        try:
            for _ in range(200):
                c.sock.sendall(b"x" * MB)
                sent += 1
        except TimeoutError:
            pass
        assert sent < 40, "weir took in a body that its origin does not read"
        assert w.rss_kb() < memory(60 * 1024)
        hold.release()


def test_server_sent_events_pass_at_once(weir, origin):
    gate = [Hold() for _ in range(3)]
    steps = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
             b"Transfer-Encoding: chunked\r\n\r\n"]
    for i, g in enumerate(gate):
        steps += [b"9\r\ndata: %d\n\n\r\n" % i, g]
    steps.append(b"0\r\n\r\n")
    w = weir(PLAIN, o=origin(steps))
    with w.client() as c:
        c.get(body=False)
        for i, g in enumerate(gate):
            began = time.monotonic()
            assert c.take(14) == b"9\r\ndata: %d\n\n\r\n" % i
            assert time.monotonic() - began < 0.5
            g.release()
        assert c.take(5) == b"0\r\n\r\n"


def test_request_chunks_pass_at_once(weir, origin):
    seen = []

    def watch(sock):
        while b"0\r\n\r\n" not in b"".join(seen):
            seen.append(sock.recv(65536))
    o = origin([watch, answer("ok")], early=True)
    with weir(PLAIN, o=o).client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 0.1)
        for word in (b"one", b"two"):
            c.send(b"%x\r\n%s\r\n" % (len(word), word))
            wait_until(lambda: word in b"".join(seen), 2, "the chunk at the origin")
        c.send(b"0\r\n\r\n")
        assert c.response().status == 200


def test_expect_is_forwarded(weir, origin):
    asked = []

    def serve(request):
        asked.append(request.get("Expect"))
        return [b"HTTP/1.1 100 Continue\r\n\r\n",
                lambda sock: asked.append(sock.recv(5, socket.MSG_PEEK)), answer("ok")]
    o = origin(serve, early=True)
    with weir(PLAIN, o=o).client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert c.head().status == 100
        c.send(b"hello")
        assert c.response().status == 200
    assert asked == ["100-continue", b"hello"]
    wait_until(lambda: o.requests[0].body == b"hello", 2, "the body")


def test_expect_refused_by_the_origin_asks_for_no_body(weir, origin):
    o = origin([answer("no", "403 Forbidden", ["Connection: close"])], early=True)
    with weir(PLAIN, o=o).client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        r = c.response()
        assert (r.status, r.interim) == (403, [])


def test_expect_with_an_origin_that_waits_for_the_body(weir, origin):
    """An origin that knows no 100 must not stall the client for ever."""
    o = origin(answer("ok"))
    with weir(PLAIN, o=o).client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert c.head().status == 100
        c.send(b"hello")
        assert c.response().text == "ok"
    assert o.requests[0].body == b"hello"


def test_large_body_past_its_limit_gets_413_while_the_client_sends(weir, origin):
    o = origin()
    w = weir("site * { proxy @o@; body max=1M }\n", o=o)
    with w.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (50 * MB))
        sender = threading.Thread(target=c.send, args=(b"x" * 8 * MB,), daemon=True)
        sender.start()
        r = c.response()
        assert r.status == 413 and r.complete
        assert c.closed(5) and not c.reset
    assert o.requests == []


def test_buffered_request_reaches_the_origin_whole(weir, origin):
    o = origin(answer("ok"))
    w = weir("site * { proxy @o@; request buffer on }\n", o=o)
    with w.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\nhello\r\n", 0.3)
        assert o.connections == 0, "the origin is left alone until the body is whole"
        c.send(b"6\r\n world\r\n0\r\n\r\n")
        assert c.response().status == 200
    assert o.requests[0].body == b"hello world"
    assert o.requests[0].get("Content-Length") == "11"


@pytest.mark.seconds(90)
def test_buffered_request_spills_to_a_file(weir, origin):
    sums = {}

    def digest(request):
        sums["got"] = hashlib.sha256(request.body).hexdigest()
        return answer("ok")
    o = origin(digest)
    w = weir("site * { proxy @o@; request buffer on; body max=1G }\n", o=o)
    with w.client(timeout=30) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (100 * MB))
        sums["sent"] = pour(c.sock, 100 * MB)
        assert c.response().status == 200
    assert sums["got"] == sums["sent"]
    assert w.metric("weir_request_bodies_spooled_total") == 1
    assert w.rss_kb("VmHWM") < memory(80 * 1024)


def test_client_that_leaves_frees_the_origin(weir, origin):
    o = origin(lambda s: CLOSE if s.recv(1) == b"" else None)
    o.script = [o.script]
    w = weir(PLAIN, o=o)
    c = w.client()
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_until(lambda: o.requests)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    line = w.last_access()
    assert line["error"] == "client_reset"
    assert line.get("status", 0) in (0, 499)
    wait_until(lambda: o.open == 0, 3, "the origin to be let go")


def test_many_at_once(weir, origin):
    o = origin(lambda r: [0.02, answer(r.target)])
    w = weir(PLAIN, o=o)
    wrong = []

    def work(n):
        with w.client() as c:
            for i in range(10):
                if c.get(f"/{n}/{i}").text != f"/{n}/{i}":
                    wrong.append((n, i))
    threads = [threading.Thread(target=work, args=(n,)) for n in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and len(o.requests) == 400


def test_trailers_pass_both_ways(weir, origin):
    o = origin(chunked(b"x", trailers=b"X-Sum: 1\r\n", headers=["Trailer: X-Sum"]))
    with weir(PLAIN, o=o).client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
               b"1\r\na\r\n0\r\nX-T: 2\r\n\r\n")
        assert c.response().trailers == [("X-Sum", "1")]
    assert o.requests[0].trailers == [("X-T", "2")]


def test_unix_socket_origin(weir, origin, tmp_path):
    o = origin(answer("unix"), path=str(tmp_path / "app.sock"))
    assert weir(PLAIN, o=o).get().text == "unix"


def test_ipv6_origin(weir, origin):
    o = origin(answer("six"), host="::1")
    assert weir(PLAIN, o=o).get().text == "six"


def test_origin_by_name(weir, origin):
    o = origin(answer("name"))
    w = weir("site * { proxy localhost:@p@ }\n", p=o.port)
    wait_until(lambda: w.get().status == 200, 5, "the name to resolve")
    assert w.get().text == "name"


def test_unix_socket_and_ipv6_listeners(weir, origin):
    w = weir("listen @listen@\nlisten unix:@dir@/w.sock\nlisten [::1]:@six@\nadmin off\n"
             "log access off\nsite * { proxy @o@ }\n", o=origin(), six=Origin(start=False).port)
    with Client(str(w.dir / "w.sock")) as c:
        assert c.get().status == 200
    with Client(("::1", int(w.names["six"]))) as c:
        assert c.get().status == 200
    path = w.dir / "w.sock"
    w.send_signal(15)
    w.process.wait(5)
    assert not path.exists(), "the socket file is removed at the end"


def test_wrk_is_served_without_errors(weir, origin):
    need("wrk")
    with Origin(start=False) as spare:
        nginx = need_nginx(spare.port)
        w = weir(PLAIN, o=f"127.0.0.1:{spare.port}")
        try:
            done = run("wrk", "-t1", "-c32", "-d2s", w.url("/"))
        finally:
            nginx.close()
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    rss = rss_kb(w.pid)
    assert rss < memory(60 * 1024), rss


def need_nginx(port):
    from peers import Nginx
    return Nginx(port)


def test_no_descriptor_is_left_behind(weir, origin):
    o = origin(answer("x", headers=["Connection: close"]))
    w = weir(PLAIN, o=o)
    w.get()

    def count():
        return sum(len(subprocess.run(["ls", f"/proc/{p}/fd"], capture_output=True, text=True)
                       .stdout.split()) for p in w.processes())
    before = count()
    for _ in range(50):
        w.get()
    wait_until(lambda: count() <= before + 1, 3, "descriptors to be closed")
