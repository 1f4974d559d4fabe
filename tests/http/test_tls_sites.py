# SPDX-License-Identifier: Apache-2.0
"""Several sites on one listener: which certificate a name gets, client certificates, and that nobody
gets into a guarded site by another one's handshake or session."""
import shutil
import ssl

import pytest

from kit import Closed, Pki, TlsClient, Weir, client_context, wait_until

CONFIG = """workers 1
listen @listen@
listen @tls@ tls
admin @admin@
log access json to=@dir@/access.log
site open.test {
    tls cert=@pki@/open.test.crt key=@pki@/open.test.key
    respond 200 "open $tls_resumed"
}
site *.wild.test {
    tls cert=@pki@/wild.crt key=@pki@/wild.key
    respond 200 wild
}
site guarded.test {
    tls cert=@pki@/guarded.test.crt key=@pki@/guarded.test.key
    tls client=@client@ ca=@pki@/ca.crt
    respond 200 "$client_cert_subject|$client_cert_san|$client_cert_serial|$client_cert_fingerprint|$tls_resumed"
}
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    for name in ("open.test", "guarded.test"):
        p.cert(name)
    p.cert("wild", "*.wild.test")
    p.alice = p.cert("alice", "alice.test", cn="Alice")
    p.mallory = Pki(p.folder / "mallory").cert("alice", "alice.test", cn="Alice")
    return p


@pytest.fixture(scope="module")
def weir(pki):
    with Weir(CONFIG, pki=pki.folder, client="required") as w:
        yield w


def ask(w, pki, sni, host=None, cert=None, session=None, tls12=False, verify=True):
    ctx = client_context(pki.ca.crt, cert, tls12=tls12, verify=verify)
    with TlsClient(w.tls_port, ctx, sni=sni, session=session) as c:
        return c.get(host=host or sni)


def refused(w, pki, sni, host=None, cert=None, tls12=False):
    """Is the client kept out? In TLS 1.3 it learns so with its first read."""
    with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
        ask(w, pki, sni, host, cert, tls12=tls12)
    return True


def test_each_name_gets_its_certificate(weir, pki):
    assert ask(weir, pki, "open.test").text.startswith("open")
    assert ask(weir, pki, "a.wild.test").text == "wild"  # the client has verified the name
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(weir, pki, "unknown.test")


def test_an_unknown_host_is_misdirected(weir, pki):
    r = ask(weir, pki, "unknown.test", verify=False)
    assert r.status == 421


def test_no_name_at_all(weir, pki):
    r = ask(weir, pki, None, host="open.test", verify=False)
    assert r.status == 200


def test_names_of_the_same_policy_share_a_connection(weir, pki):
    assert ask(weir, pki, "open.test", host="x.wild.test").text == "wild"


# ---- client certificates ----

@pytest.mark.parametrize("tls12", [False, True])
def test_a_guarded_site_lets_in_who_has_a_certificate(weir, pki, tls12):
    r = ask(weir, pki, "guarded.test", cert=pki.alice, tls12=tls12)
    subject, san, serial, fingerprint, _ = r.text.split("|")
    assert subject == "CN=Alice"
    assert "alice.test" in san
    assert serial.lower().lstrip("0") == pki.alice.serial().lower().lstrip("0")
    assert fingerprint.lower().replace(":", "") == pki.alice.fingerprint()
    assert any(line.get("client_cert") == "CN=Alice" for line in weir.access())


@pytest.mark.parametrize("tls12", [False, True])
def test_a_guarded_site_refuses_others(weir, pki, tls12):
    assert refused(weir, pki, "guarded.test", tls12=tls12)
    assert refused(weir, pki, "guarded.test", cert=pki.mallory, tls12=tls12)


def test_another_sites_handshake_does_not_lead_in(weir, pki):
    for sni, cert in (("open.test", None), ("open.test", pki.alice), ("a.wild.test", None)):
        r = ask(weir, pki, sni, host="guarded.test", cert=cert)
        assert r.status == 421, (sni, r.text)
    assert ask(weir, pki, None, host="guarded.test", verify=False).status == 421
    assert ask(weir, pki, "unknown.test", host="guarded.test", verify=False).status == 421


def test_hosts_in_disguise_do_not_lead_in(weir, pki):
    ctx = client_context(pki.ca.crt)
    for host in ("GUARDED.test", "guarded.test.", "guarded.test:443"):
        with TlsClient(weir.tls_port, ctx, sni="open.test") as c:
            assert c.get(host=host).status in (400, 421), host
    with TlsClient(weir.tls_port, ctx, sni="open.test") as c:
        c.send(b"GET https://guarded.test/ HTTP/1.1\r\nHost: guarded.test\r\n\r\n")
        assert c.response().status == 421
    with TlsClient(weir.tls_port, ctx, sni="open.test") as c:  # the second request of a connection
        assert c.get(host="open.test").status == 200
        assert c.get(host="guarded.test").status == 421


@pytest.mark.parametrize("tls12", [False, True])
def test_a_resumed_session_does_not_lead_in(weir, pki, tls12):
    """A session of the open site, offered with the guarded one's name."""
    ctx = client_context(pki.ca.crt, tls12=tls12, verify=False)
    with TlsClient(weir.tls_port, ctx, sni="open.test") as c:
        assert c.get(host="open.test").status == 200
        session = c.sock.session
    try:
        with TlsClient(weir.tls_port, ctx, sni="guarded.test", session=session) as c:
            r = c.get(host="guarded.test")
        assert r.status == 421
    except (ssl.SSLError, Closed, ConnectionError):
        pass


