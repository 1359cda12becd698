# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: both daemons on one machine for the tests of this folder.

Called by: pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.interop.daemon import missing
from tests.interop_daemon import guest_differences
from tests.interop_daemon.pair import Pair

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what our driver does not know yet, if the steps that need it were played."""
    reports = terminalreporter.getreports("passed")
    if any("test_guests.py::test_guests_live" in report.nodeid for report in reports):
        calls = sorted(set(guest_differences.LACKING.values()))
        steps = len(guest_differences.LACKING)
        terminalreporter.write_line(
            f"{steps} steps need calls that are not built: {', '.join(calls)}"
        )


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Skip (in CI: fail) where the host cannot run the real one."""
    lacks = missing()
    if lacks:
        lacking(*lacks)
    with Pair() as both:
        yield both
        assert "Traceback" not in both.log(), both.log()
