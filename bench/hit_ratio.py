#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much of a trace of requests weir answers from memory, beside varnish and nginx at equal bytes.

    bench/hit_ratio.py [--only WORD] [--requests N] [--weir BINARY]

The same requests in the same order to each, on one connection; every object is 1 KB and may be
stored for an hour. What counts is what the origin was asked for (nginx's stub_status). Each cache
starts empty and may hold so many bytes of memory; what an object costs beside its own is its affair.
nginx, which looks at the size of its files every ten seconds only, is given a zone with as many keys
as there would be files and keys in these bytes."""
import argparse
import bisect
import concurrent.futures
import itertools
import random
import socket
import tempfile
import urllib.request

from caches import CacheField
from contestants import ROOT

MEGABYTES = 2
NGINX_OBJECT_BYTES = 1565 + 128  # its file, and its key in the zone
CACHES = ("weir", "varnish", "nginx")


def zipf(objects, exponent, requests):
    """Popularity falls with rank: the n-th is asked for 1/n^exponent as often as the first."""
    dice = random.Random(9)
    sums = list(itertools.accumulate(1 / n ** exponent for n in range(1, objects + 1)))
    return [bisect.bisect(sums, dice.random() * sums[-1]) for _ in range(requests)]


def loop(objects, requests):
    """Around and around, over more than fits: what was used longest ago is always needed next."""
    return [n % objects for n in range(requests)]


def scanned(objects, exponent, requests):
    """The popular ones, with scans in between that never come back."""
    popular, out = iter(zipf(objects, exponent, requests)), []
    once = itertools.count(objects)
    while len(out) < requests:
        out += list(itertools.islice(popular, 4000)) or [0]
        out += list(itertools.islice(once, 4000))
    return out[:requests]


TRACES = {  # more objects than fit
    "Zipf(0.9)": lambda n: zipf(10_000, 0.9, n),
    "loop over 3,000": lambda n: loop(3_000, n),
    "Zipf(0.9) with scans": lambda n: scanned(10_000, 0.9, n),
}


def asked(field):
    url = f"http://127.0.0.1:{field.origin}/requests"
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return int(lines[2].split()[2])


def receive(sock, rest):
    while True:
        end = rest.find(b"\r\n\r\n")
        if end >= 0:
            head = rest[:end].lower()
            at = head.index(b"content-length:")
            length = int(head[at + 15:].split(b"\r", 1)[0])
            if not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"hit_ratio: {head[:60]!r}")
            if len(rest) >= end + 4 + length:
                return rest[end + 4 + length:]
        part = sock.recv(65536)
        if not part:
            raise SystemExit("hit_ratio: the connection ended")
        rest += part


def play(port, trace):
    """In runs of 16 different ones, pipelined: the caches answer one after the other all the same."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest = b""
        for first in range(0, len(trace), 16):
            some = trace[first:first + 16]
            sock.sendall(b"".join(b"GET /small/%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in some))
            for _ in some:
                rest = receive(sock, rest)


def ratio(name, trace, weir):
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory:
        with CacheField(directory, weir, size=f"{MEGABYTES}m",
                        keys=(MEGABYTES << 20) // NGINX_OBJECT_BYTES) as field:
            field.start_cacheable_origin()
            field.start(name)
            before = asked(field)
            play(field.ports[name], trace)
            missed = asked(field) - before - 1  # the question itself
    return 1 - missed / len(trace)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=40_000)
    parser.add_argument("--only", default="", help="traces whose name has this in it")
    parser.add_argument("--weir", default=str(ROOT / "build/release/weir"))
    args = parser.parse_args()
    print(f"{MEGABYTES} MB, objects of 1 KB, {args.requests} requests: answered from the cache")
    for title, make in TRACES.items():
        if args.only not in title:
            continue
        trace = make(args.requests)
        with concurrent.futures.ThreadPoolExecutor() as pool:  # each waits most of the time
            results = pool.map(lambda name: ratio(name, trace, args.weir), CACHES)
        print(f"  {title:22} {len(set(trace)):6} objects   "
              + "   ".join(f"{n} {r:6.1%}" for n, r in zip(CACHES, results)), flush=True)


if __name__ == "__main__":
    main()
