# SPDX-License-Identifier: Apache-2.0
"""Every configuration example in the documentation must pass `weir check`.

Fenced blocks marked ```weir are whole files; ```weir site ones stand in a site, ```weir upstream ones in
an upstream; ```weir geo ones are whole files that name databases of /var/lib/GeoIP. The files of FILES are there."""
import re

import pytest

from kit import ROOT, mmdb, weir_cli

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
AROUND = {"": "{}", "site": "site * {{\n{}\n}}\n", "upstream": "upstream example {{\n{}\n}}\n"
          "site * {{ proxy example }}\n", "geo": "{}"}
# What examples find there.
FILES = {"/etc/weir/users": "alice:$2y$05$0AWnCdPgHYRTgwg/XourDeCx8IJ1kotL92xCa1T8kEMk0Y/pRcPb2\n",
         "/etc/weir/keys": "billing " + 64 * "5" + " limit=10r/s tenant=acme\n"}
BLOCK = re.compile(r"^( *)```weir ?(\w*)\n(.*?)^\1```", re.M | re.S)


def examples():
    for page in PAGES:
        for i, m in enumerate(BLOCK.finditer(page.read_text())):
            line = page.read_text()[:m.start()].count("\n") + 1
            yield pytest.param(m[2], m[3], id=f"{page.relative_to(ROOT)}:{line}")


@pytest.mark.parametrize("place,text", examples())
def test_example_is_valid(tmp_path, place, text):
    conf = tmp_path / "weir.conf"
    if place == "geo":
        text = text.replace("/var/lib/GeoIP", str(mmdb.write(tmp_path / "GeoLite2-ASN.mmdb", {}).parent))
        mmdb.write(tmp_path / "GeoLite2-Country.mmdb", {})
    for path, content in FILES.items():
        if path in text:
            (tmp_path / path.rsplit("/", 1)[1]).write_text(content)
            text = text.replace(path, str(tmp_path / path.rsplit("/", 1)[1]))
    conf.write_text(AROUND[place].format(text))
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 0, done.stderr


def test_there_are_examples():
    assert len(list(examples())) >= 10


def test_sample_configuration(tmp_path):
    done = weir_cli("check", "-c", ROOT / "packaging/weir.conf")
    assert done.returncode == 0, done.stderr


def test_reference_is_up_to_date():
    page = ROOT / "docs/reference/configuration.md"
    if not page.exists():
        pytest.skip("make docs has not been run yet")
    assert page.read_text() == weir_cli("docs", "reference").stdout, "run make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
