# SPDX-License-Identifier: Apache-2.0
"""`auth jwt`: tokens that let in, tokens that do not, and ways around."""
import json
import time

import pytest

from kit import wait_until, weir_cli
from kit.h2raw import H2Raw
from kit.tokens import Key, b64, jwks, secret

SECRET = "a-secret-of-more-than-thirty-two-bytes"
KEY = secret(SECRET)


def site(options="", more="", proxy="respond 200 \"$user|${claim.scope}|${claim.realm.roles}\""):
    return f"site * {{\n {proxy}\n auth {{ jwt {options}\n {more} }}\n}}\n"


def bearer(token, scheme="Bearer"):
    return [f"Authorization: {scheme} {token}"]


def by_secret(weir, options="", **kw):
    return weir(site(f"secret={SECRET} {options}", **kw))


@pytest.fixture(scope="module")
def rsa():
    return Key("RSA", kid="r1")


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
@pytest.mark.parametrize("form", ["jwks", "pem"])
def test_keys_of_a_file(weir, tmp_path, kind, form):
    key = Key(kind, kid="k1" if form == "jwks" else None)
    (tmp_path / "keys").write_text(jwks(key) if form == "jwks" else key.pem)
    w = weir(site(f"{tmp_path}/keys"))
    r = w.get("/", headers=bearer(key.token(scope="read")))
    assert (r.status, r.text) == (200, "ann|read|")
    other = Key(kind, kid=key.kid)
    assert w.get("/", headers=bearer(other.token())).status == 401
    assert w.get("/").status == 401


def test_what_a_client_is_told(weir):
    w = by_secret(weir, "realm=api")
    r = w.get("/")
    assert r.status == 401 and r.all("WWW-Authenticate") == ['Bearer realm="api"']
    r = w.get("/", headers=bearer(KEY.token(exp=1)))
    assert r.status == 401 and r.all("WWW-Authenticate") == [
        'Bearer realm="api", error="invalid_token", error_description="the token is expired"']
    assert w.get("/", headers=["Authorization: Basic YTpi"]).get("WWW-Authenticate") == 'Bearer realm="api"'


def test_claims_are_variables_and_conditions(weir):
    w = by_secret(weir, more="require claim.realm.roles == admin")
    r = w.get("/", headers=bearer(KEY.token(realm={"roles": ["user", "admin"]}, scope="a b")))
    assert (r.status, r.text) == (200, "ann|a b|user,admin")
    r = w.get("/", headers=bearer(KEY.token(realm={"roles": ["administrator"]})))
    assert r.status == 403 and not r.get("WWW-Authenticate")


def test_server_is_told_who_it_is(weir, origin):
    o = origin()
    w = by_secret(weir, "user_claim=email strip=on", more="header Remote-User $user", proxy=f"proxy {o.address}")
    assert w.get("/", headers=bearer(KEY.token(email="ann@a.example")) + ["Remote-User: root"]).status == 200
    headers = {n.lower(): v for n, v in o.requests[-1].headers}
    assert headers["remote-user"] == "ann@a.example" and "authorization" not in headers


def test_token_goes_on_unless_it_is_stripped(weir, origin):
    o = origin()
    w = by_secret(weir, proxy=f"proxy {o.address}")
    w.get("/", headers=bearer(KEY.token()))
    assert "authorization" in {n.lower() for n, _ in o.requests[-1].headers}


class In(int):
    """Seconds from the moment of the test: a run of all tests takes longer than some of these."""


