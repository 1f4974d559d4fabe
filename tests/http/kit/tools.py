# SPDX-License-Identifier: Apache-2.0
"""Ports, waiting, and running other programs within bounded time."""
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Below the kernel's ephemeral range, so that no outgoing connection sits on a port we picked; a
# part of the range for each pytest process, so that two of them do not pick the same one.
PORTS_FIRST, PORTS_EACH = 12000, 2000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_libc = ctypes.CDLL(None)
_next = os.getpid() % PORTS_EACH


def free_port(host="127.0.0.1"):
    """A TCP port on loopback that nobody listens on."""
    global _next
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(PORTS_EACH):
        _next = (_next + 1) % PORTS_EACH
        port = PORTS_FIRST + _worker % 8 * PORTS_EACH + _next
        with socket.socket(family, socket.SOCK_STREAM) as s:
            try:
                s.bind((host, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait_until(condition, seconds=5.0, what="the condition"):
    """Polls until condition() is true and returns its value; fails when the time is up."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.01)


def need(program):
    """The path of a program; skips the test when it is not installed."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (tools/setup test)")
    return path


def run(*argv, seconds=30, **kw):
    """Runs a program to its end and returns the completed process with text output."""
    kw.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([str(a) for a in argv], capture_output=True, timeout=seconds,
                          text=True, **kw)


def die_with_parent():
    """For a child: it ends when the test process does, however that ends."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def stop(process, seconds=5):
    """Ends a process that we started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def rss_kb(pid, field="VmRSS"):
    """Memory of a process and its children together, in KB."""
    total = 0
    for p in [pid, *children(pid)]:
        try:
            for line in open(f"/proc/{p}/status"):
                if line.startswith(field + ":"):
                    total += int(line.split()[1])
        except FileNotFoundError:
            pass
    return total


def children(pid):
    """Every process below pid."""
    try:
        direct = [int(p) for t in os.listdir(f"/proc/{pid}/task")
                  for p in open(f"/proc/{pid}/task/{t}/children").read().split()]
    except FileNotFoundError:
        return []
    return direct + [g for p in direct for g in children(p)]
