# SPDX-License-Identifier: Apache-2.0
"""`auth`: demands put together by all and any, and who may not be told to servers by clients."""
import json

import pytest

from kit import wait_until, weir_cli
from kit.h2raw import DATA, H2Raw
from kit.tokens import Key, jwks, secret


def site(lines):
    return "trust 127.0.0.0/8\nsite * {\n respond 200 ok\n" + lines + "\n}\n"


def status(w, headers=(), path="/", **kw):
    return w.get(path, headers=list(headers), **kw).status


def test_require_lets_in_who_fits(weir):
    w = weir(site("auth require header.X-Door == open"))
    assert status(w, ["X-Door: open"]) == 200
    refused = w.get("/")
    assert refused.status == 403 and refused.get("WWW-Authenticate") is None
    assert w.metric("weir_auth_granted_total") == 1
    assert w.metric("weir_auth_forbidden_total") == 1
    assert w.metrics()['weir_request_errors_total{error="forbidden"}'] == 1


def test_all_lines_have_to_hold(weir):
    w = weir(site("auth { require header.A == 1; require header.B == 2 }"))
    assert status(w, ["A: 1", "B: 2"]) == 200
    assert [status(w, h) for h in (["A: 1"], ["B: 2"], [])] == [403] * 3


def test_any_needs_one(weir):
    w = weir(site("""auth any {
        require ip in 10.0.0.0/8
        all { require header.A == 1; require header.B == 2 }
    }"""))
    assert status(w, ["X-Forwarded-For: 10.1.2.3"]) == 200
    assert status(w, ["A: 1", "B: 2"]) == 200
    assert [status(w, h) for h in (["A: 1"], ["X-Forwarded-For: 11.1.2.3"], [])] == [403] * 3


def test_nearest_auth_and_no_auth(weir):
    w = weir("""site * {
        auth require header.A == 1
        respond 200 ok
        route /inner { auth require header.B == 1
            respond 200 ok }
        route /open { no auth
            respond 200 ok }
        when method == POST { auth require header.C == 1 }
    }""")
    assert (status(w), status(w, ["A: 1"])) == (403, 200)
    assert (status(w, ["A: 1"], "/inner"), status(w, ["B: 1"], "/inner")) == (403, 200)
    assert status(w, (), "/open") == 200
    assert status(w, ["A: 1"], method="POST") == 403
    assert status(w, ["A: 1", "C: 1"], method="POST") == 200


@pytest.mark.parametrize("path", ["/inner/x", "//inner/x", "/a/../inner/x", "/%69nner/x", "/./inner//x",
                                  "/inner/%2e%2e/inner/x"])
def test_other_spellings_of_a_path_are_guarded(weir, path):
    w = weir("""site * {
        respond 200 ok
        route /inner { auth require header.B == 1
            respond 200 ok }
    }""")
    assert status(w, (), path) == 403
    assert status(w, ["B: 1"], path) == 200


def test_method_override_does_not_open(weir):
    w = weir(site("when method == DELETE { auth require header.A == 1 }\n"
                  "auth require method in GET HEAD"))
    for name in "X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method":
        assert status(w, [f"{name}: GET"], method="POST") == 403


IDENTITY_NAMES = ["Remote-User", "remote_user", "REMOTE-USER", "Remote_User", "X-Forwarded-User", "X_FORWARDED_USER",
                  "X-Auth-Request-Email", "X-WebAuth-User", "X-Staff", "x_staff"]


@pytest.mark.parametrize("path", ["/", "/open", "/plain/"])
def test_clients_can_not_say_who_they_are(weir, origin, path):
    o = origin()
    w = weir(f"""site * {{
        proxy {o.address}
        auth {{ require method == GET; header X-Staff ${{header.X-Real}} }}
        route /open {{ no auth }}
    }}
    site other.example {{ proxy {o.address} }}""")
    host = "other.example" if path == "/plain/" else "a"
    w.get(path, host=host, headers=[f"{n}: root" for n in IDENTITY_NAMES])
    seen = {n.lower().replace("_", "-") for n, _ in o.requests[-1].headers}
    assert not seen & {n.lower().replace("_", "-") for n in IDENTITY_NAMES}


@pytest.mark.parametrize("name", ["Remote-User", "x_staff"])
def test_nor_behind_a_body(weir, origin, name):
    """Some servers add trailers to the fields of the head."""
    o = origin()
    w = weir(f"site * {{ proxy {o.address}\n auth {{ require method == POST; header X-Staff yes }} }}")
    with w.client() as c:
        c.send(f"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: {name}\r\n\r\n"
               f"1\r\nx\r\n0\r\n{name}: root\r\nX-Sum: 1\r\n\r\n".encode())
        assert c.response().status == 200
    with H2Raw(w.port) as c:
        c.request(1, end=False, method="POST")
        c.say(DATA, 0, 1, b"x")
        c.fields(1, [(name.lower(), "root"), ("x-sum", "1")])
        assert c.response(1)[0] == 200
    for seen in o.requests:
        assert seen.get("X-Staff") == "yes" and [(n.lower(), v) for n, v in seen.trailers] == [("x-sum", "1")]
    assert len(o.requests) == 2


