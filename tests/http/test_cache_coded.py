# SPDX-License-Identifier: Apache-2.0
"""`compress` behind `cache`: what is stored is compressed once for each coding. Counted by weir's own metrics and decoded by
zlib, the zstd program and Brotli's own library."""
import ctypes
import random
import threading
import time

import pytest

from kit import CLOSE, ROOT, Hold, answer, chunked
from kit.tools import need, run, wait_until
from test_compress import HTML, decoded

WORDS = [f"{random.Random(i).getrandbits(32):x}" for i in range(300)]
FRESH = "Cache-Control: max-age=600"
ROOMY = "cache_store memory size=512M\n"


def words(size, seed=2):
    return " ".join(random.Random(seed).choices(WORDS, k=size // 8 + 1)).encode()[:size]


TEXT = words(100_000)
GZIP, BR, ZSTD = (["Accept-Encoding: " + c] for c in ("gzip", "br", "zstd"))
BROWSER = ["Accept-Encoding: gzip, deflate, br, zstd"]
OLD_BROWSER = ["Accept-Encoding: gzip, deflate, br"]


def site(weir, script, line="compress", cache="cache", **kw):
    return weir(kw.pop("before", "") + "site * {\n body max=off\n proxy @o@\n " + cache + "\n " + line + "\n}\n",
                o=script, **kw)


def unbrotli(data, most=32 << 20):
    out, size = ctypes.create_string_buffer(most), ctypes.c_size_t(most)
    library = ctypes.CDLL("libbrotlidec.so.1")
    assert library.BrotliDecoderDecompress(ctypes.c_size_t(len(data)), data, ctypes.byref(size), out) == 1
    return out.raw[:size.value]


def plain(r):
    return unbrotli(r.body) if r.get("Content-Encoding") == "br" else decoded(r)


def counts(w):
    """How many were compressed, and how many were sent as they are kept."""
    return tuple(int(w.metric(name)) for name in ("weir_compressed_total", "weir_compressed_kept_total"))


def expect_kept(r, coding, body=TEXT):
    assert r.status == 200 and r.get("Content-Encoding") == coding
    assert r.get("Content-Length") == str(len(r.body)) and r.get("Transfer-Encoding") is None
    assert plain(r) == body


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
def test_a_hit_compresses_nothing(weir, origin, coding, framing):
    more = [HTML, FRESH, 'ETag: "x"']
    o = origin(answer(TEXT, headers=more) if framing == "length" else chunked(TEXT, headers=more))
    w = site(weir, o, "compress gzip zstd br")
    headers = ["Accept-Encoding: " + coding]
    first = w.get(headers=headers)
    assert first.get("Content-Encoding") == coding and plain(first) == TEXT
    assert counts(w) == (1, 0)
    for _ in range(5):
        r = w.get(headers=headers)
        expect_kept(r, coding)
        assert r.body == first.body
        assert r.get("ETag") == 'W/"x"' and r.all("Vary") == ["Accept-Encoding"]
    assert counts(w) == (1, 5)
    assert len(o.requests) == 1


def test_each_coding_once(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH])), "compress gzip zstd br")
    w.get()
    for headers, coding in ((GZIP, "gzip"), (ZSTD, "zstd"), (BR, "br")) * 3:
        r = w.get(headers=headers)
        assert r.get("Content-Encoding") == coding and plain(r) == TEXT
    assert counts(w) == (3, 6)
    r = w.get()
    assert r.get("Content-Encoding") is None and r.body == TEXT


