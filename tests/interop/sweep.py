# SPDX-License-Identifier: LGPL-2.1-or-later
"""sweep.py: every method of every class, called in the ways that must fail alike.

The methods and their parameters come from the real libvirt (`Worker.describe`), so nothing is
forgotten. Five sweeps: no arguments at all, arguments of a senseless type, an unknown flag, objects
that are gone, and a read-only connection.
Called by: test_calls.py.
"""

from __future__ import annotations

from tests.interop.oracle import Step, Worker

Classes = dict[str, dict[str, list[str]]]

# Sane values by parameter name, as source text.
VALUES = {
    "cpumap": "(True,)",
    "data": "b'x'",
    "dconn": "conn",
    "duri": "'qemu+unix:///system?socket=/nonexistent'",
    "dconnuri": "'qemu+unix:///system?socket=/nonexistent'",
    "doms": "[dom]",
    "fd": "0",
    "files": "[0]",
    "flags": "0",
    "keycodes": "[28]",
    "keys": "['key']",
    "mountpoints": "['/']",
    "opaque": "None",
    "pages": "[4]",
    "params": "{'bandwidth': 1}",
    "snap": "snap",
    "st": "conn.newStream()",
    "stream": "conn.newStream()",
    "time": "{'seconds': 1, 'nseconds': 0}",
    "uuid": "bytes(16)",
    "uuidstr": "'00000000-0000-0000-0000-000000000001'",
    "value": "b'x'",
    "vcpumap": "'0'",
    "xmlCPUs": "['<cpu/>']",
    "clonevol": "vol",
    "iothread_id": "7",
    "iothread_val": "7",
    "id": "4711",
}
TEXTS = frozenset(
    [
        "alias",
        "arch",
        "backupXML",
        "base",
        "cap",
        "checkpointXML",
        "destxml",
        "dev",
        "dev_name",
        "device",
        "disk",
        "dname",
        "domainXml",
        "driverName",
        "dumpformat",
        "dxml",
        "emulator",
        "emulatorbin",
        "file",
        "frm",
        "key",
        "mac",
        "machine",
        "macstr",
        "metadata",
        "miguri",
        "mountPoint",
        "name",
        "nativeConfig",
        "nativeFormat",
        "new_name",
        "password",
        "path",
        "portdev",
        "srcSpec",
        "to",
        "top",
        "uri",
        "usageID",
        "user",
        "virttype",
        "wwnn",
        "wwpn",
        "xml",
        "xmlCPU",
        "xmlDesc",
        "xmldesc",
    ]
)
TEXT_BY_METHOD = {
    "virConnect.getMaxVcpus(type)": "'qemu'",
    "virConnect.findStoragePoolSources(type)": "'dir'",
    "virConnect.allocPages(pages)": "{4: 1}",
    "virConnect.setIdentity(params)": "{'user-name': 'x'}",
    "virConnect.restoreParams(params)": "{'file': '/nonexistent/x'}",
    "virDomain.saveParams(params)": "{'file': '/nonexistent/x'}",
    "virDomain.coreDumpWithFormat(dumpformat)": "0",
}

# Methods that no sweep calls, with the reason.
LOCAL = frozenset({"c_pointer", "connect", "getConnect", "domain", "getDomain", "network"})
NEVER = {
    "virConnect.close": "ends the sweep",
    "virConnect.suspendForDuration": "would put the host to sleep",
    "virDomain.connect": "local",
    "virConnect.registerCloseCallback": "its own story",
    "virConnect.unregisterCloseCallback": "its own story",
}
EVENTS = ("EventRegister", "EventRegisterAny", "EventDeregister", "EventDeregisterAny")  # stories

OBJECTS_TEST = """\
conn = libvirt.open(uri)
dom = conn.lookupByName("test")
net = conn.networkLookupByName("default")
pool = conn.storagePoolLookupByName("default-pool")
dev = conn.nodeDeviceLookupByName("scsi_host2")
iface = conn.interfaceLookupByName("eth1")
vol = pool.createXML("<volume><name>v</name><capacity>1000000</capacity></volume>")
snap = dom.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>")
st = conn.newStream()
"""
REMOVE_TEST = """\
snap.delete()
dom.destroy()
dom.undefine()
net.destroy()
net.undefine()
vol.delete()
pool.destroy()
pool.undefine()
iface.destroy()
iface.undefine()
dev.destroy()
"""
READONLY_TEST = """\
conn = libvirt.openReadOnly(uri)
dom = conn.lookupByName("test")
net = conn.networkLookupByName("default")
pool = conn.storagePoolLookupByName("default-pool")
dev = conn.nodeDeviceLookupByName("scsi_host2")
iface = conn.interfaceLookupByName("eth1")
vol = pool.storageVolLookupByName("v")
snap = dom.snapshotLookupByName("s")
st = conn.newStream()
"""
NAMES = {
    "virConnect": "conn",
    "virDomain": "dom",
    "virNetwork": "net",
    "virStoragePool": "pool",
    "virStorageVol": "vol",
    "virNodeDevice": "dev",
    "virInterface": "iface",
    "virDomainSnapshot": "snap",
    "virStream": "st",
}


