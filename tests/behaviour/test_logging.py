# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_logging.py: one line a call for whoever asks, nothing for everybody else; recorded sessions
explained.

Called by: pytest.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from libvirtcore.rpc import capture
from tests.behaviour.conftest import Script, StartProxy
from tests.conftest import PYTHON
from tests.interop.daemon import Daemon

SESSION = """
import sys, libvirt
libvirt.registerErrorHandler(lambda ctx, err: None, None)
conn = libvirt.open(sys.argv[1])
conn.getHostname()
try:
    conn.networkLookupByName("none")
except libvirt.libvirtError:
    pass
with conn.pipeline() as pipe:
    pipe.call(conn.getHostname)
conn.close()
"""
LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000: \d+: debug : rpc\.client : "
    r"serial=(\d+) remote\.(\w+) (ok|error|closed|abandoned) sent=(\d+) received=(\d+) us=(\d+)"
)
BOTH = pytest.mark.parametrize("pure", [False, True], ids=["c", "pure"])


def lines_of(text: str, calls: int) -> dict[str, list[str]]:
    """Procedure -> how each of its calls ended; every line must be one of a call."""
    found: dict[str, list[str]] = {}
    serials = set()
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        assert match is not None, line
        serials.add(match[1])
        found.setdefault(match[2], []).append(match[3])
        assert int(match[4]) >= 28 and int(match[5]) >= 28 and int(match[6]) < 10_000_000
    assert len(text.splitlines()) == len(serials) == calls
    return found


@BOTH
def test_debug_prints_a_line_for_each_call(
    script: Script, start_proxy: StartProxy, pure: bool
) -> None:
    proxy = start_proxy()
    done = script(SESSION, proxy.uri, pure=pure, env={"LIBVIRT_DEBUG": "1"})
    assert (done.returncode, done.stdout) == (0, "")
    found = lines_of(done.stderr, proxy.calls)
    assert found["connect_get_hostname"] == ["ok", "ok"]
    assert found["network_lookup_by_name"] == ["error"]
    assert found["connect_open"] == found["connect_close"] == ["ok"]


@BOTH
def test_outputs_and_filters(
    script: Script, start_proxy: StartProxy, tmp_path: Path, pure: bool
) -> None:
    proxy = start_proxy()
    log = tmp_path / "log"
    env = {"LIBVIRT_LOG_OUTPUTS": f"1:file:{log}", "LIBVIRT_LOG_FILTERS": "1:rpc 4:*"}
    done = script(SESSION, proxy.uri, pure=pure, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines_of(log.read_text(), proxy.calls)


@BOTH
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"LIBVIRT_DEBUG": "error"},
        {"LIBVIRT_DEBUG": "1", "LIBVIRT_LOG_FILTERS": "4:rpc"},
        {"LIBVIRT_DEBUG": "1", "LIBVIRT_LOG_OUTPUTS": "3:stderr"},
    ],
    ids=["nothing set", "errors only", "filtered", "output too high"],
)
def test_silence(script: Script, uri: str, env: dict[str, str], pure: bool) -> None:
    done = script(SESSION, uri, pure=pure, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


ENDINGS = """
import socket, threading, libvirtcore
from libvirtcore.rpc import Client
ours, theirs = socket.socketpair()
client = Client(ours.detach())
for end in (None, client.cancel, theirs.close):
    if end is not None:
        threading.Timer(0.05, end).start()
    try:
        client.call(0x20008086, 59, None, 0.05 if end is None else 5)
    except libvirtcore.VirError:
        pass
"""


@BOTH
def test_calls_that_end_badly(script: Script, pure: bool) -> None:
    done = script(ENDINGS, pure=pure, env={"LIBVIRT_DEBUG": "1"})
    assert done.returncode == 0
    found = re.findall(r"remote\.connect_get_hostname (\w+) sent=28 received=0", done.stderr)
    assert found == ["abandoned", "abandoned", "closed"]


def explain(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "libvirtcore.rpc.explain", *arguments],
        env={"PYTHONPATH": str(PYTHON)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout


def test_explain_a_recorded_session(script: Script, daemon: Daemon, tmp_path: Path) -> None:
    path, record = tmp_path / "tap", tmp_path / "session.capture"
    with socket.socket(socket.AF_UNIX) as listener, record.open("w") as out:
        listener.bind(str(path))
        listener.listen(1)

        def tap() -> None:
            client, _ = listener.accept()
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(str(daemon.socket))
                capture.relay(client, server, out)

        thread = threading.Thread(target=tap)
        thread.start()
        done = script(SESSION, f"test+unix:///default?socket={path}")
        thread.join(5)
    assert done.returncode == 0
    said = explain(str(record))
    assert "not" not in [line.split()[0] for line in said.splitlines() if line.strip()]
    for word in ("connect_open", "connect_get_hostname", "'alpha'", "network_lookup_by_name"):
        assert word in said
    assert re.search(r"reply.*network_lookup_by_name.*error", said)
    assert "no network with matching name 'none'" in said


def test_explain_the_bytes_of_one_direction(
    script: Script, start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy()
    assert script(SESSION, proxy.uri).returncode == 0
    raw = tmp_path / "raw"
    raw.write_bytes(b"".join(data for direction, data in proxy.recorded if direction == ">"))
    said = explain(str(raw))
    assert said.count(" call ") >= proxy.calls - 1
    assert "connect_close" in said
