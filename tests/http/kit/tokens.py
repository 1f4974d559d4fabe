# SPDX-License-Identifier: Apache-2.0
"""An issuer of signed tokens (JWT): keys made and signatures by openssl, everything else by hand, so that a token may also be
wrong in any way that a test wants."""
import base64
import hashlib
import hmac
import json
import pathlib
import re
import subprocess
import tempfile
import time

KINDS = {"RSA": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "P-256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "Ed25519": ["ED25519"]}
ALGS = {"RSA": "RS256", "P-256": "ES256", "Ed25519": "EdDSA"}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _raw_ecdsa(der):
    """r and s of 32 bytes each out of the SEQUENCE of two INTEGERs."""
    parts, at = [], 2
    for _ in range(2):
        size = der[at + 1]
        parts.append(der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0"))
        at += 2 + size
    return b"".join(parts)


class Key:
    """A pair of keys, or a secret (kind "secret")."""

    def __init__(self, kind, kid=None, secret=None):
        self.kind, self.kid, self.secret = kind, kid, secret
        self.alg = ALGS.get(kind, "HS256")
        self.folder = tempfile.TemporaryDirectory(prefix="weir-key-")
        self.path = pathlib.Path(self.folder.name) / "key.pem"
        if kind != "secret":
            self.path.write_bytes(_openssl("genpkey", "-algorithm", *KINDS[kind]))

    @property
    def pem(self):
        return _openssl("pkey", "-pubout", "-in", self.path).decode()

    def jwk(self, **more):
        der = base64.b64decode("".join(self.pem.splitlines()[1:-1]))
        if self.kind == "RSA":
            text = _openssl("rsa", "-in", self.path, "-noout", "-modulus").decode()
            members = {"kty": "RSA", "n": b64(bytes.fromhex(re.search("=(.*)", text)[1])), "e": "AQAB"}
        elif self.kind == "P-256":
            members = {"kty": "EC", "crv": "P-256", "x": b64(der[-64:-32]), "y": b64(der[-32:])}
        else:
            members = {"kty": "OKP", "crv": "Ed25519", "x": b64(der[-32:])}
        return {**members, **({"kid": self.kid} if self.kid else {}), **more}

    def sign(self, data):
        if self.kind == "secret":
            return hmac.new(self.secret, data, hashlib.sha256).digest()
        text = self.path.with_name("text")
        text.write_bytes(data)
        if self.kind == "Ed25519":
            return _openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", text)
        sig = _openssl("dgst", "-sha256", "-sign", self.path, text)
        return _raw_ecdsa(sig) if self.kind == "P-256" else sig

    def token(self, claims=None, header=None, **more):
        """With exp in five minutes, unless `claims` has one; exp=None leaves it out."""
        claims = {"sub": "ann", "exp": int(time.time()) + 300, **(claims or {}), **more}
        claims = {k: v for k, v in claims.items() if v is not None}
        head = {"alg": self.alg, **({"kid": self.kid} if self.kid else {}), **(header or {})}
        return self.token_of(json.dumps(head).encode(), json.dumps(claims).encode())

    def token_of(self, header, claims):
        text = b64(header) + "." + b64(claims)
        return text + "." + b64(self.sign(text.encode()))


def jwks(*keys):
    return json.dumps({"keys": [k if isinstance(k, dict) else k.jwk() for k in keys]})


def secret(text):
    return Key("secret", secret=text.encode())
