# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest_differences.py: where guests of guests.steps live otherwise on our daemon, and why.

A test fails for a difference that is not here, and for an entry that no longer differs.
Called by: test_guests.py, conftest.py (which prints what is lacking).
"""

from __future__ import annotations

# A step is named by its line; where the same line comes again, with "(2)" behind it, and so on.

# Steps that need a call our driver does not have yet → the call. The run prints them at its end.
LACKING: dict[str, str] = {
    "qemu $ guestvcpus g": "virDomainGetGuestVcpus",
    "qemu $ dompmsuspend g mem": "virDomainPMSuspendForDuration",
    "qemu $ domdirtyrate-calc g --seconds 1": "virDomainStartDirtyRateCalc",
    "qemu $ domblkthreshold g hda 1": "virDomainSetBlockThreshold",
    "qemu $ blockjob g hda": "virDomainGetBlockJobInfo",
    "qemu $ blockcommit g hda": "virDomainBlockCommit",
    "qemu $ blockpull g hda": "virDomainBlockPull",
    "qemu $ allocpages 4 1": "virNodeAllocPages",
    "qemu $ nodesuspend mem 1": "virNodeSuspendForDuration",
    "qemu $ node-memory-tune": "virNodeGetMemoryParameters",
    "qemu $ cpu-models nosuch": "virConnectGetCPUModelNames",
    "qemu $ cpu-models x86_64": "virConnectGetCPUModelNames",
    "qemu $ sysinfo": "virConnectGetSysinfo",
    "qemu $ find-storage-pool-sources nosuch": "virConnectFindStoragePoolSources",
    "qemu $ net-list --all": "virConnectNumOfNetworks",
    "qemu $ iface-list": "virConnectNumOfInterfaces",
    "qemu $ nwfilter-list": "virConnectNumOfNWFilters",
    "qemu $ secret-list": "virConnectNumOfSecrets",
    "qemu $ nwfilter-binding-list": "virConnectListAllNWFilterBindings",
}

_SAVED = (
    "the real one's saved document has no PCI root, which reading it adds at the end, no default "
    "security label, and a resource partition, which ours places no guest in"
)

# Steps that are answered, and otherwise → the cause.
GUESTS: dict[str, str] = {
    "qemu $ metadata g http://example.org/a --key a --set '<app'": (
        "the XML parser is another one and words broken documents its own way"
    ),
    "qemu $ domstats g --raw": (
        "the real one tells the times of process 0 for a guest that is off, ours tells none"
    ),
    "qemu $ dumpxml g --security-info": (
        "the real one reads back which features QEMU gave the CPU, names a resource partition, "
        "and keeps an empty <metadata/> once there was something in it"
    ),
    "qemu $ cpu-stats g --total": (
        "the real one counts by control group, of which this machine has none; ours by process"
    ),
    "qemu $ save-image-dumpxml FILES/g.save": _SAVED,
    "qemu $ managedsave-dumpxml g (2)": _SAVED,
    "qemu $ save g FILES/nodir/g.save; domstate g --reason": (
        "ours opens the file before it pauses the guest, so there is nothing to cancel"
    ),
    "qemu $ domcapabilities --virttype kvm": (
        "without KVM the real one makes a host model of the processor's catalogue; ours has none"
    ),
}
