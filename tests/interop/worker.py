# SPDX-License-Identifier: LGPL-2.1-or-later
"""worker.py: runs statements that use `libvirt` and tells exactly what came of each.

The same file runs under Debian's Python with the real libvirt and under ours with libvirtcore, so
it needs nothing but the standard library. One JSON object per line in, one out:
`{"do": "let", "names": {…}}`, `{"do": "step", "source": "dom.info()"}`, `{"do": "describe"}`.
Called by: oracle.py, as a script.
Never: imports from the repository.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import sys
import tempfile
import time
import traceback
from typing import Any

import libvirt

ERROR_GETTERS = (
    "get_error_code",
    "get_error_domain",
    "get_error_message",
    "get_error_level",
    "get_str1",
    "get_str2",
    "get_str3",
    "get_int1",
    "get_int2",
)
IDENTITY = {
    "virDomain": "UUIDString",
    "virNetwork": "UUIDString",
    "virNetworkPort": "UUIDString",
    "virStoragePool": "UUIDString",
    "virStorageVol": "key",
    "virNWFilter": "UUIDString",
    "virNWFilterBinding": "portDev",
    "virInterface": "name",
    "virNodeDevice": "name",
    "virSecret": "UUIDString",
    "virDomainSnapshot": "getName",
    "virDomainCheckpoint": "getName",
}
MAX_TEXT = 1_000_000


def encode(value: Any) -> Any:
    """A value as [type name, content]; a list is not a tuple and True is not 1."""
    kind = type(value).__name__
    if value is None or isinstance(value, (bool, int, float, str)):
        return [kind, value]
    if isinstance(value, (bytes, bytearray)):
        return [kind, value[:MAX_TEXT].hex()]
    if isinstance(value, (list, tuple)):
        return [kind, [encode(item) for item in value]]
    if isinstance(value, (set, frozenset)):
        return [kind, sorted((encode(item) for item in value), key=repr)]
    if isinstance(value, dict):
        pairs = [[encode(key), encode(item)] for key, item in value.items()]
        return [kind, sorted(pairs, key=lambda pair: repr(pair[0]))]
    if isinstance(value, libvirt.libvirtError):
        return ["libvirtError", encode_error(value)]
    if isinstance(value, BaseException):
        return [kind, str(value)]
    getter = IDENTITY.get(kind)
    if getter is not None:
        try:
            return [kind, getattr(value, getter)()]
        except libvirt.libvirtError as error:
            return [kind, f"identity failed: {error}"]
    return [kind, None]


def encode_error(error: BaseException) -> dict[str, Any]:
    if isinstance(error, libvirt.libvirtError):
        fields = {name: encode(getattr(error, name)()) for name in ERROR_GETTERS}
        return {"type": "libvirtError", "text": str(error), **fields}
    return {"type": type(error).__name__, "text": str(error)}


class Watcher:
    """Notes which methods and functions of the libvirt modules the steps call directly."""

    def __init__(self) -> None:
        self.files = {
            module.__file__
            for name, module in list(sys.modules.items())
            if name.startswith("libvirt") and getattr(module, "__file__", None)
        }
        self.seen: set[str] = set()

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        if event != "call" or frame.f_code.co_filename not in self.files:
            return
        back = frame.f_back
        if back is not None and back.f_code.co_filename in self.files:
            return
        name = frame.f_code.co_name
        if name.startswith("_"):
            return
        owner = frame.f_locals.get("self")
        scope = frame.f_globals.get("__name__") if owner is None else type(owner).__name__
        self.seen.add(f"{scope}.{name}")


class Worker:
    def __init__(self) -> None:
        self.names: dict[str, Any] = {"libvirt": libvirt, "os": os, "time": time}
        for name in ("libvirt_qemu", "libvirt_lxc"):
            try:
                self.names[name] = __import__(name)
            except ImportError:
                self.names[name] = None
        self.names["wait_until"] = wait_until
        self.names["raising"] = raising
        self.watcher = Watcher()
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the worker)
        self.stderr_at = 0
        os.dup2(self.stderr.fileno(), 2)

    def let(self, request: dict[str, Any]) -> dict[str, Any]:
        self.names.update(request["names"])
        return {}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """The methods of every class and their parameters without self."""
        classes: dict[str, dict[str, list[str]]] = {}
        for name, value in vars(libvirt).items():
            if not (inspect.isclass(value) and name.startswith("vir")):
                continue
            methods = classes.setdefault(name, {})
            for method, function in vars(value).items():
                if inspect.isfunction(function) and not method.startswith("_"):
                    methods[method] = list(inspect.signature(function).parameters)[1:]
        return {"classes": classes}

    def step(self, request: dict[str, Any]) -> dict[str, Any]:
        source = request["source"]
        self.watcher.seen.clear()
        started = time.monotonic()
        answer: dict[str, Any]
        sys.setprofile(self.watcher)
        try:
            value = self.evaluate(source)
            sys.setprofile(None)
            answer = {"value": encode(value)}
        except Exception as error:
            answer = {"error": encode_error(error)}
            if not isinstance(error, libvirt.libvirtError):
                answer["trace"] = traceback.format_exc()
        finally:
            sys.setprofile(None)
        answer["seconds"] = round(time.monotonic() - started, 4)
        answer["apis"] = sorted(self.watcher.seen)
        answer["stderr"] = self.new_stderr()
        return answer

    def evaluate(self, source: str) -> Any:
        """The value of a statement: an expression's, or what an assignment assigned."""
        (node,) = ast.parse(source).body
        if isinstance(node, ast.Expr):
            return eval(compile(ast.Expression(node.value), "<step>", "eval"), self.names)
        if isinstance(node, ast.Assign):
            value = eval(compile(ast.Expression(node.value), "<step>", "eval"), self.names)
            self.names["__value"] = value
            node.value = ast.copy_location(ast.Name("__value", ast.Load()), node.value)
            exec(compile(ast.Module([node], []), "<step>", "exec"), self.names)
            return value
        exec(compile(ast.Module([node], []), "<step>", "exec"), self.names)
        return None

    def new_stderr(self) -> list[str]:
        sys.stderr.flush()
        self.stderr.seek(self.stderr_at)
        text = self.stderr.read().decode(errors="replace")
        self.stderr_at += len(text.encode(errors="replace"))
        return text.splitlines()


def wait_until(condition: Any, seconds: float = 20.0) -> Any:
    """Call `condition` until it gives something true; that."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.05)
    return result


def raising(function: Any, *arguments: Any) -> BaseException | None:
    """The exception that a call raises, as a value."""
    try:
        function(*arguments)
    except Exception as error:
        return error
    return None


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request["do"])(request)
        replies.write(json.dumps(answer) + "\n")
        replies.flush()
    replies.close()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
