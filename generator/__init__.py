# SPDX-License-Identifier: LGPL-2.1-or-later
"""The compiler of libvirtcore's API description.

`lex` and `parse` read generator/api/*.api into the frozen dataclasses of `model`; `check` judges
them; `names` maps a C name to every other spelling; each `emit_*` module turns a Model into files
with one function, `emit(model) -> dict[path relative to the tree, content]`. Contents carry no
header: `__main__` puts licence and stamp on top of each file (`stamp.py`).

Called by: `python -m generator`, tests/generator.
Never: imported by the running library.
"""
