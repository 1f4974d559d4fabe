# SPDX-License-Identifier: Apache-2.0
"""`connections`: how many may be open, of one address and in sum, and who goes when there is no place."""
import socket
import ssl
import struct
import time

import pytest

from kit import Client, Closed, Hold, Pki, answer, client_context, wait_until
from kit.h2raw import H2Raw

SITE = "site * { respond 200 ok }\n"
HEAD = b"GET / HTTP/1.1\r\nHost: a.test\r\n"
GOOD, BAD = "127.0.0.2", "127.0.0.9"


def bounded(bounds, site=SITE, more=""):
    return f"""workers 1
listen @listen@
admin @admin@
log access json to=@dir@/access.log
connections {bounds}
{more}
{site}"""


def open_from(w, source=None, count=1, data=b"", **kw):
    out = [Client(w.port, source=source, **kw) for _ in range(count)]
    for c in out:
        c.send(data)
    return out


def is_closed(c, seconds=2.0):
    """Did the other side close it, without a word?"""
    c.sock.settimeout(seconds)
    try:
        return c.sock.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def is_open(c):
    return not is_closed(c, 0.2)


def closed_count(all):
    return sum(is_closed(c, 0.02) for c in all)


def serves(w, source, seconds=2.0):
    try:
        with Client(w.port, timeout=seconds, source=source) as c:
            return c.get("/").status == 200
    except (OSError, Closed):
        return False


def start(weir, text, **kw):
    """And the connection that found out whether it listens is gone."""
    w = weir(text, **kw)
    wait_until(lambda: w.metric("weir_connections_accepted_total") > 0, 5, "that connection")
    counted(w, 0)
    return w


def counted(w, count):
    wait_until(lambda: w.metric("weir_connections_open") == count, 5, f"{count} connections")


def close_all(*lists):
    for all in lists:
        for c in all:
            c.close()


# ---- of one address

def test_as_many_as_may_be_and_no_more(weir):
    w = start(weir, bounded("per_ip=4"))
    four = open_from(w, BAD, 4)
    assert all(c.get("/").status == 200 for c in four)
    assert not serves(w, BAD)
    assert w.metric("weir_connections_refused_address_total") == 1
    assert serves(w, GOOD), "others have bounds of their own"
    four.pop().close()
    wait_until(lambda: serves(w, BAD), 3, "a place after a close")
    assert all(c.get("/").status == 200 for c in four)
    w.wait_stderr(f"{BAD} has 4 connections, as many as one address may have")


def test_the_log_has_a_line_a_second(weir):
    w = start(weir, bounded("per_ip=1"))
    with Client(w.port, source=BAD) as c:
        c.get("/")
        for _ in range(20):
            assert not serves(w, BAD)
        w.wait_stderr("as many as one address may have")
        time.sleep(1.1)
        assert w.stderr.count("as many as one address may have") == 1
        assert not serves(w, BAD)
        w.wait_stderr("19 lines like this left out")


def test_header_fields_have_no_influence(weir):
    w = start(weir, bounded("per_ip=2"))
    forged = [f"{n}: 10.0.0.{i}" for i in range(9) for n in ("X-Forwarded-For", "X-Real-IP")] + ["Forwarded: for=10.0.0.9"]
    two = open_from(w, BAD, 2)
    assert all(c.get("/", headers=forged).status == 200 for c in two)
    assert not serves(w, BAD)
    assert [r["address"] for r in w.status()["connections"]["most_by"]] == [BAD]


def test_trusted_proxies_have_no_bound_of_their_own(weir):
    w = start(weir, bounded("per_ip=2", more="trust 127.0.0.9 10.0.0.0/8"))
    many = open_from(w, BAD, 6)
    assert all(c.get("/", headers=["X-Forwarded-For: 1.2.3.4"]).status == 200 for c in many)
    two = open_from(w, GOOD, 2)
    assert all(c.get("/").status == 200 for c in two)
    assert not serves(w, GOOD)
    close_all(many, two)


def test_off_is_no_bound(weir):
    w = start(weir, bounded("per_ip=off max=off"))
    many = open_from(w, BAD, 1200)
    assert many[-1].get("/").status == 200
    assert w.status()["connections"]["most_by"] == [{"address": BAD, "connections": 1200}]
    close_all(many)


