# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_real_clients.py: Debian's virsh and python3-libvirt, unmodified, against our sessions."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.conftest import lacking
from tests.interop.daemon import PATH, SYSTEM_PYTHON, missing

pytestmark = [pytest.mark.interop, pytest.mark.slow]

SCRIPT = """
import json, sys, threading, time, libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
libvirt.virEventRegisterDefaultImpl()
threading.Thread(target=lambda: [libvirt.virEventRunDefaultImpl() for _ in range(9999)],
                 daemon=True).start()
conn = libvirt.open(sys.argv[1])
heard = []
conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                            lambda c, dom, *facts: heard.append((dom.name(), *facts[:2])), None)
dom = conn.lookupByName("test")
dom.suspend()
state = dom.state()
dom.resume()
try:
    dom.resume()
    code = 0
except libvirt.libvirtError as error:
    code = error.get_error_code()
again = conn.lookupByUUIDString(dom.UUIDString())
until = time.time() + 5
while len(heard) < 2 and time.time() < until:
    time.sleep(0.01)
print(json.dumps({
    "heard": heard, "state": state, "code": code, "type": conn.getType(), "uri": conn.getURI(),
    "names": [one.name() for one in conn.listAllDomains()], "same": again.ID() == dom.ID(),
    "alive": conn.isAlive(), "secure": conn.isSecure(),
}))
"""


@pytest.fixture(autouse=True)
def _tools() -> None:
    lacks = missing()
    if lacks:
        lacking(*lacks)


def virsh(path: str, *command: str, expected: int = 0) -> str:
    uri = f"test+unix:///default?socket={path}"
    done = subprocess.run(
        ["virsh", "-q", "-c", uri, *command],
        env={"PATH": PATH, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == expected, done.stderr
    return done.stdout if expected == 0 else done.stderr


def test_virsh_lists_and_tells(path: str) -> None:
    assert virsh(path, "list", "--all").split() == ["1", "test", "running"]
    assert "2 (MHz)" not in virsh(path, "nodeinfo")
    assert "<domain type='test' id='1'>" in virsh(path, "dumpxml", "test")
    assert virsh(path, "domstate", "test").strip() == "running"
    assert "4096 KiB" in virsh(path, "freecell", "--all")


def test_virsh_changes_state(path: str) -> None:
    said = virsh(path, "suspend test; domstate test; resume test; domstate test")
    assert said.split() == ["paused", "running"]
    said = virsh(path, "resume", "nothere", expected=1)
    assert "failed to get domain 'nothere'" in said


def test_virsh_is_refused_by_the_read_only_socket(path_ro: str) -> None:
    assert virsh(path_ro, "list", "--name").strip() == "test"
    said = virsh(path_ro, "suspend", "test", expected=1)
    assert "operation forbidden: read only access prevents virDomainSuspend" in said


def test_python_libvirt_drives_and_hears(path: str) -> None:
    uri = f"test+unix:///default?socket={path}"
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", SCRIPT, uri], capture_output=True, text=True, timeout=30, check=True
    )
    told = json.loads(done.stdout)
    assert told == {
        "heard": [["test", 3, 0], ["test", 4, 0]],
        "state": [3, 1],
        "code": 1,
        "type": "TEST",
        "uri": uri,
        "names": ["test"],
        "same": True,
        "alive": 1,
        "secure": 1,
    }
