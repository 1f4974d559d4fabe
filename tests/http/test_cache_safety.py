# SPDX-License-Identifier: Apache-2.0
"""What nobody may get from the cache: what belongs to another user; what an attacker made the server say; a page of an
account under the name of a picture. The server tells in its body what it saw, so that an answer shows whose it is."""
import itertools

import pytest

from kit import Client, Origin, Weir

CONF = """workers 1
listen @listen@
admin @admin@
log access off
cache_store memory size=64M
upstream o { server @o@; retry off; eject off; concurrency off; keepalive off }
site off.test { proxy o }
site a.test b.test *.a.test {
    cache
    proxy o
    route /ten/ { cache 10m }
    route /zip/ { compress gzip br min=1B }
}
"""
CACHEABLE = "Cache-Control: max-age=3600"
_numbers = itertools.count(1)


class Rig:
    """`say(path, function of the request -> (status, fields, body))`; others get their request told, for an hour."""

    def __init__(self):
        self.scripts = {}
        self.count = itertools.count(1)
        self.origin = Origin(self.script)
        self.weir = Weir(CONF, o=self.origin)

    def script(self, r):
        path = r.target.partition("?")[0]
        status, fields, body = self.scripts.get(path, lambda r: (200, (CACHEABLE,), told(r)))(r)
        lines = [f"HTTP/1.1 {status} Said", *fields, f"Stamp: {next(self.count)}", f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + (b"" if r.method == "HEAD" else body)

    def path(self, script=None, under="/", name=""):
        path = f"{under}{next(_numbers)}{name}"
        if script:
            self.scripts[path] = script
        return path

    def ask(self, target, *headers, method="GET", host="a.test", body=None):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        with Client(self.weir.port) as c:
            c.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
            return c.response(method=method)

    def asked(self, path):
        return [r for r in self.origin.requests if r.target.partition("?")[0] == path]


def told(r):
    return f"{r.method} {r.target} {r.get('Host')} {r.body!r}".encode("latin-1")


@pytest.fixture(scope="module")
def rig():
    r = Rig()
    with r.origin, r.weir:
        yield r


def stamps(*answers):
    return [a.get("Stamp") for a in answers]


# ---------------------------------------------------------------- users

def whose(field):
    return lambda r: (r.get(field) or "nobody").encode("latin-1")


@pytest.mark.parametrize("under", ["/", "/ten/"])
@pytest.mark.parametrize("fields", [(CACHEABLE,), ("Expires: Fri, 31 Dec 9999 23:59:59 GMT",), ("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT",),
                                    ('ETag: "a"',), ()])
def test_authorization(rig, fields, under):
    path = rig.path(lambda r: (200, fields, whose("Authorization")(r)), under)
    for user in ["Basic alice", "Basic bob", "Basic alice"]:
        assert rig.ask(path, "Authorization: " + user).text == user
    assert rig.ask(path).text == "nobody"


def test_authorization_of_another_in_a_validation(rig):
    """Alice's answer is not stored, so that nobody's request is made conditional by it."""
    path = rig.path(lambda r: (200, (CACHEABLE, 'ETag: "alice"'), whose("Authorization")(r)))
    rig.ask(path, "Authorization: alice")
    rig.ask(path, "Authorization: bob")
    assert not rig.asked(path)[1].get("If-None-Match")


def test_what_nobody_got_may_not_be_told_as_alices(rig):
    """A page that looks at Authorization without saying so: who shows one is not given what was stored for nobody, or it
    is the same page."""
    path = rig.path(lambda r: (200, (CACHEABLE, "Vary: Authorization"), whose("Authorization")(r)))
    assert rig.ask(path).text == "nobody"
    assert rig.ask(path, "Authorization: alice").text == "alice"
    assert rig.ask(path).text == "nobody"


@pytest.mark.parametrize("under", ["/", "/ten/"])
@pytest.mark.parametrize("fields", [(CACHEABLE,), ("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT",), ('ETag: "a"',), (),
                                    ("CDN-Cache-Control: max-age=60",), ("Cache-Control: s-maxage=60, public",)])
def test_set_cookie(rig, fields, under):
    path = rig.path(lambda r: (200, (*fields, "Set-Cookie: id=" + r.get("X-Me"), "Set-Cookie2: x"), b"x"), under)
    assert rig.ask(path, "X-Me: alice").get("Set-Cookie") == "id=alice"
    for _ in range(2):
        assert rig.ask(path, "X-Me: bob").all("Set-Cookie") in ([], ["id=bob"])


@pytest.mark.parametrize("under", ["/", "/ten/"])
@pytest.mark.parametrize("field", ["Cache-Control: private", "Cache-Control: private, max-age=60", "Cache-Control: max-age=60\r\nCache-Control: private",
                                   "Cache-Control: no-store", "Cache-Control: max-age=60\r\nVary: *", "Cache-Control: max-age=60\r\nVary: Cookie",
                                   "CDN-Cache-Control: private\r\nCache-Control: max-age=60", "Cache-Control: max-age=60\r\nVary: foo, cOOkie"])
def test_private_answers(rig, field, under):
    path = rig.path(lambda r: (200, tuple(field.split("\r\n")), whose("Cookie")(r)), under)
    for user in ["id=alice", "id=bob", "id=alice"]:
        assert rig.ask(path, "Cookie: " + user).text == user
    assert rig.ask(path).text == "nobody"


def test_no_cache_is_not_told_without_asking(rig):
    path = rig.path(lambda r: (200, ("Cache-Control: no-cache", f'ETag: "{r.get("Cookie")}"'), whose("Cookie")(r)))
    for user in ["alice", "bob", "alice"]:
        assert rig.ask(path, "Cookie: " + user).text == user


def test_headers_of_a_client_are_not_stored(rig):
    path = rig.path(lambda r: (200, (CACHEABLE,), b"x"))
    rig.ask(path, "X-Secret: alice", "Cookie: alice")
    assert b"alice" not in rig.ask(path).raw_head


def test_compressed_for_those_who_asked_for_it(rig):
    path = rig.path(lambda r: (200, (CACHEABLE, "Content-Type: text/plain"), b"hello " * 500), "/zip/")
    first = rig.ask(path, "Accept-Encoding: gzip")
    assert first.get("Content-Encoding") == "gzip"
    for _ in range(2):
        plain = rig.ask(path)
        assert plain.get("Content-Encoding") is None and plain.body == b"hello " * 500
        assert rig.ask(path, "Accept-Encoding: br").get("Content-Encoding") == "br"
        assert rig.ask(path, "Accept-Encoding: gzip").body[:2] == b"\x1f\x8b"
        assert rig.ask(path, "Accept-Encoding: identity").get("Content-Encoding") is None
    assert len(rig.asked(path)) <= 3


# ---------------------------------------------------------------- fields that are not in the key

POISON = ["X-Forwarded-Host: evil", "X-Forwarded-Scheme: nothttps", "X-Forwarded-Proto: evil", "X-Forwarded-Port: 99", "X-Forwarded-Server: evil",
          "X-Forwarded-For: evil", "Forwarded: host=evil", "X-Forwarded-Prefix: /evil", "X-Real-IP: evil"]


@pytest.mark.parametrize("field", POISON)
def test_forwarded_fields_of_strangers(rig, field):
    """Whatever a server makes of them, it does not see what a client says, or the answer is not for others."""
    name = field.partition(":")[0]
    path = rig.path(lambda r: (200, (CACHEABLE,), (r.get(name) or "-").encode()))
    if "evil" in rig.ask(path, field).text or "99" in rig.ask(path, field).text:
        again = rig.ask(path).text
        assert "evil" not in again and "99" not in again


OVERRIDES = ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: POST", "X-Method-Override: PUT", "X-Original-URL: /admin", "X-Rewrite-URL: /admin",
             "X-Original-Method: POST"]


