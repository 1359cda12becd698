# SPDX-License-Identifier: LGPL-2.1-or-later
"""volumes.py: 64 MiB up and down again, whole and sparse, with checksums.

Run as: volumes.py URI POOL-FOLDER, where the folder is the pool's target as this script sees it.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import libvirt
from tests.interop.stories.storyteller import attempt, quiet, tell

MIB = 1 << 20
POOL = """<pool type='dir'><name>pool</name>
<target><path>/var/lib/libvirt/images/pool</path></target></pool>"""
VOLUME = """<volume><name>%s</name><capacity unit='MiB'>%d</capacity><allocation>0</allocation>
<target><format type='raw'/></target></volume>"""


def digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def send_file(stream: Any, size: int, file: Any) -> Any:
    return file.read(size)


def write_file(stream: Any, data: bytes, file: Any) -> Any:
    return file.write(data)


def whole(conn: Any, pool: Any, folder: Path) -> None:
    data = random.Random(64).randbytes(64 * MIB)
    expected = hashlib.sha256(data).hexdigest()
    volume = pool.createXML(VOLUME % ("whole", 64))
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        stream = conn.newStream()
        volume.upload(stream, 0, len(data))
        tell("sendAll", stream.sendAll(send_file, file))
        tell("finish", stream.finish())
    tell("uploaded", digest(folder / "whole") == expected)
    with tempfile.NamedTemporaryFile() as file:
        stream = conn.newStream()
        volume.download(stream, 0, 0)
        tell("recvAll", stream.recvAll(write_file, file))
        tell("finish", stream.finish())
        file.flush()
        tell("downloaded", digest(file.name) == expected)
    # a part, in pieces of odd sizes
    stream = conn.newStream()
    volume.download(stream, 1234567, 7654321)
    parts = []
    while part := stream.recv(262143):
        parts.append(part)
    tell("finish", stream.finish())
    tell("part", b"".join(parts) == data[1234567 : 1234567 + 7654321])
    # interrupted half-way, the connection goes on
    stream = conn.newStream()
    volume.download(stream, 0, 0)
    tell("first bytes", stream.recv(10) == data[:10])
    tell("abort", stream.abort())
    tell("still alive", volume.info()[1])
    # two streams at once, read in turns
    one, two = conn.newStream(), conn.newStream()
    volume.download(one, 0, MIB)
    volume.download(two, MIB, MIB)
    first = second = b""
    while len(first) < MIB or len(second) < MIB:
        first += one.recv(100000)
        second += two.recv(50000)
    tell("two streams", [first == data[:MIB], second == data[MIB : 2 * MIB]])
    tell("finish", [one.finish(), two.finish()])


class Sparse:
    """A sparse file for sparseSendAll and sparseRecvAll."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.fd = file.fileno()

    def send(self, stream: Any, size: int, opaque: Any) -> bytes:
        return os.read(self.fd, size)

    def hole(self, stream: Any, opaque: Any) -> tuple[bool, int]:
        """Whether the file is in data here, and how far that goes."""
        here = os.lseek(self.fd, 0, os.SEEK_CUR)
        end = os.fstat(self.fd).st_size
        try:
            data = os.lseek(self.fd, here, os.SEEK_DATA)
        except OSError:
            data = end
        if data > here:
            os.lseek(self.fd, here, os.SEEK_SET)
            return False, data - here
        stop = os.lseek(self.fd, here, os.SEEK_HOLE) if here < end else here
        os.lseek(self.fd, here, os.SEEK_SET)
        return True, stop - here

    def skip(self, stream: Any, length: int, opaque: Any) -> int:
        return os.lseek(self.fd, length, os.SEEK_CUR)

    def receive(self, stream: Any, data: bytes, opaque: Any) -> int:
        return os.write(self.fd, data)

    def receive_hole(self, stream: Any, length: int, opaque: Any) -> None:
        end = os.lseek(self.fd, length, os.SEEK_CUR)
        os.ftruncate(self.fd, end)


def sparse(conn: Any, pool: Any, folder: Path) -> None:
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        for at, text in ((0, b"head"), (20 * MIB, b"middle" * 1000), (63 * MIB, b"tail")):
            source.seek(at)
            source.write(text)
        source.truncate(64 * MIB)
        source.flush()
        source.seek(0)
        expected = hashlib.sha256(source.read()).hexdigest()
        os.lseek(source.fileno(), 0, os.SEEK_SET)
        volume = pool.createXML(VOLUME % ("sparse", 64))
        ends = Sparse(source)
        stream = conn.newStream()
        volume.upload(stream, 0, 0, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
        attempt("sparseSendAll", stream.sparseSendAll, ends.send, ends.hole, ends.skip, None)
        attempt("finish", stream.finish)
        path = folder / "sparse"
        tell("uploaded", digest(path) == expected)
        tell("size", path.stat().st_size)
        tell("stays sparse", path.stat().st_blocks * 512 < MIB)

        ends = Sparse(target)
        stream = conn.newStream()
        volume.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
        attempt("sparseRecvAll", stream.sparseRecvAll, ends.receive, ends.receive_hole, None)
        attempt("finish", stream.finish)
        target.seek(0)
        tell("downloaded", hashlib.sha256(target.read()).hexdigest() == expected)
        tell("stays sparse", os.fstat(target.fileno()).st_blocks * 512 < MIB)

        # by hand, stopping at holes
        stream = conn.newStream()
        volume.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
        data = holes = 0
        while True:
            part = stream.recvFlags(262120, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE)
            if part == -3:
                holes += stream.recvHole()
            elif part:
                data += len(part)
            else:
                break
        tell("by hand", [data < MIB, data + holes])
        attempt("finish", stream.finish)


def main() -> None:
    uri, folder = sys.argv[1], Path(sys.argv[2])
    quiet()
    conn = libvirt.open(uri)
    pool = conn.storagePoolCreateXML(POOL, libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD)
    whole(conn, pool, folder)
    sparse(conn, pool, folder)
    tell("close", conn.close())


main()
