# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_start_host.py: what a start takes from the host: ports, files, firmware, helpers."""

from __future__ import annotations

import os
import pwd
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

import libvirt
from libvirtcore.drivers.qemu import displays, helpers, resources_files
from tests.conftest import lacking
from tests.qemu.conftest import domain_xml

PAUSED = libvirt.VIR_DOMAIN_START_PAUSED
OVMF = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")


def start(conn: Any, devices: str = "", extra: str = "", **more: str) -> ElementTree.Element:
    """The live document of a guest that stands still."""
    dom = conn.createXML(domain_xml(devices=devices, extra=extra, **more), PAUSED)
    return ElementTree.fromstring(dom.XMLDesc())


def refusal(conn: Any, devices: str = "", extra: str = "") -> tuple[int, str]:
    with pytest.raises(libvirt.libvirtError) as caught:
        start(conn, devices, extra)
    return caught.value.get_error_code() or 0, caught.value.get_error_message() or ""


def log_of(root: Path) -> str:
    return (root / "log" / "qemu" / "guest.log").read_text().replace(" \\\n", " ")


# --- displays -------------------------------------------------------------------------------------


def test_a_websocket_port_is_chosen_at_start_and_again_next_time(conn: Any, root: Path) -> None:
    vnc = "<graphics type='vnc' websocket='-1'/>"
    live = start(conn, vnc).find("devices/graphics")
    assert live is not None
    assert int(live.attrib["websocket"]) >= 5700
    assert "websocketGenerated" not in live.attrib
    assert f"websocket={live.attrib['websocket']}" in log_of(root)
    dom = conn.lookupByName("guest")
    inactive = ElementTree.fromstring(dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    shown = inactive.find("devices/graphics")
    assert shown is not None and shown.attrib["websocket"] == "-1"


def test_ports_of_guests_that_start_together_differ_and_are_free_afterwards() -> None:
    ports = [displays.free_port("127.0.0.1", 47000, 47009, "vnc") for _ in range(10)]
    assert len(set(ports)) == 10
    with pytest.raises(Exception, match="Unable to find an unused port in range 'vnc'"):
        displays.free_port("127.0.0.1", 47000, 47009, "vnc")
    for port in ports:
        displays._chosen.pop(port)
    assert displays.free_port("127.0.0.1", 47000, 47009, "vnc") == ports[0]
    displays._chosen.pop(ports[0])


def test_a_port_is_not_set_aside_once_its_qemu_listens(conn: Any) -> None:
    live = start(conn, "<graphics type='vnc'/>").find("devices/graphics")
    assert live is not None
    assert int(live.attrib["port"]) not in displays._chosen


def test_a_vnc_port_below_the_range_is_refused(conn: Any) -> None:
    code, message = refusal(conn, "<graphics type='vnc' port='5800' autoport='no'/>")
    assert code == libvirt.VIR_ERR_CONFIG_UNSUPPORTED
    assert "vnc port must be in range [5900,65535]" in message


def test_a_headless_display_names_its_render_node_or_the_start_fails(
    conn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(displays, "DRI", str(tmp_path / "none"))
    code, message = refusal(conn, "<graphics type='egl-headless'/>")
    assert code == libvirt.VIR_ERR_SYSTEM_ERROR
    assert message == f"cannot open directory '{tmp_path}/none': No such file or directory"
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(displays, "DRI", str(empty))
    assert "No DRM render nodes available" in refusal(conn, "<graphics type='egl-headless'/>")[1]


# --- files ----------------------------------------------------------------------------------------


def test_files_and_logs_of_ports_come_as_descriptors(conn: Any, root: Path, tmp_path: Path) -> None:
    (tmp_path / "old.log").write_text("old\n")
    (tmp_path / "kept.log").write_text("kept\n")
    start(
        conn,
        f"<serial type='file'><source path='{tmp_path}/old.log'/></serial>"
        f"<parallel type='pty'><log file='{tmp_path}/new.log'/></parallel>"
        f"<channel type='file'><source path='{tmp_path}/kept.log' append='on'/>"
        "<target type='virtio' name='one'/></channel>",
    )
    log = log_of(root)
    sets = re.findall(r"-add-fd set=(\d+),fd=\d+,opaque=(\S+)", log)
    assert sets == [("0", "serial0-source"), ("1", "parallel0-log"), ("2", "channel0-source")]
    assert "file,id=charserial0,path=/dev/fdset/0,append=on" in log
    assert "logfile=/dev/fdset/1,logappend=on" in log
    assert (tmp_path / "old.log").read_text() == ""
    assert (tmp_path / "new.log").exists()
    assert (tmp_path / "kept.log").read_text() == "kept\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start QEMU as somebody else")
def test_qemu_with_less_rights_writes_where_it_may_not_go(root: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "qemu.conf").write_text('user = "nobody"\n')
    conn = libvirt.open(f"qemu:///embed?root={root}")
    live = start(conn, f"<serial type='file'><source path='{hidden}/port'/></serial>"
                 f"<parallel type='pty'><log file='{hidden}/log'/></parallel>")  # fmt: skip
    user = pwd.getpwnam("nobody")
    assert live.findtext("seclabel/label") == f"+{user.pw_uid}:+{user.pw_gid}"
    assert sorted(os.listdir(hidden)) == ["log", "port"]
    conn.lookupByName("guest").destroy()
    conn.close()


def test_a_file_that_cannot_be_opened_fails_the_start(conn: Any, tmp_path: Path) -> None:
    path = tmp_path / "none" / "log"
    code, message = refusal(conn, f"<serial type='file'><source path='{path}'/></serial>")
    assert code == libvirt.VIR_ERR_SYSTEM_ERROR
    assert message == f"Unable to open file: {path}: No such file or directory"
    assert conn.listAllDomains() == []


def test_a_named_pipe_without_reader_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Exception, match="No such device or address"):
        resources_files.open_file(str(tmp_path / "pipe"), False)


