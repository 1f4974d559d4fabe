# SPDX-License-Identifier: Apache-2.0
"""`ban`: who is banned for what, for how long, what that means, and who is not to be banned."""
import json
import os
import shutil
import signal
import time

import pytest

from kit import BINARY, Client, Closed, wait_until, weir_cli
from kit.h2raw import H2Raw

TRUSTING = "trust 127.0.0.0/8\n"


def site(rule, more="", trust=TRUSTING):
    return trust + f"""{more}
site * {{
    {rule}
    respond 200 ok
    route /missing {{ respond 404 no }}
    route /denied {{ respond 403 no }}
}}"""


def status(w, path, ip):
    return w.get(path, headers=[f"X-Forwarded-For: {ip}"]).status


def bans(w):
    r = w.admin("/bans")
    assert r.status == 200
    return {b["address"]: b for b in json.loads(r.body)}


def misbehave(w, ip, times=3, path="/missing"):
    return [status(w, path, ip) for _ in range(times)]


def test_enough_errors_ban_the_address_everywhere(weir):
    w = weir(site("ban 10m when 3 status in 403 404 within 1m",
                  "site other.test { respond 200 other }\n"))
    assert misbehave(w, "10.0.0.1") == [404, 404, 404]
    assert status(w, "/", "10.0.0.1") == 403
    assert w.get("/", "other.test", ["X-Forwarded-For: 10.0.0.1"]).status == 403
    assert status(w, "/", "10.0.0.2") == 200
    (b,) = bans(w).values()
    assert b["address"] == "10.0.0.1" and 590 < b["seconds_left"] <= 600 and b["times"] == 1
    assert w.metric("weir_bans_total") == 1 and w.metric("weir_banned_requests_total") == 2
    w.wait_stderr("10.0.0.1 is banned for 600 s (time 1): 10m when 3 status in 403 404 within 1m")


def test_fewer_errors_and_others_do_not(weir):
    w = weir(site("ban 10m when 3 status in 404 within 1m"))
    misbehave(w, "10.0.0.1", 2)
    misbehave(w, "10.0.0.1", 5, "/denied")
    misbehave(w, "10.0.0.1", 5, "/")
    assert status(w, "/", "10.0.0.1") == 200 and not bans(w)
    misbehave(w, "10.0.0.1", 1)
    assert status(w, "/", "10.0.0.1") == 403


def test_errors_long_ago_do_not_count(weir):
    w = weir(site("ban 10m when 3 status in 4xx within 1s"))
    misbehave(w, "10.0.0.1", 2)
    time.sleep(2.1)
    misbehave(w, "10.0.0.1", 1)
    assert status(w, "/", "10.0.0.1") == 200


def test_it_ends_and_the_next_one_is_longer(weir):
    w = weir(site("ban 1s when 2 status in 404 within 1m"))
    misbehave(w, "10.0.0.1", 2)
    assert status(w, "/", "10.0.0.1") == 403
    wait_until(lambda: status(w, "/", "10.0.0.1") == 200, 3)
    assert not bans(w)
    misbehave(w, "10.0.0.1", 2)
    b = bans(w)["10.0.0.1"]
    assert b["times"] == 2 and b["seconds_left"] == 2


def test_it_does_not_grow_past_its_most(weir):
    w = weir(site("ban 1s when 1 status in 404 within 1m max=1s"))
    for _ in range(2):
        misbehave(w, "10.0.0.1", 1)
        assert bans(w)["10.0.0.1"]["seconds_left"] == 1
        wait_until(lambda: not bans(w), 3)


@pytest.mark.parametrize("alias", ["::ffff:10.0.0.1", "[::ffff:10.0.0.1]:80", "10.0.0.1:5555", "::FFFF:A00:1"])
def test_other_spellings_of_the_address(weir, alias):
    w = weir(site("ban 10m when 2 status in 404 within 1m"))
    assert misbehave(w, "10.0.0.1", 1) + misbehave(w, alias, 1) == [404, 404]
    assert status(w, "/", "10.0.0.1") == status(w, "/", alias) == 403


