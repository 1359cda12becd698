# SPDX-License-Identifier: LGPL-2.1-or-later
"""rivals.py: the two clients, each in a process of its own, and what they talk to.

Both run in the system's Python, the one that Debian's python3-libvirt is for. Ours is a copy of
`python/` in a temporary folder, with cffi's run time beside it and byte code as pip leaves it.
Called by: calls, wire, startup. Calls: worker.py, replay.py and tests.interop.daemon as processes.
Never: writes outside temporary folders.
"""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SYSTEM_PYTHON = "/usr/bin/python3"
SYSTEM_SOCKET = Path("/run/libvirt/libvirt-sock")


def _environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LIBVIRT"))}
    return kept | extra


@functools.cache
def missing() -> str:
    """What the comparison with the real library lacks, or ''."""
    if not os.path.exists(SYSTEM_PYTHON):
        return SYSTEM_PYTHON
    probe = [SYSTEM_PYTHON, "-c", "import libvirt"]
    failed = subprocess.run(probe, capture_output=True, check=False, env=_environment()).returncode
    return "Debian's python3-libvirt" if failed else ""


@functools.cache
def _package() -> tuple[tempfile.TemporaryDirectory[str], str]:
    """A folder with our package, which lives as long as this process; the Python to run it."""
    folder = tempfile.TemporaryDirectory(prefix="lvc-bench-")
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "_libvirtmod.c")
    shutil.copytree(ROOT / "python", folder.name, dirs_exist_ok=True, ignore=unwanted)
    interpreter = SYSTEM_PYTHON if _same_interpreter() else sys.executable
    try:
        import _cffi_backend
    except ImportError:
        pass  # then there is no C core to measure either
    else:
        shutil.copy(_cffi_backend.__file__, folder.name)
    if interpreter != SYSTEM_PYTHON:
        print(f"note: ours runs in {sys.executable}, the rival in {SYSTEM_PYTHON}")
    compile_all = [interpreter, "-m", "compileall", "-q", "-j", "0", folder.name]
    subprocess.run(compile_all, check=True, env=_environment())
    return folder, interpreter


def _same_interpreter() -> bool:
    """Whether the cffi of this Python also works in the system's."""
    asks = "import sysconfig; print(sysconfig.get_config_var('SOABI'))"
    if not os.path.exists(SYSTEM_PYTHON):
        return False
    answer = subprocess.run(
        [SYSTEM_PYTHON, "-c", asks], capture_output=True, text=True, check=False
    )
    return bool(answer.stdout.strip() == sysconfig.get_config_var("SOABI"))


def ours(*arguments: str, pure: bool = False) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a Python with our `libvirt`."""
    folder, interpreter = _package()
    environment = _environment(PYTHONPATH=folder.name, LIBVIRTCORE_PURE=str(int(pure)))
    return [interpreter, *arguments], environment


def real(*arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a Python with libvirt-python."""
    return [SYSTEM_PYTHON, *arguments], _environment()


class CallFailed(Exception):
    """A call that was to be measured failed; its text says why."""


class Worker:
    """A process that makes calls on one connection when told to.

    The script is worker.py, or another that talks as that does; it is given `arguments` too.
    """

    def __init__(
        self,
        uri: str,
        *,
        real_one: bool = False,
        pure: bool = False,
        where: frozenset[int] | None = None,
        script: str = "worker.py",
        arguments: Sequence[str] = (),
    ) -> None:
        words = (str(ROOT / "benchmarks" / script), uri, *arguments)
        command, environment = real(*words) if real_one else ours(*words, pure=pure)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.pid = self._process.pid
        if where is not None:
            os.sched_setaffinity(self.pid, where)
        self.cpu: list[float] = []
        if self._read() != "ready":
            self.close()
            raise RuntimeError(f"{' '.join(command)}: no connection")

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, name: str, count: int) -> float:
        """Wall seconds of one call; the CPU seconds go to `cpu`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name} {count}\n")
        self._process.stdin.flush()
        said = self._read()
        if said.startswith("failed: "):
            raise CallFailed(said.removeprefix("failed: "))
        answer = said.split()
        if len(answer) != 2:
            raise RuntimeError(f"the worker ended in {name}")
        self.cpu.append(float(answer[1]))
        return float(answer[0])

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


@contextmanager
def replay_server(domains: int, fields: int) -> Iterator[str]:
    """Start the replay server; its URI."""
    with tempfile.TemporaryDirectory(prefix="lvc-bench-") as folder:
        path = f"{folder}/sock"
        environment = _environment(PYTHONPATH=f"{ROOT / 'python'}{os.pathsep}{ROOT}")
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.replay", path, str(domains), str(fields)],
            stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            if server.stdout.readline().strip() != "ready":
                raise RuntimeError("the replay server did not start")
            yield f"qemu+unix:///system?socket={path}"
        finally:
            server.kill()
            server.communicate()


@contextmanager
def daemon() -> Iterator[str]:
    """The URI of a test driver in a real libvirtd: the system's, or one started for this.

    '' when there can be none; what is missing has been printed.
    """
    if _answers(SYSTEM_SOCKET):
        yield f"test+unix:///default?socket={SYSTEM_SOCKET}"
        return
    try:
        from tests.interop import daemon as interop
    except ImportError:
        print(f"no daemon at {SYSTEM_SOCKET} and no tests/ to start one: libvirtd is left out")
        yield ""
        return
    if lacks := interop.missing():
        print(f"no daemon at {SYSTEM_SOCKET}; to start one lacks {', '.join(lacks)}: left out")
        yield ""
        return
    with interop.Daemon() as private:
        yield private.uri("test")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
