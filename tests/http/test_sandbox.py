# SPDX-License-Identifier: Apache-2.0
"""The sandbox of the processes: what holds, what works in it all the same, and what a reload does that needs more."""
import os
import pathlib
import platform
import signal
import tempfile

import pytest

from kit import BINARY, Hold, answer, mmdb, wait_until, weir_cli
from kit.weir import has_ended

FEW = {"chown", "dac_override", "kill", "setgid", "setuid", "setpcap", "net_bind_service",
       "net_admin"}


def sandbox(w):
    return w.status()["sandbox"]


@pytest.fixture
def confined(weir, tmp_path):
    """A weir on a kernel that can confine files. Temporary files are let in, and those of the test are in /tmp, too."""
    (tmp_path / "tmp").mkdir()

    def make(text, **kw):
        w = weir(text, env={"TMPDIR": str(tmp_path / "tmp")}, **kw)
        if not sandbox(w)["landlock"]:
            pytest.skip(f"no Landlock here: {sandbox(w).get('landlock_error')}")
        return w
    return make


def folder(parent, name, text=None):
    made = parent / name
    made.mkdir()
    made.chmod(0o755)
    (made / "page.txt").write_text(text or name)
    return made


# -- what holds

def test_status_tells_what_holds(weir):
    w = weir("site * { respond 200 ok }\n")
    s = sandbox(w)
    assert s["mode"] == "on"
    assert s["worker"]["no_new_privs"] and s["worker"]["capabilities"] == []
    assert s["worker"]["seccomp"] and not s.get("seccomp_error")
    assert s["supervisor"]["no_new_privs"] and set(s["supervisor"]["capabilities"]) <= FEW
    assert s["supervisor"]["seccomp"]
    told = weir_cli("status", "-c", w.config).stdout
    assert "sandbox        on: " in told and "no capabilities" in told, told


def proc(pid, name):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(name + ":"):
            return line.split()[1]
    return None


def test_the_kernel_says_the_same(weir):
    w = weir("site * { respond 200 ok }\n")
    for pid in (w.pid, w.worker_pid):
        assert proc(pid, "NoNewPrivs") == "1" and proc(pid, "Seccomp") == "2"
    assert int(proc(w.worker_pid, "CapBnd"), 16) == int(proc(w.worker_pid, "CapPrm"), 16) == 0
    if os.geteuid() == 0:
        assert bin(int(proc(w.pid, "CapBnd"), 16)).count("1") == len(FEW)


@pytest.mark.parametrize("mode", ["log", "off"])
def test_less_can_be_asked_for(weir, mode, tmp_path):
    out = folder(tmp_path, "later", "later")
    w = weir(f"sandbox {mode}\nsite * {{ respond 200 ok }}\n")
    s = sandbox(w)
    assert s["mode"] == mode and s["landlock"] == 0
    assert s["worker"]["seccomp"] == (mode == "log")
    assert s["worker"]["no_new_privs"] and s["worker"]["capabilities"] == []
    before = w.worker_pid
    w.reload(f"sandbox {mode}\nsite * {{ files {out} }}\n")
    assert w.get("/page.txt").text == "later" and w.worker_pid == before


# -- files

def test_files_outside_are_out_of_reach(confined, tmp_path):
    """A link that leads out is followed where `files` allows it, but not by the kernel."""
    site, out = folder(tmp_path, "site"), folder(tmp_path, "out")
    (site / "leak.txt").symlink_to(out / "page.txt")
    w = confined(f"site * {{ files {site} symlinks=follow }}\n")
    assert w.get("/page.txt").text == "site"
    assert w.get("/leak.txt").status == 403
    w.stop()
    w = confined(f"sandbox on read={out}\nsite * {{ files {site} symlinks=follow }}\n")
    assert w.get("/leak.txt").text == "out"


def test_a_release_behind_a_link_is_exchanged(confined, tmp_path):
    releases = tmp_path / "releases"
    releases.mkdir()
    folder(releases, "1")
    (tmp_path / "current").symlink_to(releases / "1")
    w = confined(f"site * {{ files {tmp_path}/current }}\n")
    assert w.get("/page.txt").text == "1"
    folder(releases, "2")
    (tmp_path / "next").symlink_to(releases / "2")
    os.rename(tmp_path / "next", tmp_path / "current")
    wait_until(lambda: w.get("/page.txt").text == "2", 5, "the next release")


