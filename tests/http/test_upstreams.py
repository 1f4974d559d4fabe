# SPDX-License-Identifier: Apache-2.0
"""Several servers: balancing, dead and recovering ones, retries and their budget, limits and queues."""
import collections
import socket
import struct
import threading
import time

import pytest

from kit import CLOSE, RESET, Origin, answer, free_port, wait_until


def named(origin, *names, **kw):
    return [origin(answer(n), **kw) for n in names]


def spread(w, count, path="/"):
    return collections.Counter(w.get(path).text for _ in range(count))


def server_of(w, name):
    """The state of one server in /status."""
    found = []

    def walk(v):
        if isinstance(v, dict):
            if name in (v.get("name"), v.get("server"), v.get("address")):
                found.append(v)
            for x in v.values():
                walk(x)
        elif isinstance(v, list):
            for x in v:
                walk(x)
    walk(w.status())
    assert found, f"{name} is not in /status"
    return found[-1]


# --------------------------------------------------------------------- balancing

def test_round_robin_by_weight(weir, origin):
    a, b = named(origin, "a", "b")
    w = weir("upstream u { server @a@; server @b@ weight=3; balance round_robin }\n"
             "site * { proxy u }\n", a=a, b=b)
    assert spread(w, 40) == {"a": 10, "b": 30}


def test_two_choices_uses_all(weir, origin):
    servers = named(origin, "a", "b", "c", "d")
    w = weir("site * { proxy @a@ @b@ @c@ @d@ }\n", **dict(zip("abcd", servers)))
    assert len(spread(w, 60)) == 4


def test_least_conn_avoids_the_busy_one(weir, origin):
    slow, fast = origin([3, answer("slow")]), origin(answer("fast"))
    w = weir("upstream u { server @s@; server @f@; balance least_conn }\nsite * { proxy u }\n",
             s=slow, f=fast)
    threads = []
    while not slow.requests:  # whichever of the idle two it is that the first ones go to
        threads.append(threading.Thread(target=w.get))
        threads[-1].start()
        time.sleep(0.05)
    assert spread(w, 10) == {"fast": 10}
    for t in threads:
        t.join()


def test_hash_keeps_a_key_on_its_server(weir, origin):
    servers = named(origin, "a", "b", "c")
    w = weir("upstream u { server @a@; server @b@; server @c@; balance hash $path }\n"
             "site * { proxy u }\n", **dict(zip("abc", servers)))
    home = {f"/{i}": w.get(f"/{i}").text for i in range(30)}
    assert len(set(home.values())) == 3
    assert all(w.get(p).text == s for p, s in home.items())


def test_hash_moves_only_the_keys_of_a_lost_server(weir, origin):
    servers = named(origin, "a", "b", "c")
    text = "upstream u {{ server @a@; server @b@; server @c@{}; balance hash $path }}\n" \
           "site * {{ proxy u }}\n"
    w = weir(text.format(""), **dict(zip("abc", servers)))
    home = {f"/{i}": w.get(f"/{i}").text for i in range(60)}
    w.reload(text.format(" disabled"))
    moved = [p for p, s in home.items() if s != "c" and w.get(p).text != s]
    assert not moved


def test_backup_only_when_the_others_are_gone(weir, origin):
    a, b = named(origin, "a", "backup")
    w = weir("upstream u { server @a@; server @b@ backup; eject after=1 for=300ms }\n"
             "site * { proxy u }\n", a=a, b=b)
    assert spread(w, 10) == {"a": 10}
    a.stop()
    assert spread(w, 10) == {"backup": 10}
    a.start()
    time.sleep(0.4)
    wait_until(lambda: w.get().text == "a", 3, "the first server to be used again")


def test_disabled_gets_nothing(weir, origin):
    a, b = named(origin, "a", "b")
    w = weir("upstream u { server @a@ disabled; server @b@ }\nsite * { proxy u }\n", a=a, b=b)
    assert spread(w, 10) == {"b": 10}
    assert a.connections == 0


# --------------------------------------------------------------------- dead servers, retries

