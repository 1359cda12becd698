# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_model.py: the public face: names, defaults, changes, metadata, devices."""

from __future__ import annotations

import keyword
import re
import time

import pytest

from libvirtcore.conf import (
    FORMAT_INACTIVE,
    PARSE_INACTIVE,
    Address,
    Domain,
    parse_device,
)
from libvirtcore.conf.disk import Disk, DiskTarget
from libvirtcore.conf.schema import CHILDREN, LEAF_ATTRIBUTE, LEAVES
from libvirtcore.conf.storage import Source
from libvirtcore.errors import VirError
from tests.conf.test_roundtrip import classes

XML = """<domain type='qemu' id='7'>
  <name>web &amp; co</name>
  <memory unit='GiB'>2</memory>
  <vcpu current='1'>2</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='cdrom'/></os>
  <features><acpi/></features>
  <unknown><disk/></unknown>
  <devices>
    <disk type='file'>
      <driver name='qemu' type='qcow2'/><source file='/a.qcow2'/><target dev='vda'/>
      <alias name='virtio-disk0'/>
      <address type='pci' bus='0x02' slot='0' function='0'/>
    </disk>
    <serial type='pty' tty='/dev/pts/3'><alias name='ua-first'/></serial>
  </devices>
</domain>"""

UNMECHANICAL = {  # where two things of one element share an XML name
    ("Controller", "pci_model"): "model",
    ("InterfaceSource", "address_"): "address",
    ("Os", "firmware_"): "firmware",
    ("Mirror", "format_name"): "format",
    ("Domain", "memory_dump_core"): "dumpCore",
    ("Devices", "graphics"): "graphics",
}


def mechanical(xml: str, plural: bool) -> str:
    name = xml.replace(":", "_").replace("-", "_")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    name += "s" if plural else ""
    return f"{name}_" if keyword.iskeyword(name) else name


def test_names_follow_from_the_xml() -> None:
    wrong = []
    for cls in classes():
        for field in cls.FIELDS:
            if UNMECHANICAL.get((cls.__name__, field.name)) == field.xml:
                continue
            if field.kind == LEAF_ATTRIBUTE or not field.xml or field.name == "value":
                continue
            xml = field.xml.removeprefix("qemu:") if cls.__name__ != "Domain" else field.xml
            if mechanical(xml, field.kind in (CHILDREN, LEAVES)) != field.name:
                wrong.append((cls.__name__, field.name, field.xml))
    assert wrong == []


def test_every_class_says_what_it_is() -> None:
    assert [cls.__name__ for cls in classes() if not cls.__doc__] == []


def test_values_are_typed() -> None:
    domain = Domain.parse(XML)
    disk = domain.devices.disks[0]
    assert domain.name == "web & co"
    assert domain.id == 7
    assert domain.memory == domain.current_memory == 2 * 1024 * 1024
    assert (domain.vcpu.value, domain.vcpu.current) == (2, 1)
    assert domain.os.type is not None
    assert (domain.os.type.value, domain.os.type.machine) == ("hvm", "q35")
    assert domain.features is not None
    assert domain.features.acpi is True
    assert domain.features.pae is False
    assert domain.cpu is None
    assert domain.clock.offset == "utc"
    assert (disk.type, disk.device) == ("file", "disk")
    assert disk.target is not None
    assert disk.target.bus == "virtio"
    assert disk.address is not None
    assert (disk.address.bus, disk.address.slot) == (2, 0)
    assert disk.alias is not None
    assert disk.alias.name == "virtio-disk0"


def test_defaults_are_filled_in() -> None:
    domain = Domain.parse(XML)
    assert domain.uuid is not None
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", domain.uuid)
    assert domain.uuid != Domain.parse(XML).uuid
    assert (domain.on_poweroff, domain.on_reboot, domain.on_crash) == (
        "destroy", "restart", "destroy",
    )  # fmt: skip


def test_a_definition_has_nothing_of_a_running_guest() -> None:
    domain = Domain.parse(XML, PARSE_INACTIVE)
    assert domain.id is None
    assert domain.devices.disks[0].alias is None
    assert domain.devices.serials[0].tty is None
    assert domain.devices.serials[0].alias is not None  # the user's own
    live = Domain.parse(XML)
    assert "id='7'" in live.format()
    assert "id='7'" not in live.format(FORMAT_INACTIVE)
    assert "virtio-disk0" not in live.format(FORMAT_INACTIVE)
    assert "ua-first" in live.format(FORMAT_INACTIVE)


