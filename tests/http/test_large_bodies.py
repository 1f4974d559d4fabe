# SPDX-License-Identifier: Apache-2.0
"""Large answers go from socket to socket inside the kernel (splice): around the size where that begins,
with slow, stalled and vanishing peers, and what happens to the connections afterwards."""
import os
import threading
import time

import pytest

from kit import CLOSE, RESET, Hold, answer, wait_until

LEAST = 32 * 1024  # PIPE_MIN_BYTES: what is left of a body, from which on it is not copied
BIG = os.urandom(3 << 20)


def head(length, *more):
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {length}", *more, "", ""]).encode()


def apart(body, *more):
    """Head and body so far apart that one read does not get both."""
    return [head(len(body), *more), 0.15, body]


def site(more=""):
    return f"site * {{ proxy @o@; {more} }}\n"


def spliced(w):
    return w.metric("weir_spliced_bytes_total")


@pytest.mark.parametrize("size, piped", [(LEAST - 1, 0), (LEAST, LEAST), (LEAST + 1, LEAST + 1)])
def test_threshold(weir, origin, size, piped):
    body = BIG[:size]
    w = weir(site(), o=origin(apart(body)))
    r = w.get()
    assert r.complete and r.body == body
    assert spliced(w) == piped
    assert w.last_access()["bytes"] == size


@pytest.mark.parametrize("size", [8000, 8128, 24_000, 24_512, 65_535, 65_536, 73_664, 262_144,
                                  524_288, 524_289, 1 << 20, len(BIG)])
def test_sizes(weir, origin, size):
    body = BIG[-size:]
    w = weir(site(), o=origin(answer(body)))
    with w.client() as c:
        for _ in range(3):
            r = c.get()
            assert r.complete and r.body == body


def test_sizes_alternate_on_the_same_connections(weir, origin):
    o = origin(lambda q: answer(BIG[:int(q.target[1:])]))
    w = weir(site(), o=o)
    with w.client() as c:
        for size in (10, 70_000, 200, 65_536, 1 << 20, 9_000, 30_000, 0, 400_000, 1):
            assert c.get(f"/{size}").body == BIG[:size], size
        assert not c.closed(0.2)
    assert o.connections == 1
    assert spliced(w) > 1 << 20


def test_one_that_was_copied_does_not_make_the_next_so(weir, origin):
    o = origin(lambda q: answer(BIG[:int(q.target[1:])]))
    w = weir(site(), o=o)
    with w.client() as c:
        # Whether one answer is spliced depends on how much of it had come with the head.
        for size in (36_000, *[65_536] * 20):
            assert c.get(f"/{size}").body == BIG[:size]
    assert o.connections == 1 and spliced(w) > 0


def test_pipelined_requests(weir, origin):
    o = origin(lambda q: answer(BIG[:int(q.target[1:])]))
    w = weir(site(), o=o)
    with w.client() as c:
        sizes = (500_000, 3, 65_536, len(BIG), 100)
        c.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in sizes))
        for n in sizes:
            assert c.response().body == BIG[:n]
    assert o.connections == 1


def test_origin_sends_in_pieces(weir, origin):
    pieces = [BIG[i:i + 7000] for i in range(0, 350_000, 7000)]
    w = weir(site(), o=origin([head(350_000), *[s for p in pieces for s in (p, 0.004)]]))
    assert w.get().body == BIG[:350_000]


