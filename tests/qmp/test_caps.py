# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_caps.py: what is found out about real binaries, and about programs that look like one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.drivers.qemu.caps import CapsError, Cpu, Machine, QemuCaps
from libvirtcore.drivers.qemu.caps_kvm import kvm_works
from libvirtcore.drivers.qemu.caps_probe import binaries, probe
from libvirtcore.drivers.qemu.caps_schema import FEATURES, Schema
from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR, VIR_ERR_SYSTEM_ERROR
from tests.conftest import lacking
from tests.qmp.conftest import QEMU

# A QEMU in Python: knows a few commands, and answers the others as it is told.
PYTHON = next(path for path in ("/usr/bin/python3", sys.executable) if os.access(path, os.X_OK))
FALSE_QEMU = f"""#!{PYTHON}
import json, os, socket, sys, time
mode = sys.argv[0].rpartition("-")[2]
if mode == "complains":
    sys.exit("could not load \\x07firmware")
if mode == "shouts":
    while True:
        os.write(2, b"x" * 65536)
if mode == "sleeps":
    time.sleep(1000)
fd = int(next(word for word in sys.argv if word.startswith("socket,")).rpartition("=")[2])
sock = socket.socket(fileno=fd)
file = sock.makefile("rwb")
def say(value):
    file.write(json.dumps(value).encode() + b"\\n")
    file.flush()
if mode == "babbles":
    file.write(b"QEMU 9.9 monitor - type 'help'\\n")
    file.flush()
    time.sleep(1000)
version = {{"qemu": {{"major": 8, "minor": 1, "micro": 0}}}}
say({{"QMP": {{"version": version, "capabilities": []}}}})
ODD = [5, None, "x", [], [1, None, "x", {{"name": 5}}, {{}}], {{"a": {{"b": []}}}}, [[[]]], True]
count = 0
for line in file:
    said = json.loads(line)
    count += 1
    name, number = said["execute"], {{"id": said["id"]}} if "id" in said else {{}}
    if mode == "vanishes" and count > 3:
        sys.exit(3)
    if name == "qmp_capabilities":
        say({{"return": {{}}}} | number)
    elif mode == "odd":
        if name == "query-version":
            say({{"return": {{"qemu": {{"major": -1, "minor": "2", "micro": 1e9}}, "package": 7}}}}
                | number)
        else:
            say({{"return": ODD[count % len(ODD)]}} | number)
    elif mode == "refuses":
        say({{"error": {{"class": "CommandNotFound", "desc": name}}}} | number)
    elif name == "query-version":
        say({{"return": version}} | number)
    elif name == "query-target":
        say({{"return": {{"arch": "aarch64"}}}} | number)
    else:
        say({{"error": {{"class": "CommandNotFound", "desc": name}}}} | number)
"""


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A directory that every user can reach; pytest's own are for one."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield Path(place)


def false_qemu(everybodys: Path, mode: str) -> str:
    path = everybodys / f"qemu-system-{mode}"
    path.write_text(FALSE_QEMU)
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def real() -> QemuCaps:
    binary = shutil.which(QEMU)
    if binary is None:
        lacking(QEMU)
    return probe(binary)


