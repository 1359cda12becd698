# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_table.py: rows, doors, driver methods, remote rows and wrappers fit each other."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

import libvirtmod
import libvirtmod_lxc
import libvirtmod_qemu
from generator.description import load
from generator.families import method_name, procedures
from generator.model import Function, Procedure
from libvirtcore.api.call import Row
from libvirtcore.drivers.base import Driver
from libvirtcore.drivers.remote.driver import RemoteDriver
from libvirtcore.generated import api_table
from libvirtcore.generated.driver_base import DriverBase

MODEL = load()
DOORS: dict[str, Any] = {
    "libvirt": libvirtmod,
    "libvirt-qemu": libvirtmod_qemu,
    "libvirt-lxc": libvirtmod_lxc,
}
ROWS = {name: value for name, value in vars(api_table).items() if isinstance(value, Row)}
PROCEDURES = {method_name(procedure): procedure for procedure in procedures(MODEL)}

# Bound in the description, absent at the door: libvirt-python's C module has none of these names.
NOT_AT_THE_DOOR = {
    "virConnectListDomains": "it is virConnectListDomainsID there",
    "virConnCopyLastError": "fills a C structure",
    "virCopyLastError": "fills a C structure",
    "virSetErrorFunc": "it is virRegisterErrorHandler there",
    "virStreamRecvAll": "written in Python, over virStreamRecv",
    "virStreamSendAll": "written in Python, over virStreamSend",
    "virStreamSparseRecvAll": "written in Python, over virStreamRecvFlags",
    "virStreamSparseSendAll": "written in Python, over virStreamSend",
}


def bound() -> list[Function]:
    return [f for f in MODEL.functions if f.library in DOORS and f.door != "none"]


def test_every_bound_function_is_at_the_door() -> None:
    absent = {f.name for f in bound() if not hasattr(DOORS[f.library], f.name)}
    assert absent == set(NOT_AT_THE_DOOR)


@pytest.mark.parametrize("function", [f for f in bound() if f.door == "auto"], ids=lambda f: f.name)
def test_generated_door_takes_the_arguments_of_the_method(function: Function) -> None:
    door = getattr(DOORS[function.library], function.name)
    assert tuple(inspect.signature(door).parameters) == function.py_args


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_row_names_a_driver_method(row: Row) -> None:
    if row.method:
        assert callable(getattr(Driver, row.method))


@pytest.mark.parametrize("procedure", PROCEDURES.values(), ids=lambda p: f"{p.program}-{p.name}")
def test_base_class_and_remote_rows_agree(procedure: Procedure) -> None:
    """The base class refuses what the remote driver sends, with the same arguments."""
    name = method_name(procedure)
    base = inspect.signature(getattr(DriverBase, name))
    assert list(inspect.signature(getattr(RemoteDriver, name)).parameters) == list(base.parameters)
    assert getattr(RemoteDriver, name) is not getattr(DriverBase, name)


def test_rows_that_ask_for_text_set_the_flag() -> None:
    """As libvirt's client does; without it a daemon keeps back parameters that are text."""
    asking = {
        name
        for name in PROCEDURES
        if "flags | STRINGS" in inspect.getsource(getattr(RemoteDriver, name))
    }
    assert asking == {
        "domain_block_stats_flags",
        "domain_get_blkio_parameters",
        "domain_get_block_io_tune",
        "domain_get_cpu_stats",
        "domain_get_interface_parameters",
        "domain_get_launch_security_info",
        "domain_get_memory_parameters",
        "domain_get_numa_parameters",
        "domain_get_scheduler_parameters_flags",
        "node_get_memory_parameters",
        "node_get_sev_info",
    }


def test_no_driver_method_is_left_over() -> None:
    methods = {name for name in vars(DriverBase) if not name.startswith("_")}
    assert methods == set(PROCEDURES)


def test_methods_that_are_one_call_are_generated() -> None:
    """Each has the door's arguments, in the order of the description."""
    for method in MODEL.methods:
        if not method.owner.startswith("vir") or method.hand or not method.function:
            continue
        objects = import_module("libvirtcore.objects")
        found = getattr(getattr(objects, method.owner), method.name)
        names = [param.name for param in method.params]
        assert list(inspect.signature(found).parameters)[1:] == names, method.name