RULES = [
    ("", {}, 200),
    ("", {"exp": None}, 401),
    ("expiry=off", {"exp": None}, 200),
    ("expiry=off", {"exp": In(-61)}, 401),
    ("leeway=0s", {"exp": In(-1)}, 401),
    ("leeway=1h", {"exp": In(-3000)}, 200),
    ("", {"nbf": In(1000)}, 401),
    ("", {"nbf": In(50)}, 200),
    ("", {"iat": In(1000)}, 401),
    ("max_age=10m", {"iat": In(-300)}, 200),
    ("max_age=10m", {"iat": In(-700)}, 401),
    ("max_age=10m", {}, 401),
    ("issuer=https://a.example", {"iss": "https://a.example"}, 200),
    ("issuer=https://a.example", {"iss": "https://a.example/"}, 401),
    ("issuer=https://a.example", {}, 401),
    ("issuer=a,b", {"iss": "b"}, 200),
    ("issuer=a,b", {"iss": "a,b"}, 401),
    ("audience=api", {"aud": ["web", "api"]}, 200),
    ("audience=api", {"aud": "api"}, 200),
    ("audience=api", {"aud": "web"}, 401),
    ("audience=api", {}, 401),
    ("claims=scope,realm.roles", {"scope": "", "realm": {"roles": ["a"]}}, 200),
    ("claims=scope,realm.roles", {"scope": ""}, 401),
    ("algorithms=HS256", {}, 200),
    ("algorithms=RS256,ES256", {}, 401),
    ("type=at+jwt", {}, 401),
]


@pytest.mark.parametrize("options,claims,status", RULES)
def test_rules(weir, options, claims, status):
    w = by_secret(weir, options)
    claims = {k: int(time.time()) + v if isinstance(v, In) else v for k, v in claims.items()}
    assert w.get("/", headers=bearer(KEY.token(claims))).status == status


def test_expired_at_the_limit(weir):
    w = by_secret(weir, "leeway=0s")
    token = KEY.token(exp=int(time.time()) + 2)
    assert w.get("/", headers=bearer(token)).status == 200
    time.sleep(2.2)
    assert w.get("/", headers=bearer(token)).status == 401


# --- ways around ---

def test_none_is_no_algorithm(weir, rsa, tmp_path):
    (tmp_path / "keys").write_text(jwks(rsa))
    w = weir(site(f"{tmp_path}/keys"))
    claims = json.dumps({"sub": "root", "exp": int(time.time()) + 1000}).encode()
    for alg in "none", "None", "NONE", "nOnE":
        head = json.dumps({"alg": alg, "kid": "r1"}).encode()
        for tail in "", b64(b"x"), rsa.token().split(".")[2]:
            assert w.get("/", headers=bearer(f"{b64(head)}.{b64(claims)}.{tail}")).status == 401
        assert w.get("/", headers=bearer(f"{b64(head)}.{b64(claims)}")).status == 401


def test_public_key_is_no_secret(weir, rsa, tmp_path):
    (tmp_path / "pem").write_text(rsa.pem)
    (tmp_path / "jwks").write_text(jwks(rsa))
    for name in "pem", "jwks":
        w = weir(site(f"{tmp_path}/{name}"))
        assert w.get("/", headers=bearer(rsa.token())).status == 200
        for text in rsa.pem, rsa.pem.strip(), rsa.pem.replace("\n", ""), jwks(rsa), rsa.jwk()["n"]:
            forged = secret(text)
            forged.kid = "r1"
            assert w.get("/", headers=bearer(forged.token(sub="root"))).status == 401


@pytest.mark.parametrize("kid", ["../../../dev/null", "/dev/null", "r1' OR '1'='1", "r1\0x", "r1 ", "R1", "", "x" * 300,
                                 "http://127.0.0.1:1/", "${env.HOME}", 7, None, ["r1"], {"r1": 1}])
def test_kid_is_only_a_name(weir, rsa, tmp_path, kid):
    (tmp_path / "keys").write_text(jwks(rsa))
    w = weir(site(f"{tmp_path}/keys"))
    for forger in secret(""), secret("\0" * 32), rsa:
        token = forger.token(header={"kid": kid, "alg": forger.alg})
        assert w.get("/", headers=bearer(token)).status == 401


