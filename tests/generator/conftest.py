# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: makes the generator importable; --update-golden rewrites expected outputs.

Called by: pytest.
Never: loads the description more than once a session.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what the generator makes as expected"
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Only known when tests/generator is named on the command line; elsewhere never."""
    return bool(request.config.getoption("--update-golden", default=False))


@pytest.fixture(scope="session")
def model():  # type: ignore[no-untyped-def]  # the import needs the path set above
    from generator.description import load

    return load()
