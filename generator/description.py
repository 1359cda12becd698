# SPDX-License-Identifier: LGPL-2.1-or-later
"""description.py: reads a folder of .api files into one checked Model.

Called by: generator.__main__, tests/generator.
Never: writes.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from generator.build import build
from generator.check import check
from generator.lex import DescriptionError
from generator.model import Model
from generator.parse import parse

FOLDER = Path(__file__).parent / "api"


class DescriptionErrors(Exception):
    """All faults that were found, one a line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load(folder: Path = FOLDER) -> Model:
    """The model of all .api files in `folder`; raises DescriptionErrors."""
    digest = hashlib.sha256()
    files, faults = [], []
    for path in sorted(folder.glob("*.api")):
        source = path.read_text(encoding="utf-8")
        digest.update(f"{path.name}\n{source}".encode())
        try:
            files.append(parse(source, path.name))
        except DescriptionError as error:
            faults.append(str(error))
    if faults:
        raise DescriptionErrors(faults)
    try:
        model = build(files)
    except DescriptionError as error:
        raise DescriptionErrors([str(error)]) from error
    faults = check(model)
    if faults:
        raise DescriptionErrors(faults)
    return replace(model, digest=digest.hexdigest())