def test_several_at_once(weir, origin):
    w = weir(site(), o=origin(answer(BIG)))
    bad = []

    def fetch():
        with w.client(timeout=20) as c:
            for _ in range(3):
                if c.get().body != BIG:
                    bad.append(1)
    threads = [threading.Thread(target=fetch) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad


def test_slow_reader_gets_everything(weir, origin):
    w = weir(site("timeout read=1s client_send=1s"), o=origin(answer(BIG)))
    with w.client(rcvbuf=32768, timeout=20) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = b""
        while len(got) < len(BIG) + 60 and (data := c.sock.recv(60_000)):
            got += data
            time.sleep(0.03)
        c.buf = got
        assert c.response().body == BIG
    assert "error" not in w.last_access()


def test_stalled_reader_is_given_up(weir, origin):
    """The server is not to blame while its bytes wait for the client."""
    body = BIG * 8
    w = weir(site("timeout read=300ms client_send=1s"), o=origin(answer(body)))
    with w.client(rcvbuf=16384) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        began = time.monotonic()
        assert w.last_access()["error"] == "client_send_timeout" and time.monotonic() - began > 0.7
        r = c.response()
        assert not r.complete and body.startswith(r.body)


def test_stalled_origin_is_given_up(weir, origin):
    """Its time begins when the pipe is empty, and is not prolonged by the client's."""
    hold = Hold()
    w = weir(site("timeout read=500ms client_send=30s"),
             o=origin([head(len(BIG)), BIG[:700_000], hold]))
    began = time.monotonic()
    r = w.get()
    assert 0.4 < time.monotonic() - began < 3
    assert not r.complete and r.body == BIG[:700_000]
    assert w.last_access()["error"] == "origin_read_timeout"
    hold.release()


@pytest.mark.parametrize("end, error", [(CLOSE, "origin_closed"), (RESET, "origin_reset")])
def test_origin_dies_in_the_middle(weir, origin, end, error):
    w = weir(site(), o=origin([head(len(BIG)), BIG[:600_000], 0.3, end]))
    with w.client() as c:
        r = c.get()
        assert not r.complete and r.body == BIG[:600_000]
        assert c.closed()
    entry = w.last_access()
    assert entry["error"] == error and entry["status"] == 200
    assert w.answers("/") is not None


def test_client_vanishes_in_the_middle(weir, origin):
    o = origin(answer(BIG * 4))
    w = weir(site(), o=o)
    for _ in range(20):
        with w.client(rcvbuf=16384) as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            c.sock.recv(50_000)
    entries = w.access(20, seconds=10)
    assert {e["error"] for e in entries} == {"client_reset"}
    wait_until(lambda: o.open == 0, 5, "the server's connections to be closed")
    o.script = answer(BIG)
    assert w.get().body == BIG  # no byte of those before is in a pipe


def test_pipes_are_closed_again(weir, origin):
    w = weir(site(), o=origin(answer(BIG)))
    descriptors = [sum(len(os.listdir(f"/proc/{p}/fd")) for p in w.processes())]
    clients = [w.client() for _ in range(8)]
    for c in clients:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for c in clients:
        assert c.response().body == BIG
        c.close()
    def few():
        return sum(len(os.listdir(f"/proc/{p}/fd")) for p in w.processes()) <= descriptors[0] + 16
    wait_until(few, 8, "spare pipes to be closed")


def test_close_delimited(weir, origin):
    """To a client of HTTP/1.1 it goes in chunks; to one of HTTP/1.0 until the end."""
    w = weir(site(), o=origin([b"HTTP/1.1 200 OK\r\n\r\n", 0.1, BIG, CLOSE]))
    r = w.get()
    assert r.complete and r.body == BIG and r.get("Transfer-Encoding") == "chunked"
    with w.client() as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        r = c.response()
        assert r.complete and r.body == BIG
    assert spliced(w) > 1 << 20


def test_close_delimited_that_is_reset(weir, origin):
    w = weir(site(), o=origin([b"HTTP/1.1 200 OK\r\n\r\n", 0.1, BIG[:500_000], 0.3, RESET]))
    with w.client() as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        r = c.response()
        assert not r.complete and BIG.startswith(r.body)


def test_http_1_0_with_a_length(weir, origin):
    w = weir(site(), o=origin(answer(BIG)))
    with w.client() as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert c.response().body == BIG
        assert c.closed()


def test_head(weir, origin):
    w = weir(site(), o=origin(lambda q: head(len(BIG)) if q.method == "HEAD" else answer(BIG)))
    with w.client() as c:
        for _ in range(2):
            r = c.get(method="HEAD")
            assert r.get("Content-Length") == str(len(BIG)) and r.body == b""
            assert c.get().body == BIG


def test_chunked_answers_are_copied(weir, origin):
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(BIG), BIG)
    w = weir(site(), o=origin(body))
    assert w.get().body == BIG
    assert spliced(w) == 0


def test_bytes_after_the_body_end_the_connection(weir, origin):
    """The pipe takes no byte more than the body has."""
    o = origin([answer(BIG) + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 1])
    w = weir(site(), o=o)
    with w.client() as c:
        for _ in range(2):
            assert c.get().body == BIG
    assert o.connections == 2


def test_small_queue(weir, origin):
    w = weir(site("body queue=16k"), o=origin(answer(BIG)))
    assert w.get().body == BIG


def test_without_descriptors_it_is_copied(weir, origin):
    w = weir(site(), o=origin(answer(BIG)), nofile=40)
    clients = [w.client(timeout=20) for _ in range(6)]
    for c in clients:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for c in clients:
        assert c.response().body == BIG
