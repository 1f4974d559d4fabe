# SPDX-License-Identifier: Apache-2.0
"""Scripted clients of HTTP/2: many requests at once over one connection that is kept all the time, and a
WebSocket in a stream (RFC 8441). A GOAWAY is no trouble: what it says was not processed must not have reached
a server, and everything else gets its answer."""
import struct
import time

from clients import PATIENCE_S, Failed, Talker, Wrong
from kit.certs import client_context
from kit.client import Closed, Response
from kit.h2raw import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
                       WINDOW_UPDATE, H2Raw)
from words import due

WINDOW = (1 << 31) - 1
REFUSED_STREAM = 7
CREDIT = 1 << 20


class Stream:
    def __init__(self, window):
        self.window, self.head, self.body, self.is_over, self.reset = window, None, bytearray(), False, None

    def response(self):
        fields = [(n, v) for n, v in self.head if not n.startswith(":")]
        return Response(int(dict(self.head)[":status"]), "", fields, bytes(self.body))


class Link(H2Raw):
    """A connection that obeys windows and remembers streams, not frames."""

    def __init__(self, port, context):
        super().__init__(port, struct.pack(">HI", 4, WINDOW), context, "soak.test", PATIENCE_S)
        self.say(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65535))
        self.streams, self.next, self.last, self.buf = {}, 1, None, b""
        self.window = self.initial = 65535
        self.taken = 0

    def close(self):
        self.sock.close()

    def open(self, fields, end):
        number, self.next = self.next, self.next + 2
        self.streams[number] = Stream(self.initial)
        self.fields(number, fields, end)
        return number

    def pump(self, seconds=PATIENCE_S):
        """Takes what comes; False when nothing did, or at the end."""
        came = self.read(seconds)
        for f in self.frames:
            self.handle(f)
        self.frames.clear()
        return came

    def handle(self, f):
        s = self.streams.get(f.stream)
        if f.type == SETTINGS and not f.flags & ACK:
            self.set(f.payload)
        elif f.type == PING and not f.flags & ACK:
            self.say(PING, ACK, 0, f.payload)
        elif f.type == GOAWAY:
            self.last = struct.unpack(">I", f.payload[:4])[0] & WINDOW
        elif f.type == WINDOW_UPDATE:
            n = struct.unpack(">I", f.payload)[0]
            if f.stream == 0:
                self.window += n
            elif s:
                s.window += n
        elif s:
            self.of_stream(s, f)

    def of_stream(self, s, f):
        if f.type == HEADERS and s.head is None and not f.get(":status").startswith("1"):
            s.head = f.headers
        elif f.type == DATA:
            s.body += f.payload
            self.give(len(f.payload))
        elif f.type == RST_STREAM:
            s.reset = f.code
        s.is_over |= f.type in (HEADERS, DATA) and bool(f.flags & END_STREAM)

    def give(self, n):
        self.taken += n
        if self.taken >= CREDIT:
            self.say(WINDOW_UPDATE, 0, 0, struct.pack(">I", self.taken))
            self.taken = 0

    def set(self, payload):
        for at in range(0, len(payload), 6):
            key, value = struct.unpack(">HI", payload[at:at + 6])
            if key == 4:
                for s in self.streams.values():
                    s.window += value - self.initial
                self.initial = value
        self.say(SETTINGS, ACK)

    def is_unprocessed(self, number):
        s = self.streams[number]
        return s.reset == REFUSED_STREAM or (self.last is not None and number > self.last)

    def wait(self, number, condition):
        """Until the condition holds for the stream; what may be sent meanwhile is up to the caller."""
        s = self.streams[number]
        while not condition(s):
            if s.reset is not None or self.is_unprocessed(number):
                raise Closed(f"reset with {s.reset}, last stream {self.last}")
            if not self.pump():
                raise Closed("the connection ended") if self.closed else TimeoutError()
        return s

    def send_body(self, number, data, end=True):
        s = self.streams[number]
        while data:
            self.wait(number, lambda s: min(s.window, self.window) > 0 or s.is_over)
            n = min(len(data), 16384, s.window, self.window)
            if s.is_over:
                return
            s.window, self.window = s.window - n, self.window - n
            piece, data = data[:n], data[n:]
            self.say(DATA, END_STREAM if end and not data else 0, number, piece)


