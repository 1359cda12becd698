# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_vcpu_plug.py: virtual CPUs of a running guest come, are counted, and survive a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.qemu.conftest import domain_xml

LIVE, CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG
FOUR = domain_xml().replace("<vcpu>1</vcpu>", "<vcpu current='1'>4</vcpu>")


def enabled(dom: Any) -> list[int]:
    from libvirtcore.conf import Domain

    vcpus = Domain.parse(dom.XMLDesc()).vcpus
    assert vcpus is not None
    return [item.id for item in vcpus.vcpus if item.enabled]


def cpus_of_qemu(dom: Any) -> int:
    import json

    import libvirt_qemu

    answer = libvirt_qemu.qemuMonitorCommand(dom, '{"execute":"query-cpus-fast"}', 0)
    return len(json.loads(answer)["return"])


def test_cpus_are_plugged_in(conn: Any) -> None:
    dom = conn.defineXML(FOUR)
    dom.create()
    assert (dom.vcpusFlags(LIVE), cpus_of_qemu(dom)) == (1, 1)
    dom.setVcpus(3)
    assert (dom.vcpusFlags(LIVE), cpus_of_qemu(dom), len(dom.vcpus()[0])) == (3, 3, 3)
    assert dom.info()[3] == 3
    assert enabled(dom) == [0, 1, 2]
    assert dom.vcpusFlags(CONFIG) == 1, "the definition was not meant"
    with pytest.raises(libvirt.libvirtError, match="5 > 4"):
        dom.setVcpus(5)


def test_one_cpu_is_plugged_in(conn: Any) -> None:
    dom = conn.createXML(FOUR)
    dom.setVcpu("3", 1, LIVE)
    assert (enabled(dom), cpus_of_qemu(dom)) == ([0, 3], 2)
    with pytest.raises(libvirt.libvirtError, match="already in requested state"):
        dom.setVcpu("3", 1, LIVE)
    with pytest.raises(libvirt.libvirtError, match="vcpu '0' can't be unplugged") as caught:
        dom.setVcpu("0", 0, LIVE)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_UNSUPPORTED


def test_what_qemu_does_not_give_back_stays(conn: Any) -> None:
    """A guest without a system that handles the request keeps its CPU, and we say so."""
    dom = conn.createXML(FOUR)
    dom.setVcpus(2)
    with pytest.raises(libvirt.libvirtError, match="CPU hot unplug not supported without ACPI"):
        dom.setVcpus(1)
    assert (dom.vcpusFlags(LIVE), cpus_of_qemu(dom)) == (2, 2)


def test_plugged_cpus_survive_save_and_adoption(conn: Any, root: Path, tmp_path: Path) -> None:
    dom = conn.defineXML(FOUR)
    dom.create()
    dom.setVcpus(3)
    dom.managedSave()
    dom.create()
    assert (dom.vcpusFlags(LIVE), cpus_of_qemu(dom)) == (3, 3)
    dom.setVcpus(4)
    assert cpus_of_qemu(dom) == 4


def test_definition_lists_pluggable_cpus(conn: Any) -> None:
    dom = conn.defineXML(FOUR)
    dom.setVcpusFlags(3, CONFIG | libvirt.VIR_DOMAIN_VCPU_HOTPLUGGABLE)
    assert enabled(dom) == [0, 1, 2]
    dom.create()
    assert (dom.vcpusFlags(LIVE), cpus_of_qemu(dom)) == (3, 3)