def test_a_network_of_ipv6_is_one(weir):
    w = weir(site("ban 10m when 2 status in 404 within 1m"))
    misbehave(w, "2001:db8::1", 1), misbehave(w, "2001:db8::ffff:2", 1)
    assert status(w, "/", "2001:db8::3") == 403 and status(w, "/", "2001:db8:0:1::1") == 200
    assert list(bans(w)) == ["2001:db8::/64"]


def test_nobody_gets_others_banned_by_a_header(weir):
    w = weir(site("ban 10m when 2 status in 404 within 1m", trust=""))
    for i in range(2):
        w.get("/missing", headers=["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1"])
    assert list(bans(w)) == ["127.0.0.1"]


def test_nor_gets_around_it_by_one(weir):
    w = weir(site("ban 10m when 3 status in 404 within 1m"))
    got = [status(w, "/missing", f"10.9.9.{i}, 192.0.2.1") for i in range(4)]
    assert got == [404, 404, 404, 403]


def test_a_trusted_proxy_is_never_banned(weir):
    w = weir(site("ban 10m when 2 status in 404 within 1m"))
    assert [w.get("/missing").status for _ in range(5)] == [404] * 5
    assert w.get("/missing", headers=["X-Forwarded-For: 127.0.0.9"]).status == 404
    assert not bans(w)


def test_connections_are_closed_at_once(weir):
    w = weir(site("ban 10m when 2 status in 404 within 1m", trust=""))
    with w.client() as kept:
        assert [kept.get("/missing").status for _ in range(2)] == [404, 404]
        r = kept.get("/")
        assert r.status == 403 and r.get("Connection") == "close"
    with pytest.raises((Closed, OSError)):
        w.get("/")
    assert w.metric("weir_banned_connections_total") >= 1  # the admin API stays open


def test_http2(weir):
    w = weir(site("ban 10m when 2 status in 404 within 1m", trust=""))
    with H2Raw(w.port) as c:
        assert [c.get("/missing", 1)[0], c.get("/missing", 3)[0], c.get("/", 5)[0]] == [404, 404, 403]


def test_refusals_of_limits_count(weir):
    w = weir(site("limit 1r/m burst=1\n ban 10m when 2 status in 429 within 1m"))
    assert misbehave(w, "10.0.0.1", 5, "/") == [200, 429, 429, 403, 403]
    assert list(bans(w)) == ["10.0.0.1"]


def test_reload_keeps_bans_and_counts(weir):
    text = site("ban 10m when 3 status in 404 within 1m")
    w = weir(text)
    misbehave(w, "10.0.0.1", 3), misbehave(w, "10.0.0.2", 2)
    w.reload("\n" + text)
    assert status(w, "/", "10.0.0.1") == 403
    misbehave(w, "10.0.0.2", 1)
    assert status(w, "/", "10.0.0.2") == 403


def test_when_block_makes_exceptions(weir):
    w = weir(site("when not ip in 10.0.0.0/8 { ban 10m when 2 status in 404 within 1m }"))
    misbehave(w, "10.0.0.1", 4), misbehave(w, "11.0.0.1", 2)
    assert list(bans(w)) == ["11.0.0.1"]


# ---------------------------------------------------------------- by hand

def cli(w, *args):
    return weir_cli(*args, "-c", w.config)


def test_by_hand(weir):
    w = weir(site(""))
    done = cli(w, "ban", "10.0.0.1", "2h")
    assert done.returncode == 0, done.stderr
    assert cli(w, "ban", "2001:db8::1", "1m").returncode == 0
    assert status(w, "/", "10.0.0.1") == status(w, "/", "2001:db8::2") == 403
    listed = {b["address"]: b for b in json.loads(cli(w, "ban").stdout)}
    assert set(listed) == {"10.0.0.1", "2001:db8::/64"}
    assert 7190 < listed["10.0.0.1"]["seconds_left"] <= 7200
    assert cli(w, "unban", "::ffff:10.0.0.1").returncode == 0
    assert status(w, "/", "10.0.0.1") == 200
    assert cli(w, "unban", "10.0.0.1").returncode != 0  # it is not any more
    assert cli(w, "unban", "--all").returncode == 0
    assert json.loads(cli(w, "ban").stdout) == []


