# SPDX-License-Identifier: Apache-2.0
"""Static files: what is found, what is refused, conditions, ranges, encodings, files that change, and memory."""
import email.utils
import gzip
import os
import re
import time

import pytest

from kit import Client, memory, weir_cli
from kit.tools import need, rss_kb, run, wait_until

INDEX = b"<h1>hello</h1>\n"
DATA = bytes(range(256)) * 4


@pytest.fixture
def www(tmp_path):
    """The folder of files; @www@ in a configuration."""
    tmp_path.chmod(0o755)
    root = tmp_path / "www"
    (root / "sub").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "index.html").write_bytes(INDEX)
    (root / "data.bin").write_bytes(DATA)
    (root / "none.txt").write_bytes(b"")
    (root / "sub" / "a b&c.txt").write_text("odd name")
    (root / "sub" / "page.html").write_text("page")
    (root / ".secret").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (root / ".well-known").mkdir()
    (root / ".well-known" / "security.txt").write_text("contact")
    (tmp_path / "outside.txt").write_text("outside")
    (root / "in").symlink_to("sub/page.html")
    (root / "out").symlink_to("../outside.txt")
    (root / "absolute").symlink_to(tmp_path / "outside.txt")
    (root / "outdir").symlink_to("..")
    os.mkfifo(root / "fifo")
    return root


def start(weir, www, options="", more=""):
    return weir(f"site * {{ files @www@ {options}\n{more}\n}}\n", www=str(www))


def test_a_file_and_its_fields(weir, www):
    w = start(weir, www)
    r = w.get("/data.bin")
    assert (r.status, r.body) == (200, DATA)
    assert r.get("Content-Type") == "application/octet-stream"
    assert r.get("Content-Length") == "1024" and r.get("Accept-Ranges") == "bytes"
    modified = email.utils.parsedate_to_datetime(r.get("Last-Modified")).timestamp()
    assert modified == int((www / "data.bin").stat().st_mtime)
    assert re.fullmatch(r'"[0-9a-f]+-400"', r.get("ETag"))
    assert r.get("Cache-Control") is None and r.get("Vary") is None
    r = w.get("/")
    assert (r.body, r.get("Content-Type")) == (INDEX, "text/html; charset=utf-8")
    r = w.get("/none.txt", headers=["Range: bytes=0-1"])
    assert (r.status, r.body, r.get("Content-Length")) == (200, b"", "0")


def test_head_has_the_fields_without_the_bytes(weir, www):
    w = start(weir, www, "browse")
    with w.client() as c:
        for path in ("/data.bin", "/sub/", "/nowhere"):
            got = c.get(path)
            head = c.get(path, method="HEAD")
            assert head.status == got.status and head.body == b""
            for name in ("Content-Type", "ETag", "Content-Length"):
                assert head.get(name) == got.get(name), (path, name)


def test_304_has_the_fields_of_200(weir, www):
    (www / "data.bin.gz").write_bytes(gzip.compress(DATA))
    w = start(weir, www, "precompressed max_age=1m")
    for headers in ([], ["Accept-Encoding: gzip"]):
        for method in ("GET", "HEAD"):
            got = w.get("/data.bin", headers=headers, method=method)
            r = w.get("/data.bin", headers=[*headers, f"If-None-Match: {got.get('ETag')}"], method=method)
            assert r.status == 304 and r.body == b""
            for name in ("ETag", "Last-Modified", "Vary", "Cache-Control"):
                assert r.all(name) == got.all(name) and r.get(name), name
            assert r.get("Content-Encoding") is None and r.get("Content-Type") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods(weir, www, method):
    r = start(weir, www).get("/", method=method, headers=["Content-Length: 0"])
    assert (r.status, r.get("Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize("path,status,to", [
    ("/sub", 301, "/sub/"),
    ("/sub?a=b&c", 301, "/sub/?a=b&c"),
    ("/sub/../sub", 301, "/sub/"),
    ("//sub", 301, "/sub/"),
    ("/sub/", 404, None),            # no index, no listing
    ("/empty/", 404, None),
    ("/sub/a%20b&c.txt", 200, None),
    ("/sub/a%20b%26c.txt", 200, None),
    ("/sub/page.html/", 404, None),
    ("/sub/page.html/x", 404, None),
    ("/nowhere", 404, None),
    ("/fifo", 404, None),
    ("/" + "x" * 300, 404, None),
    ("/" + "x/" * 2000, 404, None),
])
def test_paths(weir, www, path, status, to):
    r = start(weir, www).get(path)
    assert (r.status, r.get("Location")) == (status, to)


