# SPDX-License-Identifier: Apache-2.0
"""Real programs as origins: Debian's nginx with a configuration of our own, python's http.server, a node
application. Each ends with close()."""
import pathlib
import socket
import subprocess
import sys
import tempfile

from kit import ROOT, free_port, wait_until
from kit.tools import die_with_parent, need, stop

NGINX_CONF = """
daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{port}{how};
        root {dir}/www;
        location = / {{ return 200 "nginx\\n"; }}
        location /gzip/ {{ gzip on; gzip_proxied any; gzip_types text/plain; alias {dir}/www/; }}
        location = /gone {{ return 410; }}
        location = /headers {{ return 200 "$http_host $http_x_forwarded_for $request_uri"; }}
    }}
}}
"""


class Peer:
    def __init__(self, argv, port, cwd=None):
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, cwd=cwd,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        preexec_fn=die_with_parent)
        try:
            wait_until(self.ready, 15, f"{argv[0]} listening")
        except BaseException:
            self.close()
            raise

    def ready(self):
        assert self.process.poll() is None, self.process.stderr.read().decode()
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            return True
        except OSError:
            return False

    def close(self):
        stop(self.process)


class Nginx(Peer):
    def __init__(self, port=None, http2=False):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-nginx-")
        self.dir = pathlib.Path(self.folder.name)
        self.www = self.dir / "www"
        self.www.mkdir()
        port = port or free_port()
        conf = self.dir / "nginx.conf"
        conf.write_text(NGINX_CONF.format(dir=self.dir, port=port, how=" http2" if http2 else ""))
        super().__init__([find_nginx(), "-p", str(self.dir), "-c", str(conf), "-e",
                          str(self.dir / "start.log")], port)

    def close(self):
        super().close()
        self.folder.cleanup()


def find_nginx():
    return "/usr/sbin/nginx" if pathlib.Path("/usr/sbin/nginx").exists() else need("nginx")


class PythonServer(Peer):
    """python3 -m http.server on a folder."""

    def __init__(self, folder):
        port = free_port()
        super().__init__([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--protocol",
                          "HTTP/1.1", str(port)], port, cwd=folder)


class NodeApp(Peer):
    """tests/node/app.js: plain node, with WebSocket when the package ws is there."""

    def __init__(self):
        port = free_port()
        super().__init__([need("node"), str(ROOT / "tests/node/app.js"), str(port)], port)


class GrpcServer(Peer):
    """tests/node/grpc-server.js: @grpc/grpc-js, without TLS or with a Cert."""

    def __init__(self, cert=None):
        port = free_port()
        tls = [str(cert.crt), str(cert.key)] if cert else []
        super().__init__([need("node"), str(ROOT / "tests/node/grpc-server.js"), str(port), *tls], port)
