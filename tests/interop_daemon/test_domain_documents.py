# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_domain_documents.py: define → dump of every document equals the real daemon's record.

The records are committed, so this needs no libvirtd; where one is, they are recorded anew and
must not have changed.
"""

from __future__ import annotations

import os
import shutil

import pytest

from libvirtcore.conf import FORMAT_INACTIVE, FORMAT_SECURE, PARSE_INACTIVE, Domain
from libvirtcore.drivers.qemu.aliases import assign_aliases
from libvirtcore.drivers.qemu.defaults import complete
from tests.conftest import lacking
from tests.interop import domxml
from tests.interop.daemon import missing
from tests.interop_daemon.document_differences import DIFFERENCES
from tests.interop_daemon.documents import answer, capabilities, define

NAMES = domxml.names()
PLUGGED_LATER = ("disk-transient-share",)  # its disk is plugged in once QEMU runs
RENUMBERED = ("console-virtio-after-serial",)  # libvirt counts consoles before it adds the first
ACCEPTED = [name for name in NAMES if domxml.recorded(name).xml is not None]


def test_there_are_enough_documents() -> None:
    assert len(ACCEPTED) >= 300
    assert len(NAMES) - len(ACCEPTED) >= 150


@pytest.mark.parametrize("name", NAMES)
def test_dump_or_error_equals_the_record(name: str) -> None:
    record = domxml.recorded(name)
    xml, error = answer(name)
    if name in DIFFERENCES:
        assert (xml, error) != (record.xml, record.xml_error), "remove it from DIFFERENCES"
        return
    assert error == record.xml_error
    assert xml == record.xml


def test_every_listed_difference_has_a_document_and_a_reason() -> None:
    assert set(DIFFERENCES) <= set(NAMES)
    assert all(reason.strip() for reason in DIFFERENCES.values())


@pytest.mark.parametrize("name", sorted(set(ACCEPTED) - set(DIFFERENCES) - set(RENUMBERED)))
def test_a_dump_defined_again_is_the_same(name: str) -> None:
    """Completing a complete definition changes nothing, not even a made-up address."""
    text = domxml.recorded(name).xml
    assert text is not None
    domain = Domain.parse(text, PARSE_INACTIVE)
    os_type = domain.os.type
    assert os_type is not None and os_type.arch is not None
    complete(domain, capabilities(os_type.arch))
    first = domain.format(FORMAT_INACTIVE | FORMAT_SECURE)
    complete(domain, capabilities(os_type.arch))
    assert domain.format(FORMAT_INACTIVE | FORMAT_SECURE) == first
    assert first == text


def test_aliases_are_unique_and_known_to_qemu() -> None:
    """Every device on a recorded command line goes by the alias we give it."""
    checked = 0
    for name in ACCEPTED:
        record = domxml.recorded(name)
        if name in DIFFERENCES or name in PLUGGED_LATER or record.argv is None:
            continue
        domain = define(domxml.document(name))
        assign_aliases(domain)
        found = [
            (kind, device)
            for kind in ("disks", "interfaces", "sounds", "inputs", "rngs", "hubs", "videos")
            for device in getattr(domain.devices, kind)
        ]
        aliases = [device.alias.name for _, device in found]
        assert len(set(aliases)) == len(aliases), name
        for kind, device in found:
            if kind in ("disks", "rngs") or (kind == "inputs" and device.bus == "usb"):
                assert f'"id":"{device.alias.name}"' in record.argv, (name, device.alias.name)
                checked += 1
    assert checked > 100


@pytest.mark.interop
def test_records_are_what_the_real_daemon_says() -> None:
    if absent := missing():
        lacking(*absent)
    arm = os.environ.get("AARCH64_QEMU") or shutil.which("qemu-system-aarch64")
    wanted = [name for name in NAMES if arm or "aarch64" not in domxml.document(name)]
    if not os.path.exists("/dev/kvm"):
        wanted = [name for name in wanted if "type='kvm'" not in domxml.document(name)]
    answers = domxml.oracle(wanted)
    assert [name for name in wanted if answers[name] != domxml.recorded(name)] == []
