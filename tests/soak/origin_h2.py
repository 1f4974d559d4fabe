#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server of HTTP/2 without TLS behind weir for the soak test: origin_h2.py NAME PORT JOURNAL.
It answers like origin.py to /e, /w and /p, to several at once, and echoes in extended CONNECTs to /t (RFC 8441)."""
import asyncio
import os
import sys
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from words import due

NAME, PORT = sys.argv[1], int(sys.argv[2])
JOURNAL = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
SETTINGS = {h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100}


class Stream:
    def __init__(self, headers):
        fields = {n.decode(): v.decode() for n, v in headers}
        self.method = fields[":method"]
        _, self.what, self.id, size = fields[":path"].split("/")
        self.size, self.body, self.rest, self.is_over = int(size), bytearray(), b"", False
        self.is_tunnel = fields.get(":protocol") == "websocket"
        os.write(JOURNAL, f"{self.id} {self.method} {self.what} {time.monotonic():.3f}\n".encode())

    def head(self, status="200"):
        return [(":status", status), ("x-id", self.id), ("x-server", NAME)]


class Link(asyncio.Protocol):
    def connection_made(self, transport):
        self.out, self.streams = transport, {}
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.h2.local_settings = h2.settings.Settings(False, SETTINGS)
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data):
        try:
            for e in self.h2.receive_data(data):
                self.handle(e)
            self.flush()
        except h2.exceptions.ProtocolError as e:
            os.write(JOURNAL, f"!{NAME}:{type(e).__name__}:{e}\n".replace(" ", "_").encode())
            self.out.close()

    def handle(self, e):
        if isinstance(e, h2.events.RequestReceived):
            s = self.streams[e.stream_id] = Stream(e.headers)
            if s.is_tunnel:
                self.h2.send_headers(e.stream_id, s.head())
        elif isinstance(e, h2.events.DataReceived):
            self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            if s := self.streams.get(e.stream_id):
                self.take(e.stream_id, s, e.data)
        elif isinstance(e, h2.events.StreamEnded):
            if s := self.streams.get(e.stream_id):
                self.ended(e.stream_id, s)
        elif isinstance(e, h2.events.StreamReset):
            self.streams.pop(e.stream_id, None)
        elif isinstance(e, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for number in list(self.streams):
                self.send(number)

    def take(self, number, s, data):
        if s.is_tunnel:
            s.rest += data
            self.send(number)
        else:
            s.body += data

    def ended(self, number, s):
        if s.is_tunnel:
            s.is_over = True
            self.send(number)
        elif s.what == "w":
            asyncio.get_running_loop().call_later(0.2, self.late, number)
        else:
            self.answer(number, s)

    def late(self, number):
        if number in self.streams and not self.out.is_closing():
            self.answer(number, self.streams[number])
            self.flush()

    def answer(self, number, s):
        body = due(s.id, s.size)
        if s.method == "POST":
            body = b"ok %d" % s.size if s.body == body else b"WRONG BODY of %d bytes" % len(s.body)
        self.h2.send_headers(number, s.head())
        s.rest, s.is_over = b"" if s.method == "HEAD" else body, True
        self.send(number)

    def send(self, number):
        s = self.streams[number]
        while s.rest:
            n = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size,
                    len(s.rest))
            if n <= 0:
                return
            self.h2.send_data(number, bytes(s.rest[:n]))
            s.rest = s.rest[n:]
        if s.is_over:
            self.h2.end_stream(number)
            del self.streams[number]

    def flush(self):
        self.out.write(self.h2.data_to_send())


async def main():
    server = await asyncio.get_running_loop().create_server(Link, "127.0.0.1", PORT, backlog=1024)
    await server.serve_forever()

asyncio.run(main())
