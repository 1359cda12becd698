# SPDX-License-Identifier: LGPL-2.1-or-later
"""caps_probe.py: asks a QEMU binary over QMP what it can do.

A QEMU without a machine is started, as another user where we are root, and all questions go out in
one batch. Where KVM works a second one without it is asked for the CPU models of TCG.
Called by: caps_cache. Calls: libvirtcore.qmp, caps_schema, caps_kvm.
Never: leaves a process behind; believes that an answer has the shape it should have.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from libvirtcore import qmp
from libvirtcore.drivers.qemu.caps import ARCHES, Cpu, Machine, QemuCaps
from libvirtcore.drivers.qemu.caps_kvm import kvm_works
from libvirtcore.drivers.qemu.caps_schema import Schema
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_SYSTEM_ERROR,
    VIR_FROM_QEMU,
)

__all__ = ["PROBE_SECONDS", "binaries", "probe"]

PROBE_SECONDS = 60.0  # a slow machine under load; a QEMU that hangs ends here
_ANSWER_MAX = 16 << 20  # bytes of one answer; a schema has 0.3 million
_WORDS_MAX = 4096  # characters of QEMU's complaints that go into a message
_NAME_MAX = 256  # characters of the name of anything
_COUNT_MAX = 20000  # things in one list

# Users that QEMU may be probed as instead of root, first found first.
_USERS = ("libvirt-qemu", "qemu", "nobody")

# What of our environment a probed QEMU needs.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")

# Types of which the properties matter, for has("device:TYPE.PROPERTY").
DEVICES = (
    "virtio-blk-pci", "virtio-blk-device", "virtio-blk-ccw", "virtio-scsi-pci", "virtio-net-pci",
    "virtio-net-device", "virtio-balloon-pci", "virtio-balloon-device", "virtio-rng-pci",
    "virtio-serial-pci", "virtio-gpu-pci", "virtio-gpu-device", "virtio-vga", "virtio-vga-gl",
    "virtio-gpu-gl-pci", "virtio-mem-pci", "virtio-iommu-pci", "virtio-pmem-pci",
    "virtio-tablet-pci", "virtio-keyboard-pci", "virtio-mouse-pci", "virtio-input-host-pci",
    "virtio-9p-pci", "vhost-user-fs-pci", "vhost-user-blk-pci", "vhost-vsock-pci",
    "vhost-scsi-pci", "scsi-hd", "scsi-cd", "scsi-disk", "scsi-block", "scsi-generic", "ide-hd",
    "ide-cd", "usb-storage", "usb-host", "usb-redir", "usb-hub", "usb-tablet", "usb-audio",
    "usb-mtp", "usb-ehci", "piix3-usb-uhci", "piix4-usb-uhci", "ich9-usb-ehci1", "nec-usb-xhci",
    "qemu-xhci", "pcie-root-port", "pcie-pci-bridge", "pci-bridge", "pxb", "pxb-pcie",
    "ioh3420", "i82801b11-bridge", "x3130-upstream", "xio3130-downstream", "intel-iommu",
    "ICH9-LPC", "PIIX4_PM", "VGA", "vmware-svga", "qxl", "qxl-vga", "bochs-display", "ramfb",
    "cirrus-vga", "intel-hda", "ich9-intel-hda", "hda-output", "isa-debugcon", "isa-serial",
    "isa-fdc", "floppy", "nvdimm", "pc-dimm", "ivshmem-plain", "ivshmem-doorbell", "pvpanic",
    "pvpanic-pci", "vmcoreinfo", "vmgenid", "vfio-pci", "vfio-pci-nohotplug", "nvme", "nvme-ns",
    "megasas", "lsi53c895a", "e1000", "e1000e", "rtl8139", "vmxnet3", "i6300esb", "ib700",
    "tpm-tis", "tpm-crb", "tpm-spapr", "spapr-vscsi", "spapr-pci-host-bridge", "mc146818rtc",
    "fw_cfg_mem", "gpex-pcihost", "i440FX-pcihost", "q35-pcihost", "usb-ccid", "ccid-card-emulated",
    "ccid-card-passthru", "sb16", "AC97", "ES1370", "igb", "sga", "am53c974", "dc390", "mptsas1068",
    "pvscsi", "arm-smmuv3", "kvm-pit", "virtio-crypto-pci", "amd-iommu",
)  # fmt: skip
OBJECTS = (
    "memory-backend-file", "memory-backend-memfd", "memory-backend-ram", "memory-backend-epc",
    "iothread", "rng-random", "rng-egd", "rng-builtin", "secret", "secret_keyring",
    "tls-creds-x509", "throttle-group", "filter-mirror", "input-linux", "sev-guest",
    "s390-pv-guest",
    "pr-manager-helper", "cryptodev-backend-builtin", "can-bus", "thread-context",
)  # fmt: skip


def binaries(path: str | None = None) -> dict[str, str]:
    """The QEMU of each architecture (libvirt's names) found in PATH; the first one counts."""
    found: dict[str, str] = {}
    for directory in (path or os.environ.get("PATH") or os.defpath).split(os.pathsep):
        for suffix, arch in ARCHES.items():
            candidate = os.path.join(directory or ".", "qemu-system-" + suffix)
            if arch not in found and os.path.isabs(candidate) and _is_program(candidate):
                found[arch] = candidate
    return found


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def probe(binary: str, seconds: float = PROBE_SECONDS) -> QemuCaps:
    """Ask a binary everything. Raises: VirError when it is none, or does not answer in time."""
    if not os.path.exists(binary):
        text = f"Cannot check QEMU binary {binary}: No such file or directory"
        raise report(VIR_ERR_SYSTEM_ERROR, VIR_FROM_QEMU, text)
    if not _is_program(binary):
        text = f"QEMU binary {binary} is not executable"
        raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, text)
    end = time.monotonic() + seconds
    if not kvm_works():
        return _ask_all(binary, "tcg", end)
    with ThreadPoolExecutor(1, thread_name_prefix="qemu-probe") as pool:
        without = pool.submit(_ask_tcg, binary, end)
        caps = _ask_all(binary, "kvm:tcg", end)
        if caps.kvm:
            cpus, expanded = without.result()
            return _with(caps, cpus_tcg=cpus, host_cpu_tcg=expanded)
    return caps


