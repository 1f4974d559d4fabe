# SPDX-License-Identifier: Apache-2.0
"""WebSocket over all four ways: HTTP/1.1 and HTTP/2 to clients, HTTP/1.1 and HTTP/2 to servers. Both ends are
the package ws (tests/node/ws-cases.js, ws-origin.js); what it would not do is said by hand."""
import re
import socket
import struct
import subprocess
import threading
import time

import pytest

from h2_origin import H2Origin
from kit import CLOSE, ROOT, Origin, Pki, Weir, free_port, memory, wait_until
from kit import h2raw
from kit.h2raw import H2Raw
from kit.tools import die_with_parent, need, run, stop
from peers import Peer

NODE = ROOT / "tests/node"
WAYS = ["h1-h1", "h1-h2", "h2-h1", "h2-h2"]
each_way = pytest.mark.parametrize("way", WAYS)

if not (NODE / "node_modules/ws").exists():
    pytest.skip("npm package ws is not installed (tools/setup test)", allow_module_level=True)


class WsOrigin(Peer):
    def __init__(self, version):
        port = free_port()
        super().__init__([need("node"), str(NODE / "ws-origin.js"), str(port), version], port)


@pytest.fixture(scope="module")
def origins():
    both = {version: WsOrigin(version) for version in ("h1", "h2")}
    yield both
    for o in both.values():
        o.close()


def site(way, policies=""):
    proto = " { proto h2c }" if way.endswith("h2") else ""
    return f"site * {{\n{policies}\nproxy @o@{proto}\n}}\n"


def proxied(origins, way, policies=""):
    return Weir(site(way, policies), o=origins[way.split("-")[1]])


def case(w, name, way, *more, seconds=50, url=None):
    done = run("node", NODE / "ws-cases.js", name, url or f"ws://127.0.0.1:{w.port}", way.split("-")[0], *more,
               seconds=seconds)
    assert done.stdout.strip().endswith("ok"), done.stdout + done.stderr
    return done.stdout


@each_way
@pytest.mark.parametrize("name", ["negotiation", "messages", "fragments", "ping", "codes", "aborted", "refusals",
                                  "beside"])
def test_case(origins, way, name):
    with proxied(origins, way) as w:
        case(w, name, way)
        wait_until(lambda: w.metric("weir_requests_active") == 0, 5, "the end of every tunnel")


@each_way
@pytest.mark.seconds(120)
def test_64_mb_messages(origins, way):
    """Both ways, compared by their hashes; what is on its way stays small."""
    with proxied(origins, way) as w:
        case(w, "large", way, seconds=100)
        assert w.rss_kb("VmHWM") < memory(60_000)


@pytest.mark.parametrize("way", ["h1-h1", "h2-h1"])
def test_answer_that_does_not_switch(origins, way):
    with proxied(origins, way) as w:
        case(w, "not_switched", way)


def test_over_tls(origins, tmp_path):
    """wss: on both versions, to a server with HTTP/2; a certificate for the client to check."""
    pki = Pki(tmp_path)
    cert = pki.cert("a.test", "127.0.0.1")
    text = ("workers 1\nlisten @listen@\nlisten @tls@ tls\nadmin @admin@\nlog access json to=@dir@/access.log\n"
            "site * {\ntls cert=@crt@ key=@key@\nproxy @o@ { proto h2c }\n}\n")
    with Weir(text, crt=cert.crt, key=cert.key, o=origins["h2"]) as w:
        for way, proto in (("h1-h2", "HTTP/1.1"), ("h2-h2", "HTTP/2.0")):
            for name in ("negotiation", "messages", "codes"):
                case(w, name, way, str(pki.ca.crt), url=f"wss://127.0.0.1:{w.tls_port}")
            seen = [a for a in w.access() if a["path"] == "/head"]
            assert (seen[-1]["proto"], seen[-1]["scheme"], seen[-1]["status"]) == (proto, "https", 101)


# ---------------------------------------------------------------- many, through reloads