def test_dead_server_costs_no_client_anything(weir, origin):
    a, b = named(origin, "a", "b")
    w = weir("site * { proxy @a@ @b@ { balance round_robin } }\n", a=a, b=b)
    spread(w, 10)
    a.stop()
    assert spread(w, 20) == {"b": 20}
    tries = [line["tries"] for line in w.access(30)[10:]]
    assert 2 in tries and max(tries) == 2
    assert w.metric("weir_retries_total") >= 1


def test_dead_server_is_ejected_and_comes_back(weir, origin):
    a, b = named(origin, "a", "b")
    w = weir("upstream u { server @a@; server @b@; balance round_robin; eject after=2 for=500ms }\n"
             "site * { proxy u }\n", a=a, b=b)
    a.stop()
    spread(w, 10)
    retries = w.metric("weir_retries_total")
    assert retries <= 3, "ejected after two failures"
    state = server_of(w, a.address)
    assert "connect_refused" in str(state), state
    w.wait_stderr(f"server {a.address} of upstream u is left out for 0.5 s after 2 failures: "
                  "server refused the connection")
    a.start()
    time.sleep(0.6)
    assert spread(w, 20)["a"] >= 8
    w.wait_stderr(f"server {a.address} of upstream u serves again")


def test_post_is_retried_when_it_could_not_connect(weir, origin):
    a, b = named(origin, "a", "b")
    w = weir("upstream u { server @a@; server @b@; balance round_robin; eject off }\n"
             "site * { proxy u }\n", a=a, b=b)
    a.stop()
    with w.client() as c:
        for _ in range(6):
            assert c.post(body=b"x").text == "b"


def test_post_is_not_repeated_after_it_was_sent(weir, origin):
    a, b = origin(CLOSE), origin(CLOSE)
    w = weir("site * { proxy @a@ @b@ }\n", a=a, b=b)
    with w.client() as c:
        assert c.post(body=b"money").status == 502
    assert len(a.requests) + len(b.requests) == 1


def closes_what_was_idle(seconds):
    """The server's keep-alive time is over just when the next request is on its way."""
    last = {}

    def script(r):
        now, before = time.monotonic(), last.get(r.connection, time.monotonic())
        last[r.connection] = now
        return [CLOSE] if now - before > seconds else answer(r.body or b"ok")
    return script


@pytest.mark.parametrize("method,body", [("POST", b"x"), ("POST", b""), ("PATCH", b"x" * 100000),
                                         ("PUT", b"x"), ("GET", None)],
                         ids=["post", "empty-post", "large-patch", "put", "get"])
def test_a_server_that_closes_idle_connections_costs_no_request(weir, origin, method, body):
    o = origin(closes_what_was_idle(1))
    with weir("site * { proxy @o@ }\n", o=o).client() as c:
        length = [] if body is None else [f"Content-Length: {len(body)}"]
        lines = "\r\n".join([f"{method} / HTTP/1.1", "Host: a.test", *length]).encode()
        for pause in (0, 0.1, 1.2):
            c.send(pause, lines + b"\r\n\r\n" + (body or b""))
            assert c.response().status == 200
    assert o.connections == 2  # a young connection serves all methods


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_get_is_repeated_when_the_connection_breaks(weir, origin, end):
    a, b = origin(end), origin(answer("b"))
    w = weir("upstream u { server @a@; server @b@; balance round_robin; eject off }\n"
             "site * { proxy u }\n", a=a, b=b)
    assert spread(w, 6) == {"b": 6}


def test_statuses_are_not_retried_unless_told(weir, origin):
    a, b = origin(answer("busy", "503 Service Unavailable")), origin(answer("b"))
    w = weir("upstream u { server @a@; server @b@; balance round_robin }\nsite * { proxy u }\n",
             a=a, b=b)
    assert spread(w, 6) == {"busy": 3, "b": 3}


