# SPDX-License-Identifier: LGPL-2.1-or-later
"""tls_files.py: the certificates of a TLS client: where they are, whether they fit together.

    pkipath=D   D/cacert.pem  D/clientcert.pem  D/clientkey.pem
    user        the same in ~/.pki/libvirt, where they exist
    system      /etc/pki/CA/cacert.pem  /etc/pki/libvirt/clientcert.pem  …/private/clientkey.pem

A cacrl.pem beside the CA file lists revoked certificates.
Called by: tls.py.
Never: connects.
"""

from __future__ import annotations

import errno
import os
import ssl
from dataclasses import dataclass

from libvirtcore.drivers.remote.failure import system_error
from libvirtcore.drivers.remote.options import Options

_SYSTEM = "/etc/pki"
_OP_ENABLE_KTLS = getattr(ssl, "OP_ENABLE_KTLS", 0)
_VERSIONS = {
    "VERS-TLS1.0": ssl.TLSVersion.TLSv1,
    "VERS-TLS1.1": ssl.TLSVersion.TLSv1_1,
    "VERS-TLS1.2": ssl.TLSVersion.TLSv1_2,
    "VERS-TLS1.3": ssl.TLSVersion.TLSv1_3,
}
_MODERN = frozenset(("VERS-TLS1.2", "VERS-TLS1.3"))
_NEVER = frozenset(("VERS-SSL3.0", "VERS-DTLS-ALL", "VERS-DTLS1.0", "VERS-DTLS1.2"))
# GnuTLS priority words that ask for what the library does anyway, or close to it.
_PLAIN_WORDS = frozenset(
    ("NORMAL", "PERFORMANCE", "PFS", "SECURE128", "@SYSTEM", "@LIBVIRT,SYSTEM")
)
_STRONG_WORDS = frozenset(("SECURE192", "SECURE256", "SUITEB192"))


@dataclass(frozen=True)
class Files:
    """Paths; certificate and key are "" when this client has none."""

    ca: str
    crl: str
    cert: str
    key: str


def locate(pkipath: str | None) -> Files:
    """Find the files as libvirt does. Of those that do not exist only the CA file is named."""
    if pkipath is not None:
        return _existing(*(os.path.join(pkipath, name) for name in _NAMES))
    system = (
        f"{_SYSTEM}/CA/cacert.pem",
        f"{_SYSTEM}/CA/cacrl.pem",
        f"{_SYSTEM}/libvirt/clientcert.pem",
        f"{_SYSTEM}/libvirt/private/clientkey.pem",
    )
    if os.geteuid() == 0:
        return _existing(*system)
    folder = os.path.join(os.path.expanduser("~"), ".pki", "libvirt")
    ca, crl, cert, key = (os.path.join(folder, name) for name in _NAMES)
    own_ca, own_pair = os.path.exists(ca), os.path.exists(cert) and os.path.exists(key)
    authority = (ca, crl) if own_ca else system[:2]
    return _existing(*authority, *((cert, key) if own_pair else system[2:]))


_NAMES = ("cacert.pem", "cacrl.pem", "clientcert.pem", "clientkey.pem")


def _existing(ca: str, crl: str, cert: str, key: str) -> Files:
    pair = os.path.exists(cert) and os.path.exists(key)
    return Files(ca, crl if os.path.exists(crl) else "", cert if pair else "", key if pair else "")


def client_context(options: Options) -> ssl.SSLContext:
    """Everything about TLS that is known before the connection.

    Raises: VirError naming the file that is missing or wrong.
    """
    files = locate(options.pkipath)
    if not os.access(files.ca, os.R_OK):
        number = errno.EACCES if os.path.exists(files.ca) else errno.ENOENT
        raise system_error(f"Cannot read CA certificate '{files.ca}'", number)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.options |= _OP_ENABLE_KTLS
    try:
        context.load_verify_locations(files.ca)
    except (ssl.SSLError, OSError):
        raise system_error(f"Unable to import CA certificate list {files.ca}") from None
    if files.crl:
        try:
            context.load_verify_locations(files.crl)
        except (ssl.SSLError, OSError):
            raise system_error(f"Unable to import CRL {files.crl}") from None
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    if files.cert:
        _load_pair(context, files)
        if options.sanity:
            _check_pair(files)
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.tls_priority is not None:
        apply_priority(context, options.tls_priority)
    return context


def _load_pair(context: ssl.SSLContext, files: Files) -> None:
    try:
        context.load_cert_chain(files.cert, files.key, password=lambda: b"")
    except ssl.SSLError as fault:
        if fault.reason == "KEY_VALUES_MISMATCH":
            raise system_error(
                f"Unable to set x509 key and certificate: {files.key}, {files.cert}: "
                "The certificate and the given key do not match."
            ) from None
        raise system_error(f"Unable to import client certificate {files.cert}") from None
    except OSError as fault:
        raise system_error(
            f"Unable to read client certificate {files.cert} and key {files.key}",
            fault.errno or errno.EIO,
        ) from None


def _check_pair(files: Files) -> None:
    """Our certificate must come from our CA: a server would refuse it without saying why.

    Two TLS sessions talk in memory, each with our certificate; the one in the server's role judges.
    """
    judge = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    judge.load_verify_locations(files.ca)
    judge.verify_mode = ssl.CERT_REQUIRED
    judge.verify_flags |= ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    bearer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bearer.check_hostname = False
    bearer.verify_mode = ssl.CERT_NONE
    for context in (judge, bearer):
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the verdict is part of the handshake
        _load_pair(context, files)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        bearer.wrap_bio(down, up, server_side=False),
        judge.wrap_bio(up, down, server_side=True),
    ]
    for _round in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as fault:
                if "purpose" in fault.verify_message:
                    return  # an unusual certificate, but the server may take it
                raise system_error(
                    f"Our own certificate {files.cert} failed validation against {files.ca}: "
                    f"{_verdict(fault)}"
                ) from None
            except ssl.SSLError:
                return  # not a question of trust; the real handshake will tell


def _verdict(fault: ssl.SSLCertVerificationError) -> str:
    if fault.verify_code in (2, 18, 19, 20, 21):  # no path from the certificate to the CA file
        return "The certificate hasn't got a known issuer."
    return fault.verify_message[:1].upper() + fault.verify_message[1:] + "."


def apply_priority(context: ssl.SSLContext, priority: str) -> None:
    """Honour the words of a GnuTLS priority string that have a meaning here; refuse the others."""
    enabled = set(_MODERN)
    for word in priority.split(":"):
        sign, name = (word[:1], word[1:]) if word[:1] in ("+", "-", "!") else ("", word)
        if not sign and name in _PLAIN_WORDS:
            continue
        if not sign and name in _STRONG_WORDS:
            context.set_ciphers("HIGH:!aNULL:!AES128:!CAMELLIA128:!ARIA128")
        elif sign and name in ("VERS-ALL", "VERS-TLS-ALL"):
            enabled = set(_VERSIONS) if sign == "+" else set()
        elif sign and name in _VERSIONS:
            (enabled.add if sign == "+" else enabled.discard)(name)
        elif sign in ("-", "!") and name in _NEVER:
            continue
        else:
            raise _bad_priority(priority)
    versions = sorted(_VERSIONS[name] for name in enabled)
    if not versions or len(versions) != versions[-1] - versions[0] + 1:
        raise _bad_priority(priority)
    context.minimum_version, context.maximum_version = versions[0], versions[-1]


def _bad_priority(priority: str) -> Exception:
    return system_error(
        f"Failed to set TLS session priority to {priority}: The request is invalid."
    )
