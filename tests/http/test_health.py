# SPDX-License-Identifier: Apache-2.0
"""Active and passive health: servers that are unwell go out without a failed request, and come back."""
import socket
import struct
import threading
import time

import pytest
from h2_origin import H2Origin
from kit import Closed, Hold, Origin, Pki, Weir, answer, free_port, server_context, wait_until

FAST = "every=100ms fast=100ms timeout=1s rise=2 fall=2"


class App:
    """A server whose /healthz says what `health` holds; everything else is answered by its name."""

    def __init__(self, name, **kw):
        self.name, self.health, self.reply = name, answer("fine"), answer(name)
        self.checks = []
        self.origin = Origin(self.serve, **kw)
        self.address = self.origin.address

    def serve(self, r):
        if r.target == "/healthz":
            self.checks.append(r)
            return self.health
        return self.reply(r) if callable(self.reply) else self.reply


@pytest.fixture
def app():
    made = []

    def make(name, **kw):
        made.append(App(name, **kw))
        return made[-1]
    yield make
    for a in made:
        a.origin.stop()


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.local = p.cert("local", "127.0.0.1", "localhost")
    return p


def server(w, address):
    return next(s for u in w.status()["upstreams"] for s in u["servers"] if s["name"] == address)


def state(w, address):
    return server(w, address)["state"]


def wait_state(w, address, wanted, seconds=5):
    wait_until(lambda: state(w, address) == wanted, seconds, f"{address} to be {wanted}")


def wait_check(w, address, wanted, seconds=5):
    wait_until(lambda: (server(w, address)["check"] or {}).get("state") == wanted, seconds,
               f"checks of {address} to say {wanted}")


def two(weir, a, b, check=f"check /healthz {FAST}", more=""):
    return weir(f"upstream u {{ server @a@; server @b@; balance round_robin; {check}; {more} }}\n"
                "site * { proxy u }\n", a=a.address, b=b.address)


def names(w, count=10):
    return {w.get().text for _ in range(count)}


# --------------------------------------------------------------------- HTTP

def test_a_server_that_says_503_goes_out_and_comes_back(weir, app):
    a, b = app("a"), app("b")
    w = two(weir, a, b)
    wait_check(w, a.address, "up")
    assert names(w) == {"a", "b"}
    a.health = answer("no", "503 Service Unavailable")
    statuses = []
    wait_until(lambda: statuses.append(w.get().status) or state(w, a.address) == "down", 5, "down")
    assert set(statuses) == {200}
    assert names(w) == {"b"}
    s = server(w, a.address)
    assert s["reason"] == "check failed: status 503"
    assert s["check"]["last_failure"] == "status 503" and s["check"]["failed"] >= 2
    label = f'{{upstream="u",server="{a.address}"}}'
    assert w.metrics()[f"weir_server_check_up{label}"] == 0
    assert w.metrics()[f"weir_server_up{label}"] == 0
    assert w.metrics()[f"weir_server_checks_failed_total{label}"] >= 2
    w.wait_stderr(f"server {a.address} of upstream u is down, 2 checks in a row failed: status 503")
    a.health = answer("fine")
    wait_state(w, a.address, "up")
    w.wait_stderr(f"server {a.address} of upstream u is up again after ")
    assert names(w) == {"a", "b"}


def test_the_first_check_decides_alone(weir, app):
    a, b = app("a"), app("b")
    a.health = answer("no", "503 Service Unavailable")
    w = two(weir, a, b, "check /healthz every=1h fall=5")
    wait_state(w, a.address, "down", 3)
    wait_check(w, b.address, "up", 3)
    assert len(a.checks) == 1 and len(b.checks) == 1


def test_what_is_asked(weir, app):
    a = app("a")
    w = weir("""upstream u {
        server @a@
        check /healthz every=100ms host=app.test method=HEAD { header X-Probe "a b" }
    }
    site * { proxy u }
    """, a=a.address)
    wait_until(lambda: a.checks, 3, "a check")
    r = a.checks[0]
    assert (r.method, r.get("Host"), r.get("X-Probe")) == ("HEAD", "app.test", "a b")
    assert r.get("User-Agent").startswith("weir/")
    wait_state(w, a.address, "up")


