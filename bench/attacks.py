#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What floods of HTTP/2 do to a good client: its latencies beside each of them, for weir and for
nginx, haproxy, h2o and nghttpx in the same run.

    bench/attacks.py [--seconds S] [--connections N] [--only WORD] [--proxies NAME,...] [--weir BINARY]

It is the proxy that is to be measured, not the machine around it. One worker each, alone on core 1.
On core 0 the good client and its origin have precedence over the attacker and over the origin that
the attacker's requests reach: one of its own, so that it is not the origin that the good client waits
for. HTTP/2 without TLS, HTTP/1.1 to the origins. The attacker (bench/floods.py) has N connections,
sends as fast as they take, and opens another whenever one is ended.

The first row, a crowd, is the same without hostility: N connections with requests as fast as they are
answered. For weir the latency of the good client's requests inside of it is shown, too, from its access log.
Ends with 1 when weir did not end one of the floods by ENHANCE_YOUR_CALM, as its counters tell."""
import argparse
import json
import os
import pathlib
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

from contestants import Field, ROOT, free_port
from floods import ATTACKS, DATA, END_HEADERS, END_STREAM, HEADERS, RST, SETTINGS, WINDOW, block, frame, hello
import idle

PROXIES = ("weir", "nginx", "haproxy", "h2o", "nghttpx")
GOOD = "/good/1k"
TIMEOUT_S = 5  # of the good client: then a request has failed
PACE_S = 0.002  # between two requests of the good client
FLOODS = str(pathlib.Path(__file__).parent / "floods.py")


def prefer(pids):
    """All threads of them. Only the superuser may; without, the attacker's lowest priority has to do.
    Not by nice: that counts only among those of one session, where the kernel groups by sessions."""
    try:
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        print("  (not allowed to give the good client precedence)", file=sys.stderr)


# ---- the good client ----

class Good:
    """One connection, one request after the other; the seconds of each."""

    def __init__(self, port):
        self.port, self.sock, self.failed = port, None, 0

    def connect(self):
        self.sock = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(hello() + frame(SETTINGS, 1))
        self.stream = -1

    def request(self):
        try:
            if not self.sock:
                self.connect()
            self.stream += 2
            self.sock.sendall(frame(HEADERS, END_STREAM | END_HEADERS, self.stream, block(GOOD.encode())) +
                              frame(WINDOW, 0, 0, struct.pack(">I", 1024)))
            self.read()
        except (OSError, SystemExit):
            self.failed += 1
            self.sock = None

    def read(self):
        got = b""
        while True:
            got += idle.piece_of(self.sock)
            while len(got) >= 9 and len(got) >= 9 + (size := int.from_bytes(got[:3], "big")):
                kind, flags = got[3], got[4]
                if kind in (RST, 7):
                    raise OSError("not answered")
                got = got[9 + size:]
                if kind in (DATA, HEADERS) and flags & END_STREAM:
                    return

    def measure(self, seconds):
        self.failed, times, end = 0, [], time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            self.request()
            times.append(time.monotonic() - began)
            time.sleep(PACE_S)
        return {"p50": percentile(times, 50) * 1e3, "p99": percentile(times, 99) * 1e3, "failed": self.failed}


def cpu_of(pid):
    """Nanoseconds."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def percentile(values, n):
    return statistics.quantiles(values * 2, n=100)[n - 1] if values else 0.0  # twice: it may be a single one


# ---- the field: two origins ----

