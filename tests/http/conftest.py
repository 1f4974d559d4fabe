# SPDX-License-Identifier: Apache-2.0
"""Fixtures: `weir(text, ...)` and `origin(script, ...)` make as many as a test wants and stop them when it
ends, failing the test when weir ends badly. Every test is bounded in time."""
import signal
import sys

import pytest

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from kit import BINARY, Origin, Weir  # noqa: E402

TEST_SECONDS = 60


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): the time limit of one test")


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there: run make first", 3)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    marker = item.get_closest_marker("seconds")
    limit = marker.args[0] if marker else TEST_SECONDS

    def expired(*_):
        raise TimeoutError(f"the test took longer than {limit} s")
    old = signal.signal(signal.SIGALRM, expired)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture
def weir(request):
    running = []

    def make(text, **kw):
        w = Weir(text, **kw)
        running.append(w)
        return w
    yield make
    failed = getattr(request.node, "report_call", None) is not None and \
        request.node.report_call.failed
    for w in running:
        if failed and not w.done:
            print(f"--- weir's stderr\n{w.stderr[-6000:]}")
            print("--- access log\n" + "\n".join(w.log_lines()[-20:]))
            w.kill()
        else:
            w.stop()


@pytest.fixture
def origin():
    running = []

    def make(script=None, **kw):
        o = Origin(script, **kw)
        running.append(o)
        return o
    yield make
    for o in running:
        o.stop()
