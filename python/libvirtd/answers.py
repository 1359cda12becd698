# SPDX-License-Identifier: LGPL-2.1-or-later
"""answers.py: what a function of the dispatch tables returns besides the fields of a reply.

Called by: dispatch.py, session.py, special_*.
Never: sends anything.
"""

from __future__ import annotations


class Replied:
    """Says that a call was answered, or will be, by the function itself."""

    __slots__ = ()


REPLIED = Replied()
