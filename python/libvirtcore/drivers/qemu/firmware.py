# SPDX-License-Identifier: LGPL-2.1-or-later
"""firmware.py: <os firmware='…'> → firmware images, by the descriptors QEMU's packages bring.

A descriptor is a JSON file that says what an image is good for. All folders are read, a file in a
later folder hides one of the same name in an earlier one (an empty file hides it altogether), and
the first match in the order of names is taken.
Called by: drivers.qemu.start (choose, make_nvram), domxml-to-native. Calls: conf, errors.
Never: trusts a descriptor to be well-formed.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from libvirtcore.conf.boot import Loader, Nvram
from libvirtcore.conf.features import Features, Smm
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_OPERATION_FAILED,
    VIR_FROM_QEMU,
)

FOLDERS = ("/usr/share/qemu/firmware", "/etc/qemu/firmware")
MAX_DESCRIPTOR = 1 << 20
INTERFACES = {"efi": "uefi", "bios": "bios"}


def descriptors(folders: Iterable[str] = FOLDERS) -> Iterator[dict[str, Any]]:
    """The descriptors of a host in the order in which they are tried."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        found.update({name: os.path.join(folder, name) for name in names if name.endswith(".json")})
    for name in sorted(found):
        try:
            with open(found[name], "rb") as file:
                value = json.loads(file.read(MAX_DESCRIPTOR))
        except (OSError, ValueError):
            continue
        if isinstance(value, dict):
            yield value


def choose(dom: Any, nvram_dir: str, folders: Iterable[str] = FOLDERS) -> bool:
    """Name the images of the firmware a definition asks for; whether it asked.

    Raises: VirError when nothing on this host will do.
    """
    kind = dom.os.firmware
    if kind is None or (dom.os.loader is not None and dom.os.loader.value):
        return False
    for descriptor in descriptors(folders):
        if _matches(dom, kind, descriptor):
            _use(dom, descriptor, nvram_dir)
            return True
    raise report(
        VIR_ERR_OPERATION_FAILED, VIR_FROM_QEMU, f"Unable to find any firmware to satisfy '{kind}'"
    )


def _list(value: Any, key: str) -> list[Any]:
    items = value.get(key) if isinstance(value, dict) else None
    return items if isinstance(items, list) else []


def _matches(dom: Any, kind: str, descriptor: dict[str, Any]) -> bool:
    if INTERFACES.get(kind) not in _list(descriptor, "interface-types"):
        return False
    if not any(_target(dom, target) for target in _list(descriptor, "targets")):
        return False
    if _images(descriptor) is None:
        return False
    features = _list(descriptor, "features")
    for wanted in dom.os.firmware_.features if dom.os.firmware_ is not None else ():
        if wanted.enabled != (wanted.name in features):
            return False
    if dom.os.loader is not None and dom.os.loader.secure and "requires-smm" not in features:
        return False
    for name, feature in (("suspend_to_mem", "acpi-s3"), ("suspend_to_disk", "acpi-s4")):
        sleep = getattr(dom.pm, name, None) if dom.pm is not None else None
        if sleep is not None and sleep.enabled and feature not in features:
            return False
    security = getattr(dom, "launch_security", None)
    return security is None or security.type != "sev" or "amd-sev" in features


def _target(dom: Any, target: Any) -> bool:
    if not isinstance(target, dict) or target.get("architecture") != dom.os.type.arch:
        return False
    machine = dom.os.type.machine
    return any(isinstance(name, str) and fnmatch.fnmatchcase(machine, name)
               for name in _list(target, "machines"))  # fmt: skip


def _images(descriptor: dict[str, Any]) -> tuple[str, str, str | None] | None:
    """(device, image, template of the variables); None when we cannot use it."""
    mapping = descriptor.get("mapping")
    if not isinstance(mapping, dict):
        return None
    device = mapping.get("device")
    if device == "memory":
        name = mapping.get("filename")
        return ("memory", name, None) if isinstance(name, str) else None
    if device != "flash":
        return None
    executable, template = mapping.get("executable"), mapping.get("nvram-template")
    if not isinstance(executable, dict) or executable.get("format") != "raw":
        return None
    name = executable.get("filename")
    if not isinstance(name, str):
        return None
    if mapping.get("mode") == "stateless":
        return "flash", name, None
    if not isinstance(template, dict) or template.get("format") != "raw":
        return None
    copied = template.get("filename")
    return ("flash", name, copied) if isinstance(copied, str) else None


def _use(dom: Any, descriptor: dict[str, Any], nvram_dir: str) -> None:
    images = _images(descriptor)
    assert images is not None
    device, name, template = images
    if device == "memory":
        dom.os.loader = Loader(type="rom", value=name)
        return
    loader = dom.os.loader = Loader(type="pflash", readonly=True, value=name)
    if template is None:
        loader.stateless = True
    else:
        nvram = dom.os.nvram = dom.os.nvram or Nvram()
        nvram.template = nvram.template or template
        if nvram.source is None and not nvram.value:
            nvram.value = os.path.join(nvram_dir, f"{dom.name}_VARS.fd")
    if "requires-smm" in _list(descriptor, "features"):
        dom.features = dom.features or Features()
        smm = dom.features.smm = dom.features.smm or Smm(state=True)
        if smm.state is False:
            raise report(
                VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU,
                "domain has SMM turned off but chosen firmware requires it",
            )  # fmt: skip
        loader.secure = True


def known_template(dom: Any, pairs: Iterable[str]) -> None:
    """Name the template of the variables of a loader that `pairs` know, as LOADER:TEMPLATE."""
    loader = dom.os.loader
    if loader is None or not loader.value or loader.stateless:
        return
    for pair in pairs:
        image, _, template = pair.partition(":")
        if image == loader.value:
            nvram = dom.os.nvram = dom.os.nvram or Nvram()
            nvram.template = nvram.template or template


def make_nvram(dom: Any, *, reset: bool = False) -> str | None:
    """Copy the variables' template to where the guest keeps its own; the path, if there is one.

    Raises: OSError, VirError when there is nothing to copy.
    """
    nvram = dom.os.nvram
    if dom.os.loader is None or dom.os.loader.type != "pflash":
        return None
    path: str | None = None if nvram is None else nvram.value
    if nvram is not None and nvram.source is not None:
        path = nvram.source.file
    if path is None or (os.path.exists(path) and not reset):
        return path
    if not nvram.template:
        raise report(
            VIR_ERR_OPERATION_FAILED, VIR_FROM_QEMU,
            f"unable to find any master var store for loader: {dom.os.loader.value}",
        )  # fmt: skip
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as out, open(nvram.template, "rb") as source:
            shutil.copyfileobj(source, out)
            out.flush()
            os.fsync(out.fileno())
        os.rename(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise
    return path
