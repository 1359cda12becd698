# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_layers.py: imports and includes follow the arrows of ARCHITECTURE.md.

A room may import the rooms listed for it and itself; everything else fails here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "python"
CORE = ROOT / "libvirtcore"

# Room → rooms it may import. The first matching prefix of a module's name is its room.
ROOMS: dict[str, set[str]] = {
    "face": {
        "door", "objects", "errors", "events", "tools", "trace", "generated-data", "generated-api",
    },
    "trace": {"api", "tools", "generated-data"},  # what it measures it finds by name
    "door": {"api", "generated-api", "errors", "generated-data", "tools"},
    "objects": {
        "door", "errors", "generated-data", "generated-api", "handles", "tools", "face", "events",
    },
    "api": {
        "registry", "handles", "errors", "events", "generated-data", "generated-api",
        "drivers-base", "tools",
    },
    "registry": {
        "drivers-base", "driver-test", "driver-remote", "driver-qemu", "errors", "tools",
        "generated-data",
    },
    "drivers-base": {"handles", "errors", "generated-data", "generated-api", "tools"},
    "driver-test": {"drivers-base", "handles", "errors", "events", "generated-data", "tools"},
    "driver-remote": {
        "drivers-base", "handles", "errors", "events", "generated-data", "generated-api",
        "core", "tools", "registry",
    },
    "driver-qemu": {
        "conf", "qmp", "drivers-base", "handles", "errors", "events", "generated-data", "tools",
    },
    "conf": {"errors", "generated-data", "tools"},
    "qmp": {"core", "errors", "generated-data", "tools"},
    "libvirtd": {
        "api", "registry", "handles", "errors", "events", "core", "generated-api",
        "generated-data", "drivers-base", "driver-qemu", "tools", "trace",
    },
    "events": {"handles", "errors", "generated-data", "tools"},
    "handles": set(),
    "core": {"errors", "generated-data", "tools"},
    "errors": {"generated-data"},
    "tools": {"errors", "generated-data", "tools", "core"},
    "generated-api": {
        "api", "handles", "errors", "door", "objects", "generated-data", "drivers-base",
        "events", "tools",
    },
    "generated-data": {"core", "errors"},
    "aio": {"face"},
}  # fmt: skip

PREFIXES: tuple[tuple[str, str], ...] = (
    ("libvirtaio", "aio"),
    ("libvirtmod", "door"),
    ("libvirt_", "face"),
    ("libvirtcore.objects", "objects"),
    ("libvirtcore.api", "api"),
    ("libvirtcore.drivers.registry", "registry"),
    ("libvirtd", "libvirtd"),
    ("libvirtcore.trace", "trace"),
    ("libvirtcore.conf_file", "tools"),
    ("libvirtcore.conf", "conf"),
    ("libvirtcore.qmp", "qmp"),
    ("libvirtcore.core_server", "core"),
    ("libvirtcore.drivers.qemu", "driver-qemu"),
    ("libvirtcore.drivers.test", "driver-test"),
    ("libvirtcore.drivers.remote", "driver-remote"),
    ("libvirtcore.drivers", "drivers-base"),
    ("libvirtcore.events", "events"),
    ("libvirtcore.handles", "handles"),
    ("libvirtcore.errors", "errors"),
    ("libvirtcore.exceptions", "errors"),
    ("libvirtcore.error_texts", "errors"),
    ("libvirtcore.rpc", "core"),
    ("libvirtcore.core", "core"),
    ("libvirtcore.codec", "core"),
    ("libvirtcore.generated.constants", "generated-data"),
    ("libvirtcore.generated.exceptions", "generated-data"),
    ("libvirtcore.generated.tables", "generated-data"),
    ("libvirtcore.generated.limits", "generated-data"),
    ("libvirtcore.generated.field_names", "generated-data"),
    ("libvirtcore.generated", "generated-api"),
    ("libvirtcore", "tools"),
    ("libvirt", "face"),
)


def room_of(module: str) -> str | None:
    for prefix, room in PREFIXES:
        if (
            module == prefix
            or module.startswith(prefix + ".")
            or (prefix.endswith(("_", "mod")) and module.startswith(prefix))
            or (prefix.startswith("libvirtcore.generated.") and module.startswith(prefix))
        ):
            return room
    return None


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`: they never run, so they bind no room."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from runtime_nodes(node)


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module == "libvirtcore.generated":
            for alias in node.names:  # data and API live side by side in this package
                yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module


def module_name(path: Path) -> str:
    parts = path.relative_to(PYTHON).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = sorted(p for p in PYTHON.rglob("*.py") if "build" not in p.parts)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_follow_the_arrows(path: Path) -> None:
    room = room_of(module_name(path))
    if room is None:
        return
    wrong = []
    for line, target in imports_of(path):
        other = room_of(target)
        if other is not None and other != room and other not in ROOMS[room]:
            wrong.append(
                f"{path.relative_to(ROOT)}:{line}: {room} must not import {target} ({other})"
            )
    assert wrong == []


def test_only_core_imports_the_extension() -> None:
    importers = {
        module_name(path)
        for path in MODULES
        for _line, target in imports_of(path)
        if target == "_libvirtmod"
    }
    assert importers <= {
        "libvirtcore.core", "libvirtcore.core_server", "libvirtcore.codec", "libvirtcore.qmp.core",
    }  # fmt: skip


# C room → rooms it may include.
C_ROOMS = {
    "base": {"base"},
    "xdr": {"xdr", "base", "generated"},
    "rpc": {"rpc", "xdr", "base", "generated"},
    "qmp": {"qmp", "base"},
    "generated": {"generated"},
}


def test_includes_follow_the_arrows() -> None:
    wrong = []
    for path in sorted(CORE.rglob("*.[ch]")):
        room = path.parent.name if path.parent != CORE else None
        for line, text in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', text)
            if match and room in C_ROOMS and "/" in match.group(1):
                other = match.group(1).split("/")[-2]
                if other in C_ROOMS and other not in C_ROOMS[room]:
                    wrong.append(
                        f"{path.relative_to(ROOT)}:{line}: {room} must not include {other}"
                    )
    assert wrong == []


def test_c_never_knows_python() -> None:
    for path in CORE.rglob("*.[ch]"):
        assert "Python.h" not in path.read_text(), path
