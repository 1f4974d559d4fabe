# SPDX-License-Identifier: Apache-2.0
"""What happens to weir and its servers while clients are at work: reloads good and bad, logs that are rotated,
servers that die and come back, an upgrade, and deaths of the worker process."""
import os
import random
import signal
import time

import config
from kit import get, weir_cli, wait_until
from kit.certs import client_context
from kit.client import Closed, TlsClient

RELOAD_EACH_S, DEATH_EACH_S, KILL_EACH_S, CERT_EACH_S = 0.5, 9.0, 4.0, 5.0
UPGRADE_AT, KILLS_FROM = 0.75, 0.8  # of the run


class Chaos:
    def __init__(self, weir, app, pairs, seed, grpc=""):
        self.grpc = grpc  # its upstream and site, in every configuration
        self.weir, self.app, self.pairs, self.seed = weir, app, pairs, seed
        self.rand = random.Random(seed)
        self.generation = 0
        self.text = config.plain(grpc=grpc)  # in force
        self.done = {"reloads": 0, "refused": 0, "deaths": 0, "kills": 0, "upgrades": 0,
                     "certs": 0, "bad_certs": 0}
        self.events = []      # (time, "death", "kill" or "upgrade")
        self.broken = []      # promises
        self.backs = []       # (time of a kill)
        self.returns = []     # (when, server) that is down

    # -- reloads

    def serving(self):
        try:
            return get(self.weir.port, "/generation").text
        except (OSError, Closed) as e:
            return repr(e)

    def reload(self, text, code):
        self.weir.write(text)
        done = weir_cli("reload", "-c", self.weir.config, seconds=60)
        if done.returncode != code:
            self.broken.append(f"reload {self.generation}: exit code {done.returncode}, not {code}: "
                               f"{done.stderr[-300:]}")
        if self.serving() != str(self.generation):
            self.broken.append(f"after reload {self.generation} {self.serving()} is served")

    def reload_good(self, text=None):
        self.generation += 1
        self.text = text or config.changed(self.generation, self.seed, self.grpc)
        self.reload(self.text, 0)
        self.done["reloads"] += 1

    def reload_bad(self):
        self.reload(config.broken(self.generation, self.seed, self.grpc), 3)
        self.done["refused"] += 1

    def rotate(self):
        for path in self.weir.dir.glob("access-*.log"):
            path.rename(f"{path}.old")
        self.weir.send_signal(signal.SIGUSR1)

    # -- servers

    def death(self):
        server = self.rand.choice(self.app)
        self.events.append((time.monotonic(), "death"))
        server.die()
        self.done["deaths"] += 1
        self.returns.append((time.monotonic() + self.rand.uniform(0.5, 2.5), server))

    def resurrect(self, everybody=False):
        for due, server in list(self.returns):
            if everybody or time.monotonic() >= due:
                server.start()
                server.wait_up()
                self.returns.remove((due, server))

    # -- certificates and sessions

    def shows(self, what):
        try:
            wait_until(lambda: self.pairs.is_shown(self.weir.tls_port), 15, "the new certificate")
        except (AssertionError, OSError) as e:
            self.broken.append(f"after {what}: {e!r}")

    def exchange(self):
        """weir looks at the file every two seconds, and then reads everything, so the configuration on
        the disk must be good."""
        self.weir.write(self.text)
        self.pairs.change()
        self.done["certs"] += 1
        self.shows("another certificate was put there")

    def spoil(self):
        """A pair that does not fit leaves the old one in use, also when somebody orders a reload."""
        self.pairs.spoil()
        self.done["bad_certs"] += 1
        self.weir.write(self.text)
        done = weir_cli("reload", "-c", self.weir.config, seconds=60)
        if done.returncode != 3 or "does not belong to" not in done.stderr:
            self.broken.append(f"a pair that does not fit: exit code {done.returncode}: {done.stderr}")
        self.shows("a pair that does not fit was put there")
        self.pairs.restore()

    def session(self, session=None):
        """(session, was one resumed?) of a connection of its own."""
        with TlsClient(self.weir.tls_port, self.tls, "soak.test", session) as c:
            c.get("/generation")
            return c.sock.session, c.sock.session_reused

    def resumes(self, session, what):
        if not self.session(session)[1]:
            self.broken.append(f"after {what} a session from before is not resumed")

    # -- the worker process

    def worker(self):
        """Its pid; None when weir is a single process."""
        try:
            pid = self.weir.status()["pid"]
        except (OSError, Closed):
            return None
        return pid if pid != self.weir.pid else None

    def kill(self):
        pid = self.worker()
        if pid is None:
            return
        session = self.session()[0]
        self.events.append((time.monotonic(), "kill"))
        os.kill(pid, signal.SIGKILL)
        self.done["kills"] += 1
        try:
            wait_until(lambda: self.worker() not in (None, pid) and
                       self.serving() == str(self.generation), 10, "another worker process")
        except AssertionError as e:
            self.broken.append(f"after a kill: {e}")
            return
        self.resumes(session, "a kill")

    # -- the whole program

    def upgrade(self):
        """Another supervisor, with a worker process of its own; the old ones finish what they have."""
        before = self.weir.pid
        session = self.session()[0]
        self.weir.write(self.text)  # it reads what is there
        self.events.append((time.monotonic(), "upgrade"))
        self.weir.send_signal(signal.SIGUSR2)
        try:
            wait_until(lambda: self.supervisor() not in (None, before), 10, "another supervisor")
        except AssertionError as e:
            self.broken.append(f"after SIGUSR2: {e}")
            return
        self.weir.heir = self.supervisor()
        self.done["upgrades"] += 1
        if self.serving() != str(self.generation):
            self.broken.append(f"after the upgrade {self.serving()} is served")
        self.resumes(session, "the upgrade")

    def supervisor(self):
        try:
            return self.weir.status()["supervisor"]["pid"]
        except (OSError, Closed):
            return None

    # -- the run

    def one(self):
        dice = self.rand.random()
        if dice < 0.12:
            self.reload_bad()
        elif dice < 0.2:
            self.rotate()
        else:
            self.reload_good()

    def run(self, seconds):
        began = next_cert = time.monotonic()
        self.tls = client_context(self.pairs.ca)
        next_reload, next_death = began + 3, began + 6
        next_kill, upgrade_at = began + seconds * KILLS_FROM, began + seconds * UPGRADE_AT
        while (now := time.monotonic()) < began + seconds:
            self.resurrect()
            if now >= upgrade_at:
                self.upgrade()
                upgrade_at = began + 2 * seconds
            elif now >= next_kill:
                self.kill()
                next_kill = time.monotonic() + KILL_EACH_S
            elif now >= next_death and not self.returns:
                self.death()
                next_death = now + DEATH_EACH_S
            elif now >= next_cert + CERT_EACH_S:
                self.spoil() if self.done["certs"] // 2 > self.done["bad_certs"] else self.exchange()
                next_cert = time.monotonic()
            elif now >= next_reload:
                self.one()
                next_reload = now + RELOAD_EACH_S
            time.sleep(0.05)
        self.resurrect(True)
