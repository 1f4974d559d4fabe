# SPDX-License-Identifier: Apache-2.0
"""Forgetting at run time: by URL, prefix, tag, or everything; by command, by the control socket, and by the method PURGE."""
import itertools
import threading
import time

import pytest

from kit import Client, Hold, Origin, Weir, answer, get, wait_until, weir_cli

CONF = """workers 2
listen @listen@
admin @admin@
log access off
cache_store memory size=64M
upstream o { server @o@; retry off; eject off; concurrency off; keepalive off }
site refused.test { cache { purge 10.0.0.0/8 }; proxy o }
site plain.test { cache; proxy o }
site * { cache { purge 127.0.0.0/8 }; proxy o }
"""
CACHEABLE = "Cache-Control: max-age=3600"
_numbers = itertools.count(1)


class Rig:
    def __init__(self):
        self.count = itertools.count(1)
        self.tags = {}
        self.origin = Origin(self.script)
        self.weir = Weir(CONF, o=self.origin)

    def script(self, r):
        if r.get("If-None-Match"):
            return b"HTTP/1.1 304 Not Modified\r\nAge: 0\r\n\r\n"
        return answer(f"{next(self.count)}", headers=[CACHEABLE, 'ETag: "a"', *self.tags.get(r.target, [])])

    def path(self, *tags):
        path = f"/{next(_numbers)}/"
        self.tags[path] = tags
        return path

    def ask(self, path, host="a.test", **kw):
        return self.weir.get(path, host, **kw)

    def asked(self, path):
        return [r for r in self.origin.requests if r.target == path]

    def purge(self, *words):
        done = weir_cli("purge", *words, "-c", self.weir.config)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def rig():
    r = Rig()
    with r.origin, r.weir:
        yield r


def url(path, host="a.test"):
    return f"http://{host}{path}"


# ---------------------------------------------------------------- by command

def test_by_url(rig):
    path, other = rig.path(), rig.path()
    first, kept = rig.ask(path).text, rig.ask(other).text
    rig.ask(path + "?a=1")
    rig.purge(url(path))
    assert rig.ask(path).text != first
    assert not rig.asked(path)[1].get("If-None-Match"), "it is gone, not only stale"
    assert rig.ask(other).text == kept
    rig.ask(path + "?a=1")
    assert len(rig.asked(path + "?a=1")) == 1, "another query is another URL"


def test_by_url_with_a_query(rig):
    path = rig.path()
    first = [rig.ask(path).text, rig.ask(path + "?a=1").text]
    rig.purge(url(path + "?a=1"))
    second = [rig.ask(path).text, rig.ask(path + "?a=1").text]
    assert first[0] == second[0] and first[1] != second[1]


@pytest.mark.parametrize("spelling", ["http://A.test{}", "HTTP://a.test{}", "http://a.test:80{}", "http://a.test/x/..{}", "http://a.test.{}"])
def test_a_url_in_another_spelling(rig, spelling):
    path = rig.path()
    first = rig.ask(path).text
    rig.purge(spelling.format(path))
    assert rig.ask(path).text != first


def test_all_variants_of_a_url(rig):
    path = rig.path("Vary: Foo")
    first = [rig.ask(path, headers=[f"Foo: {i}"]).text for i in range(5)]
    rig.purge(url(path))
    assert not set(first) & {rig.ask(path, headers=[f"Foo: {i}"]).text for i in range(5)}


def test_another_host_is_another_url(rig):
    path = rig.path()
    first = rig.ask(path, "b.test").text
    rig.purge(url(path))
    assert rig.ask(path, "b.test").text == first


def test_by_prefix(rig):
    path, other = rig.path(), rig.path()
    names = [path, path + "a", path + "a/b", path + "?x", path + "%20"]
    first = [rig.ask(n).text for n in names]
    kept = rig.ask(other).text
    rig.purge("--prefix", url(path))
    assert not set(first) & {rig.ask(n).text for n in names}
    assert rig.ask(other).text == kept


@pytest.mark.parametrize("field", ["Surrogate-Key: x {} y", "Cache-Tag: x,{},y", "Cache-Tag: {}", "Surrogate-Key: {}", "Cache-Tag: x, {} , y", "cache-tag: {}"])
def test_by_tag(rig, field):
    tag = f"tag-{next(_numbers)}"
    path, other = rig.path(field.format(tag)), rig.path(field.format(tag + "x"))
    first, kept = rig.ask(path).text, rig.ask(other).text
    rig.purge("--tag", tag)
    assert rig.ask(path).text != first
    assert rig.ask(other).text == kept


def test_a_tag_of_many(rig):
    tag = f"tag-{next(_numbers)}"
    paths = [rig.path(f"Surrogate-Key: {tag} {i}") for i in range(500)]
    with rig.weir.client() as c:
        first = [c.get(p).text for p in paths]
        began = time.monotonic()
        told = rig.purge("--tag", tag)
        assert time.monotonic() - began < 3
        assert "500" in told
        assert not set(first) & {c.get(p).text for p in paths}


def test_tags_do_not_reach_clients_or_do(rig):
    """Surrogate-Key is for caches between; whatever becomes of it is the same for a miss and a hit."""
    path = rig.path("Surrogate-Key: x")
    assert rig.ask(path).all("Surrogate-Key") == rig.ask(path).all("Surrogate-Key")