def test_server_is_told(weir, origin):
    o = origin()
    w = weir(f"""site * {{ proxy {o.address}
        auth {{ require method == GET; header X-Staff "in ${{header.X-Real}}"; header X-None ${{header.X-No}} }}
    }}""")
    w.get("/", headers=["X-Real: me", "X-Staff: forged", "X-None: forged"])
    told = dict((n.lower(), v) for n, v in o.requests[-1].headers)
    assert told["x-staff"] == "in me" and "x-none" not in told


def test_without_auth_fields_pass(weir, origin):
    o = origin()
    w = weir(f"site * {{ proxy {o.address} }}")
    w.get("/", headers=["Remote-User: me"])
    assert ("remote-user", "me") in [(n.lower(), v) for n, v in o.requests[-1].headers]


def test_http2_is_asked_too(weir):
    w = weir(site("auth require header.A == 1"))
    with H2Raw(w.port) as c:
        assert c.get("/")[0] == 403
        assert c.get("/", 3, extra=[("a", "1")])[0] == 200


def test_the_log_says_who(weir):
    secret_text = "a-secret-of-more-than-thirty-two-bytes"
    token = secret(secret_text).token(sub='ann"x')
    w = weir(f"""site * {{
        respond 200 ok
        limit 100r/s
        auth jwt secret={secret_text}
        route /c {{ respond 200 ok
            log access common to=@dir@/c.log }}
    }}""")
    assert status(w, [f"Authorization: Bearer {token}"]) == 200
    assert status(w) == 401
    line, refused = [json.loads(x) for x in wait_until(lambda: len(w.log_lines()) == 2 and w.log_lines(), 3)]
    assert (line["user"], line["auth"], line["limit"]) == ('ann"x', "jwt", "passed")
    assert "user" not in refused and refused["error"] == "unauthorized"
    w.get("/c", headers=[f"Authorization: Bearer {token}"])
    assert wait_until(lambda: w.log_lines("c.log"), 3)[0].startswith('127.0.0.1 - ann\\"x [')
    for text in "\n".join(w.log_lines() + w.log_lines("c.log")) + w.stderr, :
        assert token not in text and secret_text not in text


def test_explain_says_what_is_demanded(tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text("""site * { respond 200 ok
        auth {
            any { require ip in 10.0.0.0/8 192.168.0.0/16
                jwt secret=a-secret-of-more-than-thirty-two-bytes issuer=https://a.example
                oidc https://login.example client_id=x secret=0123456789abcdef0123 }
            header Remote-User $user
        }
        test "closed" { GET /
            expect status 401 }
        test "open inside" { GET / from=10.1.2.3
            expect status 200 }
    }""")
    told = weir_cli("explain", "http://a/", "-c", conf).stdout
    assert "any { require ip in 10.0.0.0/8 192.168.0.0/16; jwt (1 source of keys, issuer https://a.example); " \
           "oidc https://login.example, session 28800 s }" in told, told
    assert "tells the server Remote-User" in told
    assert "thirty-two-bytes" not in told and "0123456789abcdef" not in told
    assert weir_cli("check", "-c", conf).returncode == 0


def test_clients_that_leave_while_it_is_found_out(weir, origin):
    """Keys, services and passwords are waited for; who has asked for them may be gone when they come."""
    key, app = Key("P-256", kid="1"), origin()
    body = jwks(key).encode()
    o = origin(lambda r: [0.5, b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body])
    w = weir(f"""workers 1
        listen @listen@
        admin @admin@
        site * {{ proxy {app.address}
            route /keys {{ auth jwt http://{o.address}/ }}
            route /service {{ auth forward {o.address} }}
            route /password {{ auth basic {{ user alice $2y$12$0AWnCdPgHYRTgwg/XourDeCx8IJ1kotL92xCa1T8kEMk0Y/pRcPb2 }} }}
        }}""")
    good = f"Bearer {key.token()}"
    for path, shown in ("/keys", good), ("/service", "x"), ("/password", "Basic YWxpY2U6eA=="):
        for pause in (0.02, 0.1):
            with w.client() as c:
                c.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nAuthorization: {shown}\r\n\r\nab".encode(), pause)
            with w.client() as c:
                c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {shown}\r\n\r\n".encode(), pause)
                c.half_close()
    w.reload()
    wait_until(lambda: w.get("/keys", headers=[f"Authorization: {good}"]).status == 200, 5, "the keys")