TRAVERSALS = [
    "/../outside.txt", "/sub/../../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt",
    "/%2e%2e%2foutside.txt", "/sub/..%2f..%2foutside.txt", "/..%5coutside.txt", "/..\\outside.txt",
    "/%252e%252e/outside.txt", "/%252e%252e%252foutside.txt", "/..;/outside.txt", "/.%00./outside.txt",
    "/%c0%ae%c0%ae/outside.txt", "/....//outside.txt", "//../outside.txt", "/./.././outside.txt",
    "/out", "/absolute", "/outdir/outside.txt", "/outdir/www/data.bin", "/data.bin%00.html",
    "/proc/self/root/etc/passwd", "/sub%2fpage.html", "/%2fetc/passwd", "//etc/passwd", "/%2F%2Fetc/passwd",
    "http://a.test/../outside.txt",
]
HIDDEN = ["/.secret", "/%2esecret", "/.git/config", "/.git", "/.git/", "/sub/../.secret", "/.", "/./.secret",
          "/.well-known/../.secret", "/.well-known/.x"]


def test_nothing_outside_is_reached(weir, www):
    w = start(weir, www, "browse")
    for path in TRAVERSALS:
        r = w.get(path)
        assert r.status in (400, 404), (path, r)
        assert b"outside" not in r.body and b"root:" not in r.body and DATA not in r.body, path


@pytest.mark.parametrize("options", ["", "spa", "browse"])
def test_hidden_files_do_not_exist(weir, www, options):
    w = start(weir, www, options)
    for path in HIDDEN:
        r = w.get(path)
        assert b"hidden" not in r.body, path
        assert r.status in (400, 404) or path == "/.", (path, r)
    assert w.get("/.well-known/security.txt").body == b"contact"
    if options == "browse":
        (www / "index.html").unlink()
        assert b"secret" not in w.get("/").body


def test_hidden_files_on_demand(weir, www):
    assert start(weir, www, "hidden").get("/.secret").body == b"hidden"


@pytest.mark.parametrize("links,expected", [
    ("inside", {"/in": 200, "/out": 404, "/absolute": 404, "/outdir/outside.txt": 404}),
    ("none", {"/in": 404, "/out": 404, "/absolute": 404, "/outdir/outside.txt": 404}),
    ("follow", {"/in": 200, "/out": 200, "/absolute": 200, "/outdir/outside.txt": 200})])
def test_symlinks(weir, www, links, expected):
    w = start(weir, www, f"symlinks={links}")
    assert {path: w.get(path).status for path in expected} == expected


def test_index_and_try(weir, www):
    (www / "empty" / "start.htm").write_text("start")
    w = weir("site * {\n"
             "route /i/ strip { files @www@ index=none.htm,start.htm }\n"
             "route /o/ strip { files @www@ index=off }\n"
             "route /t/ strip { files @www@ try=.html,/sub/page.html max_age=1h }\n"
             "route /spa/ strip { files @www@ spa max_age=1h }\n}\n", www=str(www))
    assert w.get("/i/empty/").body == b"start"
    assert w.get("/i/empty").get("Location") == "/i/empty/"
    assert w.get("/o/").status == 404
    r = w.get("/t/index")
    assert (r.body, r.get("Cache-Control")) == (INDEX, "max-age=3600")
    r = w.get("/t/nowhere")
    assert (r.status, r.body, r.get("Cache-Control")) == (200, b"page", "no-cache")
    assert w.get("/t/data.bin").get("Cache-Control") == "max-age=3600"
    r = w.get("/spa/users/17")
    assert (r.status, r.body, r.get("Cache-Control")) == (200, INDEX, "no-cache")
    assert w.get("/spa/users/").body == INDEX