class Arena(Field):
    def __init__(self, directory, weir):
        super().__init__(directory, weir)
        self.admin, self.log = free_port(), self.dir / "good.log"

    def __enter__(self):
        super().__enter__()
        (self.dir / "files/good").mkdir()
        (self.dir / "files/good/1k").write_bytes(os.urandom(1024))
        self.good = self.origin
        config = pathlib.Path(self.dir / "origin.conf").read_text()
        port = free_port()
        text = config.replace(f":{self.good} ", f":{port} ").replace("origin.", "bad-origin.")
        text = re.sub(r"/origin-([bpfus];)", r"/bad-origin-\1", text)
        prefer(self.pids("origin"))
        self.start_origin("bad-origin", 0, ["chrt", "-o", "0", "nice", "-n", "19", "nginx", "-c", self._write("bad-origin.conf", text)],
                          port)
        return self

    def argv_weir(self, port):
        sites = (f"site * {{ route /good/ {{ log access json to={self.log}\n proxy 127.0.0.1:{self.good} }}\n"
                 f"proxy 127.0.0.1:{self.origin} }}")
        argv = self._weir_run("h2c-weir", port, sites=sites)
        path = pathlib.Path(argv[-1])
        path.write_text(path.read_text().replace("admin off", f"admin 127.0.0.1:{self.admin}"))
        return argv

    def edit(self, name, old, new):
        path = self.dir / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def argv_nginx(self, port):
        argv = self.argv_h2c_nginx(port)
        text = pathlib.Path(argv[-1]).read_text()
        location = text[text.index("location / {"):text.index("} }") + 1]
        good = location.replace("location /", "location /good/").replace("http://o;", "http://good;")
        upstream = f"upstream good {{ server 127.0.0.1:{self.good}; keepalive 64; keepalive_requests 1000000000; }}\n"
        self.edit("h2c-nginx.conf", location, location + good)
        self.edit("h2c-nginx.conf", "upstream o {", upstream + "upstream o {")
        return argv

    def argv_haproxy(self, port):
        argv = self.argv_h2c_haproxy(port)
        self.edit("h2c-haproxy.cfg", "    default_backend b\nbackend b\n",
                  f"    use_backend good if {{ path_beg /good/ }}\n    default_backend b\n"
                  f"backend good\n    server o 127.0.0.1:{self.good}\nbackend b\n")
        return argv

    def argv_h2o(self, port):
        argv = self.argv_h2c_h2o(port)
        self.edit("h2c-h2o.conf", "      /:\n", f"      /good/:\n        proxy.reverse.url: http://127.0.0.1:{self.good}/good/\n"
                  "        proxy.preserve-host: ON\n      /:\n")
        return argv

    def argv_nghttpx(self, port):
        return [*self.argv_h2c_nghttpx(port), f"--backend=127.0.0.1,{self.good};/good/"]

    def start(self, name):
        super().start(name)
        prefer(self.pids(name))

    def stop(self, name):
        """None is to be measured beside what another still works off."""
        pids, process = self.pids(name), self.running.pop(name)
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            for pid in pids:
                subprocess.run(["kill", "-9", str(pid)], stderr=subprocess.DEVNULL, check=False)
            process.wait()

    def inside(self):
        """Milliseconds of the good client's requests in weir since this was last asked."""
        time.sleep(0.2)  # the log is written by a thread of its own
        text = self.log.read_text() if self.log.exists() else ""
        lines = text[getattr(self, "log_seen", 0):].splitlines()
        self.log_seen = len(text)
        return [json.loads(line)["duration_ms"] for line in lines if line.endswith("}")]

    def ended(self, counter):
        """How many connections weir has ended for it."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics").read().decode()
        name = f"weir_h2_floods_{counter}_total"
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in text.splitlines() if line.startswith(name))


# ---- the table ----

class Beside:
    """One contestant under one attack."""

    def __init__(self, field, name, title, args):
        good, self.log = Good(field.ports[name]), name == "weir"
        good.measure(0.3)
        if self.log:
            field.inside()
        self.quiet = self.phase(field, good, args.seconds / 2)
        attacker = subprocess.Popen(["chrt", "-o", "0", "taskset", "-c", "0", sys.executable, FLOODS,
                                     str(field.ports[name]), title, str(args.connections)])
        try:
            time.sleep(0.5)
            cpu, attackers, began = field.cpu_ns(name), cpu_of(attacker.pid), time.monotonic_ns()
            self.loud = self.phase(field, good, args.seconds)
            took = time.monotonic_ns() - began
            self.cpu = (field.cpu_ns(name) - cpu) / took
            self.attackers = (cpu_of(attacker.pid) - attackers) / took
            self.memory = field.rss_kb(name) / 1024
        finally:
            attacker.kill()
            attacker.wait()
        time.sleep(0.5)

    def phase(self, field, good, seconds):
        found = good.measure(seconds)
        found["inside"] = percentile(field.inside(), 99) if self.log else 0
        return found

    def __str__(self):
        q, loud = self.quiet, self.loud
        inside = f"  p99 inside {q['inside']:6.2f} -> {loud['inside']:7.2f}" if self.log else " " * 30
        failed = f"  {loud['failed']} FAILED" if loud["failed"] else ""
        return (f"p50 {q['p50']:6.2f} -> {loud['p50']:7.2f} ms  p99 {q['p99']:6.2f} -> {loud['p99']:7.2f} ms"
                f" (x{loud['p99'] / q['p99']:6.1f}){inside}  CPU {self.cpu:4.0%}, attacker's {self.attackers:4.0%}  {self.memory:5.0f} MB{failed}")


def compare(args, directory):
    missed = []
    with Arena(directory, args.weir) as field:
        os.sched_setaffinity(0, {0})
        prefer([os.getpid()])
        for title, (_, counter) in ATTACKS.items():
            if args.only not in title:
                continue
            print(f"\n{title}, {args.connections} connections")
            for name in args.proxies.split(","):
                field.start(name)
                print(f"  {name:8} {Beside(field, name, title, args)}", flush=True)
                if counter and name == "weir" and not told(field, counter):
                    missed.append(title)
                field.stop(name)
    return missed


def told(field, counter):
    count = field.ended(counter)
    print(f"           {count} connections ended by ENHANCE_YOUR_CALM")
    return count > 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", default="", help="attacks whose name has this in it")
    parser.add_argument("--proxies", default=",".join(PROXIES))
    parser.add_argument("--weir", default=str(ROOT / "build/release/weir"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-attacks-") as directory:
        missed = compare(args, directory)
    if missed:
        sys.exit("not ended: " + ", ".join(missed))


if __name__ == "__main__":
    main()
