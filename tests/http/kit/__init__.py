# SPDX-License-Identifier: Apache-2.0
"""What the integration tests are made of: weir.py runs the program, origin.py plays the servers behind
it, client.py sends raw bytes to it, tools.py finds ports and other programs."""
from .client import Client, Response, get
from .origin import CLOSE, RESET, HalfClose, Hold, Origin, answer, chunked
from .tools import ROOT, free_port, wait_until
from .weir import BINARY, Weir, memory, sanitized, weir_cli

__all__ = ["BINARY", "CLOSE", "Client", "HalfClose", "Hold", "Origin", "RESET", "ROOT", "Response",
           "Weir", "answer", "chunked", "free_port", "get", "memory", "sanitized", "wait_until", "weir_cli"]
