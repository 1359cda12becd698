# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cgroup_guest.py: real guests in real control groups, as the kernel's files tell it.

Needs root and a cgroup2 tree with the cpu controller; the other controllers are looked at where
they are there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
from libvirtcore.drivers.qemu import cgroup_files, cgroup_names
from tests.qemu.conftest import domain_xml, pid_of, wait_for

CONFIG, LIVE = libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_AFFECT_LIVE
REPOSITORY = Path(__file__).resolve().parents[2]
UNLIMITED = 9007199254740991
MOST_QUOTA = 17592186044415


def _mount() -> str | None:
    with open(cgroup_files.MOUNTS, encoding="utf-8") as file:
        return cgroup_files.find_mount(file.read())


MOUNT = _mount() or "/nonexistent"
THERE = cgroup_files.controllers(MOUNT)
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes control groups"),
    pytest.mark.skipif("cpu" not in THERE, reason="this kernel's cgroup2 has no cpu controller"),
]


def needs(controller: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        controller not in THERE, reason=f"this kernel's cgroup2 has no {controller} controller"
    )


@pytest.fixture(autouse=True)
def nothing_is_left(root: Path) -> Iterator[None]:
    yield
    prefix = cgroup_names.machine_name(0, "", str(root.resolve())).removesuffix("0")
    machine = Path(MOUNT, "machine")
    assert wait_for(lambda: not list(machine.rglob(f"{prefix}*"))), "a control group is left"


def folder_of(root: Path, number: int = 1, name: str = "guest", partition: str = "machine") -> Path:
    return Path(MOUNT, partition, cgroup_names.group_name(number, name, str(root.resolve())))


def said(folder: Path, *names: str) -> dict[str, str]:
    return {name: (folder / name).read_text().strip() for name in names}


def threads_of(folder: Path) -> set[int]:
    return set(map(int, (folder / "cgroup.threads").read_text().split()))


LIMITS = """<iothreads>1</iothreads><cputune><shares>77</shares><period>50000</period>
<quota>20000</quota><global_quota>40000</global_quota><emulator_quota>30000</emulator_quota>
<iothread_period>20000</iothread_period><iothread_quota>-1</iothread_quota></cputune>"""


