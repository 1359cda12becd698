# SPDX-License-Identifier: LGPL-2.1-or-later
"""_libvirtmod_build.py: describes the C core to cffi, and builds it in place when run.

The declarations are the span of libvirtcore.h between its two cdef marks, as it stands.
Called by: setup.py (`cffi_modules`), `make build` (as a script).
Never: is imported at run time.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path

import cffi

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "libvirtcore"
HEADER = CORE / "libvirtcore.h"
BEGIN, END = "/* cdef: begin */", "/* cdef: end */"

CFLAGS = [
    "-std=c11",
    "-O2",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wno-missing-field-initializers",  # tables rely on zeros
]


def cdef() -> str:
    """The part of the public header that cffi parses."""
    text = HEADER.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{HEADER} must hold one span from {BEGIN!r} to {END!r}")
    return text.partition(BEGIN)[2].partition(END)[0]


def files(suffix: str) -> list[Path]:
    """Every file of the core that ends so."""
    return sorted(CORE.rglob("*" + suffix))


def limited_api() -> bool:
    """Debug and free-threaded builds of Python have no stable ABI."""
    return not hasattr(sys, "gettotalrefcount") and not _free_threaded()


def _free_threaded() -> bool:
    import sysconfig

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def make(base: Path | None = ROOT, debug: str = "-g0") -> cffi.FFI:
    """The builder; sources are relative to `base`, as setuptools wants them, or absolute."""

    def spell(path: Path) -> str:
        return str(path if base is None else path.relative_to(base))

    version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
    macros: list[tuple[str, str | None]] = [("LVC_VERSION", f'"{version}"'), ("_GNU_SOURCE", None)]
    if limited_api() and sys.implementation.name == "cpython":
        macros.append(("Py_LIMITED_API", "0x030A0000"))
    extra = [debug, *shlex.split(os.environ.get("LIBVIRTCORE_CFLAGS", ""))]
    builder = cffi.FFI()
    builder.cdef(cdef())
    builder.set_source(
        "_libvirtmod",
        '#include "libvirtcore.h"',
        sources=[spell(path) for path in files(".c")],
        depends=[spell(path) for path in files(".h")],
        include_dirs=[spell(CORE)],
        define_macros=macros,
        extra_compile_args=CFLAGS + extra,
        extra_link_args=[flag for flag in extra if flag.startswith("-fsanitize")],
        py_limited_api=limited_api(),
    )
    return builder


ffibuilder = make()


def main() -> None:
    """Compile into a scratch directory and move the result to its place, in one step.

    The place is the directory given as argument, else that of this file. LIBVIRTCORE_CFLAGS holds
    more flags for the compiler.
    """
    place = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent).resolve()
    with tempfile.TemporaryDirectory(prefix="libvirtcore-build-", dir=place.parent) as scratch:
        built = Path(make(None, "-g").compile(tmpdir=scratch, verbose=False))
        os.replace(built, place / built.name)
    print(f"built {place / built.name}")


if __name__ == "__main__":
    main()
