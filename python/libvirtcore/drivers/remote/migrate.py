# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrate.py: placeholder during bring-up."""
from __future__ import annotations
class MigrateMixin: ...
