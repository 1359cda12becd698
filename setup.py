# SPDX-License-Identifier: LGPL-2.1-or-later
"""setup.py: decides whether the C core is built, and says so to setuptools.

With a C compiler, Python's headers and cffi there is an abi3 extension. Without them, or with
LIBVIRTCORE_NO_EXT=1, the package is pure Python: same behaviour, slower decoding.
Called by: pip, build. Calls: python/_libvirtmod_build.py (through cffi's `cffi_modules`).
Never: fails for want of a compiler.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from setuptools import find_namespace_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


def tell(message: str) -> None:
    print(f"libvirtcore: {message}", file=sys.stderr)


def compiler_works() -> bool:
    """Whether a file that includes Python.h compiles."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC")
    if not command:
        return False
    paths = sysconfig.get_paths()
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "probe.c"
        source.write_text("#include <Python.h>\nint probe(void) { return 0; }\n")
        includes = [f"-I{paths['include']}", f"-I{paths['platinclude']}"]
        try:
            done = subprocess.run(
                [*shlex.split(command), *includes, "-c", str(source), "-o", f"{source}.o"],
                capture_output=True,
                check=False,
            )
        except OSError:
            return False
    return done.returncode == 0


def wants_core() -> bool:
    """Whether to build the C core; where not, why not."""
    if os.environ.get("LIBVIRTCORE_NO_EXT", "0") not in ("", "0"):
        tell("LIBVIRTCORE_NO_EXT is set, building the pure-Python package")
        return False
    if importlib.util.find_spec("cffi") is None:
        tell("cffi is missing, building the pure-Python package")
        return False
    if not compiler_works():
        tell("no C compiler with Python's headers, building the pure-Python package")
        return False
    return True


class TolerantBuild(build_ext):
    """A core that does not compile here is left out; the pure one takes its place."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as problem:
            if os.environ.get("LIBVIRTCORE_REQUIRE_EXT", "0") not in ("", "0"):
                raise
            tell(f"the C core could not be built ({problem}); the pure-Python core will be used")
            self.extensions = []


def core_arguments() -> dict[str, Any]:
    limited = not hasattr(sys, "gettotalrefcount") and not sysconfig.get_config_var(
        "Py_GIL_DISABLED"
    )
    arguments: dict[str, Any] = {
        "cffi_modules": ["python/_libvirtmod_build.py:ffibuilder"],
        "cmdclass": {"build_ext": TolerantBuild},
        "install_requires": ["cffi>=1.17"],
    }
    if limited and sys.implementation.name == "cpython":
        arguments["options"] = {"bdist_wheel": {"py_limited_api": "cp310"}}
    return arguments


def modules() -> list[str]:
    """The drop-in faces and doors, beside the package."""
    return sorted(p.stem for p in (ROOT / "python").glob("*.py") if not p.stem.endswith("_build"))


setup(
    package_dir={"": "python"},
    packages=find_namespace_packages(
        "python",
        include=["libvirtcore", "libvirtcore.*", "libvirtd", "libvirtd.*", "*-stubs"],
        exclude=["*.__pycache__", "__pycache__"],
    ),
    py_modules=modules(),
    package_data={"": ["py.typed", "*.pyi"]},
    entry_points={"console_scripts": ["libvirtd = libvirtd.main:main"]},
    **(core_arguments() if wants_core() else {"install_requires": []}),
)
