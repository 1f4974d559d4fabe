#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a request costs, exactly: instructions, system calls and allocations, without a clock.

    make cost, or bench/cost.py [--only WORD] [--profile DIR]

weir runs under callgrind between a client and an origin that take turns, so that every run does the
same. Each workload runs twice, with FEW and with MANY turns; the difference, divided by the requests
more, is the cost of one: start, first use of every cache and stop are in both. Only the
worker's thread counts, and only what runs in user space: instructions of weir and its libraries.
Fails when a number is above its ceiling in bench/ceilings.ini. --profile keeps callgrind's files,
for callgrind_annotate."""
import argparse
import collections
import concurrent.futures
import configparser
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import players

ROOT = pathlib.Path(__file__).resolve().parent.parent
FEW, MANY = 50, 250
RUNS_MAX = 3
# Valgrind makes system calls that the sandbox refuses.
WEIR = """
workers 1
sandbox off
listen {address}:{port}{tls}
admin off
log access {log}
site * {{
    {cache}
    proxy 127.0.0.1:{origin} {proto}
    {certificate}
}}
"""
# The supervisor starts /proc/self/exe, which is valgrind itself here: without it, it takes the path.
NO_SELF_EXE = r"""
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int access(const char *path, int mode)
{
    if (strcmp(path, "/proc/self/exe") != 0)
        return (int)syscall(SYS_faccessat, -100, path, mode);
    errno = ENOENT;
    return -1;
}
"""
# Eight fields each, as a browser and a usual server send them.
REQUEST = (b"GET /index.html?page=2 HTTP/1.1\r\n"
           b"Host: 127.0.0.1\r\n"
           b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
           b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
           b"Accept-Language: en-US,en;q=0.5\r\n"
           b"Accept-Encoding: gzip, deflate, br\r\n"
           b"Referer: http://127.0.0.1/\r\n"
           b"Cookie: session=0123456789abcdef0123456789abcdef\r\n"
           b"Connection: keep-alive\r\n\r\n")
RESPONSE = (b"HTTP/1.1 200 OK\r\n"
            b"Server: origin\r\n"
            b"Date: Mon, 06 Jul 2026 10:00:00 GMT\r\n"
            b"Content-Type: text/html; charset=utf-8\r\n"
            b"Content-Length: %d\r\n"
            b"Last-Modified: Fri, 03 Jul 2026 09:00:00 GMT\r\n"
            b"Connection: keep-alive\r\n"
            b"ETag: \"6a4e1b80-400\"\r\n"
            b"Accept-Ranges: bytes\r\n\r\n")
STORED = RESPONSE.replace(b"Server:", b"Cache-Control: max-age=1000000000\r\nServer:")
# `kind`: of players; `streams`: requests of one turn.
Workload = collections.namedtuple("Workload", "name body_bytes new_connections log tls kind streams",
                                  defaults=[False, "h1", 1])
WORKLOADS = [  # a section of ceilings.ini each
    Workload("1 KB", 1024, False, "off"),
    Workload("64 KB", 65536, False, "off"),
    Workload("new connection", 1024, True, "off"),
    Workload("access log", 1024, False, "json to=/dev/null"),
    Workload("TLS 1 KB", 1024, False, "off", True),
    Workload("h2c 1 KB", 1024, False, "off", kind="h2c"),
    Workload("h2c 32 streams", 1024, False, "off", kind="h2c", streams=32),
    Workload("h2c to h2c", 1024, False, "off", kind="h2c to h2c"),
    Workload("cache hit", 1024, False, "off", kind="cache"),
    Workload("WebSocket echo", 0, False, "off", kind="websocket"),
]
# An address of this process alone: nobody else can take the port between our look and weir's bind.
ADDRESS = f"127.{os.getpid() >> 16 & 127 | 128}.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
# Function of libc -> row. A clock is read without a system call where valgrind is not in between.
CALLS = {"recv": "receives", "readv": "receives", "send": "sends", "sendmsg": "sends",
         "writev": "sends", "epoll_wait": "epoll_wait", "epoll_ctl": "epoll_ctl",
         "splice": "splices", "clock_gettime": "clock readings"}
ALLOCATORS = {"malloc", "calloc", "realloc", "memalign", "aligned_alloc", "posix_memalign"}
ROWS = ["instructions", "receives", "sends", "splices", "epoll_wait", "epoll_ctl", "other system calls",
        "clock readings", "allocations"]


class Origin:
    """Answers when told to. weir keeps one connection to it."""

    def __init__(self, body_bytes):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        self.answer = RESPONSE % body_bytes + b"x" * body_bytes
        self.conn = None

    def turn(self):
        self.serve_one()

    def serve_one(self):
        if self.conn is None:
            self.conn, _ = self.listener.accept()
            self.conn.settimeout(20)
            self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = self.conn.recv(65536)
            if not part:
                raise SystemExit("cost: weir closed its connection to the origin")
            head += part
        self.conn.sendall(self.answer)


class StoredOrigin(Origin):
    """Is asked once."""

    def __init__(self, body_bytes):
        super().__init__(body_bytes)
        self.answer = STORED % body_bytes + b"x" * body_bytes

    def turn(self):
        if self.conn is None:
            self.serve_one()


def receive_answer(client, origin):
    want = None
    got = b""
    while want is None or len(got) < want:
        part = client.recv(1 << 20)
        if not part:
            raise SystemExit("cost: weir closed the client's connection")
        got += part
        end = got.find(b"\r\n\r\n")
        if want is None and end >= 0:
            if not got.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"cost: weir answered {got[:100]!r}")
            want = end + 4 + len(origin.answer) - origin.answer.find(b"\r\n\r\n") - 4


def connect(port, tls):
    client = socket.create_connection((ADDRESS, port), timeout=20)
    if not tls:
        return client
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(client)


def exchange_requests(port, origin, count, workload):
    client = None
    for _ in range(count):
        if client is None or workload.new_connections:
            client = connect(port, workload.tls)
        client.sendall(REQUEST)
        origin.turn()
        receive_answer(client, origin)
        if workload.new_connections:
            client.close()
    if not workload.new_connections:
        client.close()


def play(port, origin, count, workload):
    """As exchange_requests(), in turns of the workload's kind."""
    with connect(port, workload.tls) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = (players.WebSocketClient(sock) if workload.kind == "websocket"
                  else players.H2Client(sock, workload.streams))
        for _ in range(count):
            client.turn(origin)


