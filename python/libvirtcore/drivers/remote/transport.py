# SPDX-License-Identifier: LGPL-2.1-or-later
"""transport.py: from an understood URI to a connected descriptor.

Called by: driver.py.
Never: speaks a word of the RPC protocol.
"""

from __future__ import annotations

from libvirtcore.drivers.remote import child, ssh, tcp, tls, unix
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.options import SSH, Options


def dial(options: Options) -> Link:
    """Connect.

    Raises: VirError saying what could not be reached, and why.
    """
    if options.transport == "unix":
        return unix.dial(options)
    if options.transport == "tcp":
        return Link(tcp.connect(options).detach(), peer=options.host)
    if options.transport == "tls":
        return tls.dial(options)
    if options.transport in SSH:
        return ssh.dial(options)
    assert options.command is not None
    return child.dial([options.command], secure=False, peer=options.host)
