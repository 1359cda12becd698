# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: sockets with sessions behind them, one that may change things and one that may not.

Called by: pytest.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.libvirtd_dispatch.served import serve


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="lvd-") as name:
        yield Path(name)


@pytest.fixture
def path(folder: Path) -> Iterator[str]:
    """The socket of a server."""
    server = serve(str(folder / "sock"))
    yield server.path
    server.close()
    gc.collect()


@pytest.fixture
def path_ro(folder: Path) -> Iterator[str]:
    """The read-only socket of a server."""
    server = serve(str(folder / "sock-ro"), readonly=True)
    yield server.path
    server.close()