def test_types(weir, www):
    for name in ("a.CSS", "a.mjs", "a.svg", "a.woff2", "a.foo", "a.html"):
        (www / name).write_text("x")
    (www.parent / "types").write_text("# comment\ntext/x-foo\tfoo bar # more\n\napplication/x-html html\nbroken x\n")
    w = weir("site * {\nfiles @www@\nroute /t/ strip { files @www@ types=@types@ }\n}\n", www=str(www),
             types=str(www.parent / "types"))

    def kind(path):
        return w.get(path).get("Content-Type")
    assert kind("/a.CSS") == "text/css; charset=utf-8"
    assert kind("/a.mjs") == "text/javascript; charset=utf-8"
    assert (kind("/a.svg"), kind("/a.woff2")) == ("image/svg+xml", "font/woff2")
    assert (kind("/a.foo"), kind("/t/a.foo")) == ("application/octet-stream", "text/x-foo")
    assert (kind("/t/a.html"), kind("/t/a.svg")) == ("application/x-html", "image/svg+xml")


def test_conditions(weir, www):
    w = start(weir, www, "max_age=10m")
    r = w.get("/data.bin")
    tag, modified = r.get("ETag"), r.get("Last-Modified")
    for fields, status in [
            ([f"If-None-Match: {tag}"], 304), ([f"If-None-Match: W/{tag}"], 304), (["If-None-Match: *"], 304),
            ([f'If-None-Match: "x", {tag}'], 304), (['If-None-Match: "x"'], 200),
            ([f"If-Modified-Since: {modified}"], 304), (["If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"], 200),
            (['If-None-Match: "x"', f"If-Modified-Since: {modified}"], 200),
            ([f"If-Match: {tag}"], 200), (['If-Match: "x"'], 412), (["If-Match: *"], 200),
            (["If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"], 412),
            ([f"If-Unmodified-Since: {modified}"], 200)]:
        r = w.get("/data.bin", headers=fields)
        assert r.status == status, fields
        if status == 304:
            assert r.body == b"" and r.get("ETag") == tag and r.get("Cache-Control") == "max-age=600"
    (www / "data.bin").write_bytes(DATA[::-1])
    r = w.get("/data.bin", headers=[f"If-None-Match: {tag}"])
    assert (r.status, r.body) == (200, DATA[::-1])


@pytest.mark.parametrize("field,expected", [
    ("bytes=0-9", (0, 10)), ("bytes=1000-", (1000, 1024)), ("bytes=-24", (1000, 1024)),
    ("bytes=0-", (0, 1024)), ("bytes=-5000", (0, 1024)), ("bytes=1023-5000", (1023, 1024)),
    ("bytes=5000-,0-9", (0, 10)), ("bytes=1024-", 416), ("bytes=-0", 416), ("bytes=9-0", 200),
    ("bytes=x", 200), ("rows=0-9", 200), ("bytes=0-0,0-", 200), ("bytes=" + "0-0," * 20, 200)])
def test_ranges(weir, www, field, expected):
    r = start(weir, www).get("/data.bin", headers=[f"Range: {field}"])
    if expected == 416:
        assert (r.status, r.get("Content-Range")) == (416, "bytes */1024")
    elif expected == 200:
        assert (r.status, r.body) == (200, DATA)
    else:
        first, end = expected
        assert (r.status, r.body) == (206, DATA[first:end])
        assert r.get("Content-Range") == f"bytes {first}-{end - 1}/1024"


