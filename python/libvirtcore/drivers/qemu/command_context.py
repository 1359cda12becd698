# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_context.py: what a command line needs to know beside the model.

Called by: drivers.qemu.start. Calls: command.
Never: starts or makes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libvirtcore.drivers.qemu import command

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.caps import QemuCaps
    from libvirtcore.drivers.qemu.qemu_conf import QemuConf
    from libvirtcore.drivers.qemu.resources import Resources
    from libvirtcore.drivers.qemu.start import Wish


def build(
    model: Domain, caps: QemuCaps, resources: Resources, monitor: int, wish: Wish
) -> command.Command:
    """The command of a model for which everything is prepared. Raises: VirError."""
    conf = resources.host.conf
    first = len(wish.fds) + 1 if wish.fds else 0  # sets of files that we opened
    context = command.Context(
        lib_dir=resources.folder,
        monitor=monitor,
        incoming=wish.incoming,
        ram_dir=resources.ram_dir,
        hugepage_dirs=resources.hugepage_dirs,
        vhosts=resources.vhosts,
        vsocks=resources.vsocks,
        fdsets={name: (first + place, fd) for name, (place, fd) in resources.fdsets.items()},
        master_key=resources.master_key,
        sockets=resources.sockets,
        taps=resources.taps,
        passt=resources.passt,
        sandbox=conf.seccomp_sandbox != 0,
        timestamps=conf.log_timestamp,
        vnc_tls_dir=_vnc_tls_dir(conf),
        vnc_tls_verify=conf.vnc_tls_x509_verify,
        vnc_sasl=conf.vnc_sasl,
        vnc_password=bool(conf.vnc_password),
        process_name=conf.set_process_name,
        dump_guest_core=conf.dump_guest_core,
        deprecation=conf.deprecation_behavior,
    )
    built = command.build(model, caps, context)
    for place, fd in enumerate(wish.fds, 1):  # the user's files, as /dev/fdset/1 and so on
        for each in (fd, *resources.twin(fd)):
            built.argv.extend(("-add-fd", f"set={place},fd={each}"))
    if conf.vnc_sasl and conf.vnc_sasl_dir:
        built.env["SASL_CONF_PATH"] = conf.vnc_sasl_dir
    return built


def _vnc_tls_dir(conf: QemuConf) -> str | None:
    if not conf.vnc_tls:
        return None
    general = "default_tls_x509_cert_dir"
    if "vnc_tls_x509_cert_dir" not in conf.given and general in conf.given:
        return conf.default_tls_x509_cert_dir
    return conf.vnc_tls_x509_cert_dir
