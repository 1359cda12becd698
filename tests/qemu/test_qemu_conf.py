# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_qemu_conf.py: qemu.conf does what contrib/qemu.conf says, or is refused with the reason."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
from libvirtcore.conf_file import parse
from libvirtcore.drivers.qemu import qemu_conf
from libvirtcore.errors import VirError
from tests.conftest import lacking
from tests.ours_daemon import REPOSITORY
from tests.qemu.conftest import domain_xml, pid_of, processes, wait_for

OURS = REPOSITORY / "contrib" / "qemu.conf"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can choose an account")


def account() -> pwd.struct_passwd:
    for name in ("libvirt-qemu", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    lacking("an account to run QEMU as")


@pytest.fixture
def open_root(capabilities: Path) -> Iterator[Path]:
    """A root that other users can get into, which pytest's own folders do not let them."""
    folder = Path(tempfile.mkdtemp(prefix="lvc-"))
    folder.chmod(0o755)
    shutil.copytree(capabilities, folder / "cache")
    yield folder
    left = processes(folder)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder)
    assert left == [], "the test left a QEMU behind"


def opened(root: Path, text: str) -> Any:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "qemu.conf").write_text(text)
    return libvirt.open(f"qemu:///embed?root={root}")


def words_of(root: Path) -> list[str]:
    return Path(f"/proc/{pid_of(root)}/cmdline").read_bytes().decode().split("\0")


def after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


# --- the file -------------------------------------------------------------------------------------


def test_every_setting_is_explained_with_its_default() -> None:
    text = OURS.read_text()
    shown = "\n".join(line[1:] for line in text.splitlines() if re.match(r"#[a-z_0-9]+ = ", line))
    values = parse(shown, "contrib/qemu.conf")
    assert set(values) == set(qemu_conf.SETTINGS)
    for name, default in qemu_conf.SETTINGS.items():
        assert values[name] == default, name


def test_the_file_as_shipped_changes_nothing() -> None:
    conf = qemu_conf.read(OURS.read_text(), "contrib/qemu.conf")
    assert (conf.given, conf.unknown) == (frozenset(), ())


@pytest.mark.parametrize(
    "line",
    [
        'security_driver = "selinux"',
        'namespaces = ["mount"]',
        "spice_tls = 1",
        'spice_password = "x"',
        "chardev_tls = 1",
        "nbd_tls = 1",
        "mac_filter = 1",
        'lock_manager = "lockd"',
        'save_image_format = "gzip"',
        'sched_core = "full"',
        'vnc_tls_x509_secret_uuid = "aaba00b2-e2cf-4354-b81f-82e7e3eb775e"',
    ],
)
def test_protection_that_is_not_built_is_refused(line: str) -> None:
    with pytest.raises(VirError) as caught:
        qemu_conf.read(line, "qemu.conf")
    assert line.partition(" ")[0] in caught.value.message
    assert '"x"' not in caught.value.message, "passwords stay unsaid"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vnc_tls = 2", "must be 0 or 1"),
        ("max_files = -1", "unsigned integer"),
        ("user = 5", "expected a string"),
        ('stdio_handler = "pigeon"', "Unknown stdio handler pigeon"),
        ('cgroup_controllers = ["weather"]', "Unknown cgroup controller 'weather'"),
        ("remote_display_port_min = 80", "greater than or equal to 5900"),
        ("remote_display_port_max = 70000", "between the minimal port and 65535"),
        ('nvram = ["x"]', "Invalid nvram format: 'x'"),
        ("max_queued = ", "expecting a value"),
    ],
)
def test_wrong_values_are_refused(line: str, words: str) -> None:
    with pytest.raises(VirError, match=re.escape(words)):
        qemu_conf.read(line, "qemu.conf")


def test_what_has_no_effect_is_named() -> None:
    text = "migration_port_min = 5\nkeepalive_count = 3\nfrobnicate = 1\nmax_files = 5\n"
    said = qemu_conf.ineffective(qemu_conf.read(text, "/etc/libvirt/qemu.conf"))
    assert [sentence.split("'")[1] for sentence in said] == [
        "frobnicate", "keepalive_count", "migration_port_min",
    ]  # fmt: skip


