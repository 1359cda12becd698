# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_files.py: every hand-written file says what it is for and stays readable in one sitting."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {".py": 500, ".c": 800, ".h": 800}
SPDX = "SPDX-License-Identifier: LGPL-2.1-or-later"


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        return sorted(p for p in ROOT.rglob("*") if p.suffix in LIMITS and ".venv" not in p.parts)
    return sorted({ROOT / name for name in listed.stdout.splitlines()})


SOURCES = [p for p in tracked() if p.suffix in LIMITS and p.is_file() and "golden" not in p.parts]
HAND_WRITTEN = [p for p in SOURCES if "generated" not in p.parts and "libvirt-stubs" not in p.parts]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=name)
def test_file_is_short_and_introduces_itself(path: Path) -> None:
    text = path.read_text()
    lines = text.splitlines()
    assert len(lines) <= LIMITS[path.suffix], f"{len(lines)} lines"
    head = "\n".join(lines[:12])
    assert SPDX in head
    if path.name not in ("__init__.py", "__main__.py", "conftest.py"):
        assert path.name in head, "the first lines must name the file and say its purpose"


def test_tree_speaks_of_itself_alone() -> None:
    """Nothing in the tree depends on where it was written."""
    words = ["/".join(("", "work", "")), "lvc" + "-venv", "CONTRA" + "CTS.md"]
    wrong = []
    for path in tracked():
        if path.is_file() and path.stat().st_size < 2_000_000:
            text = path.read_text(errors="replace")
            wrong += [f"{name(path)}: {word}" for word in words if word in text]
    assert wrong == []
