# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_real_start.py: a real QEMU takes the commands we build, and has the devices we asked for.

Each guest is started with its CPUs stopped, asked over QMP what it is, and told to quit.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu import command, command_secrets, firmware
from tests.command import support
from tests.conftest import lacking

QEMU = "/usr/bin/qemu-system-x86_64"
SECONDS = 30.0

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _tools() -> None:
    missing = [name for name in (QEMU, "qemu-img") if shutil.which(name) is None]
    if missing:
        lacking(*missing)


DISKS = """
<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' discard='unmap'/>
<source file='{dir}/a.img'/><target dev='vda' bus='virtio'/><serial>one</serial></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{dir}/top.qcow2'/>
<backingStore type='file'><format type='raw'/><source file='{dir}/b.img'/><backingStore/>
</backingStore><target dev='sda' bus='{second}'/></disk>
<disk type='file' device='cdrom'><target dev='sdb' bus='{second}'/><readonly/></disk>
"""
CHARS = """
<serial type='pty'/><serial type='file'><source path='{dir}/serial.log'/></serial>
<console type='pty'/><console type='null'><target type='virtio'/></console>
<channel type='unix'><source mode='bind' path='{dir}/agent'/>
<target type='virtio' name='org.qemu.guest_agent.0'/></channel>
"""
SMALL = """
<input type='tablet' bus='usb'/><input type='keyboard' bus='virtio'/>
<rng model='virtio'><rate bytes='1024' period='1000'/>
<backend model='random'>/dev/urandom</backend></rng>
<watchdog model='i6300esb' action='pause'/><panic model='isa'/>
<memballoon model='virtio' autodeflate='on'/>
"""
DISPLAY = """
<graphics type='vnc' socket='{dir}/vnc.sock'/><video><model type='{video}'/></video>
<sound model='ich9'/><audio id='1' type='none'/>
"""
NET = "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='{net}'/></interface>"
NUMA = """<vcpu current='2'>4</vcpu><iothreads>2</iothreads>
<cpu mode='maximum'><topology sockets='2' cores='2' threads='1'/>
<numa><cell id='0' cpus='0-1' memory='32' unit='MiB'/>
<cell id='1' cpus='2-3' memory='32' unit='MiB'/></numa></cpu>"""
MANY = """<features><acpi/><apic/><vmport state='off'/><vmcoreinfo state='on'/></features>
<clock offset='localtime'><timer name='rtc' tickpolicy='catchup'/>
<timer name='hpet' present='no'/></clock><genid>e9392370-2917-565e-692b-d057f46512d6</genid>
<pm><suspend-to-mem enabled='no'/></pm><memoryBacking><source type='memfd'/>
<access mode='shared'/></memoryBacking>"""

GUESTS: dict[str, tuple[str, str, str]] = {  # machine, devices, what else
    "pc-bare": ("pc", "", ""),
    "q35-bare": ("q35", "", ""),
    "pc-disks": ("pc", DISKS.replace("{second}", "scsi"), ""),
    "q35-disks": ("q35", DISKS.replace("{second}", "sata"), ""),
    "pc-characters": ("pc", CHARS, ""),
    "q35-characters": ("q35", CHARS, ""),
    "pc-display": ("pc", DISPLAY.replace("{video}", "cirrus") + NET.replace("{net}", "e1000"), ""),
    "q35-display": (
        "q35",
        DISPLAY.replace("{video}", "virtio") + NET.replace("{net}", "virtio"),
        "",
    ),
    "pc-small-devices": ("pc", SMALL, ""),
    "q35-small-devices": ("q35", SMALL, MANY),
    "pc-numa": ("pc", "", NUMA),
    "q35-all": (
        "q35",
        DISKS.replace("{second}", "sata") + CHARS + SMALL + NET.replace("{net}", "virtio"),
        NUMA,
    ),
    "isapc": ("isapc", "<controller type='usb' model='none'/><memballoon model='none'/>", ""),
}


def _images(folder: Path) -> None:
    for name in ("a.img", "b.img"):
        (folder / name).write_bytes(bytes(1 << 20))
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b"]
    subprocess.run([*create, str(folder / "b.img"), str(folder / "top.qcow2")], check=True)


