# SPDX-License-Identifier: Apache-2.0
"""Many clients, few URLs, and a server that answers by chance: whatever the order of things, an answer is one that the server
gave for that request or may be given to it. SEEDS=20 plays more of them."""
import dataclasses
import os
import random
import threading
import time

import pytest

from kit import CLOSE, Client, Closed, Origin, Weir

CONF = """workers 2
listen @listen@
admin @admin@
log access off
cache_store memory size=@memory@
@disk@
upstream o { server @o@; retry off; eject off; concurrency off; keepalive off }
site * { cache stale_max=0ms; proxy o }
"""
KEYS, CLIENTS, REQUESTS = 6, 6, 80
SEEDS = int(os.environ.get("SEEDS", "2"))
SLACK_S = 1.5  # of lifetimes, on a machine that is busy


@dataclasses.dataclass
class Told:
    """What the server said once."""
    path: str
    id: str        # of the request that asked
    foo: str | None
    status: int
    body: bytes
    lifetime: int
    shared: bool   # may others have it?
    vary: bool
    tag: bool
    came: float    # when its request came, or it was validated
    sent: float    # the same


class Server:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.told = {}

    def __call__(self, r):
        with self.lock:
            return self.answer(r)

    def answer(self, r):
        x = self.random.random()
        if r.method == "POST":
            return head(200, [], 0)
        if x < 0.03:
            return [self.random.random() / 20, CLOSE]
        if x < 0.06:
            return head(503, ["X-Failed: 1"], 4) + b"busy"
        validated = self.validated(r)
        if validated is not None and x < 0.7:
            self.told[validated].sent = self.told[validated].came = time.monotonic()
            return [self.random.random() / 50, head(304, [f"V: {validated}", f'ETag: "{validated}"'], None)]
        return self.whole(r)

    def validated(self, r):
        for tag in (r.get("If-None-Match") or "").split(","):
            number = tag.strip().strip('"')
            if number in self.told and self.told[number].path == r.target:
                t = self.told[number]
                if t.shared and (not t.vary or t.foo == r.get("Foo")):
                    return number
        return None

    def whole(self, r):
        number = str(len(self.told) + 1)
        lifetime = self.random.choice([0, 1, 1, 60, 60, 60])
        shared = self.random.random() < 0.8
        vary, tag = self.random.random() < 0.3, self.random.random() < 0.6
        tag |= r.method == "HEAD"  # without one it would renew whatever is as long
        size = self.random.choice([0, 10, 1000, 70_000, 300_000])
        body = (f"{number} {r.target} {r.get('Foo')} ".encode() + random.Random(number).randbytes(size))[:max(size, 1)]
        status = self.random.choice([200, 200, 200, 404])
        private = r.get("Authorization") is not None or not shared
        word = f"max-age={lifetime}" + ("" if shared else ", " + self.random.choice(["no-store", "private"]))
        fields = [f"Cache-Control: {word}", f"V: {number}"]
        fields += ["Vary: Foo"] if vary else []
        fields += [f'ETag: "{number}"'] if tag else []
        now = time.monotonic()
        self.told[number] = Told(r.target, r.get("X-Id"), r.get("Foo"), status, body, lifetime, not private, vary, tag, now, now)
        return self.bytes_of(r, status, fields, body, number)

    def bytes_of(self, r, status, fields, body, number):
        pause = lambda: self.random.random() / 30  # noqa: E731
        cut = self.random.random() < 0.05 and len(body) > 1 and r.method == "GET"
        data = body[:len(body) // 2] if cut else body
        if self.random.random() < 0.5:
            steps = [pause(), head(status, fields, len(body)), data[:5], pause(), data[5:]]
        else:
            chunk = lambda d: b"%x\r\n%s\r\n" % (len(d), d) if d else b""  # noqa: E731
            steps = [pause(), head(status, [*fields, "Transfer-Encoding: chunked"], None), chunk(data[:5]), pause(), chunk(data[5:]),
                     b"" if cut else b"0\r\n\r\n"]
        if r.method == "HEAD":
            steps = steps[:2]
        return [*steps, lambda _: self.went(number), CLOSE]

    def went(self, number):
        with self.lock:
            self.told[number].sent = time.monotonic()


def head(status, fields, length):
    more = [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([f"HTTP/1.1 {status} Said", *fields, *more, "", ""]).encode()


class Player:
    def __init__(self, weir, server, drops, seed, number):
        self.weir, self.server, self.drops, self.number = weir, server, drops, number
        self.random = random.Random(f"{seed} {number}")
        self.seen = []
        self.wrong = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for i in range(REQUESTS):
            try:
                self.one(f"{self.number}-{i}")
            except (Closed, OSError):
                pass
            except Exception as e:
                self.wrong.append(f"{self.number}-{i}: {e!r}")

    def one(self, id):
        x, path = self.random.random(), f"/{self.random.randrange(KEYS)}"
        method = "POST" if x < 0.04 else "HEAD" if x < 0.1 else "GET"
        fields = [f"X-Id: {id}"]
        foo = self.random.choice([None, "a", "b"])
        fields += [f"Foo: {foo}"] if foo else []
        fields += ["Authorization: x"] if self.random.random() < 0.1 else []
        fields += ["Range: bytes=3-12"] if self.random.random() < 0.15 else []
        condition = self.random.random() < 0.1 and self.seen
        fields += [f'If-None-Match: "{self.random.choice(self.seen)}"'] if condition else []
        fields += ["Content-Length: 0"] if method == "POST" else []
        dropped = self.drops.get(path, 0)
        began = time.monotonic()
        with Client(self.weir.port) as c:
            r = c.get(path, headers=fields, method=method)
        if method == "POST":
            if r.status == 200:
                self.drops[path] = max(self.drops.get(path, 0), began)
            return
        self.check(r, id, path, foo, method, dropped, began)

    def check(self, r, id, path, foo, method, dropped, began):
        number = (r.get("ETag") or "").strip('"') if r.status == 304 else r.get("V")
        if r.status in (502, 503, 504) and not number:
            return
        assert number, f"{r.status} {r.headers}"
        t = self.server.told[number]
        mine = t.id == id
        assert t.path == path, f"{path} got {t}"
        assert t.shared or mine, "what is not for others"
        assert mine or not t.vary or t.foo == foo, "another variant"
        assert mine or t.came >= dropped, f"older than what dropped it: {dropped - t.came:.3f} s"
        assert mine or began - t.sent <= t.lifetime + SLACK_S, f"stale for {began - t.sent - t.lifetime:.3f} s: {t.lifetime}"
        assert r.status in (t.status, 206, 304, 416), f"{r.status}"
        if r.complete and method == "GET" and r.status == t.status:
            assert r.body == t.body, f"{len(r.body)} bytes of {len(t.body)}"
        if r.complete and r.status == 206:
            assert r.body == t.body[3:13] and r.get("Content-Range") == f"bytes 3-{min(12, len(t.body) - 1)}/{len(t.body)}"
        if t.tag:
            self.seen = [*self.seen[-5:], number]


@pytest.mark.seconds(120)
@pytest.mark.parametrize("tier", ["memory", "little memory", "disk"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_by_chance(tier, seed, tmp_path):
    server = Server(seed)
    disk = f"cache_store disk {tmp_path} size=20M" if tier == "disk" else ""
    with Origin(server) as o, Weir(CONF, o=o, memory="64M" if tier == "memory" else "1M", disk=disk) as w:
        drops = {}
        players = [Player(w, server, drops, seed, i) for i in range(CLIENTS)]
        for p in players:
            p.thread.join(100)
        wrong = [x for p in players for x in p.wrong]
        assert not wrong, f"seed {seed}: {len(wrong)}: {wrong[:5]}"
        assert len(server.told) < CLIENTS * REQUESTS, "something came from the cache"
