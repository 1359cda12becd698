# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: the two codecs and the two clients side by side.

Called by: pytest for tests/differential. Never: lets a missing C core pass unnoticed in CI.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from libvirtcore.rpc import pure
from tests.conftest import lacking
from tests.differential.peer import Peer


@pytest.fixture(scope="session")
def compiled() -> ModuleType:
    """The C core's Python face."""
    try:
        from libvirtcore import core
    except ImportError as problem:
        lacking(f"the compiled core ({problem})")
    return core


@pytest.fixture(params=["pure", "C"])
def client_class(request: pytest.FixtureRequest) -> Any:
    """Client, once in Python, once in C."""
    if request.param == "pure":
        return pure.Client
    return request.getfixturevalue("compiled").Client


@pytest.fixture
def pair(client_class: Any) -> Iterator[tuple[Any, Peer]]:
    """A client and the peer at the other end of its socket."""
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    peer = Peer(theirs)
    yield client, peer
    peer.close()
    client.close()