def _with(caps: QemuCaps, **changes: Any) -> QemuCaps:
    import dataclasses

    return dataclasses.replace(caps, **changes)


# --- the process ----------------------------------------------------------------------------------


def _identity(binary: str) -> dict[str, Any]:
    """Arguments for Popen that give up root, when we are, to somebody who may run the binary."""
    if os.geteuid() != 0:
        return {}
    for name in _USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        groups = [user.pw_gid]
        with contextlib.suppress(OSError):
            groups.append(os.stat("/dev/kvm").st_gid)
        if _may_run(binary, user.pw_uid, groups):
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}
    return {}


def _may_run(path: str, user: int, groups: list[int]) -> bool:
    """Whether permissions let a user through to a program."""
    path = os.path.realpath(path)
    while True:
        try:
            seen = os.stat(path)
        except OSError:
            return False
        shift = 6 if seen.st_uid == user else 3 if seen.st_gid in groups else 0
        if not seen.st_mode >> shift & 1:
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


@contextlib.contextmanager
def _running(binary: str, accel: str, end: float) -> Iterator[qmp.Client]:
    """A QEMU without a machine, and its monitor."""
    ours, theirs = socket.socketpair()
    words, mouth = os.pipe()  # which holds only so much, whatever the other side says
    os.set_blocking(words, False)
    # With the process that asks, the one that answers has to end.
    setpriv = shutil.which("setpriv")
    command = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    command += [
        binary, "-S", "-no-user-config", "-nodefaults", "-nographic",
        "-machine", f"none,accel={accel}",
        "-chardev", f"socket,id=monitor,fd={theirs.fileno()}",
        "-mon", "chardev=monitor,mode=control",
    ]  # fmt: skip
    process = None
    try:
        try:
            process = _start(binary, command, theirs.fileno(), mouth)
        except OSError as wrong:
            raise _failed(wrong.strerror or str(wrong)) from None
        theirs.close()
        try:
            left = max(end - time.monotonic(), 0.001)
            # Without out-of-band QEMU pauses after each command, also in a batch.
            with qmp.connect(
                fd=ours.detach(), timeout=left, oob=True, max_line=_ANSWER_MAX
            ) as client:
                yield client
        except qmp.QMPError:
            raise
        except VirError as wrong:
            process.kill()
            process.wait()
            raise _failed(_complaints(words) or wrong.str2 or wrong.message) from None
    finally:
        if process is not None and process.poll() is None:
            process.kill()
        if process is not None:
            process.wait()
        ours.close()
        theirs.close()
        os.close(words)
        os.close(mouth)


