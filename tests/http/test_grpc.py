# SPDX-License-Identifier: Apache-2.0
"""gRPC with @grpc/grpc-js as client and as server, over every combination of TLS and none; what weir answers
by itself; gRPC-Web with clients of HTTP/1.1 and HTTP/2."""
import base64
import json
import struct
import subprocess
import time

import pytest

from h2_origin import H2Origin
from kit import ROOT, Client, Pki, memory, wait_until
from kit.h2raw import DATA, END_STREAM, HEADERS, H2Raw
from kit.tools import need, run
from peers import GrpcServer

NODE = ROOT / "tests/node"
CASES = ["unary", "upload", "download", "chat", "metadata", "errors", "early", "cancel", "deadline", "pings"]
TLS = """workers 1
listen @listen@
listen @tls@ tls
admin @admin@
log access json to=@dir@/access.log
site a.test {
    tls cert=@cert@ key=@key@ redirect=off
    body max=off
    proxy @scheme@@o@ {
        tls ca=@ca@ name=a.test
        proto @proto@
    }
}
"""


def need_grpc():
    if not (NODE / "node_modules/@grpc/grpc-js").exists():
        pytest.skip("npm package @grpc/grpc-js is not installed (tools/setup test)")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def cert(pki):
    return pki.cert("a.test")


@pytest.fixture(scope="module")
def plain():
    need_grpc()
    s = GrpcServer()
    yield s
    s.close()


@pytest.fixture(scope="module")
def secure(cert):
    need_grpc()
    s = GrpcServer(cert)
    yield s
    s.close()


def client(w, *cases, ca="-", seconds=55):
    need_grpc()
    port = w.port if ca == "-" else w.tls_port
    return run(need("node"), NODE / "grpc-client.js", f"127.0.0.1:{port}", ca, *cases, seconds=seconds)


def expect(w, *cases, **kw):
    done = client(w, *cases, **kw)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split("\n")[:-1] == [f"ok {c}" for c in cases]


def proxied(weir, origin, text="proxy @o@ { proto h2c }", **kw):
    return weir("site * {\n body max=off\n " + text + "\n}\n", o=origin, **kw)


def over(weir, pki, cert, server, tls_server):
    scheme, proto = ("https://", "h2") if tls_server else ("", "h2c")
    text = TLS if tls_server else TLS.replace("        tls ca=@ca@ name=a.test\n", "")
    return weir(text, o=server, cert=cert.crt, key=cert.key, ca=pki.ca.crt, scheme=scheme, proto=proto)


# --------------------------------------------------------------------- calls

@pytest.mark.parametrize("tls_client", [False, True], ids=["h2c", "h2"])
@pytest.mark.parametrize("tls_server", [False, True], ids=["h2c", "h2"])
def test_every_kind_of_call(weir, pki, cert, plain, secure, tls_client, tls_server):
    w = over(weir, pki, cert, secure if tls_server else plain, tls_server)
    expect(w, *CASES, ca=pki.ca.crt if tls_client else "-")
    assert {a["proto"] for a in w.access()} == {"HTTP/2.0"}
    wait_until(lambda: w.metric("weir_requests_active") == 0, 3)


@pytest.mark.parametrize("tls", [False, True], ids=["h2c", "h2"])
def test_messages_of_100_mb(weir, pki, cert, plain, secure, tls):
    w = over(weir, pki, cert, secure if tls else plain, tls)
    expect(w, "large", ca=pki.ca.crt if tls else "-")
    assert w.last_access(1)["bytes"] == (100 << 20) + 5
    assert w.rss_kb("VmHWM") < memory(60_000)  # it is not held anywhere


def test_log_tells_the_status(weir, plain):
    w = proxied(weir, plain)
    expect(w, "unary", "errors")
    log = w.access(209 + 1)
    assert [a["grpc_status"] for a in log if a["path"].endswith("/Fail")] == [1, 3, 5, 8, 13, 14, 16]
    assert {a["grpc_status"] for a in log if a["path"].endswith("/Echo")} == {0}
    assert [a["grpc_status"] for a in log if a["path"].endswith("/FailLate")] == [9]


def answer_of(c):
    """Status, body and fields of the stream 1."""
    status, body, _ = c.response(1)
    head = next(f for f in c.frames if f.type == HEADERS and f.stream == 1)
    return status, body, dict(head.headers)


def see(w, case="see"):
    return json.loads(client(w, case).stdout.split("\n")[0])


