# SPDX-License-Identifier: LGPL-2.1-or-later
"""ssh.py: reach a daemon through the user's own `ssh`, so that keys, agents and ~/.ssh/config work.

At the far end virt-ssh-helper finds the right socket; where it is missing, netcat goes to the one
that this side thinks right. The transports +libssh and +libssh2 take the same way.
Called by: transport.py. Calls: child.py, sockets.py.
Never: sees a password or a key.
"""

from __future__ import annotations

from shlex import quote

from libvirtcore.drivers.remote import child
from libvirtcore.drivers.remote.failure import invalid, unsupported
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.options import Options
from libvirtcore.drivers.remote.sockets import choose

HELPER = "virt-ssh-helper"
# The `sshauth` methods of libssh by the name ssh gives them.
_METHODS = {
    "agent": "publickey",
    "privkey": "publickey",
    "password": "password",
    "keyboard-interactive": "keyboard-interactive",
    "gssapi": "gssapi-with-mic",
}
_HOST_CHECKS = {"normal": "", "auto": "accept-new", "ignore": "no"}


def dial(options: Options) -> Link:
    return child.dial(arguments(options), secure=True, peer=options.host)


def arguments(options: Options) -> list[str]:
    """The command line of ssh."""
    argv = [options.command or "ssh"]
    if options.port:
        argv += ["-p", str(options.port)]
    if options.user:
        argv += ["-l", options.user]
    if options.keyfile:
        argv += ["-i", options.keyfile]
    argv += ["-T", "-e", "none"]  # no terminal, and no character that means something to ssh
    for setting in _settings(options):
        argv += ["-o", setting]
    return [*argv, "--", options.host, f"sh -c {quote(remote_script(options))}"]


def _settings(options: Options) -> list[str]:
    settings = []
    if not options.tty:
        settings.append("BatchMode=yes")
    check = _host_check(options)
    if check:
        settings.append(f"StrictHostKeyChecking={check}")
    if options.known_hosts:
        settings.append(f"UserKnownHostsFile={options.known_hosts}")
    if options.sshauth:
        methods = options.sshauth.split(",")
        unknown = [name for name in methods if name not in _METHODS]
        if unknown:
            raise invalid(
                f"sshauth: unknown method '{unknown[0]}' (should be {'|'.join(sorted(_METHODS))})"
            )
        names = dict.fromkeys(_METHODS[name] for name in methods)
        settings.append(f"PreferredAuthentications={','.join(names)}")
        if "privkey" in methods and "agent" not in methods:
            settings.append("IdentityAgent=none")
    return settings


def _host_check(options: Options) -> str:
    wish = options.known_hosts_verify
    if not options.verify:
        return "no"
    if wish is None:
        return ""
    if wish not in _HOST_CHECKS:
        raise invalid(
            f"known_hosts_verify: unknown value '{wish}' (should be {'|'.join(_HOST_CHECKS)})"
        )
    return _HOST_CHECKS[wish]


def remote_script(options: Options) -> str:
    """What the far end's shell runs."""
    use_helper = options.proxy == "native" or (
        options.proxy == "auto" and options.netcat is None and options.socket is None
    )
    helper = f"{HELPER} {'-r ' if options.readonly else ''}{quote(options.name)}"
    if options.proxy == "native":
        return f"exec {helper}"
    socket = options.socket
    if socket is None:
        socket = choose(options).path
    if "\n" in socket or "\n" in options.name:
        raise unsupported("a line break cannot be passed to the far end of ssh")
    netcat = _netcat(quote(options.netcat or "nc"), quote(socket))
    if use_helper:
        return f"if command -v {HELPER} >/dev/null 2>&1; then exec {helper}; fi; {netcat}"
    return netcat


def _netcat(program: str, socket: str) -> str:
    """Debian's netcat needs -q0 to end with its input; others do so anyway and do not know -q."""
    return (
        f'case "$({program} -q 2>&1)" in '
        f'*"requires an argument"*) exec {program} -q0 -U {socket};; '
        f"*) exec {program} -U {socket};; esac"
    )
