# SPDX-License-Identifier: Apache-2.0
"""When something runs out: descriptors, buffers. Nothing spins, nothing breaks, all comes back."""
import socket
import time

from kit import Hold, answer, memory, wait_until


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_descriptors_run_out_and_come_back(weir, origin):
    hold = Hold()
    w = weir("site * { proxy @o@ }\n", o=origin(lambda r: [hold, answer("ok")] if r.target == "/held" else answer("ok")),
             nofile=80)
    with w.client() as old:
        assert old.get().status == 200
        old.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(hold.reached.is_set, 5, "the request")
        socks = []
        for _ in range(150):
            s = socket.socket()
            s.settimeout(2)
            s.connect(("127.0.0.1", w.port))
            socks.append(s)
        time.sleep(0.3)
        before = cpu_seconds(w.worker_pid)
        time.sleep(1)
        assert cpu_seconds(w.worker_pid) - before < 0.3, "accepting must pause, not spin"
        hold.release()
        assert old.response().status == 200, "those inside are still served"
        for s in socks:
            s.close()
    wait_until(lambda: w.get().status == 200, 5, "accepting to go on")
    assert w.metric("weir_shed_connections_total") >= 50, "who idles goes first"


def test_buffers_run_out_and_requests_still_end(weir, origin):
    body = b"x" * 2_000_000
    w = weir("buffers 1M\nsite * { proxy @o@ }\n", o=origin(answer(body)))
    clients = [w.client(rcvbuf=8192, timeout=20) for _ in range(30)]
    for c in clients:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.5)
    assert w.rss_kb() < memory(60 * 1024)
    for c in clients:
        r = c.response()
        assert r.complete and r.body == body
        c.close()


def test_idle_process_does_not_burn(weir, origin):
    w = weir("workers 2\nlisten @listen@\nadmin @admin@\nlog access off\nsite * { proxy @o@ }\n",
             o=origin())
    w.get()
    with w.client() as c:
        c.get()
        before = cpu_seconds(w.worker_pid)
        time.sleep(1.5)
        assert cpu_seconds(w.worker_pid) - before < 0.05
