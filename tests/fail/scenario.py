# SPDX-License-Identifier: Apache-2.0
"""What weir goes through while one call fails: start, requests with and without bodies, a body on disk, a
tunnel, a reload, a stop. Judges what clients saw and how weir ended.

A client may see a whole answer, a proper error answer, or an aborted connection. weir may refuse to start
with a text; once it runs it has to serve the next request whole and to stop with exit code 0. Only its
control plane may end the worker process, with "out of memory": that is by design (base/mem.h), and counted
apart; the supervisor starts another one, which has to serve."""
import os
import re
import signal
import tempfile
import time

from kit import CLOSE, Client, Origin, Pki, TlsClient, Weir, answer, client_context, free_port, \
    server_context, wait_until
from kit.client import Closed
from kit.weir import SANITIZER

WAIT_S = 15
SILENT_S = 3
DEATH = re.compile(r"worker process \d+ ended.*")
BODY = bytes(range(256)) * 400  # 100 KB, more than is kept in memory
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
ASK = (b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
CONFIG = """workers 1
listen @listen@
admin @admin@
log access json to=@dir@/access.log
upstream named { server localhost:@port@; }
site * {
    proxy @origin@
    route /spool { buffer on memory=16k }
    route /chat { proxy @echo@ }
    route /named { proxy named }
}
"""
RELOADED = CONFIG + """listen 127.0.0.1:@second@
site b.test { respond 200 "new" }
log error info to=@dir@/error.log
"""


TLS_CONFIG = """workers 1
listen @listen@ tls
admin @admin@
log access json to=@dir@/access.log
site a.test {
    tls cert=@pair@
    proxy @origin@
}
site guarded.test {
    tls cert=@pair@ client=optional ca=@ca@
    proxy https://@secure@ { tls ca=@ca@ name=a.test }
}
"""


class Broken(Exception):
    """A promise that was not kept."""


class Ended(Exception):
    """weir is not there any more."""


def _echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)
    return CLOSE


def _reply(request):
    return answer(b"%s %d " % (request.target.encode(), len(request.body)) + request.body)


class Servers:
    """The origins; one set serves any number of scenarios."""

    def __init__(self):
        self.plain = Origin(_reply)
        self.echo = Origin([SWITCH, _echo], early=True)
        self.pki = Pki(tempfile.mkdtemp())
        cert = self.pki.cert("a.test", "a.test", "guarded.test", "b.test")
        self.pair = self.pki.folder / "pair.pem"
        self.pair.write_text(cert.crt.read_text() + cert.key.read_text())
        self.secure = Origin(_reply, tls=server_context(cert))


