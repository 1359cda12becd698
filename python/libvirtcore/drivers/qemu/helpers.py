# SPDX-License-Identifier: LGPL-2.1-or-later
"""helpers.py: programs beside QEMU that a guest's devices need: what is missing is said at start.

Called by: drivers.qemu.resources. Calls: errors.
Never: starts one: TPM emulators and virtiofsd are not started yet, but may be given as sockets.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu.guest import internal
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf import Domain

VHOST_USER = "/usr/share/qemu/vhost-user"
_PATH = "/usr/bin:/usr/local/bin:/bin"
_MAX = 1 << 16


def check(model: Domain) -> None:
    """Refuse devices whose helper is missing or is not started by us. Raises: VirError."""
    for tpm in model.devices.tpms:
        backend: Any = tpm.backend
        if backend is not None and backend.type == "emulator":
            _tpm(backend)
    for device in model.devices.filesystems:
        source: Any = device.source
        driver = device.driver.type if device.driver is not None else None
        if driver == "virtiofs" and not (source is not None and source.socket):
            _virtiofs(device)


def _unsupported(message: str) -> Exception:
    return report(c.VIR_ERR_CONFIG_UNSUPPORTED, c.VIR_FROM_QEMU, message)


def _tpm(backend: Any) -> None:
    if shutil.which("swtpm", path=_PATH) is None:
        raise _unsupported(f"TPM version '{backend.version or '2.0'}' is not supported")
    raise _unsupported(
        "TPM emulators are not started by this driver; start swtpm and name its socket with"
        " <backend type='external'>"
    )


def _virtiofs(device: Any) -> None:
    path = device.binary.path if device.binary is not None else None
    program = path or virtiofsd()
    if program is None:
        raise _unsupported("Unable to find a satisfying virtiofsd")
    if not os.access(program, os.X_OK) or not os.path.isfile(program):
        raise internal(f"virtiofsd binary '{program}' is not executable")
    raise _unsupported(
        "virtiofsd is not started by this driver; start it and name its socket with"
        " <source socket='…'/>"
    )


def virtiofsd(folder: str = VHOST_USER) -> str | None:
    """The file server that the host's packages bring, by their descriptors."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except OSError:
        return None
    for name in names:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                said = json.loads(file.read(_MAX))
        except (OSError, ValueError):
            continue
        if isinstance(said, dict) and said.get("type") == "fs":
            binary = said.get("binary")
            if isinstance(binary, str):
                return binary
    return None
