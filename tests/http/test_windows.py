# SPDX-License-Identifier: Apache-2.0
"""Windows of HTTP/2 over a long line, 100 ms there and back: they grow with demand, so that a body is not
bound to 64 KB in a round trip. What is asserted are bytes in a round trip, measured by PINGs, not seconds."""
import socket
import struct
import subprocess
import sys
import threading

import pytest

from kit import Origin, Weir, answer, wait_until
from kit import h2raw
from kit.delay import Delay
from kit.h2raw import PREFACE, frame
from kit.tools import die_with_parent, need

BODY = 200 << 20
ENOUGH = 4 << 20  # in a round trip: a client's stream may get a window of 8 MB,
ENOUGH_OF_SERVERS = 1 << 20  # one of a server 2.7 MB, opened by halves
CHUNK = frame(h2raw.DATA, 0, 1, bytes(16384))
SET_WINDOW = 4


@pytest.fixture(autouse=True)
def threads_take_turns():
    """Both ends are threads of this process: neither is to wait long for the other."""
    old = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    yield
    sys.setswitchinterval(old)


class Link:
    """One end that sends and takes one body on stream 1, and counts the bytes between each of its PINGs and the
    answer, which comes behind all that was on its way."""

    def __init__(self, sock):
        self.sock, self.pending = sock, b""
        self.windows = {0: 65535, 1: 65535}
        self.moved, self.ping_at = 0, None
        self.trips = []  # bytes in each round trip
        self.heads, self.ended = 0, False

    def ping(self):
        self.ping_at = self.moved
        self.sock.sendall(frame(h2raw.PING, 0, 0, b"roundtri"))

    def read(self):
        data = self.sock.recv(1 << 20)
        assert data, "closed"
        self.pending += data
        at = 0
        while len(self.pending) - at >= 9:
            size = int.from_bytes(self.pending[at:at + 3], "big")
            if len(self.pending) - at < 9 + size:
                break
            self.handle(self.pending[at + 3], self.pending[at + 4],
                        int.from_bytes(self.pending[at + 5:at + 9], "big"), self.pending[at + 9:at + 9 + size])
            at += 9 + size
        self.pending = self.pending[at:]

    def handle(self, kind, flags, stream, payload):
        if kind == h2raw.WINDOW_UPDATE:
            self.windows[stream] += struct.unpack(">I", payload)[0]
        elif kind == h2raw.SETTINGS and not flags & h2raw.ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                if name == SET_WINDOW:
                    self.windows[1] += value - 65535
            self.sock.sendall(frame(h2raw.SETTINGS, h2raw.ACK))
        elif kind == h2raw.PING and flags & h2raw.ACK:
            self.trips.append(self.moved - self.ping_at)
            self.ping()
        elif kind == h2raw.PING:
            self.sock.sendall(frame(h2raw.PING, h2raw.ACK, 0, payload))
        elif kind == h2raw.HEADERS:
            self.heads += 1
        elif kind == h2raw.DATA:
            self.moved += len(payload)
        assert kind not in (h2raw.GOAWAY, h2raw.RST_STREAM), (kind, payload)
        self.ended |= kind in (h2raw.DATA, h2raw.HEADERS) and bool(flags & h2raw.END_STREAM)

    def send_body(self, count):
        """As fast as the windows let it."""
        self.ping()
        while self.moved < count:
            n = min(min(self.windows.values()) // 16384, 64, (count - self.moved) // 16384)
            if n <= 0:
                self.read()
                continue
            self.sock.sendall(CHUNK * n)
            self.moved += 16384 * n
            for stream in self.windows:
                self.windows[stream] -= 16384 * n
            self.sock.setblocking(False)
            try:
                self.read()
            except BlockingIOError:
                pass
            self.sock.setblocking(True)
        self.sock.sendall(frame(h2raw.DATA, h2raw.END_STREAM, 1))


def assert_grew(link, enough=ENOUGH):
    """From what a window has at first to what the line holds."""
    assert link.trips[0] <= 1 << 20, str(link.trips)
    best = sorted(link.trips)[len(link.trips) * 3 // 4]
    assert best >= enough, str(link.trips)


class Swallower:
    """A server that takes the body of one request, BODY long, and answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        sock, into = self.listener.accept()[0], bytearray(1 << 20)
        left = BODY - len(sock.recv(65536).split(b"\r\n\r\n", 1)[1])
        while left and (n := sock.recv_into(into)):
            left -= n
        sock.sendall(answer("taken"))


@pytest.mark.seconds(120)
def test_upload_over_a_long_line():
    text = "site * {\n body max=300M\n proxy @o@\n}\n"
    with Weir(text, o=Swallower()) as w, Delay(w.port) as line:
        link = Link(socket.create_connection(("127.0.0.1", line.port)))
        block = h2raw.hpack.Encoder().encode([(":method", "POST"), (":scheme", "http"), (":path", "/"),
                                              (":authority", "a.test"), ("content-length", str(BODY))])
        link.sock.sendall(PREFACE + frame(h2raw.SETTINGS) + frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, block))
        link.send_body(BODY)
        while not link.ended:
            link.read()
        assert_grew(link)
        assert w.access(1)[0]["request_bytes"] == BODY


@pytest.mark.seconds(120)
def test_download_from_a_distant_server():
    """The same towards servers: weir's windows hold them back."""
    need("curl")
    links = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        link = Link(listener.accept()[0])
        links.append(link)
        preface = b""
        while len(preface) < len(PREFACE):
            preface += link.sock.recv(len(PREFACE) - len(preface))
        link.sock.sendall(frame(h2raw.SETTINGS))
        while not link.heads:
            link.read()
        block = h2raw.hpack.Encoder().encode([(":status", "200"), ("content-length", str(BODY))])
        link.sock.sendall(frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, block))
        link.send_body(BODY)

    threading.Thread(target=serve, daemon=True).start()
    with Delay(listener.getsockname()[1]) as line, \
            Weir("site * { proxy @line@ { proto h2c } }\n", line=line) as w:
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{size_download}", w.url()], timeout=100,
                              stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        assert int(done.stdout) == BODY
        assert_grew(links[0], ENOUGH_OF_SERVERS)
    listener.close()


@pytest.mark.seconds(120)
def test_download_fills_the_window_of_the_client():
    """Here the client decides: with 8 MB of window, that much is on its way."""
    window = 8 << 20

    def produce(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY)
        piece = bytes(1 << 20)
        for _ in range(BODY >> 20):
            sock.sendall(piece)
    with Origin([produce]) as o, Weir("site * { proxy @o@ }\n", o=o) as w, Delay(w.port) as line:
        link = Link(socket.create_connection(("127.0.0.1", line.port)))
        block = h2raw.hpack.Encoder().encode([(":method", "GET"), (":scheme", "http"), (":path", "/"),
                                              (":authority", "a.test")])
        link.sock.sendall(PREFACE + frame(h2raw.SETTINGS, payload=struct.pack(">HI", SET_WINDOW, window)) +
                          frame(h2raw.WINDOW_UPDATE, 0, 0, struct.pack(">I", window)) +
                          frame(h2raw.HEADERS, h2raw.END_HEADERS | h2raw.END_STREAM, 1, block))
        link.ping()
        opened = 0
        while not link.ended:
            link.read()
            if link.moved - opened >= window // 8:
                update = struct.pack(">I", link.moved - opened)
                link.sock.sendall(frame(h2raw.WINDOW_UPDATE, 0, 0, update) + frame(h2raw.WINDOW_UPDATE, 0, 1, update))
                opened = link.moved
        assert link.moved == BODY
        best = sorted(link.trips)[len(link.trips) * 3 // 4]
        assert best >= ENOUGH, str(link.trips)
        wait_until(lambda: w.access(1)[0]["bytes"] == BODY)
