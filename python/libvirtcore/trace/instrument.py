# SPDX-License-Identifier: LGPL-2.1-or-later
"""instrument.py: functions that make spans, in place of those at the seams between the layers.

Recording must cost nothing while nobody records, so no layer knows of it: `install` puts measuring
functions where callers look the plain ones up (classes, and modules that imported a function by
name), `remove` puts the plain ones back.
Called by: trace. Calls: record; the layers, by the names in this file and seams.py.
Never: changes what a call does, returns or raises.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from libvirtcore.trace import record
from libvirtcore.trace.record import Recorder

_FACES = ("libvirt", "libvirt_qemu", "libvirt_lxc")
_OF_API = ("call", "run", "perform", "admit")

_undo: list[tuple[Any, str, Any]] = []  # where, name, what was there
_lent: list[tuple[str, Any, Any]] = []  # of the API layer: name, measuring function, plain one


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(the function)` in the function's place, to be undone by `remove`."""
    plain = owner.__dict__.get(name) if isinstance(owner, type) else getattr(owner, name, None)
    if plain is None:
        return
    _undo.append((owner, name, plain))
    setattr(owner, name, make(plain))


def install(recorder: Recorder) -> None:
    """Begin to record; modules that are imported later are seen as far as they look names up."""
    from libvirtcore.api import call  # whoever is imported from now on gets what stands there
    from libvirtcore.trace import seams

    record.set_recorder(recorder)
    plain = {name: getattr(call, name) for name in _OF_API}
    traced = {
        "call": _traced_call(recorder, call),
        "run": _traced(recorder, plain["run"]),
        "perform": _traced_perform(recorder, call),
    }
    rows = {"admit": _traced_admit(recorder, call)}  # the daemon's rows call drivers themselves
    _lent.extend((name, function, plain[name]) for name, function in (traced | rows).items())
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        dispatching = name.startswith(("libvirtcore.generated.dispatch_", "libvirtd."))
        _api_names(module, plain, traced | rows if dispatching else traced)
    for name in _FACES:
        face = sys.modules.get(name)
        if face is not None:
            _face(recorder, face)
    seams.install(recorder, replace)


def remove() -> None:
    """Put everything back, latest first."""
    record.set_recorder(None)
    from libvirtcore.trace import seams

    seams.remove()
    while _undo:
        owner, name, plain = _undo.pop()
        setattr(owner, name, plain)
    for module in list(sys.modules.values()):  # those imported meanwhile, which took what stood
        names = getattr(module, "__dict__", {})
        for name, function, plain in _lent:
            if names.get(name) is function:
                setattr(module, name, plain)
    _lent.clear()


def _api_names(module: ModuleType, plain: dict[str, Any], traced: dict[str, Any]) -> None:
    names = getattr(module, "__dict__", None)
    if names is None or not getattr(module, "__name__", "").startswith(("libvirt",)):
        return
    for name, function in traced.items():
        if names.get(name) is plain[name]:
            replace(module, name, partial(_instead, function))


def _instead(traced: Any, _plain: Any) -> Any:
    return traced


# --- the face -------------------------------------------------------------------------------------


def _face(recorder: Recorder, face: ModuleType) -> None:
    seen: set[type] = set()
    for value in list(vars(face).values()):
        if isinstance(value, type) and value.__name__.startswith("vir"):
            for cls in value.__mro__:
                if cls.__module__.startswith("libvirtcore.") and cls not in seen:
                    seen.add(cls)
                    _methods(recorder, value.__name__, cls)
    for name in ("open", "openReadOnly", "openAuth"):
        if name in vars(face):
            replace(face, name, _named(recorder, "face", f"{face.__name__}.{name}"))


def _methods(recorder: Recorder, owner: str, cls: type) -> None:
    for name, value in list(vars(cls).items()):
        if not name.startswith("_") and type(value) is type(_methods):
            replace(cls, name, _named(recorder, "face", f"{owner}.{name}"))


def _named(recorder: Recorder, layer: str, title: str) -> Callable[[Any], Any]:
    def make(plain: Any) -> Any:
        def traced(*args: Any, **kwargs: Any) -> Any:
            with recorder.span(layer, title):
                return plain(*args, **kwargs)

        traced.__name__ = plain.__name__
        traced.__doc__ = plain.__doc__
        traced.__wrapped__ = plain  # type: ignore[attr-defined]
        return traced

    return make


# --- the API layer --------------------------------------------------------------------------------


def _traced(recorder: Recorder, plain: Any) -> Any:
    def run(row: Any, *args: Any) -> Any:
        with recorder.span("api", row.name):
            return plain(row, *args)

    return run


def _driven(recorder: Recorder, driver: Any, row: Any, handle: Any, args: Any) -> Any:
    """The driver's method in a span of its own, and its effect."""
    with recorder.span("driver", f"{driver.name}.{row.method}"):
        method = getattr(driver, row.method)
        value = method(*args) if row.kind == "connect" else method(handle, *args)
    if row.effect is not None:
        row.effect(handle, value)
    return value


def _traced_perform(recorder: Recorder, api: Any) -> Any:
    def perform(row: Any, handle: Any, *args: Any) -> Any:
        with recorder.span("api", row.name):
            return _driven(recorder, api.admit(row, handle, args), row, handle, args)

    return perform


class _Admitted:
    """A driver that an admitted call is about to be made on."""

    __slots__ = ("_driver", "_recorder", "_row")

    def __init__(self, recorder: Recorder, driver: Any, row: Any) -> None:
        self._recorder = recorder
        self._driver = driver
        self._row = row

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if not callable(found):
            return found

        def method(*args: Any, **kwargs: Any) -> Any:
            with (
                self._recorder.span("api", self._row.name),
                self._recorder.span("driver", f"{self._driver.name}.{name}"),
            ):
                return found(*args, **kwargs)

        return method


def _traced_admit(recorder: Recorder, api: Any) -> Any:
    plain = api.admit

    def admit(row: Any, handle: Any, args: tuple[Any, ...] = ()) -> Any:
        return _Admitted(recorder, plain(row, handle, args), row)

    return admit


def _traced_call(recorder: Recorder, api: Any) -> Any:
    def call(row: Any, handle: Any, *args: Any) -> Any:
        with recorder.span("api", row.name) as span:
            api.thread.error = None
            try:
                driver = api.admit(row, handle, args)
                value = _driven(recorder, driver, row, handle, args)
                return value if row.shape is None else row.shape(value)
            except api.VirError as error:
                span.facts["error"] = str(error)
                api.fail(handle, error)
                return row.failure

    return call
