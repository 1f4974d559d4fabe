# SPDX-License-Identifier: Apache-2.0
"""A scripted FastCGI server in threads. It reads requests strictly, records them, and answers what the script says:
bytes, pauses, CLOSE, or a function of the socket."""
import dataclasses
import os
import socket
import struct
import threading
import time

from kit.tools import free_port

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, VALUES, UNKNOWN = range(1, 12)
CLOSE = object()  # in a script: close now


def record(kind, content=b"", padding=0, request_id=1, version=1):
    return (struct.pack(">BBHHBB", version, kind, request_id, len(content), padding, 0) + content +
            b"p" * padding)


def out(*pieces):
    return b"".join(record(STDOUT, p.encode() if isinstance(p, str) else p) for p in pieces)


def err(text):
    return record(STDERR, text.encode())


def end(app=0, how=0):
    return record(END, struct.pack(">IB3x", app, how))


HEAD = "Content-Type: text/plain\r\n\r\n"


def answer(body="ok", head=HEAD):
    return out(head + body) + end()


@dataclasses.dataclass
class Request:
    params: dict
    pairs: list       # (name, value) as they came
    body: bytes
    keep: bool        # FCGI_KEEP_CONN
    connection: int   # number of the connection, from 0


def _length(data, at):
    if data[at] < 128:
        return data[at], at + 1
    return struct.unpack(">I", data[at:at + 4])[0] & 0x7fffffff, at + 4


def pairs_of(data):
    at, found = 0, []
    while at < len(data):
        name, at = _length(data, at)
        value, at = _length(data, at)
        found.append((data[at:at + name].decode("latin-1"),
                      data[at + name:at + name + value].decode("latin-1")))
        at += name + value
    assert at == len(data), "a pair ends behind its records"
    return found


class FastCgi:
    """`script` is an answer for all requests, or a function of the Request that returns one. early: it runs once the
    parameters are there, and the body is read by nobody."""

    def __init__(self, script=None, path=None, early=False):
        self.script = script if script is not None else answer()
        self.path, self.early = path, early
        self.port = None if path else free_port()
        self.address = f"unix:{path}" if path else f"127.0.0.1:{self.port}"
        self.requests, self.errors = [], []
        self.connections = self.open = 0
        self.socks = set()
        self.start()

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.bind(self.path or ("127.0.0.1", self.port))
        self.listener.listen(128)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.listener.close()
        for s in list(self.socks):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s, self.connections), daemon=True).start()
            self.connections += 1

    def _serve(self, s, number):
        self.socks.add(s)
        self.open += 1
        try:
            while self._one(s, number):
                pass
        except AssertionError as e:
            self.errors.append(str(e))
        except OSError:
            pass
        self.open -= 1
        self.socks.discard(s)
        s.close()

    @staticmethod
    def _take(s, n):
        data = b""
        while len(data) < n:
            piece = s.recv(min(n - len(data), 1 << 16))
            if not piece:
                raise OSError("closed")
            data += piece
        return data

    def _record(self, s):
        version, kind, number, length, padding, _ = struct.unpack(">BBHHBB", self._take(s, 8))
        assert (version, number) == (1, 1), (version, number)
        content = self._take(s, length)
        self._take(s, padding)
        return kind, content

    def _stream(self, s, kind):
        """All of one stream, up to the record without content."""
        data = b""
        while True:
            got, content = self._record(s)
            assert got == kind, f"{got} instead of {kind}"
            if not content:
                return data
            data += content

    def _one(self, s, number):
        kind, content = self._record(s)
        assert kind == BEGIN and content[:2] == b"\0\1", (kind, content)
        pairs = pairs_of(self._stream(s, PARAMS))
        names = [n for n, _ in pairs]
        assert len(set(names)) == len(names), f"twice: {names}"
        body = b"" if self.early else self._stream(s, STDIN)
        r = Request(dict(pairs), pairs, body, bool(content[2] & 1), number)
        if not self.early:
            assert len(body) == int(r.params.get("CONTENT_LENGTH") or 0), r.params
        self.requests.append(r)
        steps = self.script(r) if callable(self.script) else self.script
        for step in steps if isinstance(steps, list) else [steps]:
            if step is CLOSE:
                return False
            if isinstance(step, bytes):
                s.sendall(step)
            elif callable(step):
                step(s)
            else:
                time.sleep(step)
        return r.keep
