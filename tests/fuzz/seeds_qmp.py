# SPDX-License-Identifier: LGPL-2.1-or-later
"""seeds_qmp.py: writes the seeds of the QMP fuzzers: what a monitor or an agent might say.

Run as `PYTHONPATH=python:. python tests/fuzz/seeds_qmp.py`. A crasher is kept beside them under a
name that says what it was.
"""

from __future__ import annotations

from pathlib import Path

from tests.qmp.peer import GREETING, answer, event
from tests.qmp.test_lines import LINES

CORPUS = Path(__file__).parent / "corpus"

FIRST, SECOND, THIRD = ({"id": number} for number in (1, 2, 3))
WHOLE = (
    GREETING + answer(FIRST, {"a": [1, "ä"]}) + event("STOP", x=1) + answer(THIRD)
    + answer(SECOND, "b") + answer({}, "plain")
)  # fmt: skip
AGENT = b'junk\n\xff{"return": 7}\n{"return": {"a": 1}}\n{"error": {"class": "C", "desc": "d"}}\n'
SESSIONS = {
    "whole_session": b"\0\0" + WHOLE,
    "pieces": b"\6\0" + WHOLE,
    "cut": b"\0\0" + WHOLE[:-9],
    "agent": b"\1\0" + AGENT,
    "refusal": b"\0\0" + GREETING + b'{"error": {"class": "C", "desc": "d"}, "id": 1}\n',
    "text": b"\0\0" + LINES["text"] + b"\n",
    "floods": b"\0\0" + GREETING + event("X") * 20,
}
ODD = ("spaces", "escapes", "utf8", "nested", "two returns", "high high low", "deep", "huge float")


def main() -> None:
    for target in ("fuzz_qmp_frame", "fuzz_qmp_client"):
        place = CORPUS / target
        place.mkdir(parents=True, exist_ok=True)
        for name, data in SESSIONS.items():
            (place / name).write_bytes(data)
        for name in ODD:
            data = b"\0\0" + GREETING + LINES[name] + b"\n"
            (place / name.replace(" ", "_")).write_bytes(data)


if __name__ == "__main__":
    main()
