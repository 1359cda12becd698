# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_real_daemon.py: transports and authentication against Debian's libvirtd with Cyrus SASL."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.deadline import timeout
from libvirtcore.drivers.remote.driver import RemoteDriver
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.pipeline import Pipeline
from tests.conftest import lacking
from tests.interop import certificates
from tests.remote.conftest import Connect
from tests.remote.daemons import Libvirtd, free_port, missing

pytestmark = [pytest.mark.interop, pytest.mark.slow]

MECHANISMS = "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN DIGEST-MD5"


class Site:
    """One daemon that listens on everything and wants SASL on its read-write socket."""

    def __init__(self, folder: Path) -> None:
        self.pki = certificates.make(folder)
        for name, suffix in (("ca", "ca"), ("clientcert", "client"), ("clientkey", "client-key")):
            target = "cacert" if name == "ca" else name
            shutil.copy(folder / f"{suffix}.pem", folder / f"{target}.pem")
        database = folder / "passwd.db"
        subprocess.run(
            ["saslpasswd2", "-p", "-f", database, "-a", "libvirt", "fred"],
            input=b"secret",
            check=True,
            capture_output=True,
        )
        self.tcp, self.tls = free_port(), free_port()
        self.daemon = Libvirtd(
            {
                "listen_addr": "127.0.0.1",
                "listen_tcp": 1,
                "tcp_port": str(self.tcp),
                "auth_tcp": "none",
                "listen_tls": 1,
                "tls_port": str(self.tls),
                "auth_tls": "sasl",
                "ca_file": str(folder / "ca.pem"),
                "cert_file": str(folder / "server.pem"),
                "key_file": str(folder / "server-key.pem"),
                "auth_unix_rw": "sasl",
            },
            f"mech_list: {MECHANISMS}\nsasldb_path: {database}\n",
        )

    def unix(self, more: str = "") -> str:
        return f"test+unix:///default?socket={self.daemon.run}/libvirt-sock{more}"

    def tls_uri(self) -> str:
        return f"test+tls://localhost:{self.tls}/default?pkipath={self.pki}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    lacks = missing()
    if lacks:
        lacking(lacks)
    for tool in ("saslpasswd2", "openssl"):
        if shutil.which(tool, path="/usr/sbin:/usr/bin") is None:
            lacking(tool)
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.daemon.close()


def credentials(name: str, password: str) -> list[Any]:
    answers = {c.VIR_CRED_AUTHNAME: name, c.VIR_CRED_PASSPHRASE: password}

    def callback(questions: Any, opaque: Any) -> int:
        for question in questions:
            question[4] = answers[question[0]]
        return 0

    return [list(answers), callback, None]


def names(driver: RemoteDriver) -> list[str]:
    return [dom.name for dom in driver.connect_list_all_domains(1, 0)[0]]


def test_real_tcp(site: Site, connect: Connect) -> None:
    driver = connect(f"test+tcp://127.0.0.1:{site.tcp}/default")
    assert names(driver) == ["test"]
    assert (driver.is_secure(), driver.is_encrypted()) == (False, False)


def test_real_read_only_unix(site: Site, connect: Connect) -> None:
    driver = connect(f"test+unix:///default?socket={site.daemon.run}/libvirt-sock-ro", None, 1)
    assert names(driver) == ["test"]
    assert (driver.is_secure(), driver.is_encrypted()) == (True, False)
    with pytest.raises(VirError, match="read only access prevents"):
        driver.domain_destroy(driver.domain_lookup_by_name("test"))


@pytest.mark.parametrize("mechanism", [None, *MECHANISMS.split()])
def test_real_sasl(site: Site, connect: Connect, mechanism: str | None) -> None:
    wish = f"&auth=sasl.{mechanism}" if mechanism else ""
    driver = connect(site.unix(wish), credentials("fred", "secret"))
    assert names(driver) == ["test"]
    with pytest.raises(VirError) as caught:
        connect(site.unix(wish), credentials("fred", "wrong"))
    assert caught.value.code == c.VIR_ERR_AUTH_FAILED
    assert caught.value.message == "authentication failed: authentication failed"


def test_real_sasl_without_credentials(site: Site, connect: Connect) -> None:
    with pytest.raises(VirError, match="No worthy mechs found"):
        connect(site.unix())


def test_real_sasl_from_auth_conf(site: Site, connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "auth.conf").write_text(
        "[credentials-x]\nauthname=fred\npassword=secret\n[auth-libvirt-localhost]\ncredentials=x\n"
    )
    assert names(connect(site.unix(f"&authfile={tmp_path}/auth.conf"))) == ["test"]


def test_real_tls_with_sasl(site: Site, connect: Connect) -> None:
    driver = connect(site.tls_uri(), credentials("fred", "secret"))
    assert names(driver) == ["test"]
    assert (driver.is_secure(), driver.is_encrypted()) == (True, True)


@pytest.mark.parametrize("road", ["tcp", "tls"])
def test_real_pipeline(site: Site, connect: Connect, road: str) -> None:
    """libvirtd answers every one of many requests, also when TLS could join them."""
    uri = site.tls_uri() if road == "tls" else f"test+tcp://127.0.0.1:{site.tcp}/default"
    driver = connect(uri, credentials("fred", "secret"))
    dom = driver.domain_lookup_by_name("test")
    with timeout(20), Pipeline(driver) as p:
        results = [p(driver).domain_get_info(dom) for _ in range(300)]
    assert {result.result()[0] for result in results} == {c.VIR_DOMAIN_RUNNING}


def test_real_large_reply_over_tls(site: Site, connect: Connect) -> None:
    driver = connect(site.tls_uri(), credentials("fred", "secret"))
    padding = "x" * 3_000_000
    xml = (
        "<domain type='test'><name>big</name><memory>1024</memory><os><type>hvm</type></os>"
        f"<description>{padding}</description></domain>"
    )
    dom = driver.domain_define_xml(xml)
    assert padding in driver.domain_get_xml_desc(dom, 0)
    driver.domain_undefine(dom)


def test_real_daemon_vanishes(connect: Connect) -> None:
    lacks = missing()
    if lacks:
        lacking(lacks)
    daemon = Libvirtd({})
    driver = connect(f"test+unix:///default?socket={daemon.run}/libvirt-sock")
    daemon.close()
    until = time.monotonic() + 5
    while driver.is_alive() and time.monotonic() < until:
        time.sleep(0.02)
    assert not driver.is_alive()
