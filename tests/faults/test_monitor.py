# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_monitor.py: a QEMU whose monitor lies, in a guest that runs beside an honest one.

The emulator is a real process: emulator.py between the driver and a real QEMU. Whatever it says,
the call that met it ends in time, the honest guest goes on, the daemon neither grows nor falls, and
the guest can be ended without a trace (CVE-2018-5748, CVE-2019-20485).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
import libvirtcore
from tests.conftest import REPOSITORY
from tests.faults.conftest import Clock, agree, connect
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import QEMU, UUID, domain_xml, wait_for
from tests.security.conftest import resident

pytestmark = pytest.mark.slow

SCRIPT = """#!/bin/sh
case " $* " in *none,accel=*|*" -version "*) exec {qemu} "$@";; esac
exec {python} {emulator} {folder} "$@"
"""
MODES = ["garbage", "silence", "long", "endless", "hangup", "others", "types", "storm",
         "odd events"]  # fmt: skip
HARMLESS = ("types", "storm", "odd events")  # passed over, or the right answers come, too


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Path]:
    """The folder whose file `mode` makes the emulator lie."""
    folder = tmp_path / "emulator"
    folder.mkdir()
    script = folder / "qemu-system-x86_64"
    code = REPOSITORY / "tests" / "faults" / "emulator.py"
    script.write_text(SCRIPT.format(qemu=QEMU, python=sys.executable, emulator=code, folder=folder))
    script.chmod(0o755)
    yield folder


def liar_xml(folder: Path) -> str:
    xml = domain_xml("liar", UUID[:-1] + "f")
    return xml.replace(QEMU, str(folder / "qemu-system-x86_64"))


@pytest.mark.parametrize("mode", MODES)
def test_lies_cost_only_who_asked(daemon: OurDaemon, emulator: Path, mode: str) -> None:
    conn = connect(daemon)
    honest = conn.createXML(domain_xml(), 0)
    liar = conn.createXML(liar_xml(emulator), 0)
    assert liar.memoryStats()
    before, errors = resident(daemon.pid), []
    (emulator / "mode").write_text(mode)
    for ask in (liar.memoryStats, liar.suspend, liar.resume, liar.jobInfo):
        with Clock() as clock, libvirtcore.timeout(2.0):
            try:
                ask()
            except libvirt.libvirtError as error:
                errors.append(str(error))
        assert clock.seconds < 3.0
        with Clock() as clock:
            assert honest.memoryStats()
        assert clock.seconds < 1.0
    assert errors or mode in HARMLESS
    assert not any("the daemon failed" in message for message in errors), errors
    assert "Traceback" not in daemon.log()
    assert resident(daemon.pid) - before < 200 << 20
    with Clock() as clock:
        try:
            liar.destroy()
        except libvirt.libvirtError as error:
            assert error.get_error_code() in (
                libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID
            )  # fmt: skip
    assert clock.seconds < 3.0
    assert [dom.name() for dom in conn.listAllDomains()] == ["guest"]
    assert honest.state() == [1, 1]
    agree(daemon, conn)


def test_silence_from_the_start_ends_with_destroy(daemon: OurDaemon, emulator: Path) -> None:
    """A QEMU that never greets is not waited for by anybody but the one who started it."""
    (emulator / "mode").write_text("mute")
    conn = connect(daemon)
    honest = conn.createXML(domain_xml(), 0)
    with Clock() as clock, libvirtcore.timeout(1.0), pytest.raises(libvirt.libvirtError):
        connect(daemon).createXML(liar_xml(emulator), 0)
    assert clock.seconds < 2.0
    with Clock() as clock:
        assert honest.memoryStats()
        names = sorted(dom.name() for dom in conn.listAllDomains())
    assert clock.seconds < 1.0
    if "liar" in names:
        with Clock() as clock:
            conn.lookupByName("liar").destroy()
        assert clock.seconds < 2.0
    assert wait_for(lambda: [dom.name() for dom in conn.listAllDomains()] == ["guest"])
    agree(daemon, conn)


def test_a_restarted_daemon_meets_a_liar(make: Callable[..., OurDaemon], emulator: Path) -> None:
    """Guests are found again beside one that talks nonsense."""
    daemon = make()
    conn = connect(daemon)
    honest = conn.createXML(domain_xml(), 0)
    liar = conn.createXML(liar_xml(emulator), 0)
    (emulator / "mode").write_text("garbage")
    del honest, liar
    daemon.kill()
    daemon.start()
    conn = connect(daemon)
    found: Any = conn.lookupByName("guest")
    assert found.memoryStats()
    assert found.state() == [1, 1]
    for dom in conn.listAllDomains():
        dom.destroy()
    agree(daemon, conn)