@pytest.mark.parametrize("under", ["/", "/ten/"])
@pytest.mark.parametrize("field", OVERRIDES)
def test_another_method_or_path_in_a_field(rig, field, under):
    """A server may answer something else than what the request line says: that is not the answer of this URL."""
    name, _, value = field.partition(": ")
    path = rig.path(lambda r: (200, (CACHEABLE,) if under == "/" else (), b"evil" if r.get(name) == value else b"good"), under)
    rig.ask(path, field)
    assert rig.ask(path).text == "good"
    assert rig.ask(path).text == "good"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_fat_request(rig, method):
    """A server may look at the body of GET, which is not in the key."""
    path = rig.path()
    assert rig.ask(path, method=method, body=b"evil").status == 200
    assert rig.ask(path).text == told_as("GET", path)


def told_as(method, target, host="a.test"):
    return f"{method} {target} {host} b''"


def test_fat_request_is_not_answered_from_the_store(rig):
    path = rig.path()
    rig.ask(path)
    got = rig.ask(path, body=b"a=1").text
    assert "a=1" in got or got == told_as("GET", path)
    assert rig.ask(path).text == told_as("GET", path)


def test_fat_request_in_chunks(rig):
    path = rig.path()
    with Client(rig.weir.port) as c:
        c.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n".encode())
        assert c.response().status == 200
    assert rig.ask(path).text == told_as("GET", path)