def test_several_ranges(weir, www):
    r = start(weir, www).get("/data.bin", headers=["Range: bytes=0-9,100-109,-5"])
    assert r.status == 206 and r.get("Content-Range") is None
    kind, boundary = r.get("Content-Type").split("; boundary=")
    assert kind == "multipart/byteranges" and int(r.get("Content-Length")) == len(r.body)
    parts = r.body.split(b"--" + boundary.encode())
    assert parts[0] == b"" and parts[-1] == b"--\r\n" and len(parts) == 5
    for part, (first, end) in zip(parts[1:-1], [(0, 10), (100, 110), (1019, 1024)]):
        head, body = part.split(b"\r\n\r\n", 1)
        assert f"Content-Range: bytes {first}-{end - 1}/1024".encode() in head
        assert b"Content-Type: application/octet-stream" in head
        assert body == DATA[first:end] + b"\r\n"


def test_if_range_and_head(weir, www):
    w = start(weir, www)
    os.utime(www / "data.bin", (1e9, 1e9))
    whole = w.get("/data.bin")
    for value, status in [(whole.get("ETag"), 206), ('"x"', 200), ("W/" + whole.get("ETag"), 200),
                          (whole.get("Last-Modified"), 206), ("Sun, 06 Nov 1994 08:49:37 GMT", 200)]:
        r = w.get("/data.bin", headers=["Range: bytes=0-9", f"If-Range: {value}"])
        assert r.status == status, value
    assert w.get("/data.bin", method="HEAD", headers=["Range: bytes=0-9"]).status == 200


def test_precompressed(weir, www):
    text = b"text " * 1000
    (www / "t.txt").write_bytes(text)
    (www / "t.txt.gz").write_bytes(gzip.compress(text))
    (www / "t.txt.br").write_bytes(b"brotli")
    (www / "old.txt").write_bytes(text)
    (www / "old.txt.gz").write_bytes(b"old")
    os.utime(www / "old.txt.gz", (1e9, 1e9))
    w = start(weir, www, "precompressed")
    tags = set()
    for accept, coding in [("gzip", "gzip"), ("gzip, br", "br"), ("br;q=0.1, gzip", "gzip"), ("zstd", None),
                           ("zstd, gzip;q=0.5", "gzip"), ("x-gzip", "gzip"),
                           ("gzip;q=0.5, identity", None), ("br;q=0.5, identity;q=0.7, gzip;q=0.9", "gzip"),
                           ("identity;q=0, gzip;q=0.1", "gzip"), ("br;q=0", None), ("*", "br"), ("identity", None)]:
        r = w.get("/t.txt", headers=[f"Accept-Encoding: {accept}"])
        assert r.get("Content-Encoding") == coding, accept
        assert (r.get("Vary"), r.get("Content-Type")) == ("Accept-Encoding", "text/plain; charset=utf-8")
        tags.add((coding, r.get("ETag")))
    assert len(tags) == 3 and len({tag for _, tag in tags}) == 3
    r = w.get("/t.txt", headers=["Accept-Encoding: gzip"])
    assert gzip.decompress(r.body) == text
    assert w.get("/t.txt").body == text
    r = w.get("/old.txt", headers=["Accept-Encoding: gzip"])
    assert (r.get("Content-Encoding"), r.body) == (None, text)
    assert w.get("/t.txt", headers=["Accept-Encoding: gzip", "Range: bytes=0-1"]).body == b"\x1f\x8b"


def test_listing(weir, www):
    (www / "sub" / "<x>").mkdir()
    r = start(weir, www, "browse").get("/sub/")
    assert r.get("Content-Type") == "text/html; charset=utf-8"
    links = re.findall(r'<a href="([^"]*)">([^<]*)</a>', r.text)
    assert links == [("../", "../"), ("./%3Cx%3E/", "&lt;x&gt;/"), ("./a%20b%26c.txt", "a b&amp;c.txt"),
                     ("./page.html", "page.html")]
    assert "8 B" in r.text


@pytest.mark.parametrize("count,cut", [(4096, False), (4097, True)])
def test_a_long_listing_says_that_it_is_cut(weir, www, count, cut):
    """What is not listed does not count."""
    for i in range(count):
        (www / "empty" / f"{i}").touch()
    (www / "empty" / ".hidden").touch()
    (www / "empty" / "link").symlink_to("0")
    r = start(weir, www, "browse").get("/empty/")
    assert r.text.count("<a href") == 4097 and ("more than 4096" in r.text) == cut