# -- reloads that need more

def test_a_reload_that_needs_more_gets_a_new_process(confined, tmp_path):
    one, two = folder(tmp_path, "one"), folder(tmp_path, "two")
    w = confined(f"site * {{ files {one} }}\n")
    before, generation = w.worker_pid, w.generation()
    w.write(f"site * {{ files {two} }}\n")
    done = weir_cli("reload", "-c", w.config)
    assert done.returncode == 0 and "a new one takes over" in done.stderr, done.stderr
    assert w.get("/page.txt").text == "two"
    assert w.generation() == generation + 1
    wait_until(lambda: has_ended(before), 10, "the end of the old process")
    assert w.worker_pid != before and w.status()["supervisor"]["restarts"] == 0
    w.reload(f"site * {{ files {two}; route /x {{ respond 200 x }} }}\n", by="cli")
    assert w.get("/x").text == "x"


def test_requests_in_flight_end_in_the_old_process(confined, origin, tmp_path):
    two, gate = folder(tmp_path, "two"), Hold()
    o = origin([gate, answer("slow")])
    w = confined("site * { proxy @o@ }\n", o=o)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wait_until(lambda: o.requests, 5, "the request at the server")
        before = w.worker_pid
        w.reload(f"site * {{ files {two} }}\n", by="cli")
        assert w.get("/page.txt").text == "two"
        assert not has_ended(before)
        gate.release()
        assert c.response().text == "slow"
    wait_until(lambda: has_ended(before), 10, "the end of the old process")


def test_a_new_process_that_fails_leaves_the_old_one(confined, tmp_path):
    """Its log is a folder, which is noticed only when it is opened."""
    log = folder(tmp_path, "log")
    w = confined("site * { respond 200 ok }\n")
    before, generation = w.worker_pid, w.generation()
    w.write(f"workers 1\nlisten @listen@\nadmin @admin@\nlog access json to={log}\nsite * {{ respond 200 new }}\n")
    w.send_signal(signal.SIGHUP)
    w.wait_stderr("the new worker process did not serve")
    assert w.get("/").text == "ok"
    assert w.worker_pid == before and w.generation() == generation
    wait_until(lambda: not w.status()["config"]["installing"], 5, "the old one to go on")
    w.reload("site * { respond 200 good }\n")
    assert w.get("/").text == "good" and w.worker_pid == before


def test_a_stop_waits_for_both(confined, origin, tmp_path):
    two, gate = folder(tmp_path, "two"), Hold()
    o = origin([gate, answer("slow")])
    w = confined("site * { proxy @o@ }\n", o=o)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wait_until(lambda: o.requests, 5, "the request at the server")
        w.reload(f"site * {{ files {two} }}\n", by="cli")
        w.send_signal(signal.SIGTERM)
        wait_until(lambda: not w.answers(), 5, "nobody to accept")
        gate.release()
        assert c.response().text == "slow"
    w.stop()


def test_one_process_hands_over_at_a_time(confined, origin, tmp_path):
    two, three, gate = folder(tmp_path, "two"), folder(tmp_path, "three"), Hold()
    o = origin([gate, answer("slow")])
    w = confined("site * { proxy @o@ }\n", o=o)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wait_until(lambda: o.requests, 5, "the request at the server")
        w.reload(f"site * {{ files {two} }}\n", by="cli")
        w.write(f"site * {{ files {three} }}\n")
        w.send_signal(signal.SIGHUP)
        w.wait_stderr("the process before still finishes its requests")
        assert w.get("/page.txt").text == "two"
        gate.release()
        assert c.response().text == "slow"
    wait_until(lambda: weir_cli("reload", "-c", w.config).returncode == 0
               and w.get("/page.txt").text == "three", 10, "the third folder")


# -- logs