@pytest.mark.parametrize("lines, reply, reason", [
    ("expect status 204", answer("ok"), "status 200"),
    ("expect status 200-299 503", answer("ok", "503 No"), None),
    ('expect body "all well"', answer("so all well here"), None),
    ('expect body "all well"', answer("not so"), 'the body does not contain "all well"'),
    ("expect status 200", b"nonsense\r\n\r\n", "server's answer is malformed"),
])
def test_expectations(weir, app, lines, reply, reason):
    a = app("a")
    a.health = reply
    w = weir(f"upstream u {{ server @a@; check /healthz {FAST} {{ {lines} }} }}\n"
             "site * { proxy u }\n", a=a.address)
    wait_check(w, a.address, "down" if reason else "up")
    if reason:
        assert server(w, a.address)["reason"] == f"check failed: {reason}"


def test_a_server_that_hangs(weir, app):
    a, b = app("a"), app("b")
    w = two(weir, a, b)
    wait_check(w, a.address, "up")
    hold = Hold()
    a.health = [hold, answer("late")]
    wait_state(w, a.address, "down")
    assert server(w, a.address)["reason"] == "check failed: server did not answer in time"
    hold.release()
    a.health = answer("fine")
    wait_state(w, a.address, "up")


def test_a_server_that_is_gone(weir, app):
    a, b = app("a"), app("b")
    w = two(weir, a, b)
    wait_check(w, a.address, "up")
    a.origin.stop()
    wait_state(w, a.address, "down")
    assert server(w, a.address)["reason"] == "check failed: server refused the connection"
    assert names(w) == {"b"}
    a.origin.start()
    wait_state(w, a.address, "up")


def test_all_down_are_used_all_the_same(weir, app):
    a, b = app("a"), app("b")
    a.health = b.health = answer("no", "500 No")
    w = two(weir, a, b)
    wait_state(w, a.address, "down")
    wait_state(w, b.address, "down")
    assert names(w) == {"a", "b"}


def test_an_own_port(weir, app):
    a = app("a")
    health = Origin(answer("no", "503 No"))
    w = weir(f"upstream u {{ server @a@; check / {FAST} port={health.port} }}\nsite * {{ proxy u }}\n",
             a=a.address)
    wait_state(w, a.address, "down")
    health.script = answer()
    wait_state(w, a.address, "up")
    health.stop()


@pytest.mark.parametrize("workers", [1, 4])
def test_the_number_of_workers_does_not_matter(weir, app, workers):
    a = app("a")
    w = weir("listen @listen@\nadmin @admin@\n" f"workers {workers}\n"
             "upstream u { server @a@; check /healthz every=200ms }\nsite * { proxy u }\n", a=a.address)
    wait_check(w, a.address, "up")
    before = len(a.checks)
    time.sleep(2)
    assert 8 <= len(a.checks) - before <= 12


def test_while_down_checks_are_faster(weir, app):
    a = app("a")
    a.health = answer("no", "503 No")
    w = weir("upstream u { server @a@; check /healthz every=1h fast=100ms }\nsite * { proxy u }\n",
             a=a.address)
    wait_until(lambda: len(a.checks) >= 4, 3, "checks")
    a.health = answer("fine")
    wait_state(w, a.address, "up", 3)


# --------------------------------------------------------------------- reload

def test_a_reload_keeps_the_state(weir, app):
    a, b = app("a"), app("b")
    a.health = answer("no", "503 No")
    text = "upstream u {{ server @a@; server @b@; balance round_robin; check /healthz {} }}\n" \
           "site * {{ proxy u }}\n"
    w = weir(text.format("every=1h fast=1h"), a=a.address, b=b.address)
    wait_state(w, a.address, "down")
    wait_check(w, b.address, "up")
    since = server(w, a.address)["check"]["since"]
    a.health = answer("fine")
    w.reload(text.format("every=1h fast=1h rise=1"))
    assert state(w, a.address) == "down" and server(w, a.address)["check"]["since"] == since
    assert len(a.checks) == 1 and names(w) == {"b"}
    w.reload("upstream u { server @a@; server @b@; balance round_robin }\nsite * { proxy u }\n")
    assert state(w, a.address) == "up" and server(w, a.address)["check"] is None
    assert names(w) == {"a", "b"}


