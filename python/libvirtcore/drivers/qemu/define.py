# SPDX-License-Identifier: LGPL-2.1-or-later
"""define.py: define, undefine and rename domains, show their documents, start them with the host.

Called by: drivers.qemu.driver (mixin). Calls: model, store.
Never: changes a running QEMU.
"""

from __future__ import annotations

import os

from libvirtcore.drivers.qemu import documents, files
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import Guest, check_flags, invalid, system_error
from libvirtcore.drivers.qemu.save_file import managed_path
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_UNDEFINE = (
    c.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | c.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | c.VIR_DOMAIN_UNDEFINE_NVRAM
    | c.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
    | c.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | c.VIR_DOMAIN_UNDEFINE_TPM
    | c.VIR_DOMAIN_UNDEFINE_KEEP_TPM
)
_XML = (
    c.VIR_DOMAIN_XML_SECURE
    | c.VIR_DOMAIN_XML_INACTIVE
    | c.VIR_DOMAIN_XML_UPDATE_CPU
    | c.VIR_DOMAIN_XML_MIGRATABLE
)


class DefineCalls(Calls):
    """The calls about what a domain shall be."""

    def domain_define_xml(self, xml: str) -> DomainHandle:
        return self.domain_define_xml_flags(xml, 0)

    def domain_define_xml_flags(self, xml: str, flags: int) -> DomainHandle:
        check_flags("qemuDomainDefineXMLFlags", flags, c.VIR_DOMAIN_DEFINE_VALIDATE)
        host = self.host
        strict = bool(flags & c.VIR_DOMAIN_DEFINE_VALIDATE)
        model = documents.read(host, xml, strict=strict)
        with host.defining:
            guest = host.claim(model, active_ok=True)
            detail = c.VIR_DOMAIN_EVENT_DEFINED_ADDED
            host.store.save_config(model)
            if guest is None:
                guest = Guest(host, model.name, documents.uuid_bytes(model))
                guest.config = model
                host.add(guest)
            else:
                with guest.lock:
                    if guest.config is not None or guest.active:
                        detail = c.VIR_DOMAIN_EVENT_DEFINED_UPDATED
                    guest.config = model
                    host.add(guest)  # it may have been on its way out
            guest.updated = False
            guest.tell(c.VIR_DOMAIN_EVENT_DEFINED, detail)
        return self._handle(guest)

    def domain_undefine(self, dom: DomainHandle) -> None:
        self.domain_undefine_flags(dom, 0)

    def domain_undefine_flags(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainUndefineFlags", flags, _UNDEFINE)
        _contradicts(flags, "NVRAM")
        _contradicts(flags, "TPM")
        host = self.host
        with self._job(dom, "DomainUndefineFlags") as guest, host.defining:
            if not guest.persistent:
                raise invalid("cannot undefine transient domain")
            image = managed_path(host, guest.name)
            if os.path.exists(image):
                if not flags & c.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE:
                    raise invalid("Refusing to undefine while domain managed save image exists")
                if not files.remove(image):
                    raise invalid("Failed to remove domain managed save image")
            self._undefine_nvram(guest, flags)
            host.store.remove_config(guest.name)
            with guest.lock:
                guest.config, guest.autostart = None, False
                gone = not guest.active and guest.run is None
                guest.tell(c.VIR_DOMAIN_EVENT_UNDEFINED, c.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED)
                if gone:
                    host.remove(guest)

    def _undefine_nvram(self, guest: Guest, flags: int) -> None:
        """What becomes of the firmware's variables. Raises: VirError."""
        model = guest.config
        nvram = getattr(getattr(model, "os", None), "nvram", None)
        path = getattr(nvram, "value", None) or getattr(
            getattr(nvram, "source", None), "file", None
        )
        if not isinstance(path, str) or not os.path.exists(path):
            return
        if flags & c.VIR_DOMAIN_UNDEFINE_NVRAM:
            try:
                os.unlink(path)
            except OSError as fault:
                raise system_error(fault, f"failed to remove nvram: {path}") from None
        elif not flags & c.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM:
            raise invalid("cannot undefine domain with nvram")

    def domain_rename(self, dom: DomainHandle, new_name: str | None, flags: int) -> int:
        check_flags("qemuDomainRename", flags, 0)
        host = self.host
        name = new_name or ""
        if "/" in name:
            raise report(c.VIR_ERR_XML_ERROR, c.VIR_FROM_QEMU, f"name {name} cannot contain '/'")
        if "\n" in name:
            raise report(c.VIR_ERR_XML_DETAIL, c.VIR_FROM_CONF, "invalid char in name: \n")
        documents.check_name(host, name)
        with self._job(dom, "DomainRename") as guest, host.defining:
            self._check_rename(guest, name)
            old = guest.name
            config = guest.config
            assert config is not None
            renamed = config.copy()
            renamed.name = name
            host.store.save_config(renamed)
            autostart = guest.autostart
            host.store.remove_config(old)
            if autostart:
                host.store.set_autostart(name, True)
            with guest.lock:
                guest.tell(c.VIR_DOMAIN_EVENT_UNDEFINED, c.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED)
                host.remove(guest)
                guest.name, guest.config = name, renamed
                host.add(guest)
                guest.tell(c.VIR_DOMAIN_EVENT_DEFINED, c.VIR_DOMAIN_EVENT_DEFINED_RENAMED)
        return 0

    def _check_rename(self, guest: Guest, name: str) -> None:
        if guest.name == name:
            raise report(
                c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_DOMAIN, "Can't rename domain to itself"
            )
        if name in self.host.by_name:
            raise report(
                c.VIR_ERR_OPERATION_INVALID,
                c.VIR_FROM_DOMAIN,
                f"domain with name '{name}' already exists",
            )
        if not guest.persistent:
            raise invalid("cannot rename a transient domain")
        if guest.active:
            raise invalid("cannot rename active domain")
        if os.path.exists(managed_path(self.host, guest.name)):
            raise invalid("domain with a managed saved state can't be renamed")

    # --- documents --------------------------------------------------------------------------------

    def domain_get_xml_desc(self, dom: DomainHandle, flags: int) -> str:
        check_flags("qemuDomainGetXMLDesc", flags, _XML)
        guest = self.host.find(dom)
        with guest.lock:
            if flags & c.VIR_DOMAIN_XML_MIGRATABLE:
                flags |= c.VIR_DOMAIN_XML_INACTIVE | c.VIR_DOMAIN_XML_SECURE
            model = guest.config if flags & c.VIR_DOMAIN_XML_INACTIVE else guest.live
            model = model or guest.model()
            if flags & c.VIR_DOMAIN_XML_UPDATE_CPU:
                model = model.copy()
                documents.resolve_cpu(model)
            if flags & c.VIR_DOMAIN_XML_MIGRATABLE:
                model = documents.migratable(model)
            return model.format(flags)

    def domain_get_os_type(self, dom: DomainHandle) -> str:
        model = self.host.find(dom).model()
        kind = model.os.type if model.os is not None else None
        return str(kind.value) if kind is not None else "hvm"

    # --- autostart --------------------------------------------------------------------------------

    def domain_get_autostart(self, dom: DomainHandle) -> int:
        return int(self.host.find(dom).autostart)

    def domain_set_autostart(self, dom: DomainHandle, autostart: int) -> None:
        with self._job(dom, "DomainSetAutostart") as guest:
            if not guest.persistent:
                raise invalid("cannot set autostart for transient domain")
            if guest.autostart != bool(autostart):
                self.host.store.set_autostart(guest.name, bool(autostart))
                guest.autostart = bool(autostart)


def _contradicts(flags: int, what: str) -> None:
    drop = getattr(c, f"VIR_DOMAIN_UNDEFINE_{what}")
    keep = getattr(c, f"VIR_DOMAIN_UNDEFINE_KEEP_{what}")
    if flags & drop and flags & keep:
        raise report(
            c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_QEMU, f"cannot both keep and delete {what}"
        )