def test_limits_of_a_definition_hold_from_the_start(conn: Any, root: Path) -> None:
    dom = conn.createXML(domain_xml(extra=LIMITS).replace("<vcpu>1<", "<vcpu>2<"))
    folder = folder_of(root)
    assert said(folder, "cpu.weight", "cpu.max", "emulator/cpu.max", "vcpu0/cpu.max",
                "vcpu1/cpu.max", "iothread1/cpu.max") == {
        "cpu.weight": "77", "cpu.max": "40000 100000", "emulator/cpu.max": "30000 100000",
        "vcpu0/cpu.max": "20000 50000", "vcpu1/cpu.max": "20000 50000",
        "iothread1/cpu.max": "max 20000",
    }  # fmt: skip
    pid = pid_of(root)
    every = {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    parts = [threads_of(folder / name) for name in ("vcpu0", "vcpu1", "iothread1", "emulator")]
    assert [len(part) for part in parts[:3]] == [1, 1, 1]
    assert pid in parts[3]
    assert every <= set().union(*parts), "every thread is in a group"
    assert (
        f"0::{str(folder).removeprefix(MOUNT)}/emulator" in Path(f"/proc/{pid}/cgroup").read_text()
    )
    assert "<partition>/machine</partition>" in dom.XMLDesc()
    dom.destroy()
    assert wait_for(lambda: not folder.exists())


def test_scheduler_parameters_of_a_running_guest(conn: Any, root: Path) -> None:
    dom = conn.defineXML(domain_xml())
    dom.create()
    folder = folder_of(root)
    assert dom.schedulerType() == ("posix", 9)
    assert dom.schedulerParameters() == {
        "cpu_shares": 100, "vcpu_period": 100000, "vcpu_quota": MOST_QUOTA,
        "emulator_period": 100000, "emulator_quota": MOST_QUOTA, "global_period": 100000,
        "global_quota": MOST_QUOTA, "iothread_period": 100000, "iothread_quota": MOST_QUOTA,
    }  # fmt: skip
    dom.setSchedulerParameters({"cpu_shares": 500, "vcpu_quota": 20000, "vcpu_period": 40000})
    dom.setSchedulerParametersFlags({"global_quota": 70000}, LIVE | CONFIG)
    assert said(folder, "cpu.weight", "cpu.max", "vcpu0/cpu.max") == {
        "cpu.weight": "500", "cpu.max": "70000 100000", "vcpu0/cpu.max": "20000 40000",
    }  # fmt: skip
    assert dom.schedulerParameters()["iothread_quota"] == 70000, "without threads, the guest's"
    assert dom.schedulerParametersFlags(CONFIG)["global_quota"] == 70000
    assert dom.schedulerParametersFlags(CONFIG)["cpu_shares"] == 0
    assert "<quota>20000</quota>" in dom.XMLDesc()
    dom.setSchedulerParameters({"vcpu_quota": -1})
    assert said(folder, "vcpu0/cpu.max") == {"vcpu0/cpu.max": "max 40000"}
    for params, text in (
        ({"cpu_shares": 0}, "shares '0' must be in range [1, 10000]"),
        ({"cpu_shares": 10001}, "shares '10001' must be in range [1, 10000]"),
        ({"vcpu_quota": 5}, "value of 'vcpu_quota' is out of range [1000, 17592186044415]"),
        ({"vcpu_period": 5}, "value of 'vcpu_period' is out of range [1000, 1000000]"),
    ):
        with pytest.raises(libvirt.libvirtError) as caught:
            dom.setSchedulerParametersFlags(params, LIVE)
        assert caught.value.get_error_code() == libvirt.VIR_ERR_INVALID_ARG
        assert text in str(caught.value)
    assert said(folder, "cpu.weight") == {"cpu.weight": "500"}
    dom.destroy()
    assert dom.schedulerParameters()["cpu_shares"] == 0


@needs("cpuset")
def test_threads_stay_on_their_processors(conn: Any, root: Path) -> None:
    pins = """<cputune><vcpupin vcpu='0' cpuset='0'/><emulatorpin cpuset='0'/></cputune>
<numatune><memory mode='restrictive' nodeset='0'/></numatune>"""
    dom = conn.createXML(domain_xml(extra=pins).replace("<vcpu>1<", "<vcpu>2<"))
    folder = folder_of(root)
    assert said(folder, "vcpu0/cpuset.cpus", "vcpu1/cpuset.cpus", "emulator/cpuset.cpus",
                "vcpu0/cpuset.mems", "emulator/cpuset.mems") == {
        "vcpu0/cpuset.cpus": "0", "vcpu1/cpuset.cpus": "", "emulator/cpuset.cpus": "0",
        "vcpu0/cpuset.mems": "0", "emulator/cpuset.mems": "0",
    }  # fmt: skip
    cpus = os.cpu_count() or 1
    last = cpus - 1
    dom.pinVcpu(0, tuple(number == last for number in range(cpus)))
    assert said(folder, "vcpu0/cpuset.cpus") == {"vcpu0/cpuset.cpus": str(last)}
    (thread,) = threads_of(folder / "vcpu0")
    assert os.sched_getaffinity(thread) == {last}
    dom.setNumaParameters({"numa_nodeset": "0"})
    with pytest.raises(libvirt.libvirtError, match="NUMA node 4095 is unavailable"):
        dom.setNumaParameters({"numa_nodeset": "4095"})
    with pytest.raises(libvirt.libvirtError, match="can't change numatune mode"):
        dom.setNumaParameters({"numa_mode": 2})


@needs("memory")
def test_memory_of_a_running_guest(conn: Any, root: Path) -> None:
    dom = conn.createXML(
        domain_xml(extra="<memtune><hard_limit unit='MiB'>900</hard_limit></memtune>")
    )
    folder = folder_of(root)
    assert said(folder, "memory.max") == {"memory.max": str(900 << 20)}
    assert dom.memoryParameters(0) == {
        "hard_limit": 900 << 10, "soft_limit": UNLIMITED, "swap_hard_limit": UNLIMITED
    }  # fmt: skip
    dom.setMemoryParameters({"soft_limit": 800 << 10, "swap_hard_limit": 1000 << 10})
    assert said(folder, "memory.high") == {"memory.high": str(800 << 20)}
    if (folder / "memory.swap.max").exists():
        assert said(folder, "memory.swap.max") == {"memory.swap.max": str(100 << 20)}
        assert dom.memoryParameters(0)["swap_hard_limit"] == 1000 << 10
    with pytest.raises(libvirt.libvirtError, match="lower than or equal to swap_hard_limit"):
        dom.setMemoryParameters({"hard_limit": 2000 << 10})
    dom.setMemoryParameters({"hard_limit": UNLIMITED, "swap_hard_limit": UNLIMITED})
    assert said(folder, "memory.max") == {"memory.max": "max"}


@needs("io")
def test_block_devices_of_a_running_guest(conn: Any, root: Path) -> None:
    dom = conn.createXML(domain_xml())
    folder = folder_of(root)
    if (folder / "io.bfq.weight").exists():
        dom.setBlkioParameters({"weight": 500})
        assert dom.blkioParameters(0)["weight"] == 500
        assert "500" in said(folder, "io.bfq.weight")["io.bfq.weight"]
    with pytest.raises(libvirt.libvirtError, match="'/dev/null' must be a block device"):
        dom.setBlkioParameters({"device_read_iops_sec": "/dev/null,5"})
    disks = [entry.name for entry in Path("/sys/block").iterdir()]
    disks = [name for name in disks if Path("/dev", name).is_block_device()]
    if not disks:
        pytest.skip("no disk is in /dev")
    disk = f"/dev/{disks[0]}"
    number = Path("/sys/block", disks[0], "dev").read_text().strip()
    dom.setBlkioParameters({"device_read_iops_sec": f"{disk},500"})
    assert said(folder, "io.max")["io.max"] == f"{number} rbps=max wbps=max riops=500 wiops=max"
    assert f"<path>{disk}</path>" in dom.XMLDesc()
    dom.setBlkioParameters({"device_read_iops_sec": f"{disk},0"})
    assert said(folder, "io.max")["io.max"] == ""


def test_processor_time_is_the_groups(conn: Any, root: Path) -> None:
    dom = conn.createXML(domain_xml())
    stats = dom.getCPUStats(True, 0)[0]
    now = cgroup_files.numbers((folder_of(root) / "cpu.stat").read_text())
    assert 0 < stats["cpu_time"] <= now["usage_usec"] * 1000
    assert stats["cpu_time"] % 1000 == 0
    ((_, found),) = conn.domainListGetStats([dom], libvirt.VIR_DOMAIN_STATS_CPU_TOTAL)
    later = cgroup_files.numbers((folder_of(root) / "cpu.stat").read_text())
    assert stats["cpu_time"] <= found["cpu.time"] <= later["usage_usec"] * 1000


def test_a_cpu_that_is_plugged_in_has_its_group(conn: Any, root: Path) -> None:
    text = domain_xml(machine="q35", extra="<cputune><quota>20000</quota></cputune>")
    text = text.replace("<vcpu>1<", "<vcpu current='1'>3<")
    dom = conn.createXML(text)
    folder = folder_of(root)
    assert not (folder / "vcpu1").exists()
    dom.setVcpus(2)
    assert said(folder, "vcpu1/cpu.max") == {"vcpu1/cpu.max": "20000 100000"}
    assert len(threads_of(folder / "vcpu1")) == 1
    dom.setSchedulerParameters({"vcpu_quota": 30000})
    assert said(folder, "vcpu0/cpu.max", "vcpu1/cpu.max") == {
        "vcpu0/cpu.max": "30000 100000", "vcpu1/cpu.max": "30000 100000"
    }  # fmt: skip
    dom.setVcpus(3)
    assert said(folder, "vcpu2/cpu.max") == {"vcpu2/cpu.max": "30000 100000"}


def test_a_partition_must_be_there(conn: Any, root: Path) -> None:
    name = f"test{os.getpid()}"
    extra = f"<resource><partition>/machine/{name}</partition></resource>"
    with pytest.raises(libvirt.libvirtError, match=r"Failed to create v2 cgroup .*No such file"):
        conn.createXML(domain_xml(extra=extra))
    place = Path(MOUNT, "machine", f"{name}.partition")
    place.mkdir(parents=True)
    try:
        dom = conn.createXML(domain_xml(extra=extra))
        assert folder_of(root, dom.ID(), partition=f"machine/{place.name}").is_dir()
        dom.destroy()
    finally:
        assert wait_for(lambda: _gone(place)), "its group is removed"


def _gone(place: Path) -> bool:
    with contextlib.suppress(OSError):
        place.rmdir()
    return not place.exists()


def test_a_start_that_fails_leaves_no_group(conn: Any, root: Path) -> None:
    tune = "<cputune><shares>20000</shares></cputune>"
    with pytest.raises(libvirt.libvirtError, match=r"shares '20000' must be in range"):
        conn.createXML(domain_xml(extra=tune))
    broken = "<cputune><emulator_quota>5000</emulator_quota></cputune>"
    disk = "<disk type='file'><source file='/nonexistent'/><target dev='hda' bus='ide'/></disk>"
    with pytest.raises(libvirt.libvirtError):
        conn.createXML(domain_xml(extra=broken, devices=disk))


HOLDER = """
import sys, time, libvirt
conn = libvirt.open(f"qemu:///embed?root={sys.argv[1]}")
dom = conn.createXML(sys.argv[2])
print("held", flush=True)
time.sleep(600)
"""


def hold(root: Path, text: str) -> None:
    """Have another process start a guest, and be killed."""
    path = f"{REPOSITORY}/python"
    command = [sys.executable, "-c", HOLDER, str(root), text]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    child.kill()
    child.communicate()


def test_a_group_is_found_again_and_removed_in_the_end(root: Path) -> None:
    hold(root, domain_xml(extra=LIMITS))
    folder = folder_of(root)
    assert folder.is_dir()
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.lookupByName("guest")
    assert dom.schedulerParameters()["vcpu_quota"] == 20000
    dom.setSchedulerParameters({"cpu_shares": 300})
    assert said(folder, "cpu.weight") == {"cpu.weight": "300"}
    os.kill(pid_of(root), signal.SIGKILL)
    assert wait_for(lambda: not folder.exists()), "whoever ends the guest"
    del dom
    conn.close()


def test_the_group_of_a_guest_that_died_meanwhile_is_removed(root: Path) -> None:
    hold(root, domain_xml())
    folder = folder_of(root)
    os.kill(pid_of(root), signal.SIGKILL)
    assert wait_for(lambda: not (folder / "cgroup.procs").read_text())
    assert folder.is_dir()
    libvirt.open(f"qemu:///embed?root={root}").close()
    assert not folder.exists()


def test_what_qemu_left_behind_is_killed(conn: Any, root: Path) -> None:
    dom = conn.createXML(domain_xml())
    folder = folder_of(root)
    with subprocess.Popen(["sleep", "60"]) as child:
        (folder / "cgroup.procs").write_text(str(child.pid))
        dom.destroy()
        assert child.wait(10) == -signal.SIGKILL
    assert wait_for(lambda: not folder.exists())


def test_controllers_that_are_not_allowed_do_not_count(root: Path) -> None:
    conf = root / "etc" / "qemu.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text('cgroup_controllers = ["cpuset", "memory"]\n')
    conn = libvirt.open(f"qemu:///embed?root={root}")
    with pytest.raises(libvirt.libvirtError) as caught:
        conn.createXML(domain_xml(extra="<cputune><shares>50</shares></cputune>"))
    if THERE & {"cpuset", "memory"}:
        assert "CPU tuning is not available on this host" in str(caught.value)
    dom = conn.createXML(domain_xml())
    with pytest.raises(libvirt.libvirtError, match="cgroup CPU controller is not mounted"):
        dom.schedulerParameters()
    dom.destroy()
    conf.write_text("cgroup_controllers = []\n")
    conn.close()