def test_a_reload_in_the_middle_of_a_check(weir, app):
    a = app("a")
    hold = Hold()
    a.health = [hold, answer("no", "503 No")]
    text = "upstream u {{ server @a@; check /healthz every=1h fall={} }}\nsite * {{ proxy u }}\n"
    w = weir(text.format(2), a=a.address)
    assert hold.reached.wait(3)
    w.reload(text.format(3))
    hold.release()
    wait_state(w, a.address, "down")
    w.reload("site * { proxy @a@ }\n")
    wait_until(lambda: w.status()["config"]["snapshots_alive"] == 1, 3, "old configurations to go")


# --------------------------------------------------------------------- TCP, TLS

class Talker:
    """Says `hello` to who connects, then answers each piece of bytes by `replies`."""

    def __init__(self, hello=b"", replies=None):
        self.hello, self.replies, self.heard, self.open = hello, replies or {}, [], True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while self.open:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(sock,), daemon=True).start()

    def talk(self, sock):
        try:
            sock.sendall(self.hello)
            while data := sock.recv(4096):
                self.heard.append(data)
                sock.sendall(self.replies.get(data, b"?"))
        except OSError:
            pass
        sock.close()

    def stop(self):
        self.open = False
        self.listener.close()


def checked(weir, address, check, more=""):
    return weir(f"upstream u {{ server {address}; {check}; {more} }}\nsite * {{ proxy u }}\n")


def test_tcp(weir):
    t = Talker()
    w = checked(weir, t.address, f"check tcp {FAST}")
    wait_check(w, t.address, "up")
    t.stop()
    w = checked(weir, f"127.0.0.1:{free_port()}", f"check tcp {FAST}")
    wait_until(lambda: "refused" in str(w.status()["upstreams"]), 3, "refused")


def test_tcp_send_and_expect(weir):
    t = Talker(replies={b"PING\r\n": b"+PO"})
    w = checked(weir, t.address, f"check tcp {FAST} {{ send 'PING\\r\\n'; expect '+PONG\\r\\n' }}")
    wait_state(w, t.address, "down")
    assert server(w, t.address)["reason"] == "check failed: server did not answer in time"
    t.replies[b"PING\r\n"] = b"+PONG\r\n"
    wait_state(w, t.address, "up")
    assert set(t.heard) == {b"PING\r\n"}
    t.stop()


def test_tcp_greeting(weir):
    t = Talker(hello=b"220 mail ready\r\n")
    w = checked(weir, t.address, f"check tcp {FAST} {{ expect 220 }}")
    wait_check(w, t.address, "up")
    t.hello = b"421 busy\r\n"
    wait_state(w, t.address, "down")
    t.stop()


def test_tls_handshake_alone(weir, pki):
    with Origin(tls=server_context(pki.local)) as o, Origin() as plain:
        w = checked(weir, o.address, f"check tls {FAST}")
        wait_check(w, o.address, "up")
        w = checked(weir, o.address, f"check tls {FAST}", f"tls ca={pki.ca.crt}")
        wait_check(w, o.address, "up")
        w = checked(weir, o.address, f"check tls {FAST}", "tls")
        wait_state(w, o.address, "down")
        assert "certificate" in server(w, o.address)["reason"]
        w = checked(weir, plain.address, f"check tls {FAST}")
        wait_state(w, plain.address, "down")


def test_http_over_tls(weir, pki):
    with Origin(tls=server_context(pki.local)) as o:
        w = checked(weir, o.address, f"check / {FAST}", f"tls ca={pki.ca.crt}")
        wait_check(w, o.address, "up")
        o.script = answer("no", "500 No")
        wait_state(w, o.address, "down")
        w = checked(weir, o.address, f"check / {FAST}", "tls")
        wait_state(w, o.address, "down")
        assert "certificate" in server(w, o.address)["reason"]


# --------------------------------------------------------------------- HTTP/2, gRPC

