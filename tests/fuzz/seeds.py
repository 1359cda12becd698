# SPDX-License-Identifier: LGPL-2.1-or-later
"""seeds.py: writes the seeds of the xdr fuzzers, one valid input for each kind of type.

Run as `PYTHONPATH=python python tests/fuzz/seeds.py` when the tables change; the head of an input
is explained in fuzz_types.h. A crasher is kept beside them under a name that says what it was.
"""

from __future__ import annotations

import marshal
from pathlib import Path
from typing import Any

from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc.pure import encode

CORPUS = Path(__file__).parent / "corpus"
REMOTE = PROGRAMS[0x20008086].procedures
GUEST = ("guest", bytes(range(16)), 7)
PARAMS = [
    ("int", 1, -1), ("uint", 2, 2**32 - 1), ("llong", 3, -(2**63)), ("ullong", 4, 2**64 - 1),
    ("double", 5, 1.5), ("boolean", 6, True), ("string", 7, "é"), ("int", 1, 0),
]  # fmt: skip
SEEDS: list[tuple[str, bool, Any]] = [
    ("domain_create", False, (GUEST,)),
    ("connect_open", False, ("test:///default", 0)),
    ("connect_open", False, (None, 1)),
    ("domain_get_info", True, (1, 2**40, 2**20, 2, 2**35)),
    ("node_get_info", True, (b"x86_64".ljust(32, b"\0"), 1, 2, 3, 4, 5, 6, 7)),
    ("connect_list_domains", True, ([1, 2, 3],)),
    ("connect_list_all_domains", True, ([GUEST, GUEST], 2)),
    ("domain_get_vcpus", True, ([(0, 1, 10**12, 3)], b"\x0f")),
    ("domain_get_scheduler_parameters", True, (PARAMS,)),
    ("connect_get_all_domain_stats", True, ([(GUEST, PARAMS), (GUEST, PARAMS)],)),
    ("domain_get_xml_desc", True, ("<domain>" + "x" * 300 + "</domain>",)),
]


def main() -> None:
    for name, reply, value in SEEDS:
        number, row = next(
            (number, row)
            for number, row in enumerate(REMOTE)
            if row is not None and row.name == name
        )
        head = bytes((0, *(number - 1).to_bytes(2, "big"), int(reply)))
        file = f"{name}_{'ret' if reply else 'args'}{'_none' if value[0] is None else ''}"
        for target, stream in (
            ("fuzz_xdr_decode", encode(row.ret if reply else row.args, value)),
            ("fuzz_xdr_encode", marshal.dumps(value, 2)),
        ):
            (CORPUS / target).mkdir(parents=True, exist_ok=True)
            (CORPUS / target / file).write_bytes(head + stream)


if __name__ == "__main__":
    main()