@pytest.mark.parametrize("status", [502, 503, 504])
def test_retry_on_status(weir, origin, status):
    a, b = origin(answer("bad", f"{status} X")), origin(answer("b"))
    w = weir("upstream u { server @a@; server @b@; balance round_robin; "
             f"retry 2 on={status} budget=off; eject off }}\nsite * {{ proxy u }}\n", a=a, b=b)
    assert spread(w, 6) == {"b": 6}
    with w.client() as c:
        got = {c.post(body=b"x").status for _ in range(4)}
    assert got == {200, status}, "a POST is not idempotent"


def test_the_last_answer_passes_when_all_say_503(weir, origin):
    a, b = (origin(answer(n, "503 X", ["X-Who: " + n])) for n in "ab")
    w = weir("site * { proxy @a@ @b@ { retry 1 on=503 } }\n", a=a, b=b)
    r = w.get()
    assert r.status == 503 and r.get("X-Who") in ("a", "b")
    assert len(a.requests) + len(b.requests) == 2


def test_retry_off(weir, origin):
    a, b = named(origin, "a", "b")
    w = weir("upstream u { server @a@; server @b@; balance round_robin; eject off }\n"
             "site * { proxy u; retry off }\n", a=a, b=b)
    a.stop()
    assert sorted(w.get().status for _ in range(6)) == [200] * 3 + [502] * 3


def test_retry_budget_stops_a_flood(weir, origin):
    a = origin(answer("bad", "503 X"))
    b = origin(answer("bad", "503 X"))
    w = weir("upstream u { server @a@; server @b@; retry 1 on=503 budget=10%; eject off }\n"
             "site * { proxy u }\n", a=a, b=b)
    for _ in range(200):
        w.get()
    retries = len(a.requests) + len(b.requests) - 200
    assert 10 <= retries <= 40, retries
    assert w.metric("weir_retries_refused_total") >= 100


def test_all_dead_says_why(weir):
    w = weir("site * { proxy 127.0.0.1:@x@ 127.0.0.1:@y@ }\n", x=free_port(), y=free_port())
    r = w.get()
    assert r.status in (502, 503)
    line = w.last_access()
    assert line["error"] == "connect_refused"
    assert line["tries"] == 2


def test_all_ejected_still_tries(weir, origin):
    a = origin(answer("a"))
    w = weir("site * { proxy @a@ { eject after=1 for=1m } }\n", a=a)
    a.stop()
    assert w.get().status == 502
    a.start()
    assert w.get().text == "a", "better try one than none"


def test_unresolved_name(weir):
    w = weir("site * { proxy no-such-name.invalid:80 }\n")
    r = w.get()
    assert r.status == 503 and r.get("Retry-After")
    assert w.last_access()["error"] == "unresolved"


def test_no_servers_but_disabled_ones(weir, origin):
    w = weir("upstream u { server @a@ disabled }\nsite * { proxy u }\n", a=origin())
    assert w.get().status == 503
    assert w.last_access()["error"] == "no_servers"


# --------------------------------------------------------------------- limits and queues

def busy(w, count):
    """Starts `count` requests and returns the list of their answers to come."""
    got, threads = [], []
    for _ in range(count):
        t = threading.Thread(target=lambda: got.append(w.get()))
        t.start()
        threads.append(t)
    return got, threads


def counted(most, seconds):
    """Notes in `most` how many requests are being served at once."""
    lock, now = threading.Lock(), [0]

    def enter(_):
        with lock:
            now[0] += 1
            most.append(now[0])

    def leave(_):
        with lock:
            now[0] -= 1
    return [enter, seconds, leave, answer("ok")]


def test_max_conns_is_kept_and_the_rest_waits(weir, origin):
    most = []
    o = origin(counted(most, 0.1))
    w = weir("upstream u { server @o@ max_conns=2 }\nsite * { proxy u }\n", o=o)
    got, threads = busy(w, 10)
    for t in threads:
        t.join()
    assert [r.status for r in got] == [200] * 10
    assert max(most) <= 2
    assert w.metric("weir_queued_total") >= 6


