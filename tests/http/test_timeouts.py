# SPDX-License-Identifier: Apache-2.0
"""Every timeout by its name, with a short value: the right status, the right error in the log, not too
early and not too late."""
import socket
import threading
import time

import pytest

from kit import Client, Hold, Origin, answer, wait_until


def site(timeout, more=""):
    return f"site * {{ proxy @o@; timeout {timeout}; retry off; {more} }}\n"


def took(began, least, most):
    seconds = time.monotonic() - began
    assert least <= seconds <= most, f"{seconds:.2f} s"


def test_client_header(weir, origin):
    w = weir("timeout client_header=400ms\nsite * { proxy @o@ }\n", o=origin())
    with w.client() as c:
        began = time.monotonic()
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
        r = c.response()
        took(began, 0.3, 2)
        assert r.status == 408
        assert c.closed()
    assert w.last_access()["error"] == "client_header_timeout"


def test_slowloris_does_not_win_time_by_sending(weir, origin):
    w = weir("timeout client_header=500ms\nsite * { proxy @o@ }\n", o=origin())
    with w.client() as c:
        began = time.monotonic()
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        while time.monotonic() - began < 3 and c.send(b"X: y\r\n", 0.05):
            if c.sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) if readable(c) else b"":
                break
        assert c.response().status == 408
        took(began, 0.4, 2.5)


def readable(c):
    import select
    return bool(select.select([c.sock], [], [], 0)[0])


def test_many_slow_clients_do_not_hinder_others(weir, origin):
    w = weir("timeout client_header=2s\nsite * { proxy @o@ }\n", o=origin())
    slow = [w.client() for _ in range(300)]
    for c in slow:
        c.send(b"GET / HTTP/1.1\r\nHo")
    began = time.monotonic()
    assert w.get().status == 200
    took(began, 0, 0.5)
    wait_until(lambda: w.metric("weir_connections_open") <= 1, 6, "the slow ones to be closed")
    for c in slow:
        c.close()


def test_client_body(weir, origin):
    w = weir(site("client_body=400ms"), o=origin())
    with w.client() as c:
        began = time.monotonic()
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhel")
        assert c.response().status == 408
        took(began, 0.3, 2)
        assert c.closed(10)
    assert w.last_access()["error"] == "client_body_timeout"


def test_client_body_counts_pieces_not_the_whole(weir, origin):
    w = weir(site("client_body=400ms"), o=origin(lambda r: answer(r.body)))
    with w.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        c.send(b"h", 0.2, b"e", 0.2, b"l", 0.2, b"l", 0.2, b"o")
        assert c.response().text == "hello"


@pytest.mark.seconds(40)
def test_client_body_rate(weir, origin):
    """Below the least rate after the grace of 10 s."""
    w = weir("site * { proxy @o@; body rate=1000B/s; retry off }\n", o=origin())
    with w.client(timeout=25) as c:
        began = time.monotonic()
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        stop = threading.Event()

        def drip():
            while not stop.is_set() and c.send(b"x", 0.2):
                pass
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        assert c.response().status == 408
        took(began, 9, 20)
        stop.set()
        thread.join()
    assert w.last_access()["error"] == "client_body_rate"


def test_client_send(weir, origin):
    """A client that takes nothing of its answer."""
    o = origin([b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
                lambda s: s.sendall(b"x" * 100_000_000)])
    w = weir(site("client_send=500ms"), o=o)
    with w.client(rcvbuf=8192) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        line = wait_until(lambda: w.access() and w.access()[-1], 5, "the log line")
        assert line["error"] == "client_send_timeout"
        wait_until(lambda: o.open == 0, 3, "the origin to be let go")


def test_slow_reader_that_reads_is_served(weir, origin):
    body = b"x" * 3_000_000
    w = weir(site("client_send=500ms"), o=origin(answer(body)))
    with w.client(rcvbuf=8192) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        r = c.response(body=False)
        assert r.status == 200
        got = len(c.buf)
        for _ in range(12):
            time.sleep(0.1)
            got += len(c.sock.recv(8192))
        while got < len(body):
            got += len(c.sock.recv(262144))
        assert got == len(body)