def test_everything(rig):
    paths = [rig.path() for _ in range(20)]
    first = [rig.ask(p, h).text for p in paths for h in ("a.test", "b.test")]
    rig.purge("--all")
    assert not set(first) & {rig.ask(p, h).text for p in paths for h in ("a.test", "b.test")}


@pytest.mark.parametrize("kind", ["url", "prefix", "tag", "all"])
def test_softly(rig, kind):
    tag = f"tag-{next(_numbers)}"
    path = rig.path(f"Cache-Tag: {tag}")
    first = rig.ask(path).text
    words = {"url": [url(path)], "prefix": ["--prefix", url(path)], "tag": ["--tag", tag], "all": ["--all"]}[kind]
    rig.purge(*words, "--soft")
    assert rig.ask(path).text == first, "it is validated"
    assert rig.asked(path)[1].get("If-None-Match") == '"a"'
    assert rig.ask(path).text == first and len(rig.asked(path)) == 2, "and fresh again"


def test_what_was_never_there(rig):
    rig.purge(url("/nowhere"))
    rig.purge("--tag", "nobody")
    rig.purge("--prefix", url("/nowhere"))


@pytest.mark.parametrize("words", [[], ["nonsense"], ["--tag"], ["--prefix"], ["--nonsense", "x"], ["http://"], ["ftp://a.test/"]])
def test_mistakes(rig, words):
    done = weir_cli("purge", *words, "-c", rig.weir.config)
    assert done.returncode != 0 and done.stderr


def test_all_workers_at_once(rig):
    """No connection to any worker gets what is older than the purge."""
    path = rig.path()
    for _ in range(10):
        old = int(rig.ask(path).text)
        clients = [Client(rig.weir.port) for _ in range(16)]
        for c in clients:
            assert c.get(path).text == str(old)
        rig.purge(url(path))
        for c in clients:
            assert int(c.get(path).text) > old
            c.close()


def test_under_load(rig):
    path = rig.path()
    stop, bad = threading.Event(), []
    newest = [0]

    def load():
        while not stop.is_set():
            least = newest[0]
            if int(get(rig.weir.port, path).text) < least:
                bad.append(1)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(10):
        before = int(rig.ask(path).text)
        rig.purge(url(path))
        newest[0] = before + 1
    stop.set()
    for t in threads:
        t.join()
    assert not bad


def test_a_fetch_that_is_under_way(weir, origin):
    """What was asked for before the purge is not stored after it."""
    hold = Hold()
    first = iter([[hold, answer("old", headers=[CACHEABLE])]])
    o = origin(lambda r: next(first, None) or answer("new", headers=[CACHEABLE]))
    w = weir(CONF, o=o)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert hold.reached.wait(5)
        assert weir_cli("purge", "--all", "-c", w.config).returncode == 0
        hold.release()
        assert c.response().text == "old"
    assert w.get().text == "new"


# ---------------------------------------------------------------- by the method PURGE

def test_method(rig):
    path = rig.path()
    first = rig.ask(path).text
    r = rig.ask(path, method="PURGE")
    assert r.status in (200, 204)
    assert rig.ask(path).text != first
    assert not [q for q in rig.asked(path) if q.method == "PURGE"], "the server is not asked"


def test_method_is_for_its_url(rig):
    path = rig.path()
    first = [rig.ask(path).text, rig.ask(path + "?a").text, rig.ask(path, "b.test").text]
    rig.ask(path, method="PURGE")
    second = [rig.ask(path).text, rig.ask(path + "?a").text, rig.ask(path, "b.test").text]
    assert first[0] != second[0] and first[1:] == second[1:]


def test_method_from_an_address_that_may_not(rig):
    path = rig.path()
    first = rig.ask(path, "refused.test").text
    r = rig.ask(path, "refused.test", method="PURGE")
    assert r.status in (403, 405)
    assert rig.ask(path, "refused.test").text == first
    assert len(rig.asked(path)) == 1


def test_method_that_nobody_allowed(rig):
    """It is like any other method that weir does not know; or refused."""
    path = rig.path()
    rig.ask(path, "plain.test")
    r = rig.ask(path, "plain.test", method="PURGE")
    assert r.status in (200, 403, 405, 501)
    assert len(rig.asked(path)) <= 2


def test_method_does_not_believe_fields(rig):
    path = rig.path()
    first = rig.ask(path, "refused.test").text
    for field in ("X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Real-IP: 10.0.0.1"):
        assert rig.ask(path, "refused.test", method="PURGE", headers=[field]).status in (403, 405)
    assert rig.ask(path, "refused.test").text == first


# ---------------------------------------------------------------- and what the disk has of it

def test_what_was_purged_does_not_come_back(weir, origin, tmp_path):
    count = itertools.count(1)
    o = origin(lambda r: answer(f"{next(count)}" * 2000, headers=[CACHEABLE, "Cache-Tag: t"]))
    conf = CONF.replace("cache_store memory", f"cache_store disk {tmp_path}/d size=100M\ncache_store memory")
    w = weir(conf, o=o)
    first = [w.get(f"/{i}").body for i in range(10)]
    wait_until(lambda: len([p for p in (tmp_path / "d").rglob("*") if p.is_file() and p.stat().st_size > 1000]) >= 10, 5, "files")
    assert weir_cli("purge", "--tag", "t", "-c", w.config).returncode == 0
    w.kill()
    w = weir(conf, o=o)
    time.sleep(0.3)
    assert not set(first) & {w.get(f"/{i}").body for i in range(10)}
