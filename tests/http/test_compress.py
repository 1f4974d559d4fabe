# SPDX-License-Identifier: Apache-2.0
"""`compress`: what is coded and what is left alone, decoded by Python's gzip, the zstd and curl programs;
streams, large bodies, HTTP/2, and nginx's own gzip behind it."""
import gzip
import random
import subprocess
import time
import zlib

import pytest

from kit import Client, answer, chunked, memory
from kit.tools import need, run
from peers import Nginx

WORDS = [random.Random(1).randbytes(4).hex() for _ in range(300)]


def words(size, seed=2):
    r = random.Random(seed)
    return " ".join(r.choice(WORDS) for _ in range(size // 9 + 1)).encode()[:size]


TEXT = words(100_000)
HTML = "Content-Type: text/html; charset=utf-8"
GZIP = ["Accept-Encoding: gzip"]


def site(weir, script, line="compress", **kw):
    return weir("site * {\n body max=off\n proxy @o@\n " + line + "\n}\n", o=script, **kw)


def unzstd(data):
    return subprocess.run([need("zstd"), "-dc"], input=data, capture_output=True, check=True, timeout=20).stdout


def decoded(r):
    coding = r.get("Content-Encoding")
    if coding is None:
        return r.body
    return {"gzip": gzip.decompress, "zstd": unzstd}[coding](r.body)


def expect_plain(r, body=TEXT):
    assert r.get("Content-Encoding") is None
    assert r.body == body and r.get("Content-Length") == str(len(body))


@pytest.mark.parametrize("accept,coding", [
    ("gzip", "gzip"), ("gzip, deflate, br, zstd", "zstd"), ("gzip, deflate, br", "gzip"), ("*", "zstd"),
    ("zstd;q=0.1, gzip;q=0.2", "gzip"), ("zstd;q=0, *", "gzip"), ("x-gzip", "gzip"), ("br", None),
    ("identity", None), ("gzip;q=0", None), ("gzip;q=0.1, identity", None), ("", None), (None, None)])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_negotiation(weir, origin, accept, coding, framing):
    whole = answer(TEXT, headers=[HTML]) if framing == "length" else chunked(TEXT, headers=[HTML])
    w = site(weir, origin(whole))
    with w.client() as c:
        for _ in range(3):  # encoders are used again
            r = c.get(headers=[f"Accept-Encoding: {accept}"] if accept is not None else [])
            assert r.status == 200 and r.get("Content-Encoding") == coding
            assert r.all("Vary") == ["Accept-Encoding"]
            assert decoded(r) == TEXT
            if coding:
                assert r.get("Content-Length") is None and r.get("Transfer-Encoding") == "chunked"
                assert len(r.body) < len(TEXT) / 2


def test_lines_of_the_field_are_joined(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML])))
    r = w.get(headers=["Accept-Encoding: deflate", "Accept-Encoding: gzip"])
    assert r.get("Content-Encoding") == "gzip"


@pytest.mark.parametrize("headers", [
    [HTML, "Content-Encoding: br"], ["Content-Type: image/png"], ["Content-Type: multipart/byteranges"], [],
    ["Content-Type: application/grpc+json"], [HTML, "Cache-Control: public, No-Transform"],
    [HTML, "Repr-Digest: sha-256=:AA==:"], [HTML, "Content-MD5: x"], [HTML, "Content-Range: bytes 0-1/2"]])
def test_left_alone(weir, origin, headers):
    w = site(weir, origin(answer(TEXT, headers=[*headers, 'ETag: "x"'])))
    r = w.get(headers=GZIP)
    assert r.body == TEXT and r.get("Content-Length") == str(len(TEXT)) and r.get("ETag") == '"x"'
    assert r.all("Content-Encoding") == [h[18:] for h in headers if h.startswith("Content-Encoding")]
    assert r.get("Vary") is None


def test_request_may_forbid_it(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML])))
    expect_plain(w.get(headers=[*GZIP, "Cache-Control: no-transform"]))


def test_parts_and_statuses(weir, origin):
    def script(request):
        status = request.target[1:].replace("-", " ")
        if status[:3] in ("204", "304"):
            return answer(b"", status, ['ETag: "x"', HTML], length=False)
        more = ["Content-Range: bytes 0-99999/200000"] if status[:3] == "206" else []
        return answer(TEXT, status, [HTML, 'ETag: "x"', *more])
    w = site(weir, origin(script))
    for status in ("206-Partial", "204-None", "304-Not"):
        r = w.get("/" + status, headers=[*GZIP, "Range: bytes=0-99999"])
        assert r.status == int(status[:3]) and r.get("ETag") == '"x"'
        assert r.get("Content-Encoding") is None and r.get("Vary") is None
    for status in ("404-Not", "500-Error", "201-Created"):
        r = w.get("/" + status, headers=GZIP)
        assert r.get("Content-Encoding") == "gzip" and decoded(r) == TEXT and r.get("ETag") == 'W/"x"'


