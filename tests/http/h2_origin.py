# SPDX-License-Identifier: Apache-2.0
"""A scripted HTTP/2 server, made of python's h2: a thread for each connection. The script gets each
request when it is whole and says what happens: `script(link, request)`. What a well-behaved server would
not say goes out by link.frame()."""
import socket
import ssl
import struct
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

HEADERS, RST, GOAWAY, DATA = 1, 3, 7, 0
END_STREAM, END_HEADERS = 1, 4


class Request:
    def __init__(self, stream, headers, order):
        self.stream = stream
        self.order = order  # over all connections of the server
        self.headers = [(n.decode(), v.decode()) for n, v in headers]
        self.body = b""
        self.trailers = None
        self.reset = None  # its code, once the client has reset it

    def get(self, name):
        return next((v for n, v in self.headers if n == name), None)


class Link:
    """One connection; everything runs in its thread but what a script starts itself (use `lock`)."""

    def __init__(self, origin, sock):
        self.origin, self.sock, self.lock = origin, sock, threading.RLock()
        config = h2.config.H2Configuration(client_side=False, validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.requests, self.number = {}, 0
        self.parked = {}  # stream -> rest of a body that waits for a window

    def run(self):
        if self.origin.settings:
            self.h2.local_settings = h2.settings.Settings(False, self.origin.settings)
        self.h2.initiate_connection()
        try:
            self.flush()
            while data := self.sock.recv(65536):
                with self.lock:
                    for event in self.h2.receive_data(data):
                        self.handle(event)
                    self.flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        self.close()

    def handle(self, e):
        if isinstance(e, h2.events.RequestReceived):
            self.requests[e.stream_id] = r = Request(e.stream_id, e.headers, self.origin.count())
            if self.origin.on_head:
                self.origin.on_head(self, r)
        elif isinstance(e, h2.events.DataReceived):
            self.requests[e.stream_id].body += e.data
            if self.origin.takes:
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.TrailersReceived):
            self.requests[e.stream_id].trailers = [(n.decode(), v.decode()) for n, v in e.headers]
        elif isinstance(e, h2.events.StreamEnded):
            self.number += 1
            self.origin.requests.append(self.requests[e.stream_id])
            self.origin.script(self, self.requests[e.stream_id])
        elif isinstance(e, h2.events.StreamReset):
            if e.stream_id in self.requests:
                self.requests[e.stream_id].reset = e.error_code
            self.origin.resets.append((e.stream_id, int(e.error_code)))
            self.parked.pop(e.stream_id, None)
        elif isinstance(e, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream in list(self.parked):
                self.send_body(stream)

    # -- what scripts say

    def head(self, r, status=200, headers=(), end=False):
        self.h2.send_headers(r.stream, [(":status", str(status)), *headers], end_stream=end)

    def answer(self, r, body=b"ok", status=200, headers=(), trailers=None):
        self.head(r, status, headers)
        self.parked[r.stream] = (memoryview(body), trailers)
        self.send_body(r.stream)

    def send_body(self, stream):
        rest, trailers = self.parked[stream]
        while len(rest):
            n = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(rest))
            if n <= 0:
                self.parked[stream] = (rest, trailers)
                return
            self.h2.send_data(stream, bytes(rest[:n]))
            rest = rest[n:]
        del self.parked[stream]
        if trailers:
            self.h2.send_headers(stream, trailers, end_stream=True)
        else:
            self.h2.end_stream(stream)

    def block(self, *headers):
        """A header block by the coder of the connection, for frame()."""
        return self.h2.encoder.encode([(n, v) for n, v in headers])

    def frame(self, kind, flags, stream, payload=b""):
        self.flush()
        self.sock.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
                          struct.pack(">I", stream) + payload)

    def goaway(self, last, code=0):
        self.frame(GOAWAY, 0, 0, struct.pack(">II", last, code))

    def reset(self, r, code):
        self.frame(RST, 0, r.stream, struct.pack(">I", code))

    def flush(self):
        if data := self.h2.data_to_send():
            self.sock.sendall(data)

    def close(self, rst=False):
        if rst:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            self.sock.shutdown(socket.SHUT_RDWR) if not rst else None
        except OSError:
            pass
        self.sock.close()


class H2Origin:
    """`http1(sock)` serves connections whose ALPN agreed on http/1.1."""

    def __init__(self, script=None, *, tls=None, settings=None, takes=True, on_head=None, http1=None):
        self.http1 = http1
        self.script = script or (lambda link, r: link.answer(r))
        self.tls, self.settings, self.takes, self.on_head = tls, settings, takes, on_head
        self.requests, self.links, self.resets, self.handshakes = [], [], [], 0
        self.seen, self.lock = 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def count(self):
        with self.lock:
            self.seen += 1
            return self.seen

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        if self.tls:
            try:
                sock = self.tls.wrap_socket(sock, server_side=True)
            except (OSError, ssl.SSLError):
                return
        if self.http1 and sock.selected_alpn_protocol() == "http/1.1":
            self.http1(sock)
            return
        link = Link(self, sock)
        self.links.append(link)
        link.run()

    def stop(self):
        self.listener.close()
        for link in self.links:
            link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
