# SPDX-License-Identifier: Apache-2.0
"""weir trust: the local authority gets into trust stores and out again. The machine's own stores are left
alone: root works in a mount namespace where they are empty, everything else runs as nobody."""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

import pytest

from kit import BINARY
from kit.tools import need, run

STORE = "/usr/local/share/ca-certificates"
NOBODY = 65534


@pytest.fixture
def home():
    """A home that nobody may use (pytest's own folders are closed to other users)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-trust-"))
    (path / "bin").mkdir()
    if os.getuid() == 0:
        for p in [path, path / "bin"]:
            os.chown(p, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


def environment(home):
    return {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "PATH": f"{home}/bin"}


def as_user(home, *words):
    user = NOBODY if os.getuid() == 0 else None
    return run(BINARY, "trust", *words, env=environment(home), user=user, group=user, cwd="/")


def in_namespace(home, script):
    """Runs a script as root where the system's stores are empty and the changes are nobody's."""
    if os.getuid() != 0 or not os.path.isdir(STORE):
        pytest.skip("needs root and Debian's store")
    need("unshare")
    begin = f"mount -t tmpfs none {STORE} && mount -t tmpfs none /etc/ssl/certs || exit 77\n"
    done = run("unshare", "-m", "sh", "-c", begin + script,
               env={**environment(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}, seconds=60)
    if done.returncode == 77:
        pytest.skip("no mount namespaces here")
    return done


def program(home, name, text):
    path = home / "bin" / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_makes_the_authority_for_its_owner_alone(home):
    done = as_user(home)
    ca = home / "data/weir/ca"
    assert f"The local CA is {ca}/ca.crt" in done.stdout
    assert mode(ca) == 0o700 and mode(ca / "ca.key") == 0o600
    text = run("openssl", "x509", "-in", ca / "ca.crt", "-noout", "-text", "-fingerprint", "-sha256").stdout
    assert "CA:TRUE, pathlen:0" in text and "weir local CA" in text
    fingerprint = re.search("Fingerprint=(.*)", text, re.I).group(1).replace(":", "").lower()
    assert f"SHA-256 {fingerprint}" in done.stdout


def test_the_directory_is_the_one_that_run_uses(home):
    user = NOBODY if os.getuid() == 0 else None
    env = {**environment(home), "WEIR_CA_DIR": str(home / "mine")}
    done = run(BINARY, "trust", env=env, user=user, group=user, cwd="/")
    assert f"The local CA is {home}/mine/ca.crt" in done.stdout and not (home / "data").exists()
    done = run(BINARY, "trust", "--dir", home / "other", env=env, user=user, group=user, cwd="/")
    assert f"The local CA is {home}/other/ca.crt" in done.stdout


def test_a_second_time_it_is_the_same(home):
    first, second = as_user(home).stdout, as_user(home).stdout
    assert re.search("SHA-256 (.*)", first).group(1) == re.search("SHA-256 (.*)", second).group(1)


def test_a_user_is_told_what_root_does(home):
    if not os.path.isdir(STORE) or os.access(STORE, os.W_OK) and os.getuid() != 0:
        pytest.skip("needs Debian's store, closed to users")
    done = as_user(home)
    assert done.returncode == 1
    assert f"sudo weir trust --dir {home}/data/weir/ca" in done.stdout
    assert not any(name.startswith("weir-local-ca") for name in os.listdir(STORE))


def test_without_certutil_it_says_how_to_get_it(home):
    assert "libnss3-tools" in as_user(home).stdout


def test_browsers_are_told(home):
    log = home / "data" / "log"
    log.parent.mkdir(mode=0o777)
    log.parent.chmod(0o777)
    program(home, "certutil", f'echo "$@" >> {log}\n')
    profile = home / ".mozilla/firefox/x.default"
    profile.mkdir(parents=True)
    (profile / "cert9.db").touch()
    log.parent.chmod(0o755)
    if os.getuid() == 0:
        os.chown(log.parent, NOBODY, NOBODY)
    done = as_user(home)
    calls = log.read_text().splitlines()
    assert calls[0] == f"-N -d sql:{home}/.pki/nssdb --empty-password"
    assert re.fullmatch(rf"-A -d sql:{home}/.pki/nssdb -t C,, -n weir local CA [0-9a-f]{{8}} -i \S+", calls[1])
    assert calls[2].startswith(f"-A -d sql:{profile} ")
    assert f"trusts it: sql:{profile}" in done.stdout and "libnss3-tools" not in done.stdout
    temporary = calls[1].split()[-1]
    assert not os.path.exists(temporary)
    done = as_user(home, "--remove")
    assert f"-D -d sql:{profile} -n weir local CA" in log.read_text()
    assert f"Removed from sql:{profile}" in done.stdout


def test_a_failing_certutil_is_said(home):
    program(home, "certutil", "exit 1\n")
    assert "certutil could not add it" in as_user(home).stdout or os.path.isdir(home / ".pki/nssdb")
    assert "certutil could not add it" in as_user(home).stdout


def test_nothing_to_remove(home):
    done = as_user(home, "--remove")
    assert done.returncode == 1 and "there is no local CA in" in done.stderr
    assert not (home / "data").exists()


def test_a_directory_open_to_others_is_refused(home):
    as_user(home)
    (home / "data/weir/ca").chmod(0o777)
    done = as_user(home)
    assert done.returncode == 1 and "can be written by others" in done.stderr


def test_junk_is_not_trusted(home):
    as_user(home)
    (home / "data/weir/ca/ca.crt").write_text("junk")
    done = as_user(home)
    assert done.returncode == 1 and "not the certificate of an authority" in done.stderr


def test_usage(home):
    assert as_user(home, "word").returncode == 2
    assert as_user(home, "--dir").returncode == 2
    assert as_user(home, "--dri", "x").returncode == 2


def test_debian_trusts_it_and_no_longer(home):
    """The real update-ca-certificates, without hooks (they might change stores of other programs)."""
    need("update-ca-certificates")
    program(home, "update-ca-certificates",
            'exec /usr/sbin/update-ca-certificates --hooksdir /nowhere "$@"\n')
    as_user(home)
    ca = home / "data/weir/ca"
    done = in_namespace(home, f"""
        {BINARY} trust --dir {ca}; echo "code $?"
        ls -l {STORE}
        openssl verify -CApath /etc/ssl/certs {ca}/ca.crt; echo "path $?"
        openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt {ca}/ca.crt; echo "bundle $?"
        {BINARY} trust --remove --dir {ca}; echo "code $?"
        ls {STORE}; ls /etc/ssl/certs | grep weir
        openssl verify -CApath /etc/ssl/certs {ca}/ca.crt >/dev/null 2>&1; echo "gone $?"
        {BINARY} trust --remove --dir {ca}; echo "again $?"
    """)
    out = done.stdout
    assert "The system trusts it: /usr/local/share/ca-certificates/weir-local-ca-" in out, out + done.stderr
    assert re.search(r"-rw-r--r-- .* weir-local-ca-[0-9a-f]{8}\.crt", out)
    assert "path 0" in out and "bundle 0" in out
    assert "The system trusts it no more: removed" in out and "gone 2" in out
    assert out.count("code 0") == 2
    assert "does not have it" in out and "again 0" in out


def test_a_failing_update_is_said(home):
    program(home, "update-ca-certificates", "exit 3\n")
    done = in_namespace(home, f"{BINARY} trust --dir {home}/ca; echo code $?")
    assert "update-ca-certificates failed; run '" in done.stdout and "code 1" in done.stdout


def test_only_the_one_certificate_gets_in(home):
    """Another authority in the same file stays out."""
    program(home, "update-ca-certificates", "exit 0\n")
    done = in_namespace(home, f"""
        {BINARY} trust --dir {home}/a >/dev/null; {BINARY} trust --dir {home}/b >/dev/null
        rm {STORE}/*; cat {home}/b/ca.crt >> {home}/a/ca.crt
        {BINARY} trust --dir {home}/a >/dev/null
        cat {STORE}/*.crt | grep -c BEGIN
    """)
    assert done.stdout.strip() == "1", done.stdout + done.stderr


def test_help_tells_the_options():
    done = subprocess.run([BINARY, "trust", "--help"], capture_output=True, text=True, timeout=10)
    assert "--remove" in done.stdout and "--dir DIR" in done.stdout
