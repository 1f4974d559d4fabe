# SPDX-License-Identifier: Apache-2.0
"""The servers behind weir: processes of origin.py that may die and come back, and Debian's nginx for the load
generators, which count requests but do not tell them apart."""
import pathlib
import signal
import subprocess
import sys

from kit import free_port, get, wait_until
from kit.tools import die_with_parent
from peers import Peer, find_nginx

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {dir}/n1; proxy_temp_path {dir}/n2; fastcgi_temp_path {dir}/n3;
    uwsgi_temp_path {dir}/n4; scgi_temp_path {dir}/n5;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "{text}"; }}
        location = /status {{ stub_status; }}
    }}
}}
"""


class Server:
    """One origin.py; its journal goes on over deaths."""
    script = "origin.py"

    def __init__(self, name, folder):
        self.name, self.port = name, free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.journal = pathlib.Path(folder) / f"journal-{name}"
        self.process = None
        self.start()

    def start(self):
        script = pathlib.Path(__file__).with_name(self.script)
        self.process = subprocess.Popen(
            [sys.executable, str(script), self.name, str(self.port), str(self.journal)],
            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def is_up(self):
        """Asks the kernel, so that the journal shows weir's connections alone."""
        wanted = f":{self.port:04X} 00000000:0000 0A "
        return wanted in pathlib.Path("/proc/net/tcp").read_text()

    def wait_up(self):
        wait_until(self.is_up, 20, f"server {self.name}")

    def die(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class H2Server(Server):
    script = "origin_h2.py"


class Bulk(Peer):
    """nginx with a kilobyte."""

    def __init__(self, folder):
        port = free_port()
        conf = pathlib.Path(folder) / "nginx.conf"
        conf.write_text(NGINX.format(dir=folder, port=port, text="x" * 1000))
        super().__init__([find_nginx(), "-p", str(folder), "-c", str(conf), "-e",
                          f"{folder}/nginx-start.log"], port)

    def requests(self):
        """How many it got, without those that ask this."""
        text = get(self.port, "/status").text
        self.asked = getattr(self, "asked", 0) + 1
        return int(text.split("\n")[2].split()[2]) - self.asked
