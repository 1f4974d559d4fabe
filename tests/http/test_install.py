# SPDX-License-Identifier: Apache-2.0
"""make install, and the set-up script."""
import os
import shutil

import pytest

from kit import BINARY, ROOT
from kit.tools import run


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `make install` puts under DESTDIR; the binary under test stands in for build/weir."""
    root = tmp_path_factory.mktemp("root")
    install(root)
    return root


def install(root):
    done = run("make", "-o", BINARY, "install", f"WEIR={BINARY}", f"DESTDIR={root}", "PREFIX=/usr",
               cwd=ROOT, seconds=120)
    assert done.returncode == 0, done.stderr


def test_every_file_is_in_its_place(installed):
    for path, mode in (("usr/bin/weir", 0o755), ("usr/share/man/man8/weir.8", 0o644),
                       ("usr/lib/systemd/system/weir.service", 0o644), ("etc/weir/weir.conf", 0o644),
                       ("usr/share/bash-completion/completions/weir", 0o644)):
        assert (installed / path).stat().st_mode & 0o777 == mode, path
        assert (installed / path).stat().st_size > 100, path


def test_the_installed_binary_runs(installed):
    assert run(installed / "usr/bin/weir", "version").stdout.startswith("weir ")
    conf = installed / "etc/weir/weir.conf"
    assert run(installed / "usr/bin/weir", "check", "-c", conf).returncode == 0


def test_an_existing_configuration_is_kept(installed):
    conf = installed / "etc/weir/weir.conf"
    conf.write_text("# mine\n")
    install(installed)
    assert conf.read_text() == "# mine\n"


def test_unit_names_the_prefix(installed):
    text = (installed / "usr/lib/systemd/system/weir.service").read_text()
    assert "ExecStart=/usr/bin/weir run -c /etc/weir/weir.conf" in text
    assert "Type=notify" in text and "@" not in text.replace("@system-service", "")
    if shutil.which("systemd-analyze"):
        unit = installed / "usr/lib/systemd/system/weir.service"
        fake = installed / "weir.service"
        fake.write_text(text.replace("/usr/bin/weir", str(BINARY)))
        done = run("systemd-analyze", "verify", "--man=no", fake)
        assert "weir.service" not in done.stderr, (unit, done.stderr)


def test_setup_is_silent_when_all_is_there():
    done = run("tools/setup", "build", cwd=ROOT, env={**os.environ, "PATH": os.environ["PATH"]})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_setup_tells_its_words():
    done = run("tools/setup", cwd=ROOT)
    assert done.returncode == 2 and "tools/setup build" in done.stdout
