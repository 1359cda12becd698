# SPDX-License-Identifier: LGPL-2.1-or-later
"""store.py: what a host keeps on disk: definitions, autostart links, the status of running guests.

    config/NAME.xml             the definition
    config/autostart/NAME.xml   a link to it: start with the host
    state/NAME.xml              the guest runs: its process, its monitor, what it is now
    state/NAME.pid              its process number, for people

What cannot be read is reported in the log and left alone.
Called by: drivers.qemu.host, define, start, stop, reconnect. Calls: files, conf.
Never: changes a file in place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING
from xml.parsers import expat

from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu import files
from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.log import ERROR, log

if TYPE_CHECKING:
    from libvirtcore.drivers.qemu.paths import Paths

LIMIT = 16 << 20  # bytes of a file that are read
_SOURCE = "drivers.qemu.store"
_NOTE = """\
<!--
This file belongs to libvirt and is written anew at every change. Edit the guest with `virsh edit`
or through the API.
-->

"""


@dataclass(slots=True)
class Status:
    """What is on record of a running guest. Texts and numbers only; see reconnect.py for use."""

    pid: int = 0
    started: int = 0  # of the process, in ticks since the boot
    boot: str = ""  # which boot
    id: int = -1
    state: int = 0
    reason: int = 0
    phase: str = ""
    folder: str = ""  # holds the monitor's socket
    mortal: bool = False  # it should have died with the process that started it
    fake_reboot: bool = False
    transient: bool = False
    job: str = ""  # the long operation that was under way
    xml: str = ""  # what the guest is now


class Store:
    """The files of one host."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths

    def tidy(self) -> None:
        """Remove what writers that were killed have left."""
        for folder in (self.paths.config, self.paths.autostart, self.paths.state, self.paths.save):
            files.remove_pending(folder)

    # --- definitions ------------------------------------------------------------------------------

    def config_path(self, name: str) -> str:
        return os.path.join(self.paths.config, f"{name}.xml")

    def save_config(self, model: Domain) -> None:
        """Write a definition. Raises: VirError."""
        xml = model.format(c.VIR_DOMAIN_XML_SECURE | c.VIR_DOMAIN_XML_INACTIVE)
        self._write(self.config_path(model.name), _NOTE + xml)

    def remove_config(self, name: str) -> None:
        """Forget a definition and whether it starts with the host. Raises: VirError."""
        self.set_autostart(name, False)
        path = self.config_path(name)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as fault:
            raise system_error(fault, f"cannot remove config {path}") from None
        files.sync_folder(self.paths.config)

    def configs(self) -> Iterator[tuple[str, Domain]]:
        """All definitions that can be read, by the name of their file."""
        for name, text in self._documents(self.paths.config):
            try:
                model = Domain.parse(text, 0)
            except (VirError, ValueError) as fault:
                _complain(self.config_path(name), fault)
                continue
            if model.name != name:
                _complain(self.config_path(name), f"it defines a domain named '{model.name}'")
                continue
            yield name, model

    # --- autostart --------------------------------------------------------------------------------

    def autostart_path(self, name: str) -> str:
        return os.path.join(self.paths.autostart, f"{name}.xml")

    def has_autostart(self, name: str) -> bool:
        return os.path.islink(self.autostart_path(name))

    def set_autostart(self, name: str, on: bool) -> None:
        """Make or remove the link. Raises: VirError."""
        link = self.autostart_path(name)
        try:
            if on and not os.path.islink(link):
                os.symlink(self.config_path(name), link)
            elif not on:
                os.unlink(link)
        except FileNotFoundError:
            pass
        except OSError as fault:
            what = "create symlink" if on else "delete symlink"
            raise system_error(fault, f"Failed to {what} '{link}'") from None

    # --- status -----------------------------------------------------------------------------------

    def status_path(self, name: str) -> str:
        return os.path.join(self.paths.state, f"{name}.xml")

    def pid_path(self, name: str) -> str:
        return os.path.join(self.paths.state, f"{name}.pid")

    def save_status(self, name: str, status: Status) -> None:
        """Write what a running guest is. Raises: VirError."""
        facts = []
        for field in fields(status):
            if field.name != "xml":
                value = getattr(status, field.name)
                text = str(int(value)) if isinstance(value, bool) else str(value)
                facts.append(f"{field.name}='{_quote(text)}'")
        document = f"<domstatus {' '.join(facts)}>\n{status.xml}</domstatus>\n"
        self._write(self.status_path(name), _NOTE + document, durable=False)

    def save_pid(self, name: str, pid: int) -> None:
        self._write(self.pid_path(name), f"{pid}\n", durable=False)

    def remove_status(self, name: str) -> None:
        files.remove(self.pid_path(name))
        files.remove(self.status_path(name))

    def statuses(self) -> Iterator[tuple[str, Status]]:
        """The status of all guests that ran when the last one wrote."""
        for name, text in self._documents(self.paths.state):
            try:
                yield name, parse_status(text)
            except (ValueError, expat.ExpatError) as fault:
                _complain(self.status_path(name), fault)

    # --- files ------------------------------------------------------------------------------------

    def _write(self, path: str, text: str, *, durable: bool = True) -> None:
        try:
            files.write(path, text.encode(), durable=durable)
        except OSError as fault:
            raise system_error(fault, f"Failed to create file '{path}'", c.VIR_FROM_NONE) from None

    def _documents(self, folder: str) -> Iterator[tuple[str, str]]:
        try:
            names = sorted(os.listdir(folder))
        except OSError as fault:
            _complain(folder, fault)
            return
        for name in names:
            path = os.path.join(folder, name)
            if name.startswith(".") and name.endswith(files.PENDING):
                continue
            if not name.endswith(".xml") or not os.path.isfile(path):
                continue
            try:
                yield name.removesuffix(".xml"), files.read(path, LIMIT).decode()
            except (OSError, UnicodeError) as fault:
                _complain(path, fault)


def parse_status(text: str) -> Status:
    """Take a status document apart. Raises: ValueError, ExpatError."""
    begin = text.find("<domstatus ")
    inner = text.find("\n", begin) + 1
    end = text.rfind("</domstatus>")
    if begin < 0 or inner <= 0 or end < inner:
        raise ValueError("it is no status document, or not all of it is there")
    found: dict[str, str] = {}
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda _tag, attributes: found.update(attributes)
    parser.Parse(text[begin:inner] + "</domstatus>", True)
    status = Status(xml=text[inner:end])
    for field in fields(status):
        if field.name == "xml" or field.name not in found:
            continue
        value = found[field.name]
        kind = type(getattr(status, field.name))
        if kind is str:
            setattr(status, field.name, value)
        else:
            setattr(status, field.name, kind(int(value)))
    return status


def _quote(text: str) -> str:
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), ("'", "&apos;"), ("\n", "&#10;")):
        text = text.replace(char, entity)
    return text


def _complain(path: str, fault: object) -> None:
    log(ERROR, _SOURCE, f"{path} is left alone: {fault}")
