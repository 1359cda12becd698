# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: what all tests share: markers, the header line, the rule about skips.

Called by: pytest.
Never: holds fixtures of one room; those live in the room's own conftest.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PYTHON = REPOSITORY / "python"
MARKERS = (
    "slow: takes more than a quarter of a second",
    "interop: needs Debian's libvirtd, python3-libvirt and QEMU, and root for namespaces",
    "torture: repeats a test with the n-th allocation, read or write failing",
)


# At import: the conftest.py of a folder named on the command line is read before any hook runs.
if PYTHON.is_dir() and str(PYTHON) not in sys.path:  # absent where a wheel is tested
    sys.path.insert(0, str(PYTHON))


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_report_header(config: pytest.Config) -> str:
    """Which libvirtcore is under test, and on which core."""
    try:
        import libvirtcore
        from libvirtcore.rpc import Client
    except ImportError as problem:
        return f"libvirtcore is not importable: {problem}"
    core = "pure Python" if "pure" in Client.__module__ else "C"
    where = Path(libvirtcore.__file__).parent
    return f"libvirtcore {libvirtcore.__version__}, {core} core, from {where}"


def lacking(*missing: str) -> NoReturn:
    """Skip a test for want of tools; in CI (environment CI=true) that is a failure instead."""
    reason = "missing: " + ", ".join(missing)
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
