# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_hostile.py: documents from people who mean harm are refused early, with one clear error."""

from __future__ import annotations

import contextlib
import time
import tracemalloc

import pytest

from libvirtcore.conf import Domain, Identity, nodes, parse_device
from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_OVERFLOW,
    VIR_ERR_XML_DETAIL,
    VIR_ERR_XML_ERROR,
)

BODY = "<name>a</name><memory>1024</memory><os><type arch='x86_64'>hvm</type></os>"


def document(body: str = "", head: str = "") -> str:
    return f"{head}<domain type='qemu'>{BODY}{body}</domain>"


LAUGHS = "<!DOCTYPE domain [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY a{n} '&a{n - 1 or ''};&a{n - 1 or ''};'>" for n in range(1, 30)
)
HOSTILE = {
    "dtd": document(head="<!DOCTYPE domain>"),
    "internal entity": (
        "<!DOCTYPE d [<!ENTITY a 'x'>]><domain type='qemu'><name>&a;</name></domain>"
    ),
    "external entity": (
        "<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
        "<domain type='qemu'><name>&a;</name></domain>"
    ),
    "external dtd": document(head="<!DOCTYPE d SYSTEM 'http://127.0.0.1:1/x.dtd'>"),
    "parameter entity": document(head="<!DOCTYPE d [<!ENTITY % p SYSTEM 'file:///dev/zero'> %p;]>"),
    "laughs": LAUGHS + "]><domain type='qemu'><name>&a29;</name></domain>",
    "depth": document("<a>" * 300 + "</a>" * 300),
    "depth in metadata": document(f"<metadata>{'<a>' * 300}{'</a>' * 300}</metadata>"),
    "elements": document("<x/>" * (nodes.MAX_ELEMENTS + 1)),
    "size": document("<!--" + "x" * nodes.MAX_BYTES + "-->"),
    "slash": document().replace("<name>a", "<name>../a"),
    "surrogate": document("<title>\ud800</title>"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", [Domain.parse, Identity.peek], ids=["parse", "peek"])
def test_hostile_document_is_refused(name: str, read: object) -> None:
    assert callable(read)
    began = time.monotonic()
    with pytest.raises(VirError) as caught:
        read(HOSTILE[name])
    assert caught.value.code == VIR_ERR_XML_ERROR
    assert "\n" not in caught.value.message
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "xml",
    ["", "<", "<domain", "<domain>", "\0", document() + "<x/>", document("\x01"),
     document("<name a='1' a='2'/>"), document("&nothing;"), document("<a></b>"),
     document()[:-1], document("<![CDATA[")],
)  # fmt: skip
def test_malformed_document_names_the_place(xml: str) -> None:
    with pytest.raises(VirError) as caught:
        Domain.parse(xml)
    assert caught.value.code == VIR_ERR_XML_DETAIL
    assert caught.value.message.startswith("(domain_definition):1: ")


MANY = {
    "namespaces": document(head="").replace(
        "<domain", "<domain " + " ".join(f"xmlns:a{n}='u'" for n in range(60000)), 1
    ),
    "text in pieces": document("<title>" + ("x" * 20 + "<a/>") * 100000 + "</title>"),
    "ranges of cpus": document("<vcpu cpuset='" + ",".join(["0-4095"] * 200000) + "'>1</vcpu>"),
    "controllers": document("<devices>" + "<controller type='usb'/>" * 20000 + "</devices>"),
    "serial ports": document("<devices>" + "<serial type='pty'/>" * 20000 + "</devices>"),
}


@pytest.mark.parametrize("name", MANY)
def test_many_of_something_cost_time_only_once_each(name: str) -> None:
    """Whoever may define a guest must not stop the daemon for a minute with 4 MiB of XML."""
    began = time.monotonic()
    with contextlib.suppress(VirError):
        Domain.parse(MANY[name])
    assert time.monotonic() - began < 8


def test_every_truncation_is_refused() -> None:
    whole = document("<devices><disk><source file='/a'/><target dev='vda'/></disk></devices>")
    Domain.parse(whole)
    for length in range(len(whole)):
        with pytest.raises(VirError):
            Domain.parse(whole[:length])


def test_refusing_elements_costs_bounded_memory() -> None:
    xml = document("<x/>" * 2_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(VirError):
            Domain.parse(xml)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150 * 2**20


@pytest.mark.parametrize(
    "size", ["18446744073709551616", "9" * 10_000, "-1", "0x10", "1e3", "", "1 ", "1\u0660"]
)
def test_sizes_beyond_64_bits_are_refused(size: str) -> None:
    with pytest.raises(VirError):
        Domain.parse(document().replace("1024", size))


def test_scaled_overflow_is_an_overflow() -> None:
    with pytest.raises(VirError) as caught:
        Domain.parse(document().replace("<memory>1024", "<memory unit='EiB'>17"))
    assert caught.value.code == VIR_ERR_OVERFLOW


@pytest.mark.parametrize("number", ["4294967296", "99999999999999999999", "-1", "x", "", "1.0"])
def test_numbers_beyond_32_bits_are_refused(number: str) -> None:
    with pytest.raises(VirError):
        Domain.parse(document(f"<vcpu>{number}</vcpu>"))


def test_wide_cpu_sets_are_refused() -> None:
    """A set of four billion CPUs must not be counted out."""
    for cpus in ("0-4294967295", "0-16385", "1-0", "9999999999999999999", "0,", "^"):
        with pytest.raises(VirError):
            Domain.parse(
                document(f"<vcpu>2</vcpu><cputune><emulatorpin cpuset='{cpus}'/></cputune>")
            )


@pytest.mark.parametrize(
    ("xml", "name"),
    [
        (document(), "a"),
        (document("<name>b</name>"), "a"),
        (document().replace("<name>", "<x><name>z</name></x><name>"), "a"),
        (document().replace("<name>", "<name xmlns='u:x'>evil</name><name>"), "a"),
        (document().replace("<name>", "<p:name xmlns:p='u:x'>evil</p:name><name>"), "a"),
        (document().replace("<name>", "<metadata><name>evil</name></metadata><name>"), "a"),
    ],
)
def test_peek_sees_whom_the_full_parse_sees(xml: str, name: str) -> None:
    """An access check on the peeked name cannot be fooled by a second one."""
    assert Identity.peek(xml).name == Domain.parse(xml).name == name


def test_peek_reads_the_uuid() -> None:
    xml = document("<uuid>C7A5FDBDedaf-9455-926a-d65c16db1809</uuid><uuid>zz</uuid>")
    assert Identity.peek(xml).uuid == "c7a5fdbd-edaf-9455-926a-d65c16db1809"
    assert Domain.parse(xml).uuid == Identity.peek(xml).uuid
    with pytest.raises(VirError):
        Identity.peek(document("<uuid>zz</uuid>"))


def test_device_documents_are_bounded_alike() -> None:
    for xml in ("<!DOCTYPE disk><disk/>", "<disk>" + "<a>" * 300, "", "<domain/>", "<x/>"):
        with pytest.raises(VirError):
            parse_device(xml)


def test_foreign_namespaces_are_no_devices() -> None:
    xml = document("<devices><disk xmlns='u:x'><target dev='vda'/></disk></devices>")
    assert Domain.parse(xml).devices.disks == []


def test_secrets_are_shown_only_on_request() -> None:
    xml = document("<devices><graphics type='vnc' passwd='hush'/></devices>")
    domain = Domain.parse(xml)
    assert "hush" not in domain.format()
    assert "hush" not in repr(domain.devices.graphics)
    assert "passwd='hush'" in domain.format(1)