@pytest.mark.parametrize("tls12", [False, True])
def test_a_guarded_session_keeps_its_certificate(weir, pki, tls12):
    ctx = client_context(pki.ca.crt, pki.alice, tls12=tls12)
    with TlsClient(weir.tls_port, ctx, sni="guarded.test") as c:
        c.get(host="guarded.test")
        session = c.sock.session
    with TlsClient(weir.tls_port, ctx, sni="guarded.test", session=session) as c:
        text = c.get(host="guarded.test").text
        assert text.startswith("CN=Alice|")


def test_optional_certificates(pki):
    with Weir(CONFIG, pki=pki.folder, client="optional") as w:
        assert ask(w, pki, "guarded.test", cert=pki.alice).text.startswith("CN=Alice|")
        assert ask(w, pki, "guarded.test").text.startswith("|")
        assert refused(w, pki, "guarded.test", cert=pki.mallory)


def test_revoked_certificates(pki):
    bob = pki.cert("bob", "bob.test", cn="Bob")
    crl = pki.crl(bob)
    text = CONFIG.replace("ca=@pki@/ca.crt", "ca=@pki@/ca.crt crl=@crl@")
    with Weir(text, pki=pki.folder, client="required", crl=crl) as w:
        assert ask(w, pki, "guarded.test", cert=pki.alice).status == 200
        assert refused(w, pki, "guarded.test", cert=bob)


def test_a_policy_that_tightens_shuts_open_connections_out(pki):
    with Weir(CONFIG, pki=pki.folder, client="off") as w:
        ctx = client_context(pki.ca.crt)
        with TlsClient(w.tls_port, ctx, sni="guarded.test") as c:
            assert c.get(host="guarded.test").status == 200
            w.reload(CONFIG, client="required")
            assert c.get(host="guarded.test").status == 421


def test_a_guarded_site_is_never_plain(pki):
    """Neither by `redirect=off` nor by a name of its own can it be had without a certificate."""
    with Weir(CONFIG, pki=pki.folder, client="required") as w:
        assert w.get(host="guarded.test").status == 301
    for line in ("tls redirect=off", "listen @listen@"):
        text = CONFIG.replace("tls client=@client@", line + "\n    tls client=@client@")
        with Weir(text, pki=pki.folder, client="required", wait=False) as w:
            code = w.process.wait(10)
            assert code != 0 and "without TLS" in w.stderr
            w.stop(code=code)


# ---- folders ----

def test_a_folder_of_certificates(pki, tmp_path):
    for name in ("open.test", "guarded.test"):
        for end in ("crt", "key"):
            shutil.copy(pki.folder / f"{name}.{end}", tmp_path)
    text = ("listen @listen@\nlisten @tls@ tls\nadmin @admin@\ntls dir=@certs@\n"
            "site open.test { respond 200 one }\nsite guarded.test { respond 200 two }\n"
            "site late.test { respond 200 three }\n")
    with Weir(text, certs=tmp_path) as w:
        assert ask(w, pki, "open.test").text == "one"
        assert ask(w, pki, "guarded.test").text == "two"
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(w, pki, "late.test")  # the local CA's
        late = pki.cert("late.test")
        shutil.copy(late.key, tmp_path), shutil.copy(late.crt, tmp_path)

        def picked_up():
            try:
                return ask(w, pki, "late.test").text == "three"
            except ssl.SSLError:
                return False
        wait_until(picked_up, 15, "the new certificate")


def test_schemes_in_names(pki):
    text = ("listen @listen@\nlisten @tls@ tls\nadmin @admin@\n"
            "tls cert=@pki@/open.test.crt key=@pki@/open.test.key\n"
            "site http://open.test { respond 200 plain }\nsite https://open.test { respond 200 tls }\n")
    with Weir(text, pki=pki.folder) as w:
        assert w.get(host="open.test").text == "plain"
        assert ask(w, pki, "open.test").text == "tls"
