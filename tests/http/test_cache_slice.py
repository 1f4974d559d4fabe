# SPDX-License-Identifier: Apache-2.0
"""`cache slice=SIZE`: what is large is fetched and stored in pieces."""
import re
import threading

import pytest

from kit import Client, Origin, Weir, answer, wait_until

SLICE = 64 * 1024
DATA = bytes((i * 7 + i // 251) % 256 for i in range(10 * SLICE + 1000))
CONF = """workers 2
listen @listen@
admin @admin@
log access off
site * {{ cache slice=64k status=on {{ purge 127.0.0.1 }}; proxy @o@ }}
"""


class Server:
    """Knows ranges, or does not; its file may change."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked = []
        self.tag, self.knows_ranges, self.status = '"v1"', True, None
        self.empty = None  # where the piece begins that has no bytes

    def __call__(self, request):
        wanted = request.get("Range")
        with self.lock:
            self.asked.append(wanted)
        if self.status:
            return answer(b"no", self.status, ["Cache-Control: max-age=60"])
        fields = ["Cache-Control: max-age=60", f"ETag: {self.tag}"]
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
        if not match or not self.knows_ranges:
            return answer(DATA, headers=fields)
        first, last = int(match[1]), min(int(match[2]), len(DATA) - 1)
        if first >= len(DATA):
            return answer(b"", "416 Range Not Satisfiable", [f"Content-Range: bytes */{len(DATA)}"])
        return answer(b"" if first == self.empty else DATA[first:last + 1], "206 Partial Content",
                      [*fields, f"Content-Range: bytes {first}-{last}/{len(DATA)}"])

    def pieces(self):
        return sorted(int(w[6:].split("-")[0]) // SLICE for w in self.asked if w)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def weir(server):
    with Origin(server) as o, Weir(CONF.format(), o=o) as w:
        yield w


def test_a_part_costs_its_pieces_alone(weir, server):
    first, last = 3 * SLICE + 5, 4 * SLICE + 9
    r = weir.get("/film", headers=[f"Range: bytes={first}-{last}"])
    assert (r.status, r.body) == (206, DATA[first:last + 1])
    assert r.get("Content-Range") == f"bytes {first}-{last}/{len(DATA)}"
    assert server.pieces() == [3, 4]


def test_the_whole_is_put_together_and_fetches_what_is_missing(weir, server):
    weir.get("/film", headers=[f"Range: bytes={2 * SLICE}-{2 * SLICE}"])
    r = weir.get("/film")
    assert (r.status, r.body) == (200, DATA)
    assert r.get("Content-Range") is None and int(r.get("Content-Length")) == len(DATA)
    assert server.pieces() == list(range(11))
    assert weir.get("/film").body == DATA
    assert len(server.asked) == 11


@pytest.mark.parametrize("wanted, first, last", [
    ("bytes=-10", len(DATA) - 10, len(DATA) - 1),
    (f"bytes={len(DATA) - 1}-", len(DATA) - 1, len(DATA) - 1),
    (f"bytes={SLICE - 1}-{SLICE}", SLICE - 1, SLICE),
    ("bytes=0-0", 0, 0),
    (f"bytes={SLICE}-{2 * SLICE - 1}", SLICE, 2 * SLICE - 1),
])
def test_ranges_at_the_edges(weir, wanted, first, last):
    for _ in range(2):
        r = weir.get("/film", headers=[f"Range: {wanted}"])
        assert (r.status, r.body) == (206, DATA[first:last + 1])
        assert r.get("Content-Range") == f"bytes {first}-{last}/{len(DATA)}"


def test_beyond_the_end(weir):
    weir.get("/film", headers=["Range: bytes=0-0"])
    r = weir.get("/film", headers=[f"Range: bytes={len(DATA)}-"])
    assert r.status in (200, 416) and (r.status == 416 or r.body == DATA)


def test_a_condition_of_the_client(weir):
    weir.get("/film", headers=["Range: bytes=0-0"])
    assert weir.get("/film", headers=['If-None-Match: "v1"']).status == 304


def test_a_server_without_ranges_is_stored_as_a_whole(weir, server):
    server.knows_ranges = False
    for _ in range(2):
        assert weir.get("/film").body == DATA
    r = weir.get("/film", headers=["Range: bytes=5-9"])
    assert (r.status, r.body) == (206, DATA[5:10])
    assert len(server.asked) == 1


def test_what_is_not_there_is_stored_too(weir, server):
    server.status = "404 Not Found"
    assert [weir.get("/none").status for _ in range(3)] == [404] * 3
    assert len(server.asked) == 1


def test_a_file_that_changed_breaks_off_and_is_fetched_anew(weir, server):
    weir.get("/film", headers=[f"Range: bytes=0-{3 * SLICE}"])
    server.tag = '"v2"'
    assert weir.get("/film").body == DATA[:4 * SLICE]  # never bytes of both
    assert weir.get("/film").body == DATA
    wait_until(lambda: "cache_changed" in weir.stderr, 5, "a line in the log")


def test_many_at_once_fetch_each_piece_once(weir, server):
    results = []

    def one():
        with Client(weir.port, timeout=20) as c:
            results.append(c.get("/film").body == DATA)
    threads = [threading.Thread(target=one) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [True] * 16
    assert server.pieces() == list(range(11))


def test_purge_drops_all_pieces(weir, server):
    assert weir.get("/film").body == DATA
    with Client(weir.port) as c:
        assert c.get("/film", method="PURGE").status == 200
    assert weir.get("/film").body == DATA
    assert len(server.asked) == 22


def test_a_change_by_post_drops_all_pieces(weir, server):
    assert weir.get("/film").body == DATA
    with Client(weir.port) as c:
        c.send(b"POST /film HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx")
        c.response(method="POST")
    assert weir.get("/film").body == DATA
    assert server.pieces() == sorted(2 * list(range(11)))


def test_if_range_gets_what_is_missing_too(weir, server):
    weir.get("/film", headers=["Range: bytes=0-9"])
    first, last = 5, 3 * SLICE
    r = weir.get("/film", headers=[f"Range: bytes={first}-{last}", 'If-Range: "v1"'])
    assert (r.status, r.body) == (206, DATA[first:last + 1])
    assert server.pieces() == [0, 1, 2, 3]


def test_who_asks_for_himself_gets_no_half_of_it(weir, server):
    weir.get("/film", headers=["Range: bytes=0-9"])
    r = weir.get("/film", headers=["Authorization: Basic YTpi"])
    assert (r.status, r.body) == (200, DATA)


def test_a_server_that_gives_up_ranges_is_not_asked_for_ever(weir, server):
    weir.get("/film", headers=["Range: bytes=0-9"])
    server.knows_ranges = False
    assert weir.get("/film").body == DATA[:SLICE]
    assert len(server.asked) <= 3
    assert weir.get("/film").body == DATA


@pytest.mark.parametrize("index", [0, 2])
def test_an_empty_piece_breaks_off(weir, server, index):
    server.empty = index * SLICE
    weir.get("/film")
    server.empty = None
    assert weir.get("/film").body == DATA


def test_what_a_client_finds_never_fresh_enough_is_asked_for_a_few_times(server):
    conf = CONF.replace("slice=64k", "slice=64k client_control=full")
    with Origin(server) as o, Weir(conf.format(), o=o) as w:
        r = w.get("/film", headers=["Cache-Control: min-fresh=1000"])
        assert (r.status, r.body) == (200, DATA)
        assert len(server.asked) <= 3


def test_the_key_of_a_piece_is_its_clients(server):
    conf = CONF.replace("slice=64k", 'slice=64k key="$request_id"')
    with Origin(server) as o, Weir(conf.format(), o=o) as w:
        assert w.get("/film").body == DATA
        assert server.pieces() == list(range(11))


def test_refresh_asks_the_server(server):
    conf = CONF.replace("status=on {{", "status=on {{ refresh header.X-Refresh == 1;")
    with Origin(server) as o, Weir(conf.format(), o=o) as w:
        assert w.get("/film").body == DATA
        assert w.get("/film", headers=["X-Refresh: 1"]).body == DATA
        assert len(server.asked) == 12 and server.asked[-1] is None


def test_only_if_cached_fetches_nothing(weir, server):
    only = "Cache-Control: only-if-cached"
    assert weir.get("/film", headers=[only]).status == 504
    assert server.asked == []
    weir.get("/film", headers=["Range: bytes=0-9"])
    assert weir.get("/film", headers=[only, "Range: bytes=3-5"]).body == DATA[3:6]
    assert len(server.asked) == 1