NAMES = ["<script>alert(1)</script>", "a\"onmouseover=x.txt", "'&quot;.txt", "javascript:alert(1)", "a\\b", "%2e%2e",
         "\x01\x7f", "a?b#c", "\u202egpj.exe", " "]


def test_names_in_a_listing_are_only_names(weir, www):
    """Each link leads to its file, and no name gets out of its place."""
    folder = www / "empty"
    for i, name in enumerate(NAMES):
        (folder / name.replace("/", "\u2215")).write_text(str(i))
    (folder / os.fsdecode(b"\xff\xfe")).write_text("bytes")
    w = start(weir, www, "browse")
    r = w.get("/empty/")
    page = r.body.decode("latin-1")
    rows = page[page.index("<table>"):].splitlines()[2:-2]
    assert len(rows) == len(NAMES) + 1
    for row in rows:
        found = re.fullmatch(r'<tr><td><a href="\./([A-Za-z0-9%._~-]+)">([^<>"]*)</a><td>[^<>"]*<td>[^<>"]*', row)
        assert found, row
        got = w.get("/empty/" + found[1])
        assert got.status in (200, 400, 404), row  # paths that could be read in two ways are refused
        assert got.status != 200 or got.text in [*map(str, range(len(NAMES))), "bytes"]


def test_error_pages(weir, www):
    w = start(weir, www, more='error 404 "no $path here"')
    r = w.get("/nowhere")
    assert (r.status, r.text) == (404, "no /nowhere here")


def test_a_file_that_may_not_be_read(weir, www):
    (www / "data.bin").chmod(0)
    if os.access(www / "data.bin", os.R_OK):
        pytest.skip("root reads everything")
    assert start(weir, www).get("/data.bin").status == 403


BIG = 24 << 20


def begin_big(weir, www, size=BIG):
    with open(www / "big", "wb") as f:
        f.write(b"A" * size)
    w = start(weir, www)
    c = Client(w.port, rcvbuf=65536)
    c.send(b"GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n")
    head = c.head()
    assert head.status == 200
    c.take(100000)
    time.sleep(0.2)
    return w, c


def drain(c, left):
    """Bytes that still come, at most `left`."""
    got = 0
    try:
        while got < left:
            got += len(c.take(min(left - got, 1 << 16)))
    except Exception:
        return got + len(c.buf)
    return got


@pytest.mark.parametrize("what", ["truncated", "overwritten", "grown"])
def test_a_file_that_changes_breaks_off(weir, www, what):
    w, c = begin_big(weir, www)
    if what == "truncated":
        os.truncate(www / "big", 1 << 20)
    else:
        with open(www / "big", "r+b") as f:
            f.seek(0 if what == "overwritten" else BIG)
            f.write(b"B" * 100)
    assert drain(c, BIG - 100000) < BIG - 100000
    c.close()
    assert w.last_access()["error"] == "file_changed"
    assert w.answers()


@pytest.mark.parametrize("what", ["replaced", "deleted"])
def test_a_file_that_is_replaced_is_sent_whole(weir, www, what):
    w, c = begin_big(weir, www)
    if what == "replaced":
        (www / "new").write_bytes(b"B" * 10)
        os.replace(www / "new", www / "big")
    else:
        (www / "big").unlink()
    for left in range(BIG - 100000, 0, -65536):
        piece = c.take(min(left, 65536))
        assert piece == b"A" * len(piece)
    c.close()
    assert w.get("/big").status == (200 if what == "replaced" else 404)


def test_a_client_that_leaves_closes_the_file(weir, www):
    w, c = begin_big(weir, www)
    folder = f"/proc/{w.worker_pid}/fd"

    def opened():
        return [f for f in os.listdir(folder)
                if os.path.islink(f"{folder}/{f}") and os.readlink(f"{folder}/{f}").endswith("/big")]
    assert len(opened()) == 1
    c.close()
    end = time.time() + 3
    while opened() and time.time() < end:
        time.sleep(0.05)
    assert not opened()


