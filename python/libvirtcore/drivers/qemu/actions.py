# SPDX-License-Identifier: LGPL-2.1-or-later
"""actions.py: what shall happen when a guest powers off, reboots or crashes.

Called by: drivers.qemu.lifecycle. Calls: the monitor, where QEMU must know.
Never: changes a guest that is neither running nor defined.
"""

from __future__ import annotations

from libvirtcore.drivers.qemu.base import CONFIG, LIVE, affected, replace_config, save_live
from libvirtcore.drivers.qemu.guest import Guest
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.qmp import QMPError

_FIELDS = {
    c.VIR_DOMAIN_LIFECYCLE_POWEROFF: "on_poweroff",
    c.VIR_DOMAIN_LIFECYCLE_REBOOT: "on_reboot",
    c.VIR_DOMAIN_LIFECYCLE_CRASH: "on_crash",
}
_ACTIONS = (
    "destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart",
)  # fmt: skip


def _unsupported(what: str) -> VirError:
    return report(
        c.VIR_ERR_CONFIG_UNSUPPORTED, c.VIR_FROM_QEMU, f"qemu driver doesn't support {what}"
    )


def set_action(guest: Guest, kind: int, action: int, flags: int) -> None:
    """Set one action; the job is held. Raises: VirError."""
    field = _FIELDS.get(kind)
    if field is None or not 0 <= action < len(_ACTIONS):
        raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, "Invalid lifecycle type or action")
    word = _ACTIONS[action]
    if field != "on_crash" and word in ("preserve", "rename-restart"):
        raise _unsupported(f"the '{word}' action for 'on_reboot'/'on_poweroff'")
    if word == "rename-restart" or (field != "on_crash" and word.startswith("coredump-")):
        raise _unsupported(f"the '{word}' action for '{field}'")
    flags = affected(guest, flags)
    config = guest.config.copy() if flags & CONFIG and guest.config else None
    for model in (guest.live if flags & LIVE else None, config):
        if model is None or field == "on_crash":
            continue
        wanted = {"on_poweroff": model.on_poweroff, "on_reboot": model.on_reboot, field: word}
        if wanted["on_reboot"] == "destroy" and wanted["on_poweroff"] == "restart":
            raise _unsupported("'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'")
    if flags & LIVE and guest.live is not None:
        if field == "on_reboot":
            reboot = "shutdown" if word in ("destroy", "preserve") else "reset"
            try:
                guest.monitor().execute("set-action", {"reboot": reboot})
            except QMPError as refused:
                raise report(
                    c.VIR_ERR_OPERATION_UNSUPPORTED, c.VIR_FROM_QEMU, refused.desc
                ) from None
        with guest.lock:
            setattr(guest.live, field, word)
        save_live(guest)
    if config is not None:
        setattr(config, field, word)
        replace_config(guest, config)