def test_a_wrong_file_keeps_the_host_closed(root: Path) -> None:
    with pytest.raises(libvirt.libvirtError, match="security_driver"):
        opened(root, 'security_driver = "apparmor"\n')
    opened(root, "").close()


# --- the account ----------------------------------------------------------------------------------


@ROOT_ONLY
def test_qemu_runs_as_another_user(open_root: Path) -> None:
    user, root = account(), open_root
    image = root / "disk.raw"
    image.write_bytes(b"\0" * 65536)
    image.chmod(0o600)
    os.chown(image, 0, 4711)
    disk = (
        f"<disk type='file'><driver name='qemu' type='raw'/><source file='{image}'/>"
        "<target dev='vda' bus='virtio'/></disk>"
        f"<serial type='file'><source path='{root}/serial.txt'/></serial>"
    )
    conn = opened(root, f'user = "{user.pw_name}"\n')
    dom = conn.createXML(domain_xml(devices=disk))
    status = Path(f"/proc/{pid_of(root)}/status").read_text()
    assert re.search(r"^Uid:((?:\t\d+)+)$", status, re.M)[1].split() == [str(user.pw_uid)] * 4  # type: ignore[index]
    assert re.search(r"^CapEff:\t0+$", status, re.M)
    assert re.search(r"^Seccomp:\t2$", status, re.M)
    assert (image.stat().st_uid, image.stat().st_gid) == (user.pw_uid, user.pw_gid)
    folder = next((root / "lib" / "qemu").glob("domain-*"))
    assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (user.pw_uid, 0o700)
    assert (root / "lib" / "qemu").stat().st_mode & 0o777 == 0o710
    assert (root / "etc" / "qemu").stat().st_mode & 0o777 == 0o700
    dom.suspend()
    dom.resume()
    dom.destroy()
    assert (image.stat().st_uid, image.stat().st_gid) == (0, 4711)
    assert not (root / "run" / "qemu" / "guest.owners").exists()
    conn.close()


@ROOT_ONLY
def test_a_shared_image_is_given_back_by_the_last_guest(open_root: Path) -> None:
    user, root = account(), open_root
    image = root / "disk.raw"
    image.write_bytes(b"\0" * 65536)
    disk = (
        f"<disk type='file'><driver name='qemu' type='raw'/><source file='{image}'/>"
        "<target dev='vda' bus='virtio'/><shareable/></disk>"
    )
    conn = opened(root, f'user = "{user.pw_name}"\nremember_owner = 1\n')
    other = "aaba00b2-e2cf-4354-b81f-82e7e3eb775f"
    one = conn.createXML(domain_xml("one", devices=disk))
    two = conn.createXML(domain_xml("two", other, devices=disk))
    one.destroy()
    assert image.stat().st_uid == user.pw_uid
    two.destroy()
    assert image.stat().st_uid == 0
    conn.close()


@ROOT_ONLY
def test_an_unknown_user_is_refused(root: Path) -> None:
    with pytest.raises(libvirt.libvirtError, match="Failed to parse user 'no-such-user'"):
        opened(root, 'user = "no-such-user"\n')


# --- the process ----------------------------------------------------------------------------------


def test_limits_names_and_sandbox(root: Path) -> None:
    text = "max_files = 3000\nmax_core = 4096\nset_process_name = 1\nseccomp_sandbox = 0\n"
    conn = opened(root, text + 'deprecation_behavior = "omit"\nlog_timestamp = 0\n')
    dom = conn.createXML(domain_xml())
    limits = Path(f"/proc/{pid_of(root)}/limits").read_text()
    assert re.search(r"^Max open files +3000 +3000 ", limits, re.M)
    assert re.search(r"^Max core file size +4096 +4096 ", limits, re.M)
    assert Path(f"/proc/{pid_of(root)}/comm").read_text() == "qemu:guest\n"
    words = words_of(root)
    assert "-sandbox" not in words and "-msg" not in words
    assert "-compat" in words
    dom.destroy()
    conn.close()