class H2Talker(Talker):
    def dial(self):
        """Each second one over TLS."""
        if self.number % 2:
            self.context = self.context or client_context(self.world.ca)
            self.count("tls")
            link = Link(self.world.tls_port, self.context)
            self.session_of(link)
            return link
        return Link(self.port(), None)

    def session_of(self, link):
        if link.sock.selected_alpn_protocol() != "h2":
            raise OSError("no h2 by ALPN")

    def still_open(self):
        c = self.conn
        while c and c.pump(0):
            pass
        if c and (c.last is not None or c.closed):
            if c.last is None:
                self.trouble("", "closed while idle, without GOAWAY", self.alive_at, method="IDLE")
            else:
                self.count("told")
            self.drop()

    def fields(self, method, path, *more):
        return [(":method", method), (":scheme", "https" if self.context else "http"), (":path", path),
                (":authority", "soak.test"), *more]

    def unprocessed(self, request_id):
        """May be sent again by anybody: no server has seen it."""
        self.count("unprocessed")
        self.answers.write(f"{request_id} -\n")


class Streams(H2Talker):
    """Up to eight requests at once: to servers that die, that stay, that are changed, and those of HTTP/2."""
    prefixes = ("/e", "/c", "/s/e", "/2/e", "/2/e", "/2/w", "/f", "/m/e")

    def drop(self):
        self.context, kept = None, self.context
        super().drop()
        self.context = kept

    def once(self):
        self.still_open()
        c = self.connect()
        batch = [self.begin(c) for _ in range(self.rand.randint(1, 8))]
        for request in batch:
            self.finish(c, *request)
        if c.closed or c.last is not None:
            self.count("told", c.last is not None)
            self.drop()
        else:
            c.streams.clear()

    def begin(self, c):
        request_id, size = self.next_id(), self.rand.choice((0, 10, 1000, 30000, 200000))
        method = "POST" if self.rand.random() < 0.15 else "GET"
        path = self.rand.choice(("/p", "/s/p", "/2/p")) if method == "POST" else \
            self.rand.choice(self.prefixes)
        began = time.monotonic()
        number = c.open(self.fields(method, f"{path}/{request_id}/{size}"),
                        method == "GET" or size == 0)
        if method == "POST" and size:
            try:
                c.send_body(number, due(request_id, size))
            except (Closed, TimeoutError):
                pass  # finish() tells
        return number, request_id, size, method, began

    def finish(self, c, number, request_id, size, method, began):
        body = b"ok %d" % size if method == "POST" else due(request_id, size)
        s = c.streams[number]
        try:
            c.wait(number, lambda s: s.is_over)
            self.check(s.response(), request_id, body)
            self.count("h2")
            self.count("posted", size if method == "POST" else 0)
        except Wrong as e:
            self.trouble(request_id, str(e), began, method=method, is_wrong=True)
        except Failed as e:
            self.trouble(request_id, str(e), began, method=method)
        except TimeoutError:
            self.trouble(request_id, f"nothing within {PATIENCE_S} s", began, method=method)
        except (Closed, OSError) as e:
            if c.is_unprocessed(number):
                self.unprocessed(request_id)
            else:
                self.trouble(request_id, repr(e), began, method=method, is_partial=s.head is not None)


class H2Socket(H2Talker):
    """A WebSocket in a stream of HTTP/2, to a server of HTTP/1.1 or of HTTP/2."""
    pause_s = 0.25

    def open(self):
        request_id = self.next_id()

        def talk(c):
            path = ("/s/t", "/2t/t")[self.number // 2 % 2]
            self.stream = c.open(self.fields("CONNECT", f"{path}/{request_id}/0",
                                             (":protocol", "websocket"),
                                             ("sec-websocket-version", "13")), False)
            s = c.wait(self.stream, lambda s: s.head is not None)
            if dict(s.head)[":status"] != "200" or dict(s.head).get("x-id") != request_id:
                raise Failed(f"{s.head}")
            self.count("tunnels")
        return self.attempt(request_id, "GET", talk)

    def fields(self, method, path, *more):
        pseudo, rest = more[0], more[1:]
        m, scheme, where, host = super().fields(method, path)
        return [m, pseudo, scheme, where, host, *rest]

    def drop(self):
        self.context, kept = None, self.context
        super().drop()
        self.context = kept

    def once(self):
        if self.conn is None and not self.open():
            self.drop()
            return
        self.sequence += 1
        data = due(f"{self.name}-{self.sequence}", self.rand.choice((1, 50, 2000, 30000)))

        def talk(c):
            c.send_body(self.stream, data, end=False)
            s = c.wait(self.stream, lambda s: len(s.body) >= len(data))
            if s.body != data:
                raise Wrong("a WebSocket that changes bytes")
            s.body.clear()
            self.count("echoes")
        self.attempt(f"{self.name}-{self.sequence}", "TUNNEL", talk)


KINDS = {"h2": (Streams, 8), "h2socket": (H2Socket, 8)}
