# SPDX-License-Identifier: Apache-2.0
"""Who plays against weir in bench/cost.py besides HTTP/1: clients and origins that take turns, over
HTTP/2 (python h2, with windows that are never opened again) and through a WebSocket.

A client has turn(origin): asks, lets the origin answer, and reads the answers. What comes in a turn
is sent in one piece."""
import select
import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.settings

WINDOW_BYTES = 1 << 30
FIELDS = [("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
          ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
          ("accept-language", "en-US,en;q=0.5"),
          ("accept-encoding", "gzip, deflate, br"),
          ("referer", "http://127.0.0.1/"),
          ("cookie", "session=0123456789abcdef0123456789abcdef")]
ANSWER = [(":status", "200"), ("server", "origin"), ("date", "Mon, 06 Jul 2026 10:00:00 GMT"),
          ("content-type", "text/html; charset=utf-8"),
          ("last-modified", "Fri, 03 Jul 2026 09:00:00 GMT"), ("etag", "\"6a4e1b80-400\""),
          ("accept-ranges", "bytes")]
UPGRADE = (b"GET /socket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
UPGRADED = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
MESSAGE = b"\x81\xbe\0\0\0\0" + b"m" * 62  # masked by zeros: the echo is the same but for that


def receive(sock):
    part = sock.recv(1 << 20)
    if not part:
        raise SystemExit("cost: weir closed a connection")
    return part


class H2:
    """A connection of HTTP/2, of either side."""

    def __init__(self, sock, client):
        self.sock = sock
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=client, header_encoding=None, validate_inbound_headers=False))
        self.h2.local_settings[h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = WINDOW_BYTES
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(WINDOW_BYTES)
        self.send()

    def send(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def ended(self, count):
        """Reads until so many streams were ended by the other side; their numbers."""
        ids = []
        while len(ids) < count:
            for event in self.h2.receive_data(receive(self.sock)):
                if isinstance(event, h2.events.StreamEnded):
                    ids.append(event.stream_id)
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    raise SystemExit(f"cost: weir ended a stream: {event}")
        return ids


class H2Client(H2):
    def __init__(self, sock, streams):
        super().__init__(sock, True)
        self.streams = streams

    def turn(self, origin):
        head = [(":method", "GET"), (":scheme", "http"), (":authority", "127.0.0.1"),
                (":path", "/index.html?page=2")] + FIELDS
        for _ in range(self.streams):
            self.h2.send_headers(self.h2.get_next_available_stream_id(), head, end_stream=True)
        self.send()
        origin.serve(self.streams)
        self.ended(self.streams)
        self.send()


class WebSocketClient:
    def __init__(self, sock):
        self.sock = sock
        self.open = False

    def turn(self, origin):
        if not self.open:
            self.sock.sendall(UPGRADE)
            origin.switch()
            self.read_until(lambda got: got.endswith(b"\r\n\r\n"))
            self.open = True
        self.sock.sendall(MESSAGE)
        origin.echo()
        self.read_until(lambda got: len(got) == len(MESSAGE) - 4)

    def read_until(self, whole):
        got = b""
        while not whole(got):
            got += receive(self.sock)


class Listener:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        self.conns = []

    def accept(self):
        conn, _ = self.listener.accept()
        conn.settimeout(20)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.conns.append(conn)
        return conn


class H1Origin(Listener):
    """Answers when all requests of a turn are there, each on a connection of its own."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def serve(self, count):
        asked = []
        while len(asked) < count:
            ready, _, _ = select.select([self.listener, *self.conns], [], [], 20)
            if not ready:
                raise SystemExit("cost: weir does not ask the origin")
            for sock in ready:
                if sock is self.listener:
                    self.accept()
                elif receive(sock).endswith(b"\r\n\r\n"):
                    asked.append(sock)
        for sock in asked:
            sock.sendall(self.answer)


class H2Origin(Listener):
    def __init__(self, body_bytes):
        super().__init__()
        self.body = b"x" * body_bytes
        self.session = None

    def serve(self, count):
        if not self.session:
            self.session = H2(self.accept(), False)
        for stream in self.session.ended(count):
            self.session.h2.send_headers(
                stream, ANSWER + [("content-length", str(len(self.body)))])
            self.session.h2.send_data(stream, self.body, end_stream=True)
        self.session.send()


class EchoOrigin(Listener):
    def switch(self):
        head, conn = b"", self.accept()
        while not head.endswith(b"\r\n\r\n"):
            head += receive(conn)
        conn.sendall(UPGRADED)

    def echo(self):
        got = b""
        while len(got) < len(MESSAGE):
            got += receive(self.conns[0])
        self.conns[0].sendall(got[:1] + bytes([got[1] & 127]) + got[6:])
