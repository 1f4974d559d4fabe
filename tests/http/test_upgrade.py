# SPDX-License-Identifier: Apache-2.0
"""Upgrades: 101 turns both sides into a raw tunnel."""
import hashlib
import threading
import time

import pytest

from kit import CLOSE, RESET, HalfClose, answer, wait_until

PLAIN = "site * { proxy @o@ }\n"
ASK = (b"GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
       b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)
    return CLOSE


def opened(w):
    c = w.client()
    c.send(ASK)
    r = c.head()
    assert r.status == 101, r
    return c, r


def test_tunnel_carries_bytes_both_ways(weir, origin):
    o = origin([SWITCH, echo], early=True)
    w = weir(PLAIN, o=o)
    c, r = opened(w)
    with c:
        assert r.get("Upgrade") == "websocket"
        assert r.get("Connection").lower() == "upgrade"
        assert r.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        c.send(b"\x00\xff\r\n\r\nhello")
        assert c.take(11) == b"\x00\xff\r\n\r\nhello"
    got = o.requests[0]
    assert got.get("Upgrade") == "websocket" and got.get("Connection").lower() == "upgrade"
    assert w.last_access()["status"] == 101
    assert w.metric("weir_tunnels_total") == 1


def test_bytes_behind_the_101_are_not_lost(weir, origin):
    o = origin([SWITCH + b"first words", echo], early=True)
    c, _ = opened(weir(PLAIN, o=o))
    with c:
        assert c.take(11) == b"first words"


@pytest.mark.parametrize("pieces", [
    [SWITCH + b"last words", CLOSE],
    [SWITCH, b"last words", CLOSE],
    [SWITCH[:-2], SWITCH[-2:] + b"last words", CLOSE],
    [SWITCH + b"last", HalfClose, 0.05],
    [SWITCH + b"w" * 3_000_000, CLOSE],
    [SWITCH, CLOSE],
])
def test_an_end_right_behind_the_101_loses_nothing(weir, origin, pieces):
    words = b"".join(p for p in pieces if isinstance(p, bytes))[len(SWITCH):]
    w = weir(PLAIN, o=origin(pieces, early=True))
    for pause in [0] * 10 + [0.05]:
        c, _ = opened(w)
        with c:
            time.sleep(pause)
            assert c.take(len(words)) == words
            assert c.closed() and not c.reset


def test_bytes_behind_the_request_are_not_lost(weir, origin):
    o = origin([0.1, SWITCH, echo], early=True)
    with weir(PLAIN, o=o).client() as c:
        c.send(ASK + b"eager")
        assert c.head().status == 101
        assert c.take(5) == b"eager"


def test_client_half_close_reaches_the_origin(weir, origin):
    seen = []

    def until_eof(sock):
        while data := sock.recv(65536):
            seen.append(data)
        sock.sendall(b"goodbye")
        return CLOSE
    c, _ = opened(weir(PLAIN, o=origin([SWITCH, until_eof], early=True)))
    with c:
        c.send(b"last")
        c.half_close()
        assert c.take(7) == b"goodbye", "the other direction stays open"
        assert c.closed()
    assert seen == [b"last"]


def test_origin_half_close_reaches_the_client(weir, origin):
    seen = []

    def close_first(sock):
        sock.sendall(b"done")
        sock.shutdown(1)
        while data := sock.recv(65536):
            seen.append(data)
        return CLOSE
    c, _ = opened(weir(PLAIN, o=origin([SWITCH, close_first], early=True)))
    with c:
        assert c.take(4) == b"done"
        assert c.closed()
        c.send(b"still here")
        wait_until(lambda: b"".join(seen) == b"still here", 2, "bytes after the half-close")


def test_reset_of_the_origin_ends_the_tunnel(weir, origin):
    w = weir(PLAIN, o=origin([SWITCH, 0.2, RESET], early=True))
    c, _ = opened(w)
    with c:
        assert c.closed(3)
    wait_until(lambda: w.metric("weir_tunnels_open") == 0)


def test_megabytes_both_ways_at_once(weir, origin):
    total = 20 * 1024 * 1024
    data = bytes(range(256)) * 4096
    c, _ = opened(weir(PLAIN, o=origin([SWITCH, echo], early=True)))
    with c:
        sender = threading.Thread(target=c.send, args=[data] * (total // len(data)), daemon=True)
        sender.start()
        digest, left = hashlib.sha256(), total
        while left:
            piece = c.sock.recv(65536)
            assert piece
            digest.update(piece)
            left -= len(piece)
        assert digest.digest() == hashlib.sha256(data * (total // len(data))).digest()


def test_idle_tunnel_is_closed(weir, origin):
    w = weir("site * { proxy @o@; timeout tunnel=300ms }\n", o=origin([SWITCH, echo], early=True))
    c, _ = opened(w)
    with c:
        for _ in range(4):  # traffic keeps it open
            c.send(b"x", 0.15)
            assert c.take(1) == b"x"
        began = time.monotonic()
        assert c.closed(3)
        assert time.monotonic() - began > 0.1
    assert w.last_access()["error"] == "tunnel_idle"


def test_tunnel_outlives_other_timeouts(weir, origin):
    w = weir("site * { proxy @o@; timeout read=200ms client_body=200ms keepalive=200ms "
             "client_send=200ms send=200ms request=off }\n",
             o=origin([SWITCH, echo], early=True))
    c, _ = opened(w)
    with c:
        time.sleep(1)
        c.send(b"x")
        assert c.take(1) == b"x"


def test_origin_that_does_not_upgrade(weir, origin):
    o = origin(answer("plain", headers=["Connection: keep-alive"]))
    with weir(PLAIN, o=o).client() as c:
        c.send(ASK)
        assert c.response().text == "plain"
        assert c.get("/next").status == 200, "the connection stays an HTTP connection"


def test_426_passes(weir, origin):
    o = origin(answer("old", "426 Upgrade Required", ["Upgrade: websocket",
                                                      "Connection: Upgrade"]))
    r = weir(PLAIN, o=o).get()
    assert r.status == 426


def test_upgrade_with_a_body_is_no_smuggling(weir, origin):
    o = origin(lambda r: answer(r.body))
    with weir(PLAIN, o=o).client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Content-Length: 5\r\n\r\nhello")
        assert c.response().text == "hello"


def test_h2c_is_not_offered_to_the_origin(weir, origin):
    o = origin()
    with weir(PLAIN, o=o).client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
               b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n")
        assert c.response().status == 200
    assert o.requests[0].get("Upgrade") is None


def test_tunnel_survives_a_reload(weir, origin):
    w = weir(PLAIN, o=origin([SWITCH, echo], early=True))
    c, _ = opened(w)
    with c:
        w.reload("site * { respond 200 new }\n")
        c.send(b"x")
        assert c.take(1) == b"x"
        assert w.get().text == "new"
