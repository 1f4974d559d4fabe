# SPDX-License-Identifier: Apache-2.0
"""What a message through a WebSocket costs the proxy: 16 connections, on each of which a message of 64
bytes goes to an origin that echoes, as soon as the one before is back.

    bench/websocket.py PORT      is the origin: it switches, then echoes bytes"""
import os
import pathlib
import selectors
import socket
import sys
import time

CONNECTIONS = 16
MESSAGE = b"\x82\xba\0\0\0\0" + bytes(58)  # one frame, masked with zeros
ASK = (b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
       b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def echo(port):
    selector, listener = selectors.EpollSelector(), socket.create_server(("127.0.0.1", port), backlog=1024)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                sock = listener.accept()[0]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(sock, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(65536)
                key.fileobj.sendall(SWITCH if data.startswith(b"GET ") else data)
            except OSError:
                data = b""
            if not data:
                selector.unregister(key.fileobj)
                key.fileobj.close()


def start_origin(field):
    from contestants import free_port
    port = free_port()
    field.start_origin("echo", 0, [sys.executable, str(pathlib.Path(__file__)), str(port)], port)


def open_one(port):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(ASK)
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(4096)
        if not piece:
            raise SystemExit(f"port {port} did not switch: {got!r}")
        got += piece
    if not got.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"port {port} did not switch: {got!r}")
    return s


def measure(field, name, seconds):
    old = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    sockets = [open_one(field.ports[name]) for _ in range(CONNECTIONS)]
    with selectors.EpollSelector() as selector:
        for s in sockets:
            selector.register(s, selectors.EVENT_READ)
        before, count = field.cpu_ns(name), 0
        end = time.monotonic() + seconds
        for s in sockets:
            s.sendall(MESSAGE)
        while time.monotonic() < end:
            for key, _ in selector.select():
                if len(key.fileobj.recv(4096)) != len(MESSAGE):
                    raise SystemExit(f"{name}: an echo was not whole")
                key.fileobj.sendall(MESSAGE)
                count += 1
        cpu = field.cpu_ns(name) - before
    for s in sockets:
        s.close()
    os.sched_setaffinity(0, old)
    return {"cpu_us": cpu / 1000 / max(count, 1), "rate": count / seconds}


if __name__ == "__main__":
    echo(int(sys.argv[1]))
