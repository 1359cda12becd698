# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_read_only.py: what a client of the read-only socket can do to a running guest: nothing.

Every procedure is tried with arguments that name the guest; what is not refused outright must be in
read_only.txt, so that a new procedure is closed until somebody opens it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import libvirt
from libvirtcore.generated import constants as c
from libvirtcore.generated.tables import PROGRAMS
from tests.libvirtd_dispatch.plausible import DOMAIN, arguments
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import domain_xml
from tests.security.wire import FAULT_OF_OURS, LXC, REMOTE, Raw, calls, numbers

pytestmark = pytest.mark.slow

ALLOWED = Path(__file__).with_name("read_only.txt")
ALWAYS = {"auth_list", "auth_polkit", "auth_sasl_init", "auth_sasl_start", "auth_sasl_step",
          "connect_open", "connect_close", "connect_supports_feature"}  # fmt: skip
DENIALS = ("read only access prevents", "forbidden")
MARK = """#!/bin/sh
touch {mark}
exec /usr/bin/qemu-system-x86_64 "$@"
"""


def about(value: Any, dom: Any) -> Any:
    """Arguments that mean our guest where they meant the example's."""
    if value == DOMAIN:
        return dom
    if isinstance(value, tuple):
        return tuple(about(item, dom) for item in value)
    return value


def allowed() -> set[str]:
    lines = ALLOWED.read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize("door", ["socket", "flag"])
def test_every_procedure_is_denied_or_listed(daemon: OurDaemon, qemu: Any, door: str) -> None:
    guest = qemu.createXML(domain_xml(), 0)
    told = (guest.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE), guest.state(), guest.info()[:4])
    dom = ("guest", guest.UUID(), guest.ID())
    path, flags = (daemon.socket_ro, 0) if door == "socket" else (daemon.socket, c.VIR_CONNECT_RO)
    open_to_all = set()
    for program, number, name in calls():
        if program == LXC or (program == REMOTE and name in ALWAYS):
            continue
        procedure = PROGRAMS[program].procedures[number]
        assert procedure is not None
        with Raw(path) as raw:
            raw.open("qemu:///system", flags)
            answer = raw.call(program, number, about(arguments(program, number), dom))
        assert FAULT_OF_OURS not in answer.text
        if answer.code != c.VIR_ERR_OPERATION_DENIED:
            open_to_all.add(name)
        else:
            assert any(words in answer.text for words in DENIALS), answer
    assert (guest.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE), guest.state(), guest.info()[:4]) == told
    assert sorted(open_to_all) == sorted(allowed())


def test_a_read_only_client_cannot_ask_for_more(daemon: OurDaemon) -> None:
    """Opening again without the flag does not help, nor does any other flag of open."""
    destroy = numbers()["domain_destroy"]
    for flags in (0, c.VIR_CONNECT_NO_ALIASES, 0xFFFFFFFF):
        with Raw(daemon.socket_ro) as raw:
            raw.open("test:///default", flags)
            again = raw.call(REMOTE, 1, ("test:///default", 0))
            assert again.refused
            answer = raw.call(*destroy, (DOMAIN,))
            assert answer.code == c.VIR_ERR_OPERATION_DENIED


@pytest.fixture
def emulator(tmp_path: Path) -> tuple[Path, Path]:
    """A program that would do as an emulator, and the file that tells that it ran."""
    mark = tmp_path / "ran"
    program = tmp_path / "qemu-system-x86_64"
    program.write_text(MARK.format(mark=mark))
    program.chmod(0o755)
    return program, mark


def test_programs_that_a_read_only_client_names_do_not_run(
    daemon: OurDaemon, qemu: Any, emulator: tuple[Path, Path]
) -> None:
    """CVE-2019-10161, -10167, -10168: naming an emulator made libvirtd run it, as root."""
    program, mark = str(emulator[0]), emulator[1]
    xml = domain_xml().replace("/usr/bin/qemu-system-x86_64", program)
    tries = {
        "connect_get_domain_capabilities": (program, None, None, None, 0),
        "connect_baseline_hypervisor_cpu": (program, None, None, None, ["<cpu/>"], 0),
        "connect_compare_hypervisor_cpu": (program, None, None, None, "<cpu/>", 0),
        "connect_domain_xml_to_native": ("qemu-argv", xml, 0),
        "connect_domain_xml_from_native": ("qemu-argv", program, 0),
        "domain_define_xml": (xml,),
        "domain_define_xml_flags": (xml, 0),
        "domain_create_xml": (xml, 0),
        "domain_restore": (program,),
        "domain_save_image_get_xml_desc": (program, 0),
        "domain_save_image_define_xml": (program, xml, 0),
        "domain_migrate_prepare_tunnel3": None,
    }
    rows = numbers()
    with Raw(daemon.socket_ro) as raw:
        raw.open("qemu:///system")
        for name, args in tries.items():
            if args is None:
                args = arguments(*rows[name])
            answer = raw.call(*rows[name], args)
            assert answer.code == c.VIR_ERR_OPERATION_DENIED, (name, answer)
        capabilities = raw.call(*rows["connect_get_capabilities"])
        assert not capabilities.refused
        assert program.encode() not in capabilities.payload
    assert not mark.exists()
    qemu.getDomainCapabilities(program, "x86_64", None, "qemu")
    assert mark.exists(), "the program would not have told"
