# SPDX-License-Identifier: Apache-2.0
"""Runs every row of raw_requests.py against one weir and one recording origin."""
import time

import pytest

from kit import Client, Origin, Weir, answer
from raw_requests import CASES, CONFIG


class Pair:
    """The weir and the origin of all cases. A weir that a case has brought down is replaced, so that
    the next case tells about itself."""

    def __init__(self):
        self.origin = Origin(answer("ok"))
        self.weir = Weir(CONFIG, origin=self.origin)

    def replace_if_dead(self):
        if not self.weir.answers("/local"):
            print(self.weir.stderr[-4000:])
            self.weir.kill()
            self.weir = Weir(CONFIG, origin=self.origin)


@pytest.fixture(scope="module")
def pair():
    p = Pair()
    yield p
    p.weir.stop()
    p.origin.stop()


def test_enough_cases_with_distinct_names():
    assert len(CASES) >= 170
    assert len({c.name for c in CASES}) == len(CASES)


def check_got(want, got):
    assert (got.method, got.target, got.body) == (want.method, want.target, want.body)
    assert got.version == "HTTP/1.1"
    assert len(got.all("Host")) == 1
    for name, value in want.has.items():
        assert ", ".join(got.all(name)) == value, name
    for name in want.lacks:
        assert got.all(name) == [], name
    assert tuple(got.trailers) == want.trailers


def play(case, weir, origin, size):
    """Sends the case in pieces of `size` bytes and checks every part of its verdict."""
    origin.clear()
    with Client(weir.port) as c:
        c.send_split(case.raw, size)
        for status, method in zip(case.statuses, case.methods):
            r = c.response(method=method)
            assert r.status == status, r
            assert r.complete
        if case.closed:
            assert c.closed(), "the connection is to be closed"
            assert not c.reset, "closed by a reset: the client may lose its answer"
        else:
            assert c.quiet(0.01), c.buf
            assert c.get("/local").status == 200, "the connection is to stay"
    if case.incomplete:
        time.sleep(0.02)
        got = [r for r in origin.requests if r.complete]
    else:
        got = list(origin.requests)
    assert [r.target for r in got] == [g.target for g in case.got]
    for want, have in zip(case.got, got):
        assert have.complete
        check_got(want, have)


def run(case, pair, size):
    try:
        play(case, pair.weir, pair.origin, size)
    except BaseException:
        pair.replace_if_dead()
        raise


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_in_one_piece(case, pair):
    run(case, pair, max(len(case.raw), 1))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_in_small_pieces(case, pair):
    """Byte by byte, long ones in pieces that fall on odd places."""
    run(case, pair, 1 if len(case.raw) < 600 else 997)
