# SPDX-License-Identifier: LGPL-2.1-or-later
"""expected.py: upstream tests that need parts of the test driver which are not built yet, with reasons."""

from __future__ import annotations

# Test (file::class::name suffix) → what it needs.
IN_PROCESS_LATER: dict[str, str] = {}
