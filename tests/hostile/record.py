# SPDX-License-Identifier: LGPL-2.1-or-later
"""record.py: makes session.capture: a short conversation with a real libvirtd, explained.

    python -m tests.hostile.record /run/libvirt/libvirt-sock

Run it by hand, from the root of the tree; the test driver's connection is used. The capture is data
of our own making and belongs into the tree, so that test_cut.py needs no daemon.
Called by: people. Calls: the pure client, libvirtcore.rpc.capture, libvirtcore.rpc.explain.
Never: runs as part of the tests.
"""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
from pathlib import Path

from libvirtcore.errors import VirError
from libvirtcore.rpc import capture
from libvirtcore.rpc.explain import explain
from libvirtcore.rpc.pure import Client
from tests.differential.peer import REMOTE, number

FILE = Path(__file__).with_name("session.capture")
HEAD = """\
# A short session with libvirtd 9.0.0 and its test driver, recorded by record.py. The lines before
# each piece say what it means, in the words of `python -m libvirtcore.rpc.explain`.
"""


def talk(client: Client) -> None:
    """What a small script does: open, look around, pause and resume the test domain, leave."""

    def call(name: str, *args: object) -> tuple[object, ...]:
        return client.call(REMOTE, number(name), args or None, 5) or ()

    call("auth_list")
    call("connect_open", "test:///default", 0)
    call("connect_get_type")
    call("node_get_info")
    [domains, _] = call("connect_list_all_domains", 1, 0)
    domain = domains[0]  # type: ignore[index]
    [callback] = call("connect_domain_event_callback_register_any", 0, None)
    call("domain_suspend", domain)
    client.pump(0.2)
    call("domain_get_state", domain, 0)
    call("domain_resume", domain)
    client.pump(0.2)
    with contextlib.suppress(VirError):
        call("domain_lookup_by_name", "nobody")
    call("connect_domain_event_callback_deregister_any", callback)
    call("connect_close")


def main(path: str) -> None:
    ours, theirs = socket.socketpair()
    daemon = socket.socket(socket.AF_UNIX)
    daemon.connect(path)
    recorded = io.StringIO()
    relay = threading.Thread(target=capture.relay, args=(theirs, daemon, recorded))
    relay.start()
    client = Client(ours.detach())
    talk(client)
    client.close()
    relay.join()
    theirs.close()
    daemon.close()
    with FILE.open("w") as out:
        out.write(HEAD)
        for piece in capture.read(recorded.getvalue().splitlines()):
            for line in explain([piece]):
                out.write(f"# {line.strip()}\n")
            capture.write(piece, out)


if __name__ == "__main__":
    main(sys.argv[1])
