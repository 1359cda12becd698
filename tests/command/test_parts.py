# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_parts.py: what no record shows: secrets, throttling, quoting, refusals, odd numbers."""

from __future__ import annotations

import ast
import base64
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.conf import Domain
from libvirtcore.conf.boot import Loader, Nvram
from libvirtcore.conf.schema import Element
from libvirtcore.drivers.qemu import (
    command,
    command_cpu,
    command_disks,
    command_line,
    command_memory,
    command_native,
    command_secrets,
    firmware,
)
from libvirtcore.drivers.qemu.validate import validate
from libvirtcore.errors import VirError
from tests.command import support
from tests.conftest import lacking

ROOM = Path(command.__file__).parent
IMAGE = "<driver name='qemu' type='raw'/><source file='/images/a.img'/>"


def context(**more: Any) -> command.Context:
    return command.Context(lib_dir="/lib/domain-1-guest", monitor=3, path=support.PATH, **more)


def build(dom: Domain, **more: Any) -> command.Command:
    return command.build(dom, support.capabilities(), context(**more))


# --- secrets --------------------------------------------------------------------------------------


def test_aes_gives_the_published_example() -> None:
    """NIST SP 800-38A, F.2.5, first two blocks."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    vector = bytes(range(16))
    text = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    expected = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
    assert command_secrets.encrypt(key, vector, text)[:32].hex() == expected


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 255])
def test_aes_is_undone_by_openssl(size: int) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        lacking("openssl")
    key, vector, text = os.urandom(32), os.urandom(16), os.urandom(size)
    options = ["-d", "-aes-256-cbc", "-K", key.hex(), "-iv", vector.hex()]
    found = subprocess.run(
        [openssl, "enc", *options],
        input=command_secrets.encrypt(key, vector, text),
        capture_output=True,
        check=True,
    )
    assert found.stdout == text


def test_master_key_is_for_its_owner_under_any_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        key = command_secrets.make_master_key(str(tmp_path))
    finally:
        os.umask(old)
    path = tmp_path / command_secrets.KEY_FILE
    assert path.read_bytes() == key and len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def luks(**more: Any) -> command.Command:
    dom = support.minimal(
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        "<source file='/images/a.img'><encryption format='luks'><secret type='passphrase' "
        "uuid='0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f'/></encryption></source>"
        "<target dev='vda' bus='virtio'/></disk>"
    )
    return build(dom, **more)


def test_secret_is_never_readable_on_the_command_line() -> None:
    value = b"a passphrase nobody may see"
    built = luks(master_key=bytes(32), secret=lambda kind, reference: value)
    words = " ".join(built.argv)
    assert value.decode() not in words
    assert base64.b64encode(value).decode() not in words
    found = [json.loads(item) for item in support.options(built, "-object")]
    held = next(item for item in found if item["id"] == "libvirt-1-format-encryption-secret0")
    assert held["keyid"] == "masterKey0" and held["format"] == "base64"
    assert len(base64.b64decode(held["iv"])) == 16
    node = json.loads(support.options(built, "-blockdev")[-1])
    assert node["driver"] == "luks" and node["key-secret"] == held["id"]


def test_secret_without_a_master_key_is_refused() -> None:
    with pytest.raises(VirError, match="master key"):
        luks(secret=lambda kind, reference: b"secret")


def test_vnc_password_stays_off_the_command_line() -> None:
    dom = support.minimal("<graphics type='vnc' port='5901' passwd='opensesame'/>")
    built = build(dom)
    assert "opensesame" not in " ".join(built.argv)
    assert "password=on" in support.options(built, "-vnc")[0]


# --- disks ----------------------------------------------------------------------------------------


def test_throttle_names_a_group_and_all_six_rates() -> None:
    dom: Any = support.minimal(
        f"<disk type='file' device='disk'>{IMAGE}<target dev='vda' bus='virtio'/><iotune>"
        "<total_bytes_sec>1000000</total_bytes_sec><read_iops_sec>50</read_iops_sec>"
        "<total_bytes_sec_max>2000000</total_bytes_sec_max>"
        "<total_bytes_sec_max_length>3</total_bytes_sec_max_length></iotune></disk>"
    )
    assert command_disks.throttle(dom.devices.disks[0]) == {
        "id": "virtio-disk0",
        "bps": 1000000, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 50, "iops_wr": 0,
        "bps_max": 2000000, "group": "drive-virtio-disk0", "bps_max_length": 3,
    }  # fmt: skip


def test_throttle_is_nothing_without_limits() -> None:
    dom: Any = support.minimal(
        f"<disk type='file' device='disk'>{IMAGE}<target dev='vda' bus='virtio'/></disk>"
    )
    assert command_disks.throttle(dom.devices.disks[0]) is None


def test_build_numbers_the_images_of_the_live_model() -> None:
    dom: Any = support.minimal(
        f"<disk type='file' device='disk'>{IMAGE}<target dev='vda' bus='virtio'/></disk>"
        f"<disk type='file' device='disk'>{IMAGE}<target dev='vdb' bus='virtio'/></disk>"
    )
    build(dom)
    assert [disk.source.index for disk in dom.devices.disks] == [2, 1]
    again = build(dom)
    names = [json.loads(item)["node-name"] for item in support.options(again, "-blockdev")]
    assert names[0] == "libvirt-2-storage"


def test_building_twice_gives_the_same() -> None:
    dom = support.minimal(
        f"<disk type='file' device='disk'>{IMAGE}<target dev='vda' bus='virtio'/></disk>"
        "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
    )
    assert build(dom) == build(dom)


# --- refusals and hostile names -------------------------------------------------------------------


def test_tap_without_a_descriptor_is_refused() -> None:
    mac = "<mac address='52:54:00:00:00:01'/>"
    dom = support.minimal(f"<interface type='ethernet'>{mac}</interface>")
    with pytest.raises(VirError, match="no tap device"):
        build(dom)


def test_comma_in_a_name_is_no_further_option() -> None:
    built = build(support.minimal(name="a,process=evil"))
    assert support.options(built, "-name") == ["guest=a,,process=evil,debug-threads=on"]


def test_comma_in_a_path_is_no_further_option() -> None:
    dom = support.minimal("<serial type='file'><source path='/a,server=on'/></serial>")
    assert "file,id=charserial0,path=/a,,server=on" in support.options(build(dom), "-chardev")


@pytest.mark.parametrize("name", ["../../etc/x", "..", "a/b"])
def test_channel_name_cannot_leave_its_folder(name: str) -> None:
    dom = support.minimal(f"<channel type='unix'><target type='virtio' name='{name}'/></channel>")
    with pytest.raises(VirError, match="cannot name a socket"):
        build(dom)


def test_quotes_survive_a_shell() -> None:
    words = ["/bin/echo", "it's", "a b", "", "$(id)", "a\nb", "plain,x=1"]
    text = command_native.text(command.Command(words, {"A": "x y", "B": ""}))
    found = subprocess.run(["/bin/sh", "-c", f"set -- {text.partition(' /bin/echo')[2]}; "
                            "for word; do printf '%s\\0' \"$word\"; done"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert found.stdout.split("\0")[:-1] == words[1:]
    assert text.startswith("A='x y' B='' /bin/echo ")


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", [0]), ("0-3,^2,8", [0, 1, 3, 8]), ("5,1", [1, 5]), ("2-2", [2])],
)
def test_numbers_reads_a_set(text: str, expected: list[int]) -> None:
    assert command_memory.numbers(text) == expected


def test_spans_are_runs() -> None:
    assert command_memory.spans([0, 1, 2, 5, 7, 8]) == ["0-2", "5", "7-8"]


def test_iothreads_fill_the_gaps() -> None:
    dom = support.minimal(
        more="<iothreads>4</iothreads>"
        "<iothreadids><iothread id='2'/><iothread id='9'/></iothreadids>"
    )
    assert [number for number, _ in command_cpu.iothread_ids(dom)] == [2, 9, 1, 3]


@pytest.mark.parametrize(
    ("backing", "expected"),
    [
        ("<source type='file'/>", "/lib/ram/1-guest"),
        ("<access mode='shared'/>", "/lib/ram/1-guest"),
        ("<source type='memfd'/><access mode='shared'/>", None),
        ("<allocation mode='immediate'/>", None),
    ],
)
def test_memory_in_files_needs_a_folder(backing: str, expected: str | None) -> None:
    dom = support.minimal(more=f"<memoryBacking>{backing}</memoryBacking>")
    assert command.memory_folder(dom, support.capabilities(), context()) == expected


# --- firmware -------------------------------------------------------------------------------------


def _descriptor(name: str, *, machines: str = "pc-q35-*", features: tuple[str, ...] = ()) -> str:
    return json.dumps({
        "interface-types": ["uefi"], "features": list(features),
        "mapping": {"device": "flash", "executable": {"filename": f"/fw/{name}", "format": "raw"},
                    "nvram-template": {"filename": f"/fw/{name}.vars", "format": "raw"}},
        "targets": [{"architecture": "x86_64", "machines": [machines]}],
    })  # fmt: skip


def test_firmware_is_the_first_that_fits(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    (first / "10-broken.json").write_text("[1, {")
    (first / "20-pc.json").write_text(_descriptor("pc", machines="pc-i440fx-*"))
    (first / "30-hidden.json").write_text(_descriptor("hidden"))
    (second / "30-hidden.json").write_text("")
    (first / "40-secure.json").write_text(_descriptor("secure", features=("requires-smm",)))
    dom: Any = support.minimal(machine="q35")
    dom.os.firmware = "efi"
    assert firmware.choose(dom, "/nvram", [str(first), str(second)])
    assert dom.os.loader.value == "/fw/secure" and dom.os.loader.secure
    assert dom.features.smm.state is True
    assert (dom.os.nvram.template, dom.os.nvram.value) == (
        "/fw/secure.vars",
        "/nvram/guest_VARS.fd",
    )


def test_firmware_that_nobody_has_is_an_error(tmp_path: Path) -> None:
    dom: Any = support.minimal(machine="q35")
    dom.os.firmware = "efi"
    with pytest.raises(VirError, match="Unable to find any firmware to satisfy 'efi'"):
        firmware.choose(dom, "/nvram", [str(tmp_path)])


def test_firmware_not_chosen_is_never_left_out_silently() -> None:
    dom: Any = support.minimal(machine="q35")
    dom.os.firmware = "efi"
    with pytest.raises(VirError, match="was not chosen"):
        build(dom)


def test_variables_are_copied_once(tmp_path: Path) -> None:
    (tmp_path / "template").write_bytes(b"fresh")
    dom: Any = support.minimal(machine="q35")
    dom.os.loader = Loader(type="pflash", readonly=True, value="/fw/code")
    path = tmp_path / "made" / "guest_VARS.fd"
    dom.os.nvram = Nvram(template=str(tmp_path / "template"), value=str(path))
    assert firmware.make_nvram(dom) == str(path)
    assert path.read_bytes() == b"fresh"
    path.write_bytes(b"used")
    firmware.make_nvram(dom)
    assert path.read_bytes() == b"used"
    firmware.make_nvram(dom, reset=True)
    assert path.read_bytes() == b"fresh"


# --- names ----------------------------------------------------------------------------------------


def _fields() -> set[str]:
    known: set[str] = set()
    classes = list(Element.__subclasses__())
    while classes:
        found = classes.pop()
        classes += found.__subclasses__()
        known |= set(found.NAMES)
    return known | {"source", "spice"}


def test_every_name_looked_up_in_the_model_is_one_of_its_fields() -> None:
    """`get` gives None for a name that is not there, so a renamed field would go unnoticed."""
    known, unknown = _fields(), []
    for path in ROOM.glob("command*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "get":
                names = [a.value for a in node.args[1:] if isinstance(a, ast.Constant)]
                unknown += [(path.name, node.lineno, n) for n in names if n not in known]
    assert unknown == []


def test_master_key_file_and_name_agree() -> None:
    built = build(support.minimal(), master_key=bytes(32))
    assert json.loads(support.options(built, "-object")[0])["id"] == command_secrets.KEY_NAME
    assert isinstance(command_line.dump({"a": 1}), str)


def test_devices_newer_than_the_recorded_libvirt() -> None:
    """What the records cannot show, for libvirt 9.0 does not know it."""
    dom = support.minimal(
        "<panic model='pvpanic'/><watchdog model='itco' action='pause'/>"
        "<video><model type='virtio' blob='on'/></video>"
        "<disk type='network'><source protocol='nbd' name='x'><host name='h'/>"
        "<reconnect delay='10'/></source><target dev='vda' bus='virtio'/></disk>",
        machine="q35",
    )
    built = command.build(
        dom, support.capabilities(), command.Context(lib_dir="/lib", monitor=3, native=True)
    )
    found = support.devices(built)
    assert found["pvpanic-pci"]["bus"].startswith("pci.")
    assert "ICH9-LPC.noreboot=off" in support.options(built, "-global")
    assert support.options(built, "-watchdog-action") == ["pause"]
    assert found["video0"]["blob"] is True
    nbd = json.loads(support.options(built, "-blockdev")[0])
    assert nbd["reconnect-delay"] == 10


@pytest.mark.parametrize(
    ("devices", "complaint"),
    [
        ("<watchdog model='itco'/>", "itco"),
        ("<video><model type='cirrus' blob='on'/></video>", "blob"),
    ],
)
def test_devices_newer_than_the_recorded_libvirt_where_they_cannot_be(
    devices: str, complaint: str
) -> None:
    with pytest.raises(VirError, match=complaint):
        validate(support.minimal(devices, machine="pc"), support.capabilities())


def test_sound_needs_a_back_end() -> None:
    dom = support.minimal("<graphics type='vnc'/><graphics type='sdl'/><sound model='ac97'/>")
    with pytest.raises(VirError, match="unable to find audio backend for sound device"):
        command.build(
            dom, support.capabilities(), command.Context(lib_dir="/lib", monitor=3, native=True)
        )


def test_the_cpu_of_the_host_needs_kvm() -> None:
    dom = support.minimal(more="<cpu mode='host-passthrough'/>")
    context = command.Context(lib_dir="/lib", monitor=3, native=True)
    with pytest.raises(VirError, match="CPU mode 'host-passthrough' for x86_64 qemu domain"):
        command.build(dom, support.capabilities(), context)
    dom.type = "kvm"
    built = command.build(dom, support.capabilities(), context)
    assert support.options(built, "-cpu") == ["host,migratable=on"]
