# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_identity.py: who asks is settled before what is asked is looked at (CVE-2025-12748).

A document that takes long to refuse must not be read for somebody who may not define anything.
"""

from __future__ import annotations

import time

import pytest

from libvirtcore.generated import constants as c
from tests.ours_daemon import OurDaemon
from tests.security.conftest import resident
from tests.security.wire import REMOTE, Raw, numbers

LARGE = 3 << 20
NESTED = "<domain>" + "<a>" * (LARGE // 8) + "<b>"
BROKEN = "<domain type='qemu'>" + "<disk/>" * (LARGE // 8) + "<unclosed>"
BOMB = (
    "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'>"
    + "".join(f"<!ENTITY a{i} '{'&a' + str(i - 1) + ';' if i else '&a;'}'>" for i in range(30))
    + "]><domain>&a29;</domain>"
)
FILE = "<!DOCTYPE d [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><domain><name>&f;</name></domain>"
DOCUMENTS = {"nested": NESTED, "broken": BROKEN, "bomb": BOMB, "file": FILE}
TAKING = {
    "domain_define_xml": (),
    "domain_define_xml_flags": (0,),
    "domain_create_xml": (0,),
    "domain_create_xml_with_files": (0,),
}


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("name", TAKING)
def test_a_read_only_client_is_refused_unread(daemon: OurDaemon, name: str, document: str) -> None:
    with Raw(daemon.socket_ro) as raw:
        raw.open("qemu:///system")
        began = time.monotonic()
        answer = raw.call(*numbers()[name], (DOCUMENTS[document], *TAKING[name]))
        assert answer.code == c.VIR_ERR_OPERATION_DENIED, answer
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_client_without_a_connection_is_refused_unread(daemon: OurDaemon, document: str) -> None:
    with Raw(daemon.socket) as raw:
        answer = raw.call(*numbers()["domain_define_xml"], (DOCUMENTS[document],))
        assert "connection not open" in answer.text


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_those_who_may_are_refused_soon(daemon: OurDaemon, document: str) -> None:
    before = resident(daemon.pid)
    with Raw(daemon.socket) as raw:
        raw.open("qemu:///system")
        began = time.monotonic()
        answer = raw.call(*numbers()["domain_define_xml"], (DOCUMENTS[document],))
        assert answer.refused
        assert "root:" not in answer.text
        assert len(answer.text) < 4096
        assert time.monotonic() - began < 10.0
    assert resident(daemon.pid) - before < 64 << 20


def test_an_identity_that_is_claimed_opens_nothing(daemon: OurDaemon) -> None:
    """A client may say for whom it acts; that gives it no right it has not."""
    rows = numbers()
    claim = [(c.VIR_CONNECT_IDENTITY_USER_NAME, 7, "root"),
             (c.VIR_CONNECT_IDENTITY_UNIX_USER_ID, 4, 0)]  # fmt: skip
    with Raw(daemon.socket_ro) as raw:
        raw.open("qemu:///system")
        raw.call(REMOTE, rows["connect_set_identity"][1], (claim, 0))
        answer = raw.call(*rows["domain_define_xml"], ("<domain/>",))
        assert answer.code == c.VIR_ERR_OPERATION_DENIED
