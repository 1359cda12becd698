# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_off.py: a process that records nothing runs the plain functions, and no others."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib import import_module
from pathlib import Path

from libvirtcore import trace
from libvirtcore.trace import instrument

PYTHON = Path(__file__).resolve().parents[2] / "python"
# One module of each layer that a call passes; what they need comes with them.
LAYERS = (
    "libvirt",
    "libvirt_qemu",
    "libvirtcore.drivers.remote.driver",
    "libvirtcore.drivers.qemu.driver",
    "libvirtcore.drivers.qemu.start",
    "libvirtcore.drivers.qemu.reconnect",
    "libvirtd.daemon",
)
# Where a trace looks: a name that a layer gives up for another one must not go unnoticed.
SEAMS = (
    ("libvirtcore.core", "Client", "_end"),
    ("libvirtcore.core", "Client", "next_event"),
    ("libvirtcore.drivers.remote.driver", "RemoteDriver", "_call"),
    ("libvirtcore.drivers.remote.driver", "RemoteDriver", "send"),
    ("libvirtcore.drivers.remote.driver", "RemoteDriver", "submit"),
    ("libvirtcore.drivers.remote.driver", "RemoteDriver", "_call_fds"),
    ("libvirtcore.drivers.remote.driver", "RemoteDriver", "_call_stream"),
    ("libvirtd.session", "Session", "call"),
    ("libvirtd.events", "Registration", "deliver"),
    ("libvirtcore.drivers.qemu.job", "Jobs", "acquire"),
    ("libvirtcore.drivers.qemu.monitor", "Monitor", "execute"),
    ("libvirtcore.drivers.qemu.monitor", "Monitor", "execute_many"),
    ("libvirtcore.drivers.qemu.start", "", "handle_event"),
    ("libvirtcore.generated.door_domain", "", "call"),
    ("libvirtcore.generated.dispatch_domain", "", "admit"),
    ("libvirtcore.api.call", "", "perform"),
    ("libvirt", "virDomain", "resume"),
)

# Every function that a module or class of ours has, by where it is found.
FUNCTIONS = """
import sys, types
def functions():
    found = {}
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        if not name.startswith("libvirt") or name.startswith("libvirtcore.trace"):
            continue
        for key, value in list(vars(module).items()):
            if isinstance(value, types.FunctionType):
                found[name, key] = value
            elif isinstance(value, type) and value.__module__.startswith("libvirt"):
                for method, function in list(vars(value).items()):
                    if isinstance(function, types.FunctionType):
                        found[value.__module__, value.__qualname__, method] = function
    return found
"""


def test_no_wrapper_is_installed_where_nobody_records() -> None:
    script = f"""{FUNCTIONS}
for name in {LAYERS!r}:
    __import__(name)
import libvirt
libvirt.open("test:///default").lookupByName("test").info()
assert "libvirtcore.trace.instrument" not in sys.modules, "it was imported"
found = functions()
assert len(found) > 3000, len(found)
strange = [where for where, function in found.items()
           if "/trace/" in function.__code__.co_filename or hasattr(function, "__wrapped__")
           and "/trace/" in function.__wrapped__.__code__.co_filename]
assert not strange, strange
"""
    environment = {"PYTHONPATH": str(PYTHON), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=60)


def test_recording_sees_every_seam_and_puts_each_function_back() -> None:
    for name in LAYERS:
        import_module(name)
    scope: dict[str, types.FunctionType] = {}
    exec(FUNCTIONS, scope)
    before = scope["functions"]()
    with trace.record():
        during = scope["functions"]()
        for module, owner, name in SEAMS:
            place = getattr(import_module(module), owner) if owner else import_module(module)
            assert "/trace/" in getattr(place, name).__code__.co_filename, (module, owner, name)
        assert sum(during[where] is not function for where, function in before.items()) > 400
    after = scope["functions"]()
    assert [where for where in before if after[where] is not before[where]] == []
    assert instrument._undo == []


def test_module_imported_while_a_trace_is_recorded_gives_its_wrappers_back() -> None:
    script = """if True:
        import sys
        from libvirtcore import trace
        from libvirtcore.api import call as api
        with trace.record():
            import libvirtcore.generated.door_domain as door
            assert door.call is api.call
            assert "/trace/" in door.call.__code__.co_filename
        assert door.call is api.call
        assert "/trace/" not in door.call.__code__.co_filename
    """
    environment = {"PYTHONPATH": str(PYTHON), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=60)


def test_a_span_that_ends_after_the_trace_writes_nowhere(tmp_path: Path) -> None:
    """The number of the trace's descriptor is another file's by then."""
    import os

    from libvirtcore.trace.record import FileSink, Recorder

    sink = FileSink(str(tmp_path / "trace"))
    recorder = Recorder(sink)
    with recorder.span("face", "late"):
        number = sink._fd
        sink.close()
        other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
        assert other == number
    os.close(other)
    assert (tmp_path / "other").read_bytes() == b""