# --- firmware -------------------------------------------------------------------------------------


def test_variables_of_firmware_are_below_the_root(conn: Any, root: Path) -> None:
    if not OVMF.exists():
        lacking("ovmf")
    text = domain_xml(extra="<features><acpi/></features>", machine="q35").replace(
        "<os>", "<os firmware='efi'>"
    )
    dom = conn.createXML(text, PAUSED)
    path = ElementTree.fromstring(dom.XMLDesc()).findtext("os/nvram")
    assert path == f"{root}/lib/qemu/nvram/guest_VARS.fd"
    assert os.path.exists(path)
    dom.destroy()
    loader = f"<os><loader readonly='yes' type='pflash'>{OVMF}</loader>"
    defined = conn.defineXML(text.replace("<os firmware='efi'>", loader))
    assert ElementTree.fromstring(defined.XMLDesc()).findtext("os/nvram") == path
    defined.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    assert not os.path.exists(path)


# --- helpers and devices of the kernel ------------------------------------------------------------


def test_vsock_without_the_kernels_device_is_refused(
    conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources_files, "VSOCK", "/dev/none")
    code, message = refusal(conn, "<vsock model='virtio'><cid auto='yes'/></vsock>")
    assert code == libvirt.VIR_ERR_CONFIG_UNSUPPORTED
    assert message == "unsupported configuration: unable to open vhost-vsock device"


def test_a_missing_tpm_emulator_is_told_as_libvirt_tells_it(
    conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "_PATH", "/none")
    tpm = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
    code, message = refusal(conn, tpm)
    assert code == libvirt.VIR_ERR_CONFIG_UNSUPPORTED
    assert message == "unsupported configuration: TPM version '2.0' is not supported"


def test_a_missing_virtiofsd_is_told_as_libvirt_tells_it(conn: Any) -> None:
    device = (
        "<filesystem type='mount'><driver type='virtiofs'/><binary path='/none'/>"
        "<source dir='/tmp'/><target dir='tag'/></filesystem>"
    )
    shared = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
    code, message = refusal(conn, device, shared)
    assert code == libvirt.VIR_ERR_INTERNAL_ERROR
    assert message == "internal error: virtiofsd binary '/none' is not executable"


