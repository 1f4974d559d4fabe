# SPDX-License-Identifier: Apache-2.0
"""What the integration tests are made of: weir.py runs the program, origin.py plays the servers behind
it, client.py sends raw bytes to it, certs.py makes certificates, tools.py finds ports and other programs."""
from .certs import Pki, client_context, server_context
from .client import Client, Closed, Response, TlsClient, get
from .origin import CLOSE, RESET, HalfClose, Hold, Origin, answer, chunked
from .tools import ROOT, free_port, wait_until
from .weir import BINARY, Weir, memory, sanitized, weir_cli

__all__ = ["BINARY", "CLOSE", "Client", "Closed", "HalfClose", "Hold", "Origin", "RESET", "Pki", "ROOT", "Response",
           "TlsClient", "Weir", "answer", "chunked", "client_context", "free_port", "get", "memory", "sanitized", "server_context", "wait_until", "weir_cli"]
