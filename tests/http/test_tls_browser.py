# SPDX-License-Identifier: Apache-2.0
"""A browser and the local authority: https://localhost is green once the authority is in the browser's
database, and refused before."""
import json
import os

import pytest

from kit import ROOT
from kit.tools import need, run

NODE = ROOT / "tests/node"
SITE = "listen @listen@ tls\nadmin off\nsite localhost { respond 200 \"ja4 $ja4\" }\n"


def chromium(home, url):
    """What Chromium saw, in a home of its own."""
    done = run("node", NODE / "secure.js", url, seconds=100, env={
        "HOME": str(home), "PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def secure(weir):
    if not (NODE / "node_modules/playwright-core").exists():
        pytest.skip("npm package playwright-core is not installed (tools/setup test)")
    need("/usr/bin/chromium")
    return weir(SITE)


@pytest.mark.seconds(120)
def test_chromium_refuses_an_authority_that_it_does_not_know(secure, tmp_path):
    seen = chromium(tmp_path, f"https://localhost:{secure.port}/")
    assert "ERR_CERT_AUTHORITY_INVALID" in seen["error"], seen


@pytest.mark.seconds(120)
def test_chromium_shows_a_trusted_page(secure, tmp_path):
    certutil = need("certutil")
    database = tmp_path / ".pki/nssdb"
    database.mkdir(parents=True)
    for words in (["-N", "--empty-password"],
                  ["-A", "-t", "C,,", "-n", "weir", "-i", secure.dir / "ca/ca.crt"]):
        done = run(certutil, "-d", f"sql:{database}", *words)
        assert done.returncode == 0, done.stderr
    seen = chromium(tmp_path, f"https://localhost:{secure.port}/")
    assert seen.get("status") == 200, seen
    assert seen["state"] == "secure", seen
    assert seen["details"]["protocol"] == "TLS 1.3", seen
    curl = run("curl", "-sS", "--cacert", secure.dir / "ca/ca.crt",
               f"https://localhost:{secure.port}/")
    assert curl.stdout.startswith("ja4 t13"), curl
    assert seen["body"].startswith("ja4 t13") and seen["body"] != curl.stdout
