# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_upstream_suite.py: libvirt-python's own test suite passes with our modules in its place.

The source distribution is fetched by pip when the tests run and is never part of this tree. Its tests use
`test:///default`; they run once in process and once more, with the URI rewritten, through the real libvirtd.
Called by: pytest (marker interop). Fails in CI, and skips elsewhere, when the archive cannot be fetched.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upstream.expected import IN_PROCESS_LATER

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "libvirt-python==12.8.0"

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def give_up(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("upstream")
    cached = ROOT / ".cache" / "upstream"
    archives = list(cached.glob("libvirt*python-*.tar.gz"))
    if not archives:
        fetched = subprocess.run(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                "--no-binary=:all:", f"--dest={cached}", RELEASE,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        archives = list(cached.glob("libvirt*python-*.tar.gz"))
        if not archives:
            give_up(f"{RELEASE} could not be fetched: {fetched.stderr.strip()[-300:]}")
    with tarfile.open(archives[0]) as archive:
        # The filter came with security releases of each Python; the archive is pip's either way.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safe)  # type: ignore[arg-type]
    yield next(folder.iterdir())


def run_suite(tests: Path) -> tuple[dict[str, str], str]:
    """Run the suite in a process of its own; return test → outcome, and the output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(ROOT / "python")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--no-header", "-rN",
         "--ignore", str(tests / "test_api_coverage.py"), "-c", os.devnull, str(tests)],
        capture_output=True, text=True, check=False, cwd=tests, env=environment, timeout=300,
    )  # fmt: skip
    outcomes = dict(
        match.groups()
        for match in re.finditer(r"^\S*?(test_\w+\.py::\S+) (PASSED|FAILED|SKIPPED|ERROR)", done.stdout, re.M)
    )
    return outcomes, done.stdout[-6000:] + done.stderr[-2000:]


def bad(outcomes: dict[str, str]) -> set[str]:
    return {name for name, outcome in outcomes.items() if outcome in ("FAILED", "ERROR")}


def test_suite_passes_in_process(upstream: Path) -> None:
    """Everything that needs only the first slice of the test driver passes."""
    outcomes, output = run_suite(upstream / "tests")
    assert len(outcomes) >= 120, output
    later = {name for name in outcomes if any(name.endswith(entry) for entry in IN_PROCESS_LATER)}
    assert bad(outcomes) - later == set(), output
    assert later - bad(outcomes) == set(), "these pass now: take them off the list"


def test_suite_passes_through_the_real_daemon(upstream: Path, interop_daemon_uri: str) -> None:
    tests = upstream / "tests"
    for path in tests.glob("test_*.py"):
        text = path.read_text().replace('"test:///default"', repr(interop_daemon_uri))
        path.write_text(text)
    outcomes, output = run_suite(tests)
    assert len(outcomes) >= 120, output
    # What the daemon itself cannot do: read a host description from a file of the client's side.
    file_based = {name for name in outcomes if "testOpenAuth" in name}
    assert bad(outcomes) - file_based == set(), output