def test_conditional_requests(weir, origin):
    o = origin(answer(b"", "304 Not Modified", ['ETag: "x"'], length=False))
    w = site(weir, o)
    r = w.get(headers=[*GZIP, 'If-None-Match: "a", W/"x"'])
    assert r.status == 304 and r.get("ETag") == 'W/"x"' and r.get("Vary") == "Accept-Encoding"
    r = w.get(headers=[*GZIP, 'If-None-Match: "x"'])
    assert r.status == 304 and r.get("ETag") == '"x"'


@pytest.mark.parametrize("vary,want", [("Cookie", ["Cookie, Accept-Encoding"]), ("*", ["*"]),
                                       ("cookie, accept-encoding", ["cookie, accept-encoding"])])
def test_vary_is_merged(weir, origin, vary, want):
    w = site(weir, origin(answer(TEXT, headers=[HTML, f"Vary: {vary}"])))
    for headers in ([], GZIP):
        assert w.get(headers=headers).all("Vary") == want


def test_head_is_that_of_get(weir, origin):
    def script(request):
        whole = answer(TEXT, headers=[HTML, 'ETag: "x"', "Accept-Ranges: bytes"])
        return whole[:-len(TEXT)] if request.method == "HEAD" else whole
    w = site(weir, origin(script))
    with w.client() as c:
        got, head = (c.get(method=m, headers=GZIP) for m in ("GET", "HEAD"))
        after = c.get(headers=GZIP)
    for name in ("Content-Encoding", "ETag", "Vary", "Content-Length", "Content-Type", "Accept-Ranges"):
        assert head.all(name) == got.all(name)
    assert head.get("Content-Encoding") == "gzip" and head.get("Accept-Ranges") is None
    assert decoded(after) == TEXT


def test_options(weir, origin):
    def script(request):
        return answer(TEXT[:int(request.target[1:])], headers=["Content-Type: a/b"])
    w = site(weir, origin(script), "compress br gzip min=500B types=a/*,c/d level=small")
    assert w.get("/500", headers=GZIP).get("Content-Encoding") == "gzip"
    assert w.get("/500", headers=["Accept-Encoding: gzip, br"]).get("Content-Encoding") == "br"
    assert w.get("/500", headers=["Accept-Encoding: zstd"]).get("Content-Encoding") is None
    expect_plain(w.get("/499", headers=GZIP), TEXT[:499])


def test_weirs_own_answers(weir):
    w = weir(f'site * {{\n compress\n respond 200 "{"hello " * 500}"\n}}\n')
    r = w.get(headers=GZIP)
    assert r.get("Content-Encoding") == "gzip" and decoded(r) == b"hello " * 500


def test_padding(weir, origin):
    w = site(weir, origin(answer(TEXT[:5000], headers=[HTML])), "compress padding=64")
    sizes = set()
    with w.client() as c:
        for _ in range(40):
            r = c.get(headers=["Accept-Encoding: gzip, zstd"])
            assert r.get("Content-Encoding") == "gzip" and decoded(r) == TEXT[:5000]
            sizes.add(len(r.body))
    assert len(sizes) > 10 and max(sizes) - min(sizes) <= 65


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_trailers_stay(weir, origin, coding):
    w = site(weir, origin(chunked(TEXT, headers=[HTML, "Trailer: X-Sum"], trailers=b"X-Sum: 5\r\n")))
    r = w.get(headers=[f"Accept-Encoding: {coding}", "TE: trailers"])
    assert decoded(r) == TEXT and r.trailers == [("X-Sum", "5")]


def test_http_1_0_client(weir, origin):
    w = site(weir, origin(chunked(TEXT, headers=[HTML])))
    with w.client() as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n")
        r = c.response()
    assert r.get("Transfer-Encoding") is None and decoded(r) == TEXT


# --------------------------------------------------------------------- streams and sizes

def take_events(sock, unzip, count):
    """Events as they come out of the decoder."""
    text = b""
    while text.count(b"\n\n") < count:
        data = sock.recv(65536)
        assert data
        text += unzip.decompress(data)
    return text


