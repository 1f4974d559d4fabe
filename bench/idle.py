# SPDX-License-Identifier: Apache-2.0
"""Idle keep-alive connections: what one costs in the proxy's own memory, and whether anything
wakes for them. Each connection makes one request first."""
import selectors
import socket
import ssl
import time

# SETTINGS, and HEADERS of a GET for /1k
H2_REQUEST = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\x0a\1\5\0\0\0\1"
              b"\x82\x86\x04\x03/1k\x41\x01a")
H2_ACK = b"\0\0\0\4\1\0\0\0\0"
REQUEST = b"GET /1k HTTP/1.1\r\nHost: a\r\n\r\n"
BATCH = 500
SETTLE_SECONDS = 4  # pools give back what is not used, before either reading of the memory
PER_ADDRESS = 20_000  # connections from one loopback address: ports are few


def tls_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def read_answer(s):
    got = b""
    while len(got) < 1024 or b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < 1024:
        got += piece_of(s)


def read_h2_answer(s):
    """Up to the DATA with END_STREAM."""
    got = b""
    while True:
        got += piece_of(s)
        while len(got) >= 9 and len(got) >= 9 + int.from_bytes(got[:3], "big"):
            size, kind, flags = int.from_bytes(got[:3], "big"), got[3], got[4]
            if kind == 0 and flags & 1:
                s.sendall(H2_ACK)
                return
            if kind in (3, 7):
                raise SystemExit("a connection was not answered")
            got = got[9 + size:]


def piece_of(s):
    piece = s.recv(65536)
    if not piece:
        raise SystemExit("a connection was closed before its answer was whole")
    return piece


def open_batch(port, first, count, tls, h2):
    """Connections that have had their answer."""
    sockets = []
    for n in range(first, first + count):
        s = socket.socket()
        s.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind((f"127.0.1.{1 + n // PER_ADDRESS}", 0))
        s.connect(("127.0.0.1", port))
        if tls:
            s = tls.wrap_socket(s)
        s.sendall(H2_REQUEST if h2 else REQUEST)
        sockets.append(s)
    for s in sockets:
        read_h2_answer(s) if h2 else read_answer(s)
    return sockets


def still_open(sockets):
    with selectors.DefaultSelector() as selector:
        for s in sockets[:1000]:
            selector.register(s, selectors.EVENT_READ)
        return not selector.select(0)


def measure(field, name, count):
    port, tls = field.ports[name], tls_context() if name.startswith("tls-") else None
    h2 = name.startswith("h2c-")
    open_sockets = open_batch(port, 0, BATCH, tls, h2)  # warm: pools and tables have their size
    time.sleep(SETTLE_SECONDS)
    before = field.rss_kb(name)
    for first in range(BATCH, count, BATCH):
        open_sockets += open_batch(port, first, min(BATCH, count - first), tls, h2)
    time.sleep(SETTLE_SECONDS)
    each = (field.rss_kb(name) - before) * 1024 / (count - BATCH)
    cpu = field.cpu_ns(name)
    time.sleep(3)
    woken = (field.cpu_ns(name) - cpu) / 3e3
    print(f"  {name:12} {each:6.0f} bytes each, {woken:6.0f} us of CPU a second while idle, "
          f"{'none' if still_open(open_sockets) else 'SOME'} closed", flush=True)
    for s in open_sockets:
        s.close()