def test_logs_are_opened_anew_and_elsewhere(confined, tmp_path):
    logs = folder(tmp_path, "logs")
    w = confined(f"workers 1\nlisten @listen@\nadmin @admin@\nlog access json to={logs}/one\nsite * {{ respond 200 ok }}\n")
    before = w.worker_pid
    w.get("/a")
    wait_until(lambda: "/a" in (logs / "one").read_text(), 5, "a line")
    os.rename(logs / "one", logs / "one.1")
    w.send_signal(signal.SIGUSR1)
    wait_until((logs / "one").exists, 5, "the next file")
    w.get("/b")
    wait_until(lambda: "/b" in (logs / "one").read_text(), 5, "a line in it")
    w.reload(f"workers 1\nlisten @listen@\nadmin @admin@\nlog access json to={logs}/two\nsite * {{ respond 200 ok }}\n")
    w.get("/c")
    wait_until(lambda: "/c" in (logs / "two").read_text(), 5, "a line in the other log")
    assert w.worker_pid == before


# -- another user

def test_a_worker_of_another_user_does_all_of_it(weir, origin):
    """Files, a cache on disk, a log that is rotated, a database that is exchanged, a folder that a reload adds."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with tempfile.TemporaryDirectory(prefix="weir-user-") as name:
        public = pathlib.Path(name)
        public.chmod(0o755)
        one, two, logs, cache = (folder(public, n) for n in ("one", "two", "logs", "cache"))
        for own in (logs, cache):
            os.chown(own, 65534, 65534)
        countries = {"203.0.113.0/24": {"country": {"iso_code": "DE"}}}
        mmdb.write(public / "countries", countries)
        text = (f"user nobody\nworkers 1\nlisten @listen@\nadmin @admin@\nlog access json to={logs}/access\n"
                f"trust 127.0.0.0/8\ngeo {public}/countries\ncache_store disk {cache} size=10M\nsite * {{\n"
                f' route /f/ strip {{ files {one} }}\n route /c {{ cache 10s; proxy @o@ }}\n respond 200 "$country"\n}}\n')
        w = weir(text, o=origin(answer("hello", headers=["Cache-Control: max-age=60"])))
        assert proc(w.worker_pid, "Uid") == "65534"
        assert w.get("/f/page.txt").text == "one" and w.get("/c").text == w.get("/c").text == "hello"
        countries["203.0.113.0/24"] = {"country": {"iso_code": "AT"}}
        mmdb.write(public / "countries", countries)
        w.reload()
        assert w.get("/", headers=["X-Forwarded-For: 203.0.113.9"]).text == "AT"
        os.rename(logs / "access", logs / "access.1")
        w.send_signal(signal.SIGUSR1)
        wait_until((logs / "access").exists, 5, "the next log")
        before = w.worker_pid
        w.reload(text.replace(str(one), str(two)), by="cli")
        assert w.get("/f/page.txt").text == "two"
        wait_until(lambda: has_ended(before), 10, "the end of the old process")
        assert w.worker_pid != before
        assert (cache / "journal").exists()
        w.stop()


# -- kernels that have less

WRAPPER = """#!/usr/bin/python3
import ctypes, os, struct, sys
MISSING = {444: 38, 445: 38, 446: 38, 317: 38}  # landlock_*, seccomp: "Function not implemented"
code = [(0x20, 0, 0, 0)]
for number, error in MISSING.items():
    code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
code.append((0x06, 0, 0, 0x7fff0000))
steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(steps)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execv(@weir@, [@weir@, *sys.argv[1:]])
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls")
def test_what_the_kernel_lacks_is_left_out_and_told(weir, tmp_path):
    wrapper = tmp_path / "weir"
    wrapper.write_text(WRAPPER.replace("@weir@", repr(str(BINARY))))
    wrapper.chmod(0o755)
    later = folder(tmp_path, "later")
    w = weir("site * { respond 200 ok }\n", binary=wrapper)
    s = sandbox(w)
    assert s["landlock"] == 0 and s["landlock_error"] == s["seccomp_error"] == "Function not implemented"
    assert s["worker"]["capabilities"] == [] and s["worker"]["no_new_privs"]
    told = weir_cli("status", "-c", w.config).stdout
    assert "files not confined: Function not implemented" in told, told
    assert "no filter of system calls: Function not implemented" in told, told
    w.wait_stderr("are not confined")
    w.reload(f"site * {{ files {later} }}\n")
    assert w.get("/page.txt").text == "later"
