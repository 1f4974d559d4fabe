# SPDX-License-Identifier: Apache-2.0
"""A client of HTTP/2 that says exactly what it is told, right or wrong, and takes frames apart."""
import dataclasses
import socket
import struct
import time

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 16
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclasses.dataclass
class Frame:
    type: int
    flags: int
    stream: int
    payload: bytes
    headers: list = None

    @property
    def code(self):
        """Of RST_STREAM or GOAWAY."""
        return struct.unpack(">I", self.payload[:4] if self.type == RST_STREAM else self.payload[4:8])[0]

    def get(self, name):
        return next((v for n, v in self.headers if n == name), None)


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class H2Raw:
    """One connection; the preface and SETTINGS are said at once (settings=None: nothing is)."""

    def __init__(self, port, settings=b"", context=None, host="a.test", timeout=5):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self.host, self.timeout = host, timeout
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.pending = b""
        self.frames = []
        self.closed = False
        if settings is not None:
            self.send(PREFACE + frame(SETTINGS, payload=settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """False: the other end is gone."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def say(self, kind, flags=0, stream=0, payload=b""):
        return self.send(frame(kind, flags, stream, payload))

    def block(self, method="GET", path="/", scheme="http", authority=None, extra=()):
        fields = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority or self.host)]
        return self.encoder.encode([*fields, *extra])

    def request(self, stream=1, *, end=True, **kw):
        self.fields(stream, self.block(**kw), end=end)

    def fields(self, stream, block, end=True):
        """A block, or a list of fields as they are."""
        if not isinstance(block, bytes):
            block = self.encoder.encode(block)
        return self.say(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)

    def _parse(self):
        while len(self.pending) >= 9:
            size = int.from_bytes(self.pending[:3], "big")
            if len(self.pending) < 9 + size:
                return
            f = Frame(self.pending[3], self.pending[4], int.from_bytes(self.pending[5:9], "big"),
                      self.pending[9:9 + size])
            self.pending = self.pending[9 + size:]
            if f.type == HEADERS:
                f.headers = [(n, v) for n, v in self.decoder.decode(f.payload)]
            self.frames.append(f)

    def read(self, seconds):
        """Some more; False when nothing came or all is over."""
        if self.closed:
            return False
        self.sock.settimeout(max(seconds, 0.001))
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self.closed = not data
        self.pending += data
        self._parse()
        return bool(data)

    def wait(self, condition, seconds=None):
        """The first frame for which the condition holds; None when it does not come."""
        until = time.monotonic() + (seconds or self.timeout)
        while True:
            found = next((f for f in self.frames if condition(f)), None)
            if found or self.closed or time.monotonic() > until:
                return found
            self.read(until - time.monotonic())

    def of(self, kind, stream=None, seconds=None):
        return self.wait(lambda f: f.type == kind and stream in (None, f.stream), seconds)

    def goaway(self, seconds=None):
        """The code of the first GOAWAY, None without."""
        f = self.of(GOAWAY, seconds=seconds)
        return f.code if f else None

    def reset(self, stream, seconds=None):
        f = self.of(RST_STREAM, stream, seconds)
        return f.code if f else None

    def response(self, stream=1, seconds=None):
        """(status, body, trailers) of a whole response; status None when it was cut off."""
        def ended(f):
            return f.stream == stream and (f.type == RST_STREAM or
                                           (f.type in (DATA, HEADERS) and f.flags & END_STREAM))
        last = self.wait(ended, seconds)
        heads = [f for f in self.frames if f.stream == stream and f.type == HEADERS]
        finals = [f for f in heads if f.get(":status") and not f.get(":status").startswith("1")]
        body = b"".join(f.payload for f in self.frames if f.stream == stream and f.type == DATA)
        if not finals or last is None or last.type == RST_STREAM:
            return None, body, None
        trailers = next((f.headers for f in heads if not f.get(":status")), None)
        return int(finals[0].get(":status")), body, trailers

    def get(self, path="/", stream=1, **kw):
        self.request(stream, path=path, **kw)
        return self.response(stream)

    def ping(self):
        """Is it still alive?"""
        mark = struct.pack(">Q", len(self.frames) + 7)
        self.say(PING, 0, 0, mark)
        return self.wait(lambda f: f.type == PING and f.flags & ACK and f.payload == mark) is not None
