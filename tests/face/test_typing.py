# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_typing.py: what `mypy --strict` says about users' scripts, with the package as installed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import libvirtcore

pytest.importorskip("mypy")
PYTHON = Path(libvirtcore.__file__).parents[1]
STUBS = ("libvirt", "libvirt_qemu", "libvirt_lxc", "libvirtaio")

GOOD = """
import asyncio
from typing import Any

from typing_extensions import assert_type

import libvirt
import libvirt_lxc
import libvirt_qemu
import libvirtaio
import libvirtcore


def lifecycle(
    conn: libvirt.virConnect, dom: libvirt.virDomain, event: int, detail: int, opaque: str
) -> None:
    print(conn.getHostname(), dom.name(), event, detail, opaque)


def closed(conn: libvirt.virConnect, reason: int, opaque: None) -> None: ...


def main() -> None:
    libvirt.virEventRegisterDefaultImpl()
    with libvirt.open("test:///default") as conn:
        assert_type(conn, libvirt.virConnect)
        dom = conn.lookupByName("test")
        assert_type(dom, libvirt.virDomain)
        assert_type(dom.name(), str)
        assert_type(dom.memoryStats(), dict[str, int])
        assert_type(conn.listAllDomains(), list[libvirt.virDomain])
        assert_type(libvirt.VIR_DOMAIN_RUNNING, int)
        assert_type(libvirt.VIR_DOMAIN_BLKIO_WEIGHT, str)
        assert_type(conn.listDomainsID(), list[int])
        assert_type(dom.UUID(), bytes)
        assert_type(dom.snapshotLookupByName("a"), libvirt.virDomainSnapshot)
        assert_type(conn.domainEventRegisterAny(None, 0, lifecycle, "x"), int)
        conn.domainEventRegister(lifecycle, "x")
        conn.registerCloseCallback(closed, None)
        stream = conn.newStream()
        assert_type(stream.recv(5), bytes | int)
        stream.send(b"data")
        net = conn.networkLookupByName("default")
        assert_type(net.listAllPorts(), list[libvirt.virNetworkPort])
        hmp = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        assert_type(libvirt_qemu.qemuMonitorCommand(dom, "info", hmp), str)
        assert_type(libvirt_lxc.lxcOpenNamespace(dom, 0), list[int])
        with libvirtcore.timeout(2.5):
            dom.resume()
    try:
        libvirt.openReadOnly(None)
    except libvirt.libvirtError as error:
        assert_type(error.get_error_code(), int | None)
        assert_type(error.get_error_message(), str | None)


async def events() -> None:
    impl = libvirtaio.virEventRegisterAsyncIOImpl()
    assert_type(impl, libvirtaio.virEventAsyncIOImpl)
    assert_type(impl.is_idle(), bool)
    await impl.drain()


main()
asyncio.run(events())
"""

BAD = """
import libvirt

conn = libvirt.open(5)
conn.lookupByName(b"x")
conn.noSuchMethod()
x: str = conn.lookupByName("x").maxMemory()
libvirt.virStream.send(conn.newStream(), "text")
libvirt.VIR_NO_SUCH_CONSTANT
"""


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment whose site-packages holds the package as a wheel would put it."""
    root = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    python = root / "bin" / "python"
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    site = Path(purelib.stdout.strip())
    for entry in PYTHON.iterdir():
        if entry.name.startswith("libvirt"):
            (site / entry.name).symlink_to(entry)
    extensions = Path(sysconfig.get_path("purelib")) / "typing_extensions.py"
    if extensions.exists():
        (site / extensions.name).symlink_to(extensions)
    return str(python)


def mypy(script: str, interpreter: str, tmp_path: Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(script)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")}
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file", "",
            "--cache-dir", str(tmp_path / "cache"), "--python-executable", interpreter, str(path),
        ],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


@pytest.mark.slow
def test_a_right_script_passes(interpreter: str, tmp_path: Path) -> None:
    assert mypy(GOOD, interpreter, tmp_path) == ""


@pytest.mark.slow
def test_each_mistake_is_found(interpreter: str, tmp_path: Path) -> None:
    found = mypy(BAD, interpreter, tmp_path)
    lines = {int(line.split(":")[1]) for line in found.splitlines() if ": error: " in line}
    assert lines == {4, 5, 6, 7, 8, 9}, found


def exported(path: Path) -> set[str]:
    """The names that a module or stub takes from elsewhere or defines."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names |= {
                f"* of {node.module}" if a.name == "*" else a.asname or a.name for a in node.names
            }
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names


@pytest.mark.parametrize("module", STUBS)
def test_stubs_list_what_the_modules_have(module: str) -> None:
    """Everything public in a module is in its stub."""
    ours = exported(PYTHON / f"{module}.py")
    stub = exported(PYTHON / f"{module}-stubs" / "__init__.pyi")
    hidden = {
        "annotations",
        "__getattr__",
        "TYPE_CHECKING",
        "_usual_loop",
        "_environ",
        "allocate_lock",
        "Generator",
    }
    assert ours - stub - hidden - {"Optional", "Callable", "TypeVar", "Any"} == set()
