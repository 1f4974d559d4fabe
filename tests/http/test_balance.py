# SPDX-License-Identifier: Apache-2.0
"""Every way of balancing with real servers; zones, slow start, drain, and priorities in the queue.
(two_choices, round_robin, least_conn, hash and backup servers: test_upstreams.py.)"""
import collections
import threading
import time

import pytest

from kit import Hold, answer, wait_until


def named(origin, *names, script=None):
    return {n: origin(answer(n) if script is None else [*script, answer(n)]) for n in names}


def spread(w, count, path="/", headers=()):
    return collections.Counter(w.get(path, headers=headers).text for _ in range(count))


def config(lines, **marks):
    """An upstream with a server for each mark, and what stands behind its address."""
    servers = "".join(f" server @{n}@ {words}\n" for n, words in marks.items())
    return f"upstream u {{\n{servers} {lines}\n}}\nsite * {{ proxy u }}\n"


def homes(w, paths):
    return {p: w.get(p).text for p in paths}


def in_background(w, count, path="/", headers=()):
    got, threads = [], []
    for _ in range(count):
        t = threading.Thread(target=lambda: got.append(w.get(path, headers=headers)))
        t.start()
        threads.append(t)
    return got, threads


# --------------------------------------------------------------------- by chance, load, latency

def test_random_by_weight(weir, origin):
    w = weir(config("balance random", a="", b="weight=9"), **named(origin, "a", "b"))
    assert 170 <= spread(w, 200)["b"] <= 195


def test_least_time_prefers_the_quick_one(weir, origin):
    o = {"slow": origin([0.05, answer("slow")]), "quick": origin(answer("quick"))}
    w = weir(config("balance least_time", slow="", quick=""), **o)
    got = spread(w, 60)
    assert 1 <= got["slow"] <= 4, "it was asked, or nobody would know, and not much more"


def test_two_choices_spares_the_slow_one(weir, origin):
    o = {"slow": origin([0.05, answer("slow")]), "quick": origin(answer("quick"))}
    w = weir(config("balance two_choices", slow="", quick=""), **o)
    assert spread(w, 60)["slow"] <= 4


def test_least_time_comes_back_to_one_that_recovered(weir, origin):
    delay = [0.05]
    o = {"slow": origin(lambda r: [delay[0], answer("slow")]), "quick": origin(answer("quick"))}
    w = weir(config("balance least_time", slow="", quick=""), **o)
    spread(w, 20)
    delay[0] = 0
    # its estimate halves every 2 s: an answer of 50 ms fades to that of the other one
    wait_until(lambda: w.get().text == "slow", 30, "the server to be tried again")


def test_first_fills_in_order(weir, origin):
    hold = Hold()
    o = named(origin, "a", "b", "c", script=[hold])
    w = weir(config("balance first", a="max_conns=2", b="max_conns=2", c="max_conns=2"), **o)
    got, threads = [], []
    for i in range(5):
        more = in_background(w, 1)
        threads += more[1]
        got.append(more[0])
        wait_until(lambda: sum(len(x.requests) for x in o.values()) == i + 1, 3, "the request")
    assert [len(o[n].requests) for n in "abc"] == [2, 2, 1]
    hold.release()
    for t in threads:
        t.join()
    assert spread(w, 5) == {"a": 5}


# --------------------------------------------------------------------- by key

PATHS = [f"/{i}" for i in range(60)]


@pytest.mark.parametrize("how", ["ring $path", "maglev $path", "hash $path"])
def test_a_key_stays_and_moves_only_with_its_server(weir, origin, how):
    o = named(origin, "a", "b", "c")
    w = weir(config(f"balance {how}", a="", b="", c=""), **o)
    before = homes(w, PATHS)
    assert set(before.values()) == {"a", "b", "c"}
    assert homes(w, PATHS) == before
    w.reload(config(f"balance {how}", a="", b=""))
    moved = [p for p, s in homes(w, PATHS).items() if s != before[p] and before[p] != "c"]
    assert len(moved) <= (0 if how.startswith("ring") else 3), moved
    w.reload(config(f"balance {how}", a="", b="", c=""))
    assert homes(w, PATHS) == before


def test_a_dead_servers_keys_go_elsewhere_and_come_back(weir, origin):
    o = named(origin, "a", "b", "c")
    w = weir(config("balance ring $path; eject after=1 for=300ms", a="", b="", c=""), **o)
    before = homes(w, PATHS)
    o["c"].stop()
    during = homes(w, PATHS)
    assert all(during[p] == s for p, s in before.items() if s != "c")
    assert {during[p] for p, s in before.items() if s == "c"} == {"a", "b"}
    o["c"].start()
    time.sleep(0.4)
    wait_until(lambda: homes(w, PATHS) == before, 5, "the keys to be back")


def from_ip(ip):
    return [f"X-Forwarded-For: {ip}"]


def test_source_ip_by_address(weir, origin):
    o = named(origin, "a", "b", "c")
    w = weir("trust 127.0.0.1\n" + config("balance source_ip", a="", b="", c=""), **o)
    home = {f"10.0.{i}.7": w.get(headers=from_ip(f"10.0.{i}.7")).text for i in range(40)}
    assert set(home.values()) == {"a", "b", "c"}
    assert all(w.get(headers=from_ip(ip)).text == s for ip, s in home.items())


