# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_test_driver.py: `test:///default` behaves as libvirt's own test driver does.

The expected values were observed on the real library; tests/interop compares the two live.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import libvirt

DOMAIN = """
<domain type='test'>
  <name>a</name>
  <uuid>aaba00b2-e2cf-4354-b81f-82e7e3eb775e</uuid>
  <memory>8192</memory>
  <os><type>hvm</type></os>
</domain>
"""


@pytest.fixture
def conn() -> Iterator[Any]:
    libvirt.registerErrorHandler(lambda _ctx, _err: None, None)
    conn = libvirt.open("test:///default")
    yield conn
    conn.close()


def error_of(call: Any, *args: Any) -> tuple[int | None, int | None, str | None]:
    with pytest.raises(libvirt.libvirtError) as caught:
        call(*args)
    fault = caught.value
    return fault.get_error_code(), fault.get_error_domain(), fault.get_error_message()


def test_host_facts(conn: Any) -> None:
    assert conn.getType() == "TEST"
    assert conn.getVersion() == 2
    assert conn.getURI() == "test:///default"
    assert conn.getInfo() == ["i686", 3072, 16, 1400, 2, 2, 2, 2]
    assert conn.getMaxVcpus("any") == 32
    assert conn.getFreeMemory() == 3145728
    assert conn.getCellsFreeMemory(0, 4) == [2097152, 4194304]
    assert conn.getCPUMap() == (8, [True, False, True, False, True, False, False, False], 3)
    assert conn.getCPUStats(-1)["user"] == 9797400000
    assert (conn.isAlive(), conn.isSecure(), conn.isEncrypted()) == (1, 1, 0)


def test_default_domain_runs(conn: Any) -> None:
    dom = conn.lookupByName("test")
    assert dom.ID() >= 1
    assert dom.UUIDString() == "6695eb01-f6a4-8304-79aa-97f2502e193f"
    assert dom.info()[:4] == [1, 8388608, 2097152, 2]
    assert dom.state() == [1, 0]
    assert dom.OSType() == "linux"
    assert (dom.isActive(), dom.isPersistent(), dom.autostart()) == (1, 1, 0)
    assert dom.memoryStats()["actual"] == 2097152


def test_life_of_a_domain(conn: Any) -> None:
    dom = conn.defineXML(DOMAIN)
    assert (dom.ID(), dom.isActive()) == (-1, 0)
    assert dom.create() == 0
    assert dom.state() == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED]
    assert dom.ID() > 1
    assert dom.suspend() == 0
    assert dom.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER]
    assert dom.resume() == 0
    assert dom.state() == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED]
    assert dom.shutdown() == 0
    assert dom.state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN]
    assert dom.ID() == -1
    assert dom.undefine() == 0
    assert error_of(dom.info) == (
        42,
        12,
        "Domain not found: no domain with matching uuid 'aaba00b2-e2cf-4354-b81f-82e7e3eb775e' (a)",
    )


def test_wrong_states_are_refused(conn: Any) -> None:
    dom = conn.lookupByName("test")
    assert error_of(dom.resume) == (1, 12, "internal error: domain 'test' not paused")
    assert error_of(dom.create) == (1, 12, "internal error: Domain 'test' is already running")
    dom.destroy()
    assert error_of(dom.suspend) == (1, 12, "internal error: domain 'test' not running")
    assert error_of(dom.destroy) == (
        55,
        20,
        "Requested operation is not valid: domain is not running",
    )
    dom.create()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("<name>a</name>", ""), (21, 20, "missing name information")),
        ((">a<", ">a/b<"), (27, 20, "XML error: name a/b cannot contain '/'")),
        (("aaba00", "zz"), (1, 20, "internal error: malformed uuid element")),
        (("hvm", "foo"), (67, 20, "unsupported configuration: unknown OS type 'foo'")),
        (
            ("8192", "abc"),
            (27, 5, "XML error: Invalid value 'abc' for element or attribute './memory[1]'"),
        ),
        (("type='test'", ""), (1, 20, "internal error: missing domain type attribute")),
    ],
)
def test_bad_documents_are_refused(
    conn: Any, change: tuple[str, str], expected: tuple[int, int, str]
) -> None:
    assert error_of(conn.defineXML, DOMAIN.replace(*change)) == expected


def test_entities_are_refused(conn: Any) -> None:
    """A document type could expand without bound or name files."""
    bomb = "<!DOCTYPE d [<!ENTITY a 'b'>]>" + DOMAIN
    assert error_of(conn.defineXML, bomb)[0] == libvirt.VIR_ERR_XML_ERROR


def test_deep_documents_are_refused(conn: Any) -> None:
    deep = "<domain>" + "<a>" * 1000 + "</a>" * 1000 + "</domain>"
    assert error_of(conn.defineXML, deep)[0] == libvirt.VIR_ERR_XML_ERROR


def test_name_and_uuid_stay_together(conn: Any) -> None:
    dom = conn.defineXML(DOMAIN)
    assert error_of(conn.defineXML, DOMAIN.replace(">a<", ">b<"))[0] == 9
    assert error_of(conn.defineXML, DOMAIN.replace("aaba", "aabb"))[0] == 9
    dom.undefine()


def test_unknown_flags_are_refused(conn: Any) -> None:
    dom = conn.lookupByName("test")
    assert error_of(dom.destroyFlags, 99) == (
        8,
        12,
        "unsupported flags (0x62) in function testDomainDestroyFlags",
    )


def test_xml_keeps_what_it_was_given(conn: Any) -> None:
    extra = "<metadata><x:note xmlns:x='urn:x'>kept &amp; safe</x:note></metadata>"
    dom = conn.defineXML(DOMAIN.replace("<os>", extra + "<os>"))
    assert "<x:note xmlns:x='urn:x'>kept &amp; safe</x:note>" in dom.XMLDesc()
    assert "<memory unit='KiB'>8192</memory>" in dom.XMLDesc()
    dom.undefine()


def test_list_filters(conn: Any) -> None:
    dom = conn.defineXML(DOMAIN)
    names = {flag: sorted(d.name() for d in conn.listAllDomains(flag)) for flag in (0, 1, 2)}
    assert names == {0: ["a", "test"], 1: ["test"], 2: ["a"]}
    shut_off = conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_SHUTOFF)
    assert [d.name() for d in shut_off] == ["a"]
    assert conn.listDefinedDomains() == ["a"]
    assert conn.listDomainsID() == [conn.lookupByName("test").ID()]
    dom.undefine()


def test_state_is_shared_until_the_last_close(conn: Any) -> None:
    first = libvirt.open("test:///default")
    dom = first.defineXML(DOMAIN)
    assert conn.lookupByName("a").UUID() == dom.UUID()
    dom.undefine()
    first.close()
