# SPDX-License-Identifier: Apache-2.0
"""Compares what clients and servers saw, and says which troubles are excused by what was done to whom.

A killed worker process takes the requests in it along, nothing else. A server that dies takes along what may
not be sent twice (POST) and answers that had begun. An upgrade may close a kept connection that is idle;
h2load takes that ill. A reload takes nothing along."""
import collections

BEFORE_S, KILL_S, DEATH_S, UPGRADE_S = 0.1, 1.0, 1.0, 7.0
ACCEPT_S = 0.1  # so long after the signal connections may still have gone to the old process
ON_DYING_SERVERS = ("keep", "post", "shot", "curl")  # the others talk to servers that stay


def overlaps(trouble, at, span):
    return trouble.began <= at + span and trouble.ended >= at - BEFORE_S


def excuse(trouble, events):
    """'kill', 'death', 'upgrade' or None."""
    if trouble.is_wrong or trouble.method == "CONNECT":
        return None
    for at, what in events:
        if what == "kill" and overlaps(trouble, at, KILL_S) and trouble.opened < at + ACCEPT_S:
            return what
        if what == "upgrade" and overlaps(trouble, at, UPGRADE_S) and \
                trouble.opened < at + ACCEPT_S and \
                (trouble.method == "IDLE" or trouble.kind == "h2load"):
            return what
        if what == "death" and trouble.kind in ON_DYING_SERVERS and \
                (trouble.method == "POST" or trouble.is_partial) and overlaps(trouble, at, DEATH_S):
            return what
    return None


def judge(tallies, events):
    """(requests that were lost with what: how many, [broken promises])"""
    excused, broken = collections.Counter(), []
    for tally in tallies:
        for t in tally.troubles:
            why = excuse(t, events)
            if why and (t.method != "IDLE" or why == "upgrade") and t.kind not in ("wrk", "h2load"):
                excused[why] += 1
            if not why:
                broken.append(f"{t.kind} {t.method} {t.id}: {t.what} (after {t.ended - t.began:.2f} s)")
    return excused, broken


def read_pairs(folder, pattern):
    for path in sorted(folder.glob(pattern)):
        for line in path.read_text().splitlines():
            yield path.name.split("-", 1)[1], *line.split(" ")


class Books:
    """Both sides' accounts of every request that has an id."""

    def __init__(self, folder, tallies):
        self.seen = collections.defaultdict(list)   # id -> servers that got it
        self.posts, self.complaints = collections.Counter(), []
        for server, request_id, *method in read_pairs(folder, "journal-*"):
            if request_id.startswith("!"):
                self.complaints.append(request_id)
                continue
            self.seen[request_id].append(server)
            self.posts[request_id] += method == ["POST"]
        self.answered = {i: server for _, i, server in read_pairs(folder, "answers-*")}
        self.issued = {name: n for t in tallies for name, n in t.issued.items()}

    def is_known(self, request_id):
        name, _, n = request_id.rpartition("-")
        return n.isdigit() and 0 < int(n) <= self.issued.get(name, 0)

    def check(self):
        lost = [i for i, server in self.answered.items() if server not in self.seen[i]]
        twice = [i for i, n in self.posts.items() if n > 1]
        unknown = [i for i in self.seen if self.seen[i] and not self.is_known(i)]
        yield from (f"{i} was answered by a server that never got it" for i in lost)
        yield from (f"POST {i} reached {len(self.seen[i])} servers: {self.seen[i]}" for i in twice)
        yield from (f"a server got {i}, which no client sent" for i in unknown)
        yield from (f"a server could not read what weir sent: {c}" for c in self.complaints)

    def retried(self):
        return sum(len(servers) - 1 for servers in self.seen.values() if len(servers) > 1)


def check_bulk(tallies, got):
    """Requests of the load generators, as they and their server count them."""
    sent = sum(t.counts["answers"] for t in tallies if t.kind in ("wrk", "h2load"))
    cut = sum(t.counts["cut"] for t in tallies)
    if got < sent:
        yield f"the load generators got {sent} answers, their server only {got} requests"
    if got > sent + cut + sum(10 for t in tallies for _ in t.troubles if t.kind == "h2load"):
        yield f"the server of the load generators got {got} requests, they count only {sent}"
