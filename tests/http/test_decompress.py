# SPDX-License-Identifier: Apache-2.0
"""`decompress`: coded answers for clients that do not take the coding; broken ones, bombs, ranges, streams,
and another coding by `compress` beside it."""
import gzip
import os
import subprocess
import time
import zlib

import pytest

from kit import Client, answer, chunked, memory
from kit.tools import need, run

TEXT = b"".join(b"line %d of a text that is worth it\n" % (i * 7919 % 1000) for i in range(3000))
HTML = "Content-Type: text/html"


def zstd(data):
    return subprocess.run([need("zstd"), "-c"], input=data, capture_output=True, check=True, timeout=20).stdout


def br(data):
    script = "process.stdout.write(require('zlib').brotliCompressSync(require('fs').readFileSync(0)," \
             "{params: {[require('zlib').constants.BROTLI_PARAM_QUALITY]: 5}}))"
    return subprocess.run([need("node"), "-e", script], input=data, capture_output=True, check=True,
                          timeout=20).stdout


def gz(data):
    return gzip.compress(data, mtime=0)


CODERS = {"gzip": gz, "x-gzip": gz, "zstd": zstd, "br": br}


def coded(coding, body=TEXT, headers=(), whole=answer):
    return whole(CODERS[coding](body), headers=[HTML, f"Content-Encoding: {coding}", 'ETag: "x"', *headers])


def site(weir, script, line="decompress", **kw):
    return weir("site * {\n body max=off\n proxy @o@\n " + line + "\n}\n", o=script, **kw)


def expect_decoded(r, body=TEXT):
    assert r.status == 200 and r.complete and r.body == body
    assert r.get("Content-Encoding") is None and r.get("Content-Length") is None
    assert r.get("ETag") == 'W/"x"' and r.get("Vary") == "Accept-Encoding" and r.get("Accept-Ranges") is None


@pytest.mark.parametrize("coding", list(CODERS))
@pytest.mark.parametrize("accept", [None, "", "identity", "deflate", "gzip;q=0, br;q=0, zstd;q=0", "*;q=0"])
def test_decoded_for_who_takes_none(weir, origin, coding, accept):
    for whole in (answer, chunked):
        w = site(weir, origin(coded(coding, headers=["Accept-Ranges: bytes"], whole=whole)))
        with w.client() as c:
            for _ in range(2):
                expect_decoded(c.get(headers=[f"Accept-Encoding: {accept}"] if accept is not None else []))


@pytest.mark.parametrize("coding", list(CODERS))
@pytest.mark.parametrize("accept", ["gzip, br, zstd", "*", "gzip;q=0.1, br;q=0.1, zstd;q=0.1"])
def test_left_to_who_takes_it(weir, origin, coding, accept):
    o = origin(coded(coding))
    r = site(weir, o).get(headers=[f"Accept-Encoding: {accept}"])
    assert r.get("Content-Encoding") == coding and r.get("ETag") == '"x"' and r.get("Vary") == "Accept-Encoding"
    assert r.body == CODERS[coding](TEXT) and r.get("Content-Length") == str(len(r.body))
    assert o.requests[0].get("Accept-Encoding") == accept


@pytest.mark.parametrize("headers,status", [
    (["Content-Encoding: gzip", "Cache-Control: no-transform"], "200 OK"),
    (["Content-Encoding: gzip", "Repr-Digest: sha-256=:AA==:"], "200 OK"),
    (["Content-Encoding: gzip", "Content-Range: bytes 0-9/100"], "206 Part"),
    (["Content-Encoding: gzip, gzip"], "200 OK"), (["Content-Encoding: br", "Content-Encoding: gzip"], "200 OK"),
    (["Content-Encoding: deflate"], "200 OK"), (["Content-Encoding: identity"], "200 OK"), ([], "200 OK")])
def test_left_alone(weir, origin, headers, status):
    body = gzip.compress(TEXT)
    r = site(weir, origin(answer(body, status, [HTML, 'ETag: "x"', *headers]))).get()
    assert r.body == body and r.get("ETag") == '"x"' and r.get("Content-Length") == str(len(body))
    assert r.all("Content-Encoding") == [h[18:] for h in headers if h.startswith("Content-Encoding")]
    assert r.get("Vary") is None


