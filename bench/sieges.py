#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a siege from one address does to a good client: 10,000 slow connections and a flood of requests from 127.0.0.9, while
somebody at 127.0.0.1 asks for a page now and then; weir, nginx and haproxy in the same run.

    bench/sieges.py [--seconds S] [--slow N] [--flood N] [--rounds N] [--proxies NAME,...] [--weir BINARY] [--profile FILE]

Each has its usual protection: at most 100 connections and 200 requests a second (burst 200) of one address, 10 s for a
head. One worker each, alone on core 1; on core 0 the good client and its origin have precedence over the attacker
(bench/besieger.c). The second three also get rid of whoever goes on: weir bans the address, nginx and haproxy close
its connections without an answer (444, reject), haproxy those that it opens, too. The good client (bench/patient.c) has a request every 8 ms: every other one over a new
connection. The rounds take turns; what is shown is the median round of each, by p99."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from attacks import Arena, prefer
from contestants import HAPROXY, ROOT

PROXIES = ("weir", "nginx", "haproxy", "weir-ban", "nginx-444", "haproxy-reject")
PAIRS = {"weir": ("nginx", "haproxy"), "weir-ban": ("nginx-444", "haproxy-reject")}  # who is compared with whom
PACE_US = 8000
ADDRESS = "127.0.0.9"

NGINX_LIMITS = """limit_conn_zone $binary_remote_addr zone=c:10m; limit_req_zone $binary_remote_addr zone=r:10m rate=200r/s;
    client_header_timeout 10s; client_body_timeout 10s; reset_timedout_connection on;
    """
NGINX_USE = "limit_conn c 100; limit_req zone=r burst=200 nodelay; limit_req_status 429; limit_conn_status 429;"
HAPROXY_USE = """    timeout http-request 10s
    stick-table type ip size 100k expire 60s store conn_cur,conn_rate(10s),http_req_rate(10s)
    tcp-request connection track-sc0 src
    tcp-request connection reject if { sc_conn_cur(0) gt 100 }
    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 2200 }
"""
WEIR_SITE = """site * {{
    route /good/ {{ {limits} proxy 127.0.0.1:{good} }}
    route / {{ {limits} proxy 127.0.0.1:{bad} }}
}}"""


class Field(Arena):
    def argv_weir(self, port, limits="limit 200r/s burst=200 name=one\n"):
        sites = WEIR_SITE.format(limits=limits, good=self.good, bad=self.origin)
        argv = self._weir_run("siege-weir", port, sites=sites, bounds="connections per_ip=100")
        self.edit("siege-weir.conf", "admin off", f"admin 127.0.0.1:{self.admin}")
        return argv

    def argv_weir_ban(self, port):
        return self.argv_weir(port, "limit 200r/s burst=200 name=one\nban 10m when 200 status in 429 within 10s\n")

    def argv_nginx_444(self, port):
        return self.argv_nginx(port, NGINX_USE.replace("status 429", "status 444"))

    def argv_haproxy_reject(self, port):
        return self.argv_haproxy(port, HAPROXY_USE.replace("deny deny_status 429", "reject") +
                                 "    tcp-request connection reject if { sc_http_req_rate(0) gt 2200 }\n")

    def argv_nginx(self, port, use=NGINX_USE):
        argv = self._nginx_proxy("siege-nginx", port, more=use)
        path = pathlib.Path(argv[-1])
        text = path.read_text()
        location = text[text.index("location / {"):text.index("} }") + 1]
        good = location.replace("location /", "location /good/").replace("http://o;", "http://good;")
        upstream = f"upstream good {{ server 127.0.0.1:{self.good}; keepalive 64; keepalive_requests 1000000000; }}\n"
        path.write_text(text.replace(location, location + good).replace("upstream o {", NGINX_LIMITS + upstream + "upstream o {"))
        return argv

    def argv_haproxy(self, port, use=HAPROXY_USE):
        text = HAPROXY.format(port=port, origin=self.origin, workers=self.workers).replace("maxconn 8000", "maxconn 9000")
        text = text.replace("    option forwardfor\n", use + "    option forwardfor\n")
        text = text.replace("    default_backend b\nbackend b\n", "    use_backend good if { path_beg /good/ }\n    default_backend b\n"
                            f"backend good\n    server o 127.0.0.1:{self.good}\nbackend b\n")
        return ["haproxy", "-db", "-f", self._write("siege-haproxy.cfg", text)]


