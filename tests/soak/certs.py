# SPDX-License-Identifier: Apache-2.0
"""The certificate of the soak test's sites: a file with certificate and key that is replaced by another
while weir runs, or by one that cannot be used."""
import hashlib
import os
import pathlib
import ssl

from kit.certs import Pki

NAMES = ("soak.test", "127.0.0.1")


class Pairs:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        pki = Pki(self.folder / "pki")
        self.ca, self.path = pki.ca.crt, self.folder / "pair.pem"
        self.all = [pki.cert(f"pair{i}", *NAMES, rsa=i == 2) for i in range(3)]
        self.at = -1
        self.change()

    def put(self, text):
        """In one step: nobody sees half of it."""
        new = self.folder / "pair.new"
        new.write_text(text)
        os.replace(new, self.path)

    def change(self):
        self.at = (self.at + 1) % len(self.all)
        self.restore()

    def restore(self):
        c = self.all[self.at]
        self.put(c.crt.read_text() + c.key.read_text())

    def spoil(self):
        """The key of another."""
        self.put(self.all[self.at].crt.read_text() + self.all[self.at - 1].key.read_text())

    def is_shown(self, port):
        pem = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == \
            self.all[self.at].fingerprint()