def test_source_ip_by_network(weir, origin):
    o = named(origin, "a", "b", "c")
    w = weir("trust 127.0.0.1\n" + config("balance source_ip prefix4=24", a="", b="", c=""), **o)
    for i in range(10):
        assert len({w.get(headers=from_ip(f"10.0.{i}.{k}")).text for k in range(1, 200, 40)}) == 1
        assert len({w.get(headers=from_ip(f"2001:db8:0:{i}::{k}")).text for k in range(5)}) == 1


# --------------------------------------------------------------------- zones

def test_near_servers_first_then_far_then_backup(weir, origin):
    o = named(origin, "near", "far", "backup")
    w = weir(config("prefer_zone x; eject after=1 for=1m", near="zone=x", far="zone=y",
                    backup="zone=x backup"), **o)
    assert spread(w, 20) == {"near": 20}
    servers = w.status()["upstreams"][0]["servers"]
    assert [(s["tier"], s["zone"]) for s in servers] == [("near", "x"), ("far", "y"),
                                                         ("backup", "x")]
    o["near"].stop()
    assert spread(w, 20) == {"far": 20}
    o["far"].stop()
    assert spread(w, 20) == {"backup": 20}


def test_few_near_servers_hand_a_part_on(weir, origin):
    o = named(origin, "a", "b", "c", "d", "far")
    near = dict.fromkeys("abcd", "zone=x")
    w = weir(config("prefer_zone x; balance round_robin; eject after=1 for=1m", **near,
                    far="zone=y"), **o)
    o["a"].stop()
    spread(w, 10)
    assert spread(w, 40)["far"] == 0, "three of four are enough"
    o["b"].stop()
    o["c"].stop()
    spread(w, 20)
    time.sleep(0.05)
    # a quarter is left: 1 - 0.25 / 0.7 = 64 %
    assert 95 <= spread(w, 200)["far"] <= 160


# --------------------------------------------------------------------- slow start, drain

def test_a_server_that_is_enabled_again_begins_slowly(weir, origin):
    o = named(origin, "a", "b")
    text = "balance random; slow_start {}"
    w = weir(config(text.format("1h"), a="", b=""), **o)
    assert spread(w, 40)["a"] >= 8, "all of a new upstream begin at once"
    w.reload(config(text.format("1h"), a="disabled", b=""))
    assert spread(w, 20) == {"b": 20}
    w.reload(config(text.format("1h"), a="", b=""))
    assert 1 <= spread(w, 200)["a"] <= 25, "about 9 of 200"
    assert [s["ramp_percent"] for s in w.status()["upstreams"][0]["servers"]] == [10, None]
    w.reload(config(text.format("1ms"), a="", b=""))
    assert spread(w, 40)["a"] >= 8


def test_a_server_that_was_ejected_begins_slowly(weir, origin):
    o = named(origin, "a", "b")
    w = weir(config("balance round_robin; slow_start 1h; eject after=1 for=300ms", a="", b=""), **o)
    o["a"].stop()
    spread(w, 10)
    o["a"].start()
    time.sleep(0.4)
    assert 1 <= spread(w, 200)["a"] <= 30


def test_the_only_server_gets_everything_in_its_ramp(weir, origin):
    o = named(origin, "a", "b")
    w = weir(config("slow_start 1h; eject after=1 for=300ms", a=""), a=o["a"])
    o["a"].stop()
    assert w.get().status == 502
    o["a"].start()
    time.sleep(0.4)
    assert spread(w, 20) == {"a": 20}


def test_a_draining_server_gets_nothing_new(weir, origin):
    o = named(origin, "a", "b")
    w = weir(config("", a="drain", b=""), **o)
    assert spread(w, 20) == {"b": 20}
    w.reload(config("", a="drain", b="drain"))
    assert w.get().status == 503
    assert w.access(21)[-1]["error"] == "no_servers"


# --------------------------------------------------------------------- priorities

PRIORITIES = """upstream u {{ server @o@ max_conns=1; queue {} timeout=5s }}
site * {{
    proxy u
    route /low {{ priority 0 }}
    when header.X-Important == yes {{ priority 7 }}
}}
"""


def queued(w, count):
    return lambda: w.status()["upstreams"][0]["queued"] == count


def test_important_requests_leave_the_queue_first(weir, origin):
    hold = Hold()
    o = origin([hold, answer("ok")])
    w = weir(PRIORITIES.format(100), o=o)
    threads = in_background(w, 1, "/first")[1]
    wait_until(lambda: len(o.requests) == 1, 3, "the first request")
    for n, (path, headers) in enumerate([("/low", ()), ("/usual", ()),
                                         ("/important", ["X-Important: yes"])]):
        threads += in_background(w, 1, path, headers)[1]
        wait_until(queued(w, n + 1), 3, "the queue")
    hold.release()
    for t in threads:
        t.join()
    assert [r.target for r in o.requests] == ["/first", "/important", "/usual", "/low"]


def test_an_important_request_displaces_another_in_a_full_queue(weir, origin):
    hold = Hold()
    o = origin([hold, answer("ok")])
    w = weir(PRIORITIES.format(1), o=o)
    first, threads = in_background(w, 1)
    wait_until(lambda: len(o.requests) == 1, 3, "the first request")
    low, more = in_background(w, 1, "/low")
    threads += more
    wait_until(queued(w, 1), 3, "the queue")
    important, more = in_background(w, 1, "/", ["X-Important: yes"])
    threads += more
    wait_until(lambda: low, 3, "the refusal")
    assert low[0].status == 503 and low[0].get("Retry-After")
    hold.release()
    for t in threads:
        t.join()
    assert first[0].status == important[0].status == 200
