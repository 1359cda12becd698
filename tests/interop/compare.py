# SPDX-License-Identifier: LGPL-2.1-or-later
"""compare.py: where two logs of the same script differ.

How a step's value is compared is written beside the step in the script:
`exact` (nothing written), `except-N` (exact but for item N), `unordered` (a list in any order),
`shape` (types, lengths, dict keys, but not the leaves), `type` (type only), `any` (both succeeded
or both failed the same way). libvirtErrors are compared whole, but for `error` (class and code
only). Of other exceptions, such as TypeErrors, the class counts and the text is ours; where the
real one raises SystemError, its binding failed to check an argument; ours must raise a TypeError,
ValueError or RuntimeError.
Called by: the tests, play.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.interop.oracle import Log, Outcome, Step

LEAVES = ("int", "float", "str", "bytes", "bool", "NoneType")
CLEAR = ("TypeError", "ValueError", "RuntimeError")
MARKERS = ("exact", "unordered", "shape", "type", "any", "error")


@dataclass(frozen=True)
class Difference:
    """One step that did not come out alike."""

    script: str
    step: Step
    what: str
    expected: Any
    actual: Any

    def __str__(self) -> str:
        return (
            f"{self.script}:{self.step.line}: {self.step.source.strip()[:300]}\n"
            f"    {self.what}\n"
            f"    expected {_short(self.expected)}\n"
            f"    actual   {_short(self.actual)}"
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 1500 else text[:1500] + " …"


def shape(value: Any) -> Any:
    """A value with its leaves taken out."""
    kind, content = value
    if kind in LEAVES:
        return kind
    if kind == "dict":
        return [kind, [[key, shape(item)] for key, item in content]]
    if isinstance(content, list):
        return [kind, [shape(item) for item in content]]
    return kind


def compare_step(step: Step, expected: Outcome, actual: Outcome) -> tuple[str, Any, Any] | None:
    """What differs, with both sides; None when nothing does."""
    if step.marker not in MARKERS and not step.marker.startswith("except-"):
        raise ValueError(f"line {step.line}: unknown marker {step.marker!r}; {MARKERS} are known")
    if expected.error is not None or actual.error is not None:
        return _compare_errors(step, expected, actual)
    left, right = expected.value, actual.value
    if step.marker == "any":
        return None
    if step.marker == "type":
        left, right = left[0], right[0]
    elif step.marker == "shape":
        left, right = shape(left), shape(right)
    elif step.marker == "unordered":
        left, right = ([kind, sorted(items, key=repr)] for kind, items in (left, right))
    elif step.marker.startswith("except-"):
        left, right = (_without(value, int(step.marker[7:])) for value in (left, right))
    if left != right:
        return "value", *narrow(left, right)
    if expected.stderr != actual.stderr:
        return "stderr", expected.stderr, actual.stderr
    return None


def _without(value: Any, index: int) -> Any:
    """A sequence with one item replaced by its shape."""
    kind, items = value
    return [kind, [shape(item) if at == index else item for at, item in enumerate(items)]]


def _compare_errors(step: Step, expected: Outcome, actual: Outcome) -> tuple[str, Any, Any] | None:
    if expected.error is not None and expected.error["type"] == "WorkerDied":
        return "the measure itself died", expected.error, actual.error or actual.value
    if expected.error is None:
        return "raised", expected.value, (actual.error, actual.trace)
    if actual.error is None:
        return "did not raise", expected.error, actual.value
    left, right = dict(expected.error), dict(actual.error)
    if left["type"] == "SystemError" and right["type"] in CLEAR:
        return None
    if left["type"] == right["type"] != "libvirtError":
        return None
    if left["type"] != right["type"]:
        return "error type", expected.error, (actual.error, actual.trace)
    if step.marker == "error":
        left, right = ({k: e[k] for k in e if k.endswith(("type", "_code"))} for e in (left, right))
    if left != right:
        keys = sorted(key for key in left if left[key] != right.get(key))
        return f"error fields {', '.join(keys)}", left, right
    if step.marker != "error" and expected.stderr != actual.stderr:
        return "stderr", expected.stderr, actual.stderr
    return None


def narrow(left: Any, right: Any) -> tuple[Any, Any]:
    """The first differing parts of two large values."""
    while (
        isinstance(left, list)
        and isinstance(right, list)
        and len(left) == len(right)
        and len(repr(left)) + len(repr(right)) > 400
    ):
        pairs = [(a, b) for a, b in zip(left, right, strict=True) if a != b]
        if len(pairs) != 1:
            break
        left, right = pairs[0]
    if isinstance(left, str) and isinstance(right, str) and len(left) > 300:
        at = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), 0)
        return left[max(0, at - 100) : at + 200], right[max(0, at - 100) : at + 200]
    return left, right


def compare(script: str, expected: Log, actual: Log) -> list[Difference]:
    """All differences between two logs, in order."""
    found = []
    for (step, left), (other, right) in zip(expected.steps, actual.steps, strict=False):
        assert step == other
        difference = compare_step(step, left, right)
        if difference is not None:
            found.append(Difference(script, step, *difference))
    if len(expected.steps) != len(actual.steps):
        shorter = min(expected, actual, key=lambda log: len(log.steps))
        step, outcome = shorter.steps[-1]
        found.append(Difference(script, step, f"{shorter.client} ended early", None, outcome.error))
    return found