def test_displays(root: Path) -> None:
    text = 'vnc_listen = "127.0.0.2"\nvnc_password = "geheim"\n'
    conn = opened(root, text + "remote_display_port_min = 6100\nremote_display_port_max = 6200\n")
    dom = conn.createXML(domain_xml(devices="<graphics type='vnc'/>"))
    place = after(words_of(root), "-vnc").split(",")
    assert place[0].startswith("127.0.0.2:") and 200 <= int(place[0].split(":")[1]) <= 300
    assert "password=on" in place
    assert "listen='127.0.0.2'" in dom.XMLDesc()
    assert "geheim" not in dom.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
    dom.destroy()
    conn.close()


def test_displays_on_sockets(root: Path) -> None:
    conn = opened(root, "vnc_auto_unix_socket = 1\n")
    dom = conn.createXML(domain_xml(devices="<graphics type='vnc'/>"))
    assert after(words_of(root), "-vnc").startswith(f"vnc=unix:{root}/lib/qemu/domain-")
    dom.destroy()
    conn.close()


def test_too_many_waiting_calls_are_refused(conn: Any, root: Path) -> None:
    from libvirtcore.drivers.qemu import host

    dom = conn.createXML(domain_xml())
    mine = next(item for item in host._hosts.values() if str(root) in item.paths.key)
    mine.conf.max_queued = 1
    guest = mine.by_name["guest"]
    guest.jobs.acquire(1, "Test", 1)
    waiting = threading.Thread(target=dom.suspend)
    waiting.start()
    assert wait_for(lambda: guest.jobs._waiting == 1)
    with pytest.raises(libvirt.libvirtError, match="max_queued limit"):
        dom.suspend()
    guest.jobs.release()
    waiting.join()
    assert dom.state()[0] == libvirt.VIR_DOMAIN_PAUSED


# --- passt ----------------------------------------------------------------------------------------


def test_passt_lives_as_long_as_its_guest(conn: Any, root: Path) -> None:
    if shutil.which("passt") is None:
        lacking("passt")
    card = "<interface type='user'><backend type='passt'/><model type='virtio'/></interface>"

    def servers() -> set[str]:
        command = ["pgrep", "-r", "R,S,D", "-f", "passt.* --fd "]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return set(found.split()) - before

    before: set[str] = set()
    before = servers()
    dom = conn.createXML(domain_xml(devices=card))
    assert servers()
    assert '"type":"stream"' in after(words_of(root), "-netdev")
    dom.destroy()
    assert wait_for(lambda: not servers())


# --- files that a caller passes -------------------------------------------------------------------


def test_passed_files_are_where_documents_look(conn: Any, tmp_path: Path) -> None:
    image = tmp_path / "disk"
    image.write_bytes(b"\0" * 1024 * 512)
    disk = (
        "<disk type='file'><driver name='qemu' type='raw'/><source file='/dev/fdset/1'/>"
        "<target dev='vda' bus='virtio'/></disk>"
    )
    fd = os.open(image, os.O_RDWR)
    try:
        image.unlink()
        dom = conn.createXMLWithFiles(domain_xml(devices=disk), [fd], 0)
    finally:
        os.close(fd)
    assert dom.blockInfo("vda")[0] == 1024 * 512
    dom.destroy()


def test_validation_names_what_nobody_reads(conn: Any) -> None:
    xml = domain_xml(extra="<frobnicate/>")
    for call, flag in (
        (conn.defineXMLFlags, libvirt.VIR_DOMAIN_DEFINE_VALIDATE),
        (conn.createXML, libvirt.VIR_DOMAIN_START_VALIDATE),
    ):
        with pytest.raises(libvirt.libvirtError, match="extra content: frobnicate") as caught:
            call(xml, flag)
        assert caught.value.get_error_code() == libvirt.VIR_ERR_XML_INVALID_SCHEMA
    conn.defineXMLFlags(domain_xml(), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    conn.defineXML(xml)
