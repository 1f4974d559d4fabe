# SPDX-License-Identifier: Apache-2.0
"""The rules of the cache one by one: cache_rules.py, cache_rules_use.py. All cases share one weir and one server; those that
wait run side by side."""
import re
import threading

import pytest

import cache_rules
import cache_rules_use
from cache_case import OTHER, Play, Under
from kit import Origin, Weir

POLICIES = {
    "plain": "cache", "ten": "cache 10m", "full": "cache client_control=full", "ignore": "cache client_control=ignore",
    "keep": "cache set_cookie=keep", "unguessed": "cache heuristic=off", "half": "cache heuristic=50%",
    "strict": "cache strict=on", "unstale": "cache stale_max=0ms", "lenient": "cache sie=100s", "early": "cache swr=100s",
    "statuses": "cache 10m { status 404 10m; status 500 502 10m; status 301 1s }", "uses": "cache min_uses=3",
    "small": "cache object_max=1k", "bypass": "cache { bypass header.X-Bypass == 1 }", "keyed": "cache key=${header.X-Key}", "targeted": "cache targeted=My-Cache-Control",
    "told": "cache status=on { bypass header.X-Bypass == 1 }", "off": "",
}
CONF = """workers 2
listen @listen@
admin @admin@
log access off
cache_store memory size=64M
upstream o { server @o@; retry off; eject off; concurrency off; keepalive off }
""" + "\n".join(f"site {name}.test *.{name}.test {{ {words}\nproxy o }}" for name, words in POLICIES.items())

CASES = {**cache_rules.CASES, **cache_rules_use.CASES}


class Rig:
    def __init__(self):
        self.plays = {}
        self.results = {}
        self.waiting = None
        self.origin = Origin(self.script)
        self.weir = Weir(CONF, o=self.origin)
        for number, (name, case) in enumerate(CASES.items()):
            self.plays[name] = Play(self.weir, case, number)

    def script(self, request):
        found = re.match(r"/r(\d+)", request.target)
        return list(self.plays.values())[int(found[1])].origin(request)

    def run(self, name):
        if not waits(CASES[name]):
            return self.plays[name].run()
        if self.waiting is None:
            self.waiting = self.start_waiting()
        self.waiting[name].join()
        if self.results[name]:
            raise self.results[name]

    def start_waiting(self):
        threads = {n: threading.Thread(target=self.keep_result, args=(n,), daemon=True) for n in CASES if waits(CASES[n])}
        for t in threads.values():
            t.start()
        return threads

    def keep_result(self, name):
        try:
            self.results[name] = self.plays[name].run()
        except BaseException as e:
            self.results[name] = e


def waits(case):
    steps = case.steps if isinstance(case, Under) else case
    return any(s.pause or any(a.delay for a in s.answers) for s in steps)


@pytest.fixture(scope="module")
def rig():
    r = Rig()
    with r.origin, r.weir:
        yield r


@pytest.mark.parametrize("name", CASES)
def test_rule(rig, name):
    rig.run(name)


def test_names_are_told_once():
    assert not set(cache_rules.CASES) & set(cache_rules_use.CASES)


def test_the_server_tells_each_answer():
    """The rig itself: nothing but what the server said passes a case."""
    assert OTHER.says("cache-control") == ["no-store"]
