# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_storage.py: no room, no file, no short path."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.faults.conftest import agree, connect, guests, lib_of, state_of
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import UUID, domain_xml
from tests.security.test_disks import qcow2

pytestmark = pytest.mark.slow

SMALL = 128 << 10


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """A function that makes a folder have room for very little; without root, a full device."""
    mounted: list[Path] = []

    def mount(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=700", "tmpfs", str(folder)],
            check=True,
        )
        mounted.append(folder)
        return folder

    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root; RLIMIT_FSIZE is tried below")
    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.parametrize("how", ["save", "managedSave", "dump"])
def test_a_full_disk_while_saving_costs_no_guest(
    make: Callable[..., OurDaemon], small: Callable[[Path], Path], tmp_path: Path, how: str
) -> None:
    daemon = make(start=False)
    folder = small(lib_of(daemon) / "save" if how == "managedSave" else tmp_path / "small")
    daemon.start()
    conn = connect(daemon)
    dom = conn.defineXML(domain_xml())
    dom.create()
    calls: dict[str, Callable[[], Any]] = {
        "save": lambda: dom.save(str(folder / "image")),
        "managedSave": lambda: dom.managedSave(0),
        "dump": lambda: dom.coreDump(str(folder / "core"), 0),
    }
    for _ in range(2):
        with pytest.raises(libvirt.libvirtError) as caught:
            calls[how]()
        assert caught.value.get_error_code() != libvirt.VIR_ERR_OPERATION_TIMEOUT
        assert dom.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        assert dom.memoryStats()
        assert os.listdir(folder) == [], "half an image was left"
    assert not dom.hasManagedSaveImage()
    agree(daemon, conn)
    dom.destroy()


def test_a_file_size_limit_while_saving(make: Callable[..., OurDaemon], tmp_path: Path) -> None:
    """The same for everybody: SIGXFSZ and EFBIG are no end of the daemon."""
    daemon = make(wrapper=lambda words: ["sh", "-c", 'ulimit -f 256; exec "$@"', "sh", *words])
    conn = connect(daemon)
    dom = conn.createXML(domain_xml(), 0)
    with pytest.raises(libvirt.libvirtError):
        dom.save(str(tmp_path / "image"))
    assert not (tmp_path / "image").exists()
    assert daemon.process is not None
    assert daemon.process.poll() is None
    for guest in conn.listAllDomains():
        guest.destroy()
    agree(daemon, conn)


def test_no_room_for_definitions_and_states(
    make: Callable[..., OurDaemon], small: Callable[[Path], Path]
) -> None:
    """The old definition stays; a guest that cannot be put on record does not start."""
    daemon = make(start=False)
    config = small(daemon.root / "etc" / "libvirt" / "qemu")
    daemon.start()
    conn = connect(daemon)
    dom = conn.defineXML(domain_xml())
    (config / "filler").write_bytes(b"x" * (SMALL - (24 << 10)))
    with pytest.raises(libvirt.libvirtError):
        note = "<metadata><n xmlns='x:y'>" + "x" * 60000 + "</n></metadata>"
        conn.defineXML(domain_xml(extra=note))
    assert "xxxx" not in dom.XMLDesc()
    agree(daemon, conn)
    state = small(state_of(daemon) / "full")
    assert state.exists()
    dom.create()
    dom.destroy()


def test_no_room_for_the_state_of_a_guest(
    make: Callable[..., OurDaemon], small: Callable[[Path], Path]
) -> None:
    daemon = make(start=False)
    state = small(state_of(daemon))
    daemon.start()
    conn = connect(daemon)
    dom = conn.defineXML(domain_xml())
    filler = state / "filler"
    filler.write_bytes(b"x" * (SMALL - 4096))
    with pytest.raises(libvirt.libvirtError):
        dom.create()
    assert not dom.isActive()
    assert guests(daemon) == []
    assert not list(lib_of(daemon).glob("domain-*"))
    filler.unlink()
    dom.create()
    assert dom.state() == [1, 1]
    dom.destroy()
    agree(daemon, conn)


def test_a_missing_backing_file_is_named(daemon: OurDaemon, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    missing = tmp_path / "missing"
    overlay.write_bytes(qcow2(missing))
    disk = (
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{overlay}'/><target dev='vda' bus='virtio'/></disk>"
    )
    conn = connect(daemon)
    dom = conn.defineXML(domain_xml(devices=disk))
    for _ in range(3):
        with pytest.raises(libvirt.libvirtError, match="missing"):
            dom.create()
        assert dom.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF
        agree(daemon, conn)


def test_an_emulator_that_fails_leaves_nothing(daemon: OurDaemon) -> None:
    conn = connect(daemon)
    broken = "<serial type='file'><source path='/nonexistent/folder/log'/></serial>"
    for _ in range(5):
        with pytest.raises(libvirt.libvirtError):
            conn.createXML(domain_xml(devices=broken), 0)
    assert conn.listAllDomains() == []
    agree(daemon, conn)


def test_a_root_of_300_characters_holds_guests(
    make: Callable[..., OurDaemon], tmp_path: Path
) -> None:
    """Sockets have room for 107 characters of a path; the guests' need not fit."""
    root = tmp_path / ("a" * 150) / ("b" * 150)
    daemon = make(root, tcp=True)
    conn = libvirt.open(daemon.uri("qemu", "tcp"))
    dom = conn.defineXML(domain_xml())
    dom.create()
    dom.suspend()
    daemon.kill()
    daemon.start()
    conn = libvirt.open(daemon.uri("qemu", "tcp"))
    dom = conn.lookupByName("guest")
    assert (dom.state(), dom.UUIDString()) == ([3, 1], UUID)
    dom.resume()
    dom.managedSave()
    dom.create()
    assert dom.state() == [1, 3]
    agree(daemon, conn)
