# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: every test of this folder has a server that leaves no descriptor and no thread.

Called by: pytest. Never: skips the C core in CI.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import lacking

if TYPE_CHECKING:
    from tests.rpc_server.toy import Toy

try:
    import _libvirtmod  # noqa: F401
except ImportError:
    collect_ignore_glob = ["test_server_*.py"]
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        lacking("the C core")


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture
def make_toy() -> Iterator[Callable[..., Toy]]:
    """A function that makes a toy daemon. At the end all must be gone without a trace."""
    from tests.rpc_server.toy import Toy

    gc.collect()
    before = open_descriptors()
    made: list[Toy] = []

    def make(*args: Any, **options: Any) -> Toy:
        made.append(Toy(*args, **options))
        return made[-1]

    yield make
    for toy in made:
        toy.close()
        toy.calls.clear()
        del toy.server  # its last descriptors go with its memory
    made.clear()
    deadline = time.monotonic() + 5
    gc.collect()
    while open_descriptors() - before and time.monotonic() < deadline:
        time.sleep(0.01)
        gc.collect()
    assert open_descriptors() - before == set()


@pytest.fixture
def toy(make_toy: Callable[..., Toy]) -> Toy:
    return make_toy()