def test_changes_show() -> None:
    domain = Domain.parse(XML)
    domain.memory = 4 * 1024 * 1024
    domain.devices.disks.append(
        Disk(source=Source(file="/b'.raw"), target=DiskTarget(dev="vdb", bus="virtio"))
    )
    domain.devices.disks[0].address = None
    text = domain.format()
    assert "<memory unit='KiB'>4194304</memory>" in text
    assert "<source file='/b&apos;.raw'/>" in text
    assert Domain.parse(text) == domain


def test_a_misspelt_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="no field named 'tragte'"):
        Disk(tragte=DiskTarget())
    with pytest.raises(AttributeError):
        _ = Disk().tragte  # type: ignore[attr-defined]


def test_unknown_elements_are_passed_over() -> None:
    assert "unknown" not in Domain.parse(XML).format()


def test_an_address_prints_what_its_type_has() -> None:
    disk = Disk(target=DiskTarget(dev="vda"), address=Address(type="drive", bus=1, unit=2, slot=9))
    text = str(Domain.parse(XML).format())
    assert "<address type='pci' domain='0x0000' bus='0x02' slot='0x00' function='0x0'/>" in text
    assert disk.address is not None
    other = Domain.parse(XML)
    other.devices.disks = [disk]
    assert "<address type='drive' bus='1' unit='2'/>" in other.format()


METADATA = """<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os>
<metadata>
  <a:x xmlns:a='http://a' q="it's"><b></b><!-- c --><![CDATA[z<]]> t&amp;x</a:x>
  <nothing/><a:x xmlns:a='http://a'>twice</a:x>
  <z:y xmlns:z='u:z' m='&quot;&#10;é'><z:k/>   <z:l>é</z:l></z:y>
</metadata></domain>"""


def test_metadata_is_kept() -> None:
    domain = Domain.parse(METADATA)
    assert """  <metadata>
    <a:x xmlns:a="http://a" q="it's"><b/><!-- c --><![CDATA[z<]]> t&amp;x</a:x>
    <z:y xmlns:z="u:z" m="&quot;&#10;&#xE9;">
      <z:k/>
      <z:l>é</z:l>
    </z:y>
  </metadata>
""" in domain.format()
    assert Domain.parse(domain.format()) == domain


def test_metadata_can_be_changed() -> None:
    domain = Domain.parse(METADATA)
    assert domain.metadata is not None
    other = domain.copy()
    domain.metadata.set("u:z", "z", "<y n='1'><k/></y>")
    domain.metadata.set("u:new", "n", "<p>1</p>")
    domain.metadata.set("http://a", "a", None)
    assert list(domain.metadata.namespaces()) == ["u:z", "u:new"]
    assert domain.metadata.get("u:new") == '<n:p xmlns:n="u:new">1</n:p>'
    assert domain.metadata.get("http://a") is None
    assert "twice" not in other.format()
    assert 'xmlns:a="http://a"' in other.format()
    assert Domain.parse(domain.format()) == domain


def test_qemu_namespace_under_any_prefix() -> None:
    xml = XML.replace(
        "</domain>",
        "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
        "<q:arg value='-x'/></q:commandline>"
        "<o:commandline xmlns:o='http://example.org'><o:arg value='-y'/></o:commandline></domain>",
    )
    domain = Domain.parse(xml)
    assert domain.qemu_commandline is not None
    assert [arg.value for arg in domain.qemu_commandline.args] == ["-x"]
    text = domain.format()
    assert "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>" in text
    assert "    <qemu:arg value='-x'/>\n" in text
    assert Domain.parse(text) == domain


def test_a_device_alone() -> None:
    disk = parse_device("<disk><source file='/a'/><target dev='sdb'/></disk>")
    assert isinstance(disk, Disk)
    assert disk.target is not None
    assert disk.target.bus == "scsi"
    with pytest.raises(VirError):
        parse_device("<disk><source file='/a'/></disk>")


@pytest.mark.slow
def test_parse_and_format_take_little_time() -> None:
    """A typical document of 6 KB: two milliseconds on a quiet machine, five times that here."""
    disk = (
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/a{0}'/>"
        "<target dev='vd{0}' bus='virtio'/><address type='pci' slot='{1}'/></disk>"
    )
    disks = "".join(disk.format(chr(97 + n), n + 3) for n in range(20))
    text = Domain.parse(
        XML.replace("</devices>", disks.replace("vda", "vdz") + "</devices>")
    ).format()
    assert 5_500 < len(text) < 9_000
    best = 1.0
    for _ in range(20):
        began = time.perf_counter()
        Domain.parse(text).format()
        best = min(best, time.perf_counter() - began)
    assert best < 0.010
