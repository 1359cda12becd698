# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_tls.py: certificates, handshake and verdict byte, against a TLS server of our own."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libvirtcore import deadline
from libvirtcore.drivers.remote import tls, tls_files
from libvirtcore.drivers.remote.options import Options
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from tests.conftest import lacking
from tests.interop import certificates

Serve = Callable[..., int]


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders for `pkipath`: full, bare (no client certificate), stranger, lost (another CA)."""
    if shutil.which("openssl") is None:
        lacking("openssl")
    made = certificates.make(tmp_path_factory.mktemp("pki"))
    kinds = (
        ("full", "ca", "client"),
        ("bare", "ca", ""),
        ("stranger", "ca", "other-client"),
        ("lost", "other-ca", ""),
    )
    for name, authority, pair in kinds:
        folder = made / name
        folder.mkdir()
        shutil.copy(made / f"{authority}.pem", folder / "cacert.pem")
        if pair:
            shutil.copy(made / f"{pair}.pem", folder / "clientcert.pem")
            shutil.copy(made / f"{pair}-key.pem", folder / "clientkey.pem")
    return made


@pytest.fixture
def serve(pki: Path) -> Iterator[Serve]:
    """Start a server that shakes hands, sends `verdict` and then echoes; its port."""
    listeners = []

    def serve(verdict: bytes = b"\1", maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "server.pem", pki / "server-key.pem")
        context.load_verify_locations(pki / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        context.maximum_version = maximum
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            try:
                plain, _address = listener.accept()
                with context.wrap_socket(plain, server_side=True) as peer:
                    peer.sendall(verdict)
                    while data := peer.recv(65536):
                        peer.sendall(data)
            except OSError:
                pass

        threading.Thread(target=run, daemon=True).start()
        return int(listener.getsockname()[1])

    yield serve
    for listener in listeners:
        listener.close()


def options(port: int, pkipath: Path, host: str = "localhost", **more: Any) -> Options:
    return Options("tls", "qemu", "", host=host, port=port, pkipath=str(pkipath), **more)


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_carries_data(serve: Serve, pki: Path, maximum: ssl.TLSVersion) -> None:
    link = tls.dial(options(serve(maximum=maximum), pki / "full"))
    assert link.secure
    assert link.encrypted
    with socket.socket(fileno=link.fd) as client:
        client.settimeout(10)
        text = b"\0\0\0\x0cof all" + b"ok"
        client.sendall(text)
        assert client.recv(100) == text
    link.close()


def test_tls_checks_the_host_name(serve: Serve, pki: Path) -> None:
    with pytest.raises(VirError) as caught:
        tls.dial(options(serve(), pki / "full", host="127.0.0.1"))
    assert caught.value.message == "authentication failed: Failed to verify peer's certificate"
    assert (caught.value.code, caught.value.domain) == (c.VIR_ERR_AUTH_FAILED, c.VIR_FROM_RPC)
    assert "127.0.0.1" in (caught.value.str3 or "")
    link = tls.dial(options(serve(), pki / "full", host="127.0.0.1", verify=False))
    os.close(link.fd)
    link.close()


def test_tls_checks_the_authority(serve: Serve, pki: Path) -> None:
    with pytest.raises(VirError, match="Failed to verify peer's certificate"):
        tls.dial(options(serve(), pki / "lost"))


def test_tls_verdict_against_us(serve: Serve, pki: Path) -> None:
    with pytest.raises(VirError) as caught:
        tls.dial(options(serve(b"\0"), pki / "full"))
    assert caught.value.message == (
        "authentication failed: server verification (of our certificate or IP address) failed"
    )


@pytest.mark.slow
def test_tls_verdict_that_never_comes(serve: Serve, pki: Path) -> None:
    with pytest.raises(VirError) as caught, deadline.timeout(0.3):
        tls.dial(options(serve(b""), pki / "full"))
    assert caught.value.code == c.VIR_ERR_OPERATION_TIMEOUT
    assert "Unable to read TLS confirmation" in caught.value.message


def test_tls_server_that_refuses_us(pki: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.pem", pki / "server-key.pem")
    context.load_verify_locations(pki / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        plain, _address = listener.accept()
        try:
            context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()

    threading.Thread(target=run, daemon=True).start()
    with pytest.raises(VirError) as caught:
        tls.dial(options(listener.getsockname()[1], pki / "bare"))
    assert caught.value.message == "Unable to read TLS confirmation: Input/output error"
    listener.close()


def test_tls_plain_server(pki: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        plain, _address = listener.accept()
        plain.recv(100)
        plain.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        plain.close()

    threading.Thread(target=run, daemon=True).start()
    with pytest.raises(VirError, match="authentication failed: TLS handshake failed"):
        tls.dial(options(listener.getsockname()[1], pki / "bare"))
    listener.close()


# --- files ----------------------------------------------------------------------------------------


def refusal(pkipath: Path, **more: Any) -> str:
    with pytest.raises(VirError) as caught:
        tls_files.client_context(options(1, pkipath, **more))
    assert caught.value.code == c.VIR_ERR_SYSTEM_ERROR
    return caught.value.message


def test_tls_files_must_exist_and_fit(pki: Path, tmp_path: Path) -> None:
    ca, cert, key = (tmp_path / n for n in ("cacert.pem", "clientcert.pem", "clientkey.pem"))
    assert refusal(tmp_path) == f"Cannot read CA certificate '{ca}': No such file or directory"
    ca.write_text("nonsense")
    assert refusal(tmp_path) == f"Unable to import CA certificate list {ca}"
    shutil.copy(pki / "ca.pem", ca)
    shutil.copy(pki / "client.pem", cert)
    assert tls_files.client_context(options(1, tmp_path)).cert_store_stats()["x509_ca"] == 1
    key.write_text("nonsense")
    assert refusal(tmp_path) == f"Unable to import client certificate {cert}"
    shutil.copy(pki / "server-key.pem", key)
    assert refusal(tmp_path) == (
        f"Unable to set x509 key and certificate: {key}, {cert}: "
        "The certificate and the given key do not match."
    )


def test_tls_files_own_certificate_must_come_from_the_authority(pki: Path) -> None:
    folder = pki / "stranger"
    assert refusal(folder) == (
        f"Our own certificate {folder}/clientcert.pem failed validation against "
        f"{folder}/cacert.pem: The certificate hasn't got a known issuer."
    )
    tls_files.client_context(options(1, folder, sanity=False))


def test_tls_files_are_searched_in_order(
    pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, system = tmp_path / "home", tmp_path / "pki"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tls_files, "_SYSTEM", str(system))
    for folder in (home / ".pki/libvirt", system / "CA", system / "libvirt/private"):
        folder.mkdir(parents=True)
    found = [system / "CA/cacert.pem", system / "libvirt/clientcert.pem"]
    found.append(system / "libvirt/private/clientkey.pem")
    for path in found:
        path.touch()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    system_pair = (str(found[1]), str(found[2]))
    assert tls_files.locate(None) == tls_files.Files(str(found[0]), "", *system_pair)
    own = home / ".pki/libvirt"
    for name in ("clientcert.pem", "clientkey.pem", "cacrl.pem"):
        (own / name).touch()
    pair = (str(own / "clientcert.pem"), str(own / "clientkey.pem"))
    assert tls_files.locate(None) == tls_files.Files(str(found[0]), "", *pair)
    (own / "cacert.pem").touch()
    everything = tls_files.Files(str(own / "cacert.pem"), str(own / "cacrl.pem"), *pair)
    assert tls_files.locate(None) == everything
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert tls_files.locate(None).ca == str(found[0])


@pytest.mark.parametrize(
    ("priority", "versions"),
    [
        ("NORMAL", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)),
        ("NORMAL:-VERS-TLS1.3", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)),
        ("NORMAL:-VERS-ALL:+VERS-TLS1.3", (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)),
        ("SECURE256:-VERS-SSL3.0", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)),
    ],
)
def test_tls_priority(priority: str, versions: tuple[ssl.TLSVersion, ssl.TLSVersion]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls_files.apply_priority(context, priority)
    assert (context.minimum_version, context.maximum_version) == versions


@pytest.mark.parametrize("priority", ["BOGUS", "NORMAL:-VERS-ALL", "NORMAL:+AES-256-GCM", ""])
def test_tls_priority_refused(priority: str) -> None:
    with pytest.raises(VirError, match=r"Failed to set TLS session priority to .*: The request is"):
        tls_files.apply_priority(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), priority)
