# SPDX-License-Identifier: Apache-2.0
"""`geo`: countries and networks of clients by real databases, and who tries to come from elsewhere."""
import os
import time

import pytest

from kit import wait_until, weir_cli
from kit.h2raw import H2Raw
from kit.mmdb import write

TRUSTING = "trust 127.0.0.0/8\n"
COUNTRIES = {
    "203.0.113.0/24": {"country": {"iso_code": "DE", "geoname_id": 1}, "city": {"names": {"de": "Köln", "en": "Cologne"}}},
    "198.51.100.0/25": {"country": {"iso_code": "FR"}},
    "2001:db8:1::/48": {"country": {"iso_code": "DE"}},
}
NETWORKS = {
    "203.0.113.0/25": {"autonomous_system_number": 64500, "autonomous_system_organization": 'Example "Net"'},
    "2001:db8::/32": {"autonomous_system_number": 4200000000, "autonomous_system_organization": "Six"},
}


@pytest.fixture
def files(tmp_path):
    return write(tmp_path / "country.mmdb", COUNTRIES), write(tmp_path / "asn.mmdb", NETWORKS)


def site(files, lines, trust=TRUSTING):
    return (trust + "geo " + " ".join(map(str, files)) +
            "\nsite * {\n respond 200 \"$country|$city|$asn|$as_org\"\n" + lines + "\n}\n")


def ask(w, ip, **kw):
    return w.get(headers=[f"X-Forwarded-For: {ip}"], **kw)


def status(w, ip):
    return ask(w, ip).status


def test_variables(weir, files):
    w = weir(site(files, ""))
    assert ask(w, "203.0.113.9").text == 'DE|Cologne|64500|Example "Net"'
    assert ask(w, "203.0.113.200").text == "DE|Cologne||"
    assert ask(w, "198.51.100.127").text == "FR|||"
    assert ask(w, "2001:db8:1::9").text == "DE||4200000000|Six"
    assert ask(w, "2001:db8:2::9").text == "||4200000000|Six"


@pytest.mark.parametrize("ip", ["198.51.100.128", "198.51.99.255", "10.1.2.3", "192.168.0.1", "127.0.0.2", "::1",
                                "fe80::1", "2001:db9::1", "0.0.0.0", "255.255.255.255"])
def test_nobody_knows(weir, files, ip):
    assert ask(weir(site(files, "", "trust 127.0.0.1\n")), ip).text == "|||"


@pytest.mark.parametrize("alias", ["::ffff:203.0.113.9", "::FFFF:cb00:7109", "[::ffff:203.0.113.9]:80", "203.0.113.9:99"])
def test_mapped_addresses_are_what_they_map(weir, files, alias):
    assert ask(weir(site(files, "")), alias).text.startswith("DE|Cologne|64500|")


def test_conditions(weir, files):
    w = weir(site(files, """when country in FR GB { respond 451 }
        when asn == 64500 { respond 410 }
        when asn in 1 4200000000 { respond 411 }"""))
    assert [status(w, ip) for ip in ("198.51.100.1", "203.0.113.9", "203.0.113.200", "2001:db8:1::1", "10.0.0.1")] == [
        451, 410, 200, 411, 200]


def test_who_is_in_no_country(weir, files):
    """What is not known is in no list; whoever wants it let in says so."""
    w = weir(site(files, "when not country in DE { respond 403 }"))
    assert (status(w, "203.0.113.9"), status(w, "198.51.100.1"), status(w, "10.0.0.1")) == (200, 403, 403)
    w.reload(site(files, "when country and country not in DE { respond 403 }"))
    assert (status(w, "203.0.113.9"), status(w, "198.51.100.1"), status(w, "10.0.0.1")) == (200, 403, 200)


@pytest.mark.parametrize("headers", [
    ["X-Forwarded-For: 203.0.113.9"], ["Forwarded: for=203.0.113.9"], ["X-Real-IP: 203.0.113.9"],
    ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 203.0.113.8"], ["x-FORWARDED-for: 203.0.113.9"],
    ["CF-IPCountry: DE"], ["X-Country: DE"], ["Connection: X-Forwarded-For", "X-Forwarded-For: 203.0.113.9"]])
def test_nobody_but_trusted_proxies_tells_where_clients_are(weir, files, headers):
    w = weir(site(files, "when not country in DE { respond 403 }", trust=""))
    assert w.get(headers=headers).status == 403


def test_hearsay_before_a_trusted_proxy(weir, files):
    w = weir(site(files, "when not country in DE { respond 403 }"))
    assert status(w, "203.0.113.9, 198.51.100.1") == 403
    assert status(w, "198.51.100.1, 203.0.113.9") == 200


def test_http2_and_methods(weir, files):
    w = weir(site(files, "when not country in DE { respond 403 }", trust=""))
    with H2Raw(w.port) as c:
        assert c.get("/")[0] == 403
    for method in "HEAD", "OPTIONS", "PUT", "FOO":
        with w.client() as c:
            assert c.get(method=method, headers=["X-HTTP-Method-Override: GET"]).status == 403


