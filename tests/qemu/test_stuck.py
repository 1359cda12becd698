# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_stuck.py: a QEMU that does not answer costs nobody but those who need it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
import libvirtcore
from libvirtcore.drivers.qemu import monitor
from tests.qemu.conftest import UUID, domain_xml, pid_of, wait_for


@pytest.fixture
def stuck(conn: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A running guest whose QEMU is stopped by SIGSTOP."""
    monkeypatch.setattr(monitor, "SECONDS", 3.0)
    conn._o.driver.host.job_seconds = 0.5
    dom = conn.defineXML(domain_xml())
    dom.create()
    os.kill(pid_of(root), signal.SIGSTOP)
    yield dom
    if dom.isActive():
        os.kill(pid_of(root), signal.SIGCONT)


def suspend_in_vain(dom: Any) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        dom.suspend()


def test_facts_are_told_without_qemu(stuck: Any) -> None:
    began = time.monotonic()
    assert stuck.state() == [1, 1]
    assert stuck.info()[:4] == [1, 32768, 32768, 1]
    assert (stuck.isActive(), stuck.ID()) == (1, 1)
    stuck.XMLDesc()
    assert stuck.controlInfo()[0] == libvirt.VIR_DOMAIN_CONTROL_OK
    assert time.monotonic() - began < 0.5


def test_others_wait_for_the_job_only_so_long(stuck: Any) -> None:
    failures: list[int | None] = []

    def suspend() -> None:
        try:
            stuck.suspend()
        except libvirt.libvirtError as error:
            failures.append(error.get_error_code())

    holder = threading.Thread(target=suspend)
    holder.start()
    assert wait_for(lambda: stuck.controlInfo()[0] == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED)
    began = time.monotonic()
    with pytest.raises(libvirt.libvirtError) as info:
        stuck.memoryStats()
    assert 0.4 < time.monotonic() - began < 1.5
    assert info.value.get_error_code() == libvirt.VIR_ERR_OPERATION_TIMEOUT
    assert info.value.get_error_message() == (
        "Timed out during operation: cannot acquire state change lock "
        "(held by monitor=remoteDispatchDomainSuspend)"
    )
    holder.join()
    assert failures == [libvirt.VIR_ERR_OPERATION_TIMEOUT]


def test_late_answer_sets_the_state(stuck: Any, root: Path) -> None:
    with libvirtcore.timeout(0.3), pytest.raises(libvirt.libvirtError):
        stuck.suspend()
    os.kill(pid_of(root), signal.SIGCONT)
    assert wait_for(lambda: stuck.state()[0] == libvirt.VIR_DOMAIN_PAUSED)
    stuck.resume()
    assert stuck.state() == [1, 5]


def test_other_guests_do_not_notice(conn: Any, stuck: Any) -> None:
    other = conn.createXML(domain_xml("other", UUID[:-1] + "f"), 0)
    blocked = threading.Thread(target=suspend_in_vain, args=(stuck,))
    blocked.start()
    began = time.monotonic()
    other.suspend()
    other.resume()
    other.memoryStats()
    assert time.monotonic() - began < 1.0
    assert [dom.name() for dom in conn.listAllDomains()] == ["guest", "other"]
    blocked.join()


def test_destroy_needs_no_answer(stuck: Any) -> None:
    blocked = threading.Thread(target=suspend_in_vain, args=(stuck,))
    blocked.start()
    began = time.monotonic()
    stuck.destroy()
    assert time.monotonic() - began < 2.0
    blocked.join(2.0)
    assert not blocked.is_alive()
