# SPDX-License-Identifier: Apache-2.0
"""Thousands of broken messages made out of good ones by a seeded generator. Whatever comes in, an origin
sees plain HTTP/1.1, a client gets well-formed answers, and weir lives. A failure names its seed."""
import os
import random

import pytest

import raw_answers
import raw_requests
from kit import CLOSE, Client, Origin, Weir, answer
from kit.client import Closed

SEEDS = int(os.environ.get("SEEDS", "6"))
EACH = 150
BITS = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"\x0b", b"\x7f", b"\xff", b"0", b"-",
        b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b.test\r\n", b"chunked",
        b"HTTP/1.1", b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n", b"0\r\n\r\n", b"%00", b"/../"]


def mutate(rand, data):
    data = bytearray(data)
    for _ in range(rand.choice([1, 1, 1, 2, 3])):
        at = rand.randrange(len(data) + 1)
        kind = rand.randrange(5)
        if kind == 0:
            data[at:at] = rand.choice(BITS)
        elif kind == 1:
            del data[at:at + rand.choice([1, 1, 2, 8])]
        elif kind == 2 and at < len(data):
            data[at] = rand.randrange(256)
        elif kind == 3:
            data[at:at + rand.randrange(4)] = rand.choice(BITS)
        else:
            end = min(len(data), at + rand.randrange(1, 40))
            data[at:at] = data[at:end]
    return bytes(data)


def small(cases):
    return [c for c in cases if len(c) < 1500]


REQUESTS = small([c.raw for c in raw_requests.CASES])
ANSWERS = small([c.steps if isinstance(c.steps, bytes) else
                 b"".join(s for s in c.steps if isinstance(s, bytes))
                 for c in raw_answers.CASES if not c.request_body])


def check_request(r):
    assert r.version == "HTTP/1.1"
    assert len(r.all("Host")) == 1
    assert not (r.all("Content-Length") and r.all("Transfer-Encoding"))
    assert len(r.all("Content-Length")) <= 1
    assert r.all("Transfer-Encoding") in ([], ["chunked"])
    assert r.target.startswith("/") or (r.target, r.method) == ("*", "OPTIONS")
    assert "/../" not in r.target.split("?")[0] and "%00" not in r.target.split("?")[0]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_origins_see_plain_http(seed):
    rand = random.Random(seed)
    with Origin(answer("ok")) as origin, \
            Weir(raw_requests.CONFIG + "timeout client_header=50ms client_body=50ms keepalive=50ms\n",
                 origin=origin) as weir:
        for number in range(EACH):
            raw = mutate(rand, rand.choice(REQUESTS))
            origin.clear()
            with Client(weir.port, timeout=5) as c:
                c.send(raw)
                c.half_close()
                c.rest()
            assert not origin.errors, (seed, number, raw, origin.errors)
            for r in [r for r in origin.requests if r.complete]:
                try:
                    check_request(r)
                except AssertionError as e:
                    raise AssertionError((seed, number, raw, r)) from e
        assert weir.answers("/local")


def one_answer(weir, method):
    """Reads an answer strictly; None when weir visibly broke it off."""
    with Client(weir.port, timeout=5) as c:
        c.send(f"{method} /case HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        try:
            r = c.response(method=method)
        except Closed:
            return None
        if r.complete:
            assert c.rest() == b"", "bytes behind the answer"
        return r


@pytest.mark.parametrize("seed", range(SEEDS))
def test_clients_get_well_formed_answers(seed):
    rand = random.Random(seed)
    script = []
    with Origin(lambda r: script) as origin, \
            Weir("site * { proxy @o@ { eject off }; retry off\ntimeout first_byte=100ms read=100ms }\n",
                 o=origin) as weir:
        for number in range(EACH):
            raw = mutate(rand, rand.choice(ANSWERS))
            script[:] = [raw, CLOSE]
            try:
                one_answer(weir, rand.choice(["GET", "GET", "HEAD"]))
            except Exception as e:
                raise AssertionError((seed, number, raw)) from e
        script[:] = [answer("fine")]
        assert weir.get().text == "fine"
