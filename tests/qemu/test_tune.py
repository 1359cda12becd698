# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_tune.py: shares and limits are kept in definitions, and not claimed of what has no group."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.qemu.conftest import domain_xml

CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
UNLIMITED = 9007199254740991

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a session has no tuning")


def test_definitions_keep_what_is_set(conn: Any) -> None:
    dom = conn.defineXML(domain_xml())
    assert dom.schedulerType() == ("posix", 9)
    assert set(dom.schedulerParameters().values()) == {0}
    dom.setSchedulerParametersFlags({"cpu_shares": 512, "vcpu_quota": -1}, CONFIG)
    assert dom.schedulerParametersFlags(CONFIG)["cpu_shares"] == 512
    assert dom.schedulerParametersFlags(CONFIG)["vcpu_quota"] == -1
    assert set(dom.memoryParameters(0).values()) == {UNLIMITED}
    dom.setMemoryParameters({"hard_limit": 500000}, CONFIG)
    assert dom.memoryParameters(CONFIG)["hard_limit"] == 500000
    dom.setBlkioParameters({"weight": 500, "device_read_iops_sec": "/dev/null,50"}, CONFIG)
    found = dom.blkioParameters(CONFIG)
    assert (found["weight"], found["device_read_iops_sec"]) == (500, "/dev/null,50")
    assert dom.numaParameters(0) == {"numa_mode": 0, "numa_nodeset": ""}
    dom.setNumaParameters({"numa_nodeset": "0", "numa_mode": 2}, CONFIG)
    assert dom.numaParameters(CONFIG) == {"numa_mode": 2, "numa_nodeset": "0"}
    xml = dom.XMLDesc()
    for part in ("<shares>512</shares>", "<quota>-1</quota>", "<hard_limit unit='KiB'>500000<",
                 "<weight>500</weight>", "<memory mode='interleave' nodeset='0'/>"):  # fmt: skip
        assert part in xml
    dom.setMemoryParameters({"hard_limit": UNLIMITED}, CONFIG)
    assert dom.memoryParameters(CONFIG)["hard_limit"] == UNLIMITED


def test_running_guests_without_groups_are_not_limited(root: Path) -> None:
    conf = root / "etc" / "qemu.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text("cgroup_controllers = []\n")
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.createXML(domain_xml())
    calls: list[tuple[Callable[[], Any], str]] = [
        (dom.schedulerType, "cgroup CPU controller is not mounted"),
        (dom.schedulerParameters, "cgroup CPU controller is not mounted"),
        (lambda: dom.memoryParameters(0), "cgroup memory controller is not mounted"),
        (lambda: dom.blkioParameters(0), "blkio cgroup isn't mounted"),
        (lambda: dom.setNumaParameters({"numa_nodeset": "0"}, 0), "cgroup cpuset controller"),
        (lambda: dom.setMemoryParameters({"hard_limit": 1}, 0), "cgroup memory controller"),
    ]
    for call, words in calls:
        with pytest.raises(libvirt.libvirtError, match=words) as caught:
            call()
        assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID
    dom.destroy()
    with pytest.raises(libvirt.libvirtError, match="cgroup cpu is required for scheduler tuning"):
        conn.createXML(domain_xml(extra="<cputune><quota>5000</quota></cputune>"))
    conn.createXML(domain_xml(extra="<cputune><shares>50</shares></cputune>")).destroy()
    conn.close()


def test_unknown_parameters_are_refused(conn: Any) -> None:
    dom = conn.defineXML(domain_xml())
    with pytest.raises(libvirt.libvirtError, match=r"out of range|must be in range"):
        dom.setSchedulerParametersFlags({"vcpu_period": 5}, CONFIG)
    with pytest.raises(libvirt.libvirtError, match="lower than or equal to swap_hard_limit"):
        dom.setMemoryParameters({"hard_limit": 500000, "swap_hard_limit": 5}, CONFIG)
