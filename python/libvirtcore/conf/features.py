# SPDX-License-Identifier: LGPL-2.1-or-later
"""features.py: switches of the machine, and the clock and timers of a guest.

Called by: domain.py. Calls: schema.py.
Never: knows which machine has which.
"""

from __future__ import annotations

from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import complaint, required
from libvirtcore.conf.schema import Element, attribute, child, children, flag, leaf
from libvirtcore.conf.values import (
    ONOFF,
    STRING,
    UINT,
    ULONG,
    YESNO,
    Choice,
    Scaled,
    number,
)
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_ERROR,
)


class State(Element):
    """On, or off."""

    state = attribute(ONOFF)


class Switch(Element):
    """On unless it says off."""

    state = attribute(ONOFF)

    def parsed(self, node: Node) -> None:
        if self.state is None:
            self.state = True


class Apic(Element):
    """The interrupt controller."""

    eoi = attribute(ONOFF)


class Required(Element):
    """On or off, and nothing else will do."""

    state = attribute(ONOFF, required=True)


class Spinlocks(Element):
    """How often a guest tries before it tells the hypervisor that it waits."""

    state = attribute(ONOFF, required=True)
    retries = attribute(UINT)

    def parsed(self, node: Node) -> None:
        if self.state and self.retries is None:
            raise required("retries", node.tag)
        if self.state and self.retries is not None and self.retries < 4095:
            raise complaint((
                VIR_ERR_XML_ERROR, "HyperV spinlock retry count must be at least 4095"
            ))  # fmt: skip


class Stimer(Element):
    """Synthetic timers."""

    state = attribute(ONOFF, required=True)
    direct = child(State)


class VendorId(Element):
    """The vendor a guest is told."""

    state = attribute(ONOFF, required=True)
    value = attribute(STRING)

    def parsed(self, node: Node) -> None:
        if not self.state:
            return
        if not self.value:
            raise complaint((
                VIR_ERR_XML_ERROR, "missing 'value' attribute for HyperV feature 'vendor_id'"
            ))  # fmt: skip
        if len(self.value) > 12:
            raise complaint((
                VIR_ERR_XML_ERROR, "HyperV vendor_id value must not be more than 12 characters."
            ))  # fmt: skip
        if "," in self.value:
            raise complaint((VIR_ERR_XML_ERROR, "HyperV vendor_id value is invalid"))


class Hyperv(Element):
    """Enlightenments for Windows."""

    OPEN = True

    mode = attribute(Choice("custom", "passthrough"))
    relaxed = child(Required)
    vapic = child(Required)
    spinlocks = child(Spinlocks)
    vpindex = child(Required)
    runtime = child(Required)
    synic = child(Required)
    stimer = child(Stimer)
    reset = child(Required)
    vendor_id = child(VendorId)
    frequencies = child(Required)
    reenlightenment = child(Required)
    tlbflush = child(Required)
    ipi = child(Required)
    evmcs = child(Required)
    avic = child(Required)

    STRICT = (VIR_ERR_CONFIG_UNSUPPORTED, "unsupported HyperV Enlightenment feature: %s")

    def parsed(self, node: Node) -> None:
        if self.mode is None:
            self.mode = "custom"


class DirtyRing(Element):
    """The ring that tells which pages were written."""

    state = attribute(ONOFF, required=True)
    size = attribute(UINT)


class Kvm(Element):
    """What KVM does and shows."""

    hidden = child(Required)
    hint_dedicated = child(Required, "hint-dedicated")
    poll_control = child(Required, "poll-control")
    pv_ipi = child(Required, "pv-ipi")
    dirty_ring = child(DirtyRing, "dirty-ring")

    STRICT = (VIR_ERR_CONFIG_UNSUPPORTED, "unsupported KVM feature: %s")


class Passthrough(Element):
    """How Xen passes devices through."""

    state = attribute(ONOFF, required=True)
    mode = attribute(Choice("sync_pt", "share_pt"))


class Xen(Element):
    """What Xen does."""

    e820_host = child(Required)
    passthrough = child(Passthrough)

    STRICT = (VIR_ERR_CONFIG_UNSUPPORTED, "unsupported Xen feature: %s")


class Gic(Element):
    """The interrupt controller of ARM."""

    version = attribute(Choice("2", "3", "host"))


class Smm(Element):
    """System management mode, and its memory in bytes."""

    state = attribute(ONOFF)
    tseg = leaf(Scaled(2**20, "MiB", 2**20))

    def parsed(self, node: Node) -> None:
        if self.state is None:
            self.state = True


