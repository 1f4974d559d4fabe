# SPDX-License-Identifier: Apache-2.0
"""Clients of the cache that leave: what others wait for goes on, and nothing else does."""
import threading

import pytest

from kit import Hold, answer
from kit.tools import wait_until

ASK = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
PIECE = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


class Endless:
    """Sends until the connection is gone."""

    def __init__(self):
        self.gone = threading.Event()
        self.sent = 0

    def __call__(self, sock):
        try:
            while self.sent < 1 << 30:
                sock.sendall(PIECE)
                self.sent += len(PIECE)
        except OSError:
            self.gone.set()
            raise


HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("read", [0, 3 << 20])
def test_nobody_reads_what_is_not_stored(weir, origin, read):
    """Too large to be stored: it ends with the last who reads it, before or after that is known."""
    endless = Endless()
    w = weir("site * {\n cache object_max=1M\n body max=off\n proxy @o@\n}\n", o=origin([HEAD, endless]))
    with w.client() as c:
        c.send(ASK)
        assert c.head().status == 200
        if read:
            c.take(read)
    assert endless.gone.wait(5), "the server still sends"
    assert endless.sent < 256 << 20
    wait_until(lambda: w.metric("weir_requests_active") == 0, 5, "the end of the request")


def test_another_reads_on(weir, origin):
    endless, hold = Endless(), Hold()
    o = origin([HEAD + PIECE, hold, endless])
    w = weir("site * {\n cache object_max=1M\n body max=off\n proxy @o@\n}\n", o=o)
    first, second = w.client(), w.client()
    for c in (first, second):
        c.send(ASK)
        assert c.head().status == 200
    hold.release()
    first.close()
    second.take(8 << 20)
    assert not endless.gone.is_set() and len(o.requests) == 1
    second.close()
    assert endless.gone.wait(5), "the server still sends"


def test_what_is_stored_gets_whole(weir, origin):
    body = b"y" * 900_000
    head, rest = answer(body, headers=["Cache-Control: max-age=60"]).split(b"\r\n\r\n", 1)
    o = origin([head + b"\r\n\r\n" + rest[:1000], 0.3, rest[1000:]])
    w = weir("site * {\n cache\n proxy @o@\n}\n", o=o)
    with w.client() as c:
        c.send(ASK)
        assert c.head().status == 200
    r = w.get()
    assert r.body == body and len(o.requests) == 1
