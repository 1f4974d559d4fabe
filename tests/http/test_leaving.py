# SPDX-License-Identifier: Apache-2.0
"""Connections that have to go: of a listener that a reload removes, of weir when it is replaced, of their age. Each is
told, and no request that it sends before it knows is lost."""
import socket
import threading
import time

import pytest

from kit import Client, Hold, Origin, Pki, Weir, answer, client_context, wait_until
from kit import h2raw
from kit.h2raw import H2Raw
from kit.tools import need, run

BOTH = """workers 2
listen @listen@
listen @tls@
admin @admin@
log access json to=@dir@/access.log
site * {
    proxy @o@
}
"""
ONE = BOTH.replace("listen @tls@\n", "")
FIRST_WORD = b"\x7f\xff\xff\xff"


def script(hold):
    return lambda r: [hold, answer("late")] if r.target == "/late" else answer("ok")


def pong(c):
    c.say(h2raw.PING, h2raw.ACK, 0, c.wait(lambda f: f.type == h2raw.PING and not f.flags & h2raw.ACK).payload)


def last_word(c):
    """The last stream that the second GOAWAY names."""
    f = c.wait(lambda f: f.type == h2raw.GOAWAY and f.payload[:4] != FIRST_WORD)
    assert f.code == h2raw.NO_ERROR
    return int.from_bytes(f.payload[:4], "big")


def wait_closed(c, seconds=3):
    c.wait(lambda f: False, seconds)
    assert c.closed


# ---------------------------------------------------------------- a listener is removed

def test_removed_listener_drains_http2():
    hold = Hold()
    with Origin(script(hold)) as o, Weir(BOTH, o=o) as w, H2Raw(w.tls_port) as c, H2Raw(w.port) as stays:
        c.request(1, path="/late")
        assert hold.reached.wait(5) and stays.get("/")[0] == 200
        w.reload(ONE)
        first = c.of(h2raw.GOAWAY)
        assert first.payload[:4] == FIRST_WORD and first.code == h2raw.NO_ERROR
        assert c.get("/", 3) == (200, b"ok", None)  # was on its way
        pong(c)
        assert last_word(c) == 3
        c.request(5)  # it has been told: not served
        assert c.ping()
        hold.release()
        assert c.response(1) == (200, b"late", None)
        wait_closed(c)
        assert not [f for f in c.frames if f.stream == 5]
        assert stays.goaway(0.1) is None and stays.get("/", 3)[0] == 200
        wait_until(lambda: len(w.access()) == 4)  # with what was on its way, without what came after


def test_removed_listener_closes_idle_http2():
    with Origin() as o, Weir(BOTH, o=o) as w, H2Raw(w.tls_port) as quiet, H2Raw(w.tls_port) as polite:
        assert quiet.get()[0] == 200 and polite.get()[0] == 200
        w.reload(ONE)
        pong(polite)
        assert last_word(polite) == 1
        wait_closed(polite)
        wait_closed(quiet)  # does not answer the PING: after a second
        assert last_word(quiet) == 1


def test_removed_listener_tells_http1_by_its_next_answer():
    with Origin() as o, Weir(BOTH, o=o) as w, Client(w.tls_port) as c, Client(w.port) as stays:
        assert c.get("/").get("Connection") is None and stays.get("/").status == 200
        w.reload(ONE)
        time.sleep(0.1)
        r = c.get("/")
        assert (r.status, r.get("Connection")) == (200, "close")
        assert c.closed()
        assert stays.get("/").get("Connection") is None


def test_removed_listener_tells_http1_by_the_answer_under_way():
    hold = Hold()
    with Origin(script(hold)) as o, Weir(BOTH, o=o) as w, Client(w.tls_port) as c:
        c.send(b"GET /late HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert hold.reached.wait(5)
        w.reload(ONE)
        hold.release()
        r = c.response()
        assert (r.status, r.body, r.get("Connection")) == (200, b"late", "close")
        assert c.closed()


def test_handshake_that_outlives_its_listener(tmp_path):
    """Accepted before, spoken after: the first request is served, and is the last."""
    pki = Pki(tmp_path)
    cert = pki.cert("a.test")
    text = BOTH.replace("@tls@", "@tls@ tls").replace("    proxy", f"    tls cert={cert.crt} key={cert.key}\n    proxy")
    text = text.replace("site * {", "site a.test {").replace("key=" + str(cert.key), f"key={cert.key} redirect=off")
    for protocol in ("h2", "http/1.1"):
        with Origin() as o, Weir(text, o=o) as w:
            sock = socket.create_connection(("127.0.0.1", w.tls_port), 5)
            wait_until(lambda: w.metric("weir_connections_accepted_total") >= 1)
            w.reload(text.replace("listen @tls@ tls\n", "").replace(f"    tls cert={cert.crt} key={cert.key} "
                                                                    "redirect=off\n", ""))
            ctx = client_context(pki.ca.crt)
            ctx.set_alpn_protocols([protocol])
            with ctx.wrap_socket(sock, server_hostname="a.test") as s:
                if protocol == "h2":
                    c = H2Raw(w.port, settings=None)
                    c.sock.close()
                    c.sock = s
                    c.send(h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS))
                    assert c.of(h2raw.GOAWAY).payload[:4] == FIRST_WORD
                    assert c.get("/", scheme="https")[0] == 200
                    pong(c)
                    wait_closed(c)
                else:
                    s.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                    assert b"connection: close" in s.recv(4096).lower()


