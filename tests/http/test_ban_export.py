# SPDX-License-Identifier: Apache-2.0
"""`ban_export`: bans in sets of nftables, in a network namespace of the test's own: packets die in the kernel."""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from kit import BINARY, free_port, wait_until, weir_cli

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
TABLE = """table inet filter {
    set weir4 { type ipv4_addr; flags timeout; }
    set weir6 { type ipv6_addr; flags timeout; }
    chain input {
        type filter hook input priority 0; policy accept;
        ip saddr @weir4 drop
        ip6 saddr & ffff:ffff:ffff:ffff:: @weir6 drop
    }
}
"""
EXPORT = "ban_export nftables inet filter weir4 weir6\n"
SITE = "site * {\n respond 200 ok\n}\n"


def tool(*args, **kw):
    return subprocess.run(args, check=True, capture_output=True, text=True, env={**os.environ, "PATH": PATH}, **kw)


def nft(text):
    return tool("nft", "-f", "-", input=text)


def members(name="weir4"):
    """{address: seconds left}"""
    data = json.loads(tool("nft", "-j", "list", "set", "inet", "filter", name).stdout)
    (it,) = (x["set"] for x in data["nftables"] if "set" in x)
    return {e["elem"]["val"]: e["elem"]["expires"] for e in it.get("elem", [])}