class Many:
    """The case "many": that many open sockets, which echo when told."""

    def __init__(self, w, way, count):
        self.count = count
        self.process = subprocess.Popen(
            ["node", str(NODE / "ws-cases.js"), "many", f"ws://127.0.0.1:{w.port}", way.split("-")[0], str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.expect(f"open {count}")

    def expect(self, line):
        assert self.process.stdout.readline().strip() == line

    def echo(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        self.expect(f"echoed {self.count}")

    def end(self):
        self.process.stdin.close()
        self.expect("ok")
        self.process.wait(10)


@pytest.mark.seconds(150)
@pytest.mark.parametrize("way,count", [("h1-h1", 1000), ("h2-h1", 1000), ("h1-h2", 200), ("h2-h2", 200)])
def test_sockets_survive_ten_reloads(origins, way, count):
    """Each still echoes, on the connection that it had; old configurations cost nothing to speak of."""
    with proxied(origins, way) as w:
        many = Many(w, way, count)
        try:
            many.echo("before")
            for i in range(2):  # what reloading needs once
                w.reload(site(way) + f"# warm {i}\n")
            many.echo("warm")
            before = w.rss_kb()
            for i in range(10):
                w.reload(site(way) + f"# {i}\n")
                many.echo(f"after {i}")
            assert w.rss_kb() - before < memory(1500)
            assert w.metric("weir_requests_active") == count
            if way.startswith("h2"):
                assert w.metric("weir_h2_connections_total") == count / 100
            many.end()
            wait_until(lambda: w.metric("weir_requests_active") == 0, 10, "the end of every tunnel")
            assert w.access(count)[-1]["status"] == 101
        finally:
            stop(many.process)


# ---------------------------------------------------------------- silence

@each_way
def test_silence_shorter_than_the_limit(origins, way):
    """Words every 0.6 s keep a tunnel with a limit of 1 s, whoever says them; then silence ends it."""
    with proxied(origins, way, "timeout tunnel=1s") as w:
        closed = case(w, "silent", way, "600")
        after = int(re.search(r"closed after (\d+)", closed)[1])
        assert 900 <= after < 3000
        case(w, "listening", way, "600")

        def errors():
            return [a.get("error") for a in w.access() if a["status"] == 101]
        wait_until(lambda: len(errors()) == 2, 3, "both in the log")
        assert errors()[0] == "tunnel_idle" and errors()[1] in (None, "client_closed")  # node leaves at once


# ---------------------------------------------------------------- by hand: ends of one direction, and breaks

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SWITCHED = (f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n").encode()


def ask(key=f"Sec-WebSocket-Key: {KEY}\r\n", version="13"):
    return (f"GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: {version}\r\n{key}\r\n").encode()


class H1Side:
    """A tunnel through weir, from the client: say, hear, end one direction, break."""

    def __init__(self, w):
        self.c = w.client()
        self.c.send(ask())
        assert self.c.response(body=False).status == 101

    def say(self, data):
        self.c.send(data)

    def hear(self, n):
        return self.c.take(n)

    def end(self):
        self.c.half_close()

    def ended(self):
        """The other end has ended its direction, or broken it."""
        while self.c.fill():
            pass
        return True

    def broken(self):
        return self.ended() and self.c.reset

    def abort(self):
        reset(self.c.sock)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class H2Side:
    def __init__(self, w):
        self.c = H2Raw(w.port)
        self.c.fields(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/ws"),
                          (":authority", "a.test"), ("sec-websocket-version", "13")], end=False)
        assert self.c.of(h2raw.HEADERS).get(":status") == "200"
        self.taken = 0

    def say(self, data):
        self.c.say(h2raw.DATA, 0, 1, data)

    def heard(self):
        return b"".join(f.payload for f in self.c.frames if f.type == h2raw.DATA)

    def hear(self, n):
        self.c.wait(lambda _f: len(self.heard()) >= self.taken + n)
        self.taken += n
        return self.heard()[self.taken - n:self.taken]

    def end(self):
        self.c.say(h2raw.DATA, h2raw.END_STREAM, 1)

    def ended(self):
        return self.c.wait(lambda f: f.type == h2raw.RST_STREAM or
                           (f.type == h2raw.DATA and f.flags & h2raw.END_STREAM)) is not None

    def broken(self):
        return self.c.reset(1) is not None

    def abort(self):
        self.c.say(h2raw.RST_STREAM, 0, 1, b"\0\0\0\x08")


class H1Servers:
    """Switches, then does as the script says: `script(hear, say, end, abort)` in its own thread."""

    def __init__(self, script):
        def run_script(s):
            s.settimeout(10)
            script(s.recv, s.sendall, lambda: s.shutdown(1), lambda: reset(s))
        self.origin = Origin([SWITCHED, run_script, CLOSE])
        self.address, self.stop, self.proto = self.origin.address, self.origin.stop, ""


class H2Servers:
    def __init__(self, script):
        self.script = script
        self.origin = H2Origin(lambda *_: None, on_head=self.start, settings={3: 100, 4: 65535, 8: 1})
        self.address, self.stop, self.proto = self.origin.address, self.origin.stop, " { proto h2c }"

    def start(self, link, r):
        link.head(r)
        threading.Thread(target=self.run_script, args=(link, r), daemon=True).start()

    def run_script(self, link, r):
        taken = 0

        def whole():
            return any(q is r for q in self.origin.requests) or r.reset is not None

        def hear(n):
            nonlocal taken
            wait_until(lambda: len(r.body) > taken or whole(), 10, "bytes or the end")
            data = r.body[taken:taken + n]
            taken += len(data)
            if not data and r.reset is not None:
                raise ConnectionResetError
            return data

        def locked(act):
            with link.lock:
                act()
                link.flush()
        self.script(hear, lambda data: locked(lambda: link.h2.send_data(r.stream, data)),
                    lambda: locked(lambda: link.h2.end_stream(r.stream)), lambda: locked(lambda: link.reset(r, 8)))


SIDES = {"h1": H1Side, "h2": H2Side}
SERVERS = {"h1": H1Servers, "h2": H2Servers}


class Tunnel:
    def __init__(self, way, script):
        side, server = way.split("-")
        self.server = SERVERS[server](script)
        self.weir = Weir(f"site * {{ proxy @o@{self.server.proto} }}\n", o=self.server)
        self.client = SIDES[side](self.weir)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                wait_until(lambda: self.weir.metric("weir_requests_active") == 0, 5, "the end of the tunnel")
                self.logged = self.weir.access(1)[-1]
        finally:
            self.client.c.sock.close()
            self.server.stop()
            self.weir.__exit__(kind)


@each_way
def test_client_ends_its_direction_first(way):
    """The server goes on after it has seen the end."""
    def script(hear, say, end, _abort):
        assert hear(100) == b"question"
        assert hear(100) == b""
        say(b"late answer")
        end()
    with Tunnel(way, script) as t:
        t.client.say(b"question")
        time.sleep(0.05)
        t.client.end()
        assert t.client.hear(11) == b"late answer"
        assert t.client.ended()
    assert t.logged["status"] == 101 and "error" not in t.logged


@each_way
def test_server_ends_its_direction_first(way):
    """The client goes on: what it says still arrives."""
    heard = []

    def script(hear, say, end, _abort):
        say(b"greeting")
        end()
        while data := hear(100):
            heard.append(data)
    with Tunnel(way, script) as t:
        assert t.client.hear(8) == b"greeting"
        assert t.client.ended()
        t.client.say(b"still ")
        t.client.say(b"here")
        t.client.end()
        wait_until(lambda: b"".join(heard) == b"still here", 5, "what the client says")
    assert "error" not in t.logged


@each_way
def test_server_breaks(way):
    """The client is not told a clean end."""
    def script(hear, say, _end, abort):
        hear(100)
        say(b"half a mess")
        time.sleep(0.1)
        abort()
    with Tunnel(way, script) as t:
        t.client.say(b"go")
        assert t.client.hear(11) == b"half a mess"
        assert t.client.broken()
    assert t.logged["error"] == "origin_reset"


@each_way
def test_client_breaks(way):
    outcome = []

    def script(hear, say, _end, _abort):
        say(b"hello")
        try:
            while hear(100):
                pass
            outcome.append("ended")
        except ConnectionResetError:
            outcome.append("broken")
    with Tunnel(way, script) as t:
        assert t.client.hear(5) == b"hello"
        t.client.abort()
        wait_until(lambda: outcome, 5, "what the server saw")
    assert t.logged["error"] == "client_reset"
    assert outcome == ["broken"]


# ---------------------------------------------------------------- keys

BAD_KEYS = {"none": "", "short": "Sec-WebSocket-Key: c2hvcnQ=\r\n", "no base64": "Sec-WebSocket-Key: ?\r\n",
            "two": f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Key: {KEY}\r\n"}


@pytest.mark.parametrize("way", ["h1-h1", "h1-h2"])
@pytest.mark.parametrize("key", BAD_KEYS)
def test_wrong_key(origins, way, key):
    """Refused by the server. One with HTTP/2 sees no keys: it gets a GET, and no tunnel."""
    with proxied(origins, way) as w, w.client() as c:
        c.send(ask(BAD_KEYS[key]))
        r = c.response()
        assert (r.status, r.text) == (200, "plain") if way == "h1-h2" else r.status == 400


def test_proof_is_made_of_the_key(origins):
    """To a server with HTTP/2 there is no key: weir answers for it."""
    with proxied(origins, "h1-h2") as w, w.client() as c:
        c.send(ask().replace(b"/ws", b"/echo"))
        assert c.response(body=False).get("Sec-WebSocket-Accept") == ACCEPT
