# SPDX-License-Identifier: Apache-2.0
"""What a message through a WebSocket costs the proxy: 16 connections, on each of which a message of 64
bytes goes to an origin that echoes, as soon as the one before is back. Both ends are bench/echo.c."""
import subprocess

from contestants import ROOT, free_port

CONNECTIONS = 16
ECHO = str(ROOT / "build/echo")


def start_origin(field):
    port = free_port()
    field.start_origin("echo", 0, [ECHO, "serve", str(port)], port)


def measure(field, name, seconds):
    """CPU from the first connection on: what opening them costs is a thousandth."""
    before = field.cpu_ns(name)
    out = subprocess.run(["taskset", "-c", "0", ECHO, "ask", str(field.ports[name]), str(CONNECTIONS), str(seconds)],
                         capture_output=True, text=True, check=True).stdout
    cpu, count = field.cpu_ns(name) - before, int(out)
    return {"cpu_us": cpu / 1000 / max(count, 1), "rate": count / seconds}
