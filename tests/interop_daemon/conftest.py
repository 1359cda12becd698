# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: both daemons on one machine for the tests of this folder.

Called by: pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.interop.daemon import missing
from tests.interop_daemon.pair import Pair

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Skip (in CI: fail) where the host cannot run the real one."""
    lacks = missing()
    if lacks:
        lacking(*lacks)
    with Pair() as both:
        yield both
        assert "Traceback" not in both.log(), both.log()