def test_keys_in_the_header_are_not_used(weir, rsa, tmp_path, origin):
    o = origin()
    other = Key("RSA", kid="r1")
    (tmp_path / "keys").write_text(jwks(rsa))
    w = weir(site(f"{tmp_path}/keys"))
    der = "".join(other.pem.splitlines()[1:-1])
    for header in ({"jwk": other.jwk()}, {"jku": f"http://{o.address}/keys"}, {"x5u": f"http://{o.address}/x"},
                   {"x5c": [der]}, {"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}):
        assert w.get("/", headers=bearer(other.token(header=header))).status == 401
    assert not o.requests


def test_two_tokens_are_refused(weir):
    w = by_secret(weir, "header=Authorization cookie=t query=t")
    good, bad = KEY.token(), KEY.token(exp=1)
    assert w.get("/", headers=bearer(good)).status == 200
    assert w.get("/", headers=[f"Cookie: a=1; t={good}; b=2"]).status == 200
    assert w.get(f"/?a=1&t={good}").status == 200
    for headers, query in [
            (bearer(good) + bearer(bad), ""), (bearer(bad) + bearer(good), ""), (bearer(good) * 2, ""),
            (bearer(good) + ["Authorization: Basic YTpi"], ""), (["authorization: Basic YTpi"] + bearer(good), ""),
            (bearer(good) + [f"Cookie: t={bad}"], ""), ([f"Cookie: t={good}; t={bad}"], ""),
            ([f"Cookie: t={good}", f"Cookie: t={bad}"], ""), (bearer(good), f"?t={bad}"),
            ([], f"?t={good}&t={bad}"), ([], f"?t={good}&%74={bad}"), ([], f"?%74={bad}&t={good}")]:
        r = w.get("/" + query, headers=headers)
        assert r.status == 401, (headers, query)
        assert 'error="invalid_request"' in r.get("WWW-Authenticate")


def test_spelling_of_the_scheme(weir):
    w = by_secret(weir)
    token = KEY.token()
    for value, status in [("bearer " + token, 200), ("BEARER " + token, 200), ("Bearer   " + token, 200),
                          ("Bearer", 401), ("Bearer " + token + " x", 401), ("Bearer " + token + ",x", 401),
                          ("Bearer" + token, 401), ("Bearer\t" + token, 401), (token, 401),
                          ("Basic Bearer " + token, 401), ('Bearer "' + token + '"', 401),
                          ("Bearer " + token + "=", 401), ("Bearer " + token.replace(".", "%2e"), 401)]:
        assert w.get("/", headers=["Authorization: " + value]).status == status, value


def test_another_header(weir, origin):
    o = origin()
    w = by_secret(weir, "header=X-Token strip=on", proxy=f"proxy {o.address}")
    token = KEY.token()
    assert w.get("/", headers=[f"x-token: {token}"]).status == 200
    assert "x-token" not in {n.lower() for n, _ in o.requests[-1].headers}
    assert w.get("/", headers=[f"X-Token: Bearer {token}"]).status == 401
    assert w.get("/", headers=bearer(token)).status == 401


def test_cookie_and_parameter_are_stripped(weir, origin):
    o = origin()
    w = by_secret(weir, "cookie=t query=t strip=on", proxy=f"proxy {o.address}")
    token = KEY.token()
    for sent, left in [(f"a=1; t={token}; b=2", "a=1; b=2"), (f"t={token}", None), (f"t={token};b=2", "b=2")]:
        assert w.get("/x?y=1", headers=[f"Cookie: {sent}"]).status == 200
        assert dict((n.lower(), v) for n, v in o.requests[-1].headers).get("cookie") == left
        assert o.requests[-1].target == "/x?y=1"
    for sent, left in [(f"?a=1&t={token}&b=2", "?a=1&b=2"), (f"?t={token}", ""), (f"?a=1&t={token}", "?a=1")]:
        assert w.get("/x" + sent).status == 200
        assert o.requests[-1].target == "/x" + left


def test_http2_is_the_same(weir):
    w = by_secret(weir, "header=Authorization cookie=t")
    good, bad = KEY.token(), KEY.token(exp=1)
    with H2Raw(w.port) as c:
        assert c.get("/")[0] == 401
        assert c.get("/", 3, extra=[("authorization", "Bearer " + good)])[0] == 200
        assert c.get("/", 5, extra=[("authorization", "Bearer " + bad)])[0] == 401
        assert c.get("/", 7, extra=[("authorization", "Bearer " + good), ("authorization", "Bearer " + bad)])[0] == 401
        assert c.get("/", 9, extra=[("cookie", "a=1"), ("cookie", "t=" + good)])[0] == 200
        assert c.get("/", 11, extra=[("cookie", "t=" + good), ("cookie", "t=" + bad)])[0] == 401


def test_large_tokens(weir):
    w = by_secret(weir)
    assert w.get("/", headers=bearer(KEY.token(x="y" * 8000))).status == 200
    assert w.get("/", headers=bearer(KEY.token(x="y" * 14000))).status in (401, 431)
    assert w.get("/", headers=bearer("." * 9000)).status == 401


def test_several_sources(weir, rsa, tmp_path):
    ec = Key("P-256", kid="e1")
    (tmp_path / "a").write_text(jwks(rsa))
    (tmp_path / "b").write_text(ec.pem)
    w = weir(site(f"{tmp_path}/a {tmp_path}/b secret={SECRET}"))
    for key in rsa, ec, KEY:
        assert w.get("/", headers=bearer(key.token())).status == 200
    assert w.get("/", headers=bearer(Key("P-256", kid="e1").token())).status == 401


def test_any_lets_the_other_in(weir):
    w = weir(f"""site * {{ respond 200 "$user"
        auth any {{ jwt secret={SECRET}; require header.X-Door == open }} }}""")
    assert w.get("/", headers=["X-Door: open"]).status == 200
    assert w.get("/", headers=bearer(KEY.token())).text == "ann"
    r = w.get("/", headers=bearer(KEY.token(exp=1)))
    assert r.status == 403 or r.status == 401


def test_file_is_read_again(weir, tmp_path):
    old, new = Key("Ed25519", kid="1"), Key("Ed25519", kid="2")
    keys = tmp_path / "keys"
    keys.write_text(jwks(old))
    w = weir(site(str(keys)))
    assert w.get("/", headers=bearer(new.token())).status == 401
    keys.write_text(jwks(new))
    w.reload()
    assert w.get("/", headers=bearer(new.token())).status == 200
    assert w.get("/", headers=bearer(old.token())).status == 401


def test_log_and_metrics(weir):
    w = weir("workers 1\nlisten @listen@\nadmin @admin@\n"
             "log access \"$status $user $auth $auth_refusal\" to=@dir@/access.log\n" + site(f"secret={SECRET}"))
    w.get("/", headers=bearer(KEY.token()))
    w.get("/", headers=bearer(KEY.token(exp=1)))
    w.get("/", headers=bearer(KEY.token() + "x"))
    w.get("/")
    assert w.metric("weir_jwt_refused_total") == 2
    assert w.metric("weir_auth_granted_total") == 1 and w.metric("weir_auth_asked_total") == 1
    wait_until(lambda: len(w.log_lines()) == 4, 3, "the log")
    assert w.log_lines() == ["200 ann jwt -", "401 - - expired", "401 - - bad_signature", "401 - - -"]


BAD = [
    ("", "Keys are due"), ("secret=short", "must have 32"), ("@dir@/none", "none"), ("@dir@/junk", "no keys that can be used"),
    (f"secret={SECRET} algorithms=none", "no algorithm"), (f"secret={SECRET} algorithms=HS256,,RS256", "no list"),
    (f"secret={SECRET} header=a@b", "no name"), (f"secret={SECRET} realm='a\"b'", "realm"),
    (f"secret={SECRET} leeway=2h", "1h"), (f"secret={SECRET} isuer=x", "issuer"), ("@dir@/private", "private key"),
]


@pytest.mark.parametrize("options,words", BAD)
def test_mistakes_are_told(tmp_path, rsa, options, words):
    (tmp_path / "junk").write_text("{}")
    (tmp_path / "private").write_text(rsa.path.read_text())
    conf = tmp_path / "weir.conf"
    conf.write_text(site(options.replace("@dir@", str(tmp_path))))
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and words in done.stderr + done.stdout
    assert SECRET not in done.stderr + done.stdout


def test_explain_shows_no_secret(weir):
    w = by_secret(weir)
    done = weir_cli("explain", "-c", w.config, "http://a.test/")
    assert "auth" in done.stdout and "jwt" in done.stdout and SECRET not in done.stdout
    assert SECRET not in w.admin("/config").text


# --- keys of a URL ---

class Issuer:
    """Publishes keys, which may change; counts who asks."""

    def __init__(self, origin, *keys, headers=""):
        self.keys, self.headers, self.status = keys, headers, 200
        self.origin = origin(self.answer)

    def answer(self, request):
        body = jwks(*self.keys).encode()
        return [f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\n{self.headers}\r\n".encode() + body]

    @property
    def asked(self):
        return len(self.origin.requests)

    def url(self, path="/keys"):
        return f"http://{self.origin.address}{path}"


def test_keys_are_fetched_once(weir, origin):
    key = Key("P-256", kid="1")
    issuer = Issuer(origin, key)
    w = weir(site(issuer.url("/a/keys?x=1")))
    assert w.get("/").status == 401 and issuer.asked == 0
    for _ in range(3):
        r = w.get("/", headers=bearer(key.token()))
        assert (r.status, r.text) == (200, "ann||")
    assert w.get("/", headers=bearer(key.token(exp=1))).status == 401
    assert [r.target for r in issuer.origin.requests] == ["/a/keys?x=1"]
    w.reload()
    assert w.get("/", headers=bearer(key.token())).status == 200
    assert issuer.asked == 1


def test_unknown_key_fetches_now_and_then(weir, origin):
    old, new = Key("P-256", kid="1"), Key("P-256", kid="2")
    issuer = Issuer(origin, old)
    w = weir(site(issuer.url()))
    assert w.get("/", headers=bearer(old.token())).status == 200
    issuer.keys = old, new
    for _ in range(3):
        assert w.get("/", headers=bearer(new.token())).status == 401
    assert issuer.asked == 1  # less than 10 s ago
    time.sleep(10.2)
    assert w.get("/", headers=bearer(new.token())).status == 200
    assert issuer.asked == 2
    for _ in range(3):
        assert w.get("/", headers=bearer(Key("P-256", kid="3").token())).status == 401
    assert issuer.asked == 2
    assert w.get("/", headers=bearer(old.token())).status == 200


def test_issuer_that_is_down(weir, origin):
    key = Key("P-256", kid="1")
    issuer = Issuer(origin, key)
    issuer.status = 500
    w = weir(site(issuer.url()))
    for _ in range(3):
        r = w.get("/", headers=bearer(key.token()))
        assert r.status == 503
    assert issuer.asked == 1  # a failure is remembered for a while
    assert w.get("/").status == 401
    assert w.metric("weir_auth_failed_total") == 3
    assert "can not be had: status 500" in w.stderr
    issuer.status = 200
    time.sleep(5.1)
    assert w.get("/", headers=bearer(key.token())).status == 200
    issuer.status = 500  # what is known stays known
    assert w.get("/", headers=bearer(key.token())).status == 200


@pytest.mark.parametrize("body", ["", "{}", "[]", "nothing", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"%s"}]}' % b64(SECRET.encode()),
                                  " " * (1 << 20) + "{}"],
                         ids=["empty", "no list", "list", "text", "no keys", "secret", "large"])
