#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make soak: weir under mixed load while everything around it changes; see README.md.

    soak.py BINARY        SOAK_SECONDS=120  SOAK_SEED=1  SOAK_KEEP=1 leaves the folder with all logs
"""
import dataclasses
import multiprocessing
import os
import pathlib
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "http")]
os.environ["WEIR_BIN"] = str(pathlib.Path(sys.argv[1]).resolve())
import certs  # noqa: E402
import clients  # noqa: E402
import config  # noqa: E402
import h2clients  # noqa: E402
import sessions  # noqa: E402
import verdict  # noqa: E402
from chaos import UPGRADE_AT, Chaos  # noqa: E402
from fleet import Fleet  # noqa: E402
from kit import Weir, free_port, memory, wait_until  # noqa: E402
from peers import GrpcServer  # noqa: E402
from programs import PROGRAMS, Grpc, has_grpc  # noqa: E402
from servers import Bulk, H2Server, Server  # noqa: E402

KINDS = clients.KINDS | h2clients.KINDS | sessions.KINDS

SECONDS = float(os.environ.get("SOAK_SECONDS") or 120)
SEED = os.environ.get("SOAK_SEED", "1")
GROWTH_KB, GROWTH = 2048, 0.10   # of memory, that is taken for flat
SETTLE_S = 30


@dataclasses.dataclass
class World:
    """What clients need to know."""
    dir: str
    port: int
    second_port: int
    tls_port: int
    ca: str
    seconds: float
    stop: object


# ---- weir, from outside

def proc(pids, what):
    """Sum over processes: 'fds', 'threads' or 'kb'."""
    total = 0
    for pid in pids:
        try:
            if what == "fds":
                total += len(os.listdir(f"/proc/{pid}/fd"))
            elif what == "threads":
                total += len(os.listdir(f"/proc/{pid}/task"))
            else:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                total += int(status.split("VmRSS:")[1].split()[0])
        except (FileNotFoundError, ProcessLookupError, IndexError):
            pass
    return total


class Sampler(threading.Thread):
    """Memory, twice a second."""

    def __init__(self, weir, stop):
        super().__init__(daemon=True)
        self.weir, self.stop, self.samples, self.began = weir, stop, [], time.monotonic()

    def run(self):
        while not self.stop.wait(0.5):
            self.samples.append((time.monotonic() - self.began, proc(self.weir.processes(), "kb")))

    def median_kb(self, since, until):
        inside = [kb for at, kb in self.samples if since <= at < until]
        return int(statistics.median(inside)) if inside else 0


def idle_descriptors(weir):
    """Descriptors without those of idle connections to servers, which may stay. The least of several looks: a check
    may be under way."""
    def kept():
        return weir.status()["connections"]["to_servers"]

    def look():
        before = kept()
        time.sleep(0.3)  # the connection that asked
        found = proc(weir.processes(), "fds") - before
        return found if kept() == before else None
    looks = [look() for _ in range(8)]
    return min((n for n in looks if n is not None), default=-1)


def gauges(weir):
    """Those that have to be 0 when nobody is there."""
    status, metrics = weir.status(), weir.metrics()
    found = {n: int(v) for n, v in metrics.items() if v and n in (
        "weir_connections_open", "weir_connections_idle", "weir_requests_active",
        "weir_tunnels_open", "weir_buffer_bytes", "weir_mirrors_active", "weir_tls_handshakes_open")}
    busy = status["connections"]["to_servers"] - status["connections"]["to_servers_idle"]
    snapshots = status["config"]["snapshots_alive"]
    return found | ({"servers in use": busy} if busy else {}) | \
        ({"snapshots": snapshots} if snapshots != 1 else {})


# ---- the run

class Soak:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.app = [Server(f"app{i}", folder) for i in (1, 2, 3)]
        self.steady = [Server(f"steady{i}", folder) for i in (1, 2)]
        self.fleet = [Server(f"fleet{i}", folder) for i in (1, 2, 3, 4)]
        self.two = [H2Server(f"two{i}", folder) for i in (1, 2)]
        more = [H2Server("calm1", folder), Server("shadow", folder), H2Server("two3", folder)]
        self.servers = self.app + self.steady + self.fleet + self.two + more
        for s in self.servers:
            s.wait_up()
        self.bulk = Bulk(folder)
        names = {s.name: s for s in self.servers}
        self.grpc = [GrpcServer() for _ in (1, 2)] if has_grpc() else []
        names |= {f"grpc{i + 1}": s for i, s in enumerate(self.grpc)}
        text = config.GRPC if self.grpc else ""
        self.pairs = certs.Pairs(folder)
        self.weir = Weir(config.plain(grpc=text), bulk=self.bulk, second=free_port(), third=free_port(),
                         pair=self.pairs.path, **names)
        self.stop = multiprocessing.Event()
        self.world = World(folder, self.weir.port, self.weir.names["second"],
                           self.weir.tls_port, str(self.pairs.ca), SECONDS, self.stop)
        self.chaos = Chaos(self.weir, self.app + self.two[:1], self.pairs, SEED, text)
        moody = self.fleet[:3]
        self.changes = Fleet(self.weir, {"fleet": self.fleet, "sessions": self.fleet,
                                         "two": [self.two[0], more[2]]},
                             moody, more[1], SEED, self.stop)
        self.broken = []

    def clients_start(self):
        self.results = multiprocessing.Queue()
        self.processes = [multiprocessing.Process(target=clients.run_kind, daemon=True,
                                                  args=(kind, cls, n, self.world, self.results))
                          for kind, (cls, n) in KINDS.items()]
        for p in self.processes:
            p.start()
        self.programs = [program(self.world) for program in
                         PROGRAMS + ((Grpc,) if self.grpc else ())]
        for p in self.programs:
            p.start()

    def clients_end(self):
        self.stop.set()
        tallies = [self.results.get(timeout=90) for _ in self.processes]
        for p in self.processes:
            p.join(30)
        for p in [*self.programs, self.changes]:
            p.join(90)
        return tallies + [p.tally for p in self.programs]

    def run(self):
        self.first = self.measure()
        self.sampler = Sampler(self.weir, self.stop)
        self.sampler.start()
        self.clients_start()
        self.began = time.monotonic()
        self.changes.start()
        self.chaos.run(SECONDS)
        self.tallies = self.clients_end()
        self.chaos.reload_good(config.plain(self.chaos.generation + 1, self.chaos.grpc))
        self.settle()
        self.compare()

    def settle(self):
        try:
            wait_until(lambda: not gauges(self.weir), SETTLE_S)
        except AssertionError:
            self.broken.append(f"{SETTLE_S} s after the last client: {gauges(self.weir)}")
        self.last = self.measure()

    def measure(self):
        fds = idle_descriptors(self.weir)  # waits until it serves
        return {"fds": fds, "threads": proc(self.weir.processes(), "threads")}

    def compare(self):
        self.books = verdict.Books(self.folder, self.tallies)
        self.bulk_requests = self.bulk.requests()
        self.excused, troubles = verdict.judge(self.tallies, self.chaos.events,
                                                self.changes.episodes)
        self.write_details()
        self.broken += troubles + self.chaos.broken + self.changes.broken + list(self.books.check())
        self.broken += self.books.check_episodes(self.changes.episodes, self.chaos.events)
        self.broken += verdict.check_moves(self.tallies, self.changes.episodes)
        self.broken += verdict.check_orders(self.changes.again, self.chaos.events)
        self.broken += verdict.check_bulk(self.tallies, self.bulk_requests)
        for word in ("fds", "threads"):
            if self.first[word] != self.last[word]:
                self.broken.append(f"{word}: {self.first[word]} before, {self.last[word]} after")
        self.warm = self.sampler.median_kb(SECONDS * 0.15, SECONDS * 0.35)
        self.late = self.sampler.median_kb(SECONDS * (UPGRADE_AT - 0.2), SECONDS * UPGRADE_AT)
        if self.late > self.warm * (1 + GROWTH) + memory(GROWTH_KB):
            self.broken.append(f"memory grew from {self.warm} KB to {self.late} KB")

    def end(self):
        self.stop.set()
        try:
            self.weir.stop(seconds=60)
        except AssertionError as e:
            self.broken.append(str(e))
        for s in self.servers:
            s.die()
        for s in [self.bulk, *self.grpc]:
            s.close()

    # -- the report

    def sum(self, word, kinds=None):
        return sum(t.counts[word] for t in self.tallies if not kinds or t.kind in kinds)

    def long_lived(self):
        ends = [at for at, what in self.chaos.events if what in ("kill", "upgrade")]
        begin, end = self.began + SECONDS * 0.1, min(ends, default=self.began + SECONDS)
        return sum(opened < begin and closed >= end for t in self.tallies
                   if t.kind in ("keep", "tunnel") for opened, closed in t.lives)

    def gap_ms(self):
        """The longest time after a kill until a new connection was served."""
        good = sorted(at for t in self.tallies for at in t.good_at)
        gaps = [min((g for g in good if g > at), default=at + 99) - at
                for at, what in self.chaos.events if what == "kill"]
        return max(gaps, default=0) * 1000

    def own_gap_ms(self):
        found = re.findall(r"serves, (\d+) ms after the end", self.stderr)
        return max(map(int, found), default=0)

    def rows(self):
        done, bulk = self.chaos.done, ("wrk", "h2load")
        yield "answers checked byte by byte", f"{self.sum('answers') - self.sum('answers', bulk):,}, " \
            f"{self.sum('bytes') >> 20} MB down, {self.sum('posted') >> 20} MB up"
        yield "answers to wrk and h2load", f"{self.sum('answers', bulk):,}, " \
            f"their server counts {self.bulk_requests:,}"
        yield "echoes through tunnels", f"{self.sum('echoes'):,}"
        yield "answers over HTTP/2; calls of gRPC, messages of a chat", \
            f"{self.sum('h2'):,}; {self.sum('calls'):,}, {self.sum('messages'):,}"
        yield "orders by `weir server`; servers slow, sick, failing for a while", \
            f"{self.changes.commands}; {self.changes.moods}; answers of 500 to clients: {self.excused['500']}"
        yield "requests of sessions; sessions that moved, all from servers that were unwell or out of use", \
            f"{self.sum('session'):,}; {sum(len(t.moves) for t in self.tallies)}"
        yield "requests of a split; mirrored", " and ".join(
            f"{self.sum(f'split to {w}'):,}" for w in ("fleet", "steady")) + f"; {self.books.mirrored():,}"
        yield "connections over TLS, resumed", f"{self.sum('tls'):,}, {self.sum('resumed'):,}"
        yield "certificates exchanged", f"{done['certs']}, and {done['bad_certs']} that were refused"
        yield "clients that vanished", f"{self.sum('gone'):,}"
        yield "reloads", f"{done['reloads']}, and {done['refused']} that had to be refused"
        yield "servers that died", f"{done['deaths']}; requests sent to another one: " \
            f"{self.books.retried()}"
        yield "upgrades (SIGUSR2)", f"{done['upgrades']}; connections and load generators that it " \
            f"ended: {self.sum('told')} told so, {self.excused['upgrade']} not"
        yield "worker processes killed", f"{done['kills']}" + (
            f"; a new one served {self.own_gap_ms()} ms later at most, as weir counts it, and "
            f"{self.gap_ms():.0f} ms, as clients do" if done["kills"] else "")
        yield "requests and tunnels lost with a killed process, requests with a dead server", \
            f"{self.excused['kill']}, {self.excused['death']}"
        yield "keep-alive connections and tunnels open all the time (until the upgrade)", \
            f"{self.long_lived()}"
        yield "descriptors, threads before and after", \
            f"{self.first['fds']} and {self.last['fds']}, " \
            f"{self.first['threads']} and {self.last['threads']}"
        yield "memory when warm, later", f"{self.warm / 1024:.1f} MB, {self.late / 1024:.1f} MB"
        yield "**broken promises**", f"**{len(self.broken)}**"

    def write_details(self):
        """All troubles, excused or not, and memory over time, beside the journals."""
        with open(self.folder / "memory", "w") as f:
            f.writelines(f"{at:.1f} s {kb} KB\n" for at, kb in self.sampler.samples)
        with open(self.folder / "episodes", "w") as f:
            for at, what in [*self.chaos.events, *self.changes.again, *((e.since, e) for e in self.changes.episodes)]:
                wall = time.strftime("%H:%M:%S", time.localtime(at + time.time() - time.monotonic()))
                print(f"{wall} {at:.3f} {what}", file=f)
        with open(self.folder / "troubles", "w") as f:
            for t in sorted((t for tally in self.tallies for t in tally.troubles),
                            key=lambda t: t.began):
                print(verdict.excuse(t, self.chaos.events, self.changes.episodes) or "BROKEN", t, file=f)

    def report(self):
        print(f"| `make soak` | {SECONDS:.0f} s, 2 workers |\n|---|---|")
        for name, value in self.rows():
            print(f"| {name} | {value} |")
        for line in self.broken[:60]:
            print(f"BROKEN {line}")


def main():
    folder = tempfile.tempdir = tempfile.mkdtemp(prefix="weir-soak-")
    soak = Soak(folder)
    try:
        soak.run()
    finally:
        soak.stderr = soak.weir.stderr
        pathlib.Path(folder, "weir-stderr").write_text(soak.stderr)
        soak.end()
    soak.report()
    if os.environ.get("SOAK_KEEP") or soak.broken:
        print(f"logs and journals are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if soak.broken else 0


if __name__ == "__main__":
    sys.exit(main())
