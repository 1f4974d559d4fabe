# SPDX-License-Identifier: Apache-2.0
"""Real programs as origins: Debian's nginx with a configuration of our own, python's http.server, a node
application. Each ends with close()."""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

import pytest

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


FPM_CONF = """
[global]
daemonize = no
error_log = {dir}/fpm.log
[www]
listen = {socket}
listen.mode = 0666
pm = static
pm.max_children = {children}
catch_workers_output = yes
clear_env = yes
{user}
php_admin_value[upload_max_filesize] = 32M
php_admin_value[post_max_size] = 32M
php_admin_value[log_errors] = On
php_admin_value[display_errors] = Off
php_admin_value[output_buffering] = 0
php_admin_value[zlib.output_compression] = Off
"""


class PhpFpm(Peer):
    """PHP-FPM on a unix socket, for the scripts below `www`. As root it runs them as nobody, so they have to be
    readable."""

    def __init__(self, www, children=4):
        found = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))
        if not found:
            pytest.skip("php-fpm is not installed (tools/setup test)")
        self.folder = tempfile.TemporaryDirectory(prefix="weir-fpm-")
        self.dir = pathlib.Path(self.folder.name)
        self.dir.chmod(0o755)
        self.socket = self.dir / "fpm.sock"
        user = "user = nobody\ngroup = nogroup" if os.geteuid() == 0 else ""
        conf = self.dir / "fpm.conf"
        conf.write_text(FPM_CONF.format(dir=self.dir, socket=self.socket, children=children,
                                        user=user))
        self.argv = [str(found[0]), "-n", "-F", "-y", str(conf)]
        self.www = www
        super().__init__(self.argv, None)
        self.address = f"unix:{self.socket}"

    def ready(self):
        assert self.process.poll() is None, self.log()
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.socket))
            return True
        except OSError:
            return False

    def restart(self):
        """Ends it and starts it anew on the same socket, as a service manager does."""
        stop(self.process)
        super().__init__(self.argv, None)
        self.address = f"unix:{self.socket}"

    def log(self):
        log = self.dir / "fpm.log"
        return log.read_text() if log.exists() else self.process.stderr.read().decode()

    def close(self):
        super().close()
        self.folder.cleanup()


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
