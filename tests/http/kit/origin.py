# SPDX-License-Identifier: Apache-2.0
"""A scripted origin server in threads. It records the raw bytes of every request it got and answers what
the script says: bytes, pauses, a close or a reset, or a function with the socket in hand."""
import dataclasses
import os
import re
import socket
import ssl
import struct
import threading
import time

from .tools import free_port

CLOSE = object()  # in a script: close now
RESET = object()  # in a script: close with RST


class HalfClose:
    """In a script: ends the output, goes on reading."""


class Hold:
    """In a script: waits until the test lets go (or 10 s are over)."""

    def __init__(self):
        self.event = threading.Event()
        self.reached = threading.Event()

    def release(self):
        self.event.set()


@dataclasses.dataclass
class Request:
    raw_head: bytes
    method: str
    target: str
    version: str
    headers: list
    body: bytes
    connection: int        # number of the connection, from 0
    complete: bool = True  # the body came whole
    trailers: list = dataclasses.field(default_factory=list)

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name, default=None):
        return next(iter(self.all(name)), default)


def answer(body=b"ok", status="200 OK", headers=(), length=True):
    """A whole HTTP/1.1 answer as bytes."""
    if isinstance(body, str):
        body = body.encode()
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*pieces, status="200 OK", headers=(), trailers=b""):
    """A chunked answer, one chunk per piece."""
    head = "\r\n".join([f"HTTP/1.1 {status}", "Transfer-Encoding: chunked", *headers]).encode()
    body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p)
    return head + b"\r\n\r\n" + body + b"0\r\n" + trailers + b"\r\n"


