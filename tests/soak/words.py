# SPDX-License-Identifier: Apache-2.0
"""What clients and servers of the soak test agree on: the bytes that belong to an id."""


def due(request_id, size):
    """The body of a request or an answer: its id, over and over."""
    word = request_id.encode() + b";"
    return (word * (size // len(word) + 1))[:size]
