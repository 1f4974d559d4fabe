# SPDX-License-Identifier: Apache-2.0
"""`auth key`: API keys, their limits, and who tries without a good one."""
import hashlib

import pytest

from kit import wait_until, weir_cli
from kit.h2raw import H2Raw

BUILD, SHOP, SHORT = "wk_0123456789abcdef", "wk_fedcba9876543210", "secret"


def line(name, key, rest=""):
    return f"{name} {hashlib.sha256(key.encode()).hexdigest()} {rest}\n"


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys"
    path.write_text("# keys\n" + line("build", BUILD, "team=ci groups=a groups=b") + line("short", SHORT) +
                    line("shop", SHOP, "limit=2r/h burst=2"))
    return path


def status(w, *headers, path="/", **kw):
    return w.get(path, headers=list(headers), **kw).status


def guarded(weir, keys, options=""):
    return weir(f'site * {{ respond 200 "for $user by $auth ${{claim.team}} ${{claim.groups}}"\n'
                f' auth key {keys} {options} }}\n')


def test_who_has_a_key_gets_in(weir, keys):
    w = guarded(weir, keys)
    r = w.get(headers=[f"X-Api-Key: {BUILD}"])
    assert (r.status, r.text) == (200, "for build by key ci a,b")
    r = w.get()
    assert r.status == 401 and r.all("WWW-Authenticate") == ["ApiKey"]


@pytest.mark.parametrize("headers", [
    [f"X-Api-Key: {BUILD}x"], [f"X-Api-Key: {BUILD[:-1]}"], [f"X-Api-Key: {BUILD.upper()}"], ["X-Api-Key:"],
    [f"X-Api-Key: {hashlib.sha256(BUILD.encode()).hexdigest()}"], [f"X-Api-Key: {SHORT}"],
    [f"X-Api-Key: {BUILD}", f"X-Api-Key: {BUILD}"], [f"X-Api-Key: {BUILD}", "X-Api-Key: x"],
    [f"X-Api-Key: {BUILD}, {BUILD}"], [f"X_Api_Key: {BUILD}"], [f"Authorization: Bearer {BUILD}"],
    [f"Cookie: X-Api-Key={BUILD}"], ["X-Api-Key: " + "k" * 4000]])
def test_nothing_else_gets_in(weir, keys, headers):
    w = guarded(weir, keys)
    assert status(w, *headers) == 401
    assert status(w, path=f"/?X-Api-Key={BUILD}") == 401
    assert status(w, f"x-api-key: {BUILD}") == 200


def test_places(weir, keys):
    w = guarded(weir, keys, "header=Authorization cookie=key query=api_key")
    assert status(w, f"Authorization: Bearer {BUILD}") == status(w, f"Cookie: a=b; key={BUILD}") == 200
    assert status(w, path=f"/?api_key={BUILD}") == status(w, path=f"/?a=b&%61pi_key={BUILD}") == 200
    assert status(w, f"Cookie: key={BUILD}", path=f"/?api_key={BUILD}") == 401
    assert status(w, path=f"/?api_key={BUILD}&api_key={BUILD}") == 401
    assert status(w, f"Authorization: Basic {BUILD}") == 401


def test_http2(weir, keys):
    w = guarded(weir, keys)
    with H2Raw(w.port) as c:
        assert c.get("/")[0] == 401
        assert c.get("/", 3, extra=[("x-api-key", BUILD)])[0] == 200
        assert c.get("/", 5, extra=[("x-api-key", BUILD), ("x-api-key", BUILD)])[0] == 401


def test_neither_server_nor_log_gets_the_key(weir, keys, origin):
    o = origin()
    w = weir(f"""workers 1
        listen @listen@
        admin @admin@
        log access "$method $uri $query $status" to=@dir@/access.log
        site * {{ proxy {o.address}
        auth key {keys} query=k header=X-Api-Key
        route /keep {{ auth key {keys} query=k keep
            proxy {o.address} }} }}""")
    assert status(w, path=f"/a?x=1&k={BUILD}&y=2") == 200
    assert o.requests[-1].target == "/a?x=1&y=2"
    assert status(w, path=f"/a?k={BUILD}") == 200 and o.requests[-1].target == "/a"
    assert status(w, f"X-Api-Key: {BUILD}") == 200
    assert BUILD not in str(o.requests[-1].headers)
    assert status(w, path=f"/keep?k={BUILD}") == 200 and BUILD in o.requests[-1].target
    assert status(w, path=f"/a?k={BUILD}x") == 401
    wait_until(lambda: len(w.log_lines()) >= 5, 3, "the log")
    assert "GET /a?x=1&y=2 x=1&y=2 200" in w.log_lines()
    assert BUILD not in "".join(w.log_lines()) + w.stderr


def test_two_files_with_one_place(weir, keys, tmp_path):
    (tmp_path / "others").write_text(line("other", "wk_other_other_other"))
    w = weir(f"site * {{ respond 200 $user\n auth any {{ key {keys} query=k; key {tmp_path}/others query=k }} }}\n")
    assert w.get("/?k=wk_other_other_other").text == "other"
    assert w.get(f"/?k={BUILD}").text == "build"


def test_limits_are_each_keys_own_and_outlive_reloads(weir, keys):
    w = guarded(weir, keys)
    assert [status(w, f"X-Api-Key: {SHOP}") for _ in range(2)] == [200, 200]
    r = w.get(headers=[f"X-Api-Key: {SHOP}"])
    assert r.status == 429 and 0 < int(r.get("Retry-After")) <= 1800
    assert status(w, f"X-Api-Key: {BUILD}") == 200
    w.reload()
    assert status(w, f"X-Api-Key: {SHOP}") == 429
    assert w.metric("weir_limit_refused_total") == 2


def test_file_changes_while_running(weir, keys):
    w = guarded(weir, keys)
    assert status(w, f"X-Api-Key: {BUILD}") == 200
    generation = w.generation()
    made = weir_cli("new-key", "fresh").stdout.splitlines()
    keys.write_text(made[1] + "\n")
    wait_until(lambda: w.generation() != generation, 10, "the file was read again")
    assert status(w, f"X-Api-Key: {BUILD}") == 401
    assert w.get(headers=[f"X-Api-Key: {made[0]}"]).text.startswith("for fresh")


def test_bad_file_is_refused(tmp_path):
    (tmp_path / "keys").write_text("build 1234\n")
    conf = tmp_path / "weir.conf"
    conf.write_text("site * {\n respond 200 ok\n auth key keys\n}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 3 and "keys:1: the hash is not SHA-256" in done.stderr and "1234" not in done.stderr


def test_in_tests_and_explain(tmp_path, keys):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"""site * {{ respond 200 ok
        auth key {keys}
        test "closed" {{
            GET /
            expect status 401
        }}
        test "open" {{
            GET / X-Api-Key={BUILD}
            expect status 200
        }}
    }}""".replace(f"GET / X-Api-Key={BUILD}", f"GET /\n            header X-Api-Key {BUILD}"))
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 0, done.stderr
    assert "(3 keys)" in weir_cli("explain", "http://a/", "-c", conf).stdout


def test_new_key():
    done = weir_cli("new-key", "build")
    key, row = done.stdout.splitlines()
    assert len(key) == 3 + 43 and row == line("build", key).strip()
    assert weir_cli("new-key", "build").stdout != done.stdout
    for bad in "a b", "", "#x":
        assert weir_cli("new-key", bad).returncode == 2
