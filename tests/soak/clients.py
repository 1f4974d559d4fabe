# SPDX-License-Identifier: Apache-2.0
"""The scripted clients of the soak test: threads that talk to weir and check every byte of every answer.
Each kind runs in a process of its own (run_kind) and hands back a Tally.

A trouble is anything that a client did not like, with its times; verdict.py decides whether a killed process
or a server that died excuses it."""
import collections
import dataclasses
import random
import socket
import ssl
import struct
import threading
import time

from kit.certs import client_context
from kit.client import Client, Closed, TlsClient
from words import due

PATIENCE_S = 20


@dataclasses.dataclass
class Trouble:
    kind: str
    id: str
    what: str
    began: float            # of the request; of the last life sign when nothing was under way
    ended: float
    method: str = "GET"
    is_partial: bool = False  # the answer had begun
    opened: float = 0         # the connection
    is_wrong: bool = False    # a whole answer, but not the right one: nothing excuses that


@dataclasses.dataclass
class Tally:
    kind: str
    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    troubles: list = dataclasses.field(default_factory=list)
    issued: dict = dataclasses.field(default_factory=dict)     # client -> how many ids
    good_at: list = dataclasses.field(default_factory=list)    # of probes: when answered
    lives: list = dataclasses.field(default_factory=list)      # of connections: (opened, closed)
    moves: list = dataclasses.field(default_factory=list)      # of sessions: (client, from, to, since, at)


class Wrong(Exception):
    """An answer that is whole and not ours."""


class Failed(Exception):
    """A whole answer that says that it did not work; the connection may go on."""


class Talker(threading.Thread):
    """One client. Subclasses have once(), which does one thing and is called until the end."""
    pause_s = 0.05

    def __init__(self, world, tally, lock, number):
        super().__init__(daemon=True)
        self.world, self.tally, self.lock = world, tally, lock
        self.name = f"{tally.kind}{number}"
        self.number = number
        self.rand = random.Random(self.name)
        self.sequence = 0
        self.conn = self.opened = self.context = self.session = None
        self.alive_at = time.monotonic()
        self.answers = open(f"{world.dir}/answers-{self.name}", "w")

    # -- bookkeeping

    def next_id(self):
        self.sequence += 1
        return f"{self.name}-{self.sequence}"

    def count(self, word, n=1):
        with self.lock:
            self.tally.counts[word] += n

    def trouble(self, request_id, what, began, **more):
        with self.lock:
            self.tally.troubles.append(Trouble(self.tally.kind, request_id, what, began,
                                               time.monotonic(), opened=self.opened or 0, **more))

    # -- connections

    def port(self):
        return self.world.port

    def dial(self, **kw):
        """Each third client speaks TLS, of these each third 1.2 at most; tickets are kept."""
        if self.number % 3 != 1:
            return Client(self.port(), timeout=PATIENCE_S, **kw)
        if not self.context:
            self.context = client_context(self.world.ca, tls12=self.number % 9 == 1)
        c = TlsClient(self.world.tls_port, self.context, "soak.test", self.session,
                      timeout=PATIENCE_S, **kw)
        self.count("tls")
        self.count("resumed", c.sock.session_reused)
        return c

    def connect(self, **kw):
        if self.conn is None:
            began = time.monotonic()
            try:
                self.conn = self.dial(**kw)
            except OSError as e:
                shaking = isinstance(e, ssl.SSLError) or isinstance(e, ConnectionResetError)
                self.opened = began
                self.trouble("", f"connect: {e!r}", began, method="SHAKE" if shaking else "CONNECT")
                time.sleep(0.2)
                raise
            self.opened = self.alive_at = time.monotonic()
            self.count("connections")
        return self.conn

    def drop(self):
        if self.conn:
            if self.context and self.conn.sock.session:
                self.session = self.conn.sock.session
            self.tally.lives.append((self.opened, time.monotonic()))
            self.conn.close()
        self.conn = None

    def still_open(self):
        """Between two requests: did weir close the connection?"""
        c = self.conn
        if c and c.idle_end():
            what = "bytes that nobody asked for" if c.buf else "closed while idle"
            self.trouble("", what, self.alive_at, method="IDLE", is_wrong=c.buf != b"")
            self.drop()

    # -- requests

    def head(self, method, path, fields=()):
        lines = [f"{method} {path} HTTP/1.1", "Host: soak.test", *fields, "", ""]
        return "\r\n".join(lines).encode()

    def check(self, r, request_id, body):
        if r.status >= 500:
            if r.get("Connection", "").lower() == "close":
                self.drop()
            raise Failed(f"status {r.status} of {r.get('X-Server')}: {r.body[:80]!r}")
        if r.status != 200 or r.get("X-Id") != request_id:
            raise Wrong(f"status {r.status}, id {r.get('X-Id')}: {r.body[:80]!r}")
        if not r.complete:
            raise Closed("the answer broke off")
        if r.body != body:
            raise Wrong(f"{len(r.body)} bytes that are not the {len(body)} due")
        self.answers.write(f"{request_id} {r.get('X-Server')}\n")
        self.count("answers")
        self.count("bytes", len(r.body))
        self.alive_at = time.monotonic()
        if r.get("Connection", "").lower() == "close":  # an upgrade: all is well, go on elsewhere
            self.count("told")
            self.is_last = True

    def attempt(self, request_id, method, talk):
        """talk(connection) raises when something is wrong. True: all is well."""
        began = time.monotonic()
        self.is_last = False
        try:
            talk(self.connect())
            if self.is_last:
                self.drop()
            return True
        except Wrong as e:
            self.trouble(request_id, str(e), began, method=method, is_wrong=True)
        except Failed as e:
            self.trouble(request_id, str(e), began, method=method)
            if method == "POST":  # how much of the body will be taken, nobody can know
                self.drop()
            return False
        except TimeoutError:
            self.trouble(request_id, f"nothing within {PATIENCE_S} s", began, method=method)
        except (ValueError, AssertionError) as e:
            self.trouble(request_id, f"malformed: {e!r}", began, method=method, is_wrong=True)
        except (Closed, OSError) as e:
            if self.conn is not None:  # else connect() has told
                partial = "broke off" in str(e) or bool(self.conn.buf)
                self.trouble(request_id, repr(e)[:200], began, method=method, is_partial=partial)
        self.drop()
        return False

    def get(self, path, size, method="GET"):
        request_id = self.next_id()

        def talk(c):
            c.send(self.head(method, f"{path}/{request_id}/{size}"))
            self.check(c.response(method), request_id,
                       b"" if method == "HEAD" else due(request_id, size))
        return self.attempt(request_id, method, talk)

    def post(self, path, size, chunked=False):
        request_id = self.next_id()
        body = due(request_id, size)

        def talk(c):
            field = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
            c.send(self.head("POST", f"{path}/{request_id}/{size}", [field]))
            if chunked:
                for at in range(0, size, 30000):
                    piece = body[at:at + 30000]
                    c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                c.send(b"0\r\n\r\n")
            else:
                c.send(body)
            self.check(c.response(), request_id, b"ok %d" % size)
            self.count("posted", size)
        return self.attempt(request_id, "POST", talk)

    def run(self):
        while not self.world.stop.is_set():
            try:
                self.once()
            except OSError:
                pass  # connect() has told
            self.world.stop.wait(self.pause_s * self.rand.uniform(0.5, 1.5))
        self.drop()
        self.answers.close()
        with self.lock:
            self.tally.issued[self.name] = self.sequence