def test_head_and_304(weir, origin):
    def script(request):
        if request.get("If-None-Match"):
            return answer(b"", "304 Not Modified", ['ETag: "x"'], length=False)
        whole = coded("gzip", headers=["Accept-Ranges: bytes"])
        return whole[:whole.index(b"\r\n\r\n") + 4] if request.method == "HEAD" else whole
    w = site(weir, origin(script))
    with w.client() as c:
        got, head = (c.get(method=m) for m in ("GET", "HEAD"))
        expect_decoded(got)
        for name in ("Content-Encoding", "ETag", "Vary", "Content-Length", "Content-Type", "Accept-Ranges"):
            assert head.all(name) == got.all(name)
        assert c.get(headers=['If-None-Match: W/"x"']).get("ETag") == 'W/"x"'
        assert c.get(headers=['If-None-Match: "x"']).get("ETag") == '"x"'


def test_empty_bodies(weir, origin):
    w = site(weir, origin(lambda r: answer(b"", headers=["Content-Encoding: gzip"]) if r.target == "/length"
                          else chunked(headers=["Content-Encoding: gzip"])))
    for path in ("/length", "/chunked"):
        r = w.get(path)
        assert r.status == 200 and r.complete and r.body == b""


def test_another_coding_by_compress(weir, origin):
    w = site(weir, origin(coded("br")), "decompress\n compress gzip")
    r = w.get(headers=["Accept-Encoding: gzip"])
    assert r.get("Content-Encoding") == "gzip" and gzip.decompress(r.body) == TEXT and r.get("ETag") == 'W/"x"'
    assert r.all("Vary") == ["Accept-Encoding"]
    expect_decoded(w.get())


def test_precompressed_files(weir, tmp_path):
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT))
    w = weir("site * {\n files @www@ precompressed\n decompress\n}\n", www=str(tmp_path))
    assert w.get("/a.txt").body == TEXT
    assert gzip.decompress(w.get("/a.txt", headers=["Accept-Encoding: gzip"]).body) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
@pytest.mark.parametrize("what", ["cut", "garbage", "behind"])
def test_broken_answers_break_off(weir, origin, coding, what):
    body = CODERS[coding](TEXT)
    body = {"cut": body[:-10], "garbage": b"<html>" + body, "behind": body + b"more"}[what]
    w = site(weir, origin(answer(body, headers=[f"Content-Encoding: {coding}"])))
    r = w.get()
    assert r.status == 502 or not r.complete
    assert w.last_access()["error"] == "bad_coding"
    assert w.answers()


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
def test_bombs(weir, origin, coding):
    bomb = CODERS[coding](bytes(100 << 20))
    w = site(weir, origin(answer(bomb, headers=[f"Content-Encoding: {coding}"])))
    r = w.get()
    assert not r.complete and len(r.body) < 4 << 20
    assert w.last_access()["error"] == "decoded_too_large"
    assert w.rss_kb("VmHWM") < memory(60_000)


def test_limits_in_the_configuration(weir, origin):
    w = site(weir, origin(coded("gzip")), f"decompress max={len(TEXT)}B")
    expect_decoded(w.get())
    w = site(weir, origin(coded("gzip")), f"decompress max={len(TEXT) - 1}B")
    assert not w.get().complete
    zeros = bytes(3 << 20)
    w = site(weir, origin(coded("gzip", zeros)), "decompress ratio=2000 max=off")
    expect_decoded(w.get(), zeros)


def test_events_are_not_held_back(weir, origin):
    z = zlib.compressobj(wbits=31)
    steps = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"]
    for i in range(4):
        steps += [z.compress(b"data: %d\n\n" % i) + z.flush(zlib.Z_SYNC_FLUSH), 0.3]
    w = site(weir, origin([*steps, z.flush()]))
    with Client(w.port) as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        c.head()
        start = time.monotonic()
        for i in range(4):
            assert c.take(9) == b"data: %d\n\n" % i
            assert time.monotonic() - start < i * 0.3 + 0.25


@pytest.mark.seconds(120)
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_100_mb_in_little_memory(weir, origin, coding, tmp_path):
    piece = os.urandom(1 << 19).hex().encode()
    body = CODERS[coding](piece * 100)
    w = site(weir, origin(answer(body, headers=[f"Content-Encoding: {coding}"])))
    done = run(need("curl"), "-s", "-o", "/dev/null", "-w", "%{size_download}", w.url("/"), seconds=100)
    assert done.stdout == str(len(piece) * 100)
    assert w.rss_kb("VmHWM") < memory(60_000)


@pytest.mark.parametrize("text,message", [
    ("decompress gzip", "decompress"), ("decompress ratio=0", "ratio"), ("decompress max=0", "max")])
def test_mistakes(tmp_path, text, message):
    from kit import weir_cli
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n{text}\nrespond 200\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and message in done.stderr