class Loader(threading.Thread):
    """Requests one after the other on a connection that goes on until it is told to end; then on another one. Counts
    what was lost: anything but a whole answer to a request that may be served."""

    def __init__(self, ports):
        super().__init__()
        self.ports, self.done, self.lost, self.served = ports, False, [], 0
        self.connections = 0

    def connect(self):
        for port in self.ports:
            try:
                return H2Raw(port)
            except OSError:
                continue
        raise AssertionError("nobody listens")

    def run(self):
        while not self.done:
            with self.connect() as c:
                self.connections += 1
                self.use(c)

    def use(self, c):
        stream, pinged = 1, False
        while not self.done:
            c.request(stream)
            status = c.response(stream)[0]
            last = [f for f in c.frames if f.type == h2raw.GOAWAY and f.payload[:4] != FIRST_WORD]
            if last and stream > int.from_bytes(last[-1].payload[:4], "big"):
                return
            if status != 200:
                self.lost.append((stream, status, [(f.type, f.stream) for f in c.frames[-5:]]))
                return
            self.served += 1
            if not pinged and any(f.type == h2raw.GOAWAY for f in c.frames):
                pong(c)
                pinged = True
            c.frames = [f for f in c.frames if f.type in (h2raw.GOAWAY, h2raw.PING)]
            stream += 2


@pytest.mark.seconds(60)
def test_no_request_is_lost_while_listeners_come_and_go():
    with Origin() as o, Weir(BOTH, o=o) as w:
        loaders = [Loader([w.tls_port, w.port]) for _ in range(4)]
        bench = threading.Thread(target=lambda: results.append(
            run(need("h2load"), "-D", "8", "-c", "4", "-m", "8", w.url("/"), seconds=30).stdout))
        results = []
        for t in [*loaders, bench]:
            t.start()
        for i in range(8):
            time.sleep(0.8)
            w.reload(ONE if i % 2 == 0 else BOTH)
        bench.join()
        for t in loaders:
            t.done = True
        for t in loaders:
            t.join()
        assert [t.lost for t in loaders] == [[]] * 4
        assert all(t.connections >= 3 and t.served > 50 for t in loaders)
        assert ", 0 failed, 0 errored, 0 timeout" in results[0], results[0]


def test_who_comes_too_late_is_refused():
    """Never accepted and then reset, not even in the queue of a socket that is about to be closed."""
    with Origin() as o, Weir(BOTH, o=o) as w:
        w.reload(ONE)
        ends = set()
        until = time.monotonic() + 2
        while time.monotonic() < until:
            try:
                with Client(w.tls_port) as c:
                    ends.add(c.get("/").status)
            except ConnectionRefusedError:
                ends.add("refused")
                break
        assert "refused" in ends and ends <= {200, "refused"}


# ---------------------------------------------------------------- age

def test_an_old_http2_connection_is_told():
    with Origin() as o, Weir("timeout client_age=1s\nsite * { proxy @o@ }\n", o=o) as w, H2Raw(w.port) as c:
        assert c.get()[0] == 200 and c.goaway(0.1) is None
        time.sleep(2)
        assert c.get("/", 3)[0] == 200
        assert c.of(h2raw.GOAWAY).payload[:4] == FIRST_WORD
        assert c.get("/", 5)[0] == 200
        pong(c)
        assert last_word(c) == 5
        wait_closed(c)


def test_an_old_http1_connection_is_told():
    with Origin() as o, Weir("timeout client_age=1s\nsite * { proxy @o@ }\n", o=o) as w, Client(w.port) as c:
        assert c.get("/").get("Connection") is None
        time.sleep(2)
        assert c.get("/").get("Connection") == "close"
        assert c.closed()


def test_age_may_be_off():
    text = "timeout client_age=1s\nsite * { proxy @o@ }\nsite other.test {\n timeout client_age=off\n proxy @o@\n}\n"
    with Origin() as o, Weir(text, o=o) as w, Client(w.port) as c:
        assert c.get("/").status == 200
        time.sleep(2)
        assert c.get("/").get("Connection") is None  # the longest one of the listener's sites