def test_access_log_and_headers_for_servers(weir, origin, files):
    o = origin()
    w = weir(TRUSTING + "workers 1\nlisten @listen@\nadmin @admin@\nlog access \"$country $asn $as_org\" to=@dir@/access.log\n"
             f"geo {files[0]}\ngeo {files[1]}\n"
             "site * {\n proxy @o@\n request set X-Country $country\n}\n", o=o)
    ask(w, "203.0.113.9")
    assert o.requests[0].get("X-Country") == "DE"
    wait_until(lambda: w.log_lines(), 3)
    assert w.log_lines()[0].startswith("DE 64500 Example ")


# ---------------------------------------------------------------- files

def test_first_database_that_knows_has_the_word(weir, tmp_path, files):
    other = write(tmp_path / "other.mmdb", {"203.0.113.0/24": {"country_code": "AT", "asn": "AS64499", "as_name": "Other"},
                                            "10.0.0.0/8": {"country": "ZZ", "city": "Inside"}})
    w = weir(site((other, *files), ""))
    assert ask(w, "203.0.113.9").text == "AT|Cologne|64499|Other"
    assert ask(w, "10.1.1.1").text == "ZZ|Inside||"


def test_names_of_countries_are_no_codes(weir, tmp_path):
    w = weir(site((write(tmp_path / "x.mmdb", {"203.0.113.0/24": {"country": "Germany", "asn": "none"}}),), ""))
    assert ask(w, "203.0.113.9").text == "|||"


def test_file_that_changes_is_read_again(weir, tmp_path, files):
    w = weir(site(files, ""))
    assert ask(w, "198.51.100.1").text == "FR|||"
    before = w.generation()
    write(tmp_path / "new", {"198.51.100.0/24": {"country": {"iso_code": "BE"}}})
    os.rename(tmp_path / "new", files[0])
    wait_until(lambda: w.generation() != before, 20, "the file being read again")
    assert ask(w, "198.51.100.1").text == "BE|||"


def damaged(data, how):
    if how == "cut":
        return data[:len(data) // 2]
    if how == "empty":
        return b""
    if how == "text":
        return b"203.0.113.0/24 DE\n"
    return data.replace(b"node_count", b"node_court")


@pytest.mark.parametrize("how", ["cut", "empty", "text", "metadata"])
def test_damaged_file_is_an_error_in_its_place(tmp_path, files, how):
    files[1].write_bytes(damaged(files[1].read_bytes(), how))
    conf = tmp_path / "weir.conf"
    conf.write_text(f"geo {files[0]} {files[1]}\nsite * {{\n respond 200 x\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0
    assert f"{conf}:1:{6 + len(str(files[0]))}: error: {files[1]} is no database" in done.stderr, done.stderr


def test_damaged_file_leaves_the_old_one_in_force(weir, files):
    w = weir(site(files, ""))
    files[0].write_bytes(damaged(files[0].read_bytes(), "cut"))
    w.wait_stderr(f"{files[0]} is no database that can be used", 20)
    time.sleep(0.1)
    assert ask(w, "198.51.100.1").text == "FR|||"


def test_data_that_is_rubbish_is_not_known(weir, files):
    """The library checks where it reads; what it cannot make sense of is like nothing."""
    data = bytearray(files[0].read_bytes())
    begin = data.rindex(b"\xab\xcd\xefMaxMind.com")
    at = data.index(b"iso_code") - 40
    data[at:begin] = b"\xff" * (begin - at)
    files[0].write_bytes(data)
    w = weir(site(files, ""))
    for ip in "203.0.113.9", "198.51.100.1", "2001:db8:1::1":
        assert ask(w, ip).text.startswith("||")


def test_reloads_keep_what_did_not_change(weir, files):
    w = weir(site(files, ""))
    for _ in range(20):
        w.reload(by="command")
    maps = open(f"/proc/{w.worker_pid}/maps").read()
    assert maps.count("weir-geo") == 2
    assert ask(w, "203.0.113.9").text.startswith("DE|")


def test_explain_and_tests(tmp_path, files):
    conf = tmp_path / "weir.conf"
    conf.write_text("geo country.mmdb asn.mmdb\nsite * {\n respond 200 x\n when country == DE { respond 451 }\n"
                    " test \"from there\" {\n  GET / from=203.0.113.9\n  expect status 451\n }\n"
                    " test \"from elsewhere\" {\n  GET / from=198.51.100.1\n  expect status 200\n }\n}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 0, done.stderr
    text = weir_cli("explain", "http://a.test/", "--from", "203.0.113.9", "-c", conf).stdout
    assert 'country DE, city Cologne, asn 64500 Example "Net"' in text and "country == DE: holds" in text
    assert "country unknown" in weir_cli("explain", "http://a.test/", "-c", conf).stdout


def test_conditions_without_a_database_warn(tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text("site * {\n respond 200 x\n when asn == 5 { respond 204 }\n}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 0 and "nothing is known of anybody's country or network" in done.stderr
    assert "client" not in weir_cli("explain", "http://a.test/", "-c", conf).stdout


@pytest.mark.parametrize("line,want", [("when country == de { respond 204 }", "two capital letters"),
                                       ("when asn == AS5 { respond 204 }", "the number of an autonomous system"),
                                       ("when asn == 0 { respond 204 }", "the number of an autonomous system"),
                                       ("when asn == 05 { respond 204 }", "the number of an autonomous system"),
                                       ("when asn == 4294967296 { respond 204 }", "the number of an autonomous")])
def test_mistakes(tmp_path, line, want):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n respond 200 x\n {line}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and want in done.stderr, done.stderr
