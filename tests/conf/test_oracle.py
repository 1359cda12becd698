# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_oracle.py: the real daemon and the model agree on a document neither has seen before.

The recordings can grow stale; this asks the library that is installed.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from libvirtcore.conf import FORMAT_INACTIVE, FORMAT_SECURE, PARSE_INACTIVE, Domain
from libvirtcore.errors import VirError
from tests.conf.recordings import DIFFERENCES, load
from tests.conftest import lacking
from tests.interop.daemon import SYSTEM_PYTHON, Daemon, missing

pytestmark = [pytest.mark.interop, pytest.mark.slow]

ASK = """
import json, sys, libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
connection = libvirt.open(sys.argv[1])
answers = []
for document in json.load(sys.stdin):
    try:
        domain = connection.defineXML(document)
        answers.append(domain.XMLDesc(3))
        domain.undefineFlags(4)
    except libvirt.libvirtError as error:
        code, where = error.get_error_code(), error.get_error_domain()
        answers.append([code, where, error.get_error_message()])
json.dump(answers, sys.stdout)
"""
QEMU = 10  # VIR_FROM_QEMU: what the hypervisor's driver has to say


def ask(uri: str, documents: list[str]) -> list[Any]:
    """What the real library makes of documents: dumps, and errors as lists."""
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", ASK, uri], input=json.dumps(documents), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def answers() -> list[tuple[str, Any]]:
    """Recorded documents as the real QEMU driver answers them today."""
    lacks = missing()
    if lacks:
        lacking(*lacks)
    documents = [
        r.xml.replace("type='test'", "type='qemu'")
        for r in load()
        if not any(mark in r.xml for mark in DIFFERENCES)
    ][::3]
    with Daemon() as daemon:
        return list(zip(documents, ask(daemon.uri("qemu"), documents), strict=True))


def test_what_the_daemon_dumps_is_read_and_written_the_same(
    answers: list[tuple[str, Any]],
) -> None:
    dumps = [answer for _, answer in answers if isinstance(answer, str)]
    assert len(dumps) > 50
    for dump in dumps:
        ours = Domain.parse(dump, PARSE_INACTIVE).format(FORMAT_INACTIVE | FORMAT_SECURE)
        assert dump == ours


def test_what_the_daemon_refuses_in_general_is_refused_alike(
    answers: list[tuple[str, Any]],
) -> None:
    wrong = []
    for document, answer in answers:
        if isinstance(answer, str) or answer[1] == QEMU:
            continue
        try:
            Domain.parse(document, PARSE_INACTIVE)
            said: list[Any] = []
        except VirError as error:
            said = [error.code, error.domain, error.message]
        if said != answer:
            wrong.append((document, said, answer))
    # The driver may find an earlier fault of its own.
    assert len(wrong) <= len(answers) // 50, wrong
