# SPDX-License-Identifier: Apache-2.0
"""The supervisor: a worker process that dies is replaced and no connection is refused meanwhile; a new
binary takes over without a lost request; rights are given up."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from kit import (BINARY, CLOSE, Client, Hold, answer, chunked, free_port, get, sanitized, wait_until,
                 weir_cli)
from kit.client import Closed
from kit.tools import children, need, run

TWO = "workers 2\nlisten @listen@\nadmin @admin@\nlog access off\n"
BACK_MS = 2000 if sanitized() else 300  # 100 on a machine of our own; the measured time is printed


class Load:
    """Clients in threads: each request on a connection of its own, or all on one that is kept."""

    def __init__(self, port, new=3, kept=0):
        self.port, self.done, self.refused, self.broken, self.bad = port, 0, [], 0, []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run_new) for _ in range(new)]
        self.threads += [threading.Thread(target=self.run_kept) for _ in range(kept)]
        for t in self.threads:
            t.start()

    def connect(self):
        try:
            return Client(self.port, timeout=10)
        except OSError as e:
            self.refused.append(e)
            time.sleep(0.01)
            return None

    def ask(self, c):
        """False when the connection is over."""
        try:
            r = c.get()
        except (OSError, Closed):
            if c.buf:
                self.bad.append(("half an answer", c.buf[:80]))
            self.broken += 1
            return False
        if r.status != 200:
            self.bad.append(r.status)
        self.done += 1
        return r.get("Connection") != "close"

    def run_new(self):
        while not self.stop.is_set():
            if c := self.connect():
                self.ask(c)
                c.close()

    def run_kept(self):
        c = None
        while not self.stop.is_set():
            c = c or self.connect()
            if c and not self.ask(c):
                c.close()
                c = None
            time.sleep(0.001)
        if c:
            c.close()

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()


def is_stopped(pid):
    """Every thread of it."""
    states = [open(f"/proc/{pid}/task/{t}/stat").read().rsplit(")", 1)[1].split()[0]
              for t in os.listdir(f"/proc/{pid}/task")]
    return all(s == "T" for s in states)


def kill_worker(w, number=signal.SIGKILL):
    """Kills the worker process and waits for the next; the time between, in ms, as weir measured it."""
    old, after = w.worker_pid, len(w.stderr)
    if not is_stopped(old):
        w.generation()  # it serves: a death before that is the end
    os.kill(old, number)
    w.wait_stderr("after the end of the last", 10, after)
    assert w.worker_pid != old
    return int(re.search(r"serves, (\d+) ms after the end", w.stderr[after:])[1])


def descriptors(pid):
    return sorted(re.sub(r"\d+", "N", os.readlink(f"/proc/{pid}/fd/{n}"))
                  for n in os.listdir(f"/proc/{pid}/fd"))


# --------------------------------------------------------------------- deaths

@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_death_under_load_refuses_no_connection(weir, origin, number):
    env = {f"{kind}_OPTIONS": "handle_segv=0" for kind in ("ASAN", "TSAN")}
    w = weir(TWO + "site * { proxy @o@ }\n", o=origin(), env=env)
    load = Load(w.port, new=4, kept=2)
    took = []
    for _ in range(3):
        time.sleep(1.1)  # a worker that lived shorter counts as one that died at its start
        took.append(kill_worker(w, number))
    time.sleep(0.3)
    load.end()
    print(f"back after {took} ms; {load.done} requests, {load.broken} broken off with the process")
    assert not load.refused, load.refused[:3]
    assert not load.bad, load.bad[:3]
    assert load.done > 100
    assert load.broken <= 3 * 6, "only what was in flight"
    assert min(took) < BACK_MS, took
    assert w.status()["supervisor"]["restarts"] == 3


def test_a_real_client_sees_no_refusal(weir, origin):
    wrk = need("wrk")
    w = weir(TWO + "site * { proxy @o@ }\n", o=origin())
    p = subprocess.Popen([wrk, "-t1", "-c16", "-d4s", w.url()], stdout=subprocess.PIPE, text=True)
    time.sleep(1.5)
    kill_worker(w)
    out = p.communicate()[0]
    assert "connect 0" in out or "Socket errors" not in out, out


def test_connections_in_the_queue_are_kept(weir):
    """Those that the dead worker had not accepted are answered by the next."""
    w = weir(TWO + "site * { respond 200 ok }\n")
    w.generation()
    os.kill(w.worker_pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(w.worker_pid), 3)
    waiting = [w.client(timeout=10) for _ in range(20)]
    for c in waiting:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    kill_worker(w)
    for c in waiting:
        assert c.response().text == "ok"
        c.close()


def test_the_next_worker_has_the_configuration_in_force(weir):
    """Not what the file holds by now."""
    w = weir("site * { respond 200 one }\n")
    w.reload("site * { respond 200 two }\n")
    w.write("site * { nonsense }\n")
    kill_worker(w)
    assert w.get().text == "two" and w.generation() == 2
    assert "worker process that ended" not in w.stderr
    w.reload("site * { respond 200 three }\n")
    assert w.get().text == "three" and w.generation() == 3


def test_a_reload_while_it_starts_is_not_forgotten(weir):
    w = weir("site * { respond 200 one }\n")
    w.generation()
    os.kill(w.worker_pid, signal.SIGKILL)
    w.write("site * { respond 200 two }\n")
    w.send_signal(signal.SIGHUP)
    wait_until(lambda: w.get().text == "two", 5)


def test_status_tells_of_restarts(weir):
    w = weir("site * { respond 200 }\n")
    kill_worker(w)
    s = w.status()["supervisor"]
    assert s["pid"] == w.pid and s["restarts"] == 1
    assert s["last_reason"] == "killed by signal 9 (Killed)"
    assert w.status()["pid"] == w.worker_pid
    out = weir_cli("status", "-c", w.config).stdout
    assert f"pid {w.pid}," in out and f"worker process pid {w.worker_pid} " in out
    assert "1 restart, the last" in out and "killed by signal 9" in out


def test_crash_loop_backs_off(weir):
    w = weir("site * { respond 200 ok }\n")
    w.generation()
    began, killed = time.monotonic(), set()
    while time.monotonic() - began < 2.5:
        for pid in children(w.pid):
            if pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.002)
    # 0, 100, 200, 400, 800, 1600 ms: a spin would have made hundreds
    assert 4 <= len(killed) <= 8, len(killed)
    assert re.search(r"[3-6] times in a row .* the next is started in (400|800|1600) ms", w.stderr)
    wait_until(lambda: w.answers(seconds=5), 10, "weir being back")
    began = time.monotonic()
    w.stop()
    assert time.monotonic() - began < 3


def test_a_stop_does_not_wait_for_the_next_start(weir):
    w = weir("site * { respond 200 ok }\n")
    w.generation()
    for _ in range(4):
        pid = w.worker_pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in children(w.pid), 3)
    began = time.monotonic()
    w.stop()
    assert time.monotonic() - began < 1


@pytest.mark.seconds(120)
def test_twenty_deaths_leave_nothing_behind(weir):
    w = weir(TWO + "site * { respond 200 ok }\n")
    w.get()
    kill_worker(w)
    time.sleep(0.2)
    before, memory = descriptors(w.pid), w.rss_kb()
    inside = len(descriptors(w.worker_pid))
    for _ in range(20):
        time.sleep(1.02)
        kill_worker(w)
    assert w.get().text == "ok"
    time.sleep(0.2)
    assert descriptors(w.pid) == before
    assert abs(len(descriptors(w.worker_pid)) - inside) <= 1
    assert len(children(w.pid)) == 1, "no zombie"
    assert w.rss_kb() < memory + 4096


def test_no_worker_survives_its_supervisor(weir):
    w = weir("site * { respond 200 }\n")
    w.generation()
    worker = w.worker_pid
    os.kill(w.pid, signal.SIGKILL)
    w.process.wait(3)
    wait_until(lambda: not os.path.exists(f"/proc/{worker}") or
               "Z" in open(f"/proc/{worker}/stat").read().rsplit(")", 1)[1].split()[0], 3)
    w.done = True


def test_processes_and_threads_have_names(weir):
    w = weir("site * { respond 200 }\n")
    w.generation()
    tasks = f"/proc/{w.worker_pid}/task"
    names = {open(f"{tasks}/{t}/comm").read().strip() for t in os.listdir(tasks)}
    assert open(f"/proc/{w.pid}/comm").read() == "weir\n"
    assert {"weir worker", "weir-log", "weir-0"} <= names and "exe" not in names


def test_no_weir_runs_after_a_kill(weir):
    """The control socket that is left behind is no obscure error."""
    w = weir("site * { respond 200 }\n")
    w.generation()
    os.kill(w.pid, signal.SIGKILL)
    w.process.wait(3)
    w.done = True
    done = weir_cli("status", "-c", w.config)
    assert done.returncode != 0 and "no weir runs" in done.stderr


def test_worker_word_is_not_for_people():
    done = run(BINARY, "(worker)", "weir.conf")
    assert done.returncode == 2 and "weir run" in done.stderr
    done = run(BINARY, "run", "-c", "/nonexistent", env={**os.environ, "WEIR_TAKEOVER": "1"})
    assert done.returncode == 1 and "WEIR_TAKEOVER" in done.stderr


# --------------------------------------------------------------------- rights

def proc_status(pid, name):
    return re.search(rf"^{name}:\s+(.*)$", open(f"/proc/{pid}/status").read(), re.M)[1]


def test_rights_are_given_up(weir):
    w = weir("site * { respond 200 }\n")
    w.generation()
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(proc_status(w.worker_pid, name), 16) == 0, name
    if os.getuid() == 0:
        assert int(proc_status(w.worker_pid, "CapBnd"), 16) == 0
    assert proc_status(w.worker_pid, "NoNewPrivs") == "1"
    limits = open(f"/proc/{w.worker_pid}/limits").read()
    assert sanitized() or re.search(r"Max core file size\s+0\s+0", limits)


def test_core_dumps_can_be_allowed(weir):
    def core_limit(pid):
        return re.search(r"Max core file size\s+(\S+)", open(f"/proc/{pid}/limits").read())[1]
    w = weir("core_dumps on\nsite * { respond 200 }\n")
    w.generation()
    assert core_limit(w.worker_pid) == core_limit(w.pid)


def as_root():
    if os.getuid() != 0:
        pytest.skip("needs root")


def test_a_low_port_comes_with_a_reload(weir):
    """The worker is nobody by then: its supervisor binds."""
    as_root()
    w = weir("user nobody\nsite * { respond 200 ok }\n")
    w.generation()
    port = next(p for p in range(601, 1000) if not in_use(p))
    w.reload(f"user nobody\nlisten 127.0.0.1:{port}\nlisten @listen@\nadmin @admin@\n"
             "site * { respond 200 low }\n")
    assert get(port).text == "low"
    kill_worker(w)
    assert get(port).text == "low" and proc_status(w.worker_pid, "Uid").split()[0] != "0"


def in_use(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_files_that_only_root_reads(weir):
    as_root()
    w = weir("user nobody\nsite * { respond 200 first }\n")
    secret, word = w.dir / "secret.conf", w.dir / "word"
    word.write_text("hidden")
    secret.write_text(f"site * {{ respond 200 ${{file:{word}}} }}\n")
    for f in (secret, word):
        f.chmod(0o600)
    w.write("user nobody\ninclude @dir@/secret.conf\n")
    w.config.chmod(0o600)
    w.send_signal(signal.SIGHUP)
    wait_until(lambda: w.generation() == 2, 5)
    assert w.get().text == "hidden"
    kill_worker(w)
    assert w.get().text == "hidden"


# --------------------------------------------------------------------- upgrades

@pytest.fixture
def own_binary(tmp_path):
    """A copy of the binary that a test may replace."""
    path = tmp_path / "weir"
    shutil.copy(BINARY, path)
    return path


def replace(path, make):
    """As an installation does: a new file under the old name."""
    new = path.with_suffix(".new")
    make(new)
    new.chmod(0o755)
    new.rename(path)


def upgrade(w):
    return weir_cli("upgrade", "-c", w.config)


def supervisor_pid(w):
    return w.status()["supervisor"]["pid"]


def stop_successor(w):
    """The process that we started has ended by now, so the kit cannot."""
    assert w.process.wait(40) == 0, w.stderr
    pid = supervisor_pid(w)
    done = weir_cli("stop", "-c", w.config)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not os.path.exists(f"/proc/{pid}") or
               ") Z" in open(f"/proc/{pid}/stat").read(), 5, "the successor to end")
    w.finish()


@pytest.mark.parametrize("by", ["command", "signal"])
def test_upgrade(weir, own_binary, by):
    w = weir("pid_file @dir@/pid\nsite * { respond 200 ok }\n", binary=own_binary)
    w.generation()
    replace(own_binary, lambda new: shutil.copy(BINARY, new))
    if by == "command":
        done = upgrade(w)
        assert done.returncode == 0, done.stderr
    else:
        w.send_signal(signal.SIGUSR2)
        wait_until(lambda: supervisor_pid(w) != w.pid, 10)
    pid = wait_until(lambda: supervisor_pid(w) != w.pid and supervisor_pid(w), 3)
    assert w.get().text == "ok"
    wait_until(lambda: int((w.dir / "pid").read_text()) == pid, 3)
    assert w.process.wait(20) == 0
    assert w.get().text == "ok" and (w.dir / "pid").exists()
    assert os.readlink(f"/proc/{pid}/exe") == str(own_binary)
    assert b"(" not in open(f"/proc/{pid}/cmdline", "rb").read(), "its command line is the same"
    stop_successor(w)


def test_upgrade_twice_and_reload_after(weir, own_binary):
    w = weir(TWO + "site * { respond 200 one }\n", binary=own_binary)
    for _ in range(2):
        w.generation()
        done = upgrade(w)
        assert done.returncode == 0, done.stderr
    done = weir_cli("reload", "-c", w.config)
    assert done.returncode == 0, done.stderr
    w.write(TWO + "site * { respond 200 two }\n")
    assert weir_cli("reload", "-c", w.config).returncode == 0
    assert w.get().text == "two"
    os.kill(w.status()["pid"], signal.SIGKILL)
    wait_until(lambda: w.status()["supervisor"]["restarts"] == 1, 5)
    assert w.get().text == "two"
    stop_successor(w)


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)
    return CLOSE


SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")


def test_upgrade_under_load(weir, origin, own_binary):
    """Nothing is lost: new connections, kept ones, a long answer, a tunnel."""
    hold = Hold()
    o, slow, tunnel = origin(), origin([hold, chunked(b"whole", b"answer")]), \
        origin([SWITCH, echo], early=True)
    w = weir(TWO + "stop_timeout 20s\nsite * { proxy @o@; route /slow { proxy @slow@ }\n"
             "route /ws { proxy @ws@ } }\n", o=o, slow=slow, ws=tunnel, binary=own_binary)
    idle, ws, long = w.client(timeout=20), w.client(timeout=20), w.client(timeout=20)
    assert idle.get().status == 200
    ws.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert ws.head().status == 101
    long.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    hold.reached.wait(5)
    load = Load(w.port, new=3, kept=3)
    time.sleep(0.5)
    done = upgrade(w)
    assert done.returncode == 0, done.stderr
    r = idle.get()
    assert r.status == 200 and r.get("Connection") == "close", "its last request is answered"
    time.sleep(0.5)
    ws.send(b"still here")
    assert ws.take(10) == b"still here"
    hold.release()
    r = long.response()
    assert r.body == b"wholeanswer" and r.complete
    load.end()
    assert not load.refused and not load.bad, (load.refused[:3], load.bad[:3])
    assert load.broken == 0 and load.done > 100
    ws.close()
    for c in (idle, long):
        c.close()
    stop_successor(w)


def test_upgrade_has_a_deadline_for_old_connections(weir, origin, own_binary):
    w = weir("stop_timeout 1s\nsite * { proxy @o@ }\n", o=origin([SWITCH, echo], early=True),
             binary=own_binary)
    with w.client(timeout=10) as ws:
        ws.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert ws.head().status == 101
        assert upgrade(w).returncode == 0
        began = time.monotonic()
        assert w.process.wait(8) == 0
        assert 0.5 < time.monotonic() - began < 6
        assert ws.closed(2)
    stop_successor(w)


def not_a_program(path):
    path.write_text("this is no program\n")


def one_that_ends(path):
    path.write_text("#!/bin/sh\nexit 7\n")


def one_that_crashes(path):
    path.write_text("#!/bin/sh\nkill -SEGV $$\n")


@pytest.mark.parametrize("make,words", [(not_a_program, "cannot run"), (one_that_ends, "exit code 7"),
                                        (one_that_crashes, "signal 11")])
def test_a_broken_binary_leaves_the_old_one(weir, own_binary, make, words):
    w = weir("site * { respond 200 ok }\n", binary=own_binary)
    w.generation()
    replace(own_binary, make)
    done = upgrade(w)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert "upgrade failed, nothing has changed" in w.stderr
    assert w.get().text == "ok" and supervisor_pid(w) == w.pid
    assert words in weir_cli("status", "-c", w.config).stdout
    kill_worker(w)  # of the binary that still runs, though its file is gone
    assert w.get().text == "ok"
    replace(own_binary, lambda new: shutil.copy(BINARY, new))
    done = upgrade(w)
    assert done.returncode == 0, done.stderr
    stop_successor(w)


def test_a_bad_configuration_refuses_the_upgrade(weir, own_binary):
    w = weir("site * { respond 200 ok }\n", binary=own_binary)
    w.generation()
    w.write("site * { nonsense }\n")
    done = upgrade(w)
    assert done.returncode == 1 and "nonsense" in done.stderr and "weir.conf:" in done.stderr
    assert "exit code 3" in done.stderr
    assert w.get().text == "ok" and supervisor_pid(w) == w.pid
    w.write("site * { respond 200 ok }\n")
    assert upgrade(w).returncode == 0
    stop_successor(w)


def test_an_address_that_is_taken_refuses_the_upgrade(weir, own_binary):
    w = weir("site * { respond 200 ok }\n", binary=own_binary)
    w.generation()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        w.write(f"listen 127.0.0.1:{s.getsockname()[1]}\nlisten @listen@\nadmin @admin@\n"
                "site * { respond 200 new }\n")
        done = upgrade(w)
    assert done.returncode == 1 and "in use" in done.stderr
    assert w.get().text == "ok"


def test_unix_sockets_move_over(weir, own_binary):
    w = weir("listen @listen@\nlisten unix:@dir@/s\nadmin unix:@dir@/admin\nlog access off\n"
             "site * { respond 200 ok }\n", binary=own_binary)
    path = str(w.dir / "s")
    wait_until(lambda: os.path.exists(path), 5)
    assert get(path).text == "ok"
    assert upgrade(w).returncode == 0
    assert w.process.wait(20) == 0
    assert get(path).text == "ok"
    assert weir_cli("stop", "-c", w.config).returncode == 0
    assert not os.path.exists(path)
    w.finish()


def test_a_service_manager_is_told_the_new_pid(weir, own_binary, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(10)
        w = weir("site * { respond 200 }\n", binary=own_binary, env={"NOTIFY_SOCKET": path})
        assert f"READY=1\nMAINPID={w.pid}\n".encode() == s.recv(4096)
        assert upgrade(w).returncode == 0
        w.process.wait(20)
        assert f"READY=1\nMAINPID={supervisor_pid(w)}\n".encode() == s.recv(4096)
        stop_successor(w)
        assert s.recv(4096) == b"STOPPING=1\n"


def test_no_descriptor_stays_after_upgrades(weir, own_binary):
    w = weir(TWO + "site * { respond 200 ok }\n", binary=own_binary)
    w.generation()
    time.sleep(0.2)  # the service manager has been told
    before = descriptors(w.pid)
    for _ in range(3):
        assert upgrade(w).returncode == 0
    wait_until(lambda: len(children(supervisor_pid(w))) == 1, 10)
    assert descriptors(supervisor_pid(w)) == before
    stop_successor(w)
