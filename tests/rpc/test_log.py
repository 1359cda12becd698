# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_log.py: the three variables, and one line per RPC from either client."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libvirtcore import log
from libvirtcore.errors import VirError
from libvirtcore.log import DEBUG, ERROR, INFO, WARNING
from tests.differential.peer import REMOTE, VERSION, Acting, Peer


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    log.configure(os.environ)


def test_log_is_silent_by_default() -> None:
    log.configure({})
    assert log.trace_rpc is None
    assert not log.enabled(ERROR, "rpc.client")


@pytest.mark.parametrize(
    ("debug", "level"),
    [("1", DEBUG), ("debug", DEBUG), ("2", INFO), ("3", WARNING), ("error", ERROR)],
)
def test_log_level(debug: str, level: int) -> None:
    log.configure({"LIBVIRT_DEBUG": debug})
    assert [log.enabled(each, "events.loop") for each in (DEBUG, INFO, WARNING, ERROR)] == [
        each >= level for each in (DEBUG, INFO, WARNING, ERROR)
    ]
    assert (log.trace_rpc is not None) == (level == DEBUG)


def test_log_filters_choose_by_source(tmp_path: Path) -> None:
    out = tmp_path / "log"
    log.configure(
        {
            "LIBVIRT_LOG_FILTERS": "1:rpc 4:event* 2:+remote",
            "LIBVIRT_LOG_OUTPUTS": f"1:file:{out} 4:stderr",
        }
    )
    assert log.trace_rpc is not None
    log.log(DEBUG, "rpc.client", "seen")
    log.log(DEBUG, "drivers.remote.ssh", "too low")
    log.log(INFO, "drivers.remote.ssh", "also seen")
    log.log(WARNING, "events.loop", "too low")
    log.log(WARNING, "conf", "by default")
    log.log(INFO, "conf", "too low")
    texts = [line.rsplit(" : ", 1)[1] for line in out.read_text().splitlines()]
    assert texts == ["seen", "also seen", "by default"]
    assert out.stat().st_mode & 0o777 == 0o600


def test_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure({"LIBVIRT_DEBUG": "2"})
    log.log(WARNING, "events.loop", "something")
    line = capsys.readouterr().err
    wanted = (
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000: \d+: warning : events.loop : something\n"
    )
    assert re.fullmatch(wanted, line)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIBVIRT_DEBUG", "loud"),
        ("LIBVIRT_LOG_FILTERS", "9:rpc"),
        ("LIBVIRT_LOG_FILTERS", "rpc"),
        ("LIBVIRT_LOG_OUTPUTS", "1:file:relative"),
        ("LIBVIRT_LOG_OUTPUTS", "1:file:/nonexistent/log"),
        ("LIBVIRT_LOG_OUTPUTS", "1:pigeon"),
        ("LIBVIRT_LOG_OUTPUTS", "7:stderr"),
    ],
)
def test_log_settings_that_make_no_sense(
    variable: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure({variable: value})
    assert capsys.readouterr().err.startswith(f"libvirt: {variable}: '{value}' ")
    log.log(ERROR, "rpc.client", "goes to stderr")
    assert "goes to stderr" in capsys.readouterr().err


def test_log_has_a_line_per_rpc(core: Any, tmp_path: Path) -> None:
    out = tmp_path / "log"
    log.configure({"LIBVIRT_DEBUG": "1", "LIBVIRT_LOG_OUTPUTS": f"1:file:{out}"})
    ours, theirs = socket.socketpair()
    client, peer = core.Client(ours.detach()), Peer(theirs)

    def play() -> None:
        peer.reply(peer.call(), (7,))
        peer.fail(peer.call(), 42, 10, "no")
        peer.call()
        peer.reply(peer.call(), (7,))
        peer.call()
        peer.close()

    acting = Acting(play)
    client.call(REMOTE, VERSION)
    with pytest.raises(VirError):
        client.call(REMOTE, VERSION)
    with pytest.raises(VirError):
        client.call(REMOTE, VERSION, None, 0.05)
    client.wait(client.submit(REMOTE, VERSION))
    with pytest.raises(VirError):
        client.call(REMOTE, VERSION)
    acting.join()
    client.close()
    lines = [line.split(" : ", 2)[2] for line in out.read_text().splitlines()]
    assert [re.sub(r"us=\d+$", "us=N", line) for line in lines] == [
        "serial=0 remote.connect_get_version ok sent=28 received=36 us=N",
        "serial=1 remote.connect_get_version error sent=28 received=96 us=N",
        "serial=2 remote.connect_get_version abandoned sent=28 received=0 us=N",
        "serial=3 remote.connect_get_version ok sent=28 received=36 us=N",
        "serial=4 remote.connect_get_version closed sent=28 received=0 us=N",
    ]


def test_log_is_read_from_the_environment() -> None:
    script = "from libvirtcore import log; log.log(1, 'rpc.client', 'hello')"
    for value, wanted in (("1", True), ("3", False), ("", False)):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "LIBVIRT_DEBUG": value, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("hello" in done.stderr) == wanted