def test_deadlines_are_weirs_own(weir):
    """The server never answers; the field alone, without a client that looks at its clock."""
    with H2Origin(lambda link, r: None) as o:
        w = proxied(weir, o, "timeout first_byte=off\n proxy @o@ { proto h2c }")
        with H2Raw(w.port) as c:
            began = time.monotonic()
            c.request(method="POST", path="/s/m", extra=[("content-type", "application/grpc"),
                                                         ("te", "trailers"), ("grpc-timeout", "300m")])
            status, body, headers = answer_of(c)
            assert 0.25 < time.monotonic() - began < 3
        assert (status, body) == (200, b"")
        assert headers["content-type"] == "application/grpc" and headers["grpc-status"] == "4"
        assert "grpc-timeout" in headers["grpc-message"]
        wait_until(lambda: o.resets, 3, "a reset of the server's stream")
        left = o.requests[0].get("grpc-timeout")
        assert left[-1] == "m" and 200 < int(left[:-1]) <= 300
        assert o.requests[0].get("te") == "trailers"
        log = w.last_access(1)
        assert (log["grpc_status"], log["error"], log["status"]) == (4, "grpc_deadline", 200)


def test_what_weir_answers_is_a_status(weir, plain):
    w = proxied(weir, plain, "route /weir.Test/Wait { respond 403 \"not you\" }\n"
                             "route /weir.Test/Count { proxy 127.0.0.1:9 { proto h2c } }")
    assert see(w) == {"code": 7, "details": "not you"}
    assert see(w, "see_stream") == {"code": 14, "messages": 0}
    w = weir("site b.test { respond 200 }\n")
    assert see(w)["code"] == 2
    w = weir("site * { route /x { respond 200 }\n}\n")
    assert see(w) == {"code": 12, "details": "no route or proxy for this path"}


def test_size_limits_are_statuses(weir, plain):
    w = weir("site * {\n body max=1M\n proxy @o@ { proto h2c }\n}\n", o=plain)
    done = client(w, "large")
    assert "actual: 8," in done.stderr and "request body is too large" in done.stderr


def test_resets_of_the_server(weir):
    """Before an answer: a status. In the middle of one: the stream is reset, and looks unfinished."""
    def script(link, r):
        if r.get(":path").endswith("Wait"):
            return link.reset(r, 8)
        link.head(r, headers=[("content-type", "application/grpc")])
        link.h2.send_data(r.stream, b"\0\0\0\0\1x")
        link.flush()
        time.sleep(0.1)
        return link.reset(r, 2)
    with H2Origin(script) as o:
        w = proxied(weir, o, "retry off\n proxy @o@ { proto h2c\n retry off }")
        assert see(w) == {"code": 14, "details": "server reset the connection"}
        got = see(w, "see_stream")
        assert got["code"] in (13, 14) and got["messages"] == 1


def test_status_alone_in_the_head(weir):
    def script(link, r):
        link.head(r, headers=[("content-type", "application/grpc"), ("grpc-status", "5"),
                              ("grpc-message", "not%20there")], end=True)
    with H2Origin(script) as o:
        w = proxied(weir, o)
        assert see(w) == {"code": 5, "details": "not there"}
        assert w.last_access(1)["grpc_status"] == 5


def test_server_of_http_1(weir, origin):
    """It cannot speak gRPC: what it answers is passed on, and the client finds no status in it."""
    o = origin()
    w = proxied(weir, o, "proxy @o@")
    assert see(w)["code"] in (2, 13)  # as the client sees it: unknown, or an internal error
    log = w.last_access(1)
    assert log["status"] == 200 and "grpc_status" not in log


# --------------------------------------------------------------------- gRPC-Web

HELLO = b"\0\0\0\0\5hello"
MORE = b"\0\0\0\0\2hi"


def frames(body):
    """[(flag, bytes)]"""
    out = []
    while body:
        flag, size = struct.unpack(">BI", body[:5])
        out.append((flag, body[5:5 + size]))
        assert len(out[-1][1]) == size
        body = body[5 + size:]
    return out


def untext(body):
    """Pieces of base64 that were encoded for themselves."""
    assert len(body) % 4 == 0
    return b"".join(base64.b64decode(body[i:i + 4], validate=True) for i in range(0, len(body), 4))


def web(weir, origin, more=""):
    return proxied(weir, origin, "grpc_web\n proxy @o@ { proto h2c }" + more)


def post(w, path, kind, body):
    with w.client() as c:
        return c.post(path, body, headers=[f"Content-Type: application/{kind}", "X-Grpc-Web: 1",
                                           "x-text: one", "x-any-bin: AP8="])


