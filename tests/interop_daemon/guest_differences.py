# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest_differences.py: where guests of guests.steps live otherwise on our daemon, and why.

A test fails for a difference that is not here, and for an entry that no longer differs.
Called by: test_guests.py.
"""

from __future__ import annotations

# Steps that need a call our driver does not have yet; the run prints them at its end.
LACKING: dict[str, str] = {}

# Steps that are answered, and otherwise → the cause.
GUESTS: dict[str, str] = {}
