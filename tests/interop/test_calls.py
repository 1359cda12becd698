# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_calls.py: every script and sweep, played by the real libvirt and by ours, must agree.

Each side plays on a fresh daemon of its own; the two daemons start alike, so whatever a script
changes, both sides change the same way.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop import differences, sweep
from tests.interop.compare import compare
from tests.interop.conftest import StartDaemon
from tests.interop.daemon import Client, clients
from tests.interop.oracle import CALLS, DRIVERS, Log, Step, Worker, play_on, read_script, scripts

SCRIPTS = [f"{driver}/{path.stem}" for driver in DRIVERS for path in scripts(driver)]
# INTEROP_CORES=real plays the real libvirt against itself: whatever differs then is not our doing.
CORES = os.environ.get("INTEROP_CORES", "ours,pure").split(",")
ROADS = [("unix", CORES[0]), ("tcp", CORES[0]), *(("unix", core) for core in CORES[1:])]
DISTINCT_APIS = 300

# What the real libvirt did, by script and transport: played once a session.
_real: dict[tuple[str, str], Log] = {}


def play_both(
    start_daemon: StartDaemon, name: str, steps: list[Step], transport: str, ours: Client
) -> tuple[Log, Log]:
    driver = name.partition("/")[0] if name in SCRIPTS else "test"
    with ThreadPoolExecutor(2) as pool:
        played = pool.submit(play_on, start_daemon(), ours, steps, driver, transport)
        if (name, transport) not in _real:
            real = clients()["real"]
            _real[name, transport] = play_on(start_daemon(), real, steps, driver, transport)
        return _real[name, transport], played.result()


def check(name: str, transport: str, real: Log, ours: Log) -> None:
    found = compare(name, real, ours)
    if ours.client == "real":
        assert not found, "\n".join(str(difference) for difference in found)
        return
    unexpected, unused = differences.split(name, transport, found)
    report = "\n".join(str(difference) for difference in unexpected)
    assert not unexpected, f"{len(unexpected)} differences in {len(real.steps)} steps\n{report}"
    assert not unused, f"differences that do not occur: {unused}"


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(("transport", "core"), ROADS)
def test_script_gives_what_real_libvirt_gives(
    start_daemon: StartDaemon, name: str, transport: str, core: str
) -> None:
    steps = read_script(CALLS / f"{name}.calls")
    real, ours = play_both(start_daemon, name, steps, transport, clients()[core])
    check(name, transport, real, ours)


@pytest.mark.parametrize("name", list(sweep.SWEEPS))
@pytest.mark.parametrize(("transport", "core"), [("unix", core) for core in CORES])
def test_sweep_fails_like_real_libvirt(
    start_daemon: StartDaemon, name: str, transport: str, core: str
) -> None:
    with Worker(clients()["real"], start_daemon().machine) as worker:
        steps = sweep.make(name, worker)
    real, ours = play_both(start_daemon, name, steps, transport, clients()[core])
    check(name, transport, real, ours)


@pytest.mark.parametrize("core", ["ours", "pure"])
def test_worker_runs_the_core_that_it_names(start_daemon: StartDaemon, core: str) -> None:
    """Otherwise the comparison of the C core could silently test the pure one."""
    source = "__import__('libvirtcore.rpc', fromlist=['Client']).Client.__module__"
    with Worker(clients()[core], start_daemon().machine) as worker:
        outcome = worker.step(Step(1, source))
    assert outcome.error is None, outcome.error
    assert (core == "pure") == ("pure" in outcome.value[1])


def test_scripts_call_enough_apis(start_daemon: StartDaemon) -> None:
    """Counts methods and functions called by the scripts alone; sweeps come on top."""
    called: set[str] = set()
    succeeded: set[str] = set()
    for name in SCRIPTS:
        if (name, "unix") not in _real:
            steps = read_script(CALLS / f"{name}.calls")
            driver = name.partition("/")[0]
            log = play_on(start_daemon(), clients()["real"], steps, driver, "unix")
            _real[name, "unix"] = log
        log_called, log_succeeded = _real[name, "unix"].apis()
        called |= log_called
        succeeded |= log_succeeded
    print(f"{len(called)} distinct APIs called, {len(succeeded)} of them with success")
    assert len(succeeded) >= DISTINCT_APIS
