# SPDX-License-Identifier: Apache-2.0
"""Readers of 10 MB that take a limited number of bytes in a second: the proxy's sends stop and go on many
times, so that what it does per wake-up shows."""
import os
import socket
import threading
import time

READERS = 8
BYTES = 10 << 20
BYTES_PER_S = 16 << 20  # of each reader
PIECE = 64 << 10
REQUEST = b"GET /10m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def read_all(port, rate, got):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * PIECE)
        s.connect(("127.0.0.1", port))
        s.sendall(REQUEST)
        began, count = time.monotonic(), 0
        while piece := s.recv(PIECE):
            count += len(piece)
            if rate:
                time.sleep(max(0, began + count / rate - time.monotonic()))
        got.append(count)


def cpu_us_per_mb(field, name, rate):
    before, got = field.cpu_ns(name), []
    old = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})  # its threads, too
    try:
        readers = [threading.Thread(target=read_all, args=(field.ports[name], rate, got))
                   for _ in range(READERS)]
        for r in readers:
            r.start()
        for r in readers:
            r.join()
    finally:
        os.sched_setaffinity(0, old)
    if len(got) != READERS or min(got) < BYTES:
        raise SystemExit(f"{name}: a slow reader did not get everything")
    return (field.cpu_ns(name) - before) / 1000 / (sum(got) / (1 << 20))
