# SPDX-License-Identifier: Apache-2.0
"""Ports, waiting, and running other programs within bounded time."""
import collections
import ctypes
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Below the kernel's ephemeral range, so that no outgoing connection sits on a port we picked.
PORTS_FIRST, PORTS_COUNT = 10000, 22000
_libc = ctypes.CDLL(None)
_claims = collections.deque(maxlen=300)


def _claim(port):
    """Keeps other test processes off a port for a while: an abstract socket of its name is ours."""
    s = socket.socket(socket.AF_UNIX)
    try:
        s.bind(f"\0weir-test-port-{port}")
    except OSError:
        s.close()
        return False
    if len(_claims) == _claims.maxlen:
        _claims.popleft().close()
    _claims.append(s)
    return True


def _is_free(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        try:
            s.bind((host, port))
            return True
        except OSError:
            return False


def free_port(host="127.0.0.1"):
    """A TCP port on loopback that nobody listens on."""
    for _ in range(1000):
        port = PORTS_FIRST + random.SystemRandom().randrange(PORTS_COUNT)
        if _is_free(host, port) and _claim(port):
            return port
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
    if "input" not in kw:
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
