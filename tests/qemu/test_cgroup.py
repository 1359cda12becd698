# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cgroup.py: control groups on ordinary folders: names, files, limits, what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu import cgroup, cgroup_files, cgroup_names, tune_live
from libvirtcore.drivers.qemu import cgroup_limits as limits
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from tests.qemu.conftest import domain_xml

ALL = frozenset(cgroup_files.CONTROLLERS)
FILES = {
    "cpu.max": "max 100000\n", "cpu.weight": "100\n", "cpuset.cpus": "\n", "cpuset.mems": "\n",
    "memory.max": "max\n", "memory.high": "max\n", "memory.swap.max": "max\n", "io.max": "",
    "io.bfq.weight": "default 100\n", "cgroup.procs": "", "cgroup.threads": "",
    "cgroup.type": "domain\n", "cgroup.subtree_control": "", "cgroup.kill": "",
    "cpu.stat": "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 0\n",
}  # fmt: skip


class Tree:
    """A folder that behaves like a cgroup2 tree as far as our driver looks."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, controllers: str) -> None:
        self.mount = folder / "unified"
        self._mkdir, self._rmdir = os.mkdir, os.rmdir
        self.mount.mkdir()
        self.populate(str(self.mount), controllers)
        self.mounts = folder / "mounts"
        self.mounts.write_text(f"cgroup2 {self.mount} cgroup2 rw,relatime 0 0\n")
        monkeypatch.setattr(os, "mkdir", self.mkdir)
        monkeypatch.setattr(os, "rmdir", self.rmdir)

    def populate(self, folder: str, controllers: str) -> None:
        for name, text in FILES.items():
            Path(folder, name).write_text(text)
        Path(folder, "cgroup.controllers").write_text(controllers)

    def mkdir(self, path: str, mode: int = 0o777, **more: Any) -> None:
        self._mkdir(path, mode, **more)
        if str(path).startswith(str(self.mount)):
            on = Path(path).parent.joinpath("cgroup.controllers").read_text()
            self.populate(path, on)

    def rmdir(self, path: str, **more: Any) -> None:
        if not str(path).startswith(str(self.mount)):
            self._rmdir(path, **more)
            return
        if cgroup_files.children(path):
            raise OSError(16, "Device or resource busy")
        for entry in os.listdir(path):
            os.unlink(os.path.join(path, entry))
        self._rmdir(path)

    def groups(self, *allowed: str) -> cgroup.Groups:
        return cgroup.Groups(allowed or sorted(ALL), None, str(self.mounts))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(tmp_path, monkeypatch, "cpuset cpu io memory pids hugetlb\n")


def model(extra: str = "", name: str = "guest") -> Domain:
    return Domain.parse(domain_xml(name=name, extra=extra), 0)


def refusal(call: Any, *args: Any, **more: Any) -> tuple[int, str]:
    with pytest.raises(VirError) as caught:
        call(*args, **more)
    return caught.value.code, caught.value.message


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("guest", "qemu-7-guest"),
        ("../../etc", "qemu-7-.etc"),
        ("..", "qemu-7"),
        ("a/b", "qemu-7-ab"),
        ("..%-", "qemu-7"),
        ("a.-b--c", "qemu-7-a.b-c"),
        ("ümläut\n", "qemu-7-mlut"),
        ("x" * 500, "qemu-7-" + "x" * 57),
    ],
)
def test_a_guests_name_makes_one_harmless_component(name: str, expected: str) -> None:
    assert cgroup_names.machine_name(7, name, None) == expected


def test_roots_of_their_own_do_not_meet() -> None:
    first, second = (cgroup_names.group_name(1, "guest", root) for root in ("/a", "/b"))
    assert first != second
    assert first.startswith("qemu-embed-") and first.endswith("-1-guest.libvirt-qemu")


@pytest.mark.parametrize(
    ("partition", "expected"),
    [
        ("/machine", ["machine"]),
        ("/machine/prod", ["machine", "prod.partition"]),
        ("/user/machine", ["user", "machine.partition"]),
        ("/prod.slice//x/", ["prod.slice", "x.partition"]),
        ("/../x", ["_..", "x.partition"]),
        ("/machine/../..", ["machine", "_..", "_.."]),
        ("/machine/.", ["machine", "_."]),
        ("/_a/cgroup.procs/cpu.max/memory", ["__a.partition", "_cgroup.procs", "_cpu.max",
                                             "_memory.partition"]),
        ("/", []),
    ],
)  # fmt: skip
def test_a_partition_stays_below_its_mount(partition: str, expected: list[str]) -> None:
    parts = cgroup_names.partition_parts(partition)
    assert parts == expected
    assert not {"", ".", ".."} & set(parts)


# --- files ----------------------------------------------------------------------------------------


def test_the_tree_is_found_among_mounts() -> None:
    find = cgroup_files.find_mount
    assert find("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == "/sys/fs/cgroup"
    assert find("cgroup /c cgroup rw,cpu 0 0\ncgroup2 /c/unified cgroup2 rw 0 0") == "/c/unified"
    assert find("cgroup2 /a\\040b\\134 cgroup2 rw 0 0") == "/a b\\"
    assert find("cgroup2 /sys/fs/cgroup cgroup2 ro,nosuid 0 0") is None
    assert find("cgroup /c cgroup rw,cpu 0 0\nnonsense\n\n") is None


def test_a_process_is_found_by_its_line() -> None:
    assert cgroup_files.own_path("4:memory:/x\n0::/a/b\n") == "/a/b"
    assert cgroup_files.own_path("0::/\n") == "/"
    for text in ("4:memory:/x\n", "0::/../outside\n", "0::/gone (deleted)\n", ""):
        assert cgroup_files.own_path(text) is None


def test_only_what_is_allowed_and_there_is_switched_on(tree: Tree) -> None:
    groups = tree.groups("cpu", "blkio", "cpuacct")
    assert groups.mount() == str(tree.mount)
    group = groups.begin(1, model(), 4711)
    assert group is not None and group.controllers == {"cpu", "io"}
    assert group.threaded == {"cpu"}
    assert group.folder == f"{tree.mount}/machine/qemu-1-guest.libvirt-qemu"
    assert Path(group.folder, "cgroup.procs").read_text() == "4711"
    assert Path(group.part("emulator"), "cgroup.type").read_text() == "threaded"
    assert Path(group.part("emulator"), "cgroup.threads").read_text() == "4711"


def test_without_a_usable_controller_there_is_no_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree(tmp_path, monkeypatch, "hugetlb misc\n")
    groups = tree.groups()
    assert groups.mount() is None
    document = model("<memtune><hard_limit>5</hard_limit></memtune>")
    assert groups.begin(1, document, 4711) is None
    cgroup.limit(document, None, usable=False)
    assert document.resource is None
    assert not (tree.mount / "machine").exists()
    assert cgroup.Groups((), None, str(tree.mounts)).mount() is None


def test_a_group_with_processes_is_left_alone(tree: Tree) -> None:
    """As where a container sees its own group as the top of the tree."""
    (tree.mount / "cgroup.procs").write_text("1\n4711\n")
    assert tree.groups().mount() is None
    assert (tree.mount / "cgroup.subtree_control").read_text() == ""
    (tree.mount / "cgroup.type").unlink()
    assert tree.groups().mount() is not None, "the kernel's own top may have processes"


def test_the_machine_is_looked_at_once(tree: Tree) -> None:
    groups = tree.groups()
    assert groups.mount() is not None
    tree.mounts.unlink()
    assert groups.mount() is not None


# --- a guest's life -------------------------------------------------------------------------------


def test_a_partition_that_is_named_must_be_there(tree: Tree) -> None:
    groups = tree.groups()
    document = model("<resource><partition>/machine/prod</partition></resource>")
    code, text = refusal(groups.begin, 1, document, 4711)
    assert code == c.VIR_ERR_SYSTEM_ERROR
    assert text.startswith("Failed to create v2 cgroup '") and "prod.partition" in text
    os.makedirs(tree.mount / "machine" / "prod.partition", exist_ok=True)
    group = groups.begin(1, document, 4711)
    assert group is not None and "/machine/prod.partition/" in group.folder
    document = model("<resource><partition>machine</partition></resource>")
    assert refusal(groups.begin, 1, document, 4711) == (
        c.VIR_ERR_CONFIG_UNSUPPORTED,
        "unsupported configuration: Resource partition 'machine' must start with '/'",
    )


def test_the_live_document_names_the_partition(tree: Tree) -> None:
    document = model()
    assert tree.groups().begin(1, document, 4711) is not None
    assert document.resource is not None and document.resource.partition == "/machine"


def test_a_group_that_cannot_be_made_stops_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = tree.groups()
    assert groups.mount() is not None

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", fail)
    document = model()
    assert groups.begin(1, document, 4711) is None
    cgroup.limit(document, None, usable=True)
    for extra, text in (
        ("<cputune><shares>5</shares></cputune>", "CPU tuning is not available on this host"),
        ("<cputune><quota>5000</quota></cputune>", "cgroup cpu is required for scheduler tuning"),
        ("<memtune><soft_limit>5</soft_limit></memtune>",
         "Memory cgroup is not available on this host"),
        ("<blkiotune><weight>5</weight></blkiotune>",
         "Block I/O tuning is not available on this host"),
    ):  # fmt: skip
        assert refusal(cgroup.limit, model(extra), None, usable=True) == (
            c.VIR_ERR_CONFIG_UNSUPPORTED,
            f"unsupported configuration: {text}",
        )


def test_processor_time_is_refused_on_a_host_without_groups() -> None:
    for kind in ("quota", "period", "global_quota", "emulator_period"):
        document = model(f"<cputune><{kind}>5000</{kind}></cputune>")
        code, text = refusal(cgroup.limit, document, None, usable=False)
        assert code == c.VIR_ERR_CONFIG_UNSUPPORTED and "cgroup cpu is required" in text
    document = model("<cputune><iothread_quota>5000</iothread_quota></cputune>")
    cgroup.limit(document, None, usable=False)  # no thread, no limit


LIMITED = """<cputune><shares>77</shares><period>50000</period><quota>20000</quota>
<global_quota>40000</global_quota><emulator_period>20000</emulator_period>
<emulator_quota>-1</emulator_quota><emulatorpin cpuset='0'/></cputune>
<memtune><hard_limit>1000</hard_limit><soft_limit>900</soft_limit>
<swap_hard_limit>1500</swap_hard_limit></memtune>
<blkiotune><weight>300</weight></blkiotune>
<numatune><memory mode='strict' nodeset='0'/></numatune>"""


def test_limits_of_a_definition_are_written(tree: Tree) -> None:
    document = model(LIMITED)
    group = tree.groups().begin(1, document, 4711)
    assert group is not None
    cgroup.limit(document, group, usable=True)
    expected = {
        "cpu.weight": "77", "cpu.max": "40000 100000", "memory.max": "1024000",
        "memory.high": "921600", "memory.swap.max": "512000", "io.bfq.weight": "300",
        "emulator/cpu.max": "max 20000", "emulator/cpuset.cpus": "0", "emulator/cpuset.mems": "0",
    }  # fmt: skip
    assert {name: Path(group.folder, name).read_text() for name in expected} == expected
    assert limits.memory(group.folder, "swap_hard_limit") == 1500
    folder = group.add_part("vcpu0")
    cgroup.limit_threads(document, group, "vcpu0", "1")
    assert Path(folder, "cpu.max").read_text() == "20000 50000"
    assert Path(folder, "cpuset.cpus").read_text() == "1"


def test_a_group_is_removed_with_its_threads(tree: Tree) -> None:
    groups = tree.groups()
    group = groups.begin(1, model(), 4711)
    assert group is not None
    group.add_part("vcpu0")
    neighbour = groups.begin(2, model(name="other"), 4712)
    assert neighbour is not None
    cgroup.end(group)
    assert not os.path.exists(group.folder) and os.path.isdir(neighbour.folder)
    groups.sweep(2, model(name="other"))
    assert not os.path.exists(neighbour.folder)
    groups.sweep(3, model(name=".."))
    assert (tree.mount / "machine").is_dir()


def test_a_guest_is_found_only_in_its_own_group(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = tree.groups()
    group = groups.begin(1, model(), 4711)
    assert group is not None
    path = "/machine/qemu-1-guest.libvirt-qemu"
    other = "/machine/qemu-2-guest.libvirt-qemu"
    places: dict[str | None, cgroup.Group | None] = {
        path: group, f"{path}/emulator": group,
        "/machine": None, "/": None, other: None, None: None,
    }  # fmt: skip
    for place, found in places.items():
        monkeypatch.setattr(cgroup_files, "path_of_process", lambda _pid, place=place: place)
        assert groups.find(1, "guest", 4711) == found


# --- ranges ---------------------------------------------------------------------------------------


def test_shares_have_the_range_of_cgroup2(tree: Tree) -> None:
    folder = str(tree.mount)
    for value in (1, 10000):
        limits.set_shares(folder, value)
        assert limits.shares(folder) == value
    for value in (0, 10001, 262144):
        code, text = refusal(limits.set_shares, folder, value)
        assert code == c.VIR_ERR_INVALID_ARG
        assert f"shares '{value}' must be in range [1, 10000]" in text


def test_bandwidth_keeps_what_is_not_set(tree: Tree) -> None:
    folder = str(tree.mount)
    assert limits.bandwidth(folder) == (100000, limits.MOST_QUOTA)
    limits.set_bandwidth(folder, 50000, None)
    assert Path(folder, "cpu.max").read_text() == "max 50000"
    limits.set_bandwidth(folder, None, 20000)
    assert limits.bandwidth(folder) == (50000, 20000)
    limits.set_bandwidth(folder, 0, 0)
    assert limits.bandwidth(folder) == (50000, 20000)
    limits.set_bandwidth(folder, None, -1)
    assert Path(folder, "cpu.max").read_text() == "max 50000"
    assert "must be in range (1000, 1000000)" in refusal(limits.set_bandwidth, folder, 5, None)[1]
    assert "must be in range (1000, " in refusal(limits.set_bandwidth, folder, None, 5)[1]
    for nonsense in ("", "max", "x 5", "5 x", "1 2 3"):
        Path(folder, "cpu.max").write_text(nonsense)
        assert refusal(limits.bandwidth, folder)[0] == c.VIR_ERR_INTERNAL_ERROR


def test_memory_is_said_in_kib(tree: Tree) -> None:
    folder = str(tree.mount)
    assert limits.memory(folder, "hard_limit") == limits.UNLIMITED
    limits.set_memory(folder, "hard_limit", 500)
    assert Path(folder, "memory.max").read_text() == "512000"
    limits.set_memory(folder, "hard_limit", limits.UNLIMITED)
    assert Path(folder, "memory.max").read_text() == "max"
    assert "must be less than" in refusal(limits.set_memory, folder, "hard_limit", 1 << 60)[1]
    assert refusal(cgroup.check_memory, 500, 5)[0] == c.VIR_ERR_INVALID_ARG
    assert refusal(cgroup.check_memory, None, 5)[0] == c.VIR_ERR_INVALID_ARG
    cgroup.check_memory(5, None)


def test_devices_are_named_by_number(tree: Tree, tmp_path: Path) -> None:
    folder = str(tree.mount)
    assert refusal(limits.set_device, folder, "/dev/null", "read_iops_sec", 5) == (
        c.VIR_ERR_SYSTEM_ERROR, "Path '/dev/null' must be a block device: Invalid argument"
    )  # fmt: skip
    assert refusal(limits.set_device, folder, str(tmp_path / "none"), "read_iops_sec", 5)[
        1
    ].endswith("is not accessible: No such file or directory")
    blocks = [path for path in Path("/dev").iterdir() if path.is_block_device()]
    if not blocks:
        pytest.skip("no block device is in /dev")
    found = blocks[0].stat().st_rdev
    number = f"{os.major(found)}:{os.minor(found)}"
    for field, value, text in (
        ("read_iops_sec", 5, "riops=5"), ("write_bytes_sec", 7, "wbps=7"),
        ("read_bytes_sec", 0, "rbps=max"),
    ):  # fmt: skip
        limits.set_device(folder, str(blocks[0]), field, value)
        assert Path(folder, "io.max").read_text() == f"{number} {text}"


def test_a_kernel_without_weights_says_so(tree: Tree) -> None:
    folder = str(tree.mount)
    assert limits.io_weight(folder) == 100
    os.unlink(tree.mount / "io.bfq.weight")
    assert refusal(limits.io_weight, folder)[0] == c.VIR_ERR_OPERATION_INVALID
    Path(folder, "io.weight").write_text("default 100\n8:0 50\n")
    assert limits.io_weight(folder) == 100
    limits.set_io_weight(folder, 200)
    assert Path(folder, "io.weight").read_text() == "default 200"


def test_processor_time_comes_in_nanoseconds(tree: Tree) -> None:
    folder = str(tree.mount)
    assert limits.cpu_times(folder) == (7000, 4000, 3000)
    Path(folder, "cpu.stat").write_text("usage_usec 7\n")
    assert limits.cpu_times(folder) is None


def test_nodes_of_a_running_guest_change_only_where_they_can(tree: Tree) -> None:
    document = model("<numatune><memory mode='strict' nodeset='0'/></numatune>")
    group = tree.groups().begin(1, document, 4711)
    assert group is not None and document.numatune is not None
    memory = document.numatune.memory
    assert memory is not None

    def told(mode: str | None, nodes: set[int] | None) -> str:
        return refusal(tune_live.set_nodes, group, memory, mode, nodes)[1]

    assert "can't change numatune mode" in told("interleave", None)
    assert "requires restrictive numa mode" in told(None, {0})
    assert "can't change nodeset for strict mode" in told("strict", None)
    tune_live.set_nodes(group, memory, "strict", {0})
    memory.mode = "restrictive"
    assert "NUMA node 4095 is unavailable" in told(None, {4095})
    tune_live.set_nodes(group, memory, None, {0})
    assert Path(group.part("emulator"), "cpuset.mems").read_text() == "0"
