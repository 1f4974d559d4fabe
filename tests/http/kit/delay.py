# SPDX-License-Identifier: Apache-2.0
"""A long line: a relay that delivers every byte a fixed time after it came, in both directions, as many as
come. In user space, for not every kernel can delay a device; in a process of its own, for speed:
delay.py LISTEN_PORT TO_PORT MILLISECONDS"""
import collections
import selectors
import socket
import subprocess
import sys
import time

PIECE = 262144


class Delay:
    """Listens on `port` and connects to `to`, another port; `one_way_ms` for each byte."""

    def __init__(self, to, one_way_ms=50):
        from .tools import die_with_parent, free_port, wait_until
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen([sys.executable, __file__, str(self.port), str(to), str(one_way_ms)],
                                        stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        wait_until(lambda: self.process.stdout.readline() == b"ready\n", 10, "the relay")

    def stop(self):
        from .tools import stop
        stop(self.process)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Way:
    """One direction of a connection: what is on its way, each piece with the time when it is due."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.pieces = collections.deque()
        self.ended = False

    def take(self, due):
        try:
            data = self.source.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.ended = not data
        self.pieces.append((due, data))

    def deliver(self, now):
        """False: the sink takes no more now, or is gone."""
        while self.pieces and self.pieces[0][0] <= now:
            due, data = self.pieces.popleft()
            try:
                if not data:
                    self.sink.shutdown(socket.SHUT_WR)
                    continue
                sent = self.sink.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.pieces.clear()
                return
            if sent < len(data):
                self.pieces.appendleft((due, memoryview(data)[sent:]))
                return


def relay(listener, to, delay_s):
    selector, ways = selectors.DefaultSelector(), []
    selector.register(listener, selectors.EVENT_READ)
    while True:
        now = time.monotonic()
        for way in ways:
            way.deliver(now)
        due = min((w.pieces[0][0] for w in ways if w.pieces), default=now + 60)
        for key, _ in selector.select(min(max(due - time.monotonic(), 0.001), 60)):
            if key.fileobj is not listener:
                key.data.take(time.monotonic() + delay_s)
                if key.data.ended:
                    selector.unregister(key.fileobj)
                continue
            pair = listener.accept()[0], socket.create_connection(("127.0.0.1", to))
            for a, b in (pair, pair[::-1]):
                a.setblocking(False)
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ways.append(Way(a, b))
                selector.register(a, selectors.EVENT_READ, ways[-1])


if __name__ == "__main__":
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("ready", flush=True)
    relay(server, int(sys.argv[2]), int(sys.argv[3]) / 1000)