def test_what_is_no_key_set(weir, origin, body):
    o = origin([f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()])
    w = weir(site(f"http://{o.address}/"))
    assert w.get("/", headers=bearer(KEY.token())).status == 503


def test_published_secret_is_not_used(weir, origin):
    key = Key("P-256", kid="1")
    issuer = Issuer(origin, key, {"kty": "oct", "k": b64(SECRET.encode()), "kid": "s"})
    w = weir(site(issuer.url()))
    assert w.get("/", headers=bearer(key.token())).status == 200
    assert w.get("/", headers=bearer(KEY.token())).status == 401
    assert w.get("/", headers=bearer(KEY.token(header={"kid": "s"}))).status == 401


def test_many_wait_for_one_fetch(weir, origin):
    import threading
    key = Key("P-256", kid="1")
    gate = threading.Event()

    def answer(request):
        gate.wait(10)
        body = jwks(key).encode()
        return [f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body]
    o = origin(answer)
    w = weir(site(f"http://{o.address}/"))
    token, clients = key.token(), [w.client() for _ in range(10)]
    for c in clients:
        c.send(f"GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    clients[0].close()  # who leaves is forgotten
    time.sleep(0.3)
    gate.set()
    assert [c.response().status for c in clients[1:]] == [200] * 9
    assert len(o.requests) == 1


def test_file_beside_a_url_that_is_down(weir, origin, tmp_path):
    key, issuer = Key("Ed25519", kid="f"), Issuer(origin)
    issuer.status = 500
    (tmp_path / "keys").write_text(jwks(key))
    for order in (f"{tmp_path}/keys {issuer.url()}", f"{issuer.url()} {tmp_path}/keys"):
        w = weir(site(order))
        assert w.get("/", headers=bearer(key.token())).status == 200
        assert w.get("/", headers=bearer(KEY.token())).status == 503


def test_bodies_that_come_while_keys_are_fetched(weir, origin):
    """Each piece of a body wakes the request, which waits on all the same."""
    key, app = Key("P-256", kid="1"), origin()
    body = jwks(key).encode()
    o = origin(lambda r: [0.6, b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body])
    w = weir(f"workers 1\nlisten @listen@\nadmin @admin@\n{site(f'http://{o.address}/', proxy=f'proxy {app.address}')}")
    with w.client() as a, w.client() as b:
        for c in (a, b):
            c.send(f"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n{bearer(key.token())[0]}\r\n\r\n".encode())
        for _ in range(6):
            time.sleep(0.05)
            a.send(b"x")
            b.send(b"y")
        assert a.response().status == b.response().status == 200
    assert len(o.requests) == 1 and w.get("/", headers=bearer(key.token())).status == 200


def test_bodies_that_come_while_newer_keys_are_fetched(weir, origin):
    old, new, app = Key("P-256", kid="1"), Key("P-256", kid="2"), origin()
    bodies = [jwks(old).encode(), jwks(old, new).encode()]
    o = origin(lambda r: [0.4, b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % len(bodies[0]) + bodies.pop(0)])
    w = weir(site(f"http://{o.address}/", proxy=f"proxy {app.address}"))
    assert w.get("/", headers=bearer(old.token())).status == 200
    time.sleep(10.1)
    with w.client() as c:
        c.send(f"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n{bearer(new.token())[0]}\r\n\r\n".encode(),
               0.1, b"x", 0.1, b"y")
        assert c.response().status == 200


def test_a_branch_that_failed_takes_no_token_away(weir):
    w = weir(f"""site * {{ respond 200 ok
        auth any {{
            all {{ jwt secret={SECRET} strip=on
                   require claim.groups == wheel }}
            jwt secret={SECRET} }} }}""")
    assert w.get("/", headers=bearer(KEY.token())).status == 200
