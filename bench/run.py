#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir beside nginx, haproxy, h2o, nghttpx and a relay that looks at nothing, in one run, as ratios.

    bench/run.py [--rounds N] [--seconds S] [--only WORD] [--weir BINARY]

Equal configurations: one worker, keep-alive to the origin, access log off. Load generator and
origin are pinned to core 0, the proxy to core 1. Rounds are interleaved; medians are printed. What
counts is CPU time per request of the proxy: on shared cores requests per second say little."""
import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import caches
from contestants import Field, ROOT
import handshakes
import idle
import slow
import websocket

KEEP_ALIVE = [  # name, path, connections, further arguments of wrk
    ("1 KB, 1 connection", "/1k", 1, []),
    ("1 KB, 16 connections", "/1k", 16, []),
    ("1 KB, 64 connections", "/1k", 64, []),
    ("1 KB, 256 connections", "/1k", 256, []),
    ("1 KB, 1000 connections", "/1k", 1000, []),
    ("64 KB, 16 connections", "/64k", 16, []),
    ("64 KB, 64 connections", "/64k", 64, []),
    ("10 MB, 4 connections", "/10m", 4, []),
    ("new connection per request, 64 at once", "/1k", 64, ["-H", "Connection: close"]),
]
LARGE = ("/64k", "/10m")  # whose limit is a relay that splices


def seconds_of(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def percentile_us(out, which):
    return seconds_of(re.search(rf"\n\s+{which}%\s+(\S+)", out)[1]) * 1e6


def measure(field, name, path, connections, seconds, more, pin=True):
    user, system = field.cpu_ticks(name)
    before = field.cpu_ns(name)
    scheme = "https" if name.startswith("tls-") else "http"
    url = f"{scheme}://127.0.0.1:{field.ports[name]}{path}"
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *more, url]
    out = subprocess.run((["taskset", "-c", "0"] if pin else []) + argv, capture_output=True,
                         text=True, check=True).stdout
    cpu = field.cpu_ns(name) - before
    user, system = (b - a for a, b in zip((user, system), field.cpu_ticks(name)))
    requests = int(re.search(r"(\d+) requests in", out)[1])
    bad = re.search(r"(Non-2xx.*|Socket errors.*)", out)
    if bad:
        print(f"  {name}: {bad[1]}", file=sys.stderr)
    return {
        "cpu_us": cpu / 1000 / max(requests, 1),
        "system": system / max(user + system, 1),
        "rps": requests / seconds,
        "p50": percentile_us(out, 50),
        "p99": percentile_us(out, 99),
    }


def compare(field, names, path, connections, args, more=(), pin=True):
    """Interleaved rounds; the medians of each contestant."""
    results = {n: [] for n in names}
    for _ in range(args.rounds):
        for n in names:
            results[n].append(measure(field, n, path, connections, args.seconds, list(more), pin))
    return {n: {k: statistics.median(r[k] for r in results[n]) for k in results[n][0]}
            for n in names}


def show(title, field, median, ratios):
    print(f"\n{title}")
    for name, m in median.items():
        print(f"  {name:12} {m['cpu_us']:9.1f} us CPU/request ({m['system']:4.0%} kernel)"
              f"  {m['rps']:8.0f} requests/s  p50 {m['p50']:7.0f} us  p99 {m['p99']:7.0f} us"
              f"  {field.rss_kb(name):7} KB")
    print("  " + "   ".join(f"{label} {value:5.2f}" for label, value in ratios), flush=True)


def keep_alive(args, directory):
    with Field(directory, args.weir) as field:
        for name in ("relay", "relay-splice", "weir", "nginx", "haproxy"):
            field.start(name)
        for title, path, connections, more in KEEP_ALIVE:
            if args.only not in title:
                continue
            relay = "relay-splice" if path in LARGE else "relay"
            names = ([] if more else [relay]) + ["weir", "nginx", "haproxy"]
            m = compare(field, names, path, connections, args, more)
            best = min(("nginx", "haproxy"), key=lambda n: m[n]["cpu_us"])
            ratios = [(f"weir/{best}", m["weir"]["cpu_us"] / m[best]["cpu_us"])]
            if relay in m:
                ratios.append((f"weir/{relay}", m["weir"]["cpu_us"] / m[relay]["cpu_us"]))
            ratios.append(("p50", m["weir"]["p50"] / min(m["nginx"]["p50"], m["haproxy"]["p50"])))
            show(title, field, m, ratios)


def slow_readers(args, directory):
    """10 MB at a limited rate against as fast as may be: what a MB costs the proxy."""
    title = "10 MB, 8 slow readers"
    if args.only not in title:
        return
    print(f"\n{title}")
    with Field(directory, args.weir) as field:
        for name in ("weir", "nginx", "haproxy"):
            field.start(name)
            fast, limited = (statistics.median(slow.cpu_us_per_mb(field, name, rate)
                                               for _ in range(args.rounds))
                             for rate in (None, slow.BYTES_PER_S))
            print(f"  {name:12} {limited:9.1f} us CPU/MB   readers as fast as may be "
                  f"{fast:9.1f}   ratio {limited / fast:5.2f}", flush=True)


def variants(args, directory):
    """weir against itself: what the access log and many sites cost."""
    with Field(directory, args.weir) as field:
        for name in ("weir", "weir-logging", "weir-sites"):
            field.start(name)
        for title, name in (("access log on (JSON, to a file)", "weir-logging"),
                            ("10,000 sites, 100,000 routes", "weir-sites")):
            if args.only in title:
                host = ["-H", "Host: s7777.example.com"] if name == "weir-sites" else []
                m = compare(field, ["weir", name], "/1k", 64, args, host)
                show(title, field, m, [(f"{name}/weir",
                                        m[name]["cpu_us"] / m["weir"]["cpu_us"])])


def static_files(args, directory):
    with Field(directory, args.weir) as field:
        names = ["files-weir", "files-nginx"]
        for name in names:
            field.start(name)
        for title, path, connections in (("static file of 1 KB, 64 connections", "/1k", 64),
                                         ("static file of 64 KB, 16 connections", "/64k", 16),
                                         ("static file of 1 MB, 16 connections", "/1m", 16)):
            if args.only in title:
                m = compare(field, names, path, connections, args)
                show(title, field, m, [("weir/nginx", m[names[0]]["cpu_us"] / m[names[1]]["cpu_us"]),
                                       ("p50", m[names[0]]["p50"] / m[names[1]]["p50"])])


def gzip_through_the_proxy(args, directory):
    title = "gzip of 100 KB of JSON, 16 connections"
    if args.only not in title:
        return
    with Field(directory, args.weir) as field:
        names = ["gzip-weir", "gzip-nginx", "gzip-haproxy"]
        sizes = {}
        for name in names:
            field.start(name)
            sizes[name] = coded_bytes(field, name)
        m = compare(field, names, "/100k.json", 16, args, ["-H", "Accept-Encoding: gzip"])
        ratios = [(f"weir/{n[5:]}", m[names[0]]["cpu_us"] / m[n]["cpu_us"]) for n in names[1:]]
        show(title, field, m, ratios)
        print("  bytes: " + "   ".join(f"{n} {sizes[n]}" for n in names), flush=True)


def coded_bytes(field, name):
    url = f"http://127.0.0.1:{field.ports[name]}/100k.json"
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        if answer.headers["Content-Encoding"] != "gzip":
            raise SystemExit(f"{name} does not compress")
        return len(answer.read())


def best_cache(m, what):
    return min((p for p in caches.PEERS if p in m), key=lambda n: m[n][what])


def cache_hits(args, directory):
    for title, path, bare in (("cache hits of 1 KB, 64 connections", "/1k", "bare-1k"),
                              ("cache hits of 64 KB, 64 connections", "/64k", "bare-64k")):
        if args.only not in title:
            continue
        with caches.CacheField(directory, args.weir) as field:
            field.start_cacheable_origin()
            names = [bare, "weir", *caches.PEERS]
            for name in names:
                field.start(name)
            m = compare(field, names, path, 64, args)
            best = best_cache(m, "cpu_us")
            show(title, field, m, [(f"weir/{best}", m["weir"]["cpu_us"] / m[best]["cpu_us"]),
                                   ("weir/bare", m["weir"]["cpu_us"] / m[bare]["cpu_us"])])


def cache_mixed(args, directory):
    """How long hits take while others wait for a server: 32 connections each."""
    title = "cache hits of 1 KB beside misses that take 50 ms"
    if args.only not in title:
        return
    with caches.CacheField(directory, args.weir) as field:
        field.start_cacheable_origin()
        field.start_slow_origin(50)
        names = ["weir", *caches.PEERS]
        results = {n: [] for n in names}
        for name in names:
            field.start(name)
        for _ in range(args.rounds):
            for n in names:
                with caches.misses(field, n, args.seconds):
                    results[n].append(measure(field, n, "/1k", 32, args.seconds, []))
        m = {n: {k: statistics.median(r[k] for r in results[n]) for k in results[n][0]}
             for n in names}
        best = best_cache(m, "p99")
        show(title, field, m, [(f"p99 weir/{best}", m["weir"]["p99"] / m[best]["p99"])])


def two_workers(args, directory):
    title = "two workers on two cores, 64 connections"
    if args.only not in title:
        return
    with Field(directory, args.weir, workers=2) as field:
        for name in ("weir", "nginx", "haproxy"):
            field.start(name)
        m = compare(field, ["weir", "nginx", "haproxy"], "/1k", 64, args, pin=False)
        best = max(("nginx", "haproxy"), key=lambda n: m[n]["rps"])
        show(title, field, m, [(f"requests/s weir/{best}", m["weir"]["rps"] / m[best]["rps"])])


TLS_NAMES = ("tls-weir", "tls-nginx", "tls-haproxy")


def best_of(m):
    return min(("tls-nginx", "tls-haproxy"), key=lambda n: m[n]["cpu_us"])


def tls_keep_alive(field, args):
    for title, path, connections in (("TLS 1.3, 1 KB, 64 connections", "/1k", 64),
                                     ("TLS 1.3, 64 KB, 16 connections", "/64k", 16),
                                     ("TLS 1.3, 10 MB, 4 connections", "/10m", 4)):
        if args.only not in title:
            continue
        m = compare(field, ["tls-relay", *TLS_NAMES], path, connections, args)
        best = best_of(m)
        show(title, field, m, [(f"weir/{best[4:]}", m["tls-weir"]["cpu_us"] / m[best]["cpu_us"]),
                               ("weir/relay", m["tls-weir"]["cpu_us"] / m["tls-relay"]["cpu_us"]),
                               ("p50", m["tls-weir"]["p50"] / m[best]["p50"])])


H2_PEERS = ("nginx", "haproxy", "h2o", "nghttpx")
H2 = [  # name, contestants' prefix, peers, arguments of h2load
    ("HTTP/2 over TLS, 16 connections x 32 streams", "tls-", H2_PEERS, ["-c16", "-m32"]),
    ("HTTP/2 without TLS, 10 connections x 10 streams", "h2c-", H2_PEERS, ["-c10", "-m10"]),
    ("HTTP/2 without TLS, 32 connections x 1 stream", "h2c-", H2_PEERS, ["-c32", "-m1"]),
    # nginx and h2o 2.2 speak no HTTP/2 to servers
    ("HTTP/2 on both sides, 10 connections x 10 streams", "h2h2-", ("haproxy", "nghttpx"), ["-c10", "-m10"]),
]


def measure_h2(field, name, seconds, more):
    scheme = "https" if name.startswith("tls-") else "http"
    user, system = field.cpu_ticks(name)
    before = field.cpu_ns(name)
    out = subprocess.run(["taskset", "-c", "0", "h2load", "-t1", f"-D{seconds}", *more,
                          f"{scheme}://127.0.0.1:{field.ports[name]}/1k"],
                         capture_output=True, text=True, check=True).stdout
    cpu = field.cpu_ns(name) - before
    user, system = (b - a for a, b in zip((user, system), field.cpu_ticks(name)))
    done, failed = map(int, re.search(r"(\d+) done, \d+ succeeded, (\d+) failed", out).groups())
    if failed:
        print(f"  {name}: {failed} failed", file=sys.stderr)
    return {"cpu_us": cpu / 1000 / max(done, 1), "system": system / max(user + system, 1),
            "rps": done / seconds,
            "saved": float(re.search(r"space savings ([\d.]+)%", out)[1])}


def h2(args, directory):
    with Field(directory, args.weir) as field:
        field.certificate()
        for title, prefix, peers, more in H2:
            if args.only not in title:
                continue
            if prefix == "h2h2-":
                field.start_h2c_origin()
            names = [prefix + n for n in ("weir", *peers)]
            results = {n: [] for n in names}
            for n in names:
                if n not in field.running:
                    field.start(n)
            for _ in range(args.rounds):
                for n in names:
                    results[n].append(measure_h2(field, n, args.seconds, more))
            m = {n: {k: statistics.median(r[k] for r in results[n]) for k in results[n][0]}
                 for n in names}
            print(f"\n{title}")
            for n in names:
                print(f"  {n:12} {m[n]['cpu_us']:9.1f} us CPU/request ({m[n]['system']:4.0%} kernel)"
                      f"  {m[n]['rps']:8.0f} requests/s  header bytes saved {m[n]['saved']:.0f} %"
                      f"  {field.rss_kb(n):7} KB")
            best = min(names[1:], key=lambda n: m[n]["cpu_us"])
            print(f"  weir/{best} {m[names[0]]['cpu_us'] / m[best]['cpu_us']:5.2f}", flush=True)


def tls_handshakes(field, args):
    for kind in ("full", "resumed"):
        title = f"TLS 1.3 handshakes, {kind}, ECDSA P-256"
        if args.only not in title:
            continue
        m = {n: statistics.median(handshakes.cpu_us(field, n, kind, args.seconds)
                                  for _ in range(args.rounds)) for n in TLS_NAMES}
        alone = handshakes.alone_us(field, kind)
        plain = handshakes.plain_us(field, "weir", args.seconds)
        print(f"\n{title}")
        for name in TLS_NAMES:
            print(f"  {name:12} {m[name]:9.1f} us CPU each, with a request of 1 KB")
        print(f"  the library's part alone {alone:.1f} us, weir's without TLS {plain:.1f} us")
        best = min(TLS_NAMES[1:], key=m.get)
        print(f"  weir/{best[4:]} {m['tls-weir'] / m[best]:5.2f}   weir/(library + plain) "
              f"{m['tls-weir'] / (alone + plain):5.2f}", flush=True)


def tls(args, directory):
    with Field(directory, args.weir) as field:
        field.certificate()
        for name in ("tls-relay", "weir", *TLS_NAMES):
            field.start(name)
        tls_keep_alive(field, args)
        tls_handshakes(field, args)


def websockets(args, directory):
    title = "WebSocket echo, 16 connections"
    if args.only not in title:
        return
    with Field(directory, args.weir) as field:
        websocket.start_origin(field)
        names = ["ws-relay", "ws-weir", "ws-nginx", "ws-haproxy"]
        for name in names:
            field.start(name)
        results = {n: [] for n in names}
        for _ in range(args.rounds):
            for n in names:
                results[n].append(websocket.measure(field, n, args.seconds))
        m = {n: {k: statistics.median(r[k] for r in results[n]) for k in results[n][0]} for n in names}
        print(f"\n{title}")
        for n in names:
            print(f"  {n:12} {m[n]['cpu_us']:9.1f} us CPU/message  {m[n]['rate']:8.0f} messages/s")
        best = min(("ws-nginx", "ws-haproxy"), key=lambda n: m[n]["cpu_us"])
        print(f"  weir/{best[3:]} {m['ws-weir']['cpu_us'] / m[best]['cpu_us']:5.2f}   weir/relay "
              f"{m['ws-weir']['cpu_us'] / m['ws-relay']['cpu_us']:5.2f}", flush=True)


def h2_idle(args, directory):
    title = "5000 idle HTTP/2 connections, without TLS"
    if args.only not in title:
        return
    print(f"\n{title}")
    for name in ("h2c-weir", *("h2c-" + n for n in H2_PEERS)):
        with Field(directory, args.weir) as field:
            field.start(name)
            idle.measure(field, name, 5000)


def tls_idle(args, directory):
    title = "5000 idle TLS connections"
    if args.only not in title:
        return
    print(f"\n{title}")
    for name in ("tls-weir", "tls-nginx"):
        with Field(f"{directory}", args.weir) as field:
            field.certificate()
            field.start(name)
            idle.measure(field, name, 5000)


def idle_connections(args, directory):
    for count in (10_000, 100_000):
        title = f"{count} idle keep-alive connections"
        if args.only not in title:
            continue
        print(f"\n{title}")
        for name in ("weir", "nginx"):
            with Field(directory, args.weir) as field:
                if field.descriptors < count + 1000:
                    print(f"  left out: only {field.descriptors} descriptors may be open here")
                    return
                field.start(name)
                idle.measure(field, name, count)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", default="", help="workloads whose name has this in it")
    parser.add_argument("--weir", default=str(ROOT / "build/release/weir"))
    args = parser.parse_args()
    started = time.monotonic()
    for part in (keep_alive, slow_readers, static_files, gzip_through_the_proxy,
                 cache_hits, cache_mixed, variants, two_workers, idle_connections,
                 tls, h2, websockets, tls_idle, h2_idle):
        with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory:
            part(args, directory)
    print(f"\n{time.monotonic() - started:.0f} s, {args.rounds} rounds of {args.seconds} s")


if __name__ == "__main__":
    main()
