# SPDX-License-Identifier: Apache-2.0
"""Runs every row of raw_answers.py: the origin plays the steps, the client must see the verdict."""
import json
import threading

import pytest

from kit import Client, Origin, Weir, answer, wait_until
from raw_answers import CASES, CONFIG


@pytest.fixture(scope="module")
def weir():
    # One address for all cases: each case starts an origin of its own on it.
    origin = Origin(start=False)
    with Weir(CONFIG, origin=origin) as w:
        w.origin_port = origin.port
        yield w


def test_enough_cases_with_distinct_names():
    assert len(CASES) >= 60
    assert len({c.name for c in CASES}) == len(CASES)


def request_of(case):
    lines = [f"{case.method} /case {case.version}", "Host: a.test", *case.fields]
    if case.request_body:
        lines.append(f"Content-Length: {len(case.request_body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def send(client, case):
    """A long body is sent beside the reading, as an answer may come before its end."""
    client.send(request_of(case))
    if len(case.request_body) > 100_000:
        threading.Thread(target=client.send, args=(case.request_body,), daemon=True).start()
    elif case.request_body:
        client.send(case.request_body)


def check(case, r):
    assert r.status == case.status, r
    assert r.complete == case.complete
    if case.body is None:
        assert r.body and r.get("Content-Type"), "an error page of weir's own"
    else:
        assert r.body == case.body
    assert tuple(i.status for i in r.interim) == case.interim
    for name, value in case.has.items():
        assert ", ".join(r.all(name)) == value, name
    for name in case.lacks:
        assert r.all(name) == [], name
    assert tuple(r.trailers) == case.trailers


def error_of(weir, before):
    wait_until(lambda: len(weir.log_lines()) > before, 3, "the access log line")
    return json.loads(weir.log_lines()[before]).get("error", "")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_answer(case, weir):
    logged = len(weir.log_lines())
    with Origin(lambda r: case.steps if r.target == "/case" else answer("next"),
                port=weir.origin_port, early=case.early) as origin, Client(weir.port) as c:
        send(c, case)
        check(case, c.response(method=case.method))
        if case.error is not None:
            assert error_of(weir, logged) == case.error
        if case.closed:
            assert c.closed(3)
        elif case.closed is False:
            assert c.get("/next").body == b"next", "the client's connection is to stay"
        with Client(weir.port) as other:
            assert other.get("/next").body == b"next"
        if case.reused is not None:
            used = {r.connection for r in origin.requests}
            assert (len(used) == 1) == case.reused, "reuse of the origin connection"
