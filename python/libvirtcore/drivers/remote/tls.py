# SPDX-License-Identifier: LGPL-2.1-or-later
"""tls.py: TLS by Python's `ssl`, outside the C core.

The server's certificate is checked against the CA file and the host name; our own one is shown
where there is one. After the handshake the server sends one byte, 1, when it accepts us. Then the
kernel encrypts where it can, and a pump thread everywhere else.
Called by: transport.py. Calls: tcp.py, tls_files.py, pump.py.
Never: asks for a pass phrase.
"""

from __future__ import annotations

import errno
import socket
import ssl

from libvirtcore import deadline
from libvirtcore.drivers.remote import tcp
from libvirtcore.drivers.remote.failure import RPC, auth_failed, system_error, timed_out
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.options import Options
from libvirtcore.drivers.remote.pump import CHUNK, Pump, WouldBlockRead, WouldBlockWrite
from libvirtcore.drivers.remote.tls_files import client_context

_ACCEPTED = b"\1"
# <linux/tls.h>
_SOL_TLS, _TLS_TX, _TLS_RX = 282, 1, 2


def dial(options: Options) -> Link:
    """Connect, shake hands, wait for the server's verdict about us."""
    context = client_context(options)
    plain = tcp.connect(options)
    try:
        plain.settimeout(deadline.remaining())
        secured = _shake_hands(context, plain, options.host)
    except BaseException:
        plain.close()
        raise
    try:
        _read_verdict(secured)
        if kernel_encrypts(secured):
            secured.setblocking(True)
            return Link(secured.detach(), secure=True, encrypted=True, peer=options.host)
        return _pumped(secured, options.host)
    except BaseException:
        secured.close()
        raise


def _shake_hands(context: ssl.SSLContext, plain: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as fault:
        error = auth_failed("Failed to verify peer's certificate", RPC)
        error.str3 = fault.verify_message
        raise error from None
    except TimeoutError:
        raise timed_out("TLS handshake failed") from None
    except (OSError, ValueError) as fault:
        raise auth_failed(f"TLS handshake failed {_reason(fault)}", RPC) from None


def _reason(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLEOFError):
        return "The connection ended."
    if isinstance(fault, ssl.SSLError) and fault.reason:
        return fault.reason.replace("_", " ").capitalize() + "."
    return (isinstance(fault, OSError) and fault.strerror) or str(fault)


def _read_verdict(secured: ssl.SSLSocket) -> None:
    secured.settimeout(deadline.remaining())
    try:
        verdict = secured.recv(1)
    except TimeoutError:
        raise timed_out("Unable to read TLS confirmation") from None
    except OSError:
        verdict = b""
    if not verdict:
        raise system_error("Unable to read TLS confirmation", errno.EIO)
    if verdict != _ACCEPTED:
        raise auth_failed("server verification (of our certificate or IP address) failed", RPC)


def kernel_encrypts(secured: ssl.SSLSocket) -> bool:
    """Whether the plain descriptor may be used from here on.

    Only up to TLS 1.2: later versions send handshake messages at any time, which only the library
    could answer.
    """
    if secured.version() != "TLSv1.2" or secured.pending():
        return False
    try:
        for direction in (_TLS_TX, _TLS_RX):
            secured.getsockopt(_SOL_TLS, direction, 4)
    except OSError:
        return False
    return True


class _TlsChannel:
    unsent = False  # the library says whether it took data or wants the same again

    def __init__(self, secured: ssl.SSLSocket) -> None:
        secured.setblocking(False)
        self._secured = secured

    def fileno(self) -> int:
        return self._secured.fileno()

    def read(self) -> bytes:
        try:
            return self._secured.recv(CHUNK)
        except ssl.SSLWantReadError:
            raise WouldBlockRead from None
        except ssl.SSLWantWriteError:
            raise WouldBlockWrite from None

    def write(self, data: bytes) -> int:
        try:
            return self._secured.send(data)
        except ssl.SSLWantReadError:
            raise WouldBlockRead from None
        except ssl.SSLWantWriteError:
            raise WouldBlockWrite from None

    def close(self) -> None:
        try:
            self._secured.unwrap()  # tells the peer; its answer is not awaited
        except (OSError, ValueError):
            pass
        self._secured.close()


def _pumped(secured: ssl.SSLSocket, host: str) -> Link:
    ours, near = socket.socketpair()
    pump = Pump(near, _TlsChannel(secured))
    return Link(ours.detach(), secure=True, encrypted=True, peer=host, helper=pump)
