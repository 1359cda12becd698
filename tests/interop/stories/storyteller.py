# SPDX-License-Identifier: LGPL-2.1-or-later
"""storyteller.py: what the stories share: telling values, an event loop in a thread, waiting.

A story is a script that runs under the real libvirt and under ours; each `tell` is one line of JSON
on standard output. The test compares what both told.
Called by: the stories beside this file, which run as scripts.
Never: imports more from the repository than worker.py, which needs the standard library only.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import libvirt
from tests.interop.worker import encode, encode_error

_out = sys.stdout
_lock = threading.Lock()


def tell(name: str, value: Any = None) -> None:
    """One fact of the story; both sides must tell the same."""
    with _lock:
        print(json.dumps([name, encode(value)]), file=_out, flush=True)


def attempt(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function and tell what it gave or how it failed."""
    try:
        value = function(*arguments)
    except Exception as error:
        with _lock:
            print(json.dumps([name, ["raised", encode_error(error)]]), file=_out, flush=True)
        return None
    tell(name, value)
    return value


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)
    return result


def quiet() -> None:
    """Print no errors on standard error."""
    libvirt.registerErrorHandler(lambda context, error: None, None)


def run_loop() -> None:
    """Register libvirt's default event loop and run it in a thread."""
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, daemon=True).start()


class Heard:
    """Collects events; told in order, or by kind where order between kinds is not defined."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def note(self, *event: Any) -> None:
        self.events.append(event)

    def count(self, kind: str) -> int:
        return sum(event[0] == kind for event in self.events)

    def wait(self, count: int, seconds: float = 20.0) -> None:
        try:
            wait_until(lambda: len(self.events) >= count, f"{count} events", seconds)
        except TimeoutError:
            tell("events so far", self.events)
            raise

    def tell(self) -> None:
        for event in self.events:
            tell("event", event)
        self.events.clear()
