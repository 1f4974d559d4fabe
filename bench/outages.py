#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What visitors see when servers fall ill, and when there are too many visitors.

    make outages, or bench/outages.py [--only WORD] [--seconds N] [--weir PATH]

Three servers with a capacity (worker.c) behind weir, nginx and HAProxy in turn; visitors (visitors.c)
come at a fixed rate and leave after a second. Each proxy is configured as people usually do; weir has
no line about any of this. In each outage one server falls ill after two seconds and gets well again;
the overload is three times what all three can do. Errors, time-outs and percentiles are those of the
whole run; a visitor who left or got an error counts with a second. The bars are against the better
of nginx and HAProxy with their usual balancing; HAProxy with leastconn is shown beside them."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from contestants import ROOT, free_port, listens, raise_descriptors

SLOTS, SERVICE_MS, SERVERS = 4, 10, 3
CAPACITY = SERVERS * SLOTS * 1000 / SERVICE_MS  # requests a second of all servers
PATIENCE_MS = 1000
BEFORE_S, AFTER_S = 2, 4

NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.err crit;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
    uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    upstream app {{ {servers} keepalive 64; }}
    server {{ listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_connect_timeout 5s; proxy_next_upstream error timeout http_502 http_503 http_504; }} }}
}}
"""
HAPROXY = """
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
    timeout queue 5s
    retries 3
    option redispatch
frontend f
    bind 127.0.0.1:{port} backlog 4096
    default_backend b
backend b
    balance {balance}
    option httpchk GET /health
    default-server check inter 2s fall 3 rise 2
{servers}
"""
WEIR = """
workers 1
listen 127.0.0.1:{port}
admin off
log access off
site * {{ proxy {servers} }}
"""


def nginx(port, servers, directory):
    lines = " ".join(f"server 127.0.0.1:{s} max_fails=3 fail_timeout=10s;" for s in servers)
    return ["nginx", "-c"], NGINX.format(port=port, servers=lines, dir=directory)


def haproxy(port, servers, directory, balance="roundrobin"):
    lines = "\n".join(f"    server s{s} 127.0.0.1:{s}" for s in servers)
    return ["haproxy", "-db", "-f"], HAPROXY.format(port=port, servers=lines, balance=balance)


def haproxy_leastconn(port, servers, directory):
    return haproxy(port, servers, directory, "leastconn")


def weir(port, servers, directory):
    lines = " ".join(f"127.0.0.1:{s}" for s in servers)
    return [ARGS.weir, "run", "-c"], WEIR.format(port=port, servers=lines)


PROXIES = {"weir": weir, "nginx": nginx, "haproxy": haproxy,
           "haproxy leastconn": haproxy_leastconn}
SCENES = [  # name, what one server is told, share of the capacity that is asked for
    ("one of three servers 20 times slower", "slow 20", 0.33),
    ("one of three servers takes requests and never answers", "hang", 0.33),
    ("one of three servers answers 500", "fail", 0.33),
    ("three times more visitors than the servers can serve", None, 3),
]


class Workers:
    def __enter__(self):
        self.ports = [free_port() for _ in range(SERVERS)]
        self.running = [subprocess.Popen([ROOT / "build/worker", str(p), str(SLOTS), str(SERVICE_MS)],
                                         stdin=subprocess.PIPE, text=True) for p in self.ports]
        assert all(listens(p) for p in self.ports)
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.stdin.close()
            process.wait(10)

    def tell_first(self, word):
        self.running[0].stdin.write(word + "\n")
        self.running[0].stdin.flush()


def visit(port, rate, seconds):
    return subprocess.Popen([ROOT / "build/visitors", str(port), str(rate), str(seconds),
                             str(PATIENCE_MS)], stdout=subprocess.PIPE, text=True)


def play(proxy, told, share):
    """One scene with one proxy, from its start on; returns what visitors.c printed."""
    with tempfile.TemporaryDirectory(prefix="weir-outages-") as directory, Workers() as workers:
        port = free_port()
        argv, text = PROXIES[proxy](port, workers.ports, directory)
        config = pathlib.Path(directory) / "conf"
        config.write_text(text)
        process = subprocess.Popen([*argv, str(config)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            assert listens(port), proxy
            visit(port, 100, 1).communicate()  # connections, averages
            visitors = visit(port, CAPACITY * share, BEFORE_S + ARGS.seconds + AFTER_S)
            if told:
                time.sleep(BEFORE_S)
                workers.tell_first(told)
                time.sleep(ARGS.seconds)
                workers.tell_first("normal")
            return json.loads(visitors.communicate()[0])
        finally:
            process.terminate()
            process.wait(20)


def errors(m):
    return m["failed"] + m["given_up"] + m["broken"]


def ratio(a, b):
    return f"{a / b:.2f}" if b else ("0" if not a else "more than none")


def show(told, results):
    for name, m in results.items():
        print(f"  {name:17} {m['sent']:7} sent {m['good']:7} good in time {m['failed']:6} errors "
              f"{m['given_up']:6} given up {m['broken']:5} broken   p50 {m['p50']:7.1f} ms"
              f"  p99 {m['p99']:7.1f} ms")
    others = [results[name] for name in ("nginx", "haproxy") if name in results]
    if "weir" not in results or not others:
        return
    w = results["weir"]
    if told:
        print(f"  weir/better of them: errors {ratio(errors(w), min(map(errors, others)))} (0.1)  "
              f"p99 {ratio(w['p99'], min(m['p99'] for m in others))} (0.5)")
    else:
        seconds = BEFORE_S + ARGS.seconds + AFTER_S
        for name, m in results.items():
            print(f"  {name:17} goodput / capacity {m['good'] / seconds / CAPACITY:.2f}"
                  f"{' (0.9)' if name == 'weir' else ''}")


def main():
    raise_descriptors()
    for title, told, share in SCENES:
        if ARGS.only not in title:
            continue
        print(f"\n{title}", flush=True)
        show(told, {name: play(name, told, share) for name in ARGS.proxies.split(",")})
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="scenes whose title has this in it")
    parser.add_argument("--seconds", type=float, default=10, help="how long an outage lasts")
    parser.add_argument("--weir", default=str(ROOT / "build/release/weir"))
    parser.add_argument("--proxies", default=",".join(PROXIES))
    ARGS = parser.parse_args()
    main()