@pytest.mark.parametrize("pause", [0.05, 0.3])
def test_events_are_not_held_back(weir, origin, pause):
    event = b"data: " + b"x" * 50 + b"\n\n"
    steps = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"]
    for _ in range(5):
        steps += [event, pause]
    w = site(weir, origin(steps))
    late = []
    with Client(w.port) as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n")
        assert c.head().get("Content-Encoding") == "gzip"
        unzip, text = zlib.decompressobj(31), b""
        start = time.monotonic()
        text = unzip.decompress(c.buf)
        for i in range(5):
            if text.count(b"\n\n") <= i:
                text += take_events(c.sock, unzip, 1)
            late.append(time.monotonic() - start - i * pause)
    assert text == event * 5
    assert max(late) < pause * 0.8 + 0.02, late


@pytest.mark.seconds(120)
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("length", [True, False], ids=["length", "close"])
def test_100_mb(weir, origin, coding, length):
    piece, count = words(1 << 20), 100
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    head += f"Content-Length: {count << 20}\r\n\r\n" if length else "Connection: close\r\n\r\n"
    steps = [head.encode(), *[piece] * count]
    w = site(weir, origin(steps if length else lambda r: [*steps, lambda s: s.shutdown(1)]))
    get = subprocess.Popen([need("curl"), "-sS", "-H", f"Accept-Encoding: {coding}", w.url("/")],
                           stdout=subprocess.PIPE)
    unpack = subprocess.Popen([need(coding), "-dc"], stdin=get.stdout, stdout=subprocess.PIPE)
    got = crc = 0
    while data := unpack.stdout.read(1 << 20):
        got, crc = got + len(data), zlib.crc32(data, crc)
    assert get.wait(10) == 0 and unpack.wait(10) == 0
    want = 0
    for _ in range(count):
        want = zlib.crc32(piece, want)
    assert (got, crc) == (count << 20, want)
    assert w.rss_kb("VmHWM") < memory(60_000)


def test_origin_that_breaks_off_is_told(weir, origin):
    whole = answer(TEXT, headers=[HTML])
    w = site(weir, origin([whole[:50_000], 0.05, lambda s: s.close()]))
    r = w.get(headers=GZIP)
    assert not r.complete
    assert zlib.decompressobj(31).decompress(r.body) == TEXT[:len(whole[:50_000]) - (len(whole) - len(TEXT))]


def test_clients_that_leave(weir, origin):
    w = site(weir, origin([answer(words(3 << 20), headers=[HTML])]))
    for _ in range(20):
        with w.client() as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: zstd\r\n\r\n")
            c.head()
    assert decoded(w.get(headers=GZIP)) == words(3 << 20)


# --------------------------------------------------------------------- other programs

@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl(weir, origin, tmp_path, coding, version):
    w = site(weir, origin(answer(TEXT, headers=[HTML])), "compress zstd gzip br")
    head = tmp_path / "head"
    done = subprocess.run([need("curl"), "-sS", version, "-D", head, "-H", f"Accept-Encoding: {coding}", w.url("/")],
                          capture_output=True, timeout=20, check=True)
    assert f"content-encoding: {coding}" in head.read_text().lower()
    assert len(done.stdout) < len(TEXT) / 2
    unpack = {"gzip": gzip.decompress, "zstd": unzstd, "br": unbr}[coding]
    assert unpack(done.stdout) == TEXT


def unbr(data):
    script = "let z=require('zlib'),b=[];process.stdin.on('data',d=>b.push(d)).on('end'," \
             "()=>process.stdout.write(z.brotliDecompressSync(Buffer.concat(b))))"
    return subprocess.run([need("node"), "-e", script], input=data, capture_output=True, check=True,
                          timeout=20).stdout


def test_node_fetch(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML])))
    script = "fetch(process.argv[1]).then(async r=>console.log(r.headers.get('content-encoding')," \
             "(await r.text()).length))"
    assert run(need("node"), "-e", script, w.url("/")).stdout.split() == ["gzip", str(len(TEXT))]


@pytest.fixture
def nginx():
    n = Nginx()
    yield n
    n.close()


def test_nginx_that_compresses_itself(weir, nginx):
    (nginx.www / "page").write_bytes(TEXT)
    w = site(weir, nginx)
    for path in ("/gzip/page", "/page"):
        r = w.get(path, headers=GZIP)
        assert r.all("Content-Encoding") == ["gzip"]
        assert decoded(r) == TEXT and r.get("ETag").startswith("W/")
    r = w.get("/page", headers=[*GZIP, f"If-None-Match: {r.get('ETag')}"])
    assert r.status == 304 and r.get("ETag").startswith("W/")
    r = w.get("/page", headers=[*GZIP, "Range: bytes=5-9"])
    assert r.status == 206 and r.body == TEXT[5:10]