def test_connect(weir):
    """A listener whose queue is full: SYNs are dropped."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            try:
                s.connect(full.getsockname())
            except BlockingIOError:
                pass
            fillers.append(s)
        time.sleep(0.1)
        w = weir(site("connect=400ms"), o=f"127.0.0.1:{full.getsockname()[1]}")
        began = time.monotonic()
        assert w.get().status == 504
        took(began, 0.3, 2)
        assert w.last_access()["error"] == "connect_timeout"
        for s in fillers:
            s.close()


def test_first_byte(weir, origin):
    w = weir(site("first_byte=400ms"), o=origin([3, answer()]))
    began = time.monotonic()
    assert w.get().status == 504
    took(began, 0.3, 2)
    line = w.last_access()
    assert (line["error"], line["step"]) == ("origin_first_byte_timeout", "await")


def test_first_byte_is_not_cut_by_a_slow_upload(weir, origin):
    """The time starts when the request was sent."""
    w = weir(site("first_byte=400ms"), o=origin())
    with w.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
               0.3, b"he", 0.3, b"llo")
        assert c.response().status == 200


def test_read(weir, origin):
    o = origin([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel", 3])
    w = weir(site("read=400ms"), o=o)
    with w.client() as c:
        began = time.monotonic()
        r = c.get()
        took(began, 0.3, 2)
        assert (r.status, r.body, r.complete) == (200, b"hel", False)
    assert w.last_access()["error"] == "origin_read_timeout"


def test_read_counts_pieces_not_the_whole(weir, origin):
    o = origin([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 0.25, b"a", 0.25, b"b", 0.25,
                b"c", 0.25, b"d"])
    assert weir(site("read=400ms"), o=o).get().text == "abcd"


def test_read_does_not_run_while_the_client_is_slow(weir, origin):
    """The origin is fast; it waits for us, not we for it."""
    body = b"x" * 8_000_000
    w = weir(site("read=300ms"), o=origin(answer(body)))
    with w.client(rcvbuf=8192) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(1.2)
        r = c.response()
        assert r.complete and r.body == body


def test_send(weir, origin):
    """An origin that takes nothing of the request."""
    hold = Hold()
    o = origin([hold], early=True, rcvbuf=8192)
    w = weir(site("send=500ms", "body max=off"), o=o)
    with w.client() as c:
        threading.Thread(target=lambda: c.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n" +
            b"x" * 50_000_000), daemon=True).start()
        assert c.response().status == 504
    assert w.last_access()["error"] == "origin_send_timeout"
    hold.release()


def test_request(weir, origin):
    w = weir(site("request=500ms"), o=origin([3, answer()]))
    began = time.monotonic()
    assert w.get().status == 504
    took(began, 0.4, 2)
    assert w.last_access()["error"] == "request_timeout"


def test_request_cuts_a_dripping_answer(weir, origin):
    o = origin([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"] + [b"x", 0.1] * 30)
    w = weir(site("request=500ms"), o=o)
    with w.client() as c:
        began = time.monotonic()
        assert not c.get().complete
        took(began, 0.4, 2)


def test_off_means_off(weir, origin):
    w = weir(site("first_byte=off read=off"), o=origin([1, answer("late")]))
    assert w.get().text == "late"


def test_upstream_timeouts_win(weir, origin):
    w = weir("upstream u { server @o@; timeout first_byte=300ms }\n"
             "site * { proxy u; timeout first_byte=5s; retry off }\n", o=origin([2, answer()]))
    began = time.monotonic()
    assert w.get().status == 504
    took(began, 0.2, 1.5)


def test_when_changes_a_timeout(weir, origin):
    w = weir("site * { proxy @o@; timeout first_byte=300ms; retry off\n"
             "when path ~ \"^/slow\" { timeout first_byte=5s } }\n", o=origin([0.8, answer("ok")]))
    assert w.get("/slow").text == "ok"
    assert w.get("/").status == 504


def test_slow_close_of_the_client_holds_nothing(weir):
    with Origin(answer("x" * 100)) as o:
        w = weir("site * { proxy @o@ }\n", o=o)
        c = Client(w.port)
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert c.response().status == 200
        wait_until(lambda: w.metric("weir_connections_open") == 0, 8, "the connection to be freed")
        c.close()