class Ioapic(Element):
    """Who plays the I/O APIC."""

    driver = attribute(Choice("kvm", "qemu"))


class Hpt(Element):
    """The hashed page table of POWER."""

    resizing = attribute(Choice("enabled", "disabled", "required"))
    maxpagesize = leaf(Scaled())


class Msrs(Element):
    """What happens when a guest touches an unknown register."""

    unknown = attribute(Choice("ignore", "fault"), required=True)


class Workaround(Element):
    """A mitigation of POWER."""

    value = attribute(
        Choice("broken", "workaround", "fixed", "fixed-ibs", "fixed-ccd", "fixed-na"),
        required=True,
    )


class Tcg(Element):
    """What the software CPU does."""

    tb_cache = leaf(Scaled(), "tb-cache")


class CapabilityPolicy(Element):
    """Which capabilities a container keeps."""

    policy = attribute(Choice("allow", "deny", silent=("default",)))


class Features(Element):
    """Switches of the machine."""

    STRICT = (VIR_ERR_CONFIG_UNSUPPORTED, "unexpected feature '%s'")

    acpi = flag()
    apic = child(Apic, empty=True)
    pae = flag()
    hap = child(Switch)
    viridian = flag()
    privnet = flag()
    hyperv = child(Hyperv)
    kvm = child(Kvm)
    pvspinlock = child(Switch)
    capabilities = child(CapabilityPolicy)
    pmu = child(Switch)
    vmport = child(Switch)
    gic = child(Gic, empty=True)
    smm = child(Smm)
    ioapic = child(Ioapic)
    hpt = child(Hpt)
    vmcoreinfo = child(Switch)
    htm = child(Required)
    nested_hv = child(Required, "nested-hv")
    msrs = child(Msrs)
    ccf_assist = child(Required, "ccf-assist")
    xen = child(Xen)
    cfpc = child(Workaround)
    sbbc = child(Workaround)
    ibs = child(Workaround)
    tcg = child(Tcg)


class Catchup(Element):
    """How a timer makes up for lost ticks."""

    threshold = attribute(UINT)
    slew = attribute(UINT)
    limit = attribute(UINT)


class Timer(Element):
    """A timer of the guest."""

    name = attribute(
        Choice("platform", "pit", "rtc", "hpet", "tsc", "kvmclock", "hypervclock", "armvtimer"),
        required=True,
    )
    present = attribute(YESNO)
    tickpolicy = attribute(Choice("delay", "catchup", "merge", "discard"))
    track = attribute(Choice("boot", "guest", "wall", "realtime"))
    frequency = attribute(ULONG)
    mode = attribute(Choice("auto", "native", "emulate", "paravirt", "smpsafe"))
    catchup = child(Catchup)


_NO_START = (
    VIR_ERR_INTERNAL_ERROR, "missing 'start' attribute for clock with offset='absolute'",
)  # fmt: skip


class Clock(Element):
    """The guest's time of day."""

    KIND = "offset"
    KINDS = frozenset(("utc", "localtime", "variable", "timezone", "absolute"))

    offset = attribute(
        Choice("utc", "localtime", "variable", "timezone", "absolute"), default="utc",
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown clock offset '%s'"),
    )  # fmt: skip
    adjustment = attribute(STRING, when=("utc", "localtime", "variable"))
    basis = attribute(
        Choice("utc", "localtime"), when=("variable",),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown clock basis '%s'"),
    )  # fmt: skip
    timezone = attribute(STRING, when=("timezone",))
    start = attribute(ULONG, when=("absolute",), bad=_NO_START)
    timers = children(Timer, "timer")

    def parsed(self, node: Node) -> None:
        if self.offset == "variable":
            self.adjustment = str(number(self.adjustment or "0") or 0)
            self.basis = self.basis or "utc"
        elif self.offset in ("utc", "localtime"):
            if self.adjustment is not None and self.adjustment != "reset":
                if number(self.adjustment) is None:
                    raise complaint((
                        VIR_ERR_XML_ERROR, f"unknown clock adjustment '{self.adjustment}'"
                    ))  # fmt: skip
                self.adjustment = str(number(self.adjustment))
                self.basis = self.offset
                self.offset = "variable"
        elif self.offset == "timezone" and self.timezone is None:
            raise complaint((
                VIR_ERR_INTERNAL_ERROR,
                "missing 'timezone' attribute for clock with offset='timezone'",
            ))  # fmt: skip
        elif self.offset == "absolute" and self.start is None:
            raise complaint(_NO_START)
