# SPDX-License-Identifier: LGPL-2.1-or-later
"""caps.py: what one QEMU binary can do, as plain data.

Filled in by caps_probe, kept on disk by caps_cache.
Called by: every part of the driver that must know what QEMU takes. Calls: nothing.
Never: runs QEMU; changes once made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# Architectures as libvirt names them, by what stands behind "qemu-system-".
ARCHES: dict[str, str] = {
    "alpha": "alpha",
    "arm": "armv7l",
    "aarch64": "aarch64",
    "cris": "cris",
    "hppa": "parisc",
    "i386": "i686",
    "loongarch64": "loongarch64",
    "m68k": "m68k",
    "microblaze": "microblaze",
    "microblazeel": "microblazeel",
    "mips": "mips",
    "mipsel": "mipsel",
    "mips64": "mips64",
    "mips64el": "mips64el",
    "or1k": "or32",
    "ppc": "ppc",
    "ppc64": "ppc64",
    "riscv32": "riscv32",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "sh4": "sh4",
    "sh4eb": "sh4eb",
    "sparc": "sparc",
    "sparc64": "sparc64",
    "x86_64": "x86_64",
    "xtensa": "xtensa",
    "xtensaeb": "xtensaeb",
}


class CapsError(ValueError):
    """A description of capabilities that is not one."""


@dataclass(frozen=True)
class Machine:
    """A machine type; `alias` is the short name that stands for it now, or None."""

    name: str
    alias: str | None = None
    default: bool = False
    max_cpus: int = 0
    hotplug_cpus: bool = False
    default_cpu: str | None = None
    default_ram_id: str | None = None
    numa_mem_supported: bool = False
    deprecated: bool = False


@dataclass(frozen=True)
class Cpu:
    """A CPU model; `usable` is None when QEMU does not tell, `blockers` what the host lacks."""

    name: str
    typename: str = ""
    usable: bool | None = None
    blockers: tuple[str, ...] = ()
    deprecated: bool = False
    static: bool = False
    migration_safe: bool = False
    alias_of: str | None = None


@dataclass(frozen=True)
class QemuCaps:
    """All about one binary. Names are QEMU's own but for `arch`, which is libvirt's."""

    binary: str
    version: tuple[int, int, int] = (0, 0, 0)
    package: str = ""
    arch: str = ""
    kvm: bool = False
    machines: tuple[Machine, ...] = ()
    cpus_tcg: tuple[Cpu, ...] = ()
    cpus_kvm: tuple[Cpu, ...] = ()
    devices: frozenset[str] = frozenset()  # types -device takes
    objects: frozenset[str] = frozenset()  # types -object takes, and all other QOM types
    commands: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()  # named by caps_schema.FEATURES
    options: dict[str, frozenset[str]] = field(default_factory=dict)  # command line: parameters
    device_props: dict[str, frozenset[str]] = field(default_factory=dict)
    object_props: dict[str, frozenset[str]] = field(default_factory=dict)
    tpm_models: tuple[str, ...] = ()
    tpm_types: tuple[str, ...] = ()
    gic: tuple[tuple[int, bool, bool], ...] = ()  # version, emulated, by the kernel
    sev: bool = False
    # Properties of the CPU model "host" (with KVM) or "max" as QEMU expands it.
    host_cpu_kvm: dict[str, Any] = field(default_factory=dict)
    host_cpu_tcg: dict[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.binary, self.version, self.package, self.kvm))

    @property
    def version_number(self) -> int:
        """The version as libvirt writes it: 7002022 is 7.2.22."""
        major, minor, micro = self.version
        return major * 1000000 + minor * 1000 + micro

    # --- questions --------------------------------------------------------------------------------

    def has_command(self, name: str) -> bool:
        """Whether the monitor knows a command."""
        return name in self.commands

    def has_device(self, name: str, prop: str | None = None) -> bool:
        """Whether -device takes a type, and if given a property of it."""
        if name not in self.devices:
            return False
        return prop is None or prop in self.device_props.get(name, ())

    def has_object(self, name: str, prop: str | None = None) -> bool:
        """Whether -object takes a type, and if given a property of it."""
        if name not in self.objects:
            return False
        return prop is None or prop in self.object_props.get(name, ())

    def has_option(self, name: str, parameter: str | None = None) -> bool:
        """Whether QEMU lists a command line option, and if given a parameter of it."""
        if name not in self.options:
            return False
        return parameter is None or parameter in self.options[name]

    def has(self, feature: str) -> bool:
        """Whether QEMU has a feature, by one string.

        A name of caps_schema.FEATURES, or "command:NAME", "event:NAME", "device:TYPE",
        "device:TYPE.PROPERTY", "object:TYPE", "object:TYPE.PROPERTY", "option:NAME",
        "option:NAME.PARAMETER", "machine:NAME".
        """
        kind, colon, rest = feature.partition(":")
        if not colon:
            return feature in self.features
        name, dot, part = rest.partition(".")
        if kind == "command":
            return rest in self.commands
        if kind == "event":
            return rest in self.events
        if kind == "machine":
            return self.machine(rest) is not None
        if kind == "device":
            if rest in self.devices:  # "isa-fdc.x" does not exist, but types with dots do
                return True
            return bool(dot) and self.has_device(name, part)
        if kind == "object":
            if rest in self.objects:
                return True
            return bool(dot) and self.has_object(name, part)
        if kind == "option":
            return self.has_option(name, part if dot else None)
        raise CapsError(f"unknown kind of feature {feature!r}")

    def machine(self, name: str) -> Machine | None:
        """The machine type of a name or an alias ("q35")."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        for machine in self.machines:
            if machine.alias == name:
                return machine
        return None

    def canonical_machine(self, name: str) -> str:
        """The full name ("pc-q35-7.2") behind an alias; a name that is unknown stays."""
        machine = self.machine(name)
        return name if machine is None else machine.name

    @property
    def default_machine(self) -> Machine | None:
        """What QEMU takes when no machine type is given."""
        for machine in self.machines:
            if machine.default:
                return machine
        return None

    def cpus(self, kvm: bool) -> tuple[Cpu, ...]:
        """The CPU models with or without KVM."""
        return self.cpus_kvm if kvm else self.cpus_tcg

    # --- on disk ----------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` is the way back."""
        out: dict[str, Any] = {}
        for name in _FIELDS:
            value = getattr(self, name)
            if isinstance(value, frozenset):
                out[name] = sorted(value)
            elif name in ("machines", "cpus_tcg", "cpus_kvm"):
                out[name] = [_row(each) for each in value]
            elif name in ("options", "device_props", "object_props"):
                out[name] = {key: sorted(each) for key, each in value.items()}
            elif isinstance(value, tuple):
                out[name] = [list(each) if isinstance(each, tuple) else each for each in value]
            else:
                out[name] = value
        return out

    @classmethod
    def from_json(cls, value: Any) -> QemuCaps:
        """What to_json gave. Raises: CapsError for anything else."""
        if not isinstance(value, dict) or set(value) != set(_FIELDS):
            raise CapsError("wrong set of fields")
        version = _ints(value["version"])
        if len(version) != 3:
            raise CapsError("version is not three numbers")
        return cls(
            binary=_str(value["binary"]),
            version=(version[0], version[1], version[2]),
            package=_str(value["package"]),
            arch=_str(value["arch"]),
            kvm=_bool(value["kvm"]),
            machines=tuple(_machine(each) for each in _list(value["machines"])),
            cpus_tcg=tuple(_cpu(each) for each in _list(value["cpus_tcg"])),
            cpus_kvm=tuple(_cpu(each) for each in _list(value["cpus_kvm"])),
            devices=frozenset(_strs(value["devices"])),
            objects=frozenset(_strs(value["objects"])),
            commands=frozenset(_strs(value["commands"])),
            events=frozenset(_strs(value["events"])),
            features=frozenset(_strs(value["features"])),
            options=_sets(value["options"]),
            device_props=_sets(value["device_props"]),
            object_props=_sets(value["object_props"]),
            tpm_models=_strs(value["tpm_models"]),
            tpm_types=_strs(value["tpm_types"]),
            gic=tuple(_gic(each) for each in _list(value["gic"])),
            sev=_bool(value["sev"]),
            host_cpu_kvm=_dict(value["host_cpu_kvm"]),
            host_cpu_tcg=_dict(value["host_cpu_tcg"]),
        )


