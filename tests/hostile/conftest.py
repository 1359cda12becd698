# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: both clients against the same peers; only the pure one with LIBVIRTCORE_PURE=1.

Called by: pytest for tests/hostile. Never: lets a missing C core pass unnoticed in CI.
"""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from libvirtcore.rpc import pure
from tests.conftest import lacking
from tests.differential.peer import Peer


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.fixture(params=["pure", "C"])
def client_class(request: pytest.FixtureRequest) -> Any:
    """Client, once in Python, once in C."""
    if request.param == "pure":
        return pure.Client
    if os.environ.get("LIBVIRTCORE_PURE", "") not in ("", "0"):
        pytest.skip("LIBVIRTCORE_PURE is set: this installation has no C core")
    try:
        from libvirtcore import core
    except ImportError as problem:
        lacking(f"the compiled core ({problem})")
    return core.Client


@pytest.fixture
def pair(client_class: Any) -> Iterator[tuple[Any, Peer]]:
    """A client and the peer at the other end; at the end no descriptor may be left."""
    before = descriptors()
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    peer = Peer(theirs)
    yield client, peer
    peer.close()
    client.close()
    del client
    if descriptors() != before:
        gc.collect()
    assert descriptors() <= before
