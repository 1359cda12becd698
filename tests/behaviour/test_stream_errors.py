# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_stream_errors.py: what goes wrong on a stream stays with that stream.

A real daemon answers a hole that it cannot make with a reply to the call that opened the stream,
which has long been answered.
Called by: pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import libvirt
import libvirtcore
from tests.behaviour.conftest import Connect
from tests.interop.daemon import Daemon

POOL = "<pool type='dir'><name>p</name><target><path>{}</path></target></pool>"
VOLUME = "<volume><name>v</name><capacity>1048576</capacity></volume>"
FAILED = libvirt.VIR_ERR_INTERNAL_ERROR  # the daemon does not know itself what went wrong
SPARSE = libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM


@pytest.fixture
def storage(core: str, daemon: Daemon, connect: Connect) -> libvirt.virConnect:
    return connect(daemon.uri("storage"))


@pytest.fixture
def volume(
    storage: libvirt.virConnect, daemon: Daemon, tmp_path: Path
) -> Iterator[libvirt.virStorageVol]:
    folder = daemon.images / "holes"
    folder.mkdir(exist_ok=True)
    pool = storage.storagePoolCreateXML(POOL.format("/var/lib/libvirt/images/holes"))
    try:
        volume = pool.createXML(VOLUME)
        yield volume
        volume.delete()
    finally:
        pool.destroy()


def test_hole_that_fails_ends_its_stream_only(
    storage: libvirt.virConnect, volume: libvirt.virStorageVol
) -> None:
    good = storage.newStream()
    volume.download(good, 0, 4096)
    bad = storage.newStream()
    volume.upload(bad, 0, 0, SPARSE)
    bad.sendHole(5, 1)  # there is no such flag
    with pytest.raises(libvirt.libvirtError) as caught:
        bad.finish()
    assert caught.value.get_error_code() == FAILED, str(caught.value)
    assert storage.isAlive() == 1
    assert good.recv(4096) == bytes(4096)
    good.finish()
    assert storage.numOfStoragePools() == 1


def test_hole_that_fails_on_a_stream_that_was_dropped(
    storage: libvirt.virConnect, volume: libvirt.virStorageVol
) -> None:
    for _ in range(5):
        bad = storage.newStream()
        volume.upload(bad, 0, 0, SPARSE)
        bad.sendHole(5, 1)
        del bad
        assert storage.numOfStoragePools() == 1
    assert storage.isAlive() == 1


def test_hole_that_fails_amid_data(
    storage: libvirt.virConnect, volume: libvirt.virStorageVol
) -> None:
    bad = storage.newStream()
    volume.upload(bad, 0, 0, SPARSE)
    with pytest.raises(libvirt.libvirtError) as caught:
        bad.sendHole(5, 1)
        for _ in range(100):
            bad.send(bytes(65536))
        bad.finish()
    assert caught.value.get_error_code() == FAILED, str(caught.value)
    assert storage.numOfStoragePools() == 1


def test_abort_after_a_failed_hole(
    storage: libvirt.virConnect, volume: libvirt.virStorageVol
) -> None:
    for _ in range(20):
        bad = storage.newStream()
        volume.upload(bad, 0, 0, SPARSE)
        bad.sendHole(5, 1)
        try:
            with libvirtcore.timeout(5):
                bad.abort()
        except libvirt.libvirtError as error:  # when the answer was here already
            assert error.get_error_code() == FAILED
    assert storage.numOfStoragePools() == 1
