# SPDX-License-Identifier: Apache-2.0
"""The field of a benchmark of caches: each holds what its origin lets it store for an hour, in memory
or in files that the page cache holds, with the same duties and none more."""
import contextlib
import shutil
import subprocess

from contestants import Field, ROOT, free_port

PEERS = ("haproxy", "nginx", "trafficserver", "varnish")
NGINX_ORIGIN = """open_file_cache max=10;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {dir}/files;
        add_header Cache-Control max-age=3600;
        location /requests {{ stub_status; }}
        location /small/ {{ default_type text/plain; return 200 {body}; }} }}"""
NGINX_CACHE = """
    open_file_cache max=100000 inactive=1h;
    proxy_cache_path {dir}/nginx-cache levels=1:2 keys_zone=z:{zone_kb}k inactive=1h max_size=1g
        use_temp_path=off;
    upstream o {{ server 127.0.0.1:{origin}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{ listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_cache z; {more}
            proxy_set_header Host $http_host; }}
        location /slow/ {{ proxy_pass http://127.0.0.1:{slow}; proxy_cache z; {more} }} }}
"""
HAPROXY_CACHE = """
global
    nbthread {workers}
    maxconn 8000
defaults
    mode http
    timeout client 900s
    timeout server 900s
    timeout connect 5s
    http-reuse always
cache c
    total-max-size {megabytes}
    max-object-size 1000000
    max-age 3600
frontend f
    bind 127.0.0.1:{port} backlog 4096
    http-request cache-use c
    http-response cache-store c
    use_backend slow if {{ path_beg /slow/ }}
    default_backend b
backend b
    server o 127.0.0.1:{origin} pool-max-conn 2000
backend slow
    server o 127.0.0.1:{slow} pool-max-conn 2000
"""
VARNISH = """vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}
backend slow {{ .host = "127.0.0.1"; .port = "{slow}"; }}
sub vcl_recv {{ if (req.url ~ "^/slow/") {{ set req.backend_hint = slow; }} }}
"""
TRAFFICSERVER = """
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT {workers}
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 900
CONFIG proxy.config.cache.ram_cache.size INT 67108864
CONFIG proxy.config.cache.ram_cache_cutoff INT 4194304
CONFIG proxy.config.http.cache.required_headers INT 2
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.url_remap.pristine_host_hdr INT 1
CONFIG proxy.config.admin.user_id STRING #-1
"""


class CacheField(Field):
    """In front of an origin whose answers may be stored; `slow`, behind /slow/, takes its time."""

    def __init__(self, directory, weir, size="64m", keys=512 << 10):
        super().__init__(directory, weir)
        self.size = size
        self.keys = keys  # of nginx's zone, which holds 8,192 in a megabyte
        self.slow = self.origin = 0

    def start_cacheable_origin(self):
        port = free_port()
        http = NGINX_ORIGIN.format(port=port, dir=self.dir, body="x" * 1024)
        self.start_origin("stored", 0, ["nginx", "-c", self._nginx("stored", http, 1)], port)
        self.slow = self.origin

    def start_slow_origin(self, ms):
        port = free_port()
        self._run("slow", 0, [str(ROOT / "build/responder"), str(port), "1024", str(ms)], port)
        self.slow = port

    def argv_bare_1k(self, port):
        return [str(ROOT / "build/responder"), str(port), "1024"]

    def argv_bare_64k(self, port):
        return [str(ROOT / "build/responder"), str(port), "65536"]

    def argv_weir(self, port):
        site = (f"cache_store memory size={self.size}\nsite * {{\ncache\nproxy 127.0.0.1:{self.origin}\n"
                f"route /slow/ {{ proxy 127.0.0.1:{self.slow} }}\n}}")
        return self._weir_run("weir", port, sites=site)

    def argv_nginx(self, port):
        http = NGINX_CACHE.format(port=port, origin=self.origin, slow=self.slow, dir=self.dir,
                                  zone_kb=self.keys // 8, more="proxy_buffers 16 64k;")
        return ["nginx", "-c", self._nginx("nginx", http, self.workers)]

    def argv_haproxy(self, port):
        return ["haproxy", "-db", "-f", self._write("haproxy.cfg", HAPROXY_CACHE.format(
            port=port, origin=self.origin, slow=self.slow, workers=self.workers,
            megabytes=int(self.size.rstrip("m"))))]

    def argv_varnish(self, port):
        vcl = self._write("varnish.vcl", VARNISH.format(origin=self.origin, slow=self.slow))
        return ["varnishd", "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f", vcl, "-n",
                str(self.dir / "varnish"), "-s", f"malloc,{self.size}", "-p", "thread_pools=1",
                "-p", "timeout_idle=900", "-p", "default_grace=0"]

    def argv_trafficserver(self, port):
        home = self.dir / "trafficserver"
        for name in ("log", "run", "cache", "state"):
            (home / name).mkdir(parents=True, exist_ok=True)
        shutil.copytree("/etc/trafficserver", home / "etc", dirs_exist_ok=True)
        (home / "etc/records.config").write_text(
            TRAFFICSERVER.format(port=port, workers=self.workers))
        (home / "etc/storage.config").write_text(f"{home}/cache 256M\n")
        (home / "etc/remap.config").write_text(
            f"map /slow/ http://127.0.0.1:{self.slow}/slow/\nmap / http://127.0.0.1:{self.origin}/\n")
        root = home / "runroot.yaml"
        root.write_text("".join(f"{key}: {value}\n" for key, value in (
            ("prefix", "/usr"), ("exec_prefix", "/usr"), ("bindir", "/usr/bin"),
            ("sbindir", "/usr/bin"), ("sysconfdir", home / "etc"), ("datadir", home / "state"),
            ("includedir", "/usr/include"), ("libdir", "/usr/lib/trafficserver"),
            ("libexecdir", "/usr/lib/trafficserver/modules"), ("localstatedir", home / "state"),
            ("runtimedir", home / "run"), ("logdir", home / "log"), ("cachedir", home / "cache"))))
        return ["traffic_server", f"--run-root={root}"]


@contextlib.contextmanager
def misses(field, name, seconds):
    """Meanwhile 32 connections ask for what nobody has."""
    process = subprocess.Popen(
        ["taskset", "-c", "0", "wrk", "-t1", "-c32", f"-d{seconds + 1}s", "-s",
         str(ROOT / "bench/misses.lua"), f"http://127.0.0.1:{field.ports[name]}"],
        stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.wait(seconds + 20)
