# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_disks.py: a guest that writes a header into its raw disk gains nothing (CVE-2010-2237 ff.).

The disk claims to be a qcow2 image that is backed by a file of the host. It is declared raw, or not
declared at all, which means raw: QEMU is told so, and neither of us opens the other file.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import domain_xml

pytestmark = pytest.mark.slow


def qcow2(backing: Path) -> bytes:
    """A header that names a backing file, and room behind it."""
    name = str(backing).encode()
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 1024, len(name), 16, 1 << 20, 0, 1,
                       65536, 131072, 1, 0, 0)  # fmt: skip
    return (head.ljust(1024, b"\0") + name).ljust(1 << 20, b"\0")


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    """The disk, and the file it would like to have."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 1000)
    disk = tmp_path / "disk"
    disk.write_bytes(qcow2(secret))
    return disk, secret


def opened(pid: int) -> set[str]:
    found = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found.add(os.readlink(entry.path))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("driver", ["<driver name='qemu' type='raw'/>", ""])
def test_a_raw_disk_stays_raw(
    daemon: OurDaemon, qemu: Any, state: Path, images: tuple[Path, Path], driver: str
) -> None:
    disk, secret = images
    device = (
        f"<disk type='file' device='disk'>{driver}<source file='{disk}'/>"
        "<target dev='vda' bus='virtio'/></disk>"
    )
    dom = qemu.createXML(domain_xml(devices=device), libvirt.VIR_DOMAIN_START_PAUSED)
    pid = int((state / "guest.pid").read_text())
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    nodes = [json.loads(words[i + 1]) for i, word in enumerate(words) if word == b"-blockdev"]
    formats = {node["driver"] for node in nodes}
    assert formats == {"file", "raw"}
    files = {node["filename"] for node in nodes if node["driver"] == "file"}
    assert files == {str(disk)}
    assert str(disk) in opened(pid)
    assert str(secret) not in opened(pid)
    assert str(secret) not in opened(daemon.pid)
    assert str(secret) not in dom.XMLDesc()
    assert dom.blockInfo("vda")[0] == disk.stat().st_size


def test_a_chain_ends_where_the_document_says(
    daemon: OurDaemon, qemu: Any, state: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    """An image that is backed by the raw disk does not lead to what the disk names."""
    disk, secret = images
    overlay = tmp_path / "overlay"
    overlay.write_bytes(qcow2(disk))
    device = (
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{overlay}'/><backingStore type='file'><format type='raw'/>"
        f"<source file='{disk}'/><backingStore/></backingStore>"
        "<target dev='vda' bus='virtio'/></disk>"
    )
    dom = qemu.createXML(domain_xml(devices=device), libvirt.VIR_DOMAIN_START_PAUSED)
    pid = int((state / "guest.pid").read_text())
    assert {str(overlay), str(disk)} <= opened(pid)
    assert str(secret) not in opened(pid)
    assert str(secret) not in dom.XMLDesc()


def test_an_image_without_a_format_below_is_refused(
    qemu: Any, images: tuple[Path, Path], tmp_path: Path
) -> None:
    """Where the format of a backing file would have to be guessed and it is an image: no."""
    disk, _secret = images
    overlay = tmp_path / "overlay"
    overlay.write_bytes(qcow2(disk))
    device = (
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{overlay}'/><target dev='vda' bus='virtio'/></disk>"
    )
    with pytest.raises(libvirt.libvirtError, match="format"):
        qemu.createXML(domain_xml(devices=device), 0)
    assert qemu.listAllDomains() == []