class Origin:
    """`script` is one answer for all requests, or a function of the Request that returns one: bytes, or a
    list of bytes, pauses (seconds), CLOSE, RESET, HalfClose, Hold and functions of the socket.
    early=True: the script runs as soon as the head is there, and the body is read by nobody unless
    a step does."""

    def __init__(self, script=None, port=None, path=None, host="127.0.0.1", early=False,
                 on_connect=None, start=True, backlog=256, rcvbuf=None, tls=None):
        self.script = script if script is not None else answer()
        self.early = early
        self.on_connect = on_connect
        self.path = path
        self.host = host
        self.backlog = backlog
        self.tls = tls  # an ssl.SSLContext: it speaks TLS
        self.tls_errors = []
        self.handshakes = []  # (SNI, resumed, subject of the client's certificate)
        self.rcvbuf = rcvbuf
        self.port = None if path else (port or free_port(host))
        self.requests = []
        self.errors = []       # requests that were no plain HTTP/1.1
        self.raw = {}          # connection number -> all bytes that came
        self.connections = 0
        self.open = 0
        self.lock = threading.Lock()
        self.socks = set()
        self.listener = None
        if start:
            self.start()

    @property
    def address(self):
        """As a configuration names it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def start(self):
        family = socket.AF_UNIX if self.path else (
            socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.rcvbuf:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.rcvbuf)
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.bind(self.path or (self.host, self.port))
        self.listener.listen(self.backlog)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        """Closes the listener and every connection: a dead server."""
        listener, self.listener = self.listener, None
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        with self.lock:
            socks = list(self.socks)
        for s in socks:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def close_idle(self):
        """Closes every connection; the listener stays."""
        with self.lock:
            socks = list(self.socks)
        for s in socks:
            s.shutdown(socket.SHUT_RDWR)

    def clear(self):
        with self.lock:
            self.requests.clear()
            self.raw.clear()

    def _accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                number = self.connections
                self.connections += 1
                self.open += 1
                self.socks.add(s)
            threading.Thread(target=self._serve, args=(s, number), daemon=True).start()

    def _serve(self, s, number):
        try:
            if s.family != socket.AF_UNIX:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                secure = self._handshake(s)
                if secure is None:
                    return
                s = secure
            if self.on_connect and self._play(s, self.on_connect) is False:
                return
            reader = _Reader(s, lambda data: self._record(number, data))
            while self._one(s, reader, number):
                pass
        except OSError:
            pass
        except (ValueError, IndexError) as e:
            with self.lock:
                self.errors.append((e, self.raw.get(number)))
        finally:
            with self.lock:
                self.open -= 1
                self.socks.discard(s)
            s.close()

    def _handshake(self, s):
        names = []
        self.tls.sni_callback = lambda sock, name, ctx: names.append(name)
        with self.lock:
            self.socks.discard(s)
        try:
            s.settimeout(10)
            t = self.tls.wrap_socket(s, server_side=True)
            t.settimeout(None)
        except (OSError, ssl.SSLError) as e:
            with self.lock:
                self.tls_errors.append(e)
            return None
        with self.lock:
            self.socks.add(t)
            self.handshakes.append((names[-1] if names else None, t.session_reused, t.getpeercert()))
        return t

    def _record(self, number, data):
        with self.lock:
            self.raw[number] = self.raw.get(number, b"") + data

    def _one(self, s, reader, number):
        request = reader.head(number)
        if request is None:
            return False
        if not self.early:
            reader.body(request)
        with self.lock:
            self.requests.append(request)
            script = self.script
        steps = script(request) if callable(script) else script
        go_on = self._play(s, steps)
        if self.early and go_on is not False:
            reader.body(request)
        return go_on is not False

    def _play(self, s, steps):
        for step in steps if isinstance(steps, (list, tuple)) else [steps]:
            if step is CLOSE:
                return False
            if step is RESET:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if isinstance(step, (bytes, bytearray)):
                s.sendall(step)
            elif isinstance(step, (int, float)):
                time.sleep(step)
            elif step is HalfClose or isinstance(step, HalfClose):
                s.shutdown(socket.SHUT_WR)
            elif isinstance(step, Hold):
                step.reached.set()
                step.event.wait(10)
            elif callable(step):
                if step(s) is CLOSE:
                    return False
        return True


TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class _Reader:
    """Reads requests strictly: what weir forwards has to be plain HTTP/1.1."""

    def __init__(self, sock, record):
        self.sock, self.record, self.buf = sock, record, b""

    def fill(self):
        data = self.sock.recv(262144)
        if data:
            self.record(data) if len(data) < 65536 else None
            self.buf += data
        return bool(data)

    def line(self):
        while b"\r\n" not in self.buf:
            if not self.fill():
                return None
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line

    def head(self, number):
        while b"\r\n\r\n" not in self.buf:
            if not self.fill():
                return None
        raw, self.buf = self.buf.split(b"\r\n\r\n", 1)
        first, *lines = raw.decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
        headers = []
        for line in lines:
            name, value = line.split(":", 1)
            if not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
                raise ValueError(line)
            headers.append((name, value.strip(" \t")))
        return Request(raw + b"\r\n\r\n", method, target, version, headers, b"", number)

    def body(self, r):
        if r.get("Transfer-Encoding"):
            pieces = []
            r.complete = self.chunks(r, pieces)
            r.body = b"".join(pieces)
        elif r.get("Content-Length"):
            left, pieces = int(r.get("Content-Length")), []
            while left > 0:
                if not self.buf and not self.fill():
                    break
                piece, self.buf = self.buf[:left], self.buf[left:]
                pieces.append(piece)
                left -= len(piece)
            r.body, r.complete = b"".join(pieces), left == 0

    def chunks(self, r, pieces):
        while True:
            line = self.line()
            if line is None:
                return False
            size = int(line, 16)
            if size == 0:
                break
            while len(self.buf) < size + 2:
                if not self.fill():
                    return False
            pieces.append(self.buf[:size])
            self.buf = self.buf[size + 2:]
        while True:
            line = self.line()
            if line is None:
                return False
            if not line:
                return True
            name, _, value = line.decode("latin-1").partition(":")
            r.trailers.append((name, value.strip()))