class Guest:
    """A QEMU whose CPUs do not run, with its monitor."""

    def __init__(self, dom: Domain, folder: Path) -> None:
        self.folder = folder
        key = command_secrets.make_master_key(str(folder))
        path = str(folder / "monitor.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            context = command.Context(
                lib_dir=str(folder), monitor=listener.fileno(), master_key=key
            )
            built = command.build(dom, support.capabilities(), context)
            with open(folder / "log", "wb") as log:
                self.process = subprocess.Popen(
                    built.argv, env=built.env, pass_fds=[listener.fileno()],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
        self.monitor = socket.socket(socket.AF_UNIX)
        self.monitor.settimeout(SECONDS)
        try:
            self.monitor.connect(path)
            self.lines = self.monitor.makefile("rb")
            greeting = json.loads(self.lines.readline() or b"{}")
            assert "QMP" in greeting, (folder / "log").read_text()
            self.execute("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def execute(self, name: str, **arguments: Any) -> Any:
        self.monitor.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "event" not in answer:
                return answer["return"]

    def close(self) -> int:
        self.monitor.close()
        self.process.kill()
        return self.process.wait(SECONDS)


@pytest.mark.parametrize("name", GUESTS)
def test_qemu_takes_the_command(name: str, tmp_path: Path) -> None:
    machine, devices, more = GUESTS[name]
    _images(tmp_path)
    dom = support.minimal(devices.replace("{dir}", str(tmp_path)), more, machine=machine, name=name)
    guest = Guest(dom, tmp_path)
    try:
        assert guest.execute("query-status")["status"] in ("prelaunch", "paused")
        assert guest.execute("query-name")["name"] == name
        asked = {word["id"] for word in _devices(dom) if "id" in word}
        known = {item["name"] for item in guest.execute("qom-list", path="/machine/peripheral")}
        assert asked <= known
        guest.execute("quit")
        assert guest.process.wait(SECONDS) == 0, (tmp_path / "log").read_text()
    finally:
        guest.close()


def _devices(dom: Domain) -> list[dict[str, Any]]:
    context = command.Context(lib_dir="/nowhere", monitor=3, master_key=bytes(32))
    built = command.build(dom, support.capabilities(), context)
    return [json.loads(value) for value in support.options(built, "-device")]


def test_qemu_takes_chosen_firmware_and_its_variables(tmp_path: Path) -> None:
    if not any(firmware.descriptors()):
        lacking("firmware descriptors")
    dom: Any = support.minimal(machine="q35", name="efi")
    dom.os.firmware = "efi"
    assert firmware.choose(dom, str(tmp_path / "nvram"))
    path = firmware.make_nvram(dom)
    assert path is not None and os.stat(path).st_mode & 0o777 == 0o600
    guest = Guest(dom, tmp_path)
    try:
        nodes = {item["node-name"] for item in guest.execute("query-named-block-nodes")}
        assert {"libvirt-pflash0-format", "libvirt-pflash1-format"} <= nodes
        guest.execute("quit")
        assert guest.process.wait(SECONDS) == 0
    finally:
        guest.close()


def test_qemu_opens_an_encrypted_image_with_the_master_key(tmp_path: Path) -> None:
    """The secret on the command line is encrypted by us and read by QEMU."""
    image = tmp_path / "secret.img"
    words = ["qemu-img", "create", "-q", "--object", "secret,id=s,data=opensesame", "-f", "luks",
             "-o", "key-secret=s,iter-time=10", str(image), "1M"]  # fmt: skip
    subprocess.run(words, check=True)
    dom = support.minimal(
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{image}'>"
        "<encryption format='luks'><secret type='passphrase' "
        "uuid='0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f'/></encryption></source>"
        "<target dev='vda' bus='virtio'/></disk>"
    )
    for passphrase, opens in ((b"opensesame", True), (b"opensesam", False)):
        assert _opens(dom, passphrase, tmp_path) is opens


def _opens(dom: Domain, passphrase: bytes, folder: Path) -> bool:
    key = command_secrets.make_master_key(str(folder))
    path = folder / "m.sock"
    path.unlink(missing_ok=True)
    context = command.Context(
        lib_dir=str(folder), monitor=str(path), master_key=key, secret=lambda *_: passphrase
    )
    built = command.build(dom, support.capabilities(), context)
    process = subprocess.Popen(
        built.argv, env=built.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        process.wait(1.5)
    except subprocess.TimeoutExpired:
        return True
    finally:
        process.kill()
        _, said = process.communicate()
    assert "Invalid password" in said
    return False