@pytest.fixture
def network():
    """This thread, and what it starts, in a network of its own."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if LIBC.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        pytest.skip(f"no network of its own can be made here: {os.strerror(ctypes.get_errno())}")
    try:
        tool("ip", "link", "set", "lo", "up")
        for address in "203.0.113.9/32", "203.0.113.10/32", "2001:db8::9/128", "2001:db8:0:1::9/128":
            tool("ip", "address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        try:
            nft(TABLE)
        except (OSError, subprocess.CalledProcessError) as e:
            pytest.skip(f"no nftables here: {getattr(e, 'stderr', e)}")
        yield
    finally:
        assert LIBC.setns(before, CLONE_NEWNET) == 0
        os.close(before)


def reaches(w, source, seconds=0.4):
    """Does a connection from there get an answer? A dropped packet gets none, not even a refusal."""
    v6 = ":" in source
    try:
        with socket.create_connection(("::1" if v6 else "127.0.0.1", w.names["port6"] if v6 else w.port), seconds,
                                      (source, 0)) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
            return s.recv(100).startswith(b"HTTP/1.1 200")
    except TimeoutError:
        return False


@pytest.fixture
def start(weir, network):
    def make(text="", **kw):
        port6 = free_port()
        return weir(f"workers 1\nlisten @listen@\nlisten [::1]:{port6}\nadmin @admin@\nlog access off\n" + text + SITE,
                    port6=port6, **kw)
    return make


def cli(w, *args):
    done = weir_cli(*args, "-c", w.config)
    assert done.returncode == 0, done.stderr
    return done


def test_packets_of_the_banned_die_in_the_kernel(start):
    w = start(EXPORT)
    assert all(reaches(w, a) for a in ("203.0.113.9", "203.0.113.10", "2001:db8::9", "2001:db8:0:1::9"))
    cli(w, "ban", "203.0.113.9", "2h"), cli(w, "ban", "2001:db8::7", "10m")
    wait_until(lambda: members() and members("weir6"), 5)
    assert 7190 < members()["203.0.113.9"] <= 7200 and 590 < members("weir6")["2001:db8::"] <= 600
    assert not reaches(w, "203.0.113.9") and not reaches(w, "2001:db8::9")
    assert reaches(w, "203.0.113.10") and reaches(w, "2001:db8:0:1::9")
    assert w.metric("weir_banned_connections_total") == 0, "they did not get here"


def test_lifted_and_set_anew(start):
    w = start(EXPORT)
    cli(w, "ban", "203.0.113.9", "2h"), cli(w, "ban", "203.0.113.10", "2h")
    wait_until(lambda: len(members()) == 2, 5)
    cli(w, "unban", "203.0.113.9"), cli(w, "ban", "203.0.113.10", "10m")
    wait_until(lambda: "203.0.113.9" not in members(), 5)
    assert 590 < members()["203.0.113.10"] <= 600
    assert reaches(w, "203.0.113.9") and not reaches(w, "203.0.113.10")
    cli(w, "unban", "--all")
    wait_until(lambda: not members(), 5)


def test_they_end_by_themselves(start):
    w = start(EXPORT)
    cli(w, "ban", "203.0.113.9", "3s")
    wait_until(lambda: members(), 5)
    w.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: not members(), 6)
    finally:
        w.process.send_signal(signal.SIGCONT)


def test_rules_of_the_configuration(start):
    w = start(EXPORT + "site b.test {\n respond 404 no\n ban 10m when 2 status in 404 within 1m\n}\n")
    for _ in range(2):
        with w.client(source="203.0.113.9") as c:
            assert c.get(host="b.test").status == 404
    wait_until(lambda: list(members()) == ["203.0.113.9"], 5)


def test_trusted_proxies_and_this_machine_are_never_exported(start):
    w = start(EXPORT + "trust 203.0.113.8/30 2001:db8:0:0:5::1\n")
    for ip in "203.0.113.9", "127.0.0.5", "2001:db8::7", "::1", "203.0.113.12":
        cli(w, "ban", ip, "1h")
    wait_until(lambda: members(), 5)
    assert list(members()) == ["203.0.113.12"] and not members("weir6")


def test_restart_and_upgrade(start, tmp_path):
    shutil.copy(BINARY, tmp_path / "weir")
    kw = dict(config=tmp_path / "weir.conf", env={"WEIR_CA_DIR": str(tmp_path / "state")}, binary=tmp_path / "weir")
    w = start(EXPORT, **kw)
    cli(w, "ban", "203.0.113.9", "2h")
    wait_until(lambda: members(), 5)
    w.stop()
    assert list(members()) == ["203.0.113.9"], "a stop leaves them"
    nft("flush set inet filter weir4")
    w = start(EXPORT, **kw)
    wait_until(lambda: list(members()) == ["203.0.113.9"], 5)
    cli(w, "upgrade")
    assert w.process.wait(40) == 0
    w.heir = w.status()["supervisor"]["pid"]
    assert list(members()) == ["203.0.113.9"]
    cli(w, "unban", "203.0.113.9")
    wait_until(lambda: not members(), 5)


def test_a_worker_process_that_is_killed(start):
    w = start(EXPORT)
    cli(w, "ban", "203.0.113.9", "2h")
    wait_until(lambda: members(), 5)
    old = w.worker_pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: w.worker_pid != old and w.answers(), 10)
    assert list(members()) == ["203.0.113.9"]
    cli(w, "unban", "203.0.113.9")
    wait_until(lambda: not members(), 5)


def test_rules_that_are_loaded_anew(start):
    w = start(EXPORT)
    cli(w, "ban", "203.0.113.9", "2h")
    wait_until(lambda: members(), 5)
    nft("flush ruleset\n" + TABLE)
    assert not members()
    wait_until(lambda: members(), 15)


def test_sets_that_are_missing_are_tried_again(start):
    nft("flush ruleset")
    w = start(EXPORT)
    cli(w, "ban", "203.0.113.9", "2h")
    w.wait_stderr("bans are not exported to nftables, which is tried again: "
                  "there is no set weir4 in a table filter of this family")
    assert reaches(w, "203.0.113.10"), "nothing else suffers"
    nft(TABLE)
    wait_until(lambda: members(), 15)
    assert w.stderr.count("bans are not exported") == 1
    w.wait_stderr("bans are exported to nftables again")


@pytest.mark.parametrize("was,is_", [("ipv4_addr; flags timeout", "ipv4_addr"),
                                     ("ipv4_addr; flags timeout", "ipv4_addr; flags interval, timeout"),
                                     ("ipv6_addr; flags timeout", "ipv4_addr; flags timeout"),
                                     ("ipv6_addr; flags timeout", "ipv6_addr; flags interval, timeout")])
def test_sets_of_another_kind_are_left_alone(start, was, is_):
    nft("flush ruleset\n" + TABLE.split(" chain")[0].replace(was, is_) + "}\n")
    w = start(EXPORT)
    cli(w, "ban", "203.0.113.9", "2h"), cli(w, "ban", "2001:db8::9", "2h")
    w.wait_stderr("with 'flags timeout' and no others")
    time.sleep(0.2)
    assert "elements" not in tool("nft", "list", "ruleset").stdout


def test_without_the_right(start, tmp_path):
    """As a service without CAP_NET_ADMIN: it serves, and says what it lacks."""
    wrapper = tmp_path / "weir"
    wrapper.write_text(f"#!/bin/sh\nexec setpriv --bounding-set -net_admin {BINARY} \"$@\"\n")
    wrapper.chmod(0o755)
    w = start(EXPORT, binary=wrapper)
    cli(w, "ban", "203.0.113.9", "2h")
    w.wait_stderr("which is tried again: the supervisor lacks CAP_NET_ADMIN")
    assert reaches(w, "203.0.113.10")


def test_reload_moves_and_takes_out(start):
    nft("table inet other { set a { type ipv4_addr; flags timeout; }\n set b { type ipv6_addr; flags timeout; }\n}\n")
    w = start(EXPORT)
    lines = w.config.read_text()

    def change(text):
        w.config.write_text(text)
        w.reload()
    cli(w, "ban", "203.0.113.9", "2h"), cli(w, "ban", "2001:db8::9", "2h")
    wait_until(lambda: members() and members("weir6"), 5)
    change(lines.replace("filter weir4 weir6", "other a b"))
    wait_until(lambda: "203.0.113.9" in tool("nft", "list", "set", "inet", "other", "a").stdout, 5)
    assert not members() and not members("weir6")
    change(lines.replace(EXPORT, ""))
    wait_until(lambda: "elements" not in tool("nft", "list", "table", "inet", "other").stdout, 5)
    change(lines)
    wait_until(lambda: members() and members("weir6"), 5)


def test_100000_of_them(start, tmp_path):
    kw = dict(config=tmp_path / "weir.conf", env={"WEIR_CA_DIR": str(tmp_path / "state")})
    w = start(EXPORT, **kw)
    cli(w, "ban", "203.0.113.9", "2h")
    w.stop()
    (file,) = (tmp_path / "state").glob("bans-*")
    end = int((time.time() + 3600) * 1000)
    file.write_text("".join(f"11.{i >> 16}.{i >> 8 & 255}.{i & 255} {end} 1\n" for i in range(100_000)))
    w = start(EXPORT, **kw)
    assert reaches(w, "203.0.113.10")
    wait_until(lambda: len(members()) >= 100_000, 40)


@pytest.mark.parametrize("line,want", [
    ("ban_export iptables inet filter a b", "bans are exported to nftables"),
    ("ban_export nftables filter a b", "ban_export"), ("ban_export nftables arp filter a b", "a family of tables is due"),
    ("ban_export nftables inet filter 4a b", "'4a' is no name"), ("ban_export nftables inet 'a b' a b", "'a b' is no name"),
    (f"ban_export nftables inet filter a {'b' * 64}", "is no name")])
def test_mistakes(tmp_path, line, want):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"{line}\n{SITE}")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and want in done.stderr, done.stderr
