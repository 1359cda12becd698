# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_caps_cache.py: what is remembered about binaries, and when it is not believed."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.drivers.qemu import caps_cache
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.caps_cache import Cache
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU


class Probes:
    """Stands for caps_probe.probe: counts, may be slow, may fail."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.seconds = 0.0
        self.fails = False
        self.lock = threading.Lock()

    def __call__(self, binary: str) -> QemuCaps:
        with self.lock:
            self.asked.append(binary)
            number = len(self.asked)
        time.sleep(self.seconds)
        if self.fails:
            raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, "no")
        return QemuCaps(binary, version=(7, 2, number), devices=frozenset({"virtio-blk-pci"}))


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Probes:
    made = Probes()
    monkeypatch.setattr(caps_cache, "probe", made)
    monkeypatch.setattr(caps_cache, "kvm_works", lambda: False)
    return made


@pytest.fixture
def binary(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "qemu-system-x86_64"
    path.write_text("one")
    path.chmod(0o755)
    yield str(path)


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "cache" / "capabilities")


def stored(cache: Cache, binary: str) -> Path:
    path = cache.path(binary)
    assert path is not None
    return Path(path)


def test_asked_once_and_remembered_on_disk(probes: Probes, binary: str, place: str) -> None:
    first = Cache(place).get(binary)
    cache = Cache(place)
    assert cache.get(binary) == first
    assert cache.get(binary) is cache.get(binary)
    assert probes.asked == [binary]
    assert stat.S_IMODE(stored(cache, binary).stat().st_mode) == 0o600
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
    assert os.listdir(place) == [stored(cache, binary).name]


def test_without_a_directory(probes: Probes, binary: str) -> None:
    cache = Cache()
    cache.get(binary)
    cache.get(binary)
    assert len(probes.asked) == 1


def test_a_replaced_binary_is_asked_again(probes: Probes, binary: str, place: str) -> None:
    cache = Cache(place)
    assert cache.get(binary).version == (7, 2, 1)
    Path(binary + ".new").write_text("two")
    os.replace(binary + ".new", binary)
    assert cache.get(binary).version == (7, 2, 2)
    os.utime(binary, (1, 1))
    assert cache.get(binary).version == (7, 2, 3)
    assert Cache(place).get(binary).version == (7, 2, 3)


def test_kvm_that_comes_or_goes(
    probes: Probes, binary: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(place)
    cache.get(binary)
    monkeypatch.setattr(caps_cache, "kvm_works", lambda: True)
    assert cache.get(binary).version == (7, 2, 2)


def test_our_own_new_version(
    probes: Probes, binary: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Cache(place).get(binary)
    monkeypatch.setattr(caps_cache, "OUR_VERSION", "999")
    assert Cache(place).get(binary).version == (7, 2, 2)


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "list": b"[]",
    "deep": b"[" * 200_000,
    "number": b"9" * 100_000,
    "binary": bytes(range(256)),
    "nul": b"\0" * 4096,
    "huge": b" " * ((8 << 20) + 1),
    "no caps": b'{"key": []}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_none_is_replaced(
    probes: Probes, binary: str, place: str, name: str
) -> None:
    cache = Cache(place)
    cache.get(binary)
    stored(cache, binary).write_bytes(HOSTILE[name])
    assert Cache(place).get(binary).version == (7, 2, 2)
    assert Cache(place).get(binary).version == (7, 2, 2)


def test_a_file_that_is_cut_anywhere(probes: Probes, binary: str, place: str) -> None:
    cache = Cache(place)
    cache.get(binary)
    whole = stored(cache, binary).read_bytes()
    for length in range(0, len(whole), 29):
        stored(cache, binary).write_bytes(whole[:length])
        before = len(probes.asked)
        Cache(place).get(binary)
        assert len(probes.asked) == before + 1


@pytest.mark.parametrize("change", ["binary", "devices", "extra", "missing"])
def test_a_file_with_wrong_contents(probes: Probes, binary: str, place: str, change: str) -> None:
    cache = Cache(place)
    cache.get(binary)
    value: Any = json.loads(stored(cache, binary).read_bytes())
    if change == "binary":
        value["caps"]["binary"] = "/bin/sh"
    elif change == "devices":
        value["caps"]["devices"] = {"a": 1}
    elif change == "extra":
        value["caps"]["more"] = 1
    else:
        del value["caps"]["machines"]
    stored(cache, binary).write_text(json.dumps(value))
    assert Cache(place).get(binary).version == (7, 2, 2)


def test_links_and_files_of_others_are_not_read(
    probes: Probes, binary: str, place: str, tmp_path: Path
) -> None:
    cache = Cache(place)
    cache.get(binary)
    path = stored(cache, binary)
    good = path.read_bytes()
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(good)
    path.symlink_to(tmp_path / "elsewhere")
    assert Cache(place).get(binary).version == (7, 2, 2)
    assert not path.is_symlink()
    path.chmod(0o666)
    assert Cache(place).get(binary).version == (7, 2, 3)
    path.unlink()
    os.mkfifo(path)
    assert Cache(place).get(binary).version == (7, 2, 4)  # and did not wait for a writer


def test_a_directory_that_cannot_be_written(probes: Probes, binary: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    cache = Cache(str(tmp_path / "file" / "cache"))
    assert cache.get(binary).version == (7, 2, 1)
    assert cache.get(binary).version == (7, 2, 1)


def test_a_failure_is_not_remembered(probes: Probes, binary: str, place: str) -> None:
    cache = Cache(place)
    probes.fails = True
    with pytest.raises(VirError):
        cache.get(binary)
    probes.fails = False
    assert cache.get(binary).version == (7, 2, 2)


def test_many_threads_ask_once(probes: Probes, binary: str, place: str) -> None:
    probes.seconds = 0.2
    cache = Cache(place)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cache.get, [binary] * 8))
    assert len(probes.asked) == 1
    assert all(each is found[0] for each in found)


def test_different_binaries_do_not_wait_for_each_other(
    probes: Probes, tmp_path: Path, place: str
) -> None:
    probes.seconds = 0.3
    names = []
    for number in range(4):
        path = tmp_path / f"qemu-{number}"
        path.write_text("x")
        names.append(str(path))
    cache = Cache(place)
    began = time.monotonic()
    for thread in cache.warm(names):
        thread.join()
    assert time.monotonic() - began < 1.0
    assert sorted(probes.asked) == names


def test_a_binary_that_is_gone(probes: Probes, binary: str, place: str) -> None:
    cache = Cache(place)
    cache.get(binary)
    os.unlink(binary)
    probes.fails = True
    with pytest.raises(VirError):
        cache.get(binary)


def test_writers_of_two_processes_leave_a_whole_file(
    probes: Probes, binary: str, place: str
) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Cache(place).get(binary), range(40)))
    before = len(probes.asked)
    Cache(place).get(binary)
    assert len(probes.asked) == before
    assert [name for name in os.listdir(place) if name.startswith(".new-")] == []