class KeepAlive(Talker):
    """One connection for the whole run, on either listener; also pipelines."""
    sizes = (0, 1, 100, 1000, 1000, 5000, 16384, 65536, 300000)

    def port(self):
        # The second listener comes and goes: it is there at the start.
        first = self.opened is None and self.number < 4
        return self.world.second_port if first else self.world.port

    def once(self):
        self.still_open()
        dice = self.rand.random()
        size = self.rand.choice(self.sizes)
        if dice < 0.5:
            self.get("/e", size)
        elif dice < 0.65:
            self.get("/c", size)
        elif dice < 0.67:
            self.get("/d", size)
        elif dice < 0.7:
            self.get("/w", min(size, 5000))
        elif dice < 0.75:
            self.get("/e", size, "HEAD")
        elif dice < 0.9:
            self.post("/p", min(size, 20000), self.rand.random() < 0.5)
        else:
            self.pipeline(self.rand.randint(2, 5))

    def pipeline(self, count):
        wanted = [(self.next_id(), self.rand.choice(self.sizes[:6])) for _ in range(count)]

        def talk(c):
            c.send(b"".join(self.head("GET", f"/e/{i}/{size}") for i, size in wanted))
            for request_id, size in wanted:
                self.check(c.response(), request_id, due(request_id, size))
                if self.is_last:
                    return
        if not self.attempt(wanted[0][0], "GET", talk):
            self.drop()  # answers that nobody read


class Poster(Talker):
    """Bodies of all sizes, with a length and in chunks."""
    pause_s = 0.15

    def once(self):
        self.still_open()
        size = int(2 ** self.rand.uniform(0, 22))
        self.post("/p", size, self.rand.random() < 0.5)


