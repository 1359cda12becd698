# SPDX-License-Identifier: LGPL-2.1-or-later
"""__main__.py: `python -m generator` writes all generated files; `--check` says which are stale.

Called by: `make generate`, `make lint`, tests/generator.
Never: deletes; a file in a generated folder that no emitter writes is reported.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from generator.description import DescriptionErrors, load
from generator.model import Model
from generator.stamp import stamped

ROOT = Path(__file__).resolve().parent.parent

# Every module emit_*.py beside this file.
EMITTERS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("emit_*.py")))

GENERATED = ("libvirtcore/generated", "python/libvirtcore/generated")

# Files in a generated folder that are not emitted, each with its reason.
NOT_EMITTED = {"__init__.py": "makes the folder a package"}


def emit_all(model: Model) -> dict[str, str]:
    """Every generated file, path relative to the tree → content with its stamp."""
    files: dict[str, str] = {}
    for tool in EMITTERS:
        for path, body in import_module(f"generator.{tool}").emit(model).items():
            if path in files:
                raise ValueError(f"{tool} emits {path}, as another emitter does")
            files[path] = stamped(path, tool, model.digest, body)
    return files


def stale(files: dict[str, str], root: Path = ROOT) -> list[str]:
    """What differs between the tree and what would be written, one line each."""
    faults = []
    for path, content in sorted(files.items()):
        target = root / path
        if not target.exists():
            faults.append(f"{path}: missing")
        elif target.read_text(encoding="utf-8") != content:
            faults.append(f"{path}: stale")
    return faults + [f"{path}: no emitter writes it" for path in orphans(files, root)]


def orphans(files: dict[str, str], root: Path = ROOT) -> list[str]:
    """Files in the generated folders that no emitter owns."""
    found = []
    for folder in GENERATED:
        for target in sorted((root / folder).glob("*.*")):
            path = f"{folder}/{target.name}"
            if path not in files and target.name not in NOT_EMITTED:
                found.append(path)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")
    options = parser.parse_args(arguments)
    try:
        model = load()
    except DescriptionErrors as error:
        print(error, file=sys.stderr)
        return 1
    files = emit_all(model)
    if options.check:
        faults = stale(files)
        for fault in faults:
            print(fault, file=sys.stderr)
        return 1 if faults else 0
    for path, content in files.items():
        target = ROOT / path
        if not target.exists() or target.read_text(encoding="utf-8") != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
            print(path)
    for path in orphans(files):
        print(f"{path}: no emitter writes it; delete it", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
