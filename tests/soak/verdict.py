# SPDX-License-Identifier: Apache-2.0
"""Compares what clients and servers saw, and says which troubles are excused by what was done to whom.

A killed worker process takes the requests in it along, nothing else. A server that dies takes along what may
not be sent twice (POST) and answers that had begun. An upgrade may close a kept connection that is idle;
h2load takes that ill. A reload takes nothing along."""
import collections

BEFORE_S, KILL_S, DEATH_S, UPGRADE_S = 0.1, 1.0, 1.0, 7.0
ACCEPT_S = 0.1  # so long after the signal connections may still have gone to the old process
ON_DYING_SERVERS = ("keep", "post", "shot", "curl", "h2", "nghttp")  # the others talk to servers that stay
FOUND_S = 4.0  # so long it may take until a server that fails is left out
OUT = ("disable", "remove", "drain", "sick")  # gets no requests at all without sessions
SETTLED_S = {"sick": 2.5}  # until checks have told
UNSETTLED_S = 4.0  # after a kill or an upgrade, until checks have told the new process


def overlaps(trouble, at, span):
    return trouble.began <= at + span and trouble.ended >= at - BEFORE_S


def failing(trouble, events, episodes):
    """A server's own 500 goes to the client, and makes weir leave it out soon, but where sessions are sticky."""
    shaken = [at for at, what in events if what != "death"]

    def since(e):
        """Also from when it came into use again."""
        return [e.ordered, *shaken, *(o.until for o in episodes if o.server == e.server and o.upstream)]
    return any(f"status 500 of {e.server}" in trouble.what and e.what == "500" and
               e.ordered <= trouble.ended and trouble.began <= (e.until or trouble.ended) and
               (trouble.kind == "session" or any(trouble.ended < at + FOUND_S for at in since(e) if at <= trouble.ended))
               for e in episodes)


def excuse(trouble, events, episodes):
    """'kill', 'death', 'upgrade', '500' or None."""
    if trouble.is_wrong or trouble.method == "CONNECT":
        return None
    if failing(trouble, events, episodes):
        return "500"
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


def judge(tallies, events, episodes):
    """(requests that were lost with what: how many, [broken promises])"""
    excused, broken = collections.Counter(), []
    for tally in tallies:
        for t in tally.troubles:
            why = excuse(t, events, episodes)
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
        self.mirrors = collections.Counter()
        self.times = collections.defaultdict(list)  # (server, what) -> when
        for server, request_id, *more in read_pairs(folder, "journal-*"):
            if request_id.startswith("!"):
                self.complaints.append(request_id)
            elif server == "shadow":
                self.mirrors[request_id] += 1
            else:
                self.seen[request_id].append(server)
                self.posts[request_id] += more[0] == "POST"
                self.times[server, more[1]].append(float(more[2]))
        pairs = [(i, server) for _, i, server in read_pairs(folder, "answers-*")]
        self.answered = {i: server for i, server in pairs if server != "-"}
        self.unprocessed = [i for i, server in pairs if server == "-"]
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
        yield from (f"{i} was told to be unprocessed, and a server got it"
                    for i in self.unprocessed if self.seen[i])
        yield from (f"{i} was mirrored {n} times" for i, n in self.mirrors.items() if n > 1)
        yield from (f"the shadow got {i}, which no client sent" for i in self.mirrors
                    if not self.is_known(i))
        yield from (f"a server could not read what weir sent: {c}" for c in self.complaints)

    def mirrored(self):
        return len(self.mirrors)

    def check_episodes(self, episodes, events):
        """A server that is out of use gets nothing but what was under way."""
        for e in episodes:
            shaken = [at for at, what in events if what != "death"]
            if e.what == "sick":  # who is in use again, or was added, is checked then
                shaken += [o.until for o in episodes if o.server == e.server and o.upstream]
            paths = {"fleet": "f", "sessions": "k", None: "fk"}.get(e.upstream, "")
            if e.what not in OUT or (e.upstream == "sessions" and e.what == "drain"):
                continue
            since = e.since + SETTLED_S.get(e.what, 0.3)
            late = [t for p in paths for t in self.times[e.server, p] if since < t < e.until and
                    not any(at < t < at + UNSETTLED_S for at in shaken)]
            if late:
                yield (f"{len(late)} requests came to {e.server} of {e.upstream} after {e.what}, "
                       f"{late[0] - e.since:.2f} s later, of {e.until - e.since:.2f} s")

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


def check_moves(tallies, episodes):
    """A session moves only from a server that was unwell or out of use; a drain is no reason."""
    for name, old, new, since, at in (m for t in tallies for m in t.moves):
        if not any(e.server == old and e.upstream in (None, "sessions") and e.what not in ("drain", "set") and
                   e.ordered <= at and e.until + FOUND_S >= since for e in episodes):
            yield f"the session {name} went from {old} to {new} without a reason ({since:.3f} to {at:.3f})"


def check_orders(again, events):
    """An order may fail while a process is exchanged, and only then."""
    for at, what in again:
        if not any(word != "death" and when - UPGRADE_S < at < when + KILL_S + UPGRADE_S for when, word in events):
            yield f"weir server {what}"
