# SPDX-License-Identifier: LGPL-2.1-or-later
"""dispatch.py: procedure number → function, for a client before, after and with a read-only open.

Three sets of tables are made once, so that a call costs one look-up and no question: before a
connection is open nearly everything is refused; on a read-only connection, whatever the description
does not allow; what it allows in part is guarded. A function takes (session, args, worker) and
returns the fields of the reply, or REPLIED when it has answered itself.
Called by: session.py. Calls: generated.dispatch_table, special_*.
Never: knows a driver.
"""

from __future__ import annotations

from libvirtcore.api.serving import refuse
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.generated.dispatch_table import BY_HAND, CALLS, FACTS, TRIPLES
from libvirtd import authenticate, special_connect, special_counts, special_events
from libvirtd.answers import REPLIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.generated.dispatch_table import Dispatch, Facts

__all__ = ["NOT_OPEN", "OPEN", "READ_ONLY", "REPLIED", "TRIPLES", "internal"]

# Where the functions written by hand are.
_SPECIAL = (authenticate, special_connect, special_counts, special_events)

# What a client may ask before it has opened a connection, and always.
_BEFORE_OPEN = frozenset(
    (
        "auth_list",
        "auth_polkit",
        "auth_sasl_init",
        "auth_sasl_start",
        "auth_sasl_step",
        "connect_close",
        "connect_open",
        "connect_supports_feature",
    )
)

# Domains of the functions that need a hypervisor; the others name their connection differently.
_HYPERVISOR = frozenset(
    (
        c.VIR_FROM_DOMAIN,
        c.VIR_FROM_DOMAIN_CHECKPOINT,
        c.VIR_FROM_DOMAIN_SNAPSHOT,
        c.VIR_FROM_NONE,
    )
)


def internal(problem: str) -> VirError:
    """What a client is told of a fault of ours."""
    return report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_RPC, problem)


def _by_hand(name: str) -> Dispatch:
    for module in _SPECIAL:
        function = getattr(module, name, None)
        if function is not None:
            return function  # type: ignore[no-any-return]
    raise LookupError(f"no special_*.py has {name}")


def _not_a_call(_session: Any, _args: Any, _worker: Any) -> Any:
    raise internal("the procedure is no call")


def _not_open(facts: Facts) -> Dispatch:
    what = "hypervisor connection" if facts[1] in _HYPERVISOR else "connection"

    def answer(_session: Any, _args: Any, _worker: Any) -> Any:
        raise refuse(f"{what} not open")

    return answer


def _refused(facts: Facts) -> Dispatch:
    name, domain = facts[:2]

    def answer(_session: Any, _args: Any, _worker: Any) -> Any:
        raise _denied(domain, f"read only access prevents {name}")

    return answer


def _denied(domain: int, detail: str) -> VirError:
    return report(c.VIR_ERR_OPERATION_DENIED, domain, detail)


def _guarded(facts: Facts, function: Dispatch) -> Dispatch:
    """The function for a read-only client, behind what the description forbids it to ask for."""
    name, domain, _family, _allowed, guards = facts

    def answer(session: Any, args: Any, worker: Any) -> Any:
        for index, bits, by_bits, secret in guards:
            if (args[index] & bits) if by_bits else (args[index] == bits):
                raise _denied(
                    domain,
                    f"{name} with secure flag" if secret else f"read only access prevents {name}",
                )
        return function(session, args, worker)

    return answer


def _for_read_only(function: Dispatch, name: str, facts: Facts) -> Dispatch:
    if name in _BEFORE_OPEN:
        return function
    if not facts[3]:
        return _refused(facts)
    return _guarded(facts, function) if facts[4] else function


def _tables() -> tuple[dict[int, tuple[Dispatch, ...]], ...]:
    tables: tuple[dict[int, tuple[Dispatch, ...]], ...] = ({}, {}, {})
    for program, generated in CALLS.items():
        hand = BY_HAND[program]
        rows: tuple[list[Dispatch], ...] = ([], [], [])
        for number, (function, facts) in enumerate(zip(generated, FACTS[program], strict=True)):
            before: Dispatch = _not_a_call
            after: Dispatch = _not_a_call
            limited: Dispatch = _not_a_call
            if facts is not None:
                name = hand.get(number, "")
                after = function if function is not None else _by_hand(name)
                before = after if name in _BEFORE_OPEN else _not_open(facts)
                limited = _for_read_only(after, name, facts)
            for row, one in zip(rows, (before, after, limited), strict=True):
                row.append(one)
        for table, row in zip(tables, rows, strict=True):
            table[program] = tuple(row)
    return tables


NOT_OPEN, OPEN, READ_ONLY = _tables()
