# SPDX-License-Identifier: Apache-2.0
"""What happens to servers that nobody kills, beside everything else: they are drained, disabled, removed, added
and weighted at run time by `weir server`, and have moods: slow, failing checks, answers of 500 or 503. Each
is an episode; verdict.py knows what clients may see of it."""
import dataclasses
import random
import threading
import time

from kit import Client, weir_cli, wait_until
from kit.client import Closed

CHANGE_EACH_S, CHANGE_S = 0.7, (1.0, 4.0)
MOOD_EACH_S, MOOD_S = 9.0, 5.0
MOODS = ("sick", "slow", "503", "500")
STATES = {"drain": "draining", "disable": "disabled", "remove": "disabled"}
PATIENCE_S = 10  # for an order while a worker process or the supervisor is exchanged


@dataclasses.dataclass
class Episode:
    upstream: str     # None: a mood, which all upstreams see
    server: str
    what: str
    ordered: float
    since: float = 0
    until: float = 0


class Fleet(threading.Thread):
    """`upstreams`: name -> servers whose use may change, and at last one that the configuration does not have."""

    def __init__(self, weir, upstreams, moody, shadow, seed, stop):
        super().__init__(daemon=True)
        self.weir, self.upstreams, self.moody, self.stop = weir, upstreams, moody, stop
        self.shadow = shadow
        self.rand = random.Random(f"fleet {seed}")
        self.episodes, self.broken, self.commands = [], [], 0
        self.again = []         # (when, order that had to be given again, and why)
        self.open = {}          # upstream -> (until, Episode)
        self.mood = None        # (until, Episode)
        self.next_mood, self.moods = 0, 0

    # -- orders

    def order(self, *words):
        """While a process is being exchanged, nobody may be there to take it."""
        began, failures = time.monotonic(), []
        while (done := weir_cli("server", *words, "-c", self.weir.config)).returncode != 0:
            if failures and "nothing was changed" in done.stderr:
                break  # the answer to the one before was lost
            failures.append(done.stderr[-200:])
            if time.monotonic() > began + PATIENCE_S or done.returncode == 2:
                self.broken.append(f"weir server {' '.join(words)}: {failures[0]} {failures[-1]}")
                return
            time.sleep(0.1)
        if failures:
            self.again.append((began, f"{' '.join(words)}: {failures[0]}"))
        self.commands += 1

    def state(self, upstream, server):
        try:
            servers = next(u["servers"] for u in self.weir.status()["upstreams"]
                           if u["name"] == upstream)
        except (OSError, Closed, StopIteration):
            return None
        return next((s["state"] for s in servers if s["name"] == server.address), "unknown")

    def expect(self, upstream, server, word, is_so):
        try:
            wait_until(lambda: is_so(self.state(upstream, server)), PATIENCE_S)
        except AssertionError:
            self.broken.append(f"{server.name} of {upstream} is {self.state(upstream, server)} "
                               f"after {word}")

    # -- episodes

    def begin(self, upstream):
        word = self.rand.choice(("drain", "disable", "remove", "add", "set"))
        *servers, spare = self.upstreams[upstream]
        server = spare if word == "add" else self.rand.choice(servers)
        episode = Episode(upstream, server.name, word, time.monotonic())
        if word in ("add", "set"):
            self.order(word, upstream, server.address, f"weight={self.rand.randint(1, 5)}")
        else:
            self.order(word, upstream, server.address)
            self.expect(upstream, server, word, lambda s: s == STATES[word])
        episode.since = time.monotonic()
        self.episodes.append(episode)
        self.open[upstream] = (time.monotonic() + self.rand.uniform(*CHANGE_S), episode, server)

    def end(self, upstream):
        _, episode, server = self.open.pop(upstream)
        episode.until = time.monotonic()
        if episode.what == "add" and self.rand.random() < 0.5:
            self.order("remove", upstream, server.address)
        elif episode.what in STATES and self.rand.random() < 0.5:
            self.order("enable", upstream, server.address)
        if episode.what != "add" or self.state(upstream, server) != "unknown":
            self.order("reset", upstream, server.address)

    def feel(self, server, mood):
        with Client(server.port) as c:
            assert c.get("/mood/-/0", headers=[f"X-Mood: {mood}"]).status == 200

    def mood_begin(self):
        mood = MOODS[self.moods % len(MOODS)]
        server = self.rand.choice(self.moody)
        self.feel(self.shadow, self.rand.choice(("well", "slow", "500")))
        episode = Episode(None, server.name, mood, time.monotonic())
        self.feel(server, mood)
        episode.since = time.monotonic()
        self.episodes.append(episode)
        self.moods += 1
        self.mood = (time.monotonic() + MOOD_S, episode, server)

    def mood_end(self):
        _, episode, server = self.mood
        self.feel(server, "well")
        episode.until = time.monotonic()
        self.mood, self.next_mood = None, time.monotonic() + MOOD_EACH_S - MOOD_S

    # -- the run

    def once(self, now):
        for upstream in [u for u, (until, *_) in self.open.items() if now >= until]:
            self.end(upstream)
        if self.mood and now >= self.mood[0]:
            self.mood_end()
        elif not self.mood and now >= self.next_mood:
            self.mood_begin()
        idle = [u for u in self.upstreams if u not in self.open]
        if idle and now >= self.next_change:
            self.begin(self.rand.choice(idle))
            self.next_change = now + CHANGE_EACH_S

    def run(self):
        self.next_change = time.monotonic() + 3
        self.next_mood = self.next_change + 1
        while not self.stop.wait(0.1):
            self.once(time.monotonic())
        for upstream in list(self.open):
            self.end(upstream)
        if self.mood:
            self.mood_end()
        self.feel(self.shadow, "well")
