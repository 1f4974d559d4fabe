# SPDX-License-Identifier: Apache-2.0
"""wrk, h2load and curl as clients, in short runs one after the other, in threads. They cannot tell answers
apart, but they are not ours: other code, other habits."""
import re
import shutil
import subprocess
import threading
import time

from clients import Tally, Trouble
from kit import ROOT
from kit.tools import die_with_parent
from words import due

RUN_S = 6
THROTTLE = "function delay() return 15 end\n"  # wrk would take the machine for itself


class Program(threading.Thread):
    kind = ""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.tally, self.sequence = world, Tally(self.kind), 0
        self.tls = False

    def run(self):
        while not self.world.stop.is_set():
            self.began = time.monotonic()
            self.once()
        self.tally.issued[self.kind] = self.sequence

    def call(self, *argv):
        done = subprocess.run([str(a) for a in argv], capture_output=True, timeout=120,
                              stdin=subprocess.DEVNULL)
        return done.stdout, done.stdout.decode("latin-1") + done.stderr.decode("latin-1")

    def trouble(self, what, method="GET", **more):
        self.tally.troubles.append(Trouble(self.kind, "", what, self.began, time.monotonic(),
                                           method, **more))

    def once(self):
        self.tls = not self.tls
        self.run_once()

    def url(self, path):
        """Over TLS each second time."""
        if self.tls:
            return f"https://127.0.0.1:{self.world.tls_port}{path}"
        return f"http://127.0.0.1:{self.world.port}{path}"


def number(pattern, text):
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


class Wrk(Program):
    kind = "wrk"

    def run_once(self):
        script = f"{self.world.dir}/throttle.lua"
        with open(script, "w") as f:
            f.write(THROTTLE)
        _, text = self.call("wrk", "-t1", "-c16", f"-d{RUN_S}s", "-s", script, self.url("/bulk"))
        if "requests in" not in text:
            self.trouble(f"wrk: {text[-300:]}", is_wrong=True)
        self.tally.counts["answers"] += number(r"(\d+) requests in", text)
        self.tally.counts["cut"] += 16  # what may be under way when it ends
        errors = re.search(r"(Socket errors: .*|Non-2xx.*)", text)
        if errors:
            self.trouble(errors.group(1))


class H2load(Program):
    """HTTP/1.1 and HTTP/2 by turns."""
    kind = "h2load"
    turns = 0

    def run_once(self):
        count = 100 * RUN_S
        self.turns += 1
        how = ["--h1"] if self.turns // 2 % 2 else ["-m", 5]
        _, text = self.call("h2load", *how, "-n", count, "-c", 10, "--rps", 10, self.url("/bulk"))
        done = number(r"(\d+) succeeded", text)
        self.tally.counts["answers"] += done
        if done != count:
            line = re.search(r"requests: .*", text)
            self.trouble(line.group(0) if line else text[-300:])


class Curl(Program):
    """Three answers over one connection; then a body that is large enough for Expect: 100-continue."""
    kind = "curl"

    def next_id(self):
        self.sequence += 1
        return f"curl-{self.sequence}"

    def expect(self, argv, body, count, method):
        out, text = self.call("curl", "-sS", "-m", 30, "--http1.1", "--cacert", self.world.ca, *argv)
        if out == body:
            self.tally.counts["answers"] += count
        else:
            self.trouble(f"curl: {len(out)} bytes, not {len(body)}: {text[-200:]!r}", method,
                         is_partial=bool(out))

    def run_once(self):
        ids = [self.next_id() for _ in range(3)]
        self.expect([self.url(f"/e/{i}/30000") for i in ids],
                    b"".join(due(i, 30000) for i in ids), 3, "GET")
        self.began = time.monotonic()
        posted = self.next_id()
        path = f"{self.world.dir}/curl-body"
        with open(path, "wb") as f:
            f.write(due(posted, 1500000))
        self.expect(["-H", "Content-Type: x/y", "--data-binary", f"@{path}",
                     self.url(f"/p/{posted}/1500000")], b"ok 1500000", 1, "POST")
        self.world.stop.wait(0.2)


class Nghttp(Program):
    """One answer over HTTP/2, to it and from servers of either version."""
    kind = "nghttp"

    def run_once(self):
        self.sequence += 1
        request_id = f"nghttp-{self.sequence}"
        prefix = ("/s/e", "/2/w")[self.sequence // 2 % 2]
        out, text = self.call("nghttp", "--no-dep", "-t", 20, self.url(f"{prefix}/{request_id}/50000"))
        if out == due(request_id, 50000):
            self.tally.counts["answers"] += 1
        else:
            self.trouble(f"nghttp: {len(out)} bytes: {text[-200:]!r}", is_partial=bool(out))
        self.world.stop.wait(0.2)


class Grpc(Program):
    """@grpc/grpc-js, one process for the whole run. BEGAN and ENDED come by the wall clock."""
    kind = "grpc"

    def run(self):
        argv = [shutil.which("node"), str(ROOT / "tests/node/grpc-soak.js"),
                f"127.0.0.1:{self.world.port}", "5"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              preexec_fn=die_with_parent) as p:
            threading.Thread(target=lambda: (self.world.stop.wait(), p.stdin.close())).start()
            for line in p.stdout:
                self.take(line.rstrip())
        self.began = time.monotonic()
        if not self.tally.counts["calls"]:
            self.trouble("no call of gRPC succeeded", is_wrong=True)

    def take(self, line):
        word, *rest = line.split(" ", 3)
        if word == "calls":
            self.tally.counts["calls"], self.tally.counts["messages"] = int(rest[0]), int(rest[2])
        elif word == "trouble":
            shift = time.monotonic() - time.time()
            self.tally.troubles.append(Trouble(
                self.kind, "", rest[2], int(rest[0]) / 1000 + shift, int(rest[1]) / 1000 + shift, "GRPC",
                is_wrong=rest[2].startswith("WRONG")))


PROGRAMS = (Wrk, H2load, Curl, Nghttp)


def has_grpc():
    return bool(shutil.which("node")) and (ROOT / "tests/node/node_modules/@grpc/grpc-js").exists()
