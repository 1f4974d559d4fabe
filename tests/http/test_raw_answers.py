# SPDX-License-Identifier: Apache-2.0
"""Runs every row of raw_answers.py: the origin plays the steps, the client must see the verdict."""
import json
import threading
import time

import pytest

from kit import Client, Origin, Weir, answer, wait_until
from raw_answers import CASES, CONFIG


@pytest.fixture(scope="module")
def weir():
    # One address for all cases: each case starts an origin of its own on it.
    origin = Origin(start=False)
    holder = [Weir(CONFIG, origin=origin)]
    yield holder
    holder[0].stop()


def test_enough_cases_with_distinct_names():
    assert len(CASES) >= 60
    assert len({c.name for c in CASES}) == len(CASES)


def path_of(case):
    return f"/case/{CASES.index(case)}"


def request_of(case):
    lines = [f"{case.method} {path_of(case)} {case.version}", "Host: a.test", *case.fields]
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


def error_of(weir, case):
    """The error's name in the line of this case."""
    def line():
        return next((x for x in weir.log_lines() if f'"path":"{path_of(case)}"' in x), None)
    return json.loads(wait_until(line, 3, "the access log line")).get("error", "")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_answer(case, weir):
    try:
        play(case, weir[0])
    except BaseException:
        if not weir[0].answers("/next"):  # a weir that a case brought down is replaced
            print(weir[0].stderr[-4000:])
            weir[0].kill()
            weir[0] = Weir(CONFIG, origin=weir[0].names["origin"])
        raise


def play(case, weir):
    with Origin(lambda r: case.steps if r.target.startswith("/case") else answer("next"),
                port=weir.names["origin"].port, early=case.early) as origin, Client(weir.port) as c:
        send(c, case)
        check(case, c.response(method=case.method))
        if case.error is not None:
            assert error_of(weir, case) == case.error
        time.sleep(case.pause)
        if case.closed:
            assert c.closed(3)
        elif case.closed is False:
            assert c.get("/next").body == b"next", "the client's connection is to stay"
        with Client(weir.port) as other:
            assert other.get("/next").body == b"next"
        if case.reused is not None:
            used = {r.connection for r in origin.requests}
            assert (len(used) == 1) == case.reused, "reuse of the origin connection"