def test_http2(weir):
    with H2Origin() as o:
        w = checked(weir, o.address, f"check /healthz {FAST}", "proto h2c")
        wait_check(w, o.address, "up")
        assert o.requests[0].get(":path") == "/healthz"
        o.script = lambda link, r: link.answer(r, status=503)
        wait_state(w, o.address, "down")
        assert server(w, o.address)["reason"] == "check failed: status 503"
        o.script = lambda link, r: link.close(rst=True)
        wait_until(lambda: "reset" in server(w, o.address)["reason"] or
                   "closed" in server(w, o.address)["reason"], 3, "a reset")
        o.script = lambda link, r: link.answer(r)
        wait_state(w, o.address, "up")


def grpc(status, message=b"", **trailers):
    """An answer of grpc.health.v1: `message` is the protobuf."""
    def script(link, r):
        assert r.get(":path") == "/grpc.health.v1.Health/Check" and r.get("te") == "trailers"
        link.answer(r, b"\0" + struct.pack(">I", len(message)) + message, headers=[("content-type", "application/grpc")],
                    trailers=[("grpc-status", str(status)), *trailers.items()])
    return script


def test_grpc(weir):
    with H2Origin(grpc(0, b"\x08\x01")) as o:
        w = checked(weir, o.address, f"check grpc my.Service {FAST}", "proto h2c")
        wait_check(w, o.address, "up")
        assert o.requests[0].body == b"\0\0\0\0\x0c\x0a\x0amy.Service"
        for script, reason in [(grpc(0, b"\x08\x02"), "NOT_SERVING"),
                               (grpc(5), "grpc-status 5"),
                               (lambda link, r: link.answer(r), "the answer is not gRPC: no grpc-status")]:
            o.script = script
            wait_until(lambda: server(w, o.address).get("reason") == f"check failed: {reason}", 5, reason)
        o.script = grpc(0, b"\x12\x01x\x08\x01")
        wait_state(w, o.address, "up")


def test_grpc_needs_http2():
    with pytest.raises(AssertionError, match="proto h2c"):
        Weir("upstream u { server 127.0.0.1:1; check grpc }\nsite * { proxy u }\n")


# --------------------------------------------------------------------- compared with the others

class Crowd:
    """Clients that ask all the time until told to stop; statuses and server names are kept. Who gets
    no answer leaves and asks again."""

    def __init__(self, w, clients=4, patience=5):
        self.w, self.going, self.seen, self.lock, self.patience = w, True, [], threading.Lock(), patience
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for t in self.threads:
            t.start()

    def run(self):
        while self.going:
            try:
                with self.w.client(timeout=self.patience) as c:
                    r = c.get()
            except (Closed, OSError):
                continue
            with self.lock:
                self.seen.append((r.status, r.text))

    def take(self):
        with self.lock:
            seen, self.seen = self.seen, []
        return seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.going = False
        for t in self.threads:
            t.join()


def three(weir, app, options="", balance="round_robin"):
    apps = [app(n) for n in "abc"]
    w = weir(f"upstream u {{ server @a@; server @b@; server @c@; balance {balance}; eject {options} }}\n"
             "site * { proxy u }\n", **{a.name: a.address for a in apps})
    return apps, w


def test_one_that_answers_500_goes_out_and_comes_back(weir, app):
    (a, _, _), w = three(weir, app, "for=1500ms")
    with Crowd(w) as crowd:
        time.sleep(1)
        assert {s for s, _ in crowd.take()} == {200}
        a.reply = answer("broken", "500 No")
        wait_state(w, a.address, "ejected", 4)
        assert "answered with 5xx" in server(w, a.address)["reason"]
        time.sleep(0.2)
        crowd.take()
        time.sleep(0.5)
        assert {s for s, _ in crowd.take()} == {200}
        a.reply = answer("a")
        wait_state(w, a.address, "up", 6)
        time.sleep(0.3)
        crowd.take()
        time.sleep(1)
        assert {n for _, n in crowd.take()} == {"a", "b", "c"}
    w.wait_stderr(f"server {a.address} of upstream u is left out for 1.5 s: ")
    w.wait_stderr(f"server {a.address} of upstream u is used again")
    assert w.metric("weir_server_ejections_total") == 1


