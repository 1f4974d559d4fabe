# SPDX-License-Identifier: Apache-2.0
"""What a reload does to the cache: what is stored stays; policies are the new ones at once."""
import itertools
import threading

import pytest

from kit import Hold, answer, get, wait_until

PRELUDE = """workers 2
listen @listen@
admin @admin@
log access json to=@dir@/access.log
cache_store memory size={size}
upstream o {{ server @o@; retry off; eject off; concurrency off; keepalive off }}
"""
CACHEABLE = "Cache-Control: max-age=3600"


def conf(policy="cache", size="64M"):
    return PRELUDE.format(size=size) + f"site * {{ {policy}; proxy o }}\n"


@pytest.fixture
def server(origin):
    """Tells how often it was asked; fields by path."""
    count = itertools.count(1)
    o = origin(lambda r: answer(f"{next(count)}", headers=o.fields.get(r.target, [CACHEABLE])))
    o.fields = {}
    return o


def test_what_is_stored_survives(weir, server):
    w = weir(conf(), o=server)
    texts = [w.get(f"/{i}").text for i in range(50)]
    for _ in range(3):
        w.reload(conf("cache; response set X-Conf new"))
        assert [w.get(f"/{i}").text for i in range(50)] == texts
    assert w.get("/1").get("X-Conf") == "new", "the rest of the policy is the new one"
    assert len(server.requests) == 50


def test_a_policy_is_in_force_at_once(weir, server):
    server.fields["/"] = []
    w = weir(conf("cache"), o=server)
    assert [w.get().text, w.get().text] == ["1", "2"]
    w.reload(conf("cache 10m"))
    assert [w.get().text, w.get().text] == ["3", "3"]
    w.reload(conf("response set X-A b"))
    assert [w.get().text, w.get().text] == ["4", "5"]
    w.reload(conf("cache 10m"))
    assert w.get().text in ("3", "6")


def test_a_bad_file_changes_nothing(weir, server):
    w = weir(conf(), o=server)
    assert w.get().text == "1"
    w.write(conf("cache nonsense=1"))
    w.send_signal(1)
    w.wait_stderr("nonsense")
    assert w.get().text == "1"


def test_less_memory(weir, origin):
    o = origin(lambda r: answer(b"x" * 100_000, headers=[CACHEABLE]))
    w = weir(conf(), o=o)
    for i in range(100):
        w.get(f"/{i}")
    w.reload(conf(size="2M"))
    o.clear()
    for i in range(100):
        assert len(w.get(f"/{i}").body) == 100_000
    assert len(o.requests) >= 70
    w.reload(conf(size="64M"))
    o.clear()
    for _ in range(2):
        for i in range(100):
            assert len(w.get(f"/{i}").body) == 100_000
    assert len(o.requests) <= 100


def test_a_fetch_under_way(weir, origin):
    """Its followers come from before and from after the reload."""
    hold = Hold()
    o = origin([b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 9\r\n\r\nfirst", hold, b"last"])
    w = weir(conf(), o=o)
    got = []
    ask = lambda: got.append(get(w.port).body)  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(5)]
    for t in threads:
        t.start()
    assert hold.reached.wait(5)
    w.reload(conf("cache; response set X-A b"))
    threads += [threading.Thread(target=ask) for _ in range(5)]
    for t in threads[5:]:
        t.start()
    wait_until(lambda: w.status(), 2)
    hold.release()
    for t in threads:
        t.join(10)
    assert got == [b"firstlast"] * 10
    assert len(o.requests) == 1


def test_validation_in_the_background_over_a_reload(weir, origin):
    hold = Hold()

    def script(r):
        if r.get("If-None-Match"):
            return [hold, b"HTTP/1.1 304 Not Modified\r\nAge: 0\r\n\r\n"]
        return answer("x", headers=["Cache-Control: max-age=3600, stale-while-revalidate=100", "Age: 3650", 'ETag: "a"'])
    o = origin(script)
    w = weir(conf(), o=o)
    assert w.get().text == "x" and w.get().text == "x"
    assert hold.reached.wait(5)
    w.reload(conf("cache; response set X-A b"))
    hold.release()
    wait_until(lambda: int(w.get().get("Age")) < 100, 3, "a validated answer")
    assert len(o.requests) == 2


def test_without_a_line_for_the_store(weir, server):
    """There is one anyway."""
    w = weir("site * { cache; proxy @o@ }\n", o=server)
    assert [w.get().text, w.get().text] == ["1", "1"]


def test_reloads_under_load(weir, origin):
    o = origin(lambda r: answer(r.target * 100, headers=["Cache-Control: max-age=1"]))
    w = weir(conf(), o=o)
    stop, bad = threading.Event(), []

    def load():
        n = 0
        while not stop.is_set():
            path = f"/{n % 20}"
            n += 1
            r = get(w.port, path)
            if r.status != 200 or r.text != path * 100:
                bad.append(r)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(10):
        w.reload(conf(f"cache; response set X-A {i}", size=f"{1 + i % 3}M"))
    stop.set()
    for t in threads:
        t.join(10)
    assert not bad, bad[:3]
