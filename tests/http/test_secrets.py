# SPDX-License-Identifier: Apache-2.0
"""What nobody may see of a configuration: in /config, in explain, in messages, in logs and in core files."""
import os
import re
import resource
import signal

import pytest

from kit import Pki, answer, wait_until, weir_cli
from kit.tools import run
from kit.weir import has_ended, sanitized

PLANTED = "planted-secret-1234567890"
SITES = """
define guarded HOST KEY {
    site ${HOST} {
        proxy @origin@ { sticky cookie secret=${KEY} }
        request set X-Key "${file:@token@}"
    }
}
use guarded a.test planted-secret-1234567890
site b.test { proxy @origin@ { sticky cookie secret="planted-secret-1234567890" } }
site c.test { request set Authorization "Basic planted-secret-1234567890"; proxy @origin@ }
"""


def start(weir, origin, tmp_path):
    token = tmp_path / "token"
    token.write_text(PLANTED + "-of-a-file\n")
    return weir(SITES, origin=origin(answer("ok")), token=token)


def test_no_page_no_log_and_no_explanation_shows_a_secret(weir, origin, tmp_path):
    w = start(weir, origin, tmp_path)
    config = w.admin("/config").text
    assert "sticky cookie secret=***" in config and "use guarded a.test ***" in config
    assert "set Authorization ***" in config
    told = [config, w.admin("/status").text, w.admin("/metrics").text]
    for host in ("a.test", "b.test", "c.test"):
        assert w.get("/", host).status == 200
        done = weir_cli("explain", "-c", w.config, f"http://{host}:{w.port}/")
        assert done.returncode == 0, done.stderr
        assert host not in ("a.test", "c.test") or "***" in done.stdout, done.stdout
        told += [done.stdout, done.stderr]
    w.access(3)
    told += [w.stderr, w.stdout, "\n".join(w.log_lines())]
    for text in told:
        assert PLANTED not in text, text


def test_a_mistake_in_its_line_does_not_show_a_secret(weir, origin, tmp_path):
    w = start(weir, origin, tmp_path)
    good = w.config.read_text()
    for bad in ("site d.test { proxy @origin@ { sticky cookie sekret=1 secret=planted-secret-1234567890 } }",
                "site d.test { proxy @origin@ { sticky cookie secret=1 secret=planted-secret-1234567890 } }",
                "site d.test { proxi @origin@ { sticky cookie secret=planted-secret-1234567890 } }",
                "site d.test { sticky cookie secret=planted-secret-1234567890 }"):
        w.config.write_text(good + w.expand("@listen@" + bad).removeprefix(w.names["listen"]) + "\n")
        done = weir_cli("check", "-c", w.config)
        assert done.returncode != 0
        assert PLANTED not in done.stdout + done.stderr, done.stderr
        assert "secret=***" in done.stderr, done.stderr
        before = len(w.stderr)
        w.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload refused" in w.stderr[before:], 5, "the refusal")
    assert PLANTED not in w.stderr


# -- core files

def private_number(path):
    """The secret of a key on a curve, as its 32 bytes."""
    told = run("openssl", "pkey", "-in", path, "-noout", "-text").stdout
    digits = re.search(r"priv:\s*((?:[0-9a-f]{2}[:\s]*)+)", told)[1]
    return bytes.fromhex(re.sub(r"[:\s]", "", digits)).lstrip(b"\0")


def crash(w):
    """The core file of its worker process."""
    pid = w.worker_pid
    os.kill(pid, signal.SIGSEGV)
    wait_until(lambda: has_ended(pid), 20, "the end of the worker")
    found = [p for p in w.dir.iterdir() if p.name.startswith("core")]
    assert len(found) == 1, found
    return found[0].read_bytes()


@pytest.fixture
def cores():
    """Core files are written to where the process is, and may be as large as they like."""
    if open("/proc/sys/kernel/core_pattern").read().strip() not in ("core", "core.%p"):
        pytest.skip("core files go elsewhere here")
    if sanitized():
        pytest.skip("a sanitizer's memory makes a core file of terabytes")
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("no core files here")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def test_a_core_file_holds_neither_keys_nor_secrets(weir, origin, tmp_path, cores):
    cert = Pki(tmp_path).cert("a.test")
    w = weir("core_dumps on\nworkers 1\nlisten @listen@\nlisten @tls@ tls\nadmin @admin@\n"
             f"site a.test {{\n tls cert={cert.crt} key={cert.key}\n proxy @o@ {{ sticky cookie secret={PLANTED} }}\n"
             ' response set X-Marker "this-stands-in-every-core-file"\n}\n', o=origin(answer("ok")))
    for _ in range(3):
        assert w.get("/").status == 200
        done = run("curl", "-sk", "--resolve", f"a.test:{w.tls_port}:127.0.0.1", f"https://a.test:{w.tls_port}/")
        assert done.stdout == "ok", done.stderr
    number = private_number(cert.key)
    core = crash(w)
    assert b"this-stands-in-every-core-file" in core, "not the core file of this process"
    assert number not in core and number[::-1] not in core
    assert PLANTED.encode() not in core
    for line in open(cert.key).read().split("\n")[1:-2]:
        assert line.encode() not in core, "the text of the key"


def test_there_is_no_core_file_unless_asked_for(weir, cores):
    w = weir("site * { respond 200 ok }\n")
    pid = w.worker_pid
    os.kill(pid, signal.SIGSEGV)
    wait_until(lambda: has_ended(pid), 20, "the end of the worker")
    assert not [p for p in w.dir.iterdir() if p.name.startswith("core")]