def test_an_error_that_a_field_provoked(rig):
    """Under a lifetime by configuration errors of the client are not stored."""
    for status in (400, 403, 406, 413, 431, 500, 502, 503):
        path = rig.path(lambda r, s=status: (s if r.get("X-Bad") else 200, (), b"x"), "/ten/")
        assert rig.ask(path, "X-Bad: 1").status == status
        assert rig.ask(path).status == 200, status


def test_oversized_fields(rig):
    """Refused by weir itself: nothing of it is stored."""
    path = rig.path()
    assert rig.ask(path, "X-Big: " + "x" * 100_000).status == 431
    assert rig.ask(path, *(f"X-{i}: x" for i in range(2000))).status == 431
    assert rig.ask(path).status == 200


def test_bad_requests(rig):
    path = rig.path()
    for bad in ["X Y: 1", "X: a\x01b", "Content-Length: x"]:
        assert rig.ask(path, bad).status == 400
    assert rig.ask(path).status == 200


def test_connection_names_a_field(rig):
    """It does not reach the server, and the answer is the one without it."""
    path = rig.path(lambda r: (200, (CACHEABLE,), whose("Authorization")(r)))
    got = rig.ask(path, "Connection: Authorization", "Authorization: alice").text
    assert rig.ask(path).text == "nobody"
    assert got in ("nobody", "alice")


def test_connection_names_what_selects(rig):
    """The answer is stored under what the server saw, not under what the client said."""
    path = rig.path(lambda r: (200, (CACHEABLE, "Vary: Foo"), whose("Foo")(r)))
    rig.ask(path, "Connection: Foo", "Foo: 1")
    assert rig.ask(path, "Foo: 1").text == "1"
    assert rig.ask(path).text == "nobody"


# ---------------------------------------------------------------- spelling of URLs

