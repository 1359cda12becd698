# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_state_files.py: files are whole after 200 writers were killed while they wrote.

The writers are children of one process that has imported everything, so that each is soon writing.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu import paths as qemu_paths
from libvirtcore.drivers.qemu.store import Store, parse_status
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

KILLS = 200
WRITER = """
import os, sys
from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu import paths
from libvirtcore.drivers.qemu.store import Status, Store
from tests.qemu.conftest import domain_xml

where = paths.embedded(sys.argv[1])
where.make()
store = Store(where)

def write():
    count = 0
    while True:
        count += 1
        size = 10 + count % 5000
        note = "<metadata><n xmlns='x:y'>" + "x" * size + "</n></metadata>"
        model = Domain.parse(domain_xml(extra=note))
        store.save_config(model)
        store.set_autostart("guest", count % 2 == 0)
        store.save_status("guest", Status(pid=count, started=count, id=count, xml=model.format()))
        store.save_pid("guest", count)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        write()
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def test_files_are_whole_after_200_kills(tmp_path: Path) -> None:
    root = tmp_path / "root"
    env = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'python'}:{REPOSITORY}"}
    nursery = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        cwd=REPOSITORY,
    )
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    chance = random.Random(7)
    where = qemu_paths.embedded(str(root))
    config, status = Path(where.config) / "guest.xml", Path(where.state) / "guest.xml"
    pid, pending = Path(where.state) / "guest.pid", 0
    try:
        for _ in range(KILLS):
            nursery.stdin.write("go\n")
            nursery.stdin.flush()
            child = int(nursery.stdout.readline())
            time.sleep(chance.uniform(0.001, 0.012))
            os.kill(child, signal.SIGKILL)
            assert nursery.stdout.readline() == "gone\n"
            pending += len(list(root.rglob("*.new")))
            Store(where).tidy()
            assert not list(root.rglob("*.new"))
            if config.exists():
                assert Domain.parse(config.read_text()).name == "guest"
            if status.exists():
                found = parse_status(status.read_text())
                assert found.pid == found.started == found.id > 0
                assert Domain.parse(found.xml).name == "guest"
            if pid.exists():
                assert int(pid.read_text()) > 0
            for path in (config, status, pid):
                assert not path.exists() or path.stat().st_mode & 0o777 == 0o600
    finally:
        nursery.kill()
        nursery.communicate()
    assert config.exists() and status.exists() and pid.exists()
    assert pending > 5, "no writer was killed while it wrote"
