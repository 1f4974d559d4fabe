# SPDX-License-Identifier: Apache-2.0
"""The field of a benchmark: an origin (nginx with files) and the proxies, with equal configurations,
each pinned to its core and stopped by its own pid. Equal means equal duties, too: all of them tell
the origin who the client is, in the five fields that weir adds by default (h2o in three of them: it
has no way to add the others)."""
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DESCRIPTORS = 250_000

NGINX = """
daemon off; worker_processes {workers}; pid {dir}/{name}.pid; error_log {dir}/{name}.err crit;
worker_rlimit_nofile {descriptors};
events {{ worker_connections {connections}; }}
http {{
    access_log off; sendfile on; tcp_nopush on; types {{ application/json json; }}
    keepalive_requests 1000000000; keepalive_timeout 900;
    client_body_temp_path {dir}/{name}-b; proxy_temp_path {dir}/{name}-p;
    fastcgi_temp_path {dir}/{name}-f; uwsgi_temp_path {dir}/{name}-u; scgi_temp_path {dir}/{name}-s;
    {http}
}}
"""
NGINX_ORIGIN = """open_file_cache max=10;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {dir}/files; }}"""
NGINX_PROXY = """
    upstream o {{ server 127.0.0.1:{origin}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{ listen 127.0.0.1:{port} {options} backlog=4096; {more}
        location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $http_host; proxy_set_header Via "1.1 nginx";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_buffer_size 16k; proxy_buffers 16 64k; proxy_busy_buffers_size 256k; }} }}
"""
HAPROXY = """
global
    nbthread {workers}
    maxconn 8000
defaults
    mode http
    timeout client 900s
    timeout server 900s
    timeout connect 5s
    http-reuse always
frontend f
    bind 127.0.0.1:{port} backlog 4096
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request add-header Via "1.1 haproxy"
    default_backend b
backend b
    server o 127.0.0.1:{origin} pool-max-conn 2000
"""
NGINX_TLS = """ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519:prime256v1;
        ssl_session_tickets on; ssl_session_cache off; ssl_buffer_size 16k;"""
NGINX_H2 = "http2_max_requests 1000000000;"
NGINX_H2C_ORIGIN = """open_file_cache max=10;
    server {{ listen 127.0.0.1:{port} http2 backlog=4096; http2_max_requests 1000000000;
        root {dir}/files; }}"""
H2O = """
num-threads: {workers}
max-connections: 100000
listen:
  host: 127.0.0.1
  port: {port}{tls}
http2-idle-timeout: 900
error-log: /dev/null
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:{origin}/
        proxy.preserve-host: ON
        proxy.timeout.keepalive: 900000
"""
H2O_TLS = """
  ssl: {{certificate-file: {dir}/cert.pem, key-file: {dir}/key.pem, minimum-version: TLSv1.2}}"""
NGINX_FILES = """open_file_cache max=1000 inactive=20s;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {dir}/files; {more} }}"""
NGINX_GZIP = "gzip on; gzip_comp_level 1; gzip_types application/json; gzip_proxied any;"
HAPROXY_GZIP = """    compression algo gzip
    compression type application/json
"""
BOUNDS = "connections max=off per_ip=off"  # all clients have one address here
WEIR = """
workers {workers}
listen 127.0.0.1:{port}
admin off
log access {log}
timeout keepalive=15m
{bounds}
{sites}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


def raise_descriptors():
    """As many as may be had: the hard limit, which only some may raise."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, DESCRIPTORS),) * 2)
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def json_text(size):
    """A list of records, as an API gives it: the same each time."""
    dice = random.Random(7)
    words = [dice.randbytes(dice.randrange(2, 6)).hex() for _ in range(400)]
    records, length = [], 0
    while length < size:
        text = json.dumps({
            "id": dice.randrange(1 << 31), "name": " ".join(dice.choices(words, k=2)),
            "email": f"{dice.choice(words)}@example.com", "active": dice.random() < 0.5,
            "score": round(dice.random() * 100, 2), "tags": dice.choices(words[:40], k=3),
            "created": f"2026-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}T10:00:00Z"})
        records.append(text)
        length += len(text) + 2
    return ("[" + ",\n".join(records) + "]")[:size]


