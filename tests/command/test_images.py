# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_images.py: chains of images are found in their headers, and hostile headers refused."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.conf.disk import Disk, DiskDriver
from libvirtcore.conf.storage import Source
from libvirtcore.drivers.qemu import images
from libvirtcore.errors import VirError
from tests.conftest import lacking


def create(path: Path, below: str | None = None, form: str | None = "raw") -> Path:
    if shutil.which("qemu-img") is None:
        lacking("qemu-img")
    words = ["qemu-img", "create", "-q", "-f", "qcow2"]
    if below is not None:
        words += ["-u", "-b", below, *(["-F", form] if form else [])]
    subprocess.run([*words, str(path), "1M"], check=True)
    return path


def disk(path: Path, form: str = "qcow2") -> Any:
    return Disk(type="file", driver=DiskDriver(type=form), source=Source(file=str(path)))


def header(name: bytes, *, offset: int = 200, size: int | None = None, form: bytes = b"") -> bytes:
    extension = struct.pack(">II", 0xE2792ACA, len(form)) + form.ljust(8, b"\0") if form else b""
    length = len(name) if size is None else size
    head = b"QFI\xfb" + struct.pack(">IQI", 3, offset, length)
    head = head.ljust(100, b"\0") + struct.pack(">I", 104) + extension + bytes(8)
    return head.ljust(200, b"\0") + name


def test_chain_of_three_with_a_relative_name(tmp_path: Path) -> None:
    (tmp_path / "base.img").write_bytes(bytes(1 << 20))
    create(tmp_path / "middle.qcow2", "base.img")
    top = disk(create(tmp_path / "top.qcow2", str(tmp_path / "middle.qcow2"), "qcow2"))
    images.complete_chain(top)
    middle = top.backing_store
    assert (middle.format.type, middle.source.file) == ("qcow2", str(tmp_path / "middle.qcow2"))
    base = middle.backing_store
    assert (base.format.type, base.source.file) == ("raw", str(tmp_path / "base.img"))
    assert base.backing_store.type is None


def test_image_declared_raw_has_nothing_below(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 512)
    top = disk(create(tmp_path / "top.img", str(secret)), "raw")
    images.complete_chain(top)
    assert top.backing_store.type is None


def test_missing_backing_file_is_named(tmp_path: Path) -> None:
    top = disk(create(tmp_path / "top.qcow2", "/nowhere/base.img"))
    with pytest.raises(VirError, match=r"Cannot access backing file ./nowhere/base"):
        images.complete_chain(top)


def test_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(VirError, match="Cannot access storage file"):
        images.complete_chain(disk(tmp_path / "none.qcow2"))


def test_circle_is_refused(tmp_path: Path) -> None:
    for name, other in (("a", b"b"), ("b", b"a")):
        (tmp_path / name).write_bytes(header(other, form=b"qcow2"))
    with pytest.raises(VirError, match="self-referential"):
        images.complete_chain(disk(tmp_path / "a"))


def test_backing_file_without_a_format_must_not_be_a_chain(tmp_path: Path) -> None:
    (tmp_path / "below").write_bytes(header(b"/etc/passwd", form=b"raw"))
    (tmp_path / "top").write_bytes(header(b"below"))
    with pytest.raises(VirError, match="was not specified in the image metadata"):
        images.complete_chain(disk(tmp_path / "top"))


@pytest.mark.parametrize("name", [b"json:{}", b"nbd://host/x", b"ssh://host/x"])
def test_backing_file_on_a_network_must_be_stated(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "top").write_bytes(header(name, form=b"raw"))
    with pytest.raises(VirError, match="must be stated in the document"):
        images.complete_chain(disk(tmp_path / "top"))


@pytest.mark.parametrize(
    "head",
    [
        header(b"x" * 1024),
        header(b"x", offset=1 << 40),
        header(b"x", size=1 << 31),
        header(b"a\0b"),
        header(b"\xff\xfe"),
        header(b"x", form=b"evil"),
    ],
)
def test_impossible_header_is_refused(head: bytes) -> None:
    with pytest.raises(VirError):
        images.parse_header(head)


def test_random_headers_never_break_the_reader() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        head = bytearray(header(b"below", form=b"qcow2"))
        for _ in range(chance.randrange(1, 8)):
            head[chance.randrange(4, len(head))] = chance.randrange(256)
        try:
            images.parse_header(bytes(head[: chance.randrange(len(head) + 1)]))
        except VirError:
            pass
