# SPDX-License-Identifier: LGPL-2.1-or-later
"""host.py: what the simulated host says of itself.

A made-up two-node machine with the figures that libvirt's own test driver reports, so that scripts
written against one run against the other.
Called by: drivers.test.driver (mixin). Calls: nothing but the node's lock-free constants.
Never: looks at the real host, except for its name.
"""

from __future__ import annotations

import socket

from libvirtcore.drivers.test.node import check_flags
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.version import LIBRARY_VERSION

_MODEL = b"i686"
_MEMORY_KIB = 3 * 1024 * 1024
_CPUS = 16
_CELLS_KIB = (2 * 1024 * 1024, 4 * 1024 * 1024)
_CELL_PAGE_KIB = (4, 8)
_CORES_PER_CELL = 8
_MAX_VCPUS = 32
# Of eight CPUs, 0, 2 and 4 are online; bit n of the little-endian map is CPU n.
_CPU_MAP = bytes([0b00010101])
_CPU_ONLINE = 3
_CPU_STATS = (
    ("user", 9797400000),
    ("kernel", 34678723400000),
    ("idle", 87264900000),
    ("iowait", 763600000),
)

_SYSINFO = """\
<sysinfo type='smbios'>
  <bios>
    <entry name='vendor'>LENOVO</entry>
    <entry name='version'>G4ETA1WW (2.61 )</entry>
    <entry name='date'>05/07/2014</entry>
    <entry name='release'>2.61</entry>
  </bios>
</sysinfo>
"""


def _cell_xml(cell: int) -> str:
    page = _CELL_PAGE_KIB[cell]
    first = cell * _CORES_PER_CELL
    cpus = "\n".join(
        f"            <cpu id='{first + core}' socket_id='{cell}' die_id='0' core_id='{core}'"
        f" siblings='{first + core}'/>"
        for core in range(_CORES_PER_CELL)
    )
    return f"""\
        <cell id='{cell}'>
          <memory unit='KiB'>{_CELLS_KIB[cell]}</memory>
          <pages unit='KiB' size='{page}'>{_CELLS_KIB[cell] // page}</pages>
          <pages unit='KiB' size='2048'>0</pages>
          <pages unit='KiB' size='1048576'>0</pages>
          <cpus num='{_CORES_PER_CELL}'>
{cpus}
          </cpus>
        </cell>"""


def _guest_xml(os_type: str) -> str:
    return f"""\
  <guest>
    <os_type>{os_type}</os_type>
    <arch name='i686'>
      <wordsize>32</wordsize>
      <emulator>/usr/bin/test-hv</emulator>
      <domain type='test'/>
    </arch>
    <features>
      <pae/>
      <nonpae/>
    </features>
  </guest>
"""


def capabilities_xml() -> str:
    """Return the host's capabilities document."""
    pages = "\n".join(f"      <pages unit='KiB' size='{n}'/>" for n in (4, 8, 2048, 1048576))
    cells = "\n".join(_cell_xml(cell) for cell in range(len(_CELLS_KIB)))
    return f"""\
<capabilities>

  <host>
    <cpu>
      <arch>i686</arch>
      <features>
        <pae/>
        <nonpae/>
      </features>
{pages}
    </cpu>
    <power_management/>
    <iommu support='no'/>
    <topology>
      <cells num='{len(_CELLS_KIB)}'>
{cells}
      </cells>
    </topology>
    <secmodel>
      <model>testSecurity</model>
      <doi></doi>
    </secmodel>
  </host>

{_guest_xml("hvm")}
{_guest_xml("xen")}
</capabilities>
"""


class HostFacts:
    """The connection and node calls of the test driver."""

    def connect_get_type(self) -> str:
        return "TEST"

    def connect_get_version(self) -> int:
        return 2

    def connect_get_lib_version(self) -> int:
        return LIBRARY_VERSION

    def connect_get_hostname(self) -> str:
        return socket.gethostname()

    def connect_get_max_vcpus(self, type: str | None) -> int:
        return _MAX_VCPUS

    def connect_get_capabilities(self) -> str:
        return capabilities_xml()

    def connect_get_sysinfo(self, flags: int) -> str:
        check_flags("testConnectGetSysinfo", flags, 0)
        return _SYSINFO

    def node_get_info(self) -> tuple[bytes, int, int, int, int, int, int, int]:
        return (_MODEL, _MEMORY_KIB, _CPUS, 1400, 2, 2, 2, 2)

    def node_get_free_memory(self) -> int:
        return sum(_CELLS_KIB) // 2

    def node_get_cells_free_memory(self, startCell: int, maxcells: int) -> list[int]:
        if not 0 <= startCell < len(_CELLS_KIB):
            raise report(
                c.VIR_ERR_INVALID_ARG,
                c.VIR_FROM_TEST,
                "Range exceeds available cells",
            )
        return list(_CELLS_KIB[startCell : startCell + maxcells])

    def node_get_cpu_map(
        self, need_map: int, need_online: int, flags: int
    ) -> tuple[bytes, int, int]:
        check_flags("testNodeGetCPUMap", flags, 0)
        return (_CPU_MAP if need_map else b"", _CPU_ONLINE, 8)

    def node_get_cpu_stats(
        self, cpuNum: int, nparams: int, flags: int
    ) -> tuple[list[tuple[str, int]], int]:
        check_flags("testNodeGetCPUStats", flags, 0)
        stats = _CPU_STATS[: nparams or None]
        return ([] if nparams == 0 else list(stats), len(_CPU_STATS))

    def node_get_security_model(self) -> tuple[bytes, bytes]:
        return (b"testSecurity\0", b"\0")
