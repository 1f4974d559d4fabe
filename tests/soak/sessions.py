# SPDX-License-Identifier: Apache-2.0
"""Clients of servers that are changed at run time: requests to the fleet, with a shadow behind some of them,
and sessions, which stay with their server and their part of a split as long as that one is well."""
import time

from clients import Talker


class FleetClient(Talker):
    """Requests to servers in all moods, over one connection; some are mirrored."""
    pause_s = 0.03

    def once(self):
        self.still_open()
        dice = self.rand.random()
        if dice < 0.8:
            self.get("/f", self.rand.choice((10, 1000, 30000)))
        elif dice < 0.95:
            self.get("/m/e", self.rand.choice((10, 20000)))
        else:
            self.post("/m/p", self.rand.choice((0, 500, 20000)))


class Session(Talker):
    """A browser with a jar: /k sticks to a server, /x to a part of a split."""
    pause_s = 0.15

    def __init__(self, *a):
        super().__init__(*a)
        self.jar, self.at, self.part, self.well_at = {}, None, None, 0

    def head(self, method, path, fields=()):
        cookies = "; ".join(f"{n}={v}" for n, v in self.jar.items())
        return super().head(method, path, [*fields, *([f"Cookie: {cookies}"] if cookies else [])])

    def check(self, r, request_id, body):
        for line in r.all("Set-Cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.jar[name] = value
        super().check(r, request_id, body)
        self.server = r.get("X-Server")

    def once(self):
        self.still_open()
        if self.get("/k", 500):
            self.tally.counts["session"] += 1
            if self.at not in (None, self.server):
                self.tally.moves.append((self.name, self.at, self.server, self.well_at,
                                         time.monotonic()))
            self.at, self.well_at = self.server, time.monotonic()
        if self.get("/x", 500):
            part = self.server.rstrip("0123456789")
            if self.part not in (None, part):
                self.trouble("", f"a client of {self.part} came to {part}", self.alive_at,
                             is_wrong=True)
            self.part = part
            self.tally.counts[f"split to {part}"] += 1


KINDS = {"fleet": (FleetClient, 6), "session": (Session, 12)}
