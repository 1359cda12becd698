# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_roots.py: where embedded hosts can be, and who may use them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.qemu.conftest import domain_xml
from tests.qemu.test_reconnect import REPOSITORY


def test_two_roots_in_one_process(tmp_path: Path, root: Path) -> None:
    roots = [root / "one", root / "two"]
    conns = [libvirt.open(f"qemu:///embed?root={path}") for path in roots]
    doms = [conn.createXML(domain_xml(), 0) for conn in conns]
    doms[0].suspend()
    assert [dom.state() for dom in doms] == [[3, 1], [1, 1]]
    doms[0].destroy()
    assert [len(conn.listAllDomains()) for conn in conns] == [0, 1]
    doms[1].destroy()
    del doms
    assert [conn.close() for conn in conns] == [0, 0]


def test_two_connections_see_one_host(conn: Any, root: Path) -> None:
    conn.createXML(domain_xml(), 0)
    other = libvirt.open(f"qemu:///embed?root={root}/.")
    assert [dom.name() for dom in other.listAllDomains()] == ["guest"]
    other.close()


def test_root_of_300_characters(root: Path) -> None:
    deep = root / ("x" * 100) / ("y" * 100) / ("z" * 100)
    conn = libvirt.open(f"qemu:///embed?root={deep}")
    dom = conn.defineXML(domain_xml())
    dom.create()
    dom.suspend()
    assert dom.state() == [3, 1]
    del dom
    conn.close()
    conn = libvirt.open(f"qemu:///embed?root={deep}")
    dom = conn.lookupByName("guest")
    dom.resume()
    assert dom.state() == [1, 5]
    dom.destroy()
    del dom
    conn.close()


def test_second_process_is_refused(conn: Any, root: Path) -> None:
    script = (
        "import libvirt\n"
        f"try: libvirt.open('qemu:///embed?root={root}')\n"
        "except libvirt.libvirtError as error: print(error)\n"
    )
    env = os.environ | {"PYTHONPATH": str(REPOSITORY / "python")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, check=True
    )
    assert "Failed to acquire pid file" in done.stdout
    assert f"process {os.getpid()}" in done.stdout


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("qemu:///embed", "invalid argument: Missing URI parameter 'root'"),
        ("qemu:///embed?root=x", "unsupported configuration: root path must be absolute"),
    ],
)
def test_bad_root(uri: str, message: str) -> None:
    with pytest.raises(libvirt.libvirtError) as info:
        libvirt.open(uri)
    assert info.value.get_error_message() == message


def test_corrupt_files_are_left_alone(root: Path) -> None:
    conn = libvirt.open(f"qemu:///embed?root={root}")
    conn.defineXML(domain_xml())
    conn.close()
    config, state = root / "etc" / "qemu", root / "run" / "qemu"
    (config / "broken.xml").write_text("<domain type='qemu'><name>broken</na")
    (config / "empty.xml").write_bytes(b"")
    (config / "binary.xml").write_bytes(bytes(range(256)))
    (config / "other.xml").write_text((config / "guest.xml").read_text())
    (config / "loop.xml").symlink_to("loop.xml")
    (config / "folder.xml").mkdir()
    (state / "guest.xml").write_text("<domstatus pid='x'>\n<domain/></domstatus>")
    (state / "odd.xml").write_text("nothing")
    conn = libvirt.open(f"qemu:///embed?root={root}")
    assert [dom.name() for dom in conn.listAllDomains()] == ["guest"]
    assert (config / "broken.xml").exists()
    conn.close()