# How a call's value is compared where it is not exact (see compare.py).
MARKERS = {
    "virConnect.listAllDevices": "unordered",
    "virDomain.info": "except-4",
    "virDomain.vcpus": "shape",
    "virDomainSnapshot.getXMLDesc": "type",
}


def _value(owner: str, method: str, parameter: str) -> str:
    special = TEXT_BY_METHOD.get(f"{owner}.{method}({parameter})")
    if special is not None:
        return special
    if parameter in VALUES:
        return VALUES[parameter]
    return "'nonsense'" if parameter in TEXTS else "1"


def _methods(classes: Classes) -> list[tuple[str, str, list[str]]]:
    return [
        (owner, method, parameters)
        for owner in NAMES
        for method, parameters in classes[owner].items()
        if method not in LOCAL and not method.endswith(EVENTS) and f"{owner}.{method}" not in NEVER
    ]


def _steps(text: str, first: int = 1) -> list[Step]:
    return [Step(first + at, line) for at, line in enumerate(text.splitlines())]


def no_arguments(classes: Classes) -> list[Step]:
    """Calls that lack what they need; those that need nothing are left to the scripts."""
    steps = _steps(OBJECTS_TEST)
    for owner, method, parameters in _methods(classes):
        if any(name not in ("flags", "bandwidth") for name in parameters[:1]):
            steps.append(Step(len(steps) + 1, f"{NAMES[owner]}.{method}()"))
    return steps


def senseless_types(classes: Classes) -> list[Step]:
    """Each parameter in turn is an object() while the others are sane."""
    steps = _steps(OBJECTS_TEST)
    for owner, method, parameters in _methods(classes):
        for at, name in enumerate(parameters):
            if name in ("opaque", "cb", "handler", "holeHandler", "skipHandler"):
                continue
            values = [_value(owner, method, other) for other in parameters]
            values[at] = "object()"
            call = f"{NAMES[owner]}.{method}({', '.join(values)})"
            steps.append(Step(len(steps) + 1, call))
    return steps


def unknown_flag(classes: Classes) -> list[Step]:
    steps = _steps(OBJECTS_TEST)
    for owner, method, parameters in _methods(classes):
        if "flags" in parameters and owner != "virStream":
            steps.append(Step(len(steps) + 1, _call(owner, method, parameters, "1 << 30")))
    return steps


def vanished(classes: Classes) -> list[Step]:
    """Objects whose subject was destroyed and undefined."""
    steps = _steps(OBJECTS_TEST)
    steps += _steps(REMOVE_TEST, len(steps) + 1)
    for owner, method, parameters in _methods(classes):
        if owner not in ("virConnect", "virStream"):
            steps.append(Step(len(steps) + 1, _call(owner, method, parameters, "0")))
    return steps


def read_only(classes: Classes) -> list[Step]:
    steps = _steps(OBJECTS_TEST)
    steps += _steps(READONLY_TEST, len(steps) + 1)
    for owner, method, parameters in _methods(classes):
        if owner != "virStream":
            marker = MARKERS.get(f"{owner}.{method}", "exact")
            call = _call(owner, method, parameters, "0")
            steps.append(Step(len(steps) + 1, call, marker))
    return steps


def _call(owner: str, method: str, parameters: list[str], flags: str) -> str:
    values = [flags if p == "flags" else _value(owner, method, p) for p in parameters]
    return f"{NAMES[owner]}.{method}({', '.join(values)})"


SWEEPS = {
    "no_arguments": no_arguments,
    "senseless_types": senseless_types,
    "unknown_flag": unknown_flag,
    "vanished": vanished,
    "read_only": read_only,
}


def make(name: str, worker: Worker) -> list[Step]:
    """The steps of one sweep, from the classes that `worker` describes."""
    return SWEEPS[name](worker.describe())