@pytest.mark.parametrize("kind", ["grpc-web", "grpc-web+proto", "grpc-web-text", "grpc-web-text+proto"])
def test_web_over_http_1(weir, plain, kind):
    text = "text" in kind
    w = web(weir, plain)
    r = post(w, "/weir.Test/Echo", kind, base64.b64encode(HELLO) if text else HELLO)
    assert r.status == 200 and r.get("Content-Type").startswith("application/grpc-web" + "-text" * text)
    got = frames(untext(r.body) if text else r.body)
    assert [f for f, _ in got] == [0, 0x80] and got[0][1] == b"hello"
    assert b"grpc-status: 0\r\n" in got[1][1] and b"x-any-bin: AP8=\r\n" in got[1][1]
    assert not r.trailers and r.get("x-text") == "one"
    assert w.last_access(1)["grpc_status"] == 0


def test_web_over_http_2(weir, plain):
    w = web(weir, plain)
    with H2Raw(w.port) as c:
        text = base64.b64encode(HELLO[:4]) + base64.b64encode(HELLO[4:])  # padded in the middle
        c.request(end=False, method="POST", path="/weir.Test/Echo",
                  extra=[("content-type", "application/grpc-web-text"), ("content-length", str(len(text)))])
        c.say(DATA, END_STREAM, 1, text)
        status, body, headers = answer_of(c)
    assert status == 200 and headers["content-type"] == "application/grpc-web-text+proto"
    got = frames(untext(body))
    assert got[0] == (0, b"hello") and got[1][0] == 0x80


def test_web_streams_come_as_they_are_sent(weir, plain):
    curl = need("curl")
    w = web(weir, plain)
    body = w.dir / "body"
    ask = b"300 3 4"
    body.write_bytes(base64.b64encode(struct.pack(">BI", 0, len(ask)) + ask))
    p = subprocess.Popen([curl, "-sN", "--data-binary", f"@{body}", "-H",
                          "Content-Type: application/grpc-web-text", w.url("/weir.Test/Count")],
                         stdout=subprocess.PIPE)
    came, all_bytes = [], b""
    while piece := p.stdout.read1(4096):
        came.append(time.monotonic())
        all_bytes += piece
    assert p.wait(10) == 0
    got = frames(untext(all_bytes))
    assert [m for m in got[:-1]] == [(0, b"\7" * 4)] * 3 and b"grpc-status: 0" in got[-1][1]
    assert len(came) >= 3 and came[-1] - came[0] > 0.5


def test_web_errors(weir, plain):
    w = web(weir, plain, "\n route /shut { respond 503 later }")
    r = post(w, "/weir.Test/Fail", "grpc-web", struct.pack(">BI", 0, 8) + b"5 absent")
    head = r.get("grpc-status") == "5"
    assert head or b"grpc-status: 5\r\n" in frames(r.body)[-1][1]
    r = post(w, "/shut/x", "grpc-web-text", b"")
    assert (r.get("grpc-status"), r.get("grpc-message")) == ("14", "later")
    assert r.get("Content-Type") == "application/grpc-web-text"
    r = post(w, "/weir.Test/Echo", "grpc-web-text", b"not base64")
    assert (r.status, r.get("grpc-status")) == (200, "13")


def test_web_messages_of_5_mb(weir, plain):
    w = web(weir, plain)
    message = struct.pack(">BI", 0, 5 << 20) + bytes(range(256)) * (5 << 12)
    with Client(w.port, timeout=40) as c:
        r = c.post("/weir.Test/Echo", base64.b64encode(message),
                   headers=["Content-Type: application/grpc-web-text"])
    data = r.body
    got = b""
    for piece in data.replace(b"=", b"= ").replace(b"= =", b"==").split():
        got += base64.b64decode(piece)
    assert frames(got)[0][1] == message[5:]
    assert w.rss_kb("VmHWM") < memory(60_000)


def test_web_example_of_the_documentation(weir, plain):
    page = (ROOT / "docs/http2.md").read_text().split("## gRPC-Web")[1]
    text = page.split("```weir\n")[1].split("```")[0]
    w = weir(text.replace("10.0.0.3:50051", "@o@").replace("site api.example.com", "site *"), o=plain)
    with w.client() as c:
        r = c.post("/weir.Test/Echo", b"", method="OPTIONS", headers=["Access-Control-Request-Method: POST"])
    assert (r.status, r.get("Access-Control-Allow-Methods")) == (204, "POST")
    r = post(w, "/weir.Test/Echo", "grpc-web", HELLO)
    assert frames(r.body)[0] == (0, b"hello")
    assert r.get("Access-Control-Allow-Origin") == "https://app.example.com"
    assert r.get("Access-Control-Expose-Headers") == "grpc-status, grpc-message"