class Field:
    def __init__(self, directory, weir, workers=1):
        self.dir = pathlib.Path(directory)
        self.weir = weir
        self.workers = workers
        self.running = {}
        self.ports = {}
        self.descriptors = raise_descriptors()

    def __enter__(self):
        files = self.dir / "files"
        files.mkdir(exist_ok=True)
        for name, size in (("1k", 1024), ("64k", 65536), ("1m", 1 << 20), ("10m", 10 << 20)):
            (files / name).write_bytes(os.urandom(size))
        (files / "100k.json").write_text(json_text(100_000))
        os.chmod(self.dir, 0o755)
        self.origin = free_port()
        http = NGINX_ORIGIN.format(port=self.origin, dir=self.dir)
        self._run("origin", 0, ["nginx", "-c", self._nginx("origin", http, 1)], self.origin)
        return self

    def __exit__(self, *_):
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def _write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return str(path)

    def _nginx(self, name, http, workers):
        return self._write(f"{name}.conf", NGINX.format(
            dir=self.dir, name=name, http=http, workers=workers, descriptors=self.descriptors,
            connections=min(self.descriptors - 100, 120_000)))

    def _run(self, name, core, argv, port):
        pin = ["taskset", "-c", str(core)] if self.workers == 1 else []
        out = open(self.dir / f"{name}.out", "wb")
        self.running[name] = subprocess.Popen([*pin, *argv], stdout=out, stderr=out)
        self.ports[name] = port
        if not listens(port):
            raise SystemExit(f"{name} does not listen:\n" + (self.dir / f"{name}.out").read_text())

    def start_origin(self, name, core, argv, port):
        """Another origin, of a benchmark's own: contestants that start after it are in front of it."""
        self._run(name, core, argv, port)
        self.origin = port

    def start_h2c_origin(self):
        port = free_port()
        http = NGINX_H2C_ORIGIN.format(port=port, dir=self.dir)
        self.start_origin("h2c-origin", 0, ["nginx", "-c", self._nginx("h2c-origin", http, 1)], port)

    def start(self, name):
        port = free_port()
        self._run(name, 1, getattr(self, "argv_" + name.replace("-", "_"))(port), port)

    def argv_relay(self, port):
        return [str(ROOT / "build/relay"), str(port), str(self.origin)]

    def argv_relay_splice(self, port):
        return [*self.argv_relay(port), "splice"]

    def _weir_run(self, name, port, log="off", sites=None, bounds=BOUNDS):
        sites = sites or f"site * {{ proxy 127.0.0.1:{self.origin} }}"
        text = WEIR.format(port=port, workers=self.workers, log=log, sites=sites, bounds=bounds)
        return [self.weir, "run", "-c", self._write(f"{name}.conf", text)]

    def argv_weir(self, port):
        return self._weir_run("weir", port)

    def argv_weir_logging(self, port):
        return self._weir_run("weir-logging", port, log=f"json to={self.dir}/access.log")

    def argv_weir_sites(self, port):
        routes = "".join(f"    route /r{r}/ {{ proxy 127.0.0.1:{self.origin} }}\n"
                         for r in range(10))
        sites = "".join(f"site s{n}.example.com {{\n    proxy 127.0.0.1:{self.origin}\n{routes}}}\n"
                        for n in range(10_000))
        return self._weir_run("weir-sites", port, sites=sites)

    def _nginx_proxy(self, name, port, options="", more=""):
        http = NGINX_PROXY.format(port=port, origin=self.origin, options=options, more=more)
        return ["nginx", "-c", self._nginx(name, http, self.workers)]

    def argv_nginx(self, port):
        return self._nginx_proxy("nginx", port)

    def argv_haproxy(self, port):
        return ["haproxy", "-db", "-f", self._write("haproxy.cfg", HAPROXY.format(
            port=port, origin=self.origin, workers=self.workers))]

    # ---- static files, and compression ----

    def argv_files_weir(self, port):
        return self._weir_run("files-weir", port, sites=f"site * {{ files {self.dir}/files }}")

    def argv_files_nginx(self, port):
        http = NGINX_FILES.format(port=port, dir=self.dir, more="")
        return ["nginx", "-c", self._nginx("files-nginx", http, self.workers)]

    def argv_gzip_weir(self, port):
        site = f"site * {{\ncompress gzip\nproxy 127.0.0.1:{self.origin}\n}}"
        return self._weir_run("gzip-weir", port, sites=site)

    def argv_gzip_nginx(self, port):
        return self._nginx_proxy("gzip-nginx", port, more=NGINX_GZIP)

    def argv_gzip_haproxy(self, port):
        text = HAPROXY.format(port=port, origin=self.origin, workers=self.workers)
        return ["haproxy", "-db", "-f", self._write("gzip-haproxy.cfg", text + HAPROXY_GZIP)]

    # ---- HTTP/2 without TLS ----

    def argv_h2c_weir(self, port):
        return self._weir_run("h2c-weir", port)

    def argv_h2c_nginx(self, port):
        return self._nginx_proxy("h2c-nginx", port, "http2", NGINX_H2)

    def argv_h2c_haproxy(self, port):
        text = HAPROXY.format(port=port, origin=self.origin, workers=self.workers)
        return ["haproxy", "-db", "-f", self._write(
            "h2c-haproxy.cfg", text.replace("backlog 4096", "backlog 4096 proto h2"))]

    def argv_h2c_h2o(self, port):
        return ["h2o", "-c", self._write("h2c-h2o.conf", H2O.format(
            port=port, origin=self.origin, workers=self.workers, tls=""))]

    def _nghttpx(self, port, frontend, backend=""):
        fields = (f"X-Forwarded-Host: 127.0.0.1:{port}", f"X-Forwarded-Port: {port}")
        return ["nghttpx", "--conf=/dev/null", f"--frontend=127.0.0.1,{port};{frontend}",
                f"--backend=127.0.0.1,{self.origin};{backend}", f"--workers={self.workers}",
                "--single-process", "--add-x-forwarded-for", "--log-level=ERROR", "--no-ocsp",
                "--frontend-http2-read-timeout=900s", "--backend-keep-alive-timeout=900s",
                *(f"--add-request-header={f}" for f in fields)]

    def argv_h2c_nghttpx(self, port):
        return self._nghttpx(port, "no-tls")

    # ---- HTTP/2 on both sides, without TLS; start_h2c_origin() first ----

    def argv_h2h2_weir(self, port):
        site = f"site * {{ proxy 127.0.0.1:{self.origin} {{ proto h2c }} }}"
        return self._weir_run("h2h2-weir", port, sites=site)

    def argv_h2h2_haproxy(self, port):
        text = HAPROXY.format(port=port, origin=self.origin, workers=self.workers)
        text = text.replace("backlog 4096", "backlog 4096 proto h2")
        text = text.replace("pool-max-conn", "proto h2 pool-max-conn")
        return ["haproxy", "-db", "-f", self._write("h2h2-haproxy.cfg", text)]

    def argv_h2h2_nghttpx(self, port):
        return self._nghttpx(port, "no-tls", ";proto=h2")

    # ---- WebSocket; start_origin() first ----

    def argv_ws_relay(self, port):
        return self.argv_relay(port)

    def argv_ws_weir(self, port):
        return self._weir_run("ws-weir", port)

    def argv_ws_nginx(self, port):
        argv = self._nginx_proxy("ws-nginx", port)
        path = self.dir / "ws-nginx.conf"
        path.write_text(path.read_text().replace(
            'Connection "";', 'Connection "upgrade"; proxy_set_header Upgrade $http_upgrade;'))
        return argv

    def argv_ws_haproxy(self, port):
        text = HAPROXY.format(port=port, origin=self.origin, workers=self.workers)
        return ["haproxy", "-db", "-f", self._write("ws-haproxy.cfg", text)]

    # ---- with TLS towards the client; certificate() first ----

    def certificate(self):
        """An ECDSA P-256 certificate that signs itself, in the three forms that are asked for."""
        cert, key = self.dir / "cert.pem", self.dir / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=bench",
                        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                        "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        (self.dir / "both.pem").write_text(cert.read_text() + key.read_text())
        return str(cert), str(key)

    def argv_tls_relay(self, port):
        return [str(ROOT / "build/tls_relay"), str(port), str(self.origin),
                str(self.dir / "cert.pem"), str(self.dir / "key.pem")]

    def argv_tls_weir(self, port):
        site = (f"site * {{ tls cert={self.dir}/cert.pem key={self.dir}/key.pem\n"
                f"proxy 127.0.0.1:{self.origin} }}")
        text = WEIR.format(port=f"{port} tls", workers=self.workers, log="off", sites=site, bounds=BOUNDS)
        return [self.weir, "run", "-c", self._write("tls-weir.conf", text)]

    def argv_tls_nginx(self, port):
        more = NGINX_TLS.format(dir=self.dir) + NGINX_H2
        return self._nginx_proxy("tls-nginx", port, "ssl http2", more)

    def argv_tls_haproxy(self, port):
        text = HAPROXY.format(port=port, origin=self.origin, workers=self.workers)
        text = text.replace("backlog 4096", f"backlog 4096 ssl crt {self.dir}/both.pem alpn h2,http/1.1")
        text = text.replace("global\n", "global\n    ssl-default-bind-curves X25519:P-256\n"
                                        "    tune.ssl.cachesize 0\n")
        text = text.replace("X-Forwarded-Proto http", "X-Forwarded-Proto https")
        return ["haproxy", "-db", "-f", self._write("tls-haproxy.cfg", text)]

    def argv_tls_h2o(self, port):
        return ["h2o", "-c", self._write("tls-h2o.conf", H2O.format(
            port=port, origin=self.origin, workers=self.workers, tls=H2O_TLS.format(dir=self.dir)))]

    def argv_tls_nghttpx(self, port):
        return [*self._nghttpx(port, "tls"), f"{self.dir}/key.pem", f"{self.dir}/cert.pem"]

    def pids(self, name):
        todo, found = [self.running[name].pid], []
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                todo += [int(p) for p in (task / "children").read_text().split()]
        return found

    def cpu_ns(self, name):
        """CPU time of all threads, to the nanosecond (schedstat)."""
        return sum(int((task / "schedstat").read_text().split()[0])
                   for pid in self.pids(name)
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir())

    def cpu_ticks(self, name):
        """User and system time in clock ticks: only for their ratio."""
        fields = [pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                  for pid in self.pids(name)]
        return sum(int(f[11]) for f in fields), sum(int(f[12]) for f in fields)

    def rss_kb(self, name):
        return sum(int(re.search(r"VmRSS:\s+(\d+)",
                                 pathlib.Path(f"/proc/{pid}/status").read_text())[1])
                   for pid in self.pids(name))