class Tunnel(Talker):
    """One tunnel for the whole run, echoes checked."""
    pause_s = 0.25

    def fields(self):
        """Each second one is a WebSocket, as far as the handshake goes: nobody looks into what follows."""
        if self.number % 2:
            return ["Upgrade: websocket", "Sec-WebSocket-Version: 13",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        return ["Upgrade: echo"]

    def open(self):
        request_id = self.next_id()
        path = "/2t/t" if self.number % 4 == 1 else "/s/t"

        def talk(c):
            c.send(self.head("GET", f"{path}/{request_id}/0", ["Connection: Upgrade", *self.fields()]))
            r = c.head()
            if r.status != 101 or r.get("X-Id") != request_id:
                raise Closed(f"status {r.status}")
            self.count("tunnels")
        return self.attempt(request_id, "GET", talk)

    def once(self):
        if self.conn is None and not self.open():
            return
        self.sequence += 1
        data = due(f"{self.name}-{self.sequence}", self.rand.choice((1, 50, 2000, 30000)))

        def talk(c):
            c.send(data)
            if c.take(len(data)) != data:
                raise Wrong("a tunnel that changes bytes")
            self.count("echoes")
        self.attempt(f"{self.name}-{self.sequence}", "TUNNEL", talk)


class SlowReader(Talker):
    """Takes a large answer at a few hundred KB/s."""
    pause_s = 0.5

    def once(self):
        request_id, size = self.next_id(), 3000000

        def talk(c):
            c.send(self.head("GET", f"/s/e/{request_id}/{size}"))
            r = c.response(body=False)
            while len(c.buf) < size and not self.world.stop.is_set():
                if not c.fill():
                    raise Closed("the answer broke off")
                time.sleep(0.05)
            c.read_body(r)
            self.check(r, request_id, due(request_id, size))
        self.connect(rcvbuf=16384)
        self.attempt(request_id, "GET", talk)
        self.drop()


class SlowSender(Talker):
    """Sends a head and a body a few bytes at a time."""
    pause_s = 0.5

    def once(self):
        request_id, size = self.next_id(), 20000
        data = self.head("POST", f"/s/p/{request_id}/{size}", [f"Content-Length: {size}"])

        def talk(c):
            for at in range(0, len(data), 5):
                c.send(data[at:at + 5], 0.04)
            body = due(request_id, size)
            for at in range(0, size, 500):
                c.send(body[at:at + 500], 0.05)
            self.check(c.response(), request_id, b"ok %d" % size)
        self.attempt(request_id, "POST", talk)


class Vanisher(Talker):
    """Goes away at the worst moments; nobody is there to complain."""
    pause_s = 0.1

    def once(self):
        request_id = self.next_id()
        get = self.head("GET", f"/s/{self.rand.choice('ecd')}/{request_id}/400000")
        post = self.head("POST", f"/s/p/{request_id}/50000", ["Content-Length: 50000"])
        c = self.connect()
        try:
            self.vanish(c, get, post, request_id)
        finally:
            self.drop()
        self.count("gone")

    def vanish(self, c, get, post, request_id):
        dice = self.rand.randrange(5)
        if dice == 0:
            c.send(get[:self.rand.randrange(len(get))])
        elif dice == 1:
            c.send(get)
        elif dice == 2:
            c.send(get, 0.05)
        elif dice == 3:
            c.send(post + due(request_id, self.rand.randrange(50000)))
        else:
            c.send(get)
            c.half_close()
        if self.rand.random() < 0.5:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class OneShot(Talker):
    """A new connection for each request."""

    def once(self):
        self.get(self.rand.choice(("/e", "/w")), self.rand.choice((10, 1000, 20000)))
        self.drop()


class Probe(OneShot):
    """The same at a quick pace: tells how long nobody was served."""
    pause_s = 0.01

    def once(self):
        if self.get("/s/e", 100):
            self.tally.good_at.append(time.monotonic())
        self.drop()


# kind: (class, how many)
KINDS = {"keep": (KeepAlive, 16), "post": (Poster, 4), "tunnel": (Tunnel, 12),
         "reader": (SlowReader, 4), "sender": (SlowSender, 4), "vanish": (Vanisher, 4),
         "shot": (OneShot, 6), "probe": (Probe, 1)}


def run_kind(kind, cls, count, world, results):
    """In a process: runs all clients of a kind until the world stops."""
    tally, lock = Tally(kind), threading.Lock()
    talkers = [cls(world, tally, lock, i) for i in range(count)]
    for t in talkers:
        t.start()
        time.sleep(0.01)
    for t in talkers:
        t.join(world.seconds + 120)
    results.put(tally)