# --------------------------------------------------------------------- what goes without a copy

def uncopied(w):
    return w.metric("weir_files_uncopied_bytes_total")


@pytest.mark.parametrize("options,headers,copied", [
    ("", [], False), ("", ["Range: bytes=100000-"], False), ("", ["Range: bytes=0-32767"], False),
    ("", ["Range: bytes=0-32766"], True), ("", ["Range: bytes=0-9,50000-99999,-40000"], False),
    ("compress", ["Accept-Encoding: gzip"], False), ("compress types=*", ["Accept-Encoding: gzip"], True)])
def test_large_parts_go_without_a_copy(weir, www, options, headers, copied):
    data = os.urandom(300_000)
    (www / "big.bin").write_bytes(data)
    w = start(weir, www, more=options)
    with w.client() as c:
        for _ in range(3):
            r = c.get("/big.bin", headers=headers)
            if r.get("Content-Encoding"):
                assert gzip.decompress(r.body) == data
            elif r.status == 200:
                assert r.body == data
            elif r.get("Content-Range"):
                first, last = re.fullmatch(r"bytes (\d+)-(\d+)/300000", r.get("Content-Range")).groups()
                assert r.body == data[int(first):int(last) + 1]
            else:
                assert data[50000:100000] in r.body and data[-40000:] in r.body
                assert int(r.get("Content-Length")) == len(r.body)
        assert c.get("/data.bin").body == DATA  # the connection goes on
    assert (uncopied(w) == 0) == copied


def test_tls_and_http2_copy(weir, www):
    (www / "big").write_bytes(DATA * 4096)
    w = start(weir, www)
    run(need("curl"), "-s", "--http2-prior-knowledge", "-o", str(www.parent / "got"), w.url("/big"))
    assert (www.parent / "got").read_bytes() == DATA * 4096
    assert uncopied(w) == 0


def test_what_is_not_in_memory_comes_from_the_disk(weir, www):
    data = os.urandom(8 << 20)
    (www / "cold").write_bytes(data)
    w = start(weir, www)
    for size in (len(data), 50_000):
        fd = os.open(www / "cold", os.O_RDWR)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
        assert w.get("/cold", headers=[f"Range: bytes=0-{size - 1}"]).body == data[:size]
    assert uncopied(w) == len(data) + 50_000


def test_a_short_file_that_is_cut_after_the_answer_began(weir, www):
    """Its last span is with the connection, and the exchange is over: the client must still see it."""
    size = 300_000
    (www / "short").write_bytes(b"A" * size)
    w = start(weir, www)
    c = Client(w.port, rcvbuf=4096)
    c.send(b"GET /short HTTP/1.1\r\nHost: a.test\r\n\r\n")
    c.head()
    time.sleep(0.2)
    os.truncate(www / "short", 1000)
    got = drain(c, size)
    assert got < size or got == size and not c.buf
    c.close()
    assert w.answers("/data.bin")


# --------------------------------------------------------------------- files that are kept open

def test_a_new_version_is_served_at_once(weir, www):
    """By renaming over it, in its place, by deleting it."""
    w = start(weir, www)
    with w.client() as c:
        for i in range(20):
            (www / "new").write_text(f"version {i}")
            os.replace(www / "new", www / "page")
            assert c.get("/page").text == f"version {i}"
            r = c.get("/page")
            assert (r.status, r.text) == (200, f"version {i}")
        (www / "page").unlink()
        assert c.get("/page").status == 404
        (www / "page").write_text("back")
        assert c.get("/page").text == "back"
        (www / "page").chmod(0)
        if not os.access(www / "page", os.R_OK):
            assert c.get("/page").status == 403