_FIELDS = tuple(QemuCaps.__dataclass_fields__)
_MACHINE_FIELDS = tuple(Machine.__dataclass_fields__)
_CPU_FIELDS = tuple(Cpu.__dataclass_fields__)


# --- strict readers: a file may have been written by anybody --------------------------------------


def _row(each: Machine | Cpu) -> list[Any]:
    names = _MACHINE_FIELDS if isinstance(each, Machine) else _CPU_FIELDS
    values = (getattr(each, name) for name in names)
    return [list(value) if isinstance(value, tuple) else value for value in values]


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise CapsError("text expected")
    return value


def _str_or_none(value: Any) -> str | None:
    return None if value is None else _str(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise CapsError("true or false expected")
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CapsError("a number expected")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise CapsError("a list expected")
    return value


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CapsError("an object expected")
    return value


def _strs(value: Any) -> tuple[str, ...]:
    return tuple(_str(each) for each in _list(value))


def _ints(value: Any) -> tuple[int, ...]:
    return tuple(_int(each) for each in _list(value))


def _sets(value: Any) -> dict[str, frozenset[str]]:
    return {key: frozenset(_strs(each)) for key, each in _dict(value).items()}


def _fields(value: Any, names: Iterable[str]) -> list[Any]:
    row, count = _list(value), len(tuple(names))
    if len(row) != count:
        raise CapsError(f"{count} fields expected")
    return row


def _machine(value: Any) -> Machine:
    row = _fields(value, _MACHINE_FIELDS)
    return Machine(
        _str(row[0]), _str_or_none(row[1]), _bool(row[2]), _int(row[3]), _bool(row[4]),
        _str_or_none(row[5]), _str_or_none(row[6]), _bool(row[7]), _bool(row[8]),
    )  # fmt: skip


def _cpu(value: Any) -> Cpu:
    row = _fields(value, _CPU_FIELDS)
    usable = row[2] if row[2] is None else _bool(row[2])
    return Cpu(
        _str(row[0]), _str(row[1]), usable, _strs(row[3]), _bool(row[4]), _bool(row[5]),
        _bool(row[6]), _str_or_none(row[7]),
    )  # fmt: skip


def _gic(value: Any) -> tuple[int, bool, bool]:
    row = _fields(value, ("version", "emulated", "kernel"))
    return _int(row[0]), _bool(row[1]), _bool(row[2])
