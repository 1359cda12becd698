# SPDX-License-Identifier: LGPL-2.1-or-later
"""labels.py: the <seclabel> of a guest that starts: under which user and group its QEMU runs.

Called by: drivers.qemu.start. Calls: errors.
Never: changes to whom a file belongs (ownership does); accepts a label that would not come true.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from libvirtcore.conf.security import DomainSeclabel
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.host import Host


def settle(model: Domain, host: Host) -> None:
    """Write into a model the label its QEMU gets. Raises: VirError for one it cannot get."""
    account = host.account
    uid, gid = (os.geteuid(), os.getegid()) if account is None else (account.uid, account.gid)
    stated = False
    for label in model.seclabels:
        if label.model not in (None, "dac", "none"):
            raise report(
                c.VIR_ERR_CONFIG_UNSUPPORTED,
                c.VIR_FROM_SECURITY,
                f"Security driver model '{label.model}' is not available",
            )
        if label.type == "static" and label.label is not None:
            if label.label.replace("+", "") != f"{uid}:{gid}":
                raise report(
                    c.VIR_ERR_CONFIG_UNSUPPORTED,
                    c.VIR_FROM_SECURITY,
                    f"the label '{label.label}' is not supported: QEMU runs as {uid}:{gid}",
                )
            label.imagelabel = label.label
        if label.type == "dynamic" and label.model in (None, "dac"):
            label.model, label.relabel = "dac", label.relabel if label.relabel is False else True
            label.label = label.imagelabel = f"+{uid}:+{gid}"
        stated = stated or label.model == "dac"
    if host.privileged and not stated:
        text = f"+{uid}:+{gid}"
        model.seclabels.append(
            DomainSeclabel(type="dynamic", model="dac", relabel=True, label=text, imagelabel=text)
        )