SPELLINGS = ["/p{}/a", "/p{}//a", "//p{}/a", "/p{}/./a", "/p{}/b/../a", "/p{}%2fa", "/p{}%2Fa", "/p{}/%61", "/p{}/%41", "/p{}/A", "/p{}/a/", "/p{}/a;x=1",
             "/p{}/a;x=2", "/p{}/a%3bx=1", "/p{}/a%3Bx=1", "/p{}/a%3f", "/p{}/a?", "/p{}/a%00", "/p{}/a%00b", "/p{}/a%20", "/p{}/a+", "/p{}/a%2b",
             "/p{}/a%0a", "/p{}/a%0d%0a", "/p{}/a%5c", "/p{}/b/..%2fa", "/p{}/b%2f../a", "/p{}/%2e/a", "/p{}/b/%2e%2e/a", "/p{}/%2561",
             "/p{}/a%", "/p{}/a%zz", "/p{}/\xe4", "/p{}/%e4", "/p{}/%E4", "/p{}/%c3%a4", "/p{}/a.css", "/p{}/a/.css", "/p{}/a%23", "/p{}/a#b",
             "/p{}/a..", "/p{}/a/..", "/p{}/...", "/../p{}/a", "/p{}/a|b", "/p{}/a?x=1", "/p{}/a?x=1&", "/p{}/a?&x=1", "/p{}/a?X=1", "/p{}/a?x=%31",
             "/p{}/a?x=1;y=2", "/p{}/a?x=1%26y=2", "/p{}/a??x=1", "/p{}/a?x=1?", "/p{}/a?x=\xe4", "/p{}/a?x%3d1", "/p{}/a?x=1#y"]


@pytest.mark.parametrize("order", [1, -1])
def test_every_spelling_gets_its_own_answer(rig, order):
    """Whatever shares an entry is the same to the server: each spelling gets what it would get without a cache."""
    number = next(_numbers)
    targets = [s.format(number) for s in SPELLINGS]
    right = {t: rig.ask(t, host="off.test") for t in targets}
    for t in [*targets[::order], *targets]:
        got = rig.ask(t)
        assert got.status == right[t].status, t
        if got.status == 200:
            assert got.text.replace("a.test", "off.test") == right[t].text, t


@pytest.mark.parametrize("first, second", [("a.test", "A.TEST"), ("A.test", "a.test"), ("a.test", "a.test:80"), ("a.test:80", "a.test"), ("a.test", "a.test:8080"),
                                           ("a.test:8080", "a.test"), ("a.test:1", "a.test:2"), ("x.a.test", "y.a.test"), ("a.test", "b.test"),
                                           ("a.test", "a.test."), ("a.test:", "a.test"), ("a.test:0080", "a.test")])
def test_hosts(rig, first, second):
    """An answer that tells the Host is told to those only who named that host and port, in whatever letters."""
    path = rig.path()
    for host in (first, second, first):
        got = rig.ask(path, host=host)
        if got.status == 200:
            seen = got.text.split(" ")[2]
            assert plain(seen) == plain(host), got.text


def plain(host):
    """Without what tells nothing: letters, a dot at the end, the usual port."""
    name, _, port = host.lower().partition(":")
    return name.rstrip("."), int(port or 80)


def test_hosts_in_other_letters_share(rig):
    path = rig.path()
    assert len({*stamps(rig.ask(path, host="a.test"), rig.ask(path, host="A.Test"))}) == 1


def test_a_port_is_not_lost(rig):
    """A server may tell the port in a redirect."""
    path = rig.path(lambda r: (301, (CACHEABLE, f"Location: http://{r.get('Host')}/x"), b""))
    assert rig.ask(path, host="a.test:1337").get("Location") == "http://a.test:1337/x"
    assert rig.ask(path).get("Location") == "http://a.test/x"


def test_two_hosts(rig):
    path = rig.path()
    assert rig.ask(path, "Host: b.test").status == 400
    assert rig.ask(path).text == told_as("GET", path)


def test_absolute_form(rig):
    """The host of the target is the one (RFC 9112 3.2.2); weir wants both to be the same."""
    path = rig.path()
    assert rig.ask(f"http://a.test{path}", host="b.test").status == 400
    assert rig.ask(f"http://a.test{path}", host="a.test").text == told_as("GET", path, "a.test")
    assert rig.ask(path, host="b.test").text == told_as("GET", path, "b.test")
    assert rig.ask(path, host="a.test").text == told_as("GET", path, "a.test")
    assert len(rig.asked(path)) == 2


def test_absolute_form_of_another_scheme(rig):
    """A client does not choose the scheme of the key."""
    path = rig.path(lambda r: (200, (CACHEABLE,), (r.get("X-Forwarded-Proto") or "-").encode()))
    first = rig.ask(f"https://a.test{path}")
    second = rig.ask(path)
    assert first.status >= 400 or first.text == second.text == "http"


