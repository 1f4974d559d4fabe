#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir beside nginx, haproxy and a relay that looks at nothing, in one run, as ratios.

    bench/run.py [--rounds N] [--seconds S] [--only WORD]

Equal configurations: one worker, keep-alive to the origin, access log off. Load generator and
origin are pinned to core 0, the proxy to core 1. Rounds are interleaved; medians are printed. What
counts is CPU time per request of the proxy: on shared cores requests per second say little."""
import argparse
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKLOADS = [  # name, path, connections
    ("1 KB, 1 connection", "/1k", 1),
    ("1 KB, 16 connections", "/1k", 16),
    ("1 KB, 64 connections", "/1k", 64),
    ("1 KB, 256 connections", "/1k", 256),
    ("1 KB, 1000 connections", "/1k", 1000),
    ("64 KB, 16 connections", "/64k", 16),
    ("64 KB, 64 connections", "/64k", 64),
    ("10 MB, 4 connections", "/10m", 4),
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


NGINX = """
daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log {dir}/{name}.err crit;
events {{ worker_connections 8192; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 300;
    client_body_temp_path {dir}/{name}-b; proxy_temp_path {dir}/{name}-p;
    fastcgi_temp_path {dir}/{name}-f; uwsgi_temp_path {dir}/{name}-u; scgi_temp_path {dir}/{name}-s;
    {http}
}}
"""
NGINX_ORIGIN = "open_file_cache max=10; server {{ listen 127.0.0.1:{port} backlog=4096; root {dir}/files; }}"
NGINX_PROXY = """
    upstream o {{ server 127.0.0.1:{origin}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{ listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffer_size 16k; proxy_buffers 16 64k; proxy_busy_buffers_size 256k; }} }}
"""
HAPROXY = """
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    http-reuse always
frontend f
    bind 127.0.0.1:{port} backlog 4096
    default_backend b
backend b
    server o 127.0.0.1:{origin} pool-max-conn 2000
"""
WEIR = """
workers 1
listen 127.0.0.1:{port}
admin off
log access off
site * {{ proxy 127.0.0.1:{origin} }}
"""


class Proxies:
    """Starts the origin and every contestant; stops them by their own pids."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.running = {}
        self.ports = {}
        files = self.dir / "files"
        files.mkdir()
        for name, size in (("1k", 1024), ("64k", 65536), ("10m", 10 << 20)):
            (files / name).write_bytes(os.urandom(size))
        os.chmod(self.dir, 0o755)

    def start(self, name, core, argv, port):
        out = open(self.dir / f"{name}.out", "wb")
        process = subprocess.Popen(["taskset", "-c", str(core), *argv], stdout=out, stderr=out)
        self.running[name] = process
        self.ports[name] = port
        if not wait_for(port):
            raise SystemExit(f"{name} does not listen:\n" + (self.dir / f"{name}.out").read_text())

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return str(path)

    def start_all(self):
        origin = free_port()
        text = NGINX_ORIGIN.format(port=origin, dir=self.dir)
        conf = NGINX.format(dir=self.dir, name="origin", http=text)
        self.start("origin", 0, ["nginx", "-c", self.write("origin.conf", conf)], origin)
        port = free_port()
        self.start("relay", 1, [str(ROOT / "build/relay"), str(port), str(origin)], port)
        port = free_port()
        conf = WEIR.format(port=port, origin=origin)
        self.start("weir", 1, [os.environ.get("WEIR", str(ROOT / "build/release/weir")), "run", "-c",
                               self.write("weir.conf", conf)], port)
        port = free_port()
        text = NGINX_PROXY.format(port=port, origin=origin)
        conf = NGINX.format(dir=self.dir, name="nginx", http=text)
        self.start("nginx", 1, ["nginx", "-c", self.write("nginx.conf", conf)], port)
        port = free_port()
        self.start("haproxy", 1, ["haproxy", "-db", "-f", self.write(
            "haproxy.cfg", HAPROXY.format(port=port, origin=origin))], port)

    def stop_all(self):
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def pids(self, name):
        todo, found = [self.running[name].pid], []
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                todo += [int(p) for p in (task / "children").read_text().split()]
        return found

    def cpu_ns(self, name):
        """CPU time of all threads, to the nanosecond (schedstat)."""
        total = 0
        for pid in self.pids(name):
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def rss_kb(self, name):
        total = 0
        for pid in self.pids(name):
            total += int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
        return total


def seconds_of(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def measure(proxies, name, path, connections, seconds):
    before = proxies.cpu_ns(name)
    url = f"http://127.0.0.1:{proxies.ports[name]}{path}"
    out = subprocess.run(["taskset", "-c", "0", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                          "--latency", url], capture_output=True, text=True, check=True).stdout
    cpu = proxies.cpu_ns(name) - before
    requests = int(re.search(r"(\d+) requests in", out)[1])
    bad = re.search(r"(Non-2xx.*|Socket errors.*)", out)
    if bad:
        print(f"  {name}: {bad[1]}", file=sys.stderr)
    return {
        "cpu_us": cpu / 1000 / max(requests, 1),
        "rps": requests / seconds,
        "p50": seconds_of(re.search(r"\n\s+50%\s+(\S+)", out)[1]) * 1e6,
        "p99": seconds_of(re.search(r"\n\s+99%\s+(\S+)", out)[1]) * 1e6,
    }


def run_workload(proxies, name, path, connections, rounds, seconds):
    contestants = ["relay", "weir", "nginx", "haproxy"]
    results = {c: [] for c in contestants}
    for _ in range(rounds):
        for c in contestants:
            results[c].append(measure(proxies, c, path, connections, seconds))
    median = {c: {k: statistics.median(r[k] for r in results[c]) for k in results[c][0]}
              for c in contestants}
    best = min(median["nginx"]["cpu_us"], median["haproxy"]["cpu_us"])
    print(f"\n{name}")
    for c in contestants:
        m = median[c]
        print(f"  {c:8} {m['cpu_us']:9.1f} us CPU/request  {m['rps']:9.0f} requests/s"
              f"  p50 {m['p50']:8.0f} us  p99 {m['p99']:8.0f} us  {proxies.rss_kb(c):7} KB")
    print(f"  weir / better peer {median['weir']['cpu_us'] / best:5.2f}"
          f"   weir / relay {median['weir']['cpu_us'] / median['relay']['cpu_us']:5.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", default="", help="workloads whose name has this in it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory:
        proxies = Proxies(directory)
        try:
            proxies.start_all()
            for name, path, connections in WORKLOADS:
                if args.only in name:
                    run_workload(proxies, name, path, connections, args.rounds, args.seconds)
        finally:
            proxies.stop_all()


main()
