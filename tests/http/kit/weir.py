# SPDX-License-Identifier: Apache-2.0
"""Runs build/$V/weir (V=release unless the environment says otherwise; WEIR_BIN names another binary) with a
configuration text in a folder of its own."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from .client import Client, Closed
from .tools import ROOT, children, die_with_parent, free_port, rss_kb, run, wait_until

BINARY = pathlib.Path(os.environ.get("WEIR_BIN") or
                      ROOT / "build" / os.environ.get("V", "release") / "weir")
SANITIZER = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:",
             "assertion failed", "ASSERT")


def sanitized():
    """Is it a build with sanitizers? It needs several times the memory and the time."""
    data = BINARY.read_bytes()
    return b"__asan_init" in data or b"__tsan_init" in data


def memory(kb):
    """A limit for memory, as this build can keep it."""
    return kb * 8 if sanitized() else kb


def has_ended(pid):
    """Also when nobody has asked for its exit code."""
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def weir_cli(*args, seconds=30, **kw):
    """Runs `weir ARGS` to its end; a sanitizer report in its output is a failure."""
    done = run(BINARY, *args, seconds=seconds, **kw)
    for word in SANITIZER:
        assert word not in done.stderr, done.stderr
    return done


class Weir:
    """A running weir. In the text @listen@ is its client address, @tls@ another one, @admin@ that of the admin API, @dir@ its
    folder, and every keyword argument `name=value` stands as @name@ (an Origin by its address). A
    text without @listen@ gets the usual lines before it: one worker, both listeners, a JSON access log."""

    PRELUDE = ("workers 1\nlisten @listen@\nadmin @admin@\n"
               "log access json to=@dir@/access.log\n")

    def __init__(self, text, *, wait=True, args=(), env=None, nofile=None, binary=BINARY, config=None,
                 **names):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.dir = pathlib.Path(self.folder.name)
        self.dir.chmod(0o755)
        self.port, self.admin_port, self.tls_port = free_port(), free_port(), free_port()
        self.names = {"listen": f"127.0.0.1:{self.port}", "dir": str(self.dir),
                      "tls": f"127.0.0.1:{self.tls_port}",
                      "admin": f"127.0.0.1:{self.admin_port}", **names}
        self.config = config or self.dir / "weir.conf"
        self.write(text)
        self.stderr_path = self.dir / "stderr"
        self.stdout_path = self.dir / "stdout"
        argv = [str(binary), "run", "-c", str(self.config), *args]
        notify = self.dir / "notify"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(notify))
        if nofile:
            argv = ["prlimit", f"--nofile={nofile}:{nofile}", *argv]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=open(self.stdout_path, "wb"),
            stderr=open(self.stderr_path, "wb"), start_new_session=True, cwd=self.dir,
            preexec_fn=die_with_parent,
            env={**os.environ, "NOTIFY_SOCKET": str(notify), "WEIR_CA_DIR": str(self.dir / "ca"),
                 **(env or {})})
        self.told = "NOTIFY_SOCKET" not in (env or {})
        self.done = False
        self.heir = None
        if wait:
            self.wait_ready()

    def expand(self, text):
        if "@listen@" not in text:
            text = self.PRELUDE + text
        for name, value in self.names.items():
            text = text.replace(f"@{name}@", getattr(value, "address", None) or str(value))
        return text

    def write(self, text, **names):
        self.names.update(names)
        self.config.write_text(self.expand(text))

    def wait_ready(self, seconds=10):
        """Until it serves, as it tells a service manager, and its address is open."""
        self.notify.settimeout(0.05)

        def told():
            try:
                return b"READY=1" in self.notify.recv(4096)
            except TimeoutError:
                return False

        def ready():
            assert self.process.poll() is None, f"weir ended at start:\n{self.stderr}"
            if self.told and not told():
                return False
            self.told = False
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                return True
            except OSError:
                return False
        try:
            wait_until(ready, seconds * 4 if sanitized() else seconds, "weir listening")
        except BaseException:
            self.kill()
            raise
        finally:
            self.notify.close()

    def answers(self, path="/", seconds=1.0):
        """Does it still serve a new connection?"""
        try:
            with Client(self.port, timeout=seconds) as c:
                return c.get(path).status > 0
        except (OSError, Closed):
            return False

    # -- talking to it

    def client(self, **kw):
        return Client(self.port, **kw)

    def get(self, path="/", host="a.test", headers=(), **kw):
        with self.client() as c:
            return c.get(path, host, headers, **kw)

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def admin(self, path):
        with Client(self.admin_port) as c:
            return c.get(path, f"127.0.0.1:{self.admin_port}")

    def status(self):
        r = self.admin("/status")
        assert r.status == 200, r
        return json.loads(r.body)

    def metrics(self):
        """{'weir_requests_total': 3.0, 'weir_x{label="y"}': 1.0}"""
        r = self.admin("/metrics")
        assert r.status == 200, r
        lines = [line for line in r.text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def metric(self, name):
        """Sum over all labels."""
        return sum(v for n, v in self.metrics().items() if n.split("{")[0] == name)

    # -- what it wrote

    @property
    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    @property
    def stdout(self):
        return self.stdout_path.read_text(errors="replace")

    def log_lines(self, name="access.log"):
        path = self.dir / name
        return path.read_text().splitlines() if path.exists() else []

    def access(self, count=None, seconds=3):
        """The access log as dictionaries; waits until `count` lines are there."""
        if count is not None:
            wait_until(lambda: len(self.log_lines()) >= count, seconds,
                       f"access log of {count} lines")
        return [json.loads(line) for line in self.log_lines()]

    def last_access(self, count=1):
        return self.access(count)[-1]

    # -- controlling it

    @property
    def pid(self):
        """Of the supervisor: the one that we started, or the one that took over in an upgrade."""
        return self.heir or self.process.pid

    @property
    def worker_pid(self):
        """The process that does the work; waits until there is one (a restart is under way)."""
        def find():
            for pid in children(self.pid):
                try:
                    if b"(worker)" in open(f"/proc/{pid}/cmdline", "rb").read():
                        return pid
                except OSError:
                    pass
            return None
        return wait_until(find, 5, "a worker process")

    def rss_kb(self, field="VmRSS"):
        return rss_kb(self.pid, field)

    def processes(self):
        return [self.pid, *children(self.pid)]

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait_stderr(self, text, seconds=5, after=0):
        wait_until(lambda: text in self.stderr[after:], seconds, f"{text!r} in stderr")

    def generation(self):
        return self.status()["config"]["generation"]

    def reload(self, text=None, by="signal", **names):
        """Writes the text (when given), reloads and waits until the new one is in force."""
        before = self.generation()
        if text is not None:
            self.write(text, **names)
        if by == "signal":
            self.send_signal(signal.SIGHUP)
        else:
            done = weir_cli("reload", "-c", self.config)
            assert done.returncode == 0, done.stderr
        wait_until(lambda: self.generation() != before, 5, "a new generation")

    def stop(self, seconds=10, sig=signal.SIGTERM, code=0):
        """Graceful stop; checks the exit code and that no sanitizer had anything to say."""
        if self.done:
            return
        if self.heir or self.process.poll() is None:
            self.send_signal(sig)
        try:
            got = self.process.wait(seconds)
            if self.heir:
                wait_until(lambda: has_ended(self.heir), seconds, "the end of the heir")
        except subprocess.TimeoutExpired:
            err = self.stderr
            self.kill()
            raise AssertionError(f"weir did not stop in {seconds} s:\n{err[-4000:]}") from None
        err = self.stderr
        self.finish()
        assert got == code, f"exit code {got}, not {code}:\n{err[-4000:]}"

    def finish(self):
        self.done = True
        err = self.stderr
        self._kill_group()
        self.folder.cleanup()
        for word in SANITIZER:
            assert word not in err, err[-8000:]

    def _kill_group(self):
        """Whatever is left of the session that we started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def kill(self):
        if not self.done:
            self.done = True
            self._kill_group()
            self.process.wait()
            time.sleep(0.01)
            self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            print(f"--- weir's stderr\n{self.stderr[-4000:]}" if not self.done else "")
            self.kill()
