# SPDX-License-Identifier: LGPL-2.1-or-later
"""families.py: how the Python emitters divide the calls into files, and what a module implies.

Called by: emit_driver, emit_remote, emit_door, emit_wrappers.
Never: holds the name of a single API.
"""

from __future__ import annotations

from collections.abc import Iterable

from generator.model import Function, Model, Procedure
from generator.names import driver_method

# The first prefix that fits a driver method decides the file its row goes to.
_FAMILIES: tuple[tuple[str, str], ...] = (
    ("qemu_", "hypervisor"),
    ("lxc_", "hypervisor"),
    ("domain_migrate_", "migrate"),
    ("domain_snapshot_", "snapshot"),
    ("domain_checkpoint_", "snapshot"),
    ("domain_", "domain"),
    ("network_", "network"),
    ("interface_", "interface"),
    ("storage_", "storage"),
    ("node_device_", "nodedev"),
    ("secret_", "secret"),
    ("nwfilter_", "nwfilter"),
    ("", "host"),
)

# The domain that errors of a module's functions bear; those of libvirt-qemu, libvirt-lxc bear none.
ERROR_DOMAINS: dict[str, str] = {
    "libvirt-domain": "VIR_FROM_DOMAIN",
    "libvirt-domain-checkpoint": "VIR_FROM_DOMAIN_CHECKPOINT",
    "libvirt-domain-snapshot": "VIR_FROM_DOMAIN_SNAPSHOT",
    "libvirt-host": "VIR_FROM_DOMAIN",
    "libvirt-interface": "VIR_FROM_INTERFACE",
    "libvirt-network": "VIR_FROM_NETWORK",
    "libvirt-nodedev": "VIR_FROM_NODEDEV",
    "libvirt-nwfilter": "VIR_FROM_NWFILTER",
    "libvirt-secret": "VIR_FROM_SECRET",
    "libvirt-storage": "VIR_FROM_STORAGE",
    "libvirt-stream": "VIR_FROM_STREAMS",
}

# The same for procedures that no public function names, by the file their row goes to.
_FAMILY_DOMAINS: dict[str, str] = {
    "host": "VIR_FROM_NONE",
    "domain": "VIR_FROM_DOMAIN",
    "migrate": "VIR_FROM_DOMAIN",
    "network": "VIR_FROM_NETWORK",
}

# Programs whose procedures are driver methods.
PROGRAMS = ("remote", "qemu", "lxc")

# Methods that open and close: drivers.base states them, with other arguments than the wire's.
LIFECYCLE = ("connect_open", "connect_close")


def family(method: str) -> str:
    """The family of a driver method: domain_resume → domain."""
    return next(name for prefix, name in _FAMILIES if method.startswith(prefix))


def method_name(procedure: Procedure) -> str:
    return driver_method(procedure.program, procedure.name)


def procedures(model: Model) -> Iterable[Procedure]:
    """Every procedure that is a driver method, in the order of programs and numbers."""
    for program in model.programs:
        if program.name in PROGRAMS:
            for procedure in program.procedures:
                if procedure.kind != "event" and method_name(procedure) not in LIFECYCLE:
                    yield procedure


def error_domain(function: Function) -> str:
    return ERROR_DOMAINS.get(function.module, "VIR_FROM_NONE")


def family_domain(method: str) -> str:
    return _FAMILY_DOMAINS.get(family(method), "VIR_FROM_NONE")


def c_name(method: str) -> str:
    """A C name for a procedure that has no public function: domain_begin3 → virDomainBegin3."""
    return "vir" + "".join(part.capitalize() for part in method.split("_"))
