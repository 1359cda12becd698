# SPDX-License-Identifier: LGPL-2.1-or-later
"""emulator.py FOLDER WORDS…: stands between the driver and a real QEMU, and lies when told to.

What FOLDER/mode says is done from the next command on; without that file everything passes through.
The real QEMU dies with this process.
Called by: the script that test_monitor.py gives as <emulator>. Never: keeps QEMU alive.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

QEMU = "/usr/bin/qemu-system-x86_64"
ODD: tuple[object, ...] = (None, [], "x", {}, {"device": 1, "actual": -1, "guest": "maybe"})
MEBIBYTE = b"x" * (1 << 20)
MONITOR = re.compile(r"socket,id=charmonitor,fd=(\d+)")


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def misbehave(mode: str, asker: socket.socket, said: bytes) -> None:
    """Answer a command as the mode wants it."""
    if mode == "silence":
        return
    if mode == "garbage":
        asker.sendall(b"\x00\xff\xfe{]garbage" + os.urandom(4096).replace(b"\n", b"") + b"\r\n")
    elif mode == "long":
        asker.sendall(b'{"return": "')
        for _ in range(80):
            asker.sendall(MEBIBYTE)
        asker.sendall(b'"}\r\n')
    elif mode == "endless":
        while True:
            asker.sendall(MEBIBYTE)
    elif mode == "hangup":
        asker.shutdown(socket.SHUT_RDWR)
    elif mode == "others":  # answers to questions that nobody asked, of every type
        answers: tuple[object, ...] = (
            None,
            1,
            "x",
            [],
            {"id": 1},
            {"return": 1, "id": "libvirt-999999"},
        )
        for value in answers:
            asker.sendall(json.dumps(value).encode() + b"\r\n")
    elif mode == "types":  # the right answer to the right question, of the wrong type
        numbers = re.findall(rb'"id"\s*:\s*("[^"]*"|\d+)', said)
        for number in [b', "id": ' + number for number in numbers] or [b""]:
            asker.sendall(b'{"return": [[{"a": null}], "b"]' + number + b"}\r\n")
    elif mode == "storm":
        event = {"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}
        line = json.dumps(event).encode() + b"\r\n"
        for _ in range(200):
            asker.sendall(line * 100)
    elif mode == "odd events":
        for name in ("STOP", "SHUTDOWN", "RESET", "DEVICE_DELETED", "BALLOON_CHANGE", "NONE"):
            for data in ODD:
                asker.sendall(json.dumps({"event": name, "data": data}).encode() + b"\r\n")


def down(folder: Path, asker: socket.socket, real: socket.socket) -> None:
    """Commands, until the driver hangs up."""
    try:
        while said := asker.recv(65536):
            try:
                mode = (folder / "mode").read_text()
            except OSError:
                mode = ""
            if mode:
                misbehave(mode, asker, said)
            if mode in ("", "storm", "odd events"):
                real.sendall(said)
    except OSError:
        pass
    real.close()


def up(asker: socket.socket, real: socket.socket) -> None:
    """Answers and events."""
    try:
        while said := real.recv(65536):
            asker.sendall(said)
    except OSError:
        pass
    asker.close()


def main(folder: Path, words: list[str]) -> int:
    inner = folder / f"inner-{os.getpid()}"
    listening = socket.socket()
    for place, word in enumerate(words):
        found = MONITOR.match(word)
        if found:
            listening.close()
            listening = socket.socket(fileno=int(found[1]))
            words[place] = f"socket,id=charmonitor,path={inner},server=on,wait=off"
    mode = folder / "mode"
    if mode.exists() and mode.read_text() == "mute":
        time.sleep(600)
    child = subprocess.Popen([QEMU, *words], close_fds=False, preexec_fn=die_with_parent)
    threading.Thread(target=lambda: os._exit(child.wait() & 0xFF), daemon=True).start()
    while True:
        asker, _ = listening.accept()
        real = socket.socket(socket.AF_UNIX)
        while real.connect_ex(str(inner)):
            time.sleep(0.005)
        threading.Thread(target=down, args=(folder, asker, real), daemon=True).start()
        threading.Thread(target=up, args=(asker, real), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
