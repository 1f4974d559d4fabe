# SPDX-License-Identifier: Apache-2.0
"""TLS to servers: verification, names, client certificates, sessions."""
import pytest

from kit import CLOSE, Hold, Origin, Pki, Weir, answer, server_context, wait_until


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.local = p.cert("local", "127.0.0.1", "localhost")
    p.app = p.cert("app", "app.internal")
    p.weir = p.cert("weir", "weir.internal")
    p.old = p.cert("old", "127.0.0.1", days=-1)
    return p


def proxied(origin, pki, block="", scheme="https://", **kw):
    text = ("log error info\nsite * {\n proxy " + scheme + "@origin@ {\n eject off\n" + block + "\n }\n}")
    return Weir(text, origin=origin, pki=pki.folder, **kw)


CA = "tls ca=@pki@/ca.crt"


def test_a_server_that_verifies(pki):
    with Origin(tls=server_context(pki.local)) as o, proxied(o, pki, CA) as w:
        with w.client() as c:
            assert c.get().text == "ok"
            assert c.get().text == "ok"
        assert len(o.handshakes) == 1  # kept alive
        assert o.requests[0].get("X-Forwarded-Proto") == "http"
        assert w.metric("weir_tls_origin_handshakes_total") == 1


def test_unknown_authority(pki):
    with Origin(tls=server_context(pki.local)) as o, proxied(o, pki) as w:
        assert w.get().status == 502
        assert not o.requests
        line = w.last_access()
        assert line["error"] == "tls_verify"
        assert "issuer" in w.stderr or "self" in w.stderr
        assert "issuer" in str(w.status()["upstreams"][0]["servers"][0]["last_tls_error"])


@pytest.mark.parametrize("which,words", [("app", "127.0.0.1"), ("old", "expired")])
def test_wrong_name_and_expired(pki, which, words):
    with Origin(tls=server_context(getattr(pki, which))) as o, proxied(o, pki, CA) as w:
        assert w.get().status == 502
        assert not o.requests
        wait_until(lambda: words in w.stderr, 3, words)


def test_a_name_of_its_own_is_sent_and_verified(pki):
    with Origin(tls=server_context(pki.app)) as o, \
            proxied(o, pki, CA + " name=app.internal") as w:
        assert w.get().text == "ok"
        assert o.handshakes[0][0] == "app.internal"


def test_verify_off_is_possible_and_warned_of(pki):
    with Origin(tls=server_context(pki.old)) as o, proxied(o, pki, "tls verify=off") as w:
        assert w.get().text == "ok"
        assert "not verified" in w.stderr


def test_a_client_certificate(pki):
    with Origin(tls=server_context(pki.local, client_ca=pki.ca.crt)) as o:
        with proxied(o, pki, CA + " cert=@pki@/weir.crt key=@pki@/weir.key") as w:
            assert w.get().text == "ok"
            assert ("commonName", "weir") in [f[0] for f in o.handshakes[0][2]["subject"]]
        with proxied(o, pki, CA) as w:
            assert w.get().status == 502


def test_sessions_are_used_again(pki):
    with Origin(answer(headers=["Connection: close"]), tls=server_context(pki.local)) as o, \
            proxied(o, pki, CA) as w:
        for _ in range(4):
            assert w.get().text == "ok"
            wait_until(lambda: o.open == 0)
        assert [h[1] for h in o.handshakes].count(True) >= 2
        assert w.metric("weir_tls_origin_handshakes_resumed_total") >= 2


def test_a_server_without_tls(pki):
    with Origin(on_connect=[b"HTTP/1.1 400 Bad Request\r\n\r\n", CLOSE]) as o, proxied(o, pki, CA) as w:
        assert w.get().status == 502
        assert w.last_access()["error"].startswith("tls_")


def test_a_server_that_says_nothing(pki):
    hold = Hold()
    with Origin(on_connect=[hold]) as o, proxied(o, pki, CA + "\n timeout connect=300ms") as w:
        assert w.get().status == 504
        assert w.last_access()["error"] in ("connect_timeout", "tls_timeout")
        hold.release()


def test_large_bodies_both_ways(pki):
    body = bytes(range(256)) * 40000
    with Origin(lambda r: answer(r.body), tls=server_context(pki.local)) as o, \
            proxied(o, pki, CA) as w, w.client(timeout=30) as c:
        r = c.post("/", body)
        assert r.complete and r.body == body


def test_an_upstream_with_tls(pki):
    text = ("upstream app {\n server @origin@\n tls ca=@pki@/ca.crt\n}\nsite * { proxy app }")
    with Origin(tls=server_context(pki.local)) as o, Weir(text, origin=o, pki=pki.folder) as w:
        assert w.get().text == "ok"


def test_plain_and_tls_never_mix(pki):
    """The idle connections of the plain upstream are not used once it has become one with TLS."""
    plain = "upstream app {\n server @origin@\n}\nsite * { proxy app }"
    secure = plain.replace("@origin@\n", "@origin@\n tls ca=@pki@/ca.crt\n timeout connect=500ms\n")
    with Origin() as o, Weir(plain, origin=o, pki=pki.folder) as w:
        assert w.get().text == "ok"
        w.reload(secure)
        assert w.get().status in (502, 504)  # it does not speak TLS
        w.reload(plain)
        assert w.get().text == "ok"
