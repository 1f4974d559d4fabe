# SPDX-License-Identifier: Apache-2.0
"""Keep-alive on both sides and the pools of idle origin connections."""
import socket
import time

import pytest

from kit import CLOSE, Client, answer, memory, wait_until


PLAIN = "site * { proxy @o@ }\n"


def test_client_connection_is_kept(weir, origin):
    with weir(PLAIN, o=origin()).client() as c:
        for i in range(20):
            assert c.get(f"/{i}").status == 200


def test_origin_connection_is_reused_by_other_clients(weir, origin):
    o = origin()
    w = weir(PLAIN, o=o)
    for _ in range(5):
        assert w.get().status == 200
    assert o.connections == 1
    assert w.metric("weir_origin_reuses_total") == 4
    assert w.metric("weir_origin_connections_idle") == 1


def test_keepalive_off_opens_one_each(weir, origin):
    o = origin()
    w = weir("upstream u { server @o@; keepalive off }\nsite * { proxy u }\n", o=o)
    for _ in range(3):
        assert w.get().status == 200
    assert o.connections == 3


def test_keepalive_limit(weir, origin):
    o = origin([0.1, answer()])
    w = weir("upstream u { server @o@; keepalive 2 }\nsite * { proxy u }\n", o=o)
    clients = [w.client() for _ in range(5)]
    for c in clients:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for c in clients:
        assert c.response().status == 200
        c.close()
    wait_until(lambda: o.open == 2, 2, "only two idle connections")


def test_idle_origin_connections_are_closed(weir, origin):
    o = origin()
    w = weir("upstream u { server @o@; keepalive 8 idle=200ms }\nsite * { proxy u }\n", o=o)
    w.get()
    assert o.open == 1
    wait_until(lambda: o.open == 0, 3, "the idle connection to be closed")


def test_origin_that_closes_while_idle_is_noticed(weir, origin):
    o = origin()
    w = weir(PLAIN, o=o)
    w.get()
    o.close_idle()
    wait_until(lambda: w.metric("weir_origin_connections_idle") == 0, 3, "the dead one to go")
    assert w.get().status == 200
    assert o.connections == 2


def test_dead_reused_connection_costs_the_client_nothing(weir, origin):
    """The origin closes exactly when the next request comes: it is sent again on a fresh one."""
    def serve(r):
        return answer("one") if o.connections == 1 and len(o.requests) == 1 else (
            CLOSE if r.connection == 0 else answer("two"))
    o = origin(serve)
    w = weir(PLAIN, o=o)
    assert w.get().text == "one"
    assert w.get().text == "two"
    assert [r.connection for r in o.requests] == [0, 0, 1]


def test_post_on_a_dead_reused_connection_is_not_repeated(weir, origin):
    def serve(r):
        return answer("one") if len(o.requests) == 1 else (
            CLOSE if r.connection == 0 else answer("two"))
    o = origin(serve)
    w = weir(PLAIN, o=o)
    assert w.get().text == "one"
    with w.client() as c:
        assert c.post(body=b"money").status == 502
    assert [r.method for r in o.requests] == ["GET", "POST"]


def test_idle_client_connection_is_closed(weir, origin):
    w = weir("timeout keepalive=300ms\n" + PLAIN, o=origin())
    with w.client() as c:
        assert c.get().status == 200
        began = time.monotonic()
        assert c.closed(3)
        assert 0.2 < time.monotonic() - began < 2


def test_connection_without_any_byte_is_closed(weir, origin):
    w = weir("timeout keepalive=300ms client_header=300ms\n" + PLAIN, o=origin())
    with w.client() as c:
        assert c.closed(3)


def test_half_closed_client_still_gets_its_answer(weir, origin):
    o = origin([0.2, answer("late")])
    with weir(PLAIN, o=o).client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        c.half_close()
        assert c.response().text == "late"
        assert c.closed()


def test_pipelined_requests_beside_a_slow_one(weir, origin):
    o = origin(lambda r: [0.3, answer("slow")] if r.target == "/slow" else answer("fast"))
    with weir(PLAIN, o=o).client() as c:
        c.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
        assert c.response().text == "slow"
        assert c.response().text == "fast"


@pytest.mark.parametrize("count", [3000])
def test_idle_connections_cost_little(weir, origin, count):
    w = weir("listen @listen@\nworkers 1\nadmin @admin@\nlog access off\nconnections per_ip=off\n" + PLAIN, o=origin())
    w.get()
    before = w.rss_kb()
    socks = []
    try:
        for _ in range(count):
            socks.append(socket.create_connection(("127.0.0.1", w.port)))
        wait_until(lambda: w.metric("weir_connections_open") >= count, 5, "all to be accepted")
        assert (w.rss_kb() - before) / count < memory(4), "KB per idle connection"
        assert w.get().status == 200
    finally:
        for s in socks:
            s.close()


def test_admin_counts_connections(weir, origin):
    w = weir(PLAIN, o=origin())
    c = Client(w.port)
    c.get()
    assert w.metric("weir_connections_open") == 1
    assert w.metric("weir_connections_idle") == 1
    c.close()
    wait_until(lambda: w.metric("weir_connections_open") == 0)