def patient(port, seconds):
    """The good client: with precedence, as everything of this process."""
    done = subprocess.run([str(ROOT / "build/patient"), str(port), str(seconds), str(PACE_US)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Siege:
    def __init__(self, field, name):
        port = field.ports[name]
        patient(port, 0.5)
        self.quiet = patient(port, 2)
        attacker = subprocess.Popen(["chrt", "-o", "0", "taskset", "-c", "0", str(ROOT / "build/besieger"), str(port), ADDRESS,
                                     str(ARGS.slow), str(ARGS.flood), str(ARGS.depth)], stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(4)  # until all of them are there, or refused
            cpu, began = field.cpu_ns(name), time.monotonic_ns()
            if ARGS.profile and name == ARGS.proxies.split(",")[0]:
                pids = ",".join(map(str, field.pids(name)))
                subprocess.Popen(["perf", "record", "-q", "-g", "-F", "2000", "-o", ARGS.profile, "-p", pids, "--", "sleep",
                                  str(ARGS.seconds - 1)], stderr=subprocess.DEVNULL)
            self.loud = patient(port, ARGS.seconds)
            self.cpu = (field.cpu_ns(name) - cpu) / (time.monotonic_ns() - began)
            self.memory = field.rss_kb(name) / 1024
        finally:
            attacker.terminate()
            self.attack = json.loads(attacker.communicate()[0])

    def __str__(self):
        q, a = self.loud, self.attack
        each = "  ".join(f"{kind} p50 {q[kind]['p50'] / 1e3:.2f} p99 {q[kind]['p99'] / 1e3:.2f}" for kind in ("kept", "new"))
        failed = f"  {q['failed']} FAILED" if q["failed"] else ""
        return (f"p99 {self.quiet['all']['p99'] / 1e3:5.2f} -> {q['all']['p99'] / 1e3:6.2f} ms, max {q['all']['max'] / 1e3:6.1f}  ({each})"
                f"  CPU {self.cpu:4.0%} {self.memory:4.0f} MB  attacker: {a['most_open']} open, {a['opened']} opened, {a['refused']} refused, "
                f"{a['answered']} served, {a['turned_away']} turned away{failed}")


def play(names):
    found = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="weir-sieges-") as directory, Field(directory, ARGS.weir) as field:
        os.sched_setaffinity(0, {0})
        prefer([os.getpid()])
        for _ in range(ARGS.rounds):
            for name in names:
                field.start(name)
                found[name].append(Siege(field, name))
                print(f"  {name:14} {found[name][-1]}", flush=True)
                field.stop(name)
    return {name: statistics.median_low([(s.loud["all"]["p99"], i) for i, s in enumerate(all)])[0] for name, all in found.items()}


def main():
    names = ARGS.proxies.split(",")
    print(f"{ARGS.slow} slow connections and {ARGS.flood} that flood, from one address")
    p99 = play(names)
    print("median p99: " + ", ".join(f"{n} {v / 1e3:.2f} ms" for n, v in p99.items()))
    for mine, others in PAIRS.items():
        peers = [p99[n] for n in others if n in p99]
        if mine in p99 and peers:
            print(f"{mine} / better of {' and '.join(others)}: {p99[mine] / min(peers):.2f} (0.5)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--slow", type=int, default=10_000)
    parser.add_argument("--flood", type=int, default=64)
    parser.add_argument("--depth", type=int, default=16, help="requests at once on a connection of the flood")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--proxies", default=",".join(PROXIES))
    parser.add_argument("--profile", help="perf.data of the first proxy")
    parser.add_argument("--weir", default=str(ROOT / "build/release/weir"))
    ARGS = parser.parse_args()
    main()