def test_the_default_of_one_address(weir):
    w = weir(SITE)
    share = max(1000, (20000 - 20000 // 8) // 10)
    many = open_from(w, BAD, 1000)
    assert many[-1].get("/").status == 200
    more = open_from(w, BAD, share + 1 - 1000)
    wait_until(lambda: w.metric("weir_connections_refused_address_total") <= 1, 5, "counts")
    close_all(many, more)


def test_ipv4_mapped_addresses_are_ipv4(weir):
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    text = bounded("per_ip=3").replace("listen @listen@", "listen @listen@\nlisten [::]:@six@")
    from kit import free_port
    w = weir(text, six=free_port())
    port = int(w.names["six"])
    all = [Client(("127.0.0.1", port), source=BAD) for _ in range(2)] + open_from(w, BAD, 1)
    assert [c.get("/").status for c in all] == [200] * 3
    assert not serves(w, BAD)
    six = [Client(("::1", port)) for _ in range(3)]
    assert [c.get("/").status for c in six] == [200] * 3
    assert is_closed(Client(("::1", port)))
    assert {(r["address"], r["connections"]) for r in w.status()["connections"]["most_by"]} == {(BAD, 3), ("::/64", 3)}
    close_all(all, six)


def test_streams_of_h2_are_one_connection(weir):
    w = start(weir, bounded("per_ip=2"))
    with H2Raw(w.port) as a, H2Raw(w.port) as b:
        for h in (a, b):
            for n in range(1, 11, 2):
                h.request(n)
            for n in range(1, 11, 2):
                assert h.response(n)[0] == 200
        counted(w, 2)
        assert is_closed(Client(w.port))


# ---- handshakes

TLS = """workers 1
listen @listen@
listen @tls@ tls
admin @admin@
connections {bounds}
site a.test {{
    tls cert=@crt@ key=@key@
    respond 200 ok
}}
site * {{ respond 200 ok }}
"""


@pytest.fixture(scope="module")
def cert(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki")).cert("a.test")


def test_handshakes_count(weir, cert):
    w = start(weir, TLS.format(bounds="per_ip=3"), crt=cert.crt, key=cert.key)
    mute = [Client(("127.0.0.1", w.tls_port), source=BAD) for _ in range(2)]
    half = Client(("127.0.0.1", w.tls_port), source=BAD)
    half.send(b"\x16\x03\x01\x02\x00\x01")
    wait_until(lambda: w.metric("weir_tls_handshakes_open") == 3, 3, "handshakes")
    assert is_closed(Client(("127.0.0.1", w.tls_port), source=BAD))
    assert not serves(w, BAD), "whatever the listener"
    mute.pop().close()
    wait_until(lambda: serves(w, BAD), 3, "a place after a close")
    close_all(mute, [half])


def test_a_handshake_gives_way(weir, cert):
    w = start(weir, TLS.format(bounds="max=12"), crt=cert.crt, key=cert.key)
    mute = [Client(("127.0.0.1", w.tls_port), source=BAD) for _ in range(12)]
    wait_until(lambda: w.metric("weir_tls_handshakes_open") == 12, 3, "handshakes")
    context = ssl.create_default_context(cafile=None)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    good = Client(("127.0.0.1", w.tls_port), source=GOOD)
    with context.wrap_socket(good.sock, server_hostname="a.test") as s:
        s.sendall(HEAD + b"\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200")
        assert closed_count(mute) == 1
        assert w.metric("weir_connections_evicted_sum_total") == 1
    close_all(mute)


# ---- in sum

def test_as_many_as_may_be_in_sum(weir):
    """Everybody has one, and is at work: nobody has to give way."""
    w = start(weir, bounded("max=3"))
    busy = [open_from(w, f"127.0.0.{n}", 1, HEAD)[0] for n in (11, 12, 13)]
    counted(w, 3)
    assert not serves(w, GOOD)
    assert w.metric("weir_connections_refused_sum_total") == 1
    busy.pop().close()
    wait_until(lambda: serves(w, GOOD), 3, "a place after a close")
    w.wait_stderr("3 connections are open, as many as there may be")
    close_all(busy)


def test_idle_ones_of_the_worst_go_first(weir):
    w = start(weir, bounded("max=20"))
    idle = open_from(w, BAD, 6)
    busy = open_from(w, BAD, 8, HEAD)
    few = open_from(w, "127.0.0.3", 5)
    assert all(c.get("/").status == 200 for c in idle + few)
    counted(w, 19)
    good = open_from(w, GOOD, 4)
    assert all(c.get("/").status == 200 for c in good)
    assert closed_count(idle) == 3 and closed_count(busy) == 0 and closed_count(few) == 0
    assert w.metric("weir_connections_evicted_sum_total") == 3
    assert w.metric("weir_connections_evicted_busy_total") == 0
    assert w.metric("weir_connections_refused_sum_total") == 0
    w.wait_stderr(f"connections run short: a connection of {BAD}, which has 14, was closed")
    close_all(idle, busy, few, good)


def test_then_its_slowest(weir):
    w = start(weir, bounded("max=20"))
    slow = open_from(w, BAD, 17, HEAD)
    quick = open_from(w, BAD, 3, HEAD + b"X: " + b"x" * 8000)
    counted(w, 20)
    good = open_from(w, GOOD, 5)
    assert all(c.get("/").status == 200 for c in good)
    assert closed_count(slow) == 5 and closed_count(quick) == 0
    assert w.metric("weir_connections_evicted_busy_total") == 5
    close_all(slow, quick, good)


def test_the_worst_gets_nobodys_place(weir):
    w = start(weir, bounded("max=20"))
    few = [c for n in range(10, 15) for c in open_from(w, f"127.0.0.{n}", 2)]
    assert all(c.get("/").status == 200 for c in few)
    bad = open_from(w, BAD, 10, HEAD)
    counted(w, 20)
    assert not any(serves(w, BAD) for _ in range(5))
    assert closed_count(few) == 0 and closed_count(bad) == 0
    assert w.metric("weir_connections_refused_sum_total") == 5
    close_all(few, bad)


def test_among_equals_who_never_asked_goes(weir):
    """One connection of each address, as from a swarm."""
    w = start(weir, bounded("max=12"))
    swarm = [open_from(w, f"127.0.1.{n}", 1, HEAD)[0] for n in range(1, 13)]
    counted(w, 12)
    assert not serves(w, GOOD), "they have just come"
    time.sleep(3.1)
    assert serves(w, GOOD)
    assert closed_count(swarm) == 1
    close_all(swarm)


def test_a_tunnel_or_a_request_of_the_few_stays(weir, origin):
    hold = Hold()
    w = start(weir, bounded("max=30", "site * { proxy @o@ }\n"),
             o=origin(lambda r: [hold, answer("ok")] if r.target == "/held" else answer("ok")))
    held = Client(w.port, source=GOOD, timeout=10)
    held.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_until(hold.reached.is_set, 5, "the request")
    bad = open_from(w, BAD, 40, HEAD)
    others = [Client(w.port, source=f"127.0.0.{n}") for n in range(20, 30)]
    assert all(c.get("/").status == 200 for c in others)
    time.sleep(2.2)
    hold.release()
    assert held.response().status == 200
    close_all([held], bad, others)


def test_workers_count_together(weir):
    w = start(weir, bounded("per_ip=40 max=60").replace("workers 1", "workers 4"))
    bad = open_from(w, BAD, 100)
    wait_until(lambda: w.metric("weir_connections_refused_address_total") == 60, 5, "the refusals")
    assert w.metric("weir_connections_open") == 40
    good = [Client(w.port, source=f"127.0.0.{n}") for n in range(20, 40)]
    assert all(c.get("/").status == 200 for c in good)
    assert w.metric("weir_connections_open") == 60
    close_all(bad, good)
    counted(w, 0)
    assert w.status()["connections"]["most_by"] == []


def test_a_reload_changes_bounds_and_no_counts(weir):
    w = start(weir, bounded("per_ip=4"))
    four = open_from(w, BAD, 4)
    assert all(c.get("/").status == 200 for c in four)
    w.reload(bounded("per_ip=6"))
    two = open_from(w, BAD, 2)
    assert all(c.get("/").status == 200 for c in two)
    assert not serves(w, BAD)
    w.reload(bounded("per_ip=2"))
    assert not serves(w, BAD)
    assert all(c.get("/").status == 200 for c in four + two), "who is in stays"
    close_all(four, two)
    wait_until(lambda: serves(w, BAD), 3, "places")


def test_descriptors_go_to_the_well_behaved(weir):
    w = start(weir, bounded("max=off per_ip=off"), nofile=120)
    bad = open_from(w, BAD, 150, HEAD)
    for n in range(40):
        assert serves(w, f"127.0.0.{20 + n}"), n
    assert w.metric("weir_connections_evicted_descriptors_total") >= 1
    close_all(bad)


def test_words(weir, tmp_path):
    from kit import weir_cli
    conf = tmp_path / "c.conf"
    for words, text in (("", "takes max=COUNT"), ("max=0", "1 to"), ("per_ip=x", ""), ("most=3", "no option")):
        conf.write_text(f"listen 127.0.0.1:1\nconnections {words}\n{SITE}")
        done = weir_cli("check", "-c", conf)
        assert done.returncode != 0 and text in done.stderr, (words, done.stderr)


def test_explain_says_what_is_configured(tmp_path):
    from kit import weir_cli
    conf = tmp_path / "c.conf"
    for words, text in (("max=50 per_ip=off", "connections: any number of one address, 50 in sum"),
                        ("per_ip=7", "connections: 7 of one address, the default in sum")):
        conf.write_text(f"listen 127.0.0.1:1\nconnections {words}\n{SITE}")
        assert text in weir_cli("explain", "http://a.test/", "-c", conf).stdout


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


WAYS_TO_END = ["garbage", "half a hello", "a hello and a reset", "TLS, then a reset", "h2 over TLS", "h2 and a reset", "h2 preface cut",
               "a request and a reset", "half a head", "pipelined", "a tunnel", "a tunnel and a reset", "an answer nobody reads"]


def end_by(w, way, context):
    """Opens one or two connections of BAD and leaves in this way; what the server ends stays open here."""
    def plain(data=b""):
        return open_from(w, BAD, 1, data)[0]

    def tls(data=b""):
        c = Client(("127.0.0.1", w.tls_port), source=BAD)
        c.send(data)
        return c
    head = HEAD + b"\r\n"
    if way == "garbage":
        return [plain(b"\0\1\2\r\n\r\n"), tls(b"GET / HTTP/1.1\r\n\r\n")]
    if way == "half a hello":
        return [tls(b"\x16\x03\x01\x02\x00\x01\0").close()]
    if way == "a hello and a reset":
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            context.wrap_bio(incoming, outgoing, server_hostname="a.test").do_handshake()
        except ssl.SSLWantReadError:
            pass
        c = tls(outgoing.read())
        time.sleep(0.05)
        return [reset(c.sock)]
    if way in ("TLS, then a reset", "h2 over TLS"):
        c = context.wrap_socket(tls().sock, server_hostname="a.test")
        if c.selected_alpn_protocol() == "h2":
            c.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        return [reset(c) if way != "h2 over TLS" else c.close()]
    if way == "h2 and a reset":
        return [reset(plain(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0").sock)]
    if way == "h2 preface cut":
        return [plain(b"PRI * HTTP/2.0\r\n\r\nS").close(), plain(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"x" * 40)]
    if way == "a request and a reset":
        return [reset(plain(head).sock), reset(plain(head.replace(b"/", b"/slow", 1)).sock)]
    if way == "half a head":
        return [reset(plain(HEAD).sock), plain(HEAD).close()]
    if way == "pipelined":
        return [plain(head * 20).close()]
    if way.startswith("a tunnel"):
        c = plain(b"GET /tunnel HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        assert c.response(body=False).status == 101
        return [reset(c.sock) if way.endswith("reset") else c.close()]
    c = Client(w.port, source=BAD, rcvbuf=4096)
    c.send(HEAD.replace(b"/", b"/large", 1) + b"\r\n")
    time.sleep(0.1)
    return [reset(c.sock)]


def test_every_way_to_end_gives_the_place_back(weir, origin, cert):
    tunnel = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    replies = {"/tunnel": [tunnel, 0.5], "/slow": [0.5, answer("late")], "/large": answer(b"x" * (4 << 20))}
    o = origin(lambda r: replies.get(r.target, answer("ok")))
    text = TLS.format(bounds="per_ip=100").replace("respond 200 ok", f"proxy {o.address}")
    w = start(weir, text, crt=cert.crt, key=cert.key)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    kept = []
    for turn in range(2):
        for protocols in ["h2", "http/1.1"], ["http/1.1"]:
            context.set_alpn_protocols(protocols)
            for way in WAYS_TO_END:
                kept += end_by(w, way, context)
        if turn == 0:  # and while a reload takes a listener away and brings it back
            kept += open_from(w, BAD, 3) + [Client(("127.0.0.1", w.tls_port), source=BAD)]
            w.reload(text.replace("listen @tls@ tls\n", "").replace("tls cert=@crt@ key=@key@", ""))
            w.reload(text)
    close_all([c for c in kept if c])
    counted(w, 0)
    assert w.status()["connections"]["addresses"] <= 1  # this question's own, if at all
    assert serves(w, GOOD)