@pytest.mark.parametrize("args", [["ban", "10.0.0.1"], ["ban", "a.test", "1m"], ["ban", "10.0.0.1", "soon"],
                                  ["ban", "10.0.0.0/8", "1m"], ["ban", "10.0.0.1", "400d"],
                                  ["unban"], ["unban", "10.0.0.1", "--all"], ["unban", "a.test"]])
def test_mistakes_of_hands(weir, args):
    assert cli(weir(site("")), *args).returncode in (1, 2)


def test_the_admin_address_only_lists(weir):
    w = weir(site(""))
    with Client(w.admin_port) as c:
        for path in "/ban?ip=10.0.0.1&seconds=60", "/unban?all=1":
            assert c.post(path, host=f"127.0.0.1:{w.admin_port}").status == 403
    assert bans(w) == {}


# ---------------------------------------------------------------- what outlives what

RULE = "ban 10m when 2 status in 404 within 1m"


@pytest.fixture
def again(weir, tmp_path):
    """Starts weir with the same configuration file and state folder as the time before."""
    def start(text=site(RULE), **kw):
        return weir(text, config=tmp_path / "weir.conf", env={"WEIR_CA_DIR": str(tmp_path / "state")}, **kw)
    return start


def file_of(tmp_path):
    files = [f for f in (tmp_path / "state").glob("bans-*") if f.suffix != ".new"]
    assert len(files) <= 1
    return files[0] if files else None


def test_restart(again):
    w = again()
    misbehave(w, "10.0.0.1", 2), misbehave(w, "2001:db8::1", 2), misbehave(w, "10.0.0.2", 2)
    cli(w, "unban", "10.0.0.2")
    cli(w, "ban", "10.0.0.3", "2h")
    w.stop()
    w = again()
    left = {address: (b["seconds_left"], b["times"]) for address, b in bans(w).items()}
    assert set(left) == {"10.0.0.1", "2001:db8::/64", "10.0.0.3"}
    assert 580 < left["10.0.0.1"][0] <= 600 and 7180 < left["10.0.0.3"][0] <= 7200
    assert status(w, "/", "10.0.0.1") == status(w, "/", "2001:db8::9") == 403
    assert status(w, "/", "10.0.0.2") == 200


def test_growing_times_outlive_a_restart(again):
    text = site("ban 1s when 1 status in 404 within 1m")
    w = again(text)
    misbehave(w, "10.0.0.1", 1)
    wait_until(lambda: not bans(w), 3)
    w.stop()
    w = again(text)
    assert not bans(w)
    misbehave(w, "10.0.0.1", 1)
    assert bans(w)["10.0.0.1"]["times"] == 2


def test_lifted_stays_lifted(again, tmp_path):
    w = again()
    misbehave(w, "10.0.0.1", 2), misbehave(w, "10.0.0.2", 2)
    w.stop()
    w = again()
    assert cli(w, "unban", "--all").returncode == 0
    w.stop()
    assert file_of(tmp_path).read_text() == ""
    assert not bans(again())


def test_a_worker_process_that_is_killed(weir):
    w = weir(site(RULE))
    misbehave(w, "10.0.0.1", 2)
    time.sleep(1.5)  # it tells once a second
    old = w.worker_pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: w.worker_pid != old and w.answers(), 10, "a new worker")
    assert list(bans(w)) == ["10.0.0.1"] and status(w, "/", "10.0.0.1") == 403


def test_everything_killed(again, tmp_path):
    w = again()
    misbehave(w, "10.0.0.1", 2)
    wait_until(lambda: file_of(tmp_path), 15, "the file")
    w.kill()
    assert list(bans(again())) == ["10.0.0.1"]
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600


def test_upgrade(again, tmp_path):
    shutil.copy(BINARY, tmp_path / "weir")
    w = again(binary=tmp_path / "weir")
    misbehave(w, "10.0.0.1", 2)
    time.sleep(1.5)
    assert weir_cli("upgrade", "-c", w.config).returncode == 0
    assert w.process.wait(40) == 0
    w.heir = w.status()["supervisor"]["pid"]
    assert list(bans(w)) == ["10.0.0.1"]
    misbehave(w, "10.0.0.2", 2)
    assert status(w, "/", "10.0.0.2") == 403
    time.sleep(1.5)
    weir_cli("stop", "-c", w.config)
    wait_until(lambda: "10.0.0.2" in file_of(tmp_path).read_text(), 5)
    assert "10.0.0.1 " in file_of(tmp_path).read_text()


