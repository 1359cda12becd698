# SPDX-License-Identifier: LGPL-2.1-or-later
"""differences.py: where our daemon answers real clients otherwise than the real one, and why.

A test fails for a difference that is not here, and for an entry that no longer differs.
Called by: test_virsh.py, test_python.py.
"""

from __future__ import annotations

_LATER = "the test driver lacks this call; the complete one is work of its own"
_MODEL = "the test driver keeps a definition as it was written until it uses the typed model"
_PARSER = "the XML parser is another one and words broken documents its own way"

# Steps of virsh.steps, whole lines as written there → reason.
VIRSH: dict[str, str] = {
    "test $ version --daemon": "our interface is that of a newer libvirt, and says so",
    "test $ cpu-models x86_64": _LATER,
    "test $ domstats": _LATER,
    "test $ domstats test --state": _LATER,
    "test $ schedinfo test": _LATER,
    "test $ snapshot-list test": _LATER,
    "test $ setvcpus test 1": _LATER,
    "test $ setvcpus test 99": _LATER,
    "test $ define XML/plain.xml; list --all; dominfo plain; dumpxml plain": _MODEL,
    "test $ define XML/unknown-type.xml": _MODEL,
    "test $ define XML/broken.xml": _PARSER,
    "test $ define XML/empty.xml": _PARSER,
    "qemu $ define XML/broken.xml": "the real one shows a line that is not there as (null)",
}

# Steps of calls/NAME.calls as "NAME: source" → reason.
PYTHON: dict[str, str] = {
    "connection: conn.baselineCPU([], 0)": _LATER,
    'connection: conn.saveImageGetXMLDesc("/nonexistent")': _LATER,
    'connection: conn.restore("/nonexistent")': _LATER,
    'connection: libvirt.open(uri.replace("/default", "/nosuch"))': (
        "the test driver reads no description of a host from a file yet"
    ),
}
