# SPDX-License-Identifier: Apache-2.0
"""TLS to clients: certificates, versions, hostile peers, reloads, tickets."""
import os
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest

from kit import BINARY, Client, Pki, TlsClient, Weir, client_context, wait_until
from kit.tools import need, run

CONFIG = """workers 1
listen @listen@
listen @tls@ tls
admin @admin@
log access json to=@dir@/access.log
site a.test {
    tls cert=@crt@ key=@key@
    respond 200 "$scheme $tls_version $tls_sni $tls_resumed"
}
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def cert(pki):
    return pki.cert("a.test")


def start(cert, text=CONFIG, **kw):
    return Weir(text, crt=cert.crt, key=cert.key, **kw)


def test_serves_over_tls(pki, cert):
    with start(cert) as w, TlsClient(w.tls_port, client_context(pki.ca.crt)) as c:
        assert c.sock.version() == "TLSv1.3"
        assert c.sock.selected_alpn_protocol() == "http/1.1"
        assert c.get().text == "https TLSv1.3 a.test no"
        assert c.get().text == "https TLSv1.3 a.test no"  # the same connection
        log = w.last_access(2)
        assert log["scheme"] == "https" and log["tls"] == "TLSv1.3" and log["resumed"] == "no"


def test_tls12_is_spoken_too(pki, cert):
    ctx = client_context(pki.ca.crt, tls12=True)
    with start(cert) as w, TlsClient(w.tls_port, ctx) as c:
        assert c.get().text == "https TLSv1.2 a.test no"


def test_modern_profile_refuses_tls12(pki, cert):
    text = CONFIG.replace("key=@key@", "key=@key@ profile=modern")
    with start(cert, text) as w:
        with pytest.raises(ssl.SSLError):
            TlsClient(w.tls_port, client_context(pki.ca.crt, tls12=True))
        with TlsClient(w.tls_port, client_context(pki.ca.crt)) as c:
            assert c.get().status == 200


def test_rsa_and_ecdsa_for_one_name(pki, cert):
    rsa = pki.cert("a.test-rsa", "a.test", rsa=True)
    text = CONFIG.replace("respond", "tls cert=@crt2@ key=@key2@\n    respond", 1)
    with start(cert, text, crt2=rsa.crt, key2=rsa.key) as w:
        for ciphers, kind in (("ECDHE-RSA-AES128-GCM-SHA256", rsa), ("ECDHE-ECDSA-AES128-GCM-SHA256", cert)):
            ctx = client_context(pki.ca.crt, tls12=True)
            ctx.set_ciphers(ciphers)
            with TlsClient(w.tls_port, ctx) as c:
                shown = ssl.DER_cert_to_PEM_cert(c.sock.getpeercert(True))
                assert shown.split() == kind.crt.read_text().split(), kind.name


def test_plain_http_is_sent_to_https(cert):
    with start(cert, CONFIG.replace("key=@key@", "key=@key@ redirect=on")) as w:
        r = w.get("/x?y=1")
        assert r.status == 301
        assert r.get("Location") == f"https://a.test:{w.tls_port}/x?y=1"
        with w.client() as c:
            assert c.post("/form", b"abc").status == 308


def test_plain_http_of_a_site_without_a_certificate_of_its_own(cert):
    with start(cert, CONFIG.replace("tls cert=@crt@ key=@key@", "")) as w:
        assert w.get().status == 301


def test_plain_http_is_served_where_it_was_asked_for(cert):
    for config in (CONFIG, CONFIG.replace("tls cert=@crt@ key=@key@", "tls redirect=off")):
        with start(cert, config) as w:
            assert w.get().text.startswith("http ")


def test_a_local_ca_steps_in(cert):
    text = CONFIG.replace("tls cert=@crt@ key=@key@", "hsts")
    with start(cert, text) as w:
        ca = w.dir / "ca" / "ca.crt"
        with TlsClient(w.tls_port, client_context(ca)) as c:
            r = c.get()
            assert r.status == 200 and r.get("Strict-Transport-Security") == "max-age=31536000"
        shown = ssl.get_server_certificate(("127.0.0.1", w.tls_port))
        w.reload()
        assert ssl.get_server_certificate(("127.0.0.1", w.tls_port)) == shown
        os.kill(w.worker_pid, signal.SIGKILL)
        wait_until(lambda: w.answers(), 10)
        assert ssl.get_server_certificate(("127.0.0.1", w.tls_port)) == shown


def test_localhost_has_a_certificate_without_a_name(cert):
    text = CONFIG.replace("site a.test", "site *").replace("tls cert=@crt@ key=@key@", "")
    with start(cert, text) as w, \
            TlsClient(w.tls_port, client_context(w.dir / "ca" / "ca.crt"), sni="localhost") as c:
        assert c.get(host="localhost").status == 200


# ---- hostile peers ----

def test_plain_http_to_a_tls_port(cert):
    with start(cert) as w:
        with Client(w.tls_port) as c:
            r = c.get("/")
            assert r.status == 400 and "https" in r.text.lower()


@pytest.mark.parametrize("bytes_", [b"\x00" * 200, b"\x16\x03\x01\xff\xff" + b"\x01" * 500,
                                    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", b"SSH-2.0-x\r\n",
                                    b"\x80\x2e\x01\x00\x02" + b"\x00" * 60])
def test_garbage_is_dropped(pki, cert, bytes_):
    with start(cert) as w:
        with Client(w.tls_port) as c:
            c.send(bytes_)
            c.half_close()
            c.rest()
        with TlsClient(w.tls_port, client_context(pki.ca.crt)) as c:
            assert c.get().status == 200
        assert w.metric("weir_tls_handshakes_failed_total") >= 1


def test_stalled_handshakes_delay_nobody(pki, cert):
    with start(cert) as w:
        hello = _client_hello()
        stalled = [Client(w.tls_port) for _ in range(50)]
        for i, c in enumerate(stalled):
            c.send(hello[:len(hello) // 2] if i % 2 else b"")
        began = time.monotonic()
        with TlsClient(w.tls_port, client_context(pki.ca.crt)) as c:
            assert c.get().status == 200
        assert time.monotonic() - began < 2
        w.stop()  # does not wait for them until their time is over
        for c in stalled:
            c.close()


def _client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = client_context().wrap_bio(incoming, outgoing, server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        t.do_handshake()
    return outgoing.read()


def test_hello_byte_by_byte(cert):
    with start(cert) as w, Client(w.tls_port) as c:
        c.send_split(_client_hello(), 7)
        assert c.take(1) == b"\x16"


def test_a_client_that_leaves_in_the_middle(pki, cert):
    with start(cert) as w:
        for _ in range(20):
            with Client(w.tls_port) as c:
                c.send(_client_hello())
                c.take(5)
        with TlsClient(w.tls_port, client_context(pki.ca.crt)) as c:
            assert c.get().status == 200
        wait_until(lambda: w.metric("weir_tls_handshakes_open") == 0, 12, "no handshake open")


# ---- what is checked ----

def mistake(text, *words, **names):
    with Weir(text, wait=False, **names) as w:
        code = w.process.wait(10)
        assert code != 0
        for word in words:
            assert word in w.stderr, w.stderr
        w.stop(code=code)


def test_mistakes_are_told_in_place(pki, cert, tmp_path):
    other = pki.cert("b.test")
    old = pki.cert("old.test", days=-1)
    mistake(CONFIG, "weir.conf:7", "key", crt=cert.crt, key=other.key)
    mistake(CONFIG, "weir.conf:7", "expired", crt=old.crt, key=old.key)
    mistake(CONFIG, "weir.conf:7", "cannot read", crt="/nowhere.pem", key=cert.key)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    mistake(CONFIG, "weir.conf:7", crt=broken, key=cert.key)
    mistake(CONFIG.replace("key=@key@", "key=@key@ ciphers=NOSUCH"), "weir.conf:7", "ciphers",
            crt=cert.crt, key=cert.key)


# ---- reload ----

def test_reload_takes_a_new_certificate_and_keeps_connections(pki, tmp_path):
    for f in (pki.cert("a.test"),):
        shutil.copy(f.crt, tmp_path / "c.crt"), shutil.copy(f.key, tmp_path / "c.key")
    with Weir(CONFIG, crt=tmp_path / "c.crt", key=tmp_path / "c.key") as w:
        errors, stop = [], threading.Event()

        def load():
            with TlsClient(w.tls_port, client_context(pki.ca.crt)) as c:
                while not stop.is_set():
                    try:
                        if c.get().status != 200:
                            errors.append("status")
                    except Exception as e:  # any end of the connection is an error
                        errors.append(e)
                        return
        threads = [threading.Thread(target=load) for _ in range(4)]
        for t in threads:
            t.start()
        new = pki.cert("a.test")
        shutil.copy(new.crt, tmp_path / "c.crt"), shutil.copy(new.key, tmp_path / "c.key")
        w.reload()
        for _ in range(20):
            shown = ssl.get_server_certificate(("127.0.0.1", w.tls_port))
            assert shown.split() == new.crt.read_text().split()
        stop.set()
        for t in threads:
            t.join()
        assert not errors


def test_changed_files_are_picked_up(pki, tmp_path):
    old = pki.cert("a.test")
    crt, key = tmp_path / "c.crt", tmp_path / "c.key"
    shutil.copy(old.crt, crt), shutil.copy(old.key, key)
    with Weir(CONFIG, crt=crt, key=key) as w:
        def shown():
            return ssl.get_server_certificate(("127.0.0.1", w.tls_port)).split()
        assert shown() == old.crt.read_text().split()
        before = old.crt.read_text().split()
        new = pki.cert("a.test")
        crt.write_text(new.crt.read_text())  # a pair that does not fit: the old one stays
        wait_until(lambda: "reload refused" in w.stderr, 10, "a refused reload")
        assert shown() == before
        key.write_text(new.key.read_text())
        wait_until(lambda: shown() == new.crt.read_text().split(), 10, "the new certificate")


# ---- sessions ----

def resume(w, ctx, session=None, path="/"):
    """A request, and the session that came with its answer."""
    with TlsClient(w.tls_port, ctx, session=session) as c:
        text = c.get(path).text
        return text.rsplit(" ", 1)[1], c.sock.session


@pytest.mark.parametrize("tls12", [False, True])
def test_sessions_resume_over_reload_and_death(pki, cert, tls12):
    ctx = client_context(pki.ca.crt, tls12=tls12)
    with start(cert) as w:
        resumed, session = resume(w, ctx)
        assert resumed == "no"
        resumed, session = resume(w, ctx, session)
        assert resumed == "yes"
        w.reload()
        resumed, session = resume(w, ctx, session)
        assert resumed == "yes"
        os.kill(w.worker_pid, signal.SIGKILL)
        wait_until(lambda: w.answers(), 10)
        assert resume(w, ctx, session)[0] == "yes"


def test_sessions_resume_over_an_upgrade(pki, cert):
    ctx = client_context(pki.ca.crt)
    with start(cert) as w:
        _, session = resume(w, ctx)
        run(BINARY, "upgrade", "-c", w.config)
        wait_until(lambda: w.process.poll() is not None, 10, "the end of the old supervisor")
        try:
            assert resume(w, ctx, session)[0] == "yes"
        finally:
            run(BINARY, "stop", "-c", w.config)
        w.done = True


def test_a_handshake_outlives_its_listener(pki, cert):
    """Begun before a reload that takes the listener out, it ends as it would have."""
    with start(cert) as w, Client(w.tls_port) as c:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        t = client_context(pki.ca.crt).wrap_bio(incoming, outgoing, server_hostname="a.test")

        def run_until(step):
            while True:
                try:
                    done = step()
                    c.send(outgoing.read())
                    return done
                except ssl.SSLWantReadError:
                    c.send(outgoing.read())
                    assert c.fill()
                    incoming.write(c.buf)
                    c.buf = b""
        with pytest.raises(ssl.SSLWantReadError):
            t.do_handshake()
        hello = outgoing.read()
        c.send(hello[:100])
        time.sleep(0.1)
        w.reload("listen @listen@\nadmin @admin@\nsite a.test { respond 200 }\n")
        with pytest.raises(OSError):
            Client(w.tls_port)
        c.send(hello[100:])
        run_until(t.do_handshake)
        t.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert run_until(lambda: t.read(4096)).startswith(b"HTTP/1.1 200 ")


def test_keys_that_only_root_reads(pki, cert, tmp_path_factory):
    if os.getuid() != 0:
        pytest.skip("needs root")
    key = tmp_path_factory.mktemp("secret") / "a.key"
    key.write_bytes(cert.key.read_bytes())
    key.chmod(0o600)
    with Weir("user nobody\n" + CONFIG, crt=cert.crt, key=key) as w:
        with TlsClient(w.tls_port, client_context(pki.ca.crt)) as c:
            assert c.get().status == 200
        w.reload()
        os.kill(w.worker_pid, signal.SIGKILL)
        wait_until(lambda: w.answers(), 10)
        with TlsClient(w.tls_port, client_context(pki.ca.crt)) as c:
            assert c.get().status == 200


def test_openssl_and_curl(pki, cert):
    with start(cert) as w:
        out = run(need("openssl"), "s_client", "-connect", f"127.0.0.1:{w.tls_port}", "-servername",
                  "a.test", "-CAfile", pki.ca.crt, "-verify_return_error", "-brief")
        assert "Verification: OK" in out.stderr + out.stdout, out
        out = run(need("curl"), "-sS", "--cacert", pki.ca.crt, "--resolve",
                  f"a.test:{w.tls_port}:127.0.0.1", f"https://a.test:{w.tls_port}/")
        assert out.stdout.startswith("https "), out


def test_keys_are_never_told(cert):
    with start(cert) as w:
        key = cert.key.read_text().splitlines()[1]
        for page in ("/config", "/status", "/metrics"):
            assert key not in w.admin(page).text
        status = w.status()
        assert status["certificates"][0]["days_left"] in (89, 90)
        assert any(n.startswith("weir_certificate_expires_days{") for n in w.metrics())