def test_bad_requests_that_fail_everywhere_take_out_nobody(weir, app):
    apps, w = three(weir, app)
    for a in apps:
        a.reply = answer("your fault", "500 No")
    with Crowd(w):
        time.sleep(2.5)
    assert w.metric("weir_server_ejections_total") == 0
    assert w.metric("weir_server_errors_total") > 60


def test_5xx_are_not_counted_when_told_so(weir, app):
    (a, _, _), w = three(weir, app, "on=failures")
    a.reply = answer("broken", "500 No")
    with Crowd(w):
        time.sleep(2)
    assert state(w, a.address) == "up"


def test_one_that_breaks_every_other_answer(weir, app):
    """Never so often in a row that it goes for that."""
    (a, _, _), w = three(weir, app, "after=1000")
    turn = iter(range(10 ** 6))
    a.reply = lambda r: answer("a") if next(turn) % 3 == 0 else b"HTTP/1.1 nonsense\r\n\r\n"
    with Crowd(w):
        wait_state(w, a.address, "ejected", 5)
    assert "of its last" in server(w, a.address)["reason"]


@pytest.mark.parametrize("balance", ["round_robin", "two_choices"])
def test_one_that_is_slow_gets_little(weir, app, balance):
    (a, b, c), w = three(weir, app, balance=balance)
    b.reply, c.reply = ([0.005, answer(x.name)] for x in (b, c))
    a.reply = [0.005, answer("a")]
    with Crowd(w, 8) as crowd:
        time.sleep(1)
        a.reply = [0.1, answer("a")]
        time.sleep(2.5)
        crowd.take()
        time.sleep(1)
        seen = crowd.take()
    assert sum(n == "a" for _, n in seen) <= len(seen) * 0.05
    if balance == "round_robin":
        assert state(w, a.address) == "ejected"
        assert "its answers take" in server(w, a.address)["reason"]


def test_one_that_says_nothing(weir, app):
    (a, _, _), w = three(weir, app)
    hold = Hold()
    with Crowd(w, 12, patience=0.5) as crowd:
        time.sleep(1)
        a.reply = [hold, answer("a")]
        wait_state(w, a.address, "ejected", 6)
        assert "it answered none of" in server(w, a.address)["reason"]
        hold.release()
        crowd.take()
        time.sleep(0.5)
        assert {s for s, _ in crowd.take()} == {200}


def test_panic(weir, app):
    apps = [app(n) for n in "abcd"]
    for a in apps[:3]:
        a.health = answer("no", "503 No")
    text = "upstream u {{ servers @a@ @b@ @c@ @d@; balance round_robin; check /healthz {}; {} }}\n" \
           "site * {{ proxy u }}\n"
    names_of = {a.name: a.address for a in apps}
    w = weir(text.format(FAST, "eject panic=50%"), **names_of)
    for a in apps[:3]:
        wait_state(w, a.address, "down")
    wait_until(lambda: w.status()["upstreams"][0]["panic"], 3, "panic")
    assert names(w, 12) == {"a", "b", "c", "d"}
    apps[0].health = answer()
    wait_until(lambda: not w.status()["upstreams"][0]["panic"], 3, "no panic")
    assert names(w, 12) == {"a", "d"}


# --------------------------------------------------------------------- status text, stop

def test_weir_status_shows_it(weir, app):
    from kit import weir_cli
    a = app("a")
    a.health = answer("no", "503 No")
    w = weir(f"upstream u {{ server @a@; check /healthz {FAST} }}\nsite * {{ proxy u }}\n", a=a.address)
    wait_state(w, a.address, "down")
    out = weir_cli("status", "-c", str(w.config)).stdout
    assert "check failed: status 503" in out and "checks: down since" in out


def test_stops_in_the_middle_of_checks(weir):
    with Origin([Hold()]) as o:
        w = checked(weir, o.address, "check / every=1h timeout=1h")
        wait_until(lambda: o.requests, 3, "a check")
        began = time.monotonic()
        w.stop()
        assert time.monotonic() - began < 4
