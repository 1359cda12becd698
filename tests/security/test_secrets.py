# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_secrets.py: a password in a document comes back to nobody who did not ask for it as such.

The guest's VNC password is one word; a running guest, its definition and its saved image all hold
it. Every procedure is called with every single flag and with pairs that once implied others
(CVE-2014-7823, CVE-2015-0236, CVE-2020-14301); no answer may hold the word unless the call may.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.generated import constants as c
from tests.libvirtd_dispatch.plausible import arguments
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import domain_xml
from tests.security.test_read_only import about
from tests.security.wire import LXC, REMOTE, Raw, calls, encoded, field_names

pytestmark = pytest.mark.slow

WORD = "tAiNt3d!"  # eight characters, as many as VNC takes
GRAPHICS = f"<graphics type='vnc' port='-1' autoport='yes' passwd='{WORD}'/>"
SINGLE = tuple(1 << bit for bit in range(32))
PAIRS = (0, 3, 5, 6, 9, 10, 12, 8 | 2, 8 | 4, 0x80000001, 0xFFFFFFFF)
# Who asks for secrets gets them: the flag, and what is asked.
SECURE = {
    "domain_get_xml_desc": c.VIR_DOMAIN_XML_SECURE | c.VIR_DOMAIN_XML_MIGRATABLE,
    "domain_save_image_get_xml_desc": c.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE,
    "domain_managed_save_get_xml_desc": c.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE,
}
# They would end the guest, or the session, or sleep.
SPARED = {"connect_open", "connect_close", "node_suspend_for_duration", "node_alloc_pages"}
ENDING = ("destroy", "undefine", "shutdown", "reboot", "save_remove", "save_flags", "domain_save",
          "managed_save", "core_dump", "pm_suspend", "migrate", "reset", "create", "restore",
          "define", "rename", "suspend", "detach", "set_", "abort", "save_params")  # fmt: skip


@pytest.fixture
def guests(daemon: OurDaemon, qemu: Any, tmp_path: Path) -> Iterator[tuple[Any, Any, Path]]:
    """A guest that runs, one that was put to sleep in its managed image, and a copy of that."""
    runs = qemu.defineXML(domain_xml(devices=GRAPHICS))
    runs.create()
    sleeps = qemu.defineXML(domain_xml("other", runs.UUIDString()[:-1] + "f", devices=GRAPHICS))
    sleeps.create()
    sleeps.managedSave()
    image = tmp_path / "image"
    source = daemon.root / "var" / "lib" / "libvirt" / "qemu" / "save" / "other.save"
    image.write_bytes(source.read_bytes())
    assert WORD.encode() in image.read_bytes()
    yield runs, sleeps, image


def ending(name: str) -> bool:
    return name.startswith("domain_") and "get" not in name and any(w in name for w in ENDING)


def asked(dom: Any, image: Path) -> Iterator[tuple[int, int, str, int, bytes]]:
    """Calls with each flag: program, number, name, flags, payload."""
    for program, number, name in calls():
        args = arguments(program, number)
        if program == LXC or (program == REMOTE and name in SPARED) or args is None:
            continue
        args = about(args, dom)
        args = tuple(str(image) if arg == "/nonexistent/x" else arg for arg in args)
        names = field_names(program, number)
        if not ({"flags", "flag"} & set(names)):
            yield program, number, name, 0, encoded(program, number, args)
            continue
        place = names.index("flags") if "flags" in names else names.index("flag")
        for flags in (*SINGLE, *PAIRS):
            changed = (*args[:place], flags, *args[place + 1 :])
            try:
                payload = encoded(program, number, changed)
            except Exception:  # a signed field
                changed = (*args[:place], flags - (1 << 32), *args[place + 1 :])
                payload = encoded(program, number, changed)
            yield program, number, name, flags, payload


def test_read_only_clients_never_see_it(daemon: OurDaemon, guests: tuple[Any, Any, Path]) -> None:
    count = 0
    for guest in guests[:2]:
        dom = (guest.name(), guest.UUID(), guest.ID())
        with Raw(daemon.socket_ro) as raw:
            raw.open("qemu:///system")
            for program, number, name, flags, payload in asked(dom, guests[2]):
                count += 1
                answer = raw.ask(program, number, payload)
                assert WORD.encode() not in answer.payload, (name, hex(flags))
    assert count > 10000


def test_others_see_it_only_when_they_ask(daemon: OurDaemon, guests: tuple[Any, Any, Path]) -> None:
    seen = set()
    for guest in guests[:2]:
        dom = (guest.name(), guest.UUID(), guest.ID())
        with Raw(daemon.socket) as raw:
            raw.open("qemu:///system")
            for program, number, name, flags, payload in asked(dom, guests[2]):
                if ending(name):
                    continue
                answer = raw.ask(program, number, payload)
                if WORD.encode() in answer.payload:
                    assert flags & SECURE.get(name, 0), (name, hex(flags))
                    seen.add(name)
    assert seen == set(SECURE)


def test_it_is_in_no_command_line_log_or_file_of_others(
    daemon: OurDaemon, guests: tuple[Any, Any, Path], state: Path
) -> None:
    pid = int((state / "guest.pid").read_text())
    assert WORD.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert WORD.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert WORD not in daemon.log()
    for path in daemon.root.rglob("*"):
        if path.is_file() and WORD.encode() in path.read_bytes():
            assert path.stat().st_mode & 0o077 == 0, path
            assert path.suffix in (".xml", ".save"), path


def test_a_native_command_line_hides_it(daemon: OurDaemon, qemu: Any) -> None:
    native = qemu.domainXMLToNative("qemu-argv", domain_xml(devices=GRAPHICS), 0)
    assert "vnc" in native
    assert WORD not in native