@pytest.mark.slow
def test_what_a_real_qemu_can_do(real: QemuCaps) -> None:
    asked = [real.binary, "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, env={})
    assert ".".join(map(str, real.version)) in said.stdout
    assert real.arch == "x86_64"
    assert real.version_number >= 5_000_000
    q35 = real.machine("q35")
    assert q35 is not None and q35.name.startswith("pc-q35-") and q35.max_cpus >= 255
    assert real.canonical_machine("pc").startswith("pc-i440fx-")
    assert real.default_machine is not None
    assert {"qemu64", "max"} <= {cpu.name for cpu in real.cpus(False)}
    for feature in (
        "command:query-status", "event:SHUTDOWN", "device:virtio-blk-pci",
        "device:virtio-blk-pci.iothread", "object:memory-backend-ram", "object:iothread",
        "object:memory-backend-file.share", "option:sandbox.elevateprivileges", "machine:q35",
        "netdev.user", "blockdev-add.iscsi",
    ):  # fmt: skip
        assert real.has(feature), feature
    for feature in (
        "command:no", "device:no", "device:virtio-blk-pci.no", "object:virtio-blk-pci.no",
        "option:no", "machine:no", "no",
    ):  # fmt: skip
        assert not real.has(feature), feature
    assert real.host_cpu_tcg


@pytest.mark.slow
def test_kvm_is_what_works_not_what_exists(real: QemuCaps) -> None:
    assert real.kvm == kvm_works()
    assert bool(real.cpus_kvm) == real.kvm
    assert os.path.exists("/dev/kvm") or not real.kvm


def test_disk_form_is_lossless(real: QemuCaps) -> None:
    assert QemuCaps.from_json(json.loads(json.dumps(real.to_json()))) == real


def test_feature_names_are_found_by_their_paths(real: QemuCaps) -> None:
    assert {"device.json", "object.qapified", "chardev.logfile"} <= real.features
    assert real.features <= set(FEATURES)


@pytest.mark.slow
def test_no_process_is_left_and_none_is_root(everybodys: Path) -> None:
    """The probe runs as somebody else where we are root, and dies with the one who asks."""
    binary = false_qemu(everybodys, "sleeps")
    asking = subprocess.Popen(
        [sys.executable, "-c",
         f"from libvirtcore.drivers.qemu.caps_probe import probe; probe({binary!r})"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        end = time.monotonic() + 20
        while not (found := _running(binary)) and time.monotonic() < end:
            time.sleep(0.02)
        assert found
        if os.geteuid() == 0:
            assert all(os.stat(f"/proc/{pid}").st_uid != 0 for pid in _running(binary))
    finally:
        asking.kill()
        asking.wait()
    if shutil.which("setpriv"):
        while _running(binary) and time.monotonic() < end:
            time.sleep(0.02)
        assert not _running(binary)


def _running(binary: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            # Behind the interpreter, and no longer behind setpriv.
            if len(words) > 1 and words[1] == binary.encode():
                found.append(int(entry))
    return found


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("complains", "Failed to probe QEMU binary with QMP: could not load ?firmware"),
        ("vanishes", "End of file from qemu monitor"),
        ("babbles", "something else before its greeting: QEMU 9.9 monitor"),
        ("sleeps", "no QMP greeting came within"),
        ("refuses", "Failed to probe QEMU binary with QMP: "),
        ("shouts", "Failed to probe QEMU binary with QMP: xxxxx"),
    ],
)
@pytest.mark.slow
def test_what_is_no_qemu_is_refused(everybodys: Path, mode: str, words: str) -> None:
    binary = false_qemu(everybodys, mode)
    began = time.monotonic()
    with pytest.raises(VirError) as caught:
        probe(binary, seconds=2 if mode in ("sleeps", "shouts") else 20)
    assert words in caught.value.message
    assert caught.value.code == VIR_ERR_INTERNAL_ERROR
    assert time.monotonic() - began < 15
    assert not _running(binary)


@pytest.mark.slow
def test_answers_of_any_shape(everybodys: Path) -> None:
    caps = probe(false_qemu(everybodys, "odd"))
    assert caps.version == (0, 0, 0)
    assert QemuCaps.from_json(caps.to_json()) == caps


@pytest.mark.slow
def test_a_binary_for_root_alone(tmp_path: Path) -> None:
    """Then root runs it."""
    tmp_path.chmod(0o700)
    assert probe(false_qemu(tmp_path, "little")).version == (8, 1, 0)


@pytest.mark.slow
def test_a_qemu_that_knows_little(everybodys: Path) -> None:
    caps = probe(false_qemu(everybodys, "little"))
    assert (caps.version, caps.arch, caps.kvm) == ((8, 1, 0), "aarch64", False)
    assert caps.devices == frozenset()


def test_no_binary(tmp_path: Path) -> None:
    with pytest.raises(VirError, match=r"Cannot check QEMU binary .*No such file") as caught:
        probe(str(tmp_path / "none"))
    assert caught.value.code == VIR_ERR_SYSTEM_ERROR
    (tmp_path / "file").write_text("x")
    with pytest.raises(VirError, match="is not executable"):
        probe(str(tmp_path / "file"))


def test_binaries_in_path(tmp_path: Path) -> None:
    for place, names in (("a", ["x86_64", "aarch64"]), ("b", ["x86_64", "arm", "nonsense"])):
        (tmp_path / place).mkdir()
        for name in names:
            path = tmp_path / place / f"qemu-system-{name}"
            path.write_text("")
            path.chmod(0o755)
    (tmp_path / "a" / "qemu-system-i386").write_text("not executable")
    found = binaries(f"{tmp_path / 'a'}:{tmp_path / 'b'}:relative:")
    assert found == {
        "x86_64": str(tmp_path / "a" / "qemu-system-x86_64"),
        "aarch64": str(tmp_path / "a" / "qemu-system-aarch64"),
        "armv7l": str(tmp_path / "b" / "qemu-system-arm"),
    }


@pytest.mark.parametrize("key", list(QemuCaps("/x").to_json()))
@pytest.mark.parametrize("value", [None, 5, -1, "x", [1], {"a": 1}, [[1, 2]], [{}], True])
def test_disk_form_of_wrong_types(key: str, value: Any) -> None:
    stored = QemuCaps("/x", machines=(Machine("m"),), cpus_tcg=(Cpu("c"),)).to_json()
    stored[key] = value
    try:
        back = QemuCaps.from_json(stored)
    except CapsError:
        return
    assert back.to_json() == stored  # it was of the right type by chance


def test_schema_paths() -> None:
    schema = Schema([
        {"name": "cmd", "meta-type": "command", "arg-type": "1", "ret-type": "2",
         "features": ["json-cli"]},
        {"name": "1", "meta-type": "object", "members": [
            {"name": "type", "type": "3"}, {"name": "list", "type": "[4]"}],
         "tag": "type", "variants": [{"case": "user", "type": "4"}]},
        {"name": "2", "meta-type": "object", "members": [{"name": "out", "type": "str"}]},
        {"name": "3", "meta-type": "enum", "values": ["user", "tap"]},
        {"name": "[4]", "meta-type": "array", "element-type": "4"},
        {"name": "4", "meta-type": "object", "features": ["deep"], "members": [
            {"name": "more", "type": "3", "features": ["odd"]}]},
        {"name": "loop", "meta-type": "array", "element-type": "loop"},
        {"name": "EVT", "meta-type": "event", "arg-type": "1"},
        5, None, {"name": 7},
    ])  # fmt: skip
    for path in (
        "cmd", "EVT", "cmd.^json-cli", "cmd.type", "cmd.type=tap", "cmd.+user", "cmd.+tap",
        "cmd.+user.more", "cmd.+user.more=user", "cmd.list.more", "cmd.list.^deep",
        "cmd.list.more.^odd", "cmd.@return.out", "EVT.type",
    ):  # fmt: skip
        assert schema.has(path), path
    for path in (
        "no", "1", "cmd.no", "cmd.type=no", "cmd.+no", "cmd.+tap.more", "cmd.^no", "cmd.type.x",
        "cmd.@return.no", "cmd.list.more.^no", "cmd=x", "cmd.@return.+x", "cmd.list.no=1",
    ):  # fmt: skip
        assert not schema.has(path), path


def test_kvm_is_tried_once() -> None:
    """And by many threads at once without harm."""
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(kvm_works())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
