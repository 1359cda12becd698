# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: every test of this folder runs on both RPC cores, and leaks no descriptor.

Called by: pytest. Never: skips the C core in CI.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import lacking
from tests.rpc.peer import Peer

Connect = Callable[..., tuple[Any, Peer]]


@pytest.fixture(params=["c", "pure"])
def core(request: pytest.FixtureRequest) -> Any:
    """The module under test."""
    if request.param == "pure":
        return importlib.import_module("libvirtcore.rpc.pure")
    try:
        return importlib.import_module("libvirtcore.core")
    except ImportError as problem:
        lacking(f"the C core ({problem})")


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture
def connect(core: Any) -> Iterator[Connect]:
    """A function that makes a client and its peer. At the end both must be gone without a trace."""
    gc.collect()
    before = open_descriptors()
    made: list[tuple[Any, Peer]] = []

    def connect(**options: Any) -> tuple[Any, Peer]:
        ours, theirs = socket.socketpair()
        client = core.Client(ours.detach(), **options)
        made.append((client, Peer(theirs)))
        return made[-1]

    yield connect
    for client, peer in made:
        client.close()
        peer.close()
    made.clear()
    client = peer = None  # type: ignore[assignment]
    deadline = time.monotonic() + 5
    gc.collect()
    while open_descriptors() - before and time.monotonic() < deadline:
        time.sleep(0.01)  # threads of the test that are about to end
        gc.collect()
    assert open_descriptors() - before == set()


@pytest.fixture
def pair(connect: Connect) -> tuple[Any, Peer]:
    return connect()
