# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_virt_install.py: Debian's virt-install makes guests on our daemon.

virt-install wants a storage pool for the folder of every disk that is not below /dev, so the disks
of these tests lie in /dev/shm: pools are a driver of their own.
Calls: linux (an installer and a kernel to boot), tests.ours_daemon. Needs: virtinst, QEMU.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import libvirt
from tests.conftest import lacking
from tests.interop import guest
from tests.interop.daemon import PATH
from tests.interop_daemon import linux
from tests.interop_daemon.console import Console
from tests.ours_daemon import OurDaemon

SECONDS = 60
GREETING = guest.GREETING.decode().strip()


@pytest.fixture(scope="module")
def daemon() -> Iterator[OurDaemon]:
    lacks = [
        name for name in ("virt-install", "qemu-system-x86_64") if not shutil.which(name, path=PATH)
    ]
    if not os.access("/dev/shm", os.W_OK):
        lacks.append("a writable /dev/shm")
    lacks += linux.missing()
    if lacks:
        lacking(*lacks)
    with OurDaemon() as ours:
        yield ours
        assert "Traceback" not in ours.log(), ours.log()


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk whose boot sector says hello."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="libvirtcore-") as folder:
        guest.install_images(Path(folder))
        yield Path(folder, "boot.img")


def virt_install(daemon: OurDaemon, folder: Path, name: str, *arguments: str) -> None:
    """Run it to its end; it must be content."""
    command = [
        "virt-install", "--connect", daemon.uri(), "--name", name, "--virt-type", "qemu",
        "--vcpus", "1", "--osinfo", "generic", "--graphics", "none", "--noautoconsole",
        *arguments,
    ]  # fmt: skip
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr


def destroyed(conn: libvirt.virConnect, name: str) -> None:
    dom = conn.lookupByName(name)
    dom.destroy()
    dom.undefine()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("network", ["none", "user"])
def test_import_boots_an_existing_disk(
    daemon: OurDaemon, disk: Path, tmp_path: Path, network: str
) -> None:
    name = f"import-{network}"
    place = f"path={disk},format=raw,bus=ide"
    virt_install(
        daemon, tmp_path, name, "--import", "--memory", "32", "--disk", place,
        "--network", network,
    )  # fmt: skip
    with libvirt.open(daemon.uri()) as conn:
        dom = conn.lookupByName(name)
        assert dom.isActive() and dom.isPersistent()
        assert str(disk) in dom.XMLDesc()
        assert ("<interface type='user'>" in dom.XMLDesc()) == (network == "user")
        console = Console(dom)
        dom.reset()  # so that it says hello to us
        console.until(GREETING, SECONDS)
        console.tell("a")
        console.until("A", SECONDS)
        console.close()
        destroyed(conn, name)


@pytest.mark.timeout(120)
def test_boot_from_a_kernel(daemon: OurDaemon, tmp_path: Path) -> None:
    initrd = linux.initramfs(tmp_path / "initramfs")
    arguments = linux.ARGUMENTS.replace(",", "\\,")
    virt_install(
        daemon, tmp_path, "kernel", "--memory", "192", "--disk", "none", "--network", "none",
        "--import", "--boot", f'kernel={linux.kernel()},initrd={initrd},kernel_args="{arguments}"',
    )  # fmt: skip
    with libvirt.open(daemon.uri()) as conn:
        dom = conn.lookupByName("kernel")
        console = Console(dom)
        console.tell("\n")
        console.until(linux.PROMPT, SECONDS)
        console.tell("uname -s\n")
        console.until("\nLinux\n", SECONDS)
        console.close()
        destroyed(conn, "kernel")


@pytest.mark.timeout(120)
def test_an_installer_runs_and_the_disk_boots(
    daemon: OurDaemon, disk: Path, tmp_path: Path
) -> None:
    """The installer goes off at its end; then virt-install starts what it has installed."""
    initrd = linux.initramfs(tmp_path / "initramfs")
    words = f"{linux.ARGUMENTS} {linux.INSTALLER}"
    virt_install(
        daemon, tmp_path, "installed", "--memory", "192", "--network", "none", "--wait", "1",
        "--disk", f"path={disk},format=raw,bus=ide",
        "--install",
        f'kernel={linux.kernel()},initrd={initrd},kernel_args="{words}",kernel_args_overwrite=yes',
    )  # fmt: skip
    with libvirt.open(daemon.uri()) as conn:
        dom = conn.lookupByName("installed")
        deadline = time.monotonic() + SECONDS
        while not dom.isActive():
            assert time.monotonic() < deadline, "the installed guest was not started"
            time.sleep(0.1)
        assert "<kernel>" not in dom.XMLDesc()
        console = Console(dom)
        dom.reset()
        console.until(GREETING, SECONDS)
        console.close()
        destroyed(conn, "installed")