def test_a_hot_answer_becomes_br(weir, origin):
    """Without an order: what is asked for often is worth the costly coding, once."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_bytes()
    w = site(weir, origin(answer(text, headers=[HTML, FRESH])))
    got = [w.get(headers=BROWSER) for _ in range(8)]
    codings = [r.get("Content-Encoding") for r in got]
    assert codings[:3] == ["zstd"] * 3 and codings[-3:] == ["br"] * 3
    assert all(plain(r) == text for r in got)
    assert counts(w) == (2, 6)
    assert len(got[-1].body) < len(got[0].body)


def test_br_alone_is_served_from_the_second_on(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH])))
    got = [w.get(headers=BR) for _ in range(4)]
    assert [r.get("Content-Encoding") for r in got] == [None, "br", "br", "br"]
    assert all(plain(r) == TEXT for r in got)
    assert counts(w) == (1, 2)


def test_what_is_not_stored_never_is_br(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, "Cache-Control: no-store"])))
    for _ in range(6):
        r = w.get(headers=OLD_BROWSER)
        assert r.get("Content-Encoding") == "gzip" and r.get("Content-Length") is None
    assert counts(w) == (6, 0)


def test_order_of_the_site_is_kept(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH])), "compress gzip")
    assert {w.get(headers=BROWSER).get("Content-Encoding") for _ in range(8)} == {"gzip"}
    assert counts(w) == (1, 7)


def test_padding_is_never_kept(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH])), "compress padding=200")
    sizes = set()
    for _ in range(12):
        r = w.get(headers=BROWSER)
        assert r.get("Content-Encoding") == "gzip" and plain(r) == TEXT
        sizes.add(len(r.body))
    assert len(sizes) > 3
    assert counts(w) == (12, 0)


def test_conditions_meet_the_weak_tag(weir, origin):
    def script(request):
        return answer(TEXT, headers=[HTML, FRESH, 'ETag: "x"'])
    o = origin(script)
    w = site(weir, o)
    w.get(headers=GZIP)
    r = w.get(headers=[*GZIP, 'If-None-Match: W/"x"'])
    assert r.status == 304 and r.get("ETag") == 'W/"x"' and r.all("Vary") == ["Accept-Encoding"]
    assert r.body == b"" and r.get("Content-Encoding") is None
    r = w.get(headers=[*GZIP, 'If-None-Match: "x"'])
    assert r.status == 304 and r.get("ETag") == '"x"'
    expect_kept(w.get(headers=[*GZIP, 'If-None-Match: W/"y"']), "gzip")
    assert len(o.requests) == 1


def test_weak_tag_after_validation(weir, origin):
    """The server is asked by its own tag; the client is told the one that it knows."""
    def script(request):
        if request.get("If-None-Match"):
            return answer(b"", "304 Not Modified", ['ETag: "x"', "Cache-Control: max-age=0"], length=False)
        return answer(TEXT, headers=[HTML, "Cache-Control: max-age=0", 'ETag: "x"'])
    o = origin(script)
    w = site(weir, o)
    w.get(headers=GZIP)
    r = w.get(headers=[*GZIP, 'If-None-Match: W/"x"'])
    assert o.requests[-1].all("If-None-Match") == ['"x"']
    assert r.status == 304 and r.get("ETag") == 'W/"x"' and r.all("Vary") == ["Accept-Encoding"]


def test_validated_each_time_but_compressed_once(weir, origin):
    """A 304 makes a new stored response; the forms of the content stay with it."""
    def script(request):
        if request.get("If-None-Match"):
            return answer(b"", "304 Not Modified", ['ETag: "x"'], length=False)
        return answer(TEXT, headers=[HTML, "Cache-Control: no-cache", 'ETag: "x"'])
    o = origin(script)
    w = site(weir, o)
    w.get(headers=GZIP)
    for _ in range(4):
        expect_kept(w.get(headers=GZIP), "gzip")
    assert counts(w) == (1, 4) and len(o.requests) == 5


def test_ranges_are_of_the_plain_body(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH, 'ETag: "x"'])))
    w.get(headers=GZIP)
    w.get(headers=GZIP)
    r = w.get(headers=[*GZIP, "Range: bytes=10-29"])
    assert r.status == 206 and r.body == TEXT[10:30] and r.get("ETag") == '"x"'
    assert r.get("Content-Encoding") is None
    # Who has the coded form may not fill it up with parts of the plain one.
    r = w.get(headers=[*GZIP, "Range: bytes=10-29", 'If-Range: W/"x"'])
    expect_kept(r, "gzip")
    assert w.get(headers=[*GZIP, "Range: bytes=999999-"]).status == 416
    assert counts(w)[0] == 1


def test_head_tells_the_length_of_the_kept_form(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH, 'ETag: "x"', "Accept-Ranges: bytes"])))
    with w.client() as c:
        first = c.get(method="HEAD", headers=GZIP)  # goes on to the server
        assert first.get("Content-Encoding") == "gzip" and first.get("Content-Length") is None
        c.get(headers=GZIP)
        got = c.get(headers=GZIP)
        head = c.get(method="HEAD", headers=GZIP)
        after = c.get(headers=GZIP)
    for name in ("Content-Encoding", "ETag", "Vary", "Content-Length", "Content-Type", "Accept-Ranges"):
        assert head.all(name) == got.all(name)
    assert head.body == b"" and head.get("Content-Length") == str(len(got.body))
    expect_kept(after, "gzip")


def test_head_makes_no_form(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH])))
    w.get()
    for _ in range(5):
        assert w.get(method="HEAD", headers=BROWSER).get("Content-Length") is None
    assert counts(w) == (0, 0)
    assert plain(w.get(headers=GZIP)) == TEXT


def test_purge_takes_the_forms_along(weir, origin):
    bodies = [words(60_000, 1), words(70_000, 2)]
    o = origin(lambda r: answer(bodies[min(len(o.requests) - 1, 1)], headers=[HTML, FRESH]))
    w = site(weir, o, cache="cache { purge 127.0.0.1 }")
    for _ in range(2):
        assert plain(w.get(headers=GZIP)) == bodies[0]
    assert w.get(method="PURGE").status == 200
    for _ in range(2):
        assert plain(w.get(headers=GZIP)) == bodies[1]
    assert counts(w) == (2, 2)


def test_replaced_while_its_form_is_made(weir, origin):
    """A slow reader makes a form of what another answer has taken the place of meanwhile."""
    bodies = [words(8 << 20, 1), words(60_000, 2)]
    o = origin(lambda r: answer(bodies[min(len(o.requests) - 1, 1)], headers=[HTML, FRESH]))
    w = site(weir, o, cache="cache { purge 127.0.0.1 }", before=ROOMY)
    w.get()
    with w.client() as slow:
        slow.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n")
        assert w.get(method="PURGE").status == 200
        for _ in range(2):
            assert plain(w.get(headers=GZIP)) == bodies[1]
        assert plain(slow.response()) == bodies[0]
    expect_kept(w.get(headers=GZIP), "gzip", bodies[1])


def test_many_at_once_make_it_once(weir, origin):
    body = words(6 << 20)
    w = site(weir, origin(answer(body, headers=[HTML, FRESH])), "compress br", before=ROOMY)
    w.get()
    got = []
    def ask():
        with w.client(timeout=60) as c:
            got.append(c.get(headers=BR))
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(plain(r) == body for r in got) and len(got) == 4
    before = counts(w)
    expect_kept(w.get(headers=BR), "br", body)
    assert counts(w) == (before[0], before[1] + 1)


def test_a_slow_client_holds_no_form_up(weir, origin):
    """It is stored as fast as it is made, whoever takes it."""
    body = words(12 << 20)
    w = site(weir, origin(answer(body, headers=[HTML, FRESH])), "compress gzip level=fast", before=ROOMY)
    w.get()
    with w.client(rcvbuf=4096, timeout=60) as slow:
        slow.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n")
        def is_kept():
            before = counts(w)
            assert plain(w.get(headers=GZIP)) == body
            return counts(w)[1] > before[1]
        wait_until(is_kept, 20, "a form that is kept")
        assert plain(slow.response()) == body


def test_a_client_that_leaves_leaves_it_to_the_next(weir, origin):
    body = words(12 << 20)
    w = site(weir, origin(answer(body, headers=[HTML, FRESH])), "compress br", before=ROOMY)
    w.get()
    for _ in range(3):
        with w.client() as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: br\r\n\r\n")
            time.sleep(0.05)
    wait_until(lambda: int(w.metric("weir_requests_active")) == 0, 10, "the end of all")
    assert plain(w.get(headers=BR)) == body
    expect_kept(w.get(headers=BR), "br", body)


def test_miss_that_breaks_is_not_kept(weir, origin):
    def script(request):
        head, body = answer(TEXT, headers=[HTML, FRESH]).split(b"\r\n\r\n", 1)
        if len(o.requests) == 1:
            return [head + b"\r\n\r\n" + body[:50_000], CLOSE]
        return answer(TEXT, headers=[HTML, FRESH])
    o = origin(script)
    w = site(weir, o)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n")
        assert not c.response().complete
    assert plain(w.get(headers=GZIP)) == TEXT and len(o.requests) == 2
    expect_kept(w.get(headers=GZIP), "gzip")


def test_followers_get_it_as_it_comes(weir, origin):
    hold = Hold()
    head, body = answer(TEXT, headers=[HTML, FRESH]).split(b"\r\n\r\n", 1)
    o = origin([head + b"\r\n\r\n" + body[:50_000], hold, body[50_000:]])
    w = site(weir, o)
    clients = [w.client() for _ in range(5)]
    for c in clients:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n")
    assert hold.reached.wait(5)
    time.sleep(0.1)
    hold.release()
    for c in clients:
        assert plain(c.response()) == TEXT
        c.close()
    assert len(o.requests) == 1
    made = counts(w)[0]
    expect_kept(w.get(headers=GZIP), "gzip")
    assert counts(w) == (made, 1)


def test_forms_count_against_the_memory(weir, origin):
    w = site(weir, origin(lambda r: answer(words(100_000, r.target), headers=[HTML, FRESH])), before="cache_store memory size=4M\n")
    with w.client() as c:
        for i in range(150):
            assert plain(c.get(f"/{i}", headers=GZIP)) == words(100_000, f"/{i}")
            assert plain(c.get(f"/{i}", headers=GZIP)) == words(100_000, f"/{i}")
    assert int(w.metric("weir_cache_memory_bytes")) <= 4 << 20
    assert int(w.metric("weir_cache_evictions_total")) > 100


def test_over_http2(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH])))
    url = f"http://127.0.0.1:{w.port}/"
    for _ in range(3):
        done = run(need("curl"), "-sS", "--http2-prior-knowledge", "--compressed", "-H", "Accept-Encoding: gzip", url,
                   "-o", w.dir / "out", "-D", w.dir / "head")
        assert done.returncode == 0, done.stderr
        assert (w.dir / "out").read_bytes() == TEXT
    assert "content-length" in (w.dir / "head").read_text().lower()
    assert counts(w) == (1, 2)


def test_errors_of_stored_answers(weir, origin):
    """A stored 404 is compressed once, too."""
    w = site(weir, origin(answer(TEXT, "404 Not Found", [HTML, FRESH])))
    for _ in range(3):
        r = w.get(headers=GZIP)
        assert r.status == 404 and plain(r) == TEXT
    assert counts(w) == (1, 2)


def test_other_types_stay_plain(weir, origin):
    w = site(weir, origin(answer(TEXT, headers=[HTML, FRESH])), "compress types=a/*")
    for _ in range(3):
        r = w.get(headers=GZIP)
        assert r.get("Content-Encoding") is None and r.body == TEXT and r.get("Vary") is None
    assert counts(w) == (0, 0)
