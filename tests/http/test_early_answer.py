# SPDX-License-Identifier: Apache-2.0
"""A server that answers before it has read a large upload and then slams the door: its answer reaches the
client although the rest of the request can not be delivered any more."""
import pytest

from kit import CLOSE, RESET, answer, wait_until

BIG = 8 << 20


def read_some(sock):
    sock.recv(50_000)


def upload(client, path="/"):
    """Sends until the answer is there or everything is out."""
    client.send(f"PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {BIG}\r\n\r\n".encode())
    client.sock.settimeout(0.5)
    try:
        for _ in range(BIG >> 16):
            client.sock.sendall(b"u" * 65536)
    except OSError:
        pass
    client.sock.settimeout(5)
    return client.response()


@pytest.mark.parametrize("end", [RESET, CLOSE])
@pytest.mark.parametrize("body", [b"too large", b"x" * 30_000])
def test_the_answer_outlives_the_reset(weir, origin, body, end):
    # Not more than the receive window at first: what the kernel has not sent yet dies with a reset.
    o = origin([read_some, answer(body, "413 Content Too Large"), end], early=True, rcvbuf=16384)
    w = weir("site * { proxy @o@; body max=off }\n", o=o)
    for i in range(10):
        with w.client() as c:
            r = upload(c)
        assert r.status == 413 and r.body == body, i
    assert not {e.get("error") for e in w.access(10)} & {"origin_reset", "origin_closed"}


def test_half_an_answer_is_no_answer(weir, origin):
    half = b"HTTP/1.1 413 No\r\nContent-Length: 100\r\n\r\nhalf"
    o = origin([read_some, half, RESET], early=True, rcvbuf=16384)
    w = weir("site * { proxy @o@; body max=off }\n", o=o)
    with w.client() as c:
        assert not upload(c).complete
    assert w.last_access()["error"] == "origin_reset"


def test_no_answer_is_a_bad_gateway(weir, origin):
    o = origin([read_some, RESET], early=True, rcvbuf=16384)
    w = weir("site * { proxy @o@; body max=off }\n", o=o)
    with w.client() as c:
        assert upload(c).status == 502
    wait_until(lambda: o.open == 0, 5, "the server's connections to be closed")