def test_queue_timeout(weir, origin):
    o = origin([1.5, answer("ok")])
    w = weir("upstream u { server @o@ max_conns=1; queue 10 timeout=300ms }\nsite * { proxy u }\n",
             o=o)
    got, threads = busy(w, 2)
    for t in threads:
        t.join()
    assert sorted(r.status for r in got) == [200, 503]
    refused = next(r for r in got if r.status == 503)
    assert refused.get("Retry-After")
    assert "queue_timeout" in [line.get("error") for line in w.access(2)]


def test_full_queue_refuses_at_once(weir, origin):
    o = origin([1, answer("ok")])
    w = weir("upstream u { server @o@ max_conns=1; queue 1 }\nsite * { proxy u }\n", o=o)
    began = time.monotonic()
    got, threads = busy(w, 4)
    wait_until(lambda: len(got) >= 2, 0.8, "two refusals at once")
    assert time.monotonic() - began < 0.9
    for t in threads:
        t.join()
    assert sorted(r.status for r in got) == [200, 200, 503, 503]
    assert "over_limit" in [line.get("error") for line in w.access(4)]


def test_queue_off(weir, origin):
    o = origin([0.5, answer("ok")])
    w = weir("upstream u { server @o@ max_conns=1; queue off }\nsite * { proxy u }\n", o=o)
    got, threads = busy(w, 3)
    for t in threads:
        t.join()
    assert sorted(r.status for r in got) == [200, 503, 503]


def test_queue_goes_on_when_a_client_leaves(weir, origin):
    o = origin([0.3, answer("ok")])
    w = weir("upstream u { server @o@ max_conns=1 }\nsite * { proxy u }\n", o=o)
    got, threads = busy(w, 1)
    wait_until(lambda: o.requests)
    leaving = w.client()
    leaving.send(b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.1)
    leaving.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leaving.close()
    more, others = busy(w, 2)
    for t in threads + others:
        t.join()
    assert [r.status for r in got + more] == [200] * 3
    assert "/left" not in [r.target for r in o.requests]


def test_max_conns_over_several_workers(weir, origin):
    most = []
    o = origin(counted(most, 0.05))
    w = weir("workers 4\nlisten @listen@\nadmin @admin@\nlog access json to=@dir@/access.log\n"
             "upstream u { server @o@ max_conns=3; keepalive off }\nsite * { proxy u }\n", o=o)
    got, threads = busy(w, 24)
    for t in threads:
        t.join()
    assert [r.status for r in got] == [200] * 24
    assert max(most) <= 3


def test_dying_and_returning_under_load(weir, origin):
    """The main story: two servers, one dies in the middle and comes back; no client sees it."""
    a, b = named(origin, "a", "b")
    w = weir("workers 2\nlisten @listen@\nadmin @admin@\nlog access json to=@dir@/access.log\n"
             "upstream u { server @a@; server @b@; eject after=3 for=300ms }\n"
             "site * { proxy u }\n", a=a, b=b)
    bad, stop = [], threading.Event()

    def load():
        with w.client() as c:
            while not stop.is_set():
                r = c.get()
                if r.status != 200:
                    bad.append(r)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    a.stop()
    time.sleep(0.7)
    a.clear()
    a.start()
    wait_until(lambda: len(a.requests) > 20, 5, "the server to be used again")
    stop.set()
    for t in threads:
        t.join()
    assert not bad, bad[:3]


def test_server_that_answers_garbage_is_ejected(weir, origin):
    a = Origin(b"garbage\r\n\r\n", start=False)
    a.start()
    b = origin(answer("b"))
    w = weir("upstream u { server @a@; server @b@; balance round_robin; eject after=2 for=5s }\n"
             "site * { proxy u; retry off }\n", a=a, b=b)
    statuses = [w.get().status for _ in range(12)]
    assert statuses.count(502) == 2
    a.stop()


def test_listen_address_in_use_is_told(weir):
    from kit import Weir
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        w = Weir(f"listen 127.0.0.1:{s.getsockname()[1]} # @listen@\nsite * {{ respond 200 }}\n",
                 wait=False)
        assert w.process.wait(5) == 1
        assert "in use" in w.stderr
        w.finish()
