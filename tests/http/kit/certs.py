# SPDX-License-Identifier: Apache-2.0
"""Authorities and certificates for tests, made with the openssl program."""
import pathlib
import ssl
import subprocess


def _openssl(*args, **kw):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, **kw)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Cert:
    """A certificate with its key in `folder`/`name`.crt and .key. Without `issuer` it signs itself (an
    authority). `days` may be negative: it has expired."""

    def __init__(self, folder, name, *, issuer=None, names=(), cn=None, days=90, rsa=False,
                 must_staple=False, ocsp=None):
        self.folder = pathlib.Path(folder)
        self.name, self.issuer = name, issuer
        self.crt, self.key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        algorithm = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else [
            "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        _openssl("genpkey", "-algorithm", *algorithm, "-out", self.key)
        csr, ext = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        _openssl("req", "-new", "-key", self.key, "-out", csr, "-subj", f"/CN={cn or name}")
        lines = ["basicConstraints=critical,CA:" + ("FALSE" if issuer else "TRUE")]
        if not issuer:
            lines.append("keyUsage=critical,keyCertSign,cRLSign")
        if names:
            lines.append("subjectAltName=" + ",".join(
                ("IP:" if n.replace(".", "").isdigit() or ":" in n else "DNS:") + n for n in names))
        if must_staple:
            lines.append("tlsfeature=status_request")
        if ocsp:
            lines.append(f"authorityInfoAccess=OCSP;URI:{ocsp}")
        ext.write_text("\n".join(lines) + "\n")
        signer = ["-CA", issuer.crt, "-CAkey", issuer.key, "-CAcreateserial"] if issuer else [
            "-signkey", self.key]
        _openssl("x509", "-req", "-in", csr, *signer, "-out", self.crt, "-days", days, "-extfile", ext)

    def serial(self):
        return _openssl("x509", "-in", self.crt, "-noout", "-serial").strip().split("=")[1]

    def fingerprint(self):
        text = _openssl("x509", "-in", self.crt, "-noout", "-fingerprint", "-sha256")
        return text.strip().split("=")[1].replace(":", "").lower()


class Pki:
    """An authority `ca` in a folder, and what it signs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = Cert(self.folder, "ca", cn="test authority", days=3650)

    def cert(self, name, *names, **kw):
        return Cert(self.folder, name, issuer=self.ca, names=names or [name], **kw)

    def crl(self, *revoked):
        """A list of revoked certificates, signed by the authority."""
        base = self.folder / "crl"
        base.mkdir(exist_ok=True)
        (base / "index.txt").write_text("")
        (base / "number").write_text("01\n")
        config = base / "ca.conf"
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index.txt\n"
                          f"crlnumber={base}/number\ndefault_md=sha256\ndefault_crl_days=30\n")
        signer = ["-config", config, "-keyfile", self.ca.key, "-cert", self.ca.crt]
        for c in revoked:
            _openssl("ca", *signer, "-revoke", c.crt)
        out = self.folder / "crl.pem"
        _openssl("ca", *signer, "-gencrl", "-out", out)
        return out


def client_context(ca=None, cert=None, *, tls12=False, verify=True):
    """For Python's clients. Without `ca` nothing is verified."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca and verify:
        ctx.load_verify_locations(ca)
    else:
        ctx.check_hostname = False
        ctx.verify_mode = ssl.CERT_NONE
    if cert:
        ctx.load_cert_chain(cert.crt, cert.key)
    if tls12:
        ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    ctx.set_alpn_protocols(["http/1.1"])
    return ctx


def server_context(cert, *, client_ca=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(cert.crt, cert.key)
    if client_ca:
        ctx.verify_mode = ssl.CERT_REQUIRED
        ctx.load_verify_locations(client_ca)
    return ctx