def _failed(words: str) -> VirError:
    text = f"Failed to probe QEMU binary with QMP: {words}"
    return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, text)


def _start(binary: str, command: list[str], fd: int, mouth: int) -> subprocess.Popen[bytes]:
    arguments: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": mouth,
        "stderr": mouth,
        "pass_fds": (fd,),
        "cwd": "/",
        "env": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        | {"LC_ALL": "C", "HOME": "/nonexistent"},
        "start_new_session": True,
    }
    try:
        return subprocess.Popen(command, **arguments, **_identity(binary))
    except PermissionError:  # a root that may not become somebody else, as in some containers
        return subprocess.Popen(command, **arguments)


def _complaints(words: int) -> str:
    try:
        text = os.read(words, _WORDS_MAX).decode("utf-8", "replace")
    except BlockingIOError:
        return ""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text).strip()


# --- questions and answers ------------------------------------------------------------------------


def _ask_all(binary: str, accel: str, end: float) -> QemuCaps:
    commands: list[tuple[str, dict[str, Any] | None]] = [
        ("query-version", None),
        ("query-target", None),
        ("query-kvm", None),
        ("query-machines", None),
        ("query-cpu-definitions", None),
        ("qom-list-types", {"implements": "device", "abstract": False}),
        ("qom-list-types", {"implements": "user-creatable", "abstract": False}),
        ("qom-list-types", {"abstract": False}),
        ("query-qmp-schema", None),
        ("query-command-line-options", None),
        ("query-tpm-models", None),
        ("query-tpm-types", None),
        ("query-gic-capabilities", None),
        ("query-sev-capabilities", None),
        ("query-cpu-model-expansion", {"type": "full", "model": {"name": "host"}}),
        ("query-cpu-model-expansion", {"type": "full", "model": {"name": "max"}}),
    ]
    with _running(binary, accel, end) as client:
        (
            version, target, kvm, machines, cpus, devices, creatable, types, schema, options,
            tpm_models, tpm_types, gic, sev, cpu_host, cpu_max,
        ) = _many(client, commands, end)  # fmt: skip
        if version is None or target is None:
            raise report(
                VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, f"{binary} does not tell its version"
            )
        device_names = _names(devices)
        type_names = _names(types)
        known_machines = _machines(machines)
        wanted = [name for name in DEVICES if name in device_names]
        wanted_objects = [name for name in OBJECTS if name in type_names]
        wanted_objects += [name for name in _machine_types(known_machines) if name in type_names]
        asked: list[tuple[str, dict[str, Any] | None]] = [
            *(("device-list-properties", {"typename": name}) for name in wanted),
            *(("qom-list-properties", {"typename": name}) for name in wanted_objects),
        ]
        details = _many(client, asked, end)
    known = Schema(schema)
    has_kvm = isinstance(kvm, dict) and kvm.get("enabled") is True and kvm.get("present") is True
    models = _cpus(cpus)
    return QemuCaps(
        binary=binary,
        version=_version(version),
        package=_text(version, "package"),
        arch=ARCHES.get(_text(target, "arch"), _text(target, "arch")),
        kvm=has_kvm,
        machines=known_machines,
        cpus_tcg=() if has_kvm else models,
        cpus_kvm=models if has_kvm else (),
        devices=frozenset(device_names),
        objects=frozenset(_names(creatable)) or frozenset(type_names),
        commands=known.commands,
        events=known.events,
        features=known.features(),
        options=_options(options),
        device_props=_sets(wanted, details),
        object_props=_sets(wanted_objects, details[len(wanted) :]),
        tpm_models=_strings(tpm_models),
        tpm_types=_strings(tpm_types),
        gic=_gics(gic),
        sev=sev is not None,
        host_cpu_kvm=_expanded(cpu_host) if has_kvm else {},
        host_cpu_tcg={} if has_kvm else _expanded(cpu_max),
    )