def origin_of(workload):
    if workload.kind == "h2c":
        return players.H1Origin(RESPONSE % workload.body_bytes + b"x" * workload.body_bytes)
    if workload.kind == "h2c to h2c":
        return players.H2Origin(workload.body_bytes)
    if workload.kind == "cache":
        return StoredOrigin(workload.body_bytes)
    return players.EchoOrigin() if workload.kind == "websocket" else Origin(workload.body_bytes)


def make_certificate(directory):
    """ECDSA P-256, signs itself."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=cost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{directory}/key.pem",
                    "-out", f"{directory}/cert.pem"], check=True, capture_output=True)


def free_port():
    with socket.socket() as s:
        s.bind((ADDRESS, 0))
        return s.getsockname()[1]


def wait_for_start(process, output):
    """Until weir says that it listens: what connects before may be reset by its look at the address."""
    for _ in range(1200):
        if " listens on " in output.read_text():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit("cost: weir does not listen:\n" + output.read_text())


def build_shim(directory):
    source = directory / "no_self_exe.c"
    source.write_text(NO_SELF_EXE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(source.with_suffix(".so")), str(source)],
                   check=True)


def keep_worker(directory, name, output):
    """The file of the one thread that served requests, under the name of the run."""
    threads = [path for path in directory.glob(f"{name}.*-[0-9]*")
               if "exchange_steps_run" in path.read_text()]
    if len(threads) != 1:
        raise SystemExit(f"cost: {len(threads)} threads served requests:\n" + output.read_text())
    return threads[0].rename(directory / f"{name}.callgrind")


def run_weir(directory, workload, count):
    """Runs weir for `count` requests; returns the costs of its worker."""
    shim = directory / "no_self_exe.so"
    name = f"{workload.name.replace(' ', '-')}-{count}"
    for old in directory.glob(f"{name}.*"):
        old.unlink()
    origin, port = origin_of(workload), free_port()
    conf, output = directory / f"{name}.conf", directory / f"{name}.out"
    certificate = f"tls cert={directory}/cert.pem key={directory}/key.pem"
    conf.write_text(WEIR.format(address=ADDRESS, port=port, origin=origin.port, log=workload.log,
                                tls=" tls" if workload.tls else "",
                                proto="{\n        proto h2c\n    }" if "to h2c" in workload.kind
                                else "",
                                cache="cache" if workload.kind == "cache" else "",
                                certificate=certificate if workload.tls else ""))
    weir = os.environ.get("WEIR", str(ROOT / "build/release/weir"))
    with output.open("wb") as out:
        process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", "--collect-systime=msec", "--separate-threads=yes",
             "--trace-children=yes", f"--callgrind-out-file={directory / name}.%p",
             weir, "run", "-c", str(conf)],
            stdout=out, stderr=out, env={**os.environ, "LD_PRELOAD": str(shim)})
    try:
        wait_for_start(process, output)
        (exchange_requests if workload.kind in ("h1", "cache") else play)(port, origin, count, workload)
    except OSError as e:
        raise SystemExit(f"cost: {e}; weir said:\n" + output.read_text()) from e
    else:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return read_costs(keep_worker(directory, name, output))


def read_costs(path):
    """The totals of a callgrind file by row (the format: callgrind_format(1) of valgrind)."""
    names, costs = {}, collections.Counter()

    def name_of(text):
        number, name = re.match(r"(\(\d+\))?\s*(.*)", text).groups()
        if name:
            names[number] = name
        return re.sub(r"'\d+$", "", name or names[number]).split("@")[0]

    function, inclusive = None, False
    for line in path.read_text().splitlines():
        if line.startswith("fn="):
            function = name_of(line[3:])
        elif line.startswith("cfn="):
            called = name_of(line[4:])
        elif line.startswith("calls="):
            inclusive = True  # the next line says what the call cost in all
            if called in ALLOCATORS and function not in ALLOCATORS:
                costs["allocations"] += int(line[6:].split()[0])
        elif re.match(r"[\d+*-]", line):
            numbers = [int(n) for n in line.split()[1:]]
            if not inclusive:
                costs["instructions"] += numbers[0]
                calls = numbers[1] if len(numbers) > 1 else 0
                costs[CALLS.get(function, "other system calls")] += calls
            inclusive = False
    return costs


def measure(directory, workload, ceilings):
    """What the kernel delivers in two pieces because the machine is busy costs a tick more, never
    less: a workload above its ceilings runs again, and the least of the runs counts."""
    least = {FEW: {}, MANY: {}}
    for _ in range(RUNS_MAX):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            runs = pool.map(lambda count: run_weir(directory, workload, count), least)
        for count, run in zip(list(least), runs):
            least[count] = {row: min(run[row], least[count].get(row, run[row])) for row in ROWS}
        costs = {row: cost_of_one(row, least, workload.streams) for row in ROWS}
        if not any(costs[row] > ceilings.getfloat(workload.name, row) for row in ROWS):
            break
    return costs


def cost_of_one(row, least, streams):
    # A tick more or less in the whole run is no cost of a request.
    cost = (least[MANY][row] - least[FEW][row]) / (MANY - FEW) / streams
    return max(0, round(cost, 0 if row == "instructions" else 1))


def print_table(results, ceilings):
    """Returns how many numbers are above their ceilings."""
    print(f"{'cost of one request':20}" + "".join(f"{name:>24}" for name in results))
    print(" " * 20 + "".join(f"{'is':>13}{'ceiling':>11}" for _ in results))
    bad = 0
    for row in ROWS:
        line = f"{row:20}"
        for name, costs in results.items():
            ceiling = ceilings.getfloat(name, row)
            above = costs[row] > ceiling
            bad += above
            line += f"{'>>> ' if above else ''}{costs[row]:g}".rjust(13) + f"{ceiling:11g}"
        print(line)
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="workloads whose name has this in it")
    parser.add_argument("--profile", type=pathlib.Path, help="keep callgrind's files there")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("cost: valgrind is not installed (tools/setup test)")
    ceilings = configparser.ConfigParser()
    ceilings.read(ROOT / "bench/ceilings.ini")
    with tempfile.TemporaryDirectory(prefix="weir-cost-") as temporary:
        directory = args.profile or pathlib.Path(temporary)
        directory.mkdir(exist_ok=True)
        build_shim(directory)
        make_certificate(directory)
        results = {w.name: measure(directory, w, ceilings)
                   for w in WORKLOADS if args.only in w.name}
    bad = print_table(results, ceilings)
    if bad:
        sys.exit(f"cost: {bad} above the ceilings of bench/ceilings.ini; "
                 "bench/cost.py --profile DIR and callgrind_annotate show where it went")


if __name__ == "__main__":
    main()
