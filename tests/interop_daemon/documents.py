# SPDX-License-Identifier: LGPL-2.1-or-later
"""documents.py: our answer to every recorded document, made without a daemon and without QEMU.

Called by: test_domain_documents.py and other tests of the QEMU driver that use the documents.
Calls: tests/interop/domxml.py, libvirtcore.conf, the QEMU driver's defaults and checks.
Never: starts anything.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from libvirtcore.conf import FORMAT_INACTIVE, FORMAT_SECURE, PARSE_INACTIVE, Domain
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.defaults import complete
from libvirtcore.drivers.qemu.validate import validate
from libvirtcore.errors import VirError
from tests.interop import domxml

CAPS = Path(domxml.__file__).with_name("domains") / "caps"
BINARIES = {"x86_64": "x86_64", "i686": "i386", "aarch64": "aarch64"}


@functools.cache
def capabilities(arch: str) -> QemuCaps:
    """What Debian's QEMU 7.2 for an architecture said, without what these tests do not need."""
    whole = QemuCaps("").to_json()
    whole |= json.loads((CAPS / f"{BINARIES[arch]}.json").read_text())
    return QemuCaps.from_json(whole)


def define(source: str) -> Domain:
    """A document as the QEMU driver would keep it."""
    domain = Domain.parse(source, PARSE_INACTIVE)
    os_type = domain.os.type
    assert os_type is not None
    arch = os_type.arch or "x86_64"
    if arch not in BINARIES:
        raise domain_error(f"No emulator found for arch '{arch}'")
    caps = capabilities(arch)
    complete(domain, caps)
    validate(domain, caps)
    return domain


def domain_error(detail: str) -> VirError:
    from libvirtcore.errors import report
    from libvirtcore.generated.constants import VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU

    return report(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU, detail)


def answer(name: str) -> tuple[str | None, domxml.Failure | None]:
    """Our dump of a document, or our error."""
    source = domxml.document(name)
    try:
        domain = define(source)
    except VirError as error:
        return None, (error.code, error.domain, domxml.normalise(error.message, source))
    return domxml.normalise(domain.format(FORMAT_INACTIVE | FORMAT_SECURE), source), None
