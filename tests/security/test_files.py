# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_files.py: what the daemon leaves on disk is for its owner, and is nowhere else.

Under any umask every file is 0600 and every folder that holds secrets 0700 (CVE-2025-13193,
CVE-2019-10132); a name in a document is never a way out of its folder (CVE-2015-5313).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import domain_xml

pytestmark = pytest.mark.slow

DEVICES = (
    "<graphics type='vnc' port='-1' autoport='yes' passwd='x'/>"
    "<channel type='unix'><target type='virtio' name='org.test.0'/></channel>"
)
# Known to all: that it runs, where to ask, and what a test wrote itself.
PUBLIC = {
    "run/libvirtd.pid": 0o644,
    "run/libvirt/libvirtd-state.pid": 0o644,
    "run/libvirt/libvirt-sock": 0o700,
    "run/libvirt/libvirt-sock-ro": 0o777,
}
OURS = ("output", "etc/libvirt/libvirtd.conf", "core", "image")
PASSAGES = {"", "etc", "run", "etc/libvirt", "run/libvirt"}  # folders on the way to the sockets


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o177])
def test_everything_is_private_under_any_umask(tmp_path: Path, mask: int) -> None:
    root = tmp_path / "root"
    root.mkdir()
    before = os.umask(mask)
    try:
        daemon = OurDaemon(root=root, start=False)
        (root / "run" / "libvirt").mkdir(parents=True, mode=0o755)
        for folder in ("run", "run/libvirt", "etc", "etc/libvirt"):
            (root / folder).chmod(0o755)
        daemon.start()
    finally:
        os.umask(before)
    with daemon:
        conn = libvirt.open(daemon.uri("qemu"))
        first = conn.defineXML(domain_xml(devices=DEVICES))
        first.setAutostart(1)
        first.create()
        second = conn.defineXML(domain_xml("second", first.UUIDString()[:-1] + "f"))
        second.create()
        second.managedSave()
        first.coreDump(str(root / "core"), 0)
        open_to_others = []
        for path in root.rglob("*"):
            name = str(path.relative_to(root))
            mode = stat.S_IMODE(path.lstat().st_mode)
            if path.is_symlink() or (name in OURS and name not in ("core", "image")):
                continue
            if path.is_dir():
                if name not in PASSAGES and mode != 0o700:
                    open_to_others.append((name, oct(mode)))
            elif name in PUBLIC:
                assert mode & ~PUBLIC[name] == 0, name
            elif mode != 0o600:
                open_to_others.append((name, oct(mode)))
        conn.close()
    assert open_to_others == []


NAMES = [
    "../escape", "a/b", "/etc/passwd", "..", ".", "a\nb", "a\0b", "", "../../etc/libvirt/qemu/x",
    "x" * 300, "run/../../x",
]  # fmt: skip


def everything(root: Path) -> set[str]:
    kept = ("cache", "output")
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if not any(part in kept for part in path.relative_to(root).parts)
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_path(daemon: OurDaemon, qemu: Any, name: str) -> None:
    """Neither as a new guest's, nor a started one's, nor as the new name of an old one."""
    guest = qemu.defineXML(domain_xml())
    before = everything(daemon.root)
    above = set(os.listdir(daemon.root.parent)) & {"escape", "x", "b"}
    other = guest.UUIDString()[:-1] + "f"
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: qemu.defineXML(domain_xml(name, other)),
        lambda: qemu.createXML(domain_xml(name, other), 0),
        lambda: guest.rename(name, 0),
    )
    for attempt in attempts:
        if "\0" in name:
            with pytest.raises((libvirt.libvirtError, ValueError)):
                attempt()
            continue
        try:
            made = attempt()
        except libvirt.libvirtError:
            continue
        assert name in (".", ".."), f"{name!r} was taken"  # names of files, with .xml behind them
        if made != 0:
            if made.isActive():
                made.destroy()
            else:
                made.undefine()
        else:
            guest.rename("guest", 0)
    after = everything(daemon.root)
    fresh = {entry for entry in after - before if not entry.endswith(".log")}
    assert fresh == set()
    assert set(os.listdir(daemon.root.parent)) & {"escape", "x", "b"} == above


@pytest.mark.parametrize("name", ["../../../escape", "a/../../../b", "..", "a\nb"])
def test_a_channels_name_is_no_path(daemon: OurDaemon, qemu: Any, name: str) -> None:
    """The socket of a channel is named after it, in the guest's own folder."""
    channel = f"<channel type='unix'><target type='virtio' name='{name}'/></channel>"
    try:
        dom = qemu.createXML(domain_xml(devices=channel), 0)
    except libvirt.libvirtError:
        return
    sockets = [path for path in daemon.root.rglob("*") if path.is_socket()]
    inside = daemon.root / "var" / "lib" / "libvirt" / "qemu"
    doors = (daemon.socket, daemon.socket_ro)
    assert all(inside in path.parents for path in sockets if path not in doors)
    assert not (daemon.root / "escape").exists()
    dom.destroy()


def test_links_in_the_way_are_not_followed(daemon: OurDaemon, qemu: Any, tmp_path: Path) -> None:
    """A log or status that became a link does not let us write to what it names."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    root = daemon.root
    log = root / "var" / "log" / "libvirt" / "qemu" / "victim.log"
    status = root / "run" / "libvirt" / "qemu" / "victim.xml"
    for link in (log, status):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(precious)
    with pytest.raises(libvirt.libvirtError):
        qemu.createXML(domain_xml("victim"), 0)
    log.unlink()
    qemu.createXML(domain_xml("victim"), 0).destroy()
    assert precious.read_text() == "precious"
    assert not status.is_symlink()