@pytest.mark.parametrize("what", ["link", "folder", "root"])
def test_what_leads_to_a_file_is_looked_at_again(weir, www, what):
    """A link, a folder and the root that come to lead elsewhere: at the latest after a second."""
    other = www.parent / "other"
    (other / "sub").mkdir(parents=True)
    (other / "sub" / "page.html").write_text("other")
    (www / "sub" / "more.html").write_text("more")
    w = start(weir, www)
    path = "/in" if what == "link" else "/sub/page.html"
    assert w.get(path).text == "page"
    if what == "link":
        (www / "in").unlink()
        (www / "in").symlink_to("sub/more.html")
    elif what == "folder":
        (www / "sub").rename(www.parent / "away")
        (www / "sub").symlink_to(other / "sub")
    else:
        www.rename(www.parent / "gone")
        other.rename(www)
    time.sleep(1.05)
    r = w.get(path)
    assert (r.status, r.text) == {"link": (200, "more"), "root": (200, "other")}.get(what, (404, r.text))
    assert "page" != r.text


def test_few_descriptors_are_enough(weir, www):
    """Files that are only kept make way."""
    for i in range(300):
        (www / "sub" / f"{i}").write_text(str(i))
    w = weir("site * { files @www@ }\n", www=str(www), nofile=160)
    with w.client() as c:
        for i in range(300):
            assert c.get(f"/sub/{i}").text == str(i)


@pytest.mark.seconds(120)
def test_a_gigabyte_in_little_memory(weir, www):
    with open(www / "huge", "wb") as f:
        f.truncate(1 << 30)
        f.seek((1 << 30) - 4)
        f.write(b"last")
    w = start(weir, www)
    before = rss_kb(w.worker_pid)
    done = run(need("curl"), "-s", "-o", "/dev/null", "-w", "%{size_download}", w.url("/huge"), seconds=100)
    assert done.stdout == str(1 << 30)
    assert w.get("/huge", headers=["Range: bytes=-4"]).body == b"last"
    assert rss_kb(w.worker_pid) - before < memory(8 << 10)


@pytest.mark.seconds(120)
def test_ten_thousand_files(weir, www):
    for i in range(10000):
        (www / "sub" / f"{i:05}").write_text(str(i))
    w = start(weir, www, "browse")
    fds = len(os.listdir(f"/proc/{w.worker_pid}/fd"))
    with w.client() as c:
        for i in range(10000):
            r = c.get(f"/sub/{i:05}")
            assert (r.status, r.body) == (200, str(i).encode())
        assert "more than 4096" in c.get("/sub/").text
    kept = 512  # files that are kept open, until a second without requests is over
    assert len(os.listdir(f"/proc/{w.worker_pid}/fd")) <= fds + 2 + kept
    wait_until(lambda: len(os.listdir(f"/proc/{w.worker_pid}/fd")) <= fds + 2, 5, "closed files")


def test_http2(weir, www):
    (www / "big").write_bytes(DATA * 4096)
    w = start(weir, www)
    done = run(need("curl"), "-s", "--http2-prior-knowledge", "-o", str(www.parent / "got"),
               "-w", "%{http_version} %{http_code}", w.url("/big"))
    assert done.stdout == "2 200"
    assert (www.parent / "got").read_bytes() == DATA * 4096
    done = run(need("curl"), "-s", "--http2-prior-knowledge", "-r", "10-19", "-o", str(www.parent / "got"),
               "-w", "%{http_code}", w.url("/data.bin"))
    assert done.stdout == "206" and (www.parent / "got").read_bytes() == DATA[10:20]


def test_a_missing_folder_is_told(tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text("site * { files nowhere }\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 0 and "nowhere" in done.stderr and "warning" in done.stderr


@pytest.mark.parametrize("text,message", [
    ("files www symlinks=maybe", "symlinks"), ("files www spa try=/x.html", "leave one"),
    ("files www index=a,,b", "index takes"), ("files www index=1,2,3,4,5,6,7,8,9", "index takes"),
    ("files", "files"), ("files www max_age=10", "max_age"), ("files www types=none.types", "none.types")])
def test_mistakes(tmp_path, text, message):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n{text}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and message in done.stderr
