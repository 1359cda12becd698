# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_linux.py: Linux from Debian's kernel boots to its prompt on our daemon, and obeys.

Our own module starts it, reads and writes its console, and sees it go off. The machine is
emulated, so a minute is allowed where KVM would need a second.
Calls: linux (kernel, initramfs), tests.ours_daemon. Needs: QEMU, apt-get or a kernel in /boot.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import libvirt
from tests.conftest import lacking
from tests.interop_daemon import linux
from tests.interop_daemon.console import Console
from tests.ours_daemon import OurDaemon

BOOT_SECONDS = 60
REPLY_SECONDS = 20

DOMAIN = """<domain type='qemu'>
  <name>linux-{machine}</name>
  <memory unit='MiB'>192</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>{arguments}</cmdline></os>
  <features><acpi/></features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <controller type='usb' model='none'/>
    <serial type='pty'><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <memballoon model='virtio'/>
  </devices>
</domain>"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[OurDaemon]:
    lacks = [] if shutil.which("qemu-system-x86_64") else ["qemu-system-x86_64"]
    lacks += linux.missing()
    if lacks:
        lacking(*lacks)
    with OurDaemon() as ours:
        yield ours


@pytest.mark.timeout(150)
@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_linux_boots_to_a_prompt(daemon: OurDaemon, machine: str, tmp_path: Path) -> None:
    xml = DOMAIN.format(
        machine=machine,
        kernel=linux.kernel(),
        initrd=linux.initramfs(tmp_path / "initramfs"),
        arguments=linux.ARGUMENTS,
    )
    with libvirt.open(daemon.uri()) as conn:
        dom = conn.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
        console = Console(dom)
        dom.resume()
        console.until("is up\n", BOOT_SECONDS)
        console.until(linux.PROMPT, REPLY_SECONDS)
        console.tell("echo $((6 * 7)); cat /sys/class/dmi/id/product_name\n")
        answer = console.until(linux.PROMPT, REPLY_SECONDS)
        assert "\n42\n" in answer
        assert ("Q35" if machine == "q35" else "i440FX") in answer

        dom.suspend()
        assert dom.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER]
        dom.resume()
        console.tell("grep -c ^processor /proc/cpuinfo\n")
        assert "\n1\n" in console.until(linux.PROMPT, REPLY_SECONDS)

        console.tell("poweroff -f\n")
        _until_gone(conn, dom.name())
        console.close()
    assert "Traceback" not in daemon.log()


def _until_gone(conn: libvirt.virConnect, name: str) -> None:
    deadline = time.monotonic() + REPLY_SECONDS
    while name in [dom.name() for dom in conn.listAllDomains()]:
        assert time.monotonic() < deadline, f"{name} is still there"
        time.sleep(0.05)
