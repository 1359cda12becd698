# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_upstream_suite.py: libvirt-python's own tests and examples, with our modules in its place.

The source distribution is fetched by pip when the tests run and is never part of this tree. Its
tests use `test:///default`; they run once in process and once, with the URI rewritten, through the
real libvirtd.
Called by: pytest. Calls: pip, and pytest in a process of its own.
Never: changes what the tests assert.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.interop import guest
from tests.interop.daemon import Daemon, clients
from tests.interop.upstream_later import IN_PROCESS_LATER, NOT_THROUGH_A_DAEMON

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "libvirt-python==12.8.0"
CACHE = ROOT / "build" / "upstream"
OUTCOME = re.compile(r"^\S*?(test_\w+\.py::\S+) (PASSED|FAILED|SKIPPED|ERROR)", re.MULTILINE)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """The tests folder of the unpacked source distribution."""
    if not list(CACHE.glob("libvirt*python-*.tar.gz")):
        fetched = subprocess.run(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                "--no-binary=:all:", f"--dest={CACHE}", RELEASE,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if fetched.returncode:
            lacking(f"{RELEASE} from pip ({fetched.stderr.strip()[-200:]})")
    with tarfile.open(next(CACHE.glob("libvirt*python-*.tar.gz"))) as archive:
        # The filter came with security releases of each Python; the archive is pip's either way.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path, **safe)  # type: ignore[arg-type]
    return next(tmp_path.glob("libvirt*")) / "tests"


def run_suite(tests: Path, *names: str) -> tuple[dict[str, str], str]:
    """Run the suite, or single tests of it; return test → outcome, and the output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(ROOT / "python")
    chosen = names or sorted(path.name for path in tests.glob("test_*.py"))
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--no-header", "-rN",
            "-c", os.devnull, f"--rootdir={tests}", *chosen,
        ],
        capture_output=True, text=True, check=False, cwd=tests, env=environment, timeout=300,
    )  # fmt: skip
    return dict(OUTCOME.findall(done.stdout)), done.stdout[-6000:] + done.stderr[-2000:]


def unexpected(outcomes: dict[str, str], excused: dict[str, str]) -> set[str]:
    return {
        name
        for name, outcome in outcomes.items()
        if outcome in ("FAILED", "ERROR") and name.rpartition("::")[2] not in excused
    }


def still_failing(tests: Path, outcomes: dict[str, str], excused: dict[str, str]) -> list[str]:
    """Run each unexpected failure once more, alone: the state of `test:///default` lasts as long as
    a connection does, and a failed test's traceback or a daemon keeps one open for the next test.
    """
    failures = []
    for name in sorted(unexpected(outcomes, excused)):
        again, output = run_suite(tests, name)
        if unexpected(again, {}) or not again:
            failures.append(output)
    return failures


def test_suite_passes_in_process(upstream: Path) -> None:
    """Everything that needs only the first slice of the test driver passes."""
    (upstream / "test_api_coverage.py").unlink()  # reads API files that only the C library installs
    outcomes, output = run_suite(upstream)
    assert len(outcomes) >= 120, output
    assert still_failing(upstream, outcomes, IN_PROCESS_LATER) == []
    passed = {name.rpartition("::")[2] for name, outcome in outcomes.items() if outcome == "PASSED"}
    assert passed & IN_PROCESS_LATER.keys() == set(), "these pass now: take them off the list"


def test_suite_passes_through_the_real_daemon(upstream: Path, daemon: Daemon) -> None:
    for name in ("test_api_coverage.py", "test_aio.py"):  # aio: counts the test driver's handles
        (upstream / name).unlink()
    uri = f"test+unix:///default?socket={daemon.socket}"
    for path in upstream.glob("test_*.py"):
        path.write_text(path.read_text().replace('"test:///default"', repr(uri)))
    outcomes, output = run_suite(upstream)
    assert len(outcomes) >= 115, output
    assert still_failing(upstream, outcomes, NOT_THROUGH_A_DAEMON) == []


GUEST = "<guest>"  # replaced by the path of a file with a domain
CALLS = (
    ("dominfo.py", "guest"),
    ("dominfo.py", "nobody"),
    ("nodestats.py",),
    ("topology.py",),
    ("domipaddrs.py", "<uri>", "guest"),
    ("dhcpleases.py", "<uri>", "nowhere"),
    ("domstart.py", GUEST),
)


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_examples_print_the_same(upstream: Path, daemon: Daemon, call: tuple[str, ...]) -> None:
    """Each example says the same, with the same exit status, under the real library and ours."""
    probe = subprocess.run(["/usr/bin/python3", "-c", "import libxml2"], check=False)
    if probe.returncode:
        lacking("python3-libxml2")
    described = upstream / "guest.xml"
    described.write_text(guest.domain_xml())
    (daemon.root / "lib" / "guest.xml").write_text(guest.domain_xml())
    daemon.virsh("create", "/var/lib/libvirt/guest.xml", "--paused")
    names = {GUEST: str(described), "<uri>": daemon.uri()}
    arguments = [names.get(word, word) for word in call[1:]]
    found = importlib.util.find_spec("_cffi_backend")
    if found is None or found.origin is None:
        lacking("cffi")
    backend = str(Path(found.origin).parent)
    said = []
    for name in ("real", "ours"):
        # The system's Python for both, since libxml2's module is there.
        environment = dict(clients()[name].env) | {"LIBVIRT_DEFAULT_URI": daemon.uri()}
        if name == "ours":
            environment["PYTHONPATH"] += os.pathsep + backend
        done = subprocess.run(
            ["/usr/bin/python3", str(upstream.parent / "examples" / call[0]), *arguments],
            capture_output=True, text=True, check=False, env=environment, timeout=60,
        )  # fmt: skip
        printed = re.sub(r"MemFree:.*", "MemFree: changes", done.stdout)
        said.append((done.returncode, printed, done.stderr))
    assert said[1] == said[0]