def _ask_tcg(binary: str, end: float) -> tuple[tuple[Cpu, ...], dict[str, Any]]:
    commands: list[tuple[str, dict[str, Any] | None]] = [
        ("query-cpu-definitions", None),
        ("query-cpu-model-expansion", {"type": "full", "model": {"name": "max"}}),
    ]
    with _running(binary, "tcg", end) as client:
        cpus, expanded = _many(client, commands, end)
    return _cpus(cpus), _expanded(expanded)


def _many(
    client: qmp.Client, commands: list[tuple[str, dict[str, Any] | None]], end: float
) -> list[Any]:
    """The values of all commands; None for those that QEMU refuses or does not know."""
    values = client.execute_many(commands, timeout=max(end - time.monotonic(), 0.001))
    return [None if isinstance(value, VirError) else value for value in values]


def _items(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list."""
    for each in value[:_COUNT_MAX] if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield each


def _text(value: Any, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return found[:_NAME_MAX] if isinstance(found, str) else ""


def _names(value: Any) -> list[str]:
    return [_text(each, "name") for each in _items(value) if _text(each, "name")]


def _strings(value: Any) -> tuple[str, ...]:
    each_of = value[:_COUNT_MAX] if isinstance(value, list) else ()
    return tuple(each[:_NAME_MAX] for each in each_of if isinstance(each, str))


def _version(value: Any) -> tuple[int, int, int]:
    numbers = value.get("qemu") if isinstance(value, dict) else None
    parts = [_count(numbers, part) for part in ("major", "minor", "micro")]
    return parts[0], parts[1], parts[2]


def _count(value: Any, key: str) -> int:
    found = value.get(key) if isinstance(value, dict) else None
    return found if type(found) is int and 0 <= found < 1 << 31 else 0


def _machines(value: Any) -> tuple[Machine, ...]:
    return tuple(
        Machine(
            name=_text(each, "name"),
            alias=_text(each, "alias") or None,
            default=each.get("is-default") is True,
            max_cpus=_count(each, "cpu-max"),
            hotplug_cpus=each.get("hotpluggable-cpus") is True,
            default_cpu=_text(each, "default-cpu-type") or None,
            default_ram_id=_text(each, "default-ram-id") or None,
            numa_mem_supported=each.get("numa-mem-supported") is True,
            deprecated=each.get("deprecated") is True,
        )
        for each in _items(value)
        if _text(each, "name")
    )


def _machine_types(machines: Iterable[Machine]) -> list[str]:
    """QOM types of the machines behind the usual names."""
    return [
        machine.name + "-machine"
        for machine in machines
        if machine.alias in ("pc", "q35", "virt", "pseries", "s390-ccw-virtio") or machine.default
    ]


def _cpus(value: Any) -> tuple[Cpu, ...]:
    found = []
    for each in _items(value):
        blockers = each.get("unavailable-features")
        found.append(
            Cpu(
                name=_text(each, "name"),
                typename=_text(each, "typename"),
                usable=not blockers if isinstance(blockers, list) else None,
                blockers=_strings(blockers),
                deprecated=each.get("deprecated") is True,
                static=each.get("static") is True,
                migration_safe=each.get("migration-safe") is True,
                alias_of=_text(each, "alias-of") or None,
            )
        )
    return tuple(found)


def _options(value: Any) -> dict[str, frozenset[str]]:
    return {
        _text(each, "option"): frozenset(_names(each.get("parameters")))
        for each in _items(value)
        if _text(each, "option")
    }


def _sets(names: list[str], values: list[Any]) -> dict[str, frozenset[str]]:
    return {
        name: frozenset(_names(value))
        for name, value in zip(names, values, strict=False)
        if value is not None
    }


def _gics(value: Any) -> tuple[tuple[int, bool, bool], ...]:
    return tuple(
        (_count(each, "version"), each.get("emulated") is True, each.get("kernel") is True)
        for each in _items(value)
    )


def _expanded(value: Any) -> dict[str, Any]:
    """Properties of an expanded CPU model that are plain values."""
    model = value.get("model") if isinstance(value, dict) else None
    props = model.get("props") if isinstance(model, dict) else None
    if not isinstance(props, dict):
        return {}
    return {
        name: each
        for name, each in list(props.items())[:_COUNT_MAX]
        if isinstance(each, (bool, int, str))
    }