@pytest.mark.parametrize("target", ["http://a.test@b.test/{}", "http://a.test:b@b.test/{}", "http://a.test%2f@b.test/{}", "http:///{}", "http://a.test\\{}", "a.test/{}",
                                    "http://a.test?/{}"])
def test_strange_targets(rig, target):
    """What is told of one host is never told of another."""
    number = next(_numbers)
    got = rig.ask(target.format(number))
    assert got.status >= 400 or "a.test" in got.text
    assert rig.ask(f"/{number}", host="b.test").text == told_as("GET", f"/{number}", "b.test")


# ---------------------------------------------------------------- deception

PAGE = (200, ("Content-Type: text/html",), b"account of alice")


@pytest.mark.parametrize("name", ["/x.css", "/x.js", "/x.png", "/x.jpg", "/x.svg", "/x.ico", "/x.woff2", "/x.pdf", "/x.CSS", "/x.css?a=1", ".css", "/.css"])
def test_a_page_under_the_name_of_a_file(rig, name):
    """/account/x.css is the page /account for many servers. It states no lifetime, and one by configuration is not for a page
    that pretends to be something else."""
    path = rig.path(under="/ten/", name=name.partition("?")[0])
    rig.scripts[path] = lambda r: PAGE if r.get("Cookie") else (200, ("Content-Type: text/html",), b"log in")
    query = name[name.find("?"):] if "?" in name else ""
    assert b"alice" in rig.ask(path + query, "Cookie: alice").body
    assert b"alice" not in rig.ask(path + query).body


@pytest.mark.parametrize("name", ["%2fx.css", "%2F..%2Fx", ";x.css", ";x", "%3bx.css", "%00.css", "%0a.css", "%23.css", "%3f.css", "/..%2fx", "\\x.css", "%5cx.css", "//x.css",
                                  "/./x.css", "/%2e%2e/x.css", "%2f%2e%2e%2fx"])
def test_a_page_under_a_name_that_servers_cut(rig, name):
    """Delimiters and encodings that weir does not look at, but servers do."""
    path = rig.path(under="/ten/", name=name)
    seen = []

    def script(r):
        seen.append(r.target)
        return PAGE if r.get("Cookie") else (200, ("Content-Type: text/html",), b"log in")
    with rig.origin.lock:
        old, rig.origin.script = rig.origin.script, lambda r: answer_of(*script(r))
    try:
        first = rig.ask(path, "Cookie: alice")
        assert first.status >= 400 or b"alice" in first.body
        assert b"alice" not in rig.ask(path).body
    finally:
        rig.origin.script = old


def answer_of(status, fields, body):
    return "\r\n".join([f"HTTP/1.1 {status} Said", *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


@pytest.mark.parametrize("name, kind", [("/x.css", "text/css"), ("/x.js", "text/javascript"), ("/x.js", "application/javascript"), ("/x.png", "image/png"),
                                        ("/x.html", "text/html"), ("/x", "text/html"), ("/x.json", "application/json"), ("/x.png", "image/webp"),
                                        ("/x.woff2", "font/woff2"), ("/x.css", "text/css; charset=utf-8"), ("/x.php", "text/html"), ("/v1.2", "text/html")])
def test_what_is_what_it_says_gets_its_lifetime(rig, name, kind):
    path = rig.path(lambda r: (200, (f"Content-Type: {kind}",), b"x"), "/ten/", name)
    assert len({*stamps(rig.ask(path, "Cookie: a=b"), rig.ask(path))}) == 1


def test_a_stated_lifetime_is_the_servers_word(rig):
    path = rig.path(lambda r: (200, (CACHEABLE, "Content-Type: text/html"), b"x"), "/ten/", "/x.css")
    assert len({*stamps(rig.ask(path), rig.ask(path))}) == 1
