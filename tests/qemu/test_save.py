# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_save.py: guests saved to files and restored from them, and their cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.qemu.conftest import Subscriber, domain_xml


def test_save_and_restore(conn: Any, root: Path) -> None:
    events = Subscriber(conn)
    dom = conn.defineXML(domain_xml())
    dom.create()
    image = root / "image"
    assert dom.save(str(image)) == 0
    assert (dom.state(), image.stat().st_mode & 0o777) == ([5, 5], 0o600)
    assert image.read_bytes()[:16] == b"LibvirtQemudSave"
    assert "<name>guest</name>" in conn.saveImageGetXMLDesc(str(image), 0)
    conn.restore(str(image))
    assert dom.state() == [1, 3]
    assert events.take(7)[3:] == [(3, 0), (5, 4), (2, 2), (4, 2)]
    dom.suspend()
    dom.save(str(image))
    conn.restore(str(image))
    assert dom.state() == [3, 2]
    dom.resume()
    assert dom.state() == [1, 5]


def test_managed_save_is_used_once(conn: Any) -> None:
    dom = conn.defineXML(domain_xml())
    dom.create()
    dom.managedSave()
    assert (dom.hasManagedSaveImage(), dom.isActive()) == (1, 0)
    with pytest.raises(libvirt.libvirtError, match="managed save image exists"):
        dom.undefine()
    dom.create()
    assert (dom.hasManagedSaveImage(), dom.state()) == (0, [1, 3])
    dom.managedSave()
    dom.createWithFlags(libvirt.VIR_DOMAIN_START_FORCE_BOOT)
    assert (dom.hasManagedSaveImage(), dom.state()) == (0, [1, 1])


def test_damaged_managed_save_is_dropped(conn: Any, root: Path) -> None:
    dom = conn.defineXML(domain_xml())
    image = root / "lib" / "qemu" / "save" / "guest.save"
    image.write_bytes(b"LibvirtQemudPart" + bytes(200))
    dom.create()
    assert (dom.state(), image.exists()) == ([1, 1], False)


def test_failed_save_leaves_the_guest_running(conn: Any, root: Path) -> None:
    dom = conn.createXML(domain_xml(), 0)
    with pytest.raises(libvirt.libvirtError):
        dom.save(str(root / "missing" / "image"))
    assert dom.state() == [1, 1]
    with pytest.raises(libvirt.libvirtError):
        dom.save("/dev/full")
    assert dom.state() == [1, 7]
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize(
    "content", [b"", b"LibvirtQemudSave", b"x" * 4096, b"LibvirtQemudSave" + b"\xff" * 4096]
)
def test_restore_refuses_other_files(conn: Any, root: Path, content: bytes) -> None:
    (root / "image").write_bytes(content)
    with pytest.raises(libvirt.libvirtError):
        conn.restore(str(root / "image"))
    assert conn.listAllDomains() == []


def test_core_dumps(conn: Any, root: Path) -> None:
    dom = conn.createXML(domain_xml(), 0)
    assert dom.coreDump(str(root / "core"), 0) == 0
    assert dom.state() == [1, 5]
    assert dom.coreDump(str(root / "elf"), libvirt.VIR_DUMP_MEMORY_ONLY) == 0
    assert (root / "elf").read_bytes()[:4] == b"\x7fELF"
    dom.coreDump(str(root / "last"), libvirt.VIR_DUMP_CRASH)
    assert conn.listAllDomains() == []