def test_upgrade_right_after_a_ban_was_lifted(again, tmp_path):
    """The file may still have it; the list of the process before is what counts."""
    shutil.copy(BINARY, tmp_path / "weir")
    w = again()
    misbehave(w, "10.0.0.1", 2)
    w.stop()
    w = again(binary=tmp_path / "weir")
    assert cli(w, "unban", "--all").returncode == 0
    time.sleep(1.5)
    assert "10.0.0.1" in file_of(tmp_path).read_text()
    assert weir_cli("upgrade", "-c", w.config).returncode == 0
    assert w.process.wait(40) == 0
    w.heir = w.status()["supervisor"]["pid"]
    assert not bans(w)
    weir_cli("stop", "-c", w.config)
    wait_until(lambda: file_of(tmp_path).read_text() == "", 5)


def test_who_bans_nobody_keeps_no_file(again, tmp_path):
    again().stop()
    assert not (tmp_path / "state").exists() or file_of(tmp_path) is None


@pytest.mark.parametrize("line", ["nonsense", "10.0.0.0/8 99 1", "2001:db8::1 99 1", "10.0.0.9 -5 1", "10.0.0.9 99",
                                  "10.0.0.9 99999999999999999 1", "10.0.0.9 1 1 1", "10.0.0.9 1 99999999999"])
def test_damaged_file(again, tmp_path, line):
    """What stands before the damage holds."""
    w = again()
    misbehave(w, "10.0.0.1", 2)
    w.stop()
    file_of(tmp_path).write_text(file_of(tmp_path).read_text() + line + "\n")
    w = again()
    assert list(bans(w)) == ["10.0.0.1"]
    assert "the bans of the last run is damaged" in w.stderr


def test_100000_of_them(again, tmp_path):
    w = again()
    misbehave(w, "10.0.0.1", 2)
    w.stop()
    end = int((time.time() + 3600) * 1000)
    lines = [f"11.{i >> 16}.{i >> 8 & 255}.{i & 255} {end} 1\n" for i in range(100_000)]
    file_of(tmp_path).write_text("".join(lines))
    w = again()
    assert w.metric("weir_bans_active") == 100_000
    assert status(w, "/", "11.1.134.159") == 403 and status(w, "/", "11.1.134.160") == 200
    w.stop()
    assert len(file_of(tmp_path).read_text().splitlines()) == 100_000


def test_folder_that_cannot_be_written(weir, tmp_path):
    (tmp_path / "state").write_text("no folder")
    w = weir(site(RULE), env={"WEIR_CA_DIR": str(tmp_path / "state")})
    misbehave(w, "10.0.0.1", 2)
    w.wait_stderr("bans will not outlive this process", 15)
    assert status(w, "/", "10.0.0.1") == 403


def test_gauge(weir):
    w = weir(site("ban 1s when 1 status in 404 within 1m"))
    assert w.metric("weir_bans_active") == 0
    misbehave(w, "10.0.0.1", 1), misbehave(w, "10.0.0.2", 1)
    assert w.metric("weir_bans_active") == 2
    wait_until(lambda: w.metric("weir_bans_active") == 0, 4)
    assert w.metric("weir_bans_total") == 2


# ---------------------------------------------------------------- mistakes

@pytest.mark.parametrize("rule,want", [
    ("ban 10m", "ban"), ("ban 10m if 3 status in 404 within 1m", "expected 'ban TIME when"),
    ("ban 10m when 3 status in 404 in 1m", "expected 'ban TIME when"),
    ("ban 10 when 3 status in 404 within 1m", "has no unit"),
    ("ban 10m when 0 status in 404 within 1m", "between 1 and"),
    ("ban 10m when 3 status in 200 within 1m", "error status"),
    ("ban 10m when 3 status in 600 within 1m", "error status"),
    ("ban 10m when 3 status in 404 within 1ms", "between 1s"),
    ("ban 10m when 3 status in within 1m extra", "expected 'ban TIME when")])
def test_mistakes(tmp_path, rule, want):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n respond 200 x\n {rule}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and want in done.stderr, done.stderr
