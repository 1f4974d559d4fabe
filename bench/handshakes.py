# SPDX-License-Identifier: Apache-2.0
"""What a TLS handshake costs the proxy: `openssl s_time` makes one connection after the other, with
one request each, and the proxy's CPU time is divided by their number."""
import re
import subprocess

from contestants import ROOT

KIND = {"full": "-new", "resumed": "-reuse"}


def cpu_us(field, name, kind, seconds):
    before = field.cpu_ns(name)
    out = subprocess.run(["taskset", "-c", "0", "openssl", "s_time", "-tls1_3", "-www", "/1k",
                          "-connect", f"127.0.0.1:{field.ports[name]}", KIND[kind],
                          "-time", str(seconds)], capture_output=True, text=True, check=True).stdout
    cpu = field.cpu_ns(name) - before
    # Twice with -reuse: the first connections are full and few.
    return cpu / 1000 / int(re.findall(r"(\d+) connections in", out)[-1])


def plain_us(field, name, seconds):
    """The same without TLS."""
    before = field.cpu_ns(name)
    out = subprocess.run(["taskset", "-c", "0", "wrk", "-t1", "-c1", f"-d{seconds}s", "-H",
                          "Connection: close", f"http://127.0.0.1:{field.ports[name]}/1k"],
                         capture_output=True, text=True, check=True).stdout
    return (field.cpu_ns(name) - before) / 1000 / int(re.search(r"(\d+) requests in", out)[1])


def alone_us(field, kind):
    """The server's side of handshakes in memory: what the library costs by itself."""
    out = subprocess.run(["taskset", "-c", "1", str(ROOT / "build/tls_relay"), "alone",
                          str(field.dir / "cert.pem"), str(field.dir / "key.pem")],
                         capture_output=True, text=True, check=True).stdout
    full, resumed = map(float, out.split())
    return full if kind == "full" else resumed
