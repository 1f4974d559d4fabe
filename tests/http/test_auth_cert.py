# SPDX-License-Identifier: Apache-2.0
"""`auth cert`: who it is by the certificate of the handshake, and who only says so."""
import pytest

from kit import Pki, TlsClient, Weir, client_context, weir_cli

CONFIG = """workers 1
listen @listen@
listen @tls@ tls
admin @admin@
log access json to=@dir@/access.log
site guarded.test {
    tls cert=@pki@/guarded.test.crt key=@pki@/guarded.test.key
    tls client=optional ca=@pki@/ca.crt
    respond 200 "$user|$auth|${claim.cert.dns}|${claim.cert.subject}"
    auth @auth@
}
site open.test { respond 200 "${header.X-SSL-Client-S-DN}${header.x_client_cert}${header.Client-Cert}" }
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.cert("guarded.test")
    p.alice = p.cert("alice", "alice.test", cn="Alice")
    p.bob = p.cert("bob", "b1.test", "b2.test", cn="Bob")
    p.sly = p.cert("sly", "sly.test", cn="Sly, CN=Alice")
    return p


def start(pki, auth="cert"):
    return Weir(CONFIG, pki=pki.folder, auth=auth)


def ask(w, pki, cert=None, headers=()):
    with TlsClient(w.tls_port, client_context(pki.ca.crt, cert), sni="guarded.test") as c:
        return c.get(host="guarded.test", headers=list(headers))


def test_who_shows_a_certificate_gets_in(pki):
    with start(pki) as w:
        r = ask(w, pki, pki.alice)
        assert (r.status, r.text) == (200, "Alice|cert|alice.test|CN=Alice")
        assert ask(w, pki, pki.bob).text.startswith("Bob|cert|b1.test,b2.test|")
        assert ask(w, pki).status == 403


def test_resumed_sessions_are_the_same_person(pki):
    with start(pki) as w:
        ctx = client_context(pki.ca.crt, pki.alice, tls12=True)
        with TlsClient(w.tls_port, ctx, sni="guarded.test") as c:
            assert c.get(host="guarded.test").text.startswith("Alice|")
            session = c.sock.session
        with TlsClient(w.tls_port, ctx, sni="guarded.test", session=session) as c:
            assert c.get(host="guarded.test").text.startswith("Alice|")


def test_fields_are_no_certificate(pki):
    fields = ["X-SSL-Client-S-DN: CN=Alice", "x_client_cert: Alice", "Client-Cert: :YQ==:", "X-SSL-Client-Verify: SUCCESS"]
    with start(pki) as w:
        assert ask(w, pki, headers=fields).status == 403
        assert w.get(host="open.test", headers=fields).text == ""


def test_names_within_names(pki):
    with start(pki, "{ cert; require user == Alice }") as w:
        assert ask(w, pki, pki.alice).status == 200
        assert ask(w, pki, pki.sly).status == 403
        assert ask(w, pki, pki.bob).status == 403


@pytest.mark.parametrize("user,alice,bob", [
    ("dns", "alice.test", None), ("subject", "CN=Alice", "CN=Bob"), ("email", None, None), ("uri", None, None)])
def test_what_becomes_the_user(pki, user, alice, bob):
    with start(pki, f"cert user={user}") as w:
        for cert, name in (pki.alice, alice), (pki.bob, bob):
            r = ask(w, pki, cert)
            assert (r.text.split("|")[0] if r.status == 200 else None) == name


def test_fingerprint(pki):
    with start(pki, "cert user=fingerprint") as w:
        name = ask(w, pki, pki.alice).text.split("|")[0]
        assert len(name) == 64 and set(name) <= set("0123456789abcdef")


def test_plain_connections_have_none(pki):
    with start(pki) as w:
        assert w.get(host="guarded.test").status in (301, 308, 403, 421)


@pytest.mark.parametrize("tls,good", [("", False), ("tls client=off", False), ("tls client=optional ca=ca.crt", True)])
def test_a_site_that_asks_for_none_is_an_error(pki, tls, good):
    conf = pki.folder / "weir.conf"
    conf.write_text("listen 127.0.0.1:8443 tls\nsite guarded.test {\n tls cert=guarded.test.crt key=guarded.test.key\n"
                    f" {tls}\n respond 200 ok\n route /in {{ auth any {{ cert; require ip in 10.0.0.0/8 }} }}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert (done.returncode == 0) == good, done.stderr
    assert good or "no client is asked for a certificate here" in done.stderr
