# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_pure_portable.py: the pure client where socket, select and os lack their Unix parts."""

from __future__ import annotations

import os
import subprocess
import sys

# What Windows lacks goes before anything of ours is imported; then one call over TCP.
SCRIPT = """
import os, select, signal, socket, sys
for module, names in (
    (socket, ("AF_UNIX", "CMSG_LEN", "CMSG_SPACE", "SCM_RIGHTS", "MSG_CMSG_CLOEXEC", "send_fds",
              "recv_fds", "MSG_DONTWAIT")),
    (select, ("poll", "epoll")),
    (os, ("register_at_fork", "fork", "eventfd")),
    (signal, ("pthread_kill", "setitimer")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
real_pair = socket.socketpair
def pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]
socket.socketpair = pair
sys.modules["resource"] = sys.modules["syslog"] = sys.modules["fcntl"] = None
sys.modules["_libvirtmod"] = None
import struct, threading
from libvirtcore.rpc import Client, IMPLEMENTATION, capture, explain
assert IMPLEMENTATION == "pure"
ours, theirs = socket.socketpair()
client = Client(ours.detach())
def serve():
    call = theirs.recv(100)
    theirs.sendall(struct.pack(">7IQ", 36, *struct.unpack(">6I", call[4:28])[:3], 1, 0, 0, 7))
thread = threading.Thread(target=serve)
thread.start()
assert client.call(0x20008086, 4, None, 5) == (7,)
thread.join()
client.close()
print("done")
"""


def test_pure_client_without_unix_parts() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
