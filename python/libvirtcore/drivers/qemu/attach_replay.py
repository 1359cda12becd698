# SPDX-License-Identifier: LGPL-2.1-or-later
"""attach_replay.py: parts of a command line done to a QEMU that runs, one after the other.

The same builders that make a command line make these words; each option has a command of the
monitor. What was done is undone when a later one is refused.
Called by: attach, media. Calls: the monitor.
Never: sees a device's model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from libvirtcore.drivers.qemu.guest import internal
from libvirtcore.drivers.qemu.monitor import Monitor
from libvirtcore.errors import VirError
from libvirtcore.qmp import QMPError

Undo = tuple[str, dict[str, Any]]
_ON = {"on": True, "off": False}


class Replay:
    """Options given to a running QEMU so far."""

    def __init__(self, monitor: Monitor, fds: Mapping[int, str] | None = None) -> None:
        self._monitor = monitor
        self._fds = fds or {}  # descriptors QEMU was handed → their names there
        self._undo: list[Undo] = []
        self.answers: dict[str, Any] = {}  # of character devices, by id

    def play(self, argv: Sequence[str]) -> None:
        """Do what pairs of option and value say. Raises: VirError, and all is as before."""
        try:
            for option, value in zip(argv[::2], argv[1::2], strict=True):
                _OPTIONS[option](self, value)
        except KeyError as unknown:
            self.undo()
            raise internal(f"a running guest does not take {unknown}") from None
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Take back everything, the last first; what QEMU refuses stays."""
        while self._undo:
            name, arguments = self._undo.pop()
            try:
                self._monitor.execute(name, arguments)
            except (QMPError, VirError):
                continue

    def _object(self, value: str) -> None:
        props = json.loads(value)
        self._monitor.command("object-add", props)
        self._undo.append(("object-del", {"id": props["id"]}))

    def _blockdev(self, value: str) -> None:
        props = json.loads(value)
        self._monitor.command("blockdev-add", props)
        self._undo.append(("blockdev-del", {"node-name": props["node-name"]}))

    def _netdev(self, value: str) -> None:
        props = json.loads(value)
        self._monitor.command("netdev_add", props)
        self._undo.append(("netdev_del", {"id": props["id"]}))

    def _device(self, value: str) -> None:
        props = json.loads(value)
        self._monitor.command("device_add", props)
        self._undo.append(("device_del", {"id": props["id"]}))

    def _chardev(self, value: str) -> None:
        kind, words = _words(value)
        name = words.pop("id")
        backend = {"type": _TYPES.get(kind, kind), "data": self._character(kind, words)}
        answer = self._monitor.command("chardev-add", {"id": name, "backend": backend})
        self._undo.append(("chardev-remove", {"id": name}))
        self.answers[name] = answer

    def _character(self, kind: str, words: dict[str, str]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if "logfile" in words:
            data["logfile"] = words["logfile"]
            data["logappend"] = words.get("logappend") == "on"
        if kind in ("null", "pty"):
            return data
        if kind == "file":
            data["out"] = words["path"]
            if "append" in words:
                data["append"] = words["append"] == "on"
            return data
        if kind in ("serial", "parallel", "pipe"):
            return data | {"device": words["path"]}
        if kind == "spicevmc":
            return data | {"type": words["name"]}
        if kind == "spiceport":
            return data | {"fqdn": words["name"]}
        if kind == "udp":
            data["remote"] = _inet(words["host"], words["port"])
            if words.get("localaddr") or words.get("localport", "0") != "0":
                data["local"] = _inet(words.get("localaddr", ""), words.get("localport", "0"))
            return data
        if kind == "socket":
            return data | self._socket(words)
        raise internal(f"character device '{kind}' cannot be added to a running guest")

    def _socket(self, words: dict[str, str]) -> dict[str, Any]:
        address: dict[str, Any]
        if "fd" in words:
            address = {"type": "fd", "data": {"str": self._fds[int(words["fd"])]}}
        elif "path" in words:
            address = {"type": "unix", "data": {"path": words["path"]}}
        else:
            address = {"type": "inet", "data": _inet(words["host"], words["port"])["data"]}
        data: dict[str, Any] = {"addr": address, "server": words.get("server") == "on"}
        if data["server"]:
            data["wait"] = words.get("wait") == "on"
        if "reconnect" in words:
            data["reconnect"] = int(words["reconnect"])
        if "telnet" in words:
            data["telnet"] = words["telnet"] == "on"
        if "tls-creds" in words:
            data["tls-creds"] = words["tls-creds"]
        return data


_TYPES = {"spiceport": "spiceport", "spicevmc": "spicevmc"}
_OPTIONS: dict[str, Callable[[Replay, str], None]] = {
    "-object": Replay._object,
    "-blockdev": Replay._blockdev,
    "-netdev": Replay._netdev,
    "-device": Replay._device,
    "-chardev": Replay._chardev,
}


def _inet(host: str, port: str) -> dict[str, Any]:
    return {"type": "inet", "data": {"host": host, "port": port}}


def _words(text: str) -> tuple[str, dict[str, str]]:
    """The kind and the properties of an option of the old syntax; doubled commas are one."""
    parts = text.replace(",,", "\0").split(",")
    words = {}
    for part in parts[1:]:
        name, _equals, value = part.partition("=")
        words[name] = value.replace("\0", ",")
    return parts[0], words