def test_panic_and_watchdog_devices_newer_than_the_recorded_libvirt_start(conn: Any) -> None:
    live = start(conn, "<panic model='pvpanic'/><watchdog model='itco'/>", machine="q35")
    panic, watchdog = live.find("devices/panic"), live.find("devices/watchdog")
    assert panic is not None and panic.attrib["model"] == "pvpanic"
    assert watchdog is not None and watchdog.attrib["model"] == "itco"


# --- processors and labels ------------------------------------------------------------------------


def test_host_model_runs_as_what_it_is_and_stays_host_model_in_the_definition(conn: Any) -> None:
    live = start(conn, extra="<cpu mode='host-model'/>").find("cpu")
    assert live is not None and live.attrib == {"mode": "maximum", "check": "none"}
    conn.lookupByName("guest").destroy()
    dom = conn.defineXML(domain_xml(extra="<cpu mode='host-model'/>"))
    kept = ElementTree.fromstring(dom.XMLDesc()).find("cpu")
    assert kept is not None and kept.attrib == {"mode": "host-model", "check": "partial"}
    shown = dom.XMLDesc(libvirt.VIR_DOMAIN_XML_UPDATE_CPU)
    updated = ElementTree.fromstring(shown).find("cpu")
    assert updated is not None and updated.attrib["mode"] == "maximum"
    offered = ElementTree.fromstring(conn.getDomainCapabilities(virttype="qemu"))
    assert offered.findtext("cpu/mode[@name='host-model']/model") == "max"
    dom.undefine()


def test_host_passthrough_needs_kvm(conn: Any) -> None:
    code, message = refusal(conn, extra="<cpu mode='host-passthrough'/>")
    assert code == libvirt.VIR_ERR_CONFIG_UNSUPPORTED
    assert "CPU mode 'host-passthrough' for x86_64 qemu domain on x86_64 host" in message


@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="/dev/kvm is missing")
@pytest.mark.parametrize("machine", ["pc", "q35", "two"])
def test_a_kvm_guest_starts_and_runs(conn: Any, root: Path, machine: str) -> None:
    kind = "pc" if machine == "two" else machine
    more = "<vcpu>2</vcpu>" if machine == "two" else ""
    text = domain_xml(machine=kind).replace("type='qemu'", "type='kvm'")
    if more:
        text = text.replace("<vcpu>1</vcpu>", more)
    dom = conn.createXML(text, PAUSED)
    assert "-accel kvm" in log_of(root)
    assert dom.state()[0] == libvirt.VIR_DOMAIN_PAUSED
    dom.resume()
    assert dom.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert "KVM" in dom.XMLDesc().upper()
    dom.destroy()


def test_the_label_says_whose_process_it_is(conn: Any) -> None:
    live = start(conn)
    if os.geteuid() != 0:
        assert live.find("seclabel") is None
        return
    label = live.find("seclabel")
    assert label is not None
    assert label.attrib == {"type": "dynamic", "model": "dac", "relabel": "yes"}
    assert label.findtext("label") == label.findtext("imagelabel") == "+0:+0"
    assert live.findtext("resource/partition") in (None, "/machine"), "if it has a control group"


def test_a_label_that_would_not_come_true_is_refused(conn: Any) -> None:
    text = domain_xml().replace(
        "</domain>",
        "<seclabel type='static' model='dac' relabel='no'><label>4711:4711</label></seclabel>"
        "</domain>",
    )
    with pytest.raises(libvirt.libvirtError, match="QEMU runs as"):
        conn.createXML(text, PAUSED)
    text = text.replace("model='dac'", "model='selinux'")
    with pytest.raises(libvirt.libvirtError, match="'selinux' is not available"):
        conn.createXML(text, PAUSED)
