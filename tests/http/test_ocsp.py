# SPDX-License-Identifier: Apache-2.0
"""OCSP stapling against openssl's own responder: what clients see, logs and metrics when it fails."""
import datetime
import socket
import subprocess

import pytest

from kit import Pki, Weir, free_port, wait_until
from kit.tools import die_with_parent, run, stop

CONFIG = """workers 1
listen @listen@
listen @tls@ tls
admin @admin@
site a.test {
    tls cert=@crt@ key=@key@
    respond 200 "hello"
}
"""


class Responder:
    """`openssl ocsp` for one certificate. `state`: V (valid) or R (revoked)."""

    def __init__(self, pki, port):
        self.pki, self.port, self.process = pki, port, None

    def start(self, cert, state="V"):
        time = lambda days: (datetime.datetime.utcnow() + datetime.timedelta(days)).strftime("%y%m%d%H%M%SZ")
        revoked = time(-1) if state == "R" else ""
        index = self.pki.folder / "ocsp-index.txt"
        index.write_text(f"{state}\t{time(9)}\t{revoked}\t{cert.serial()}\tunknown\t/CN={cert.name}\n")
        ca = self.pki.ca
        self.process = subprocess.Popen(
            ["openssl", "ocsp", "-port", str(self.port), "-index", index, "-CA", ca.crt, "-rsigner", ca.crt,
             "-rkey", ca.key, "-ndays", "4"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        wait_until(self.listens, what="the responder")

    def listens(self):
        """By its port being taken: a connection would be a question to it."""
        with socket.socket() as s:
            try:
                s.bind(("", self.port))
                return False
            except OSError:
                return True

    def stop(self):
        if self.process:
            stop(self.process)


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path / "pki")


@pytest.fixture
def responder(pki):
    r = Responder(pki, free_port())
    yield r
    r.stop()


def signed(pki, responder, name="a.test", **kw):
    cert = pki.cert(name, ocsp=f"http://127.0.0.1:{responder.port}", **kw)
    cert.crt.write_text(cert.crt.read_text() + pki.ca.crt.read_text())
    return cert


def staple(w, pki):
    """What openssl says of the staple of a handshake."""
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{w.tls_port}", "-servername", "a.test", "-status",
               "-CAfile", pki.ca.crt)
    return done.stdout


def test_a_staple_is_fetched_and_shown(pki, responder):
    cert = signed(pki, responder, must_staple=True)
    responder.start(cert)
    with Weir(CONFIG, crt=cert.crt, key=cert.key) as w:
        wait_until(lambda: w.metric("weir_ocsp_fetches_total") == 1, what="a question")
        wait_until(lambda: w.metric("weir_ocsp_missing") == 0, what="a staple")
        text = staple(w, pki)
        assert "OCSP Response Status: successful" in text and "Cert Status: good" in text
        assert w.metric("weir_ocsp_fetches_total") == 1 and w.metric("weir_ocsp_errors_total") == 0
        w.reload()
        assert "Cert Status: good" in staple(w, pki)  # kept, not asked for again
        assert w.metric("weir_ocsp_fetches_total") == 1


def test_without_an_answer_it_is_told(pki, responder):
    cert = signed(pki, responder, must_staple=True)
    with Weir(CONFIG, crt=cert.crt, key=cert.key) as w:
        w.wait_stderr("the responder cannot be reached; the certificate demands one (must-staple)")
        assert "OCSP response: no response sent" in staple(w, pki)
        assert w.metric("weir_ocsp_missing") == 1 and w.metric("weir_ocsp_errors_total") == 1


def test_a_revoked_certificate_is_told(pki, responder):
    cert = signed(pki, responder)
    responder.start(cert, "R")
    with Weir(CONFIG, crt=cert.crt, key=cert.key) as w:
        w.wait_stderr("the certificate is revoked")
        assert "no response sent" in staple(w, pki)
        assert w.metric("weir_ocsp_missing") == 0  # it demands none


def test_certificates_without_a_responder_ask_nobody(pki):
    cert = pki.cert("a.test")
    with Weir(CONFIG, crt=cert.crt, key=cert.key) as w:
        assert "no response sent" in staple(w, pki)
        assert w.metric("weir_ocsp_fetches_total") == 0


def test_stopping_while_asking(pki):
    """A responder that never answers holds nothing up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        cert = pki.cert("a.test", ocsp=f"http://127.0.0.1:{port}")
        cert.crt.write_text(cert.crt.read_text() + pki.ca.crt.read_text())
        with Weir(CONFIG, crt=cert.crt, key=cert.key) as w:
            silent.settimeout(5)
            connection, _ = silent.accept()
            w.stop(seconds=5)
            connection.close()
