# SPDX-License-Identifier: LGPL-2.1-or-later
"""hosts.py: our daemon and the real one side by side, each with images for guests.

Ours runs as it does when installed: in the Python that our client is measured in, byte code
compiled. The real one is Debian's, with cgroups, security drivers and mount namespaces switched
off, which ours does not use either.
Called by: guests, memory, growth, cold, daemon. Calls: rivals, tests.ours_daemon, tests.interop.
Never: touches the system's daemon or its guests.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.guest_worker import EMULATOR
from benchmarks.rivals import Worker, missing, ours

if TYPE_CHECKING:
    from tests.interop.daemon import Daemon
    from tests.ours_daemon import OurDaemon

IMAGE_BYTES = 16 << 20
MOST_GUESTS = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """Both daemons; `folders` have the guests' images, ours and as the real daemon sees it."""

    mine: OurDaemon
    theirs: Daemon
    folders: tuple[str, str]

    def uris(self, driver: str) -> tuple[str, str]:
        return self.mine.uri(driver), self.theirs.uri(driver)

    def mine_guests(self) -> list[int]:
        """The QEMU processes of our daemon."""
        from tests.ours_daemon import guests_below

        return guests_below(self.mine.root)

    def workers(self, guests: int, where: frozenset[int] | None = None) -> tuple[Worker, Worker]:
        """Our client on our daemon and libvirt-python on the real one, with guests defined."""
        uris, made = self.uris("qemu"), []
        for index in range(2):
            arguments = (self.folders[index], str(guests))
            script = "guest_worker.py"
            made.append(
                Worker(
                    uris[index], real_one=bool(index), where=where,
                    script=script, arguments=arguments,
                )
            )  # fmt: skip
        return made[0], made[1]


def lacks(name: str, *, qemu: bool = True) -> bool:
    """Whether the comparison cannot be made here; what is missing is printed."""
    lack = missing()
    if not lack:
        try:
            from tests.interop import daemon as interop
        except ImportError:
            lack = "tests/"
        else:
            lack = ", ".join(interop.missing())
    if not lack and qemu and not Path(EMULATOR).exists():
        lack = EMULATOR
    if lack:
        print(f"{name}: {lack} is missing, the comparison with the real daemon is left out")
    return bool(lack)


def our_daemon(**conf: int | str) -> OurDaemon:
    """A daemon of ours that runs from the package that our client is measured with."""
    from tests.ours_daemon import OurDaemon

    command, environment = ours("-m", "libvirtd")
    unset = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONUNBUFFERED": "", "LIBVIRTCORE_PURE": "0"}

    class Installed(OurDaemon):
        def command(self, *arguments: str) -> list[str]:
            return [*command, "--root", str(self.root), *arguments]

    place = {"PYTHONPATH": environment["PYTHONPATH"]}
    daemon = Installed(environment=unset | place, start=False)
    daemon.write_conf(**conf)
    try:
        daemon.start()
    except BaseException:
        daemon.close()
        raise
    return daemon


@contextmanager
def pair(**conf: int | str) -> Iterator[Pair]:
    """Start both daemons with the same settings of libvirtd.conf."""
    from tests.interop.daemon import Daemon, Settings

    with Daemon(Settings(extra=conf)) as theirs, our_daemon(**conf) as mine:
        folder = mine.root / "images"
        folder.mkdir()
        for number in range(MOST_GUESTS):
            for image in (folder / f"{number}.img", theirs.images / f"{number}.img"):
                with open(image, "wb") as file:
                    file.truncate(IMAGE_BYTES)
        try:
            yield Pair(mine, theirs, (str(folder), "/var/lib/libvirt/images"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
