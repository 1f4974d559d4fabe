# SPDX-License-Identifier: Apache-2.0
"""Configurations for reloads: what the clients rely on stays, everything else changes by dice. Logs come and go within
a folder that the sandbox has from the start: else such a reload would replace the worker process, as an upgrade does."""
import random

TEXT = """workers 2
sandbox on write=@dir@
stop_timeout 10m
listen @listen@
listen @tls@ tls
{second}admin @admin@
{logs}{limits}
upstream app {{
    balance {balance}
    keepalive {keepalive}
    eject after=3 for=1s
{servers}}}
upstream steady {{
    server @steady1@
    server @steady2@ weight={weight}
}}
upstream bulk {{ server @bulk@ }}
upstream fleet {{
    balance {fleet_balance}
    retry 2 on=502,503
    check /health/-/0 every=500ms fast=200ms timeout=2s fall=2
    server @fleet1@ weight={weight}
    server @fleet2@
    server @fleet3@
}}
upstream sessions {{
    sticky cookie
    retry 2 on=503
    check /health/-/0 every=500ms fast=200ms timeout=2s fall=2
    servers @fleet1@ @fleet2@ @fleet3@
}}
upstream two {{
    proto h2c
    server @two1@
    server @two2@ weight={weight}
}}
upstream calm {{
    proto h2c
    server @calm1@
}}
upstream shadow {{ server @shadow@ }}
{grpc}site * {{
    tls cert=@pair@ redirect=off
    proxy app
    response set X-Generation {generation}
    route = /generation {{ respond 200 {generation} }}
    route /s strip {{ proxy steady }}
    route /bulk {{ proxy bulk }}
    route /f {{ proxy fleet }}
    route /k {{ proxy sessions }}
    route /x {{ split fleet 70% steady 30% sticky }}
    route /2 strip {{ proxy two }}
    route /2t strip {{ proxy calm }}
    route /m strip {{
        proxy steady
        mirror shadow 50%
    }}
{routes}}}
{sites}"""

GRPC = """upstream grpc {
    proto h2c
    check tcp every=500ms
    server @grpc1@
    server @grpc2@
}
site grpc.test {
    tls redirect=off
    body max=off rate=off
    timeout client_body=off read=off
    proxy grpc
}
"""
LOGS = ("log access off\n", "log access json to=@dir@/access-a.log\n",
        "log access common to=@dir@/access-b.log\n",
        'log access "$client_ip $uri $status" to=@dir@/access-c.log\n')
LIMITS = ("", "body max=50M queue=64k\n", "timeout keepalive=2m read=90s\nbody max=20M\n",
          "timeout client_send=1m first_byte=50s\nbuffers 64M\n")
FLEET_BALANCE = ("two_choices", "round_robin", "least_conn", "random")
BALANCE = ("two_choices", "round_robin", "least_conn", "hash $path bound=150%")
KEEPALIVE = ("1000", "64 idle=20s", "8", "200 idle=5s")
BROKEN = ("site x { proxy nowhere }\n", "listen nonsense:nonsense\n", "site y {\n", "retrry 3\n",
          'site z.test { respond 200\ntest "t" { GET /; expect status 404 } }\n')


def plain(generation=0, grpc=""):
    """The first one, and the last: so that both ends can be compared."""
    servers = "".join(f"    server @app{i}@\n" for i in (1, 2, 3))
    return TEXT.format(second="listen 127.0.0.1:@second@\n", logs=LOGS[0], limits="", weight=1,
                       balance=BALANCE[0], fleet_balance=FLEET_BALANCE[0], grpc=grpc, keepalive=KEEPALIVE[0], servers=servers,
                       generation=generation, routes="", sites="")


def changed(generation, seed, grpc=""):
    rand = random.Random(f"{seed} {generation}")
    servers = "".join(f"    server @app{i}@ weight={rand.randint(1, 3)}{rand.choice(('', ' max_conns=200'))}\n"
                      for i in (1, 2, 3))
    routes = "".join(f"    route /extra{i} {{ respond 20{i % 3} }}\n" for i in range(rand.randint(0, 8)))
    sites = "".join(f"site s{rand.randint(1, 999)}-{i}.test {{ tls cert=@pair@\n proxy steady }}\n"
                    for i in range(rand.randint(0, 20)))
    second = "listen 127.0.0.1:@second@\n" if generation // 3 % 2 == 0 else ""
    second += "listen 127.0.0.1:@third@\n" if generation % 2 else ""
    return TEXT.format(second=second, logs=rand.choice(LOGS), limits=rand.choice(LIMITS),
                       weight=rand.randint(1, 3), balance=rand.choice(BALANCE),
                       fleet_balance=rand.choice(FLEET_BALANCE), grpc=grpc,
                       keepalive=rand.choice(KEEPALIVE), servers=servers, generation=generation,
                       routes=routes, sites=sites)


def broken(generation, seed, grpc=""):
    return changed(generation, seed, grpc) + random.Random(generation).choice(BROKEN)