class Scenario:
    config, reloaded, silent_s = CONFIG, RELOADED, SILENT_S

    def __init__(self, servers, env):
        self.seen = []     # what clients saw, a word a step
        self.weir = Weir(self.config, wait=False, env=env, origin=servers.plain, echo=servers.echo,
                         port=servers.plain.port, second=free_port(), **self.names(servers))

    def names(self, servers):
        return {}

    def client(self, port):
        return Client(port, timeout=WAIT_S)

    # -- one client

    def see(self, what):
        self.seen.append(what)
        return what

    def visit(self, talk, port=None):
        """talk(client) gives a Response and the body that is due with a 200."""
        try:
            with self.client(port or self.weir.port) as c:
                response, due = talk(c)
        except TimeoutError:
            raise Broken(f"no answer and no close within {WAIT_S} s") from None
        except (OSError, Closed):
            self.check_alive()
            return self.see("aborted")
        except AssertionError as e:
            raise Broken(f"malformed answer: {e}") from None
        if not response.complete:
            return self.see("aborted")
        if response.status >= 400:
            return self.see(str(response.status))
        if (response.status, response.body) != (200, due):
            raise Broken(f"wrong answer: {response.status} with {response.body[:80]!r}")
        return self.see("whole")

    def get(self, path, port=None):
        return self.visit(lambda c: (c.get(path), b"%s 0 " % path.encode()), port)

    def post(self, path):
        due = b"%s %d " % (path.encode(), len(BODY)) + BODY
        return self.visit(lambda c: (c.post(path, BODY), due))

    def tunnel_open(self):
        """The client of an open tunnel, or None when it was refused or broke."""
        c = None
        try:
            c = Client(self.weir.port, timeout=WAIT_S)
            c.send(ASK)
            r = c.head()
        except TimeoutError:
            raise Broken("no answer to an upgrade") from None
        except (OSError, Closed):
            self.check_alive()
            self.see("aborted")
            return None
        self.see(str(r.status))
        return c if r.status == 101 else None

    def tunnel_echo(self, c, data):
        try:
            if c.send(data) and c.take(len(data)) == data:
                self.see("echo")
                return
        except TimeoutError:
            raise Broken("a tunnel neither carries bytes nor breaks") from None
        except (OSError, Closed):
            pass
        self.check_alive()
        self.see("aborted")

    # -- weir

    def alive(self):
        return self.weir.process.poll() is None

    def check_alive(self):
        time.sleep(0.02)  # whoever closes our connection may be about to die
        if not self.alive():
            raise Ended

    def start(self):
        """Until it says that it serves, or has had the time to: the line may be what is lost. The
        listeners are open earlier, and a connection would be one more thing that happens to it."""
        until = time.monotonic() + self.silent_s
        wait_until(lambda: not self.alive() or "weir 0" in self.text() or
                   time.monotonic() > until, WAIT_S)
        if not self.alive():
            raise Ended

    def text(self):
        return self.weir.stderr_path.read_text(errors="replace")

    def installed(self):
        if "reload refused" in self.text():
            return "refused"
        if not self.alive():
            raise Ended
        try:
            config = self.weir.status()["config"]
            if DEATH.search(self.text()):
                return "restarted"
            return config["generation"] > 1 and not config["installing"] and "reloaded"
        except (OSError, Closed, AssertionError):
            return False
        except (KeyError, ValueError) as e:
            raise Broken(f"/status is not whole and says 200: {e!r}") from None

    def reload(self):
        self.weir.write(self.reloaded)
        os.kill(self.weir.pid, signal.SIGHUP)
        try:
            return self.see(wait_until(self.installed, WAIT_S, "the reload"))
        except AssertionError as e:
            raise Broken(str(e)) from None

    def play(self):
        """All steps; returns nothing when every promise was kept."""
        self.start()
        self.get("/first")
        self.post("/body")
        self.post("/spool")
        self.get("/named")
        tunnel = self.tunnel_open()
        if tunnel:
            self.tunnel_echo(tunnel, b"before the reload")
        if self.reload() == "reloaded":
            self.get("/second", self.weir.names["second"])
        if tunnel:
            self.tunnel_echo(tunnel, b"after the reload")
            tunnel.close()
        if self.get("/last") != "whole" and self.get("/last-of-all") != "whole":
            raise Broken(f"does not serve any more: {' '.join(self.seen)}")
        self.judge_deaths()

    def stop(self):
        self.weir.send_signal(signal.SIGTERM)
        try:
            code = self.weir.process.wait(WAIT_S + 4)
        except Exception:
            raise Broken("does not stop") from None
        if code != 0:
            raise Broken(f"exit code {code} after a stop")

    # -- the end

    def judge_deaths(self):
        """The supervisor hides a worker process that ended from clients, but not from us."""
        death = DEATH.search(self.text())
        if not death:
            return
        if "out of memory" not in self.text() or "killed by" in death.group():
            raise Broken(death.group())
        self.see("ended:memory")

    def judge_end(self, code):
        """weir ended by itself, at the start or later: did it say why?"""
        text = self.text()
        if code < 0:
            raise Broken(f"died of {signal.Signals(-code).name}")
        if "out of memory" in text:
            return self.see("ended:memory")
        if code == 0 or not re.search(r"weir: .|error: .| error .", text):
            raise Broken(f"ended with exit code {code} and no reason: {text[-300:]!r}")
        if self.seen:
            raise Broken(f"ended with exit code {code} while it served: {text[-300:]!r}")
        return self.see("refused:start")

    def check_reports(self):
        """What a start that failed leaves to the kernel is no leak."""
        text = self.text()
        if not self.seen and "LeakSanitizer" in text and "ERROR: Addr" not in text:
            return
        for word in SANITIZER:
            if word in text:
                at = text.index(word)
                raise Broken(f"{word}: {text[max(0, at - 100):at + 1800]}")

    def run(self):
        """None, or the promise that was broken."""
        try:
            try:
                self.play()
                self.stop()
                self.check_reports()
            except Ended:
                self.check_reports()
                self.judge_end(self.weir.process.wait())
            return None
        except Broken as e:
            try:
                self.check_reports()
            except Broken as report:
                return str(report)
            return str(e)
        finally:
            self.last_text = self.text()
            self.weir.kill()


class TlsScenario(Scenario):
    """The same over TLS: handshakes, a session that goes on, bodies, a server behind TLS, a reload."""
    config, silent_s = TLS_CONFIG, 3 * SILENT_S  # many more calls are counted
    reloaded = TLS_CONFIG + 'site b.test { tls cert=@pair@ min=1.3\n respond 200 "new" }\n'

    def names(self, servers):
        self.context, self.session, self.host = client_context(servers.pki.ca.crt), None, "a.test"
        return {"pair": servers.pair, "ca": servers.pki.ca.crt, "secure": servers.secure}

    def client(self, port):
        return TlsClient(port, self.context, self.host, self.session, timeout=WAIT_S)

    def get(self, path, port=None):
        def talk(c):
            answer_ = c.get(path, self.host)
            self.session = c.sock.session
            return answer_, b"%s 0 " % path.encode()
        return self.visit(talk, port)

    def post(self, path):
        due = b"%s %d " % (path.encode(), len(BODY)) + BODY
        return self.visit(lambda c: (c.post(path, BODY, self.host), due))

    def guarded(self, path):
        self.host, session, self.session = "guarded.test", self.session, None
        self.get(path)
        self.host, self.session = "a.test", session

    def play(self):
        self.start()
        self.get("/first")
        self.get("/resumed")
        self.post("/body")
        self.guarded("/secure")
        self.guarded("/secure-again")
        self.reload()
        if self.get("/last") != "whole" and self.get("/last-of-all") != "whole":
            raise Broken(f"does not serve any more: {' '.join(self.seen)}")
        self.judge_deaths()
